"""Errors against steps, read off a sweep."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from metarep_lib.show.charts.curves import Array, Curve, bound
from metarep_lib.show.charts.lines import errors
from metarep_lib.show.palette import ramp

Values = Callable[..., np.ndarray]
Style = Sequence[str]  # (label, style) where a knob has the colours, else (label, style, colour)


def swept(
    values: Values,
    steps: Array,
    *,
    measures: Mapping[str, str],
    panels: Mapping[str, Mapping[str, Any]],
    methods: Mapping[str, Style],
    ramped: tuple[str, Sequence[float], str] | None = None,
    bounded: tuple[Callable, str] | None = None,
    bands: Sequence[str] | None = None,
    wrap: int | None = None,
    low: float = 1e-16,
    high: float = 4.0,
    **fixed: Any,
) -> None:
    """The errors of some methods at some points of a sweep: ``METHOD_MEASURE`` for each.

    Args:
        values: `Swept.values`, or another function of a result's name and the knobs, [seeds, n].
        steps: [n] at which errors are stored.
        measures: Label of the vertical axis -> name of the measure, a row of panels for each.
        panels: Title -> knobs.
        methods: Name -> (label, style, colour), the colour only where no knob is ramped.
        ramped: A knob, the values that colours tell apart, and its symbol.
        bounded: A bound ``f(kappa, t)`` of the first measure, and the result that holds kappa.
        bands: Methods whose range is drawn; None for all.
        wrap: With one measure alone, the number of panels side by side.
        low: Lower end of the vertical axis.
        high: Its upper end.
        fixed: The other knobs.

    >>> import matplotlib.pyplot as plt
    >>> found = lambda name, **at: np.full((5, 3), at["ridge"])
    >>> swept(
    ...     found, [0, 1, 2], measures={"error": "error"}, panels={"all": {}},
    ...     methods={"cg": ("conjugate gradient", "-")}, ramped=("ridge", [0.1, 0.01], "$\\\\lambda$"),
    ... )
    >>> [round(line.get_ydata()[0], 3).item() for line in plt.gcf().axes[0].lines]
    [0.1, 0.01]
    >>> plt.close()
    """
    knob, colours, symbol = (ramped[0], ramp(ramped[1]), ramped[2]) if ramped else ("", {}, "")

    def curves(measure: str, at: Mapping[str, Any]) -> list[Curve]:
        drawn = []
        for value, colour in colours.items() or [(None, "")]:
            point = {**fixed, **at, **({knob: value} if knob else {})}
            for name, (_, style, *own) in methods.items():
                held = values(f"{name}_{measure}", **point)
                band = bands is None or name in bands
                drawn.append(Curve(held, colour or own[0], style, band=band))
            if bounded and measure == next(iter(measures.values())):
                rate, kappa = bounded
                middle = torch.tensor(np.median(values(kappa, **point)))
                drawn.append(bound(rate(middle, torch.tensor(steps)), colour or "grey"))
        return drawn

    legend = {f"{symbol} = {value:.0e}": (colour, "-") for value, colour in colours.items()}
    legend |= {label: ((own or ["grey"])[0], style) for label, style, *own in methods.values()}
    rows = {
        label: {title: curves(measure, at) for title, at in panels.items()}
        for label, measure in measures.items()
    }
    errors(rows, steps, low=low, high=high, wrap=wrap, legend=legend)
