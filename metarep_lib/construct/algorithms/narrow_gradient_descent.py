r"""Gradient descent in the narrowest stream there is: p + 1 channels, one head a block, no MLP.

    r <- r - eta K r                      on every token, by one head that writes where it reads

The stream holds phi and r and nothing else. There is no room for alpha, which nobody needs: the query's r
has minus the prediction. There is no room for the ridge either: it comes as p extra supports
(`Prompt.with_ridge_as_supports`), or, one channel wider, as a channel of its own.
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import times, update
from metarep_lib.construct.program import Form, Head, Layer, Program, Write, every_step
from metarep_lib.network.basis import Basis
from metarep_lib.network.tokens import input_basis


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def narrow_gradient_descent(n_features: int, steps: int, step_size: float) -> Program:
    """`steps` steps of gradient descent on a prompt that brings its ridge as supports; f_t(x) at every query after each.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, one block each; all blocks share one head.
        step_size: eta; converges for 0 < eta < 2 / lambda_max(K + lambda I).

    Returns:
        A program of width p + 1, the least a stream can have for this task.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = narrow_gradient_descent(n_features=3, steps=5, step_size=0.25)
    >>> program.n_blocks, program.width, program.n_parameters
    (5, 4, 72)
    """
    layers = every_step([Layer(step=1, phase="descend", attention=(descend(step_size),))], steps)
    return narrow_program("narrow_gradient_descent", n_features, layers)


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def narrow_ridge_gradient_descent(n_features: int, steps: int, step_size: float) -> Program:
    r"""The same with the ridge as a channel: a step on K, then every support shrinks, r <- (1 - eta lambda) r.

    The predictions converge to ridge regression with the ridge lambda / (1 - eta lambda), not lambda: a half-block
    can subtract eta lambda r only after the head has written, and the two steps do not commute into one.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, one block each after one that shrinks alone.
        step_size: eta; converges for eta lambda < 1 and eta lambda_max(K) <= 2.

    Returns:
        A program of width p + 2 with t + 1 blocks.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = narrow_ridge_gradient_descent(n_features=3, steps=5, step_size=0.25)
    >>> program.n_blocks, program.width
    (6, 5)
    """
    shrink = update("r", times("ridge", "r", -step_size))
    one_step = Layer(step=1, phase="descend", attention=(descend(step_size),), mlp=(shrink,))
    return narrow_program(
        "narrow_ridge_gradient_descent",
        n_features,
        [Layer(step=0, phase="shrink", mlp=(shrink,)), *every_step([one_step], steps)],
        ridge=1,
    )


def descend(step_size: float) -> Write:
    return Write("r", (Head("linear", ((Form("phi"), Form("phi")),), Form("r"), gain=-step_size),))


def narrow_program(name: str, n_features: int, layers: list[Layer], **more: int) -> Program:
    """phi and r, and channels that are read off the token under their own name; no constants, no flags."""
    if n_features < 1 or not layers or layers[-1].step < 1:
        raise ValueError(
            f"{name}: expected n_features and steps of at least 1, got n_features={n_features}, {layers[-1].step if layers else 0} steps;"
            f" this would work: {name}(n_features=8, steps=10, step_size=0.1)"
        )
    return Program(
        name=name,
        inputs=input_basis(n_features),
        stream=Basis.of(phi=n_features, **more, r=1),
        embedding=(
            ("phi", Form("phi")),
            *((channel, Form(channel)) for channel in more),
            ("r", Form("y")),
        ),
        layers=tuple(layers),
        readout=Form({"r": -1}),
    )
