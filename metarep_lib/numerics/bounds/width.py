"""What a projection of the features to fewer costs."""

import torch
from torch import Tensor

from metarep_lib.asked import asked, floats
from metarep_lib.prompt import Prompt, a_prompt


@asked(prompt=a_prompt(axes="", single=False), W=floats("m p2", like="prompt"))
def width_bound(prompt: Prompt, W: Tensor) -> Tensor:
    """||(I - P) H^-1 phi(x)||_H ||(I - P) w*||_H at every query, [q]: how far the width-m prediction is off at most.

    H = Phi^T Phi + lambda I, w* = H^-1 Phi^T y, ||v||_H^2 = v^T H v; W has orthonormal rows.

    Raises:
        ValueError: rows that are not orthonormal, a batch, or several outputs.

    >>> prompt = Prompt(torch.eye(2), torch.tensor([0.0, 4.0]), torch.tensor([[0.0, 1.0]]), ridge=1.0)
    >>> width_bound(prompt, torch.eye(2)[:1]).round(decimals=4)  # f* = 4 / 2, and a network that drops the second feature says 0
    tensor([2.])
    """
    if prompt.y.ndim != 1:
        raise ValueError(
            f"width_bound(y={list(prompt.y.shape)}): expected one output, y of [k];"
            " this would work: width_bound(prompt.output(0), W)"
        )
    if W.shape[-1] != prompt.n_features:
        raise ValueError(
            f"width_bound(W={list(W.shape)}): expected W of shape [m, {prompt.n_features}]"
        )
    identity = torch.eye(len(W), dtype=W.dtype, device=W.device)
    if (W @ W.mT - identity).abs().max() > 1e3 * torch.finfo(W.dtype).eps:
        raise ValueError(
            "width_bound(W): the rows of W are not orthonormal; use torch.linalg.qr(W.mT).Q.mT"
        )
    H = prompt.phi.mT @ prompt.phi + prompt.ridge * torch.eye(
        prompt.n_features, dtype=W.dtype, device=W.device
    )
    right = torch.cat([prompt.phi_query.mT, (prompt.phi.mT @ prompt.y).unsqueeze(-1)], dim=-1)
    v = torch.linalg.solve(H, right)  # z for every query, then w*
    lost = v - W.mT @ (W @ v)
    size = (lost * (H @ lost)).sum(-2).clamp(min=0).sqrt()
    return size[:-1] * size[-1]
