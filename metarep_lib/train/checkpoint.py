"""An interrupted run: what it was, how far it came, and how it goes on.

A card says what made the weights, so a run goes on from nothing but a checkpoint of its own: the
same recipe and seed under the same code, versions and device. Read with `weights_only`: a file
runs nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from metarep_lib.storage import file_fault, refusal, replace
from metarep_lib.train.recipe import Recipe, recipe_of

FORMAT = "metarep checkpoint 2"
FACTS = ("code", "device", "torch", "python")  # what changes a number, and is on the card


class CheckpointError(ValueError):
    """A checkpoint that cannot be gone on from; the message names it, every reason and the remedy."""


@runtime_checkable
class Stateful(Protocol):
    """A part of a run: the network, its optimizer, the pace."""

    def state_dict(self) -> dict: ...
    def load_state_dict(self, state: dict) -> object: ...


@dataclass(frozen=True)
class Run:
    """What a card says of a run before it ends.

    Args:
        recipe, seed: what is trained.
        command: that trains it.
        made: commit, code, device, torch, python.
    """

    recipe: Recipe
    seed: int
    command: str
    made: Mapping[str, str]

    @classmethod
    def of(cls, card: dict) -> "Run":
        """The run that a card, or a checkpoint, is of."""
        made = {key: card.get(key, "") for key in ("commit", *FACTS)}
        recipe = recipe_of(card["recipe"]["name"], card["recipe"])
        return cls(recipe, card["seed"], card["command"], made)

    def asdict(self) -> dict:
        held = {"recipe": self.recipe.asdict(), "seed": self.seed, "command": self.command}
        return held | dict(self.made)

    def differences(self, other: "Run") -> Iterator[str]:
        """What another run is that this one is not."""
        ours, theirs = (dict(run.facts()) for run in (self, other))
        for key in ours | theirs:
            if ours.get(key) != theirs.get(key):
                yield f"{key} is {theirs.get(key)!r} there, {ours.get(key)!r} here"

    def facts(self) -> Iterator[tuple[str, Any]]:
        """All that decides the weights, and how the card names it."""
        for table, part in self.recipe.asdict().items():
            if isinstance(part, dict):
                yield from ((f"[{table}] {key}", value) for key, value in part.items())
            else:
                yield table, part
        yield "seed", self.seed
        yield from ((key, self.made[key]) for key in FACTS)


def write_checkpoint(
    path: Path, run: Run, parts: Mapping[str, Stateful], step: int, seconds: float
) -> None:
    """Store how far a run is, in the place of the checkpoint before."""
    held = {"format": FORMAT, "run": json.dumps(run.asdict()), "step": step, "seconds": seconds}
    held |= {name: part.state_dict() for name, part in parts.items()}
    replace(path, lambda temporary: torch.save(held, temporary))


def read_checkpoint(path: Path, run: Run, parts: Mapping[str, Stateful]) -> tuple[int, float]:
    """Put the parts of a run where its checkpoint left them: the step to go on from, the seconds spent.

    Raises:
        CheckpointError: it is broken, or of another run; the parts may then be anything.
    """
    if not path.exists():
        return 0, 0.0
    held, other = contents(path, run)
    if reasons := [*run.differences(other)]:
        was = f"{other.command} at commit {other.made['commit']}"
        raise refused(path, run, reasons, f", or go on with what it is of: {was}")
    try:
        for name, part in parts.items():
            part.load_state_dict(held[name])
        return held["step"], held["seconds"]
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise refused(path, run, [f"it does not fit: {error}"]) from error


def contents(path: Path, run: Run) -> tuple[dict, Run]:
    """What a file holds that `write_checkpoint` wrote, and the run it is of."""
    if fault := file_fault(path):
        raise refused(path, run, [fault])
    try:
        held = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises whatever the broken part of the file brings about
        first = str(error).partition("\n")[0]
        raise refused(path, run, [f"it cannot be read, {type(error).__name__}: {first}"]) from error
    came = held.get("format") if isinstance(held, dict) else None
    if came != FORMAT:
        raise refused(path, run, [f"its format is {came!r}, expected {FORMAT!r}"])
    try:
        return held, Run.of(json.loads(held["run"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise refused(path, run, [f"what it is of cannot be read: {error}"]) from error


def refused(path: Path, run: Run, reasons: list[str], otherwise: str = "") -> CheckpointError:
    call = f"train({run.recipe.name!r}, seed={run.seed})"
    remedy = f"remove it to start anew (rm {str(path)!r}){otherwise}"
    return CheckpointError(refusal(call, f"{path} is no checkpoint of this run", reasons, remedy))
