"""Exercises of the chapter "Depth is synchronisation"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.exercises.one_decoder import run
from metarep_lib.numerics.solvers import conjugate_gradient
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt


def check_sigma(sigma_of) -> None:
    system = ridge_system(
        Prompt(normal(8, 5, seed=0), normal(8, seed=1), normal(1, 5, seed=2), ridge=0.3)
    )
    history = conjugate_gradient(system, steps=4).history
    for t in range(1, 4):
        r, rho = history["r"], history["rho"]
        delta = (r[t] * system.matvec(r[t])).sum()
        hint = "this is not p . A p; put p = r + beta p_old into it, and use that r . A p_old = - rho / gamma_old"
        same(
            sigma_of(rho[t], delta, rho[t - 1], history["sigma"][t - 1]), history["sigma"][t], hint
        )


def check_crossing(kappa) -> None:
    found = float(numbers(kappa, ()))
    need(found == int(found) and found >= 1, "expected a whole number of at least one")
    network = lambda kappa: 2 * depth.krylov_steps(kappa, 1e-6)  # noqa: E731
    descent = lambda kappa: depth.gradient_descent_steps(kappa, 1e-6)  # noqa: E731
    need(
        descent(found) > network(found),
        f"at kappa = {int(found)} gradient descent needs {descent(found)} blocks and conjugate gradient {network(found)}: not yet more",
    )
    need(
        descent(found - 1) <= network(found - 1),
        f"gradient descent loses earlier: at kappa = {int(found) - 1} already",
    )


def check_momentum(momentum) -> None:
    for p, steps, eta, beta in ((3, 1, 0.1, 0.5), (2, 3, 0.05, 0.25), (4, 5, 0.1, 0.75)):
        prompt = Prompt(
            normal(6, p, seed=p), normal(6, seed=steps), normal(3, p, seed=9), ridge=0.5
        )
        system = ridge_system(prompt)
        alpha, v = torch.zeros(6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
        for _ in range(steps):
            v = beta * v + eta * (system.y - system.matvec(alpha))
            alpha = alpha + v
        program = momentum(p, steps, eta, beta)
        said = run(program, prompt)
        need(
            program.n_blocks <= steps,
            f"{program.n_blocks} blocks for {steps} steps; one for each is enough",
        )
        same(
            said,
            system.predict(alpha),
            f"after {steps} steps the network says something else; carry s = (K + lambda I) v along, as the mat-vec gives (K + lambda I) r alone",
        )


MOMENTUM = """
from metarep_lib.construct import Form, Head, Layer, Product, Program, Write
from metarep_lib.network import Basis
from metarep_lib.network.tokens import input_basis

ONE = Form("one")


def momentum(n_features, steps, eta, beta):
    mat_vec = Head("linear", ((Form("phi"), Form("phi")),), Form("r"))
    new_s = Product(ONE, Form({"w": eta, "s": beta})), Product(Form("ridge"), Form("r"), eta)
    minus_new_s = Product(ONE, Form({"w": -eta, "s": -beta})), Product(Form("ridge"), Form("r"), -eta)
    layers = [
        Layer(
            step=t,
            phase="push",
            attention=(Write("w", (mat_vec,)),),
            mlp=(
                Write("s", (*new_s, Product(ONE, Form({"s": -1})))),  # the old s goes
                Write("r", minus_new_s),
                Write("w", (Product(ONE, Form({"w": -1})),)),
            ),
        )
        for t in range(1, steps + 1)
    ]
    any_token = Form({"is_aggregator": 1, "is_sink": 1, "is_support": 1, "is_query": 1})
    return Program(
        name="momentum",
        inputs=input_basis(n_features),
        stream=Basis.of(phi=n_features, ridge=1, one=1, r=1, s=1, w=1),
        embedding=(("phi", Form("phi")), ("ridge", Form("ridge")), ("one", any_token), ("r", Form("y"))),
        layers=tuple(layers),
        readout=Form({"r": -1}),
    )
"""
SIGMA = """
def sigma_of(rho, delta, rho_old, sigma_old):
    beta = rho / rho_old
    return delta - beta**2 * sigma_old
"""

EXERCISES = (
    Exercise(
        difficulty=2,
        minutes=20,
        check=check_sigma,
        solution=SIGMA,
        wrong={
            "the first term alone": SIGMA.replace(" - beta**2 * sigma_old", ""),
            "the wrong sign": SIGMA.replace("delta - ", "delta + "),
            "beta not squared": SIGMA.replace("beta**2", "beta"),
        },
    ),
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_crossing,
        solution="""
from metarep_lib.numerics.spectrum import depth_laws as depth

kappa = 2
while depth.gradient_descent_steps(kappa, 1e-6) <= 2 * depth.krylov_steps(kappa, 1e-6):
    kappa += 1
""",
        wrong={"far too late": "kappa = 100", "one more": "kappa = 8", "at once": "kappa = 2"},
    ),
    Exercise(
        difficulty=3,
        minutes=30,
        check=check_momentum,
        solution=MOMENTUM,
        wrong={
            "gradient descent": "from metarep_lib import gradient_descent\n\n\ndef momentum(n_features, steps, eta, beta):\n    return gradient_descent(n_features, steps, eta)",
            "the ridge forgotten": MOMENTUM.replace(
                ', Product(Form("ridge"), Form("r"), -eta)', ","
            ).replace(', Product(Form("ridge"), Form("r"), eta)', ","),
            "the old s stays": MOMENTUM.replace('(*new_s, Product(ONE, Form({"s": -1})))', "new_s"),
            "w is never cleared": MOMENTUM.replace(
                '                Write("w", (Product(ONE, Form({"w": -1})),)),\n', ""
            ),
        },
    ),
)
