"""Numbers that leave their range do not do so in silence: several outputs, targets of every size, singular systems, derivatives."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
import torch

import tolerances
from factories import DTYPES, prompt_of, random_prompt, unchecked
from metarep_lib import Prompt, RidgeSystem, ridge_system, solvers
from metarep_lib.asked import OutOfRange
from metarep_lib.numerics import left_out, past_systems, primal_system
from metarep_lib.numerics.bounds import (
    conjugate_gradient_bound,
    conjugate_gradient_lipschitz,
    gradient_descent_bound,
    prediction_factor,
)
from metarep_lib.numerics.bounds.perturbation import kernel_drift_bound, ridge_fit
from metarep_lib.numerics.bounds.width import width_bound
from metarep_lib.numerics.solvers import (
    Outcome,
    block_conjugate_gradient,
    jacobi,
    s_step_conjugate_gradient,
    scaled,
    whitened,
)
from metarep_lib.numerics.spectrum import Spectrum
from metarep_lib.numerics.spectrum.errors import spectral_shares


@pytest.fixture(scope="module", autouse=True)
def without_checks_of_annotations():
    """They would take most of the time; test_solvers and test_block run the same solvers with them."""
    with unchecked():
        yield


LINEAR = {
    "cholesky": lambda system: solvers.cholesky(system),
    "gradient descent": lambda system: solvers.gradient_descent(system, 7, 0.05),
    "chebyshev": lambda system: solvers.chebyshev(system, 7, 0.5, 40.0),
    "conjugate gradient": lambda system: solvers.conjugate_gradient(system, 5),
    "preconditioned": lambda system: solvers.conjugate_gradient(system, 5, preconditioner=jacobi(system)),
    "s-step": lambda system: s_step_conjugate_gradient(system, 1, 2, "chebyshev", 0.5, 40.0),
}
BLOCK = {
    "block": lambda system: block_conjugate_gradient.conjugate_gradient(system, 5),
    "textbook block": lambda system: block_conjugate_gradient.textbook_conjugate_gradient(system, 2),
}


def several(k, m, batch=(), seed=0, dtype=torch.float64):
    """A prompt of m outputs, m = 1 without a column."""
    made = random_prompt(k, 3, 2, ridge=0.5, seed=seed, batch=batch)
    y = torch.from_numpy(np.random.default_rng([seed, m]).standard_normal((*batch, k, m)))
    return Prompt(made.phi, y, made.phi_query, made.ridge).to(dtype)


# ---------------------------------------------------------------- several outputs


@pytest.mark.parametrize("solver", LINEAR)
@pytest.mark.parametrize("m", [2, 6])
@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_several_outputs_are_solved_column_by_column(solver, m, batch, dtype):
    prompt = several(6, m, batch, dtype=dtype)  # m = k: a transposed answer has the right shape
    # kappa is 22 at most; unconverged steps hand differences on, and the s-step Gram matrix squares the condition of its basis
    system, close = ridge_system(prompt), tolerances.solution(dtype, 2e3) * (10 if solver == "s-step" else 1)
    together = LINEAR[solver](system)
    alone = [LINEAR[solver](ridge_system(prompt.output(a))) for a in range(m)]
    assert together.alpha.shape == prompt.y.shape and together.outcomes.shape == (*batch, m)
    assert together.outcomes.unbind(-1) and all(torch.equal(together.outcomes[..., a], one.outcomes) for a, one in enumerate(alone))
    for name, values in together.history.items():
        expected = torch.stack([one.history[name] for one in alone], dim=-1)
        assert values.shape == expected.shape, name
        if name == "alpha":
            tolerances.assert_within((values - expected).abs().max() / expected.abs().max(), close)
    f = torch.stack([ridge_system(prompt.output(a)).predict(one.alpha) for a, one in enumerate(alone)], dim=-1)
    tolerances.assert_within((system.predict(together.alpha) - f).abs().max() / f.abs().max(), close)


@pytest.mark.parametrize("k, m", [(5, 1), (5, 3), (5, 5), (2, 7)])
def test_several_outputs_are_scipys(k, m):
    prompt = several(k, m if m > 1 else 2)
    y = prompt.y[:, :m]
    system = RidgeSystem(*(getattr(ridge_system(prompt), name) for name in ("A",)), y, ridge_system(prompt).K_query)
    theirs = torch.from_numpy(scipy.linalg.solve(system.A.numpy(), y.numpy(), assume_a="pos"))
    for solution in (solvers.cholesky(system), solvers.conjugate_gradient(system, 2 * k)):
        tolerances.assert_within((solution.alpha - theirs).norm() / theirs.norm(), tolerances.solution(torch.float64, 1e3))
        assert solution.outcomes.tolist() == [Outcome.CONVERGED] * m


def test_every_output_has_an_outcome_of_its_own():
    A = torch.diag(torch.tensor([1.0, 4.0, -1.0])).double()
    y = torch.tensor([[1.0, 1.0, 0.0, torch.inf], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]).double()
    system = RidgeSystem(A, y, A[:0])
    expected = [Outcome.CONVERGED, Outcome.NOT_CONVERGED, Outcome.BREAKDOWN, Outcome.NON_FINITE]
    assert solvers.conjugate_gradient(system, 1).outcomes.tolist() == expected


@pytest.mark.parametrize("batch", [(), (4,)])
def test_what_else_is_said_of_a_system_is_said_of_each_output(batch):
    prompt = several(6, 3, batch)
    ones = [prompt.output(a) for a in range(3)]
    system, weights = ridge_system(prompt), jacobi(ridge_system(prompt))
    questions = {
        "residual": lambda s: s.residual(2 * s.y),
        "norm": lambda s: s.norm(s.y),
        "left out": left_out,
        "scaled": lambda s: scaled(s, weights).y,
        "whitened": lambda s: whitened(s, s.A).y,
        "prediction factor": lambda s: prediction_factor(s, s.y),
    }
    for name, question in questions.items():
        expected = torch.stack([question(ridge_system(one)) for one in ones], dim=-1)
        tolerances.assert_within(question(system) - expected, 1e-12, name)
    for make in (primal_system, past_systems):
        expected = torch.stack([solvers.cholesky(make(one)).alpha for one in ones], dim=-1)
        tolerances.assert_within((solvers.cholesky(make(prompt)).alpha - expected).norm() / expected.norm(), 1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda p: Spectrum.of(ridge_system(p)),
        lambda p: spectral_shares(ridge_system(p)),
        lambda p: kernel_drift_bound(ridge_system(p), ridge_system(p)),
        lambda p: ridge_fit(p),
        lambda p: width_bound(p, torch.eye(3, dtype=torch.float64)),
    ],
)
def test_what_speaks_of_one_output_refuses_several_and_says_what_works(call):
    prompt = several(6, 6)
    with pytest.raises(ValueError, match=r"expected one.* output.*this would work: .*prompt.output\(0\)"):
        call(prompt)
    call(prompt.output(0))


# ---------------------------------------------------------------- targets of every size

# every one near the ends of the range, some in between
EXPONENTS = {
    torch.float32: sorted({0, *range(-149, -100), *range(-100, 100, 7), *range(100, 127)}),
    torch.float64: sorted({0, *range(-1074, -1010), *range(-1010, 1000, 61), *range(990, 1023)}),
}


def assert_follows(alpha, outcomes, reference, outcomes_there, exponent):
    """Of targets times a power of two: each output is the reference times that power, or does not count as converged."""
    exact = np.ldexp(reference.numpy(), exponent)
    same = np.ldexp(exact.astype(np.longdouble), -exponent) == reference.numpy()  # the dtype holds it
    for a in range(2):
        if same[:, a].all():
            assert np.array_equal(alpha[:, a].numpy(), exact[:, a]), exponent
            assert outcomes[a] == outcomes_there[a], exponent
        else:
            assert outcomes[a] == max(int(outcomes_there[a]), Outcome.OUT_OF_RANGE), exponent


@pytest.mark.parametrize("solver", LINEAR | BLOCK)
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_answer_follows_every_scaling_of_the_targets_or_does_not_count_as_converged(solver, dtype):
    """For every power of two that scales the targets exactly, in one batch, and for some of them alone; those of the second output are 2^20 times the first's."""
    rng = np.random.default_rng(3)
    A = torch.from_numpy(rng.integers(-2, 3, (4, 2)).astype(float))
    A, y = (A @ A.T + 2 * torch.eye(4)).to(dtype), torch.tensor([[3.0, 1.0], [-1.0, 2.0], [0.0, -2.0], [5.0, 1.0]], dtype=dtype)
    y[:, 1] *= 2.0**20
    with np.errstate(over="ignore"):
        moved = {exponent: torch.from_numpy(np.ldexp(y.numpy(), exponent)) for exponent in EXPONENTS[dtype]}
    tried = [e for e, x in moved.items() if np.array_equal(np.ldexp(x.numpy().astype(np.longdouble), -e), y.numpy())]  # the others are out of range themselves
    assert 0 in tried and len(tried) >= len(EXPONENTS[dtype]) / 2
    solve, n, none = (LINEAR | BLOCK)[solver], len(tried), tried.index(0)
    together = solve(RidgeSystem(A.expand(n, 4, 4), torch.stack([moved[e] for e in tried]), A[:0].expand(n, 0, 4)))
    for alpha, outcomes, exponent in zip(together.alpha, together.outcomes, tried):
        assert_follows(alpha, outcomes, together.alpha[none], together.outcomes[none], exponent)
    alone = solve(RidgeSystem(A, y, A[:0]))
    for exponent in tried[::12]:
        one = solve(RidgeSystem(A, moved[exponent], A[:0]))
        assert_follows(one.alpha, one.outcomes, alone.alpha, alone.outcomes, exponent)
    converged = int((together.outcomes[:, 0] == Outcome.CONVERGED).sum())
    assert converged >= n / 3 or alone.outcomes[0] != Outcome.CONVERGED


