"""Sweeps: one function over a grid of knobs and several seeds, stored small, resumable, remade by one command.

A sweep is a file `sweeps/NAME.py` with a `SWEEP`; `python scripts/sweep.py NAME` runs it and writes
`metarep_lib/sweeps/NAME.json`: a card (command, commit, time, versions), the grid, and one row of results for every point.
The file is JSON by the standard: a result that is no number is null there, an infinite one "Infinity" or "-Infinity".
"""

import json
import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from metarep_lib.contents import Contents
from metarep_lib.storage import (
    alone,
    clear_leftovers,
    library_digest,
    name_faults,
    read_json,
    refusal,
    write_text,
)
from metarep_lib.studies.journal import Journal, SweepError, code_digest, from_row, to_json

SWEEPS = Path(__file__).resolve().parents[1] / "sweeps"
Knob = str | int | float
Result = Mapping[str, float | Sequence[float]]
LIKE_THIS = "Sweep('mine', {'width': [1, 2]}, [0, 1], lambda width, seed: {'error': 1 / width})"


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

    @property
    def knobs_and_seeds(self) -> dict[str, list[Knob]]:
        """The grid as it is stored."""
        return {name: list(values) for name, values in self.knobs.items()} | {
            "seed": list(self.seeds)
        }

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

    Interrupted, it goes on after the last finished point (kept in `NAME.partial`, a line of JSON for each, removed at the end).
    While another process runs the same sweep into the same folder it waits, and runs what that one leaves undone.

    Raises:
        SweepError: a name that no file can have, a result named like a knob, or rows of another grid or other code to go on from.
    """
    if reasons := [*name_faults(sweep.name), *knob_faults(sweep)]:
        raise SweepError(refusal(f"run_sweep({sweep.name!r})", "no sweep", reasons, LIKE_THIS))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sweep.name}.json"
    made = {
        "code": f"{library_digest()} {code_digest(sweep.run)}",
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    with alone(path) as waited:
        clear_leftovers(path)
        if waited and was_swept(path, sweep, made):
            return path
        journal = Journal.resume(folder / f"{sweep.name}.partial", sweep.knobs_and_seeds, made)
        rows, seconds = run_points(sweep, journal)
        card = {"command": command, "commit": commit, "seconds": round(seconds)} | made
        write_sweep(path, card, sweep.knobs_and_seeds, rows)
        journal.path.unlink()
    return path


def knob_faults(sweep: Sweep) -> Iterator[str]:
    if "seed" in sweep.knobs:
        yield "'seed' is a knob; the seeds are an argument of their own"
    for name, values in sweep.knobs_and_seeds.items():
        wrong = [value for value in values if not isinstance(value, Knob) or is_odd(value)]
        if wrong:
            yield f"{name} takes {wrong[0]!r}, expected a text or a finite number"


def is_odd(value: Knob) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def was_swept(path: Path, sweep: Sweep, made: Mapping[str, str]) -> bool:
    """Whether the file that this run would store is there."""
    try:
        swept = load_sweep(path.stem, path.parent)
    except (FileNotFoundError, SweepError):
        return False
    return is_of(swept, sweep) and {key: swept.card.get(key) for key in made} == made


def is_of(swept: "Swept", sweep: Sweep) -> bool:
    """Whether what is stored is the grid of a sweep, every point of it in order."""
    points = [{name: row[name] for name in swept.knobs} for row in swept.rows]
    knobs = [*swept.knobs.items()], [*sweep.knobs_and_seeds.items()]  # with their order
    return knobs[0] == knobs[1] and points == list(sweep.points())


def run_points(sweep: Sweep, journal: Journal) -> tuple[list[dict], float]:
    """The rows of all points in order, and the seconds they took; those that are in the journal are not run."""
    points, rows = list(sweep.points()), journal.rows
    began = time.monotonic() - journal.seconds
    with journal.writer() as write:
        todo = points[len(rows) :]
        with tqdm(
            todo, initial=len(rows), total=len(points), desc=sweep.name, mininterval=5
        ) as progress:
            for point in progress:
                result = sweep.run(**point)
                if clash := sorted(result.keys() & point.keys()):
                    reason = f"its results have {', '.join(clash)}, which are knobs"
                    raise SweepError(
                        refusal(f"run_sweep({sweep.name!r})", "no sweep", [reason], LIKE_THIS)
                    )
                row = point | {name: short(value) for name, value in result.items()}
                write(row, time.monotonic() - began)
                rows.append(row)
    return rows, time.monotonic() - began


def write_sweep(path: Path, card: dict, knobs: dict[str, list[Knob]], rows: list[dict]) -> None:
    """Store a sweep whole, a line for every row."""
    lines = ",\n  ".join(to_json(row) for row in rows)
    header = f'{{"card": {json.dumps(card)},\n "knobs": {json.dumps(knobs)}'
    text = f'{header},\n "rows": [\n  {lines}\n ]}}\n'
    write_text(path, text)


def short(value: float | Sequence[float]) -> float | list[float]:
    """Four digits: enough for any figure."""
    return (
        [short(entry) for entry in value]
        if isinstance(value, Sequence)
        else float(f"{float(value):.4g}")
    )


def load_sweep(name: str, folder: Path = SWEEPS) -> Swept:
    """A stored sweep; null in the file is NaN here.

    Raises:
        FileNotFoundError: no such sweep, with the names there are.
        SweepError: a file that is broken or holds no sweep, with what is wrong and how it is made again.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.json"))) or "none"
        raise FileNotFoundError(f"load_sweep({name!r}): no such sweep; there are: {known}")
    try:
        held = read_json(path)
    except ValueError as error:
        raise refused(path, [str(error)]) from error
    if reasons := [*sweep_faults(held)]:
        raise refused(path, reasons)
    knobs = held["knobs"]
    return Swept(knobs, [from_row(row, knobs) for row in held["rows"]], held["card"])


def sweep_faults(held: Any) -> Iterator[str]:
    """Why what a file holds is no sweep."""
    kinds = {"card": dict, "knobs": dict, "rows": list}
    held = held if isinstance(held, dict) else {}
    wrong = [key for key, kind in kinds.items() if not isinstance(held.get(key), kind)]
    if wrong:
        yield f"it has no {', '.join(wrong)}"
        return
    for number, row in enumerate(held["rows"]):
        missing = sorted(held["knobs"].keys() - (row.keys() if isinstance(row, dict) else set()))
        if missing or not isinstance(row, dict):
            yield f"row {number} has no {', '.join(missing) or 'names'}"
            return


def refused(path: Path, reasons: list[str]) -> SweepError:
    remedy = f"remove it and run `make sweeps`, or `git checkout {path.name}` beside it"
    call = f"load_sweep({path.stem!r})"
    return SweepError(refusal(call, f"{path} holds no sweep", reasons, remedy))


def sweeps(folder: Path = SWEEPS) -> dict[str, Swept]:
    """All stored sweeps, by name."""
    return {path.stem: load_sweep(path.stem, folder) for path in sorted(folder.glob("*.json"))}
