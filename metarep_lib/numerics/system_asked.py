"""What a call asks of a system, as a rule of `metarep_lib.asked`.

A system whose parts do not belong together cannot be made. What is asked of its dtype and its outputs the call says
itself: `RidgeSystem.check_factored`, `RidgeSystem.check_one_output`.
"""

from torch import Tensor

from metarep_lib.asked.rules import Rule
from metarep_lib.asked.shapes import broadcasts
from metarep_lib.asked.values import is_definite, looks, unreadable
from metarep_lib.contents import describe, shown


def a_system(*, definite: bool = False) -> Rule:
    """A system on which a call can work; its sizes are k, *A and *y.

    Args:
        definite: its matrix is positive definite, up to rounding.
    """

    def reason(system: object, sizes: dict) -> str:
        *batch, k, _ = system.A.shape
        sizes.update({"k": k, "*A": tuple(batch), "*y": tuple(system.y.shape)})
        wrong = definite and not looks(lambda: is_definite(system.A))
        return f"is {system}" if wrong else ""

    matrix = " with a positive definite matrix, as one of a larger ridge has" if definite else ""
    return Rule(f"a RidgeSystem{matrix}", reason)


def unknowns() -> Rule:
    """The unknowns of the system whose method is called: [..., *batch, k], or [..., *batch, k, m] where there are outputs."""

    def reason(alpha: object, sizes: dict) -> str:
        system = sizes["=self"]
        A, along = system.A, -2 if system.has_outputs else -1
        if not isinstance(alpha, Tensor):
            return f"is {shown(alpha)}"
        if why := unreadable(alpha):
            return why
        fits = (
            alpha.dtype == A.dtype
            and alpha.ndim >= -along
            and alpha.shape[along] == A.shape[-1]
            and broadcasts(alpha.shape[:along], A.shape[:-2])
        )
        return "" if fits else f"is {describe(alpha)} for {system}"

    return Rule(
        "a tensor of the dtype and shape of y, with any axes before it, as system.y is", reason
    )
