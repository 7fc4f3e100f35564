"""Exact arithmetic: the same forward pass over a prime field, from weights and configuration alone.

A float weight is a dyadic rational, so the forward pass of a network without softmax, activation
or norm is a rational function with coefficients in Z[1/2]. It can be evaluated over a prime field
without any rounding. Nothing here knows which program made the weights.

Arrays are numpy object arrays, so the pass runs on any scalars with +, -, *, /: field elements
(`flint.fmpz_mod`), rationals (`fractions.Fraction`), or `Degree`, which carries bounds on the degree and the
height of the rational function in place of its value.

Softmax heads are no rational functions. They are evaluated all the same when a function of the score is handed in
for exp: any identity that holds for *every* function with the values of exp that the identity needs holds for exp.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from torch import Tensor

from metarep_lib.construct.program import guard_of
from metarep_lib.network.masks import Mask
from metarep_lib.network.transformer import AttentionConfig, TransformerConfig

Scalar = Any
Divide = Callable[[Scalar, Scalar], Scalar]
Sparse = list[tuple[int, int, Scalar]]


class ExactTransformer:
    """The forward pass of `Transformer`, over any scalars.

    Args:
        state_dict: float weights, read as the dyadic rationals they are; a key weight of a
            normalised head that equals `guard_of` its dtype is a guard against 0 / 0 and is read as `guard`.
        config: of the transformer the weights belong to.
        scalar: makes a scalar of a `Fraction`.
        divide: the quotient of two scalars, with 0 / 0 = 0.
        exponential: what a softmax head makes of a score before it normalises; None when there are no such heads.
        guard: the scalar that stands for all guards; 0, their limit, when None.

    Raises:
        ValueError: the configuration is not a rational function (activation or norm, or softmax without `exponential`).
    """

    def __init__(
        self,
        state_dict: Mapping[str, Tensor],
        config: TransformerConfig,
        scalar: Callable[[Fraction], Scalar],
        divide: Divide,
        exponential: Callable[[Scalar], Scalar] | None = None,
        guard: Scalar | None = None,
    ):
        irrational = list(irrational_parts(config, softmax_too=exponential is None))
        if irrational:
            raise ValueError(
                f"ExactTransformer(config): not a rational function: {', '.join(irrational)}; linear and normalised heads and bilinear MLPs are"
            )
        self.config = config
        self.divide = divide
        self.exponential = exponential
        self.scalar = scalar
        self.zero = scalar(Fraction(0))
        self.guard = self.zero if guard is None else guard
        self.guarded = {
            f"blocks.{b}.attention.{g}.W_K"
            for b, block in enumerate(config.blocks)
            for g, group in enumerate(block.attention)
            if group.kind == "normalised"
        }
        # most weights are 1, -1 or a power of two
        self.read_weight = cache(lambda value: scalar(Fraction(value)))
        self.state_dict = state_dict
        # a tensor is read when a block that runs asks for it; networks that differ in one share the others
        self.read_once: dict[str, list[Sparse]] = {}
        self.replaced: dict[str, list[Sparse]] = {}

    def with_weight(self, name: str, weight: Tensor) -> "ExactTransformer":
        """The same network with one tensor replaced; the others are not read again."""
        other = copy(self)
        other.replaced = self.replaced | {name: self.sparse(name, weight)}
        return other

    def with_config(self, config: TransformerConfig) -> "ExactTransformer":
        """The same weights in another order of blocks."""
        other = copy(self)
        other.config = config
        return other

    def weight(self, name: str) -> list[Sparse]:
        """A tensor of this network as exact scalars."""
        if name in self.replaced:
            return self.replaced[name]
        if name not in self.state_dict:
            raise ValueError(
                f"ExactTransformer: the state_dict has no {name!r}, of which the config speaks; this"
                " would work: network.transformer.state_dict() and network.transformer.config"
            )
        if name not in self.read_once:
            self.read_once[name] = self.sparse(name, self.state_dict[name])
        return self.read_once[name]

    def sparse(self, name: str, weight: Tensor) -> list[Sparse]:
        """The non-zero entries of a matrix, or of every head's matrix, as exact scalars."""
        matrices = (weight if weight.ndim == 3 else weight.unsqueeze(0)).tolist()
        guard = guard_of(weight.dtype) if name in self.guarded else None
        read = lambda entry: self.guard if entry == guard else self.read_weight(entry)  # noqa: E731
        entries = [
            [
                (i, j, entry)
                for i, row in enumerate(matrix)
                for j, entry in enumerate(row)
                if entry != 0
            ]
            for matrix in matrices
        ]
        return [
            [(i, j, read(entry)) for i, j, entry in of_head if read(entry) != self.zero]
            for of_head in entries
        ]

    def stream(self, tokens: np.ndarray, mask: Mask) -> Iterator[np.ndarray]:
        """Yield the stream after the embedding and after every block; tokens are [T, d_input] scalars."""
        x = self.apply("W_E", tokens, self.config.d_model)
        yield x
        yield from self.blocks(x, mask, self.config.schedule)

    def blocks(self, x: np.ndarray, mask: Mask, schedule: tuple[int, ...]) -> Iterator[np.ndarray]:
        """Yield the stream after each of the blocks named, starting from a stream of one's own."""
        for index in schedule:
            read, x = x, x.copy()  # every head of a block reads the same stream
            for g, group in enumerate(self.config.blocks[index].attention):
                for h in range(group.n_heads):
                    name = f"blocks.{index}.attention.{g}"
                    self.add(f"{name}.W_O", self.head(name, h, group, read, mask), x, h)
            self.add(
                f"blocks.{index}.mlp.W_out",
                self.gated(f"blocks.{index}.mlp", self.config.blocks[index].d_mlp, x),
                x,
            )
            yield x

    def read(self, x: np.ndarray) -> np.ndarray:
        return self.apply("W_U", x, self.config.d_output)

    def head(
        self, name: str, h: int, group: AttentionConfig, x: np.ndarray, mask: Mask
    ) -> np.ndarray:
        q = self.apply(f"{name}.W_Q", x, group.d_head, h)
        k = self.apply(f"{name}.W_K", x, group.d_head, h)
        v = self.apply(f"{name}.W_V", x, group.d_value, h)
        visible = mask.dense(len(x)).numpy()
        visible[:, list(group.hidden_keys)] = False
        scores = q @ k.T  # [T, T]
        if group.kind == "softmax":
            scores = self.exponentials(scores, visible, group.score_scale)
        scores = np.where(visible, scores, self.zero)
        out = scores @ v
        if group.kind != "linear":
            totals = scores.sum(axis=1)
            out = np.array(
                [[self.divide(entry, total) for entry in row] for row, total in zip(out, totals)],
                dtype=object,
            )
        return out

    def exponentials(self, scores: np.ndarray, visible: np.ndarray, scale: float) -> np.ndarray:
        """The weights of a softmax head before they are normalised; what is not visible is not evaluated."""
        scale, out = self.scalar(Fraction(scale)), np.full(scores.shape, self.zero, dtype=object)
        for at in zip(*visible.nonzero()):
            out[at] = self.exponential(scale * scores[at])
        return out

    def gated(self, name: str, d_mlp: int, x: np.ndarray) -> np.ndarray:
        return self.apply(f"{name}.W_gate", x, d_mlp) * self.apply(f"{name}.W_in", x, d_mlp)

    def apply(self, name: str, x: np.ndarray, width: int, head: int = 0) -> np.ndarray:
        """x W, [T, n] and [n, width]."""
        out = np.full((len(x), width), self.zero, dtype=object)
        self.add(name, x, out, head)
        return out

    def add(self, name: str, x: np.ndarray, to: np.ndarray, head: int = 0) -> None:
        """Add x W to an array, in place; zero weights are skipped, they are absent circuits."""
        for row, column, weight in self.weight(name)[head]:
            to[:, column] = to[:, column] + x[:, row] * weight


def irrational_parts(config: TransformerConfig, softmax_too: bool) -> Iterator[str]:
    for b, block in enumerate(config.blocks):
        if block.activation != "identity":
            yield f"block {b} has activation {block.activation!r}"
        if block.norm != "none":
            yield f"block {b} has norm {block.norm!r}"
        if softmax_too and any(group.kind == "softmax" for group in block.attention):
            yield f"block {b} has softmax heads"
    if config.final_norm != "none":
        yield f"the final norm is {config.final_norm!r}"
