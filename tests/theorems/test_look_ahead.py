"""What looking ahead does with a product that has drifted, without rounding."""

from fractions import Fraction

import numpy as np
import pytest

from certificates import certifies
from metarep_lib.numerics.steps import along, look_ahead_step


def drift(theta, omega, d, d_old):
    return -theta * d - omega * d_old


def bracket(theta, omega, d_a, d_old_a, crossed):
    return theta * d_a + omega * d_old_a - theta * omega * crossed


@pytest.mark.parametrize("seed", range(5))
@certifies(
    "lem-look-ahead-drift",
    statement=(drift, bracket),
    mutants={
        "the drift of the step before forgotten": (lambda theta, omega, d, d_old: -theta * d, bracket),
        "the drift multiplied by A'": (lambda theta, omega, d, d_old: drift(theta, omega, d, d_old) + d, bracket),
        "a curvature foretold right": (drift, lambda *_: 0),
        "the last term forgotten": (drift, lambda theta, omega, d_a, d_old_a, crossed: theta * d_a + omega * d_old_a),
        "the last term with the other sign": (drift, lambda theta, omega, d_a, d_old_a, crossed: bracket(theta, omega, d_a, d_old_a, -crossed)),
    },
    exact=True,
)
def test_foretold_sums_miss_the_drift_of_the_product_and_nothing_else(seed, statement):
    rng = np.random.default_rng(seed)

    def random(*shape):
        return np.array([Fraction(int(n), 7) for n in rng.integers(1, 50, np.prod(shape))]).reshape(shape)

    A = random(5, 5)
    A = A + A.T
    v, v_old, d, d_old = random(4, 5)
    a, a_old, zero = A @ v + d, A @ v_old + d_old, np.array([Fraction(0)])
    state = {"v": v, "Av": a, "v_old": v_old, "Av_old": a_old, "h_1": random(1), "j_1": random(1), "vv": random(1), "pi": random(1), "pi_old": random(1)}
    state |= dict.fromkeys(("h_2", "h_3", "j_3", "theta", "omega"), zero)  # so that theta = j_1 / h_1 and omega = h_1 / vv are any numbers
    made = look_ahead_step(state, lambda x: A @ x, lambda x, y: np.array([x @ y]), lambda x, y: x / y, zero + 1, zero + 1)
    after, product, theta, omega = made["v"], made["Av"], made["theta"], made["omega"]
    of_drift, of_curvature = statement
    assert (product - A @ after == of_drift(theta, omega, d, d_old)).all()
    assert along(made["h_1"], made["h_2"], made["h_3"], theta, omega) == after @ after
    missed = of_curvature(theta, omega, d @ a, d_old @ a, d @ v_old - v @ d_old)
    assert along(made["j_1"], made["h_1"], made["j_3"], theta, omega) == after @ product - missed
