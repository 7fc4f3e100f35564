"""What a call asks of a system, as a rule of `metarep_lib.asked`."""

from torch import Tensor

from metarep_lib.asked import WIDE, Rule, is_definite, looks, unreadable
from metarep_lib.contents import describe, shown


def a_system(
    *, axes: str = "*B", single: bool = True, half: bool = False, definite: bool = False
) -> Rule:
    """A system on which a call can work.

    Args:
        axes: leading axes: "" is one system, "*B" one or a batch.
        single: one right-hand side for each system.
        half: half precision will do, too; factorisations are not made for it.
        definite: its matrix is positive definite, up to rounding.
    """
    parts = ["one system without a batch axis" if axes == "" else "a RidgeSystem"]
    parts += ["with one right-hand side"] * single
    parts += ["of float64 or float32"] * (not half)
    parts += ["with a positive definite matrix"] * definite

    def reason(system: object, sizes: dict) -> str:
        *_, rows, k = (0, 0, *system.A.shape)
        columns = system.y.ndim == system.A.ndim
        wrong = (
            rows != k
            or k == 0
            or system.y.shape[-2 if columns else -1 :][:1] != (k,)
            or system.K_query.shape[-1:] != (k,)
            or (axes == "" and system.A.ndim > 2)
            or (single and system.y.ndim >= system.A.ndim)
            or (not half and system.A.dtype not in WIDE)
            or (definite and not looks(lambda: is_definite(system.A)))
        )
        sizes["k"], sizes["*A"] = system.A.shape[-1], tuple(system.A.shape[:-2])
        return f"is {system}" if wrong else ""

    return Rule(", ".join(parts), reason)


def unknowns() -> Rule:
    """A vector of unknowns of the system whose method is called, or several as columns; leading axes are free."""

    def reason(alpha: object, sizes: dict) -> str:
        A = sizes["=self"].A
        if not isinstance(alpha, Tensor):
            return f"is {shown(alpha)}"
        fits = A.shape[-1] in alpha.shape[-2:] and alpha.dtype == A.dtype
        return unreadable(alpha) or ("" if fits else f"is {describe(alpha)} for A {describe(A)}")

    return Rule("a tensor [..., k] of the dtype of A, k its number of unknowns", reason)
