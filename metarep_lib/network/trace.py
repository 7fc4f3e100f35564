"""The residual stream of a prompt in a network, addressed by name and step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from metarep_lib.contents import Contents


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Contents):
    """What the tokens of a prompt held after every layer, and what the network would have said.

    Args:
        streams: group of tokens -> [L + 1, *B, n, D]; index 0 is the embedding, index l the stream after layer l.
        answers: [L + 1, *B, q, d_output] the network's head at each of these, on the tokens that answer.
        channels: the named directions of the stream, name -> slice of D; none where nothing has a name.
        step_ends: step t of the algorithm is complete after layer `step_ends[t]`.
        outputs: name -> slice of d_output: "prediction", and whatever else the head says.
        resid: [L + 1, *P, T, D] the stream as the network made it, all tokens of every pass; of a `Decoder` alone.
        tokens: group -> its slice of T; of a `Decoder` alone.
        residual: what makes `relative_residual` of a trace; of a network that is known to solve.
    """

    streams: Mapping[str, Tensor]
    answers: Tensor
    channels: Mapping[str, slice]
    step_ends: Sequence[int]
    outputs: Mapping[str, slice] = field(default_factory=lambda: {"prediction": slice(None)})
    resid: Tensor | None = None
    tokens: Mapping[str, slice] = field(default_factory=dict)
    residual: "Callable[[Trace], Tensor] | None" = field(default=None, compare=False, repr=False)

    @property
    def n_steps(self) -> int:
        return len(self.step_ends) - 1

    def stream(self, group: str) -> Tensor:
        """[L + 1, *B, n, D] everything that a group of tokens held, after the embedding and after every layer.

        Raises:
            KeyError: a group that was not kept, with those that were.
        """
        if not isinstance(group, str) or group not in self.streams:
            raise KeyError(
                f"trace has no {group!r}; it has {', '.join(self.streams)};"
                " ask for it: network.trace(prompt, groups=(..., ))"
            )
        return self.streams[group]

    def __getitem__(self, address: tuple[str, str]) -> Tensor:
        """`trace["alpha", "support"]`: that name on those tokens after every *step*.

        Returns [n_steps + 1, *B, n] for a direction of width one, with a last axis of
        the direction's width otherwise.

        Raises:
            KeyError: unknown name or group of tokens, with the ones there are.
        """
        if not isinstance(address, tuple) or len(address) != 2:
            raise KeyError(
                f"trace[{address!r}]: expected a name and a group of tokens; {self.example}"
            )
        return self.after_blocks(*address)[list(self.step_ends)]

    @property
    def example(self) -> str:
        """A way to read this trace, as the end of an error."""
        group = "support" if "support" in self.streams else next(iter(self.streams), "support")
        if not self.channels:
            return f"its stream has no names, try trace.stream({group!r})"
        names = [name for name in ("alpha", *self.channels) if name in self.channels]
        return f"try trace[{names[0]!r}, {group!r}]"

    def after_blocks(self, name: str, group: str) -> Tensor:
        """The same after every *block*: [L + 1, *B, n(, width)]."""
        for key, known in ((name, self.channels), (group, self.streams)):
            if not isinstance(key, str) or key not in known:
                raise KeyError(
                    f"trace has no {key!r}; it has {', '.join(known) or 'no names'}; {self.example}"
                )
        return drop_single_channel(self.streams[group][..., self.channels[name]])

    def output(self, name: str) -> Tensor:
        """[n_steps + 1, *B, q] what the head says under a name, after every step; a last axis for several numbers.

        Raises:
            KeyError: no output of that name, with those there are.
        """
        if not isinstance(name, str) or name not in self.outputs:
            raise KeyError(f"trace has no output {name!r}; it has {', '.join(self.outputs)}")
        return drop_single_channel(self.answers[list(self.step_ends)][..., self.outputs[name]])

    @property
    def prediction(self) -> Tensor:
        """[n_steps + 1, *B, q]: f_t(x) as the network reads it out; a last axis for several outputs."""
        return self.output("prediction")

    @property
    def relative_residual(self) -> Tensor:
        """[n_steps + 1, *B] how far the answer is from solving, ||y - (K + lambda I) alpha_t|| / ||y||, after every step.

        Recomputed from the solution that the stream holds, since what an algorithm carries as its residual may have drifted; of a
        program that holds no solution the carried one. 1 is as far as no answer at all. A last axis for several outputs. At the
        supports the predictions are at most this part of ||y|| off: K (K + lambda I)^-1 r is no longer than r.

        Raises:
            AttributeError: a network that is not known to solve anything, or whose stream holds no residual.
        """
        if self.residual is None:
            raise AttributeError(
                "trace.relative_residual: this network is not known to solve a system; that of a"
                " constructed one would work: assemble(program).run(prompt).relative_residual"
            )
        return self.residual(self)

    def select(self, i: int) -> "Trace":
        """The trace of prompt i of the first batch axis.

        Raises:
            IndexError: one prompt without a batch axis, or fewer prompts.
        """
        n_prompts = self.answers.shape[1] if self.answers.ndim > 3 else 0
        if not isinstance(i, int) or not -n_prompts <= i < n_prompts:
            raise IndexError(
                f"trace.select({i!r}): expected a prompt from 0 to {n_prompts - 1}"
                if n_prompts
                else f"trace.select({i!r}): of one prompt without a batch axis, the trace itself"
            )
        return replace(
            self,
            streams={group: x[:, i] for group, x in self.streams.items()},
            answers=self.answers[:, i],
            resid=None if self.resid is None else self.resid[:, i],
            residual=None,  # it is that of the whole batch: trace.relative_residual[:, i]
        )

    @property
    def all_finite(self) -> bool:
        kept = self.streams.values() if self.resid is None else [self.resid]
        return all(bool(torch.isfinite(x).all()) for x in kept)


def drop_single_channel(value: Tensor) -> Tensor:
    """Drop the last axis when it has one entry: a direction of width one is a number, not a vector."""
    return value.squeeze(-1) if value.shape[-1] == 1 else value
