"""What a network would say at the queries after every layer, read off its residual stream in two ways.

Letters: B prompts, q queries, L layers.

Its *own head* is W_U behind the last norm, applied early; nothing is fitted. A *fitted readout* is an affine map for every layer, the one
that comes nearest to what the network says in the end: by least squares, so there is no such thing as too little training. At the last
layer both are the network itself.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.asked import asked, floats, not_negative
from metarep_lib.contents import Contents
from metarep_lib.network.asking import Network
from metarep_lib.network.levels import needs
from metarep_lib.prompt import Prompt


@needs(Network)
@asked()
def query_streams(network: Network, prompt: Prompt) -> Tensor:
    """[L + 1, B, q, D] the residual stream at the queries, after the embedding and after every layer.

    Raises:
        AskedWrongly: a prompt in another dtype than the network's: `prompt.to(network.traits.dtype)`.
    """
    with torch.no_grad():
        return network.trace(prompt, groups=("query",)).stream("query")


@needs(Network)
@asked()
def own_head(network: Network, streams: Tensor) -> Tensor:
    """[L + 1, B, q] what the network's own head reads off every layer, in double precision."""
    with torch.no_grad():
        return network.head(streams)[..., network.outputs["prediction"]].squeeze(-1).double()


@dataclass(frozen=True, eq=False, repr=False)
class Readout(Contents):
    """Affine maps, one for every layer but the last: [L, d_model + 1]."""

    weights: Tensor

    def __call__(self, streams: Tensor, said: Tensor) -> Tensor:
        """[L + 1, B, q] predictions of every layer; `said` [B, q] is what the network says."""
        read = (with_one(streams[:-1]) @ self.weights.view(len(self.weights), 1, -1, 1)).squeeze(-1)
        return torch.cat([read, said.unsqueeze(0)])


@asked(streams=floats("L B q D"), said=floats("B q"), rcond=not_negative)
def fitted_readout(streams: Tensor, said: Tensor, rcond: float = 1e-9) -> Readout:
    """The least-squares readout of every layer, exactly converged.

    Args:
        streams: [L + 1, B, q, d_model] as `query_streams` gives them, on prompts that nothing is judged on.
        said: [B, q] what the network says.
        rcond: directions of the stream this much smaller than the largest are left out.
    """
    rows = [
        torch.linalg.lstsq(
            with_one(x).flatten(0, 1), said.double().reshape(-1, 1), rcond=rcond, driver="gelsd"
        ).solution.squeeze(-1)
        for x in streams[:-1]
    ]
    return Readout(torch.stack(rows))


def with_one(x: Tensor) -> Tensor:
    x = x.double()
    return torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)
