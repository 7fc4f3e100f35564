"""What every layer of a network already says: a linear readout of the stream at the queries, and the smoothers nearest to its derivatives.

Networks of six layers trained on Gaussian processes. The readout of a layer is ridge regression of the true f
on the normalised stream at the queries of 512 prompts, by the network's own last normalisation.
"""

from functools import partial

import torch
from torch import Tensor

from metarep_lib import Prompt
from metarep_lib.evidence.align import fit, prediction_and_weights, weight_error
from metarep_lib.studies import Sweep, drawn
from metarep_lib.train import TrainedTransformer, load_trained

N_SUPPORT = 30
PENALTY = 0.1  # of the readout, per query


def stream_at_queries(network: TrainedTransformer, layer: int, prompt: Prompt) -> Tensor:
    """[B, q, d_model + 1] the normalised stream after a layer, and a one."""
    stream = network.transformer.norm(network.trace(prompt, groups=("query",)).stream("query")[layer])
    return torch.cat([stream, torch.ones_like(stream[..., :1])], -1).double()


def said(network: TrainedTransformer, layer: int, readout: Tensor, prompt: Prompt) -> Tensor:
    return stream_at_queries(network, layer, prompt) @ readout


def run(name: str, seed: int) -> dict[str, list[float]]:
    network = load_trained(name, seed)
    draw, many = drawn(network.recipe.prior, 512, N_SUPPORT, 16, seed=4)
    truth = draw.f[:, N_SUPPORT:].double()
    _, prompt = drawn(network.recipe.prior, 64, N_SUPPORT, 4, seed=5)
    result = {name: [] for name in ("r_squared", "smoother_error", "smoother_tau", "gaussian_error", "gaussian_tau", "gaussian_ridge", "linear_error")}
    for layer in range(1, network.recipe.shape.n_layers + 1):
        with torch.no_grad():
            stream = stream_at_queries(network, layer, many).flatten(0, 1)
        gram = stream.T @ stream + PENALTY * len(stream) * torch.eye(stream.shape[1])
        readout = torch.linalg.solve(gram, stream.T @ truth.flatten())
        result["r_squared"].append(1 - (stream @ readout - truth.flatten()).square().mean().item() / truth.square().mean().item())
        _, s = prediction_and_weights(partial(said, network, layer, readout), prompt)
        for family in ("smoother", "gaussian", "linear"):
            one = fit(family, prompt.to(torch.float64), s.double())
            result[f"{family}_error"].append(weight_error(s.double(), one.weights(prompt.to(torch.float64))).mean().item())
            for name in ("tau", "ridge"):
                if f"{family}_{name}" in result:
                    result[f"{family}_{name}"].append(getattr(one, name))
    return result


SWEEP = Sweep("alignment-layers", {"name": ["softmax-gp"]}, [0, 1, 2], run)
