"""What a chapter shows its reader: claims that are asserted where they are computed, and figures, some with sliders."""

from metarep_lib.show.claims import Claim, ClaimFailed, claim, record
from metarep_lib.show.environment import environment
from metarep_lib.show.explore import Exploration, Frame, explore
from metarep_lib.show.plotting import COLOURS, band, draw_wiring, use_style

__all__ = [
    "COLOURS",
    "Claim",
    "ClaimFailed",
    "Exploration",
    "Frame",
    "band",
    "claim",
    "draw_wiring",
    "environment",
    "explore",
    "record",
    "use_style",
]
