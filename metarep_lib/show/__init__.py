"""What a chapter shows its reader: claims that are asserted where they are computed, and figures."""

from metarep_lib.show.claims import Claim, ClaimFailed, claim, record

__all__ = ["Claim", "ClaimFailed", "claim", "record"]
