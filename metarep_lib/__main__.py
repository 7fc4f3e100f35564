"""`python -m metarep_lib data.csv --target y`: answers for your table, and what they are worth."""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from metarep_lib.command.csv_table import BadFile
from metarep_lib.command.options import Options

PROGRAM = "python -m metarep_lib"
REFUSED, STOPPED = 2, 130
"""Exit statuses: what was asked cannot be answered; somebody pressed Ctrl-C."""

DESCRIPTION = """Kernel ridge regression of a table by a transformer whose weights run conjugate gradient. Rows without a
target are answered from the others; where every row has one, a fifth is held out and the report says how far off the answers are.
Columns of words become columns of 0 and 1, and everything is standardised."""


class Parser(argparse.ArgumentParser):
    """A parser that refuses in one line."""

    def error(self, message: str) -> NoReturn:
        refuse(f"{message}; {PROGRAM} --help lists the options")
        sys.exit(REFUSED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status.

    Args:
        arguments: those of the command line; None: of this process.
    """
    options = Options(**vars(parser().parse_args(arguments)))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a column's name in letters the terminal lacks
    try:
        from metarep_lib.command.run import run  # seconds, which --help need not wait for

        print(run(options, progress))
    except (BadFile, OSError) as error:
        refuse(str(error))
        return REFUSED
    except KeyboardInterrupt:
        refuse("stopped")
        return STOPPED
    return 0


def refuse(message: str) -> None:
    print(f"{PROGRAM}: {message}", file=sys.stderr)


def parser() -> Parser:
    made = Parser(prog=PROGRAM, description=DESCRIPTION, allow_abbrev=False)
    add = made.add_argument
    add("data", type=Path, help="a CSV file with a line of names above")
    add("--target", required=True, metavar="NAME", help="the column to answer")
    add("--query", type=Path, metavar="FILE", help="rows to answer, with the same columns")
    add(
        "--ridge",
        type=ridge,
        default="loo",
        metavar="NUMBER|loo",
        help="lambda > 0; loo (default): what answers every row best from the others",
    )
    add("--kernel", choices=("linear", "exponential"), default="linear", help="default: linear")
    add("--classes", action="store_true", help="the numbers in the target are labels")
    add("--seed", type=seed, default=0, metavar="NUMBER", help="of the rows that are drawn (0)")
    add("--out", type=Path, metavar="FILE", help="answers (default: DATA.answers.csv here)")
    add("--figure", type=Path, metavar="FILE", help="PNG (default: DATA.answers.png here)")
    add("--force", action="store_true", help="overwrite files that this command has not made")
    return made


def ridge(text: str) -> float | str:
    """
    >>> ridge("loo"), ridge("0.5")
    ('loo', 0.5)
    """
    if text == "loo":
        return text
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 1e-150 < number < 1e150:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number > 0 or loo")
    return number


def seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number >= 0")
    return int(text)


def progress(n_blocks: int) -> Callable[[], object]:
    """A bar over the blocks of a network, where somebody sits at a terminal."""
    bar = tqdm(total=n_blocks, desc="blocks", unit="block", leave=False, disable=None)

    def step() -> None:
        bar.update()
        if bar.n >= n_blocks:
            bar.close()

    return step


if __name__ == "__main__":
    sys.exit(main())