def test_the_norms_that_used_to_vanish_are_those_of_any_units():
    system = ridge_system(prompt_of(10.0, dtype=torch.float32))
    tiny = RidgeSystem(system.A, system.y * 2.0**-100, system.K_query)
    assert solvers.conjugate_gradient(tiny, 1).outcome == Outcome.NOT_CONVERGED
    assert solvers.conjugate_gradient(tiny, 20, tolerance=1e-5).outcome == Outcome.CONVERGED
    assert solvers.gradient_descent(tiny, 1, 0.0).outcome == Outcome.NOT_CONVERGED  # alpha = 0
    huge = RidgeSystem(system.A, system.y * 2.0**120, system.K_query)
    assert solvers.gradient_descent(huge, 1, 0.0).outcome == Outcome.NOT_CONVERGED
    assert solvers.cholesky(huge, tolerance=1e-5).outcome == Outcome.CONVERGED


def test_an_answer_that_the_dtype_cannot_hold_is_out_of_range():
    one = torch.ones(1, 1)
    too_small = RidgeSystem(8 * one, one[0] * 2.0**-148, one)
    too_large = RidgeSystem(one / 8, one[0] * 2.0**126, one)
    for system in (too_small, too_large):
        solution = solvers.cholesky(system)
        assert solution.outcome == Outcome.OUT_OF_RANGE and "rescale the targets" in solution.outcome.advice


