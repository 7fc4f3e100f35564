"""Every tolerance of the tests, in one place, each with its derivation.

Rounding errors are random variables, so a tolerance has room: of two hundred draws nineteen in twenty use less than a tenth of it
(`tests/repository/test_tolerances.py`), and `make portability` calls a test that uses more and moves between arithmetics a fault.

u is the unit roundoff of a dtype (half its machine epsilon), kappa the condition number of A = K + lambda I. The
constants were fixed from the derivations with a margin over what was measured; none is computed from a value it judges.
"""

import json
import math
import os

import torch
from torch import Tensor

from metarep_lib.settings import claims_log


def unit_roundoff(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).eps / 2


def rounding(dtype: torch.dtype, operations: int) -> float:
    """Relative to the sum of absolute terms: `operations` roundings in a row, gamma_n = n u / (1 - n u) (Higham 2002, lemma 3.1).

    Taken twice, since the reference rounds too.
    """
    n_u = operations * unit_roundoff(dtype)
    return 2 * n_u / (1 - n_u)


def solution(dtype: torch.dtype, kappa: float) -> float:
    """Relative error of a converged alpha, in the 2-norm: u (64 + 16 kappa).

    Storing A and y rounds them by u each, which moves A^-1 y by 2 u kappa. CG's own residual r_t drifts from y - A alpha_t by
    O(u) ||A|| max ||alpha_j|| (Greenbaum 1997), hence alpha by O(u) kappa. Nineteen draws in twenty: 5 u for kappa = 1.5, 17 u for
    10, .25 u kappa for 1e4. (It was 16 u kappa, of which other roundings used .16 at kappa = 1.)
    """
    return unit_roundoff(dtype) * (64 + 16 * kappa)


def prediction(dtype: torch.dtype, kappa: float) -> float:
    """Relative error of f at the queries of one prompt, in the 2-norm: twice that of alpha.

    f = K_query alpha multiplies the relative error of alpha by ||K_query|| ||alpha|| / ||f||, which the targets and queries of
    these tests keep below two. Nineteen draws in twenty: 8 u for kappa = 1.5,
    20 u for 10.
    """
    return 2 * solution(dtype, kappa)


def early_steps(dtype: torch.dtype, kappa: float, t: int) -> float:
    """Relative difference of two algebraically equal forms of CG after t steps: 8 u kappa 4^t.

    Each step adds O(u kappa) to gamma and beta, and the three-term recurrence hands differences on with a factor of about
    1 + gamma ||A|| <= 4 while the residual still falls slowly; so it is for early steps and small kappa only. Worst measured:
    a tenth of this.
    """
    return 8 * unit_roundoff(dtype) * kappa * 4.0**t


def drift(dtype: torch.dtype, t: int) -> float:
    """Difference of two forms of gradient descent after t steps, relative to the largest iterate: 8 u (t + 1).

    The iteration map is a contraction (||I - eta A|| < 1), so the error of each step, a few u, is handed on but never amplified.
    """
    return 8 * unit_roundoff(dtype) * (t + 1)


def floor(dtype: torch.dtype, kappa: float) -> float:
    """What rounding adds to a relative A-norm error that is bounded in exact arithmetic: u (64 + 16 kappa).

    As for `solution`: in the A-norm the drift of the residual counts sqrt(kappa) u, the 2-norm's kappa u covers it.
    """
    return solution(dtype, kappa)


def orthogonality(dtype: torch.dtype, kappa: float, t: int) -> float:
    """Cosine between two residuals, or two search directions in the A-inner product, up to step t: 8 u kappa 4^t.

    Local orthogonality is lost at the rate at which perturbed recurrences drift apart, see `early_steps`.
    """
    return early_steps(dtype, kappa, t)


def pipelined(kappa: float) -> float:
    """Relative error of alpha by pipelined CG in float64: 2^20 u kappa.

    w, z and m w are carried by recurrences that never see r again, so their rounding errors are handed on for good; the gap between
    the residual carried and the true one grows by products of scalars, for which no useful a priori constant is known (Cools et al.
    2018). The constant is a commitment, not a derivation: worst measured 2^18 u kappa over condition numbers from 1e2 to 1e6.
    """
    return 2**20 * unit_roundoff(torch.float64) * kappa


def spectrum(largest: float, n: int) -> float:
    """Absolute error of a float64 eigenvalue of Phi^T Phi: 64 n u ||Phi||^2.

    By Weyl an eigenvalue moves by no more than the matrix. Phi is a product of three, each entry of which is off by n u, is moved by
    a unit (2 u) in its last place, and is decomposed with an error of O(n) u: about 8 n u ||Phi||^2, of which other roundings used
    two thirds; taken eight times.
    """
    return 64 * n * unit_roundoff(torch.float64) * largest


def assert_within(value: float | Tensor, tolerance: float, what: str = "error") -> None:
    """The largest |value| is at most the tolerance; a failure prints their ratio. NaN never passes.

    Both go to the log of claims, if one is kept: `make portability` sees how far they move from one arithmetic to the next. What a
    mutant is held to does not.
    """
    worst = float(torch.as_tensor(value).detach().abs().double().max())
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    if (path := claims_log()) and "mutant: " not in test:
        line = {"id": f"{test}: {what}", "kind": "tolerance", "value": repr(worst), "relation": "<=", "bound": tolerance, "holds": worst <= tolerance}
        with path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
    ratio = worst / tolerance if tolerance else math.inf
    assert worst <= tolerance, f"{what} {worst:.3e} is {ratio:.3g} times the tolerance {tolerance:.3e}"


def relative(value: Tensor, reference: Tensor) -> Tensor:
    """||value - reference|| / ||reference|| over the last axis, in float64; 0 where both are zero."""
    value, reference = value.double(), reference.double()
    distance = (value - reference).norm(dim=-1)
    return torch.where(distance == 0, distance, distance / reference.norm(dim=-1))
