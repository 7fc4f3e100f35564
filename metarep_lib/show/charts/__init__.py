"""The book's kinds of chart. Each takes plain arrays and meanings, no hex codes.

A chart is a function taught once: what is drawn is decided by the arguments a page shows, how it is
drawn is decided here. Every function shows its figure and gives nothing back for a cell to echo.

lines      curves with bands over a common axis; errors: against steps, logarithmic; swept: read off a sweep
diagonal   before against after
maps       a quantity over a grid, with contours and curves; matrices: of pairs of names
shares     parts of wholes, stacked
marks      a number for every place and kind; dots: every draw of it, in several panels
kinds      every draw of several kinds, by place
"""

from metarep_lib.show.charts.curves import Curve, bound, each, level, shades
from metarep_lib.show.charts.diagonal import diagonal
from metarep_lib.show.charts.kinds import kinds
from metarep_lib.show.charts.lines import errors, lines
from metarep_lib.show.charts.maps import maps, matrices
from metarep_lib.show.charts.shares import dots, marks, shares
from metarep_lib.show.charts.swept import swept

__all__ = [
    "Curve",
    "bound",
    "diagonal",
    "dots",
    "each",
    "errors",
    "kinds",
    "level",
    "lines",
    "maps",
    "marks",
    "matrices",
    "shades",
    "shares",
    "swept",
]
