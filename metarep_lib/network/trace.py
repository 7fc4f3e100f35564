"""The residual stream of one forward pass, addressed by name and step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Trace:
    """What every token held after every block, and what it would have said.

    Args:
        resid: [n_blocks + 1, *batch, tokens, d_model]; index 0 is the embedding, index b the stream after block b.
        output: [n_blocks + 1, *batch, tokens, d_output]; the unembedding read at each of these.
        channels: the named directions of the stream, name -> slice of d_model.
        tokens: the named groups of tokens, name -> slice of the token axis.
        step_ends: step t of the algorithm is complete after block `step_ends[t]`.
        asked: the tokens whose output is the prediction.
    """

    resid: Tensor
    output: Tensor
    channels: Mapping[str, slice]
    tokens: Mapping[str, slice]
    step_ends: Sequence[int]
    asked: slice

    @property
    def n_steps(self) -> int:
        return len(self.step_ends) - 1

    def __getitem__(self, address: tuple[str, str]) -> Tensor:
        """`trace["alpha", "support"]`: that name on those tokens after every *step*.

        Returns [n_steps + 1, *batch, tokens] for a direction of width one, with a last axis of
        the direction's width otherwise.

        Raises:
            KeyError: unknown name or group of tokens, with the ones there are.
        """
        if isinstance(address, str) or len(address) != 2:
            raise KeyError(
                f"trace[{address!r}]: expected a name and a group of tokens; try trace['alpha', 'support']"
            )
        return self.after_blocks(*address)[list(self.step_ends)]

    def after_blocks(self, name: str, group: str) -> Tensor:
        """The same after every *block*: [n_blocks + 1, *batch, tokens(, width)]."""
        for key, known in ((name, self.channels), (group, self.tokens)):
            if key not in known:
                raise KeyError(
                    f"trace has no {key!r}; it has {', '.join(known)}; try trace['alpha', 'support']"
                )
        return narrow(self.resid[..., self.tokens[group], self.channels[name]])

    @property
    def prediction(self) -> Tensor:
        """[n_steps + 1, *batch, n_asked]: f_t(x) as the network reads it out; a last axis for several outputs."""
        return narrow(self.output[list(self.step_ends)][..., self.asked, :])

    @property
    def all_finite(self) -> bool:
        return bool(torch.isfinite(self.resid).all())


def narrow(value: Tensor) -> Tensor:
    """Drop the last axis when it has one entry: a direction of width one is a number, not a vector."""
    return value.squeeze(-1) if value.shape[-1] == 1 else value
