"""Sweeps: one function over a grid of knobs and several seeds, stored small, resumable, remade by one command.

A sweep is a file `sweeps/NAME.py` with a `SWEEP`; `python scripts/sweep.py NAME` runs it and writes
`metarep_lib/sweeps/NAME.json`: a card (command, commit, time, versions), the grid, and one row of results for every point.
"""

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from metarep_lib.contents import Contents
from metarep_lib.storage import replace

SWEEPS = Path(__file__).resolve().parents[1] / "sweeps"
Knob = str | int | float
Result = Mapping[str, float | Sequence[float]]


@dataclass(frozen=True, repr=False)
class Sweep(Contents):
    """What to run.

    Args:
        name: of the stored file.
        knobs: name -> the values it takes; the grid is their product.
        seeds: every point is run with each.
        run: run(seed=..., **knobs) -> name -> number or list of numbers; deterministic in its arguments.
    """

    name: str
    knobs: Mapping[str, Sequence[Knob]]
    seeds: Sequence[int]
    run: Callable[..., Result]

    def points(self) -> Iterator[dict[str, Knob]]:
        """Every combination of knobs, then of seed, in order."""
        for values in product(*self.knobs.values(), self.seeds):
            yield dict(zip((*self.knobs, "seed"), values))


@dataclass(frozen=True, eq=False, repr=False)
class Swept(Contents):
    """What came of a sweep: `rows` in the order of its points, and its card."""

    knobs: dict[str, list[Knob]]
    rows: list[dict]
    card: dict

    def values(self, result: str, **fixed: Knob) -> np.ndarray:
        """The results of one name at the points with these knobs, [remaining knobs..., seeds(, length)].

        Raises:
            KeyError: a knob, value or result that is not in the sweep, with those that are.
        """
        for name, value in fixed.items():
            if not isinstance(value, str | int | float) or value not in self.knobs.get(name, []):
                raise KeyError(f"values({name}={value!r}): the sweep has {self.knobs}")
        chosen = [
            row for row in self.rows if all(row[name] == value for name, value in fixed.items())
        ]
        if not isinstance(result, str) or result not in chosen[0]:
            raise KeyError(
                f"values({result!r}): the sweep has the results {sorted(chosen[0].keys() - self.knobs.keys())}"
            )
        shape = [len(values) for name, values in self.knobs.items() if name not in fixed]
        held = np.array([row[result] for row in chosen], dtype=float)
        return held.reshape(*shape, *held.shape[1:])


def run_sweep(sweep: Sweep, folder: Path = SWEEPS, *, commit: str, command: str) -> Path:
    """Run every point that has not been run, with a progress bar, and store the whole.

    Interrupted, it goes on after the last finished point (kept in `NAME.partial`, a row of JSON for each, removed at the end).
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{sweep.name}.partial"
    done = (
        [json.loads(line) for line in partial.read_text(encoding="utf-8").splitlines()]
        if partial.exists()
        else []
    )
    points = list(sweep.points())
    if [{name: row[name] for name in point} for row, point in zip(done, points)] != points[
        : len(done)
    ]:
        raise ValueError(
            f"run_sweep({sweep.name!r}): {partial} belongs to another grid; remove it to start anew"
        )
    began = time.monotonic()
    with partial.open("a", encoding="utf-8") as file:
        for point in tqdm(
            points[len(done) :],
            initial=len(done),
            total=len(points),
            desc=sweep.name,
            mininterval=5,
        ):
            row = point | {name: short(value) for name, value in sweep.run(**point).items()}
            done.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
    knobs = {name: list(values) for name, values in sweep.knobs.items()} | {
        "seed": list(sweep.seeds)
    }
    card = {
        "command": command,
        "commit": commit,
        "seconds": round(time.monotonic() - began),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    rows = ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in done)
    text = f'{{"card": {json.dumps(card)},\n "knobs": {json.dumps(knobs)},\n "rows": [\n  {rows}\n ]}}\n'
    path = folder / f"{sweep.name}.json"
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    partial.unlink()
    return path


def short(value: float | Sequence[float]) -> float | list[float]:
    """Four digits: enough for any figure."""
    return (
        [short(entry) for entry in value]
        if isinstance(value, Sequence)
        else float(f"{float(value):.4g}")
    )


def load_sweep(name: str, folder: Path = SWEEPS) -> Swept:
    """A stored sweep.

    Raises:
        FileNotFoundError: no such sweep, with the names there are.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.json"))) or "none"
        raise FileNotFoundError(f"load_sweep({name!r}): no such sweep; there are: {known}")
    held = json.loads(path.read_text(encoding="utf-8"))
    return Swept(held["knobs"], held["rows"], held["card"])


def sweeps(folder: Path = SWEEPS) -> dict[str, Swept]:
    """All stored sweeps, by name."""
    return {path.stem: load_sweep(path.stem, folder) for path in sorted(folder.glob("*.json"))}
