r"""In which range a network with guarded divisions keeps its digits, computed from the prompt before anything is lost.

A division is N / (D + g) with a guard g of the dtype (`guard_of`). The divisors are homogeneous (`degrees`): those of targets c y,
features a phi and the ridge a^2 lambda are c^d a^e D. As a solver converges they fall with its residual r, and below g nothing moves any
more: the residual stays at

    ||r|| = (g / D_0)^(1/d) ||y||,       D_0 the divisor at the start.

D_0 = s^d a^e with the size s = sqrt(sum_i m_i y_i^2) of the targets, m the diagonal that the program preconditions with or 1, and the size
a^2 = y^T A y / y^T y of the system A = K + lambda I as the targets see it; where m has a degree of its own e is what is left beside it.
For d = 4, the price of two blocks a step (`delta c - rho^2`), features and ridge cancel, e = 0; the textbook's p^T A p has e = 2, and in the
primal, where the residual starts at Phi^T y, r^T r has e = 2 and r^T A r e = 4. In range are targets for which at most sqrt(u) of y is
left, u the unit roundoff: half of the digits. The range ends above where a product of degree d may overflow; what does overflow is NaN or
infinite, which needs no warning.

A softmax program can lose digits to its diagonal as well: a positive definite matrix has at least the condition number
max_i d_i / min_i d_i of its diagonal, and with d_i = m_i (1 + K_ii / lambda) that is the matrix such a program solves with.

And what is solved well may be read badly. The errors in sqrt(1 / m_i) alpha_i are a part u C of the size s, C = 2^10 where products are
carried and 1 elsewhere, and a query multiplies them by its reach ||sqrt(m_i) K(x, x_i) / lambda||: u C s reach is what f(x) may be off. It is ordinarily
some tens of u C |f|; at a query near one very long support, whose kernel with every other support is huge, it exceeds f by any factor.
"""

from collections.abc import Collection

import torch
from torch import Tensor

from metarep_lib.asked.values import looks
from metarep_lib.construct.degrees import Degree, degrees, divisor_degrees, writes
from metarep_lib.construct.program import Form, Program, guard_of
from metarep_lib.network.tokens import N_REGISTERS, SINK
from metarep_lib.warned import DigitsLost, NumericalWarning, SinkUnderflow

__all__ = [
    "degrees_beside_size",
    "digits_range",
    "trouble",
]

HEADROOM = 2.0**16
"""How far a product of degree d may exceed D_0: condition numbers, sums over features."""

ORDINARY = 2.0**5
"""The most that size times reach exceeds the prediction by at queries as long as the supports, measured."""

CARRIED = 2.0**10
"""What a program that carries A p, A q ... by recurrences of their own adds to the error: from a few to 2^20, measured."""


def digits_range(program: Program, dtype: torch.dtype) -> tuple[float, float]:
    """(least, most) of the size sqrt(sum_i m_i y_i^2) of the targets for which the network keeps at least half of its digits.

    For features and a ridge of order one; others move the range of all programs but those of two blocks a step. m is the diagonal that the program preconditions with, 1 where it does not: then the size is ||y||. Outside, `predict`, `trace`
    and `run` warn of `DigitsLost`. Networks that solve are homogeneous in y: other units of y are a way out.

    Args:
        program: any; one whose divisors do not depend on the targets has no limits.
        dtype: of the weights.

    >>> from metarep_lib.construct.algorithms import conjugate_gradient, two_block_conjugate_gradient
    >>> for make in (two_block_conjugate_gradient, conjugate_gradient):
    ...     least, most = digits_range(make(n_features=3, steps=5), torch.float32)
    ...     print(f"{make.__name__}: ||y|| from {least:.1e} to {most:.1e}")
    two_block_conjugate_gradient: ||y|| from 1.4e-03 to 2.7e+08
    conjugate_gradient: ||y|| from 4.7e-10 to 7.2e+16
    """
    return range_of(max((d for d, _ in divisor_degrees(program)), default=0), dtype)


def range_of(degree: int, dtype: torch.dtype) -> tuple[float, float]:
    if not degree:
        return 0.0, torch.inf
    info = torch.finfo(dtype)
    return (
        guard_of(dtype) ** (1 / degree) / half_the_digits(dtype),
        (info.max / HEADROOM) ** (1 / degree),
    )


