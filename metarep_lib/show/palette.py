"""Colours by meaning: one colour for one thing on every page, told apart by colour-blind readers (Okabe and Ito).

A chart never takes a hex code. What has a name in the book has its colour in `COLOURS`; the values
of a knob, which have an order and no name, take theirs from `ramp`.
"""

from collections.abc import Hashable, Iterable

from metarep_lib.asked import asked

OKABE_ITO = {
    "black": "#000000",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "orange": "#E69F00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "grey": "#7F7F7F",
}
COLOURS = {
    "conjugate gradient": OKABE_ITO["blue"],
    "gradient descent": OKABE_ITO["vermilion"],
    "oracle": OKABE_ITO["black"],
    "bound": OKABE_ITO["grey"],
    "control": OKABE_ITO["purple"],
    "trained": OKABE_ITO["purple"],
    "GD++": OKABE_ITO["green"],
    "preconditioned": OKABE_ITO["purple"],
    "primal": OKABE_ITO["green"],
    "landmarks": OKABE_ITO["orange"],
    "blocks": OKABE_ITO["sky"],
    "smoother": OKABE_ITO["orange"],
    "richardson": OKABE_ITO["green"],
    "data": OKABE_ITO["grey"],
}
RAMP = [OKABE_ITO[name] for name in ("blue", "green", "orange", "purple")]


@asked()
def ramp(values: Iterable[Hashable]) -> dict[Hashable, str]:
    """A colour for each value of a knob, at most four.

    Raises:
        ValueError: more values than can be told apart.

    >>> ramp([1e2, 1e4])
    {100.0: '#0072B2', 10000.0: '#009E73'}
    """
    values = list(values)
    if len(values) > len(RAMP):
        raise ValueError(
            f"ramp({values}): more than the {len(RAMP)} that can be told apart; draw fewer, e.g. ramp(values[::2])"
        )
    return dict(zip(values, RAMP))
