"""What the environment asks of the library: the only place that reads its variables.

They are for whoever checks the book, never needed by who reads it.

* ``METAREP_ROUNDING``: an integer draws another rounding of every prompt that `tasks` makes (`tasks.rounding`).
* ``METAREP_CLAIMS``: with ``strict`` a measurement that does not hold stops the chapter, as a theorem always does (`show.claims`).
* ``METAREP_CLAIMS_LOG``: a file to which every claim appends itself as a line of JSON.
"""

import os
from pathlib import Path

ROUNDING, CLAIMS, CLAIMS_LOG = "METAREP_ROUNDING", "METAREP_CLAIMS", "METAREP_CLAIMS_LOG"


def rounding_draw() -> int | None:
    """Which other rounding is drawn; None, the usual, leaves every prompt as it is made.

    Raises:
        ValueError: the variable holds something other than an integer from 0 on.
    """
    asked = os.environ.get(ROUNDING, "")
    if asked and not asked.isdecimal():
        raise ValueError(
            f"{ROUNDING}={asked!r}: expected an integer from 0 on, e.g. {ROUNDING}=1, or nothing"
        )
    return int(asked) if asked else None


def claims_are_strict() -> bool:
    """Whether a measurement that does not hold stops the chapter.

    Raises:
        ValueError: the variable holds something other than `strict`.
    """
    asked = os.environ.get(CLAIMS, "")
    if asked not in ("", "strict"):
        raise ValueError(f"{CLAIMS}={asked!r}: expected 'strict' or nothing")
    return asked == "strict"


def claims_log() -> Path | None:
    """The file that collects claims, if there is one."""
    asked = os.environ.get(CLAIMS_LOG, "")
    return Path(asked) if asked else None
