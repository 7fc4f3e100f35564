"""A probe for the final residual, frozen on the training tasks, and one fitted anew, when the tasks move.

A network without normalisation may explode on tasks it was not trained for: its stream grows by
powers of ten, and a handful of such tasks decide any sum of squares. Tasks with a token more than
`LIMIT` times as long as the longest of the training tasks are counted and left out, for both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from metarep_lib.construct import assemble
from metarep_lib.construct.algorithms import two_block_conjugate_gradient
from metarep_lib.evidence.probe import Split, activations, fit_probes, recover, recovery
from metarep_lib.network.asking import Network
from metarep_lib.numerics import solvers
from metarep_lib.prompt import Prompt
from metarep_lib.studies.probes_constructed import rotation
from metarep_lib.studies.probes_trained import SPLIT, Prior, pose, system_of
from metarep_lib.train import TrainedTransformer

__all__ = ["LIMIT", "Moved", "numbers", "of_networks", "of_register", "side_by_side"]

LIMIT = 3
Reader = Callable[[Prompt], Tensor]  # to [tasks, k, width]
Shifts = Mapping[str, Mapping[str, Any]]


class Moved(NamedTuple):
    """R^2 of the frozen probe and of the new one, and how many tasks were left out."""

    frozen: float
    anew: float
    left_out: int


def constructed_reader(prior: Prior) -> Reader:
    """The rotated stream of a constructed network of six steps; five features need five."""
    network = assemble(two_block_conjugate_gradient(prior.n_inputs, 6))

    def read(prompt: Prompt) -> Tensor:
        prompt = prompt.to(torch.float64)
        scaled = replace(prompt, phi=prompt.phi / prior.n_inputs**0.5)
        stream = activations(network, scaled)["support"][-1]
        return stream @ rotation(stream.shape[-1], 21)

    return read


def last_block(network: Network) -> Reader:
    """The stream of the supports after the last block."""
    return lambda prompt: activations(network, prompt)["support"][-1]


def only(keep: Tensor, parts: Split) -> tuple[Tensor, Split]:
    """The tasks to keep, in order, and their split: each stays in its part.

    >>> kept, parts = only(torch.tensor([True, False, True, True]), Split(slice(0, 2), slice(2, 3), slice(3, 4)))
    >>> kept.tolist(), parts.train, parts.test
    ([0, 2, 3], slice(0, 1, None), slice(2, 3, None))
    """
    train, validation, test = (
        int(keep[part].sum()) for part in (parts.train, parts.validation, parts.test)
    )
    ends = train, train + validation, train + validation + test
    return keep.nonzero().squeeze(1), Split(slice(0, ends[0]), slice(*ends[:2]), slice(*ends[1:]))


def moved_probes(readers: Sequence[Reader], prior: Prior, shifts: Shifts) -> dict[str, list[Moved]]:
    """Shift -> what comes of it for every reader; the first shift is none, and teaches the frozen probes.

    A shift changes fields of the prior, and `scale` the lengths of inputs.
    """
    ridge, probes, longest, found = prior.noise[0] ** 2, [], [], {}
    for label, change in shifts.items():
        shifted = replace(prior, **{name: of for name, of in change.items() if name != "scale"})
        prompt = replace(pose(shifted, seed=13, scale=change.get("scale", 1.0)), ridge=ridge)
        target = ridge * solvers.cholesky(system_of(prompt, prior, ridge)).alpha
        streams = [read(prompt).double() for read in readers]
        lengths = [x.norm(dim=-1).amax(1) for x in streams]
        longest = longest or [length.max() for length in lengths]
        probes = probes or [fit_probes(x, {"rest": target}, SPLIT)["rest"] for x in streams]
        found[label] = []
        for probe, x, length, most in zip(probes, streams, lengths, longest):
            kept, parts = only(length <= LIMIT * most, SPLIT)
            x, y = x[kept], target[kept]
            frozen = recovery(probe(x[parts.test]), y[parts.test]).r2
            anew = recover(x, {"rest": y}, parts)["rest"].r2
            found[label].append(Moved(frozen, anew, len(length) - len(kept)))
    return found


def of_register(prior: Prior, shifts: Shifts) -> dict[str, list[Moved]]:
    """The same of a constructed network."""
    return moved_probes([constructed_reader(prior)], prior, shifts)


def of_networks(networks: Sequence[TrainedTransformer], shifts: Shifts) -> dict[str, list[Moved]]:
    """The same of the last blocks of trained networks, of one prior."""
    readers = [last_block(network) for network in networks]
    return moved_probes(readers, networks[0].recipe.prior, shifts)


def side_by_side(found: Mapping[str, list[Moved]]) -> dict[str, np.ndarray]:
    """Probe -> [readers, shifts] R^2, at least zero.

    >>> side_by_side({"as trained": [Moved(1.0, 0.9, 0)], "moved": [Moved(-2.0, 0.8, 3)]})["frozen"]
    array([[1., 0.]])
    """
    r2 = np.array(list(found.values()))[..., :2].clip(min=0)
    return {"frozen": r2[..., 0].T, "fitted anew": r2[..., 1].T}


def numbers(found: Mapping[str, list[Moved]], n_readers: int = 3) -> np.ndarray:
    """[shifts, 3 n_readers], to two decimals; NaN where there are fewer readers."""
    rows = np.array(list(found.values()), dtype=float).reshape(len(found), -1).round(2)
    missing = 3 * n_readers - rows.shape[1]
    return np.pad(rows, ((0, 0), (0, missing)), constant_values=np.nan)
