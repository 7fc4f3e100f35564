"""The heads of a constructed network by the direction they write to."""

from collections.abc import Sequence

from metarep_lib.asked import asked
from metarep_lib.construct.assemble import plan
from metarep_lib.construct.program import Program
from metarep_lib.network.places import Heads


@asked()
def heads_into(program: Program, target: str, steps: Sequence[int] | None = None) -> list[Heads]:
    """The heads of a constructed network that write to a direction, in every block, or in those of some steps.

    Raises:
        KeyError: no head writes there, with the directions heads write to.

    >>> from metarep_lib.construct.algorithms.conjugate_gradient import conjugate_gradient
    >>> heads_into(conjugate_gradient(n_features=3, steps=2), "sigma")
    [Heads(block=2, which=1, group=0, tokens=None), Heads(block=7, which=1, group=0, tokens=None)]
    """
    found, targets = [], {}
    for block, layer in enumerate(program.layers, start=1):
        for g, heads in enumerate(plan(program, layer.attention, layer.mlp)[1]):
            for h, (into, _) in enumerate(heads):
                targets[into] = None
                if into == target and (steps is None or layer.step in steps):
                    found.append(Heads(block, h, g))
    if target not in targets:
        raise KeyError(
            f"no head of {program.name} writes to {target!r}; heads write to {', '.join(targets)}"
        )
    return found
