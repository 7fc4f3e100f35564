"""Newton's iteration for the inverse (Schulz 1933): one block per step, error squared in every step.

    X <- 2 X - X S X,   S = Phi^T Phi,   X_0 = c I with c < 2 / lambda_max(S)

No token can hold the p x p matrix X, but each can hold u_j = X phi_j: then
(2 X - X S X) phi_j = 2 u_j - sum_i (phi_i . u_j) u_i is one linear head. In the end
f(x) = sum_i (u_x . phi_i) y_i = phi(x)^T X Phi^T y is another.

The primitives have no place for lambda X u_j, which would need X^2 phi_j. So the ridge comes as
p extra supports sqrt(lambda) e_a with target 0 (`Prompt.with_ridge_as_supports`), which add lambda I to S.
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.krr_program import krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import copy, update
from metarep_lib.construct.program import Form, Head, Layer, Program, Write, every_step


@algorithm
@asked(n_features=at_least(1), steps=at_least(0), n_outputs=at_least(1))
def newton_schulz(n_features: int, steps: int, scale: float, n_outputs: int = 1) -> Program:
    """`steps` Newton steps for (Phi^T Phi)^-1, then one block that predicts.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, one block each, all the same tensors.
        scale: c of X_0 = c I; converges for 0 < c < 2 / lambda_max(Phi^T Phi).
        n_outputs: targets per support; X is the same for all, only the last block reads them.

    Returns:
        A program of width 2 p + 2 + 2 n_outputs with t + 1 blocks. Its prompt brings the ridge as supports.

    Raises:
        ValueError: n_features, steps or n_outputs below one.

    >>> program = newton_schulz(n_features=3, steps=4, scale=0.5)
    >>> program.n_blocks, program.width
    (5, 10)
    """
    square = Write("u", (Head("linear", ((Form("u"), Form("phi")),), Form("u"), gain=-0.5),))
    # u <- 2 (u - 1/2 sum): the MLP reads what attention has written
    double = update("u", copy("u"))
    newton = Layer(step=1, phase="newton", attention=(square,), mlp=(double,))
    predict = Layer(
        step=steps,
        phase="predict",
        attention=(Write("f", (Head("linear", ((Form("u"), Form("phi")),), Form("y")),)),),
    )
    registers = {"u": n_features, "y": n_outputs, "f": n_outputs}
    layers = [*every_step([newton], steps), predict] if steps > 0 else []
    starts = {"u": Form({"phi": scale}), "y": Form("y")}
    return krr_program(
        "newton_schulz",
        n_features,
        [],
        registers,
        starts,
        layers,
        n_outputs=n_outputs,
        readout=Form("f"),
    )
