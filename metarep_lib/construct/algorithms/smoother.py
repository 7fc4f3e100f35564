"""One softmax head: the kernel smoother of Nadaraya and Watson, in one block.

    f(x) = sum_i s_i(x) y_i,     s(x) = softmax_i(<phi(x), phi_i> / tau)

Nothing is solved and nothing iterates: the target goes straight into the answer.
"""

from metarep_lib.construct.algorithms.frame import TARGET, krr_program
from metarep_lib.construct.program import Form, Head, Layer, Program, Write
from metarep_lib.construct.tokens import AGGREGATOR, SINK


def softmax_smoother(n_features: int, tau: float, n_outputs: int = 1) -> Program:
    """The program whose answer at every query is `numerics.nadaraya_watson` with the kernel exp(<phi, phi'> / tau).

    The registers are hidden from the head: a register has logit 0, so a head that saw it would mix in
    two more targets, both zero.

    Args:
        n_features: p, the width of phi.
        tau: the temperature, positive; 1 / tau is a weight.
        n_outputs: targets per support.

    Returns:
        A program of one block and width p + 2 + 2 n_outputs.

    Raises:
        ValueError: a temperature that is not positive, or n_features or n_outputs below one.

    >>> program = softmax_smoother(n_features=3, tau=0.5)
    >>> program.n_blocks, program.width
    (1, 7)
    """
    if not tau > 0:
        raise ValueError(f"softmax_smoother(tau={tau}): expected a positive temperature; this would work: softmax_smoother(n_features=8, tau=1.0)")
    head = Head("softmax", ((Form({"phi": 1 / tau}), Form("phi")),), Form("y"), hides=(AGGREGATOR, SINK))
    layer = Layer(step=1, phase="smooth", attention=(Write("f", (head,)),))
    registers = dict.fromkeys(["y", "f"], n_outputs)
    return krr_program("softmax_smoother", n_features, [], registers, {"y": TARGET}, [layer], n_outputs=n_outputs, readout=Form("f"))
