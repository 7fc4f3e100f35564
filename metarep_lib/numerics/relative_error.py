"""How far a value is from the truth, in the truth's own size."""

import torch
from torch import Tensor

from metarep_lib.asked import asked, beside, floats

__all__ = ["relative_error"]


@asked(
    value=floats("...", half=True, finite=False, empty="..."),
    truth=beside("value", floats("...", half=True, finite=False, empty="...", squared=True)),
)
def relative_error(value: Tensor, truth: Tensor) -> Tensor:
    """||value - truth|| / ||truth|| over the last axis, which holds the queries of a prompt.

    Args:
        value: [..., q] what is said.
        truth: [..., q] what should be; the leading axes broadcast, so that all steps of a trace can stand against one answer.

    Returns:
        [...], inf where the truth is zero and the value is not.

    >>> relative_error(torch.tensor([[3.0, 5.0], [3.0, 4.0]]), torch.tensor([3.0, 4.0]))
    tensor([0.2000, 0.0000])
    """
    off = (value - truth).norm(dim=-1)
    return torch.where(off > 0, off / truth.norm(dim=-1), off)  # nothing is off by 0 from 0
