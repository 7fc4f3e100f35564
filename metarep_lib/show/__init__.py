"""What a chapter shows its reader: claims that are asserted where they are computed, and figures, some with sliders."""

from metarep_lib.show import charts
from metarep_lib.show.claims import Claim, ClaimFailed, claim, record
from metarep_lib.show.environment import environment
from metarep_lib.show.explore import Exploration, Frame, explore
from metarep_lib.show.listing import listing
from metarep_lib.show.palette import COLOURS, ramp
from metarep_lib.show.plotting import draw_wiring, use_style
from metarep_lib.show.table import table

__all__ = [
    "COLOURS",
    "Claim",
    "ClaimFailed",
    "Exploration",
    "Frame",
    "charts",
    "claim",
    "draw_wiring",
    "environment",
    "explore",
    "listing",
    "ramp",
    "record",
    "table",
    "use_style",
]
