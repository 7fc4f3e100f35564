"""The rows of a sweep that is not finished, a line of JSON for each, under a line that says what they are of.

A process may be killed while it writes a line. A last line without its end was not written, so it is
dropped, and the point is run again.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import CodeType
from typing import Any

from metarep_lib.storage import file_fault, refusal

FORMAT = "metarep sweep 2"
INFINITIES = {"Infinity": math.inf, "-Infinity": -math.inf}
NAMES = {"code": "code", "torch": "versions of torch", "python": "versions of Python"}


class SweepError(ValueError):
    """A sweep that cannot be run or read, or rows of another one; the message names the file and every reason."""


@dataclass(frozen=True)
class Journal:
    """What has been run of a sweep.

    Args:
        path: of the file.
        header: what the rows are of: the format, the grid, the code and the versions.
        rows: one for each point from the first on.
        seconds: that they took.
    """

    path: Path
    header: dict
    rows: list[dict]
    seconds: float

    @classmethod
    def resume(cls, path: Path, knobs: Mapping[str, list], made: Mapping[str, str]) -> "Journal":
        """The journal of a sweep, with the rows that are there; the file is left as if the last complete line had just been written.

        Raises:
            SweepError: the rows are of another grid or other code, or a line is no row.
        """
        header = {"format": FORMAT, "knobs": json.loads(json.dumps(knobs)), **made}
        lines = complete_lines(path)
        if not lines:
            path.write_bytes((to_json(header) + "\n").encode())
            return cls(path, header, [], 0.0)
        first, *others = (parsed(path, number, line) for number, line in enumerate(lines, start=1))
        if reasons := [*differences(header, first)]:
            raise refused(path, reasons)
        rows, seconds, points = [], 0.0, [*grid(header["knobs"])]
        if len(others) > len(points):
            raise refused(path, [f"it has {len(others)} rows, the grid {len(points)} points"])
        for number, (entry, point) in enumerate(zip(others, points), start=2):
            row, seconds = entry.get("row"), entry.get("seconds")
            of_point = isinstance(row, dict) and {key: row.get(key) for key in point} == point
            if not of_point or not isinstance(seconds, int | float):
                raise refused(path, [f"line {number} is not the row of {point}"])
            rows.append(from_row(row, point))
        return cls(path, header, rows, seconds)

    @contextmanager
    def writer(self) -> Iterator[Callable[[dict, float], None]]:
        """A function that adds a row and the seconds spent so far."""
        with self.path.open("ab") as file:

            def write(row: dict, seconds: float) -> None:
                line = to_json({"seconds": round(seconds, 3), "row": row}) + "\n"
                file.write(line.encode())
                file.flush()

            yield write


def complete_lines(path: Path) -> list[bytes]:
    """The lines of a file that have their end; what follows them is cut off."""
    if not path.exists():
        return []
    if path.stat().st_size and (fault := file_fault(path)):
        raise refused(path, [fault])
    whole, _, torn = path.read_bytes().rpartition(b"\n")
    if torn:
        with path.open("rb+") as file:
            file.truncate(len(whole) + 1 if whole else 0)
    return whole.splitlines()


def parsed(path: Path, number: int, line: bytes) -> dict:
    """One line of a journal."""
    try:
        entry = json.loads(line)
        if isinstance(entry, dict):
            return entry
        said = f"it is a {type(entry).__name__}"
    except ValueError as error:
        said = str(error)
    raise refused(path, [f"line {number} is no line of a journal: {said}"])


def differences(ours: dict, theirs: dict) -> Iterator[str]:
    """What the rows of a journal are of that is not what is to be run."""
    if theirs.get("format") != ours["format"]:
        yield f"its format is {theirs.get('format')!r}, expected {ours['format']!r}"
        return
    if json.dumps(theirs.get("knobs")) != json.dumps(ours["knobs"]):  # with their order
        yield f"it belongs to another grid: {theirs.get('knobs')}"
    for key in ours.keys() - {"format", "knobs"}:
        if theirs.get(key) != ours[key]:
            yield f"its rows were made by other {NAMES[key]}: {theirs.get(key)}, now {ours[key]}"


def grid(knobs: Mapping[str, list]) -> Iterator[dict]:
    """Every combination of the values, in order."""
    return (dict(zip(knobs, values)) for values in product(*knobs.values()))


def from_row(row: dict, knobs: Mapping[str, Any]) -> dict:
    """A row as it was before it was stored."""
    return {key: value if key in knobs else from_json(value) for key, value in row.items()}


def from_json(value: Any) -> Any:
    """A result as it was: null is NaN, and what stands for an infinity is one."""
    if isinstance(value, list):
        return [from_json(entry) for entry in value]
    if isinstance(value, dict):
        return {key: from_json(entry) for key, entry in value.items()}
    return math.nan if value is None else INFINITIES.get(value, value)


def to_json(row: Mapping[str, Any]) -> str:
    """A row as JSON by the standard, which has no NaN and no infinity."""
    return json.dumps(standard(row), separators=(",", ":"), allow_nan=False)


def standard(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: standard(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [standard(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def code_digest(function: Callable) -> str:
    """A name for the code of a function: its own instructions, and the file it stands in where that can be read.

    What it calls of other files is not in it; for the library there is `library_digest`.
    """
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    code = getattr(function, "__code__", None) or type(function).__call__.__code__
    made = hashlib.sha256(repr(instructions(code)).encode())
    source = Path(code.co_filename)
    if source.is_file():
        made.update(source.read_bytes().replace(b"\r\n", b"\n"))
    return made.hexdigest()[:16]


def instructions(code: CodeType) -> tuple:
    """What a function does, without where it stands."""
    constants = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            constants.append(instructions(constant))
        elif isinstance(constant, frozenset):  # which has another order in another process
            constants.append(sorted(map(repr, constant)))
        else:
            constants.append(repr(constant))
    return code.co_code, code.co_names, constants


def refused(path: Path, reasons: list[str]) -> SweepError:
    call = f"run_sweep({path.stem!r})"
    remedy = f"remove it to start anew (rm {str(path)!r}), or go on with the code it was begun with"
    return SweepError(refusal(call, f"{path} cannot be gone on from", reasons, remedy))
