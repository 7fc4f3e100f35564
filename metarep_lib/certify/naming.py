"""What every weight of a constructed network is called: by the directions it connects.

Heads and units have no names of their own. A head is called by the directions it writes into, a
unit by what it multiplies and where that goes; one of several of the same name by its number among
those. So a name outlives a change of their order.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cached_property

from torch import Tensor

from metarep_lib.construct.assemble import ConstructedTransformer
from metarep_lib.network.basis import Basis


class Naming:
    """The names of all weights of a network, as they are before anything is changed.

    >>> from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
    >>> from metarep_lib.construct.assemble import assemble
    >>> naming = Naming(assemble(gradient_descent(2, steps=3, step_size=0.25)))
    >>> naming.entry("W_E", (2, 4)), naming.entry("blocks.0.attention.0.W_Q", (0, 1, 1))
    ('W_E y -> alpha', 'block 0 head into w W_Q phi[1] -> key phi[1]')
    >>> naming.entry("blocks.0.mlp.W_gate", (2, 2)), naming.unit("blocks.0.mlp.W_out", 0)
    ('block 0 W_gate ridge -> unit ridge * r into r', 'block 0 unit one * r into alpha')
    """

    def __init__(self, network: ConstructedTransformer):
        self.weights: Mapping[str, Tensor] = network.transformer.state_dict()
        self.stream = network.basis
        self.of_input, self.of_stream = channels(network.program.inputs), channels(self.stream)

    def entry(self, tensor: str, at: tuple[int, ...]) -> str:
        """An entry of a matrix: from what it reads to where that goes."""
        *place, matrix = tensor.split(".")
        if matrix == "W_E":
            return f"W_E {self.of_input[at[0]]} -> {self.of_stream[at[1]]}"
        if matrix == "W_U":
            several = self.weights["W_U"].shape[1] > 1
            return f"W_U {self.of_stream[at[0]]} -> output{f' {at[1]}' if several else ''}"
        if "mlp" in place:
            return f"block {place[1]} {self.in_mlp(tensor, matrix, at)}"
        return f"block {place[1]} {self.in_attention(tensor, matrix, at)}"

    def in_mlp(self, tensor: str, matrix: str, at: tuple[int, ...]) -> str:
        units = self.units[tensor.removesuffix(f".{matrix}")]
        if matrix == "W_out":
            return f"W_out unit {units[at[0]]} -> {self.of_stream[at[1]]}"
        return f"{matrix} {self.of_stream[at[0]]} -> unit {units[at[1]]}"

    def in_attention(self, tensor: str, matrix: str, at: tuple[int, ...]) -> str:
        group, (h, i, j) = tensor.removesuffix(f".{matrix}"), at
        head = f"head into {self.heads[group, h]}"
        if matrix == "W_O":
            value = numbered(self.read(self.weights[f"{group}.W_V"][h]))
            return f"{head} W_O {value[i]} -> {self.of_stream[j]}"
        other = {"W_Q": "W_K", "W_K": "W_Q", "W_V": "W_O"}[matrix]
        weights = self.weights[f"{group}.{other}"][h]
        meets = numbered(self.read(weights.T if other == "W_O" else weights))
        role = {"W_Q": "key ", "W_K": "query ", "W_V": ""}[matrix]
        return f"{head} {matrix} {self.of_stream[i]} -> {role}{meets[j]}"

    def unit(self, tensor: str, unit: int) -> str:
        """A whole unit, by its W_out."""
        _, block, _, matrix = tensor.split(".")
        return f"block {block} unit {self.units[tensor.removesuffix(f'.{matrix}')][unit]}"

    @cached_property
    def units(self) -> dict[str, list[str]]:
        """MLP to the names of its units."""
        found = {}
        for tensor in self.weights:
            mlp, _, matrix = tensor.rpartition(".")
            if matrix == "W_out":
                parts = (self.weights[f"{mlp}.{part}"] for part in ("W_gate", "W_in"))
                read = (self.read(part) for part in (*parts, self.weights[tensor].T))
                found[mlp] = numbered(
                    [f"{left} * {right} into {to}" for left, right, to in zip(*read, strict=True)]
                )
        return found

    @cached_property
    def heads(self) -> dict[tuple[str, int], str]:
        """(group, head) to what it is called in its block."""
        found = {}
        for tensor, weights in self.weights.items():
            group, _, matrix = tensor.rpartition(".")
            if matrix == "W_O":
                into = self.read(weights.abs().sum(dim=1).T)
                found |= {(group, h): name for h, name in enumerate(into)}
        by_block = defaultdict(list)
        for place in found:
            by_block[place[0].split(".")[1]].append(place)
        return {
            place: name
            for places in by_block.values()
            for place, name in zip(places, numbered([found[place] for place in places]))
        }

    def read(self, columns: Tensor) -> list[str]:
        """For every column over the stream, the directions in it."""
        return [directions(column, self.stream) for column in columns.T]


def directions(column: Tensor, basis: Basis) -> str:
    """The names of the entries that are not zero, joined; whole directions go by their own name."""
    present_at, there = column.ne(0).tolist(), []
    for name in basis:
        inside = present_at[basis[name]]
        if all(inside):
            there.append(name)
        else:
            there += [f"{name}[{a}]" for a, present in enumerate(inside) if present]
    return " + ".join(there) or "nothing"


def numbered(names: list[str]) -> list[str]:
    """The same, with a number behind those that occur more than once.

    >>> numbered(["w", "r", "w"])
    ['w #1', 'r', 'w #2']
    """
    often, seen, out = Counter(names), Counter(), []
    for name in names:
        seen[name] += 1
        out.append(f"{name} #{seen[name]}" if often[name] > 1 else name)
    return out


def channels(basis: Basis) -> list[str]:
    """The name of every channel, as in `phi[1]`."""
    return [
        name if basis.width(name) == 1 else f"{name}[{a}]"
        for name in basis
        for a in range(basis.width(name))
    ]
