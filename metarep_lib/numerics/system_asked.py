"""What a call asks of a system, as a rule of `metarep_lib.asked`."""

from metarep_lib.asked import WIDE, Rule


def a_system(*, axes: str = "*B", single: bool = True, half: bool = False) -> Rule:
    """A system on which a call can work.

    Args:
        axes: leading axes: "" is one system, "*B" one or a batch.
        single: one right-hand side for each system.
        half: half precision will do, too; factorisations are not made for it.
    """
    parts = ["one system without a batch axis" if axes == "" else "a RidgeSystem"]
    parts += ["with one right-hand side"] * single
    parts += ["of float64 or float32"] * (not half)

    def reason(system: object, sizes: dict) -> str:
        wrong = (
            (axes == "" and system.A.ndim > 2)
            or (single and system.y.ndim >= system.A.ndim)
            or (not half and system.A.dtype not in WIDE)
        )
        sizes["k"] = system.A.shape[-1]
        return f"is {system}" if wrong else ""

    return Rule(", ".join(parts), reason)