# ---------------------------------------------------------------- derivatives


def through(solver, phi, y, ridge, direction):
    """direction . alpha of the solver, as a function of features and targets."""
    A = phi @ phi.mT + ridge * torch.eye(phi.shape[-2], dtype=phi.dtype)
    return (solver(RidgeSystem(A, y, A[..., :0, :])).alpha * direction).sum()


ITERATED = {
    "conjugate gradient": lambda steps: lambda system: solvers.conjugate_gradient(system, steps),
    "preconditioned": lambda steps: lambda system: solvers.conjugate_gradient(system, steps, preconditioner=jacobi(system)),
    "gradient descent": lambda steps: lambda system: solvers.gradient_descent(system, steps, 0.15),
    "chebyshev": lambda steps: lambda system: solvers.chebyshev(system, steps, 0.5, 30.0),
    "s-step": lambda steps: lambda system: s_step_conjugate_gradient(system, steps // 2, 2, "chebyshev", 0.5, 30.0),
}


@pytest.mark.parametrize("solver", ITERATED)
@pytest.mark.parametrize("m", [None, 2])
def test_derivatives_before_convergence_are_finite_differences(solver, m):
    rng = np.random.default_rng(5)
    phi, y, direction = (torch.from_numpy(rng.standard_normal(shape)) for shape in ((5, 3), (5, *[m][: m is not None]), (5, *[m][: m is not None])))
    given = phi.requires_grad_(), y.requires_grad_()
    assert torch.autograd.gradcheck(lambda *x: through(ITERATED[solver](2), *x, 0.5, direction), given)


@pytest.mark.parametrize("solver", [*ITERATED, "cholesky"])
def test_derivatives_after_convergence_are_those_of_the_exact_answer(solver):
    """alpha = A^-1 y: d(v . alpha) / dA = -A^-1 v alpha^T, and / dy = A^-1 v; 0 / 0 of a converged recurrence adds nothing to them.

    Three draws of everything, each at three scales of the targets, in one batch.
    """
    draws = [np.random.default_rng(seed) for seed in range(3)]
    phi, direction, y = (torch.from_numpy(np.stack([rng.standard_normal(shape) for rng in draws])) for shape in ((6, 3), 6, 6))
    phi, direction = phi / phi.norm(dim=(1, 2), keepdim=True) * 3, direction.expand(3, 3, 6)
    phi, y = phi.expand(3, 3, 6, 3), y * torch.tensor([1.0, 1e-30, 1e30]).double()[:, None, None]
    solve = solvers.cholesky if solver == "cholesky" else ITERATED[solver](12 if solver == "s-step" else 400)
    given = phi.clone().requires_grad_(), y.clone().requires_grad_()
    of_phi, of_y = torch.autograd.grad(through(solve, *given, 0.5, direction), given)
    A = phi @ phi.mT + 0.5 * torch.eye(6)
    left, alpha = torch.linalg.solve(A, direction), torch.linalg.solve(A, y)
    of_A = -(left[..., :, None] * alpha[..., None, :] + alpha[..., :, None] * left[..., None, :])
    expected = of_A @ phi
    tolerances.assert_within((of_y - left).norm(dim=-1) / left.norm(dim=-1), 1e-8)
    tolerances.assert_within((of_phi - expected).norm(dim=(-2, -1)) / expected.norm(dim=(-2, -1)), 1e-8)


def test_derivatives_at_zero_targets_are_zero_not_nan():
    """gamma is 0 / 0 there, and the iterate is no differentiable function of y: what counts is that no NaN spreads to the rest of a batch."""
    phi = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    y = torch.stack([torch.zeros(4), torch.ones(4)]).double()
    A = phi @ phi.mT + torch.eye(4)
    solvers.conjugate_gradient(RidgeSystem(A, y, A[:, :0]), 4).alpha.sum().backward()
    assert not phi.grad[0].any() and torch.isfinite(phi.grad).all() and phi.grad[1].abs().min() > 0


def test_a_solver_without_derivatives_says_so():
    system = ridge_system(several(4, 2))
    asks = RidgeSystem(system.A.clone().requires_grad_(), system.y, system.K_query)
    with pytest.raises(ValueError, match=r"requires a gradient.*this would work: solvers.conjugate_gradient"):
        block_conjugate_gradient.conjugate_gradient(asks, 2)
    with torch.no_grad():
        block_conjugate_gradient.conjugate_gradient(asks, 2)


# ---------------------------------------------------------------- singular systems


def exact(tensor):
    return [[Fraction(float(x)) for x in row] for row in tensor]


def determinant(M):
    """Of rational numbers, by elimination."""
    M, sign, result = [row[:] for row in M], 1, Fraction(1)
    for i in range(len(M)):
        pivot = next((r for r in range(i, len(M)) if M[r][i]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != i:
            M[i], M[pivot], sign = M[pivot], M[i], -sign
        result *= M[i][i]
        for row in M[i + 1 :]:
            factor = row[i] / M[i][i]
            for j in range(i, len(M)):
                row[j] -= factor * M[i][j]
    return sign * result


def dot(a, b):
    return sum((x * y for x, y in zip(a, b)), Fraction(0))


def exact_ratios(A, star, steps):
    """(||e_t||_A / ||e_0||_A)^2 of conjugate gradient for A alpha = A star in rational arithmetic."""
    apply = lambda v: [dot(row, v) for row in A]  # noqa: E731
    alpha, r = [Fraction(0)] * len(star), apply(star)
    p, size, ratios = r, dot(star, apply(star)), []
    for _ in range(steps):
        e = [s - a for s, a in zip(star, alpha)]
        ratios.append(dot(e, apply(e)) / size)
        w = apply(p)
        if not dot(p, w):
            break
        gamma = dot(r, r) / dot(p, w)
        alpha, r_next = [a + gamma * x for a, x in zip(alpha, p)], [a - gamma * x for a, x in zip(r, w)]
        beta = dot(r_next, r_next) / dot(r, r)
        r, p = r_next, [a + beta * x for a, x in zip(r_next, p)]
    return ratios


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ridge", [0.0, 2.0**-60, 2.0**-40, 2.0**-12, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_kappa_is_never_negative_and_the_bounds_stay_bounds(dtype, ridge, seed):
    """Duplicated supports and fewer features than supports: K is singular, exactly; the ridge may be lost when it is added."""
    rng = np.random.default_rng(seed)
    phi = rng.integers(-3, 4, (3, 2))
    phi = torch.from_numpy(np.concatenate([phi, phi[:1]]).astype(float)).to(dtype)
    A = phi @ phi.mT + ridge * torch.eye(4, dtype=dtype)
    system, rational = RidgeSystem(A, A[0], A[:0]), exact(A)
    kappa = system.condition_number
    assert kappa >= 1
    if not determinant(rational):
        assert kappa == torch.inf
    if ridge >= 2.0**-12:
        assert torch.isfinite(kappa)
    star = [Fraction(int(x)) for x in rng.integers(-3, 4, 4)]
    ratios = exact_ratios(rational, star, 4) if any(dot(row, star) for row in rational) else []
    for t, ratio in enumerate(ratios):
        bound = float(conjugate_gradient_bound(kappa, torch.tensor(t)))
        assert ratio <= Fraction(bound) ** 2 * (1 + Fraction(1, 1000)) and bound <= 2
        assert 0 <= float(gradient_descent_bound(kappa, torch.tensor(t))) <= 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_condition_number_of_a_matrix_of_one_value_is_infinite(value):
    A = torch.full((2, 3, 3), value, dtype=torch.float64)
    assert RidgeSystem(A, A[..., 0], A[:, :0]).condition_number.tolist() == [torch.inf] * 2


def test_a_matrix_that_is_not_finite_has_no_eigenvalues_and_its_neighbours_keep_theirs():
    A = torch.stack([torch.full((2, 2), torch.inf), torch.eye(2), torch.tensor([[1.0, torch.nan], [torch.nan, 1.0]])])
    system = RidgeSystem(A, torch.ones(3, 2), A[:, :0])
    assert system.condition_number.tolist() == [torch.inf, 1.0, torch.inf]
    assert system.eigenvalues.isnan().all(-1).tolist() == [True, False, True]


@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("m", [None, 3])
def test_what_is_bounded_by_nothing_is_bounded_by_infinity(batch, m):
    """A singular matrix, alone and beside a regular one."""
    singular = torch.ones(4, 4, dtype=torch.float64)
    A = torch.stack([singular, torch.eye(4).double()]) if batch else singular
    y = torch.ones(*batch, 4, *[m][: m is not None], dtype=torch.float64)
    factor = prediction_factor(RidgeSystem(A, y, A[..., :2, :]), y)
    assert factor.shape == (*batch, 2, *[m][: m is not None])
    assert (factor[0] if batch else factor).isinf().all()
    assert not batch or torch.equal(factor[1], torch.full_like(factor[1], 2.0))  # ||e_i|| ||y||
    kappa = torch.tensor(torch.inf, dtype=torch.float64)
    assert conjugate_gradient_lipschitz(kappa, 0) == 2 and conjugate_gradient_lipschitz(kappa, 3) == torch.inf


@pytest.mark.parametrize("call", [left_out, RidgeSystem.target_weights])
@pytest.mark.parametrize("batch", [False, True])
def test_what_needs_an_inverse_says_that_there_is_none(call, batch):
    """A singular matrix, alone and beside a regular one: an error of the library that names the call, no factorisation's."""
    A = torch.stack([torch.ones(4, 4), torch.eye(4)]) if batch else torch.ones(4, 4)
    with pytest.raises(OutOfRange, match=f"{call.__name__}.*singular.*this would work: .*a larger ridge"):
        call(RidgeSystem(A, A[..., 0], A[..., :2, :]))


@pytest.mark.parametrize("kappa", [-3.0, 0.5, torch.nan])
@pytest.mark.parametrize("bound", [conjugate_gradient_bound, gradient_descent_bound])
def test_a_condition_number_that_is_none_is_refused(bound, kappa):
    with pytest.raises(ValueError, match=f"{bound.__name__}.*at least one.*this would work"):
        bound(torch.tensor([2.0, kappa]), torch.tensor(1))


# ---------------------------------------------------------------- what nothing can be computed with


@pytest.mark.parametrize(
    "A, y, K_query, message",
    [
        (torch.eye(2).to_sparse(), torch.ones(2), torch.eye(2), r"A is torch.sparse_coo, expected a dense tensor: A.to_dense\(\)"),
        (torch.eye(2).to(torch.complex64), torch.ones(2), torch.eye(2), r"A is torch.complex64.*A.real"),
        (torch.eye(2).to(torch.float8_e4m3fn), torch.ones(2), torch.eye(2), "A is torch.float8_e4m3fn, expected float64"),
        (torch.eye(2, dtype=torch.long), torch.ones(2), torch.eye(2), "A is torch.int64"),
        (torch.eye(2), torch.ones(2).double(), torch.eye(2), r"y is torch.float64 on cpu but A is torch.float32 on cpu: y.to\(A\)"),
        (torch.eye(2), [1.0, 1.0], torch.eye(2), "y is a list, expected a torch tensor"),
        (torch.eye(2), torch.ones(3), torch.eye(2), r"y has shape \[3\], expected \[2\]"),
        (torch.eye(2), torch.ones(2, 0), torch.eye(2), r"y has shape \[2, 0\]"),
        (torch.eye(2), torch.ones(3, 2), torch.eye(2), r"y has shape \[3, 2\]"),
        (torch.eye(2), torch.ones(2), torch.eye(3), r"K_query has shape \[3, 3\], expected \[q, 2\]"),
        (torch.ones(2, 3), torch.ones(2), torch.eye(3), r"A has shape \[2, 3\], expected \[\*batch, k, k\]"),
        (torch.ones(0, 0), torch.ones(0), torch.ones(1, 0), r"A has shape \[0, 0\].*k of at least one"),
    ],
)
def test_a_system_that_cannot_be_is_refused_with_every_reason(A, y, K_query, message):
    with pytest.raises(ValueError, match=message) as caught:
        RidgeSystem(A, y, K_query)
    assert "RidgeSystem(" in str(caught.value) and "this would work" in str(caught.value)


HALF = {
    "cholesky": lambda system: solvers.cholesky(system),
    "block": lambda system: block_conjugate_gradient.conjugate_gradient(RidgeSystem(system.A, system.y.unsqueeze(-1), system.K_query), 2),
    "eigenvalues": lambda system: system.eigenvalues,
    "condition_number": lambda system: system.condition_number,
    "target_weights": lambda system: system.target_weights(),
    "left_out": left_out,
    "prediction_factor": lambda system: prediction_factor(system, system.y),
    "whitened": lambda system: whitened(system, system.A),
    "Spectrum": Spectrum.of,
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("call", HALF)
def test_half_precision_is_not_factorised_and_iterates(call, dtype):
    system = ridge_system(prompt_of(3.0).to(dtype))
    with pytest.raises(ValueError, match=r"expected torch.float32 or torch.float64.*this would work: ridge_system\(prompt.to"):
        HALF[call](system)
    assert solvers.conjugate_gradient(system, 8, tolerance=0.1).outcome == Outcome.CONVERGED


@pytest.mark.parametrize("solver", LINEAR)
def test_an_empty_batch_has_solutions_but_no_outcome(solver):
    system = RidgeSystem(torch.zeros(0, 3, 3), torch.zeros(0, 3), torch.zeros(0, 2, 3))
    solution = LINEAR[solver](system)
    assert solution.alpha.shape == (0, 3) and solution.outcomes.shape == (0,) and system.condition_number.shape == (0,)
    with pytest.raises(ValueError, match=r"outcome of \[0\] systems: there is none"):
        solution.outcome  # noqa: B018
