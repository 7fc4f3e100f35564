"""Exercises of the chapter "Conditioning: what a preconditioner buys"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.numerics.solvers import cholesky
from metarep_lib.numerics.solvers.preconditioning import jacobi, row_normalised, scaled
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt


def check_no_help(phi) -> None:
    phi = numbers(phi)
    need(
        phi.ndim == 2 and phi.shape[0] >= 2,
        f"expected features [k, p] of at least two supports, got the shape {list(phi.shape)}",
    )
    system = ridge_system(Prompt(phi, normal(len(phi), seed=0), phi[:1], ridge=1e-3))
    before, after = (
        float(system.condition_number),
        float(scaled(system, jacobi(system)).condition_number),
    )
    need(
        before >= 1e3,
        f"the condition number is {before:.0f}, expected at least 1000: make the supports nearly parallel",
    )
    need(
        after >= 0.999 * before,
        f"Jacobi brings the condition number from {before:.0f} to {after:.0f}; give all supports the same length",
    )


def check_normed(predict) -> None:
    lengths = torch.tensor([0.1, 1.0, 3.0, 10.0, 0.5, 2.0], dtype=torch.float64)
    prompt = Prompt(
        normal(6, 3, seed=1) * lengths[:, None], normal(6, seed=2), normal(4, 3, seed=3), ridge=0.5
    )
    unit, of_supports = row_normalised(prompt)
    divided = ridge_system(Prompt(unit.phi, prompt.y / of_supports, unit.phi_query, 0.5))
    wanted = divided.predict(cholesky(divided).alpha) * prompt.phi_query.norm(dim=-1)
    hint = "the norm's network says something else; in its problem every support has a ridge of its own, in proportion to |phi_i|^2"
    same(predict(prompt.phi.clone(), prompt.y.clone(), prompt.phi_query.clone(), 0.5), wanted, hint)


NORMED = """
def predict(phi, y, phi_query, ridge):
    own_ridge = ridge * phi.square().sum(1)
    return phi_query @ phi.T @ torch.linalg.solve(phi @ phi.T + torch.diag(own_ridge), y)
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_no_help,
        solution="""
angle = torch.tensor(0.02)
phi = torch.stack([torch.tensor([1.0, 0.0]), torch.stack([angle.cos(), angle.sin()])])
""",
        wrong={
            "different lengths": "phi = torch.diag(torch.tensor([1.0, 100.0]))",
            "nothing to repair": "phi = torch.eye(2)",
            "nearly parallel, and different lengths": "phi = torch.tensor([[1.0, 0.0], [10.0, 0.1]])",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_normed,
        solution=NORMED,
        wrong={
            "one ridge for all": NORMED.replace(
                "ridge * phi.square().sum(1)", "ridge * torch.ones_like(y)"
            ),
            "the lengths not squared": NORMED.replace("phi.square().sum(1)", "phi.norm(dim=1)"),
            "the wrong way": NORMED.replace(
                "ridge * phi.square().sum(1)", "ridge / phi.square().sum(1)"
            ),
        },
    ),
)
