"""What the library warns of: numbers that are no longer what they stand for. One vocabulary, for networks and whatever else computes.

    NumericalWarning
        DigitsLost       an answer with fewer digits than its dtype holds
        SinkUnderflow    of a softmax head: the sink's weight, and with it the row's scale
        WeightsFlushed   weights that a cast turned into zero or infinity
        NotConverged     an answer that is still on its way
        TemperatureOutOfRange   an exponential kernel whose exponents are too large or too small

A message names the call, what came and what to do. To stop at the first of them:
`warnings.simplefilter("error", NumericalWarning)`.
"""

__all__ = [
    "DigitsLost",
    "NotConverged",
    "NumericalWarning",
    "SinkUnderflow",
    "TemperatureOutOfRange",
    "WeightsFlushed",
]


class NumericalWarning(RuntimeWarning):
    """Numbers that left the range in which they keep their digits."""


class DigitsLost(NumericalWarning):
    """The prompt lies outside the range in which the network keeps at least half of its dtype's digits."""


class SinkUnderflow(NumericalWarning):
    """The weight of the sink in a softmax head fell below the smallest normal number of the dtype: what it carried is lost."""


class WeightsFlushed(NumericalWarning):
    """A cast made zero or infinity of weights that were neither: guards, and what divides by them."""


class NotConverged(NumericalWarning):
    """The residual of an answer is above what was asked for; the message says how many steps would do."""


class TemperatureOutOfRange(NumericalWarning):
    """A temperature at which the exponents of the exponential kernel are too large to extrapolate with, or too small to keep digits."""
