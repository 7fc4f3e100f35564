"""Where an iteration stands: its predictions beside the right ones, and its error on the way."""

import matplotlib.pyplot as plt

from metarep_lib.show.charts.curves import Array
from metarep_lib.show.palette import COLOURS

__all__ = ["draw_arrival"]


def draw_arrival(
    oracle: Array,
    said: Array,
    error: Array,
    bound: Array,
    step: int,
    *,
    ends: tuple[float, float],
    norm: str,
) -> None:
    """What is said against what the oracle says, and the error at every step beside its bound, a dot at the one that is read.

    Args:
        oracle: [n].
        said: [n] after `step` steps.
        error: [steps + 1].
        bound: [steps + 1].
        step: Where the dot stands.
        ends: Of both axes of the predictions.
        norm: In which the error is.

    >>> draw_arrival([1.0], [0.5], [1.0, 0.1], [2.0, 0.4], 1, ends=(-4, 4), norm="norm of A")
    >>> [line.get_xydata().tolist() for line in plt.gcf().axes[1].lines[2:]]
    [[[1.0, 0.1]]]
    >>> plt.close()
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
    left.plot(ends, ends, color=COLOURS["oracle"], linewidth=1)
    left.plot(oracle, said, "o", color=COLOURS["conjugate gradient"])
    left.set(xlim=ends, ylim=ends, xlabel="oracle", ylabel="network")
    right.semilogy(bound, "--", color=COLOURS["bound"], label="bound")
    right.semilogy(error, color=COLOURS["conjugate gradient"], label="network")
    right.plot(step, error[step], "o", color=COLOURS["gradient descent"])
    right.set(ylim=(1e-16, 4), xlabel="steps", ylabel=f"relative error, {norm}")
    right.legend(loc="lower left")
    plt.show()