def half_the_digits(dtype: torch.dtype) -> float:
    """sqrt(u): the relative error that leaves half of the digits."""
    return (torch.finfo(dtype).eps / 2) ** 0.5


def degrees_beside_size(program: Program) -> frozenset[Degree]:
    """(d, e) of the divisors as s^d a^e: what a preconditioner adds to e is in the size s of the targets already."""
    _, of_m = degrees(program).get("m", (0, 0))
    return frozenset((d, e - d * of_m // 2) for d, e in divisor_degrees(program))


def trouble(
    program: Program, degrees: Collection[Degree], tokens: Tensor, x: Tensor
) -> NumericalWarning | None:
    """The first of what there is to warn of after a pass; None where the digits are kept.

    Args:
        program: what ran.
        degrees: its `degrees_beside_size`.
        tokens: [..., T, d_input] what it read.
        x: [..., T, D] the stream after the last block.
    """
    prompts, on_prompt = tokens[..., N_REGISTERS:, :], x[..., N_REGISTERS:, :]
    if "mass" in program.stream:
        mass, smallest = on_prompt[..., program.stream["mass"]], torch.finfo(x.dtype).tiny
        if looks(lambda: ~(mass >= smallest).all(), otherwise=False):  # NaN is lost, too
            return SinkUnderflow(
                f"{program.name}: the sink's weight, ridge / (ridge + sum of kernel values), is somewhere below {smallest:.1e}, the"
                f" smallest normal number of {x.dtype}, and what is divided by it is lost;"
                " this would work: float64, a larger ridge or tau, smaller features"
            )
    if not degrees:
        return None
    a = size_of_system(program, tokens)
    found = (of_size(program, d, a ** (e / d), prompts, on_prompt) for d, e in sorted(degrees))
    return (
        next(filter(None, found), None) or of_diagonal(program, x) or of_reach(program, prompts, x)
    )


def of_size(
    program: Program, degree: int, unit: Tensor, prompts: Tensor, x: Tensor
) -> DigitsLost | None:
    """Targets outside the range, which these features have in other units; those that are all zero have an answer without digits."""
    least, most = (end / unit for end in range_of(degree, x.dtype))
    m = preconditioner(program, x)
    size = length(prompts[..., program.inputs["y"]].double() * m.double().sqrt())
    outside = (size > 0) & ((size < least) | (size > most))
    if not looks(outside.any, otherwise=False):
        return None
    came, least, most = (
        float(v.expand_as(size)[outside].flatten()[0]) for v in (size, least, most)
    )
    other = (
        "conjugate_gradient, five blocks a step, whose range is wider, or "
        if program.name == "two_block_conjugate_gradient"
        else ""
    )
    return DigitsLost(
        f"{program.name}: targets of size {came:.1e} in {x.dtype}, which keeps half of its digits from {least:.1e} to {most:.1e}:"
        f" its divisors are of degree {degree} in them; this would work: {other}float64, or targets in other units,"
        " network.predict(replace(prompt, y=prompt.y / c)) * c"
    )


def of_diagonal(program: Program, x: Tensor) -> DigitsLost | None:
    """A preconditioned matrix whose diagonal alone says that half of the digits are at stake."""
    own = own_weights(program, x)
    if own is None:
        return None
    m = preconditioner(program, x).squeeze(-1).double()[..., N_REGISTERS:]
    log_d = m.log() + torch.nn.functional.softplus(own.double()[..., N_REGISTERS:])
    unknown = m == 0  # a query
    spread = log_d.masked_fill(unknown, -torch.inf).amax(-1) - log_d.masked_fill(
        unknown, torch.inf
    ).amin(-1)
    at_stake = spread.exp() * own_errors(program) * torch.finfo(x.dtype).eps / 2
    if not looks((at_stake > half_the_digits(x.dtype)).any, otherwise=False):
        return None
    return DigitsLost(
        f"{program.name}: the diagonal of the matrix it solves with spreads by a factor of {float(spread.max().exp()):.0e}, which costs"
        f" more than half of the digits of {x.dtype}; this would work: preconditioner='jacobi', float64, a larger tau, features of equal length"
    )


def of_reach(program: Program, prompts: Tensor, x: Tensor) -> DigitsLost | None:
    """A query whose kernel with the supports makes more of the errors of the solution than there is of its prediction."""
    if (logits := log_weights(program, x)) is None or not logits.shape[-1]:
        return None
    m = preconditioner(program, x).squeeze(-1).double()[..., N_REGISTERS:]
    size = length(prompts[..., program.inputs["y"]].double() * m.sqrt().unsqueeze(-1)).squeeze(-1)
    reach = (2 * logits.double() + m.log().unsqueeze(-2)).logsumexp(-1) / 2
    said = read(program.readout, program, x)[..., N_REGISTERS:, 0].double().abs()
    is_query = m == 0
    reach, said = reach.masked_fill(~is_query, -torch.inf), said.masked_fill(~is_query, 0)
    excess = (reach.amax(-1) + size.log() - said.amax(-1).log()).exp() / ORDINARY
    at_stake = excess * own_errors(program) * torch.finfo(x.dtype).eps / 2
    if not looks((at_stake > half_the_digits(x.dtype)).any, otherwise=False):
        return None
    return DigitsLost(
        f"{program.name}: at a query the kernel with the supports makes errors that may exceed half of the digits of the prediction in"
        f" {x.dtype}, by a factor of {float(excess.max()):.0e} more than at an ordinary one; this would work:"
        " float64, a larger tau, features of equal length"
    )


def own_errors(program: Program) -> float:
    """C, by how much the errors of the program's own recurrences exceed roundoff."""
    return CARRIED if "m_w" in program.stream and "m_w" not in program.scratch else 1.0


def size_of_system(program: Program, tokens: Tensor) -> Tensor:
    """[..., m] the a with a^2 = y^T (K + lambda I) y / y^T y = |Phi^T y|^2 / |y|^2 + lambda for the linear kernel; 1 where y is zero."""
    if "ridge" not in program.stream:
        return tokens.new_ones(program.inputs.width("y"), dtype=torch.float64)
    phi, y = (tokens[..., N_REGISTERS:, program.inputs[name]].double() for name in ("phi", "y"))
    ridge = tokens[..., SINK, program.inputs["ridge"]].double()
    unit = y / length(y).unsqueeze(-2)
    a = ((phi.mT @ unit).square().sum(-2) + ridge).sqrt()
    return torch.where(a > 0, a, torch.ones_like(a))


def preconditioner(program: Program, x: Tensor) -> Tensor:
    """[..., T, 1] the diagonal m on every token, zero on queries; 1 for a program without one."""
    is_held = "m" in program.stream and program.stream.width("m") == 1
    return x[..., program.stream["m"]] if is_held else torch.ones_like(x[..., :1])


def length(z: Tensor) -> Tensor:
    """[..., m] the norms over the tokens of [..., T, m], whose squares may be out of range."""
    largest = z.abs().amax(-2, keepdim=True) if z.shape[-2] else z.new_zeros(z.shape[-1:])
    unit = torch.where((largest > 0) & torch.isfinite(largest), largest, torch.ones_like(largest))
    return (z / unit).norm(dim=-2) * unit.squeeze(-2)


def own_weights(program: Program, x: Tensor) -> Tensor | None:
    """[..., T] log of K_ii / lambda, where `mass` is what a softmax head gives to the sink; None where nothing is.

    Only what no block changes is read of the stream x, [..., T, D].
    """
    made = next((write for write in writes(program) if write.target == "mass"), None)
    if made is None:
        return None
    own = torch.zeros_like(x[..., 0])
    for query, key in made.terms[0].score:
        # on a support the key of the sink's logit is zero
        own = own + (read(query, program, x) * read(key, program, x)).sum(-1)
    return own - x[..., SINK : SINK + 1, program.stream["log_ridge"]].squeeze(-1)


def log_weights(program: Program, x: Tensor) -> Tensor | None:
    """[..., T, T] log of K_ij / lambda between the tokens of the prompt, as the head reads them that makes `mass`."""
    made = next((write for write in writes(program) if write.target == "mass"), None)
    if made is None:
        return None
    on_prompt = x[..., N_REGISTERS:, :]
    logits = sum(
        read(query, program, on_prompt) @ read(key, program, on_prompt).mT
        for query, key in made.terms[0].score
    )
    return logits - x[..., SINK : SINK + 1, program.stream["log_ridge"]]


def read(form: Form, program: Program, x: Tensor) -> Tensor:
    """[..., T, width] a form of the stream."""
    return sum(weight * x[..., program.stream[name]] for name, weight in form.terms)
