"""What the command line says, and where the answers go. It imports nothing, so that `--help` is there at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Written:
    """Where things stand.

    Args:
        answers: the file of answers.
        figure: the picture.
    """

    answers: Path
    figure: Path


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Args:
        data: the file with targets.
        target: the column to answer.
        query: a file of rows to answer; None: of the data itself.
        ridge: a number, or "loo".
        kernel: of the regression.
        classes: whether a target of numbers is of labels.
        seed: of the draws.
        out, figure: what is written; None: data.answers.csv and data.answers.png in the current folder.
        force: whether whatever stands there is overwritten.
    """

    data: Path
    target: str
    query: Path | None = None
    ridge: float | Literal["loo"] = "loo"
    kernel: Literal["linear", "exponential"] = "linear"
    classes: bool = False
    seed: int = 0
    out: Path | None = None
    figure: Path | None = None
    force: bool = False

    @property
    def written(self) -> Written:
        stem = self.data.stem
        return Written(
            self.out or Path(f"{stem}.answers.csv"), self.figure or Path(f"{stem}.answers.png")
        )
