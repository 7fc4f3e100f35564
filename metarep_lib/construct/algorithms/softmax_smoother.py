"""What softmax heads predict without iterating: the smoother, and the same head un-normalised."""

from torch import Tensor

from metarep_lib.asked import asked, at_least, floats, temperature
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import times, update
from metarep_lib.construct.circuits.softmax import (
    SOFTMAX_FLAGS,
    invert_mass,
    kernel_average,
    kernel_score,
    sink_mass,
)
from metarep_lib.construct.program import Form, Head, Layer, Program, Write
from metarep_lib.network.tokens import AGGREGATOR, SINK


@algorithm
@asked(n_features=at_least(1), tau=temperature, U=floats("r p"), n_outputs=at_least(1))
def softmax_smoother(
    n_features: int, tau: float, U: Tensor | None = None, n_outputs: int = 1
) -> Program:
    """One softmax head and nothing else: the smoother of Nadaraya (1964) and Watson (1964), k(x)^T y / sum_j k_j(x).

    Args:
        n_features: p, the width of phi.
        tau: the temperature of the kernel exp(<U phi_i, U phi_j> / tau).
        U: [p', p] in front of the features; the identity when None.
        n_outputs: targets per support.

    Returns:
        A program of width p + 2 + 2 n_outputs with one block and no MLP. Both registers are hidden from its head: no ridge.

    Raises:
        ValueError: n_features below one, a temperature that is not positive, or U that does not fit.

    >>> program = softmax_smoother(n_features=3, tau=1.0)
    >>> program.n_blocks, program.width
    (1, 7)
    """
    head = Head("softmax", kernel_score(n_features, tau, U), Form("y"), hides=(AGGREGATOR, SINK))
    layers = [Layer(step=1, phase="average", attention=(Write("f", (head,)),))]
    registers = dict.fromkeys(["y", "f"], n_outputs)
    return krr_program(
        "softmax_smoother",
        n_features,
        [],
        registers,
        {"y": TARGET},
        layers,
        n_outputs=n_outputs,
        readout=Form("f"),
    )


@algorithm
@asked(n_features=at_least(1), tau=temperature, U=floats("r p"), n_outputs=at_least(1))
def kernel_product(
    n_features: int, tau: float, U: Tensor | None = None, n_outputs: int = 1
) -> Program:
    """k(x)^T y / lambda at every query: a softmax head un-normalised by its sink, whose logit is 0 when lambda = 1.

    Arguments as for `softmax_smoother`; every output is multiplied by the same kernel.

    Returns:
        A program of width p + 7 + 3 n_outputs with two blocks.

    Raises:
        ValueError: as for `softmax_smoother`.

    >>> program = kernel_product(n_features=3, tau=1.0)
    >>> program.n_blocks, program.width
    (2, 13)
    """
    score = kernel_score(n_features, tau, U)
    layers = [
        Layer(
            step=1,
            phase="average",
            attention=(sink_mass("mass", score), kernel_average("y", into="average", score=score)),
        ),
        Layer(
            step=1,
            phase="divide",
            attention=(invert_mass("mass", into="inverse_mass"),),
            mlp=(update("f", times("inverse_mass", "average")),),
        ),
    ]
    registers = {"y": n_outputs, "mass": 1, "inverse_mass": 1, "average": n_outputs, "f": n_outputs}
    return krr_program(
        "kernel_product",
        n_features,
        SOFTMAX_FLAGS,
        registers,
        {"y": TARGET},
        layers,
        n_outputs=n_outputs,
        readout=Form("f"),
        ridge="log_ridge",
    )
