r"""A temperature for the exponential kernel, from the lengths of the supports.

K(x, x') = e^(<phi, phi'> / tau) grows with the length of both, so a query that is longer than the supports, along one of them, is
answered by an exponential of what they taught. At tau = max_i |phi_i|^2 no entry of K between supports is larger than e, none smaller
than 1 / e. Held-out errors of real tables fall apart where the largest exponent at a query exceeds about four (the page "Run it on
your data" has the figure), and with all exponents near zero K is a constant and a line whose difference costs digits.
"""

from torch import Tensor

from metarep_lib.asked import asked, floats
from metarep_lib.prompt import Prompt
from metarep_lib.warned import TemperatureOutOfRange

__all__ = ["LARGEST", "SMALLEST", "temperature_of", "temperature_trouble"]

LARGEST = 4.0
"""The largest exponent <phi, phi_i> / tau, of a query and of a support, that a temperature in range has."""

SMALLEST = 1e-3
"""Of the exponents |phi_i|^2 / tau the largest is at least this in range: below, supports differ in the fourth digit of K."""


@asked(phi=floats("k p"))
def temperature_of(phi: Tensor) -> float:
    """The squared length of the longest support: no entry of the kernel matrix is larger than e, none smaller than 1 / e.

    Args:
        phi: [k, p]; where all are zero any temperature is as good, and it is 1.

    >>> import torch
    >>> temperature_of(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
    5.0
    """
    return float(phi.double().square().sum(-1).max()) or 1.0


def temperature_trouble(prompt: Prompt, tau: float) -> TemperatureOutOfRange | None:
    """What is wrong with a temperature on a prompt; None where it is in range.

    Args:
        prompt: one prompt.
        tau: the temperature.
    """
    phi, phi_query = prompt.phi.double(), prompt.phi_query.double()
    longest = temperature_of(prompt.phi)
    at_queries = (phi_query @ phi.mT).amax(-1) / tau
    largest = max(longest / tau, float(at_queries.max()) if len(at_queries) else 0.0)
    if largest > LARGEST:
        n_out = int((at_queries > LARGEST).sum())
        beyond = f", at {n_out} of {len(at_queries)} queries" if n_out else ", between supports"
        better = max(longest, tau * largest / LARGEST)
        return TemperatureOutOfRange(
            f"tau={tau:.3g} is too low: <phi, phi_i> / tau is as large as {largest:.3g}{beyond}, and the exponential kernel answers there by"
            f" e to that power; this would work: tau={better:.3g}, or features without outliers (ranks, logarithms)"
        )
    if longest / tau < SMALLEST:
        return TemperatureOutOfRange(
            f"tau={tau:.3g} is too high: no |phi_i|^2 / tau is larger than {longest / tau:.1g}, so the entries of the kernel matrix are nearly equal"
            f" and digits are lost; this would work: tau={longest:.3g}, the squared length of the longest support"
        )
    return None
