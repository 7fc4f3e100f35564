"""A quotient of two numbers that both registers hold: the program around its writes, operands of every size, exact errors."""

from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from metarep_lib.certify.statements.one_decoder import general_bound
from metarep_lib.construct import Form, Layer, Program, Write
from metarep_lib.network import Basis

__all__ = [
    "around",
    "errors",
    "middle_to_worst",
    "operands",
    "share_of_bound",
    "sharp_operands",
    "side_by_side",
    "tokens",
]

Divide = Callable[[Tensor, Tensor], Tensor]
KEPT = ("N", "D", "is_aggregator", "is_sink")
ROLES = ("is_aggregator", "is_sink", "is_reader")
WIDTH = 60  # pairs of one size


def around(scores: Write, quotient: Write) -> Program:
    """The program of two blocks whose MLP writes ``scores`` and whose head writes ``quotient``."""
    return Program(
        name="division",
        inputs=Basis.of(N=1, D=1, is_aggregator=1, is_sink=1, is_reader=1),
        stream=Basis.of(**dict.fromkeys([*KEPT, "one", "scores", "quotient"], 1)),
        embedding=(
            *((name, Form(name)) for name in KEPT),
            ("one", Form(dict.fromkeys(ROLES, 1))),
        ),
        layers=(
            Layer(step=1, phase="scores", mlp=(scores,)),
            Layer(step=1, phase="divide", attention=(quotient,)),
        ),
        readout=Form("quotient"),
    )


def tokens(N: Tensor, D: Tensor) -> Tensor:
    """[n, 3, 5] both registers with N and D, and one token that reads.

    >>> tokens(torch.tensor([6.0]), torch.tensor([2.0]))[0, :, :2].tolist()
    [[6.0, 2.0], [6.0, 2.0], [0.0, 0.0]]
    """
    made = torch.zeros(len(N), 3, 5, dtype=N.dtype)
    made[:, :2, 0], made[:, :2, 1] = N[:, None], D[:, None]
    made[:, 0, 2] = made[:, 1, 3] = made[:, 2, 4] = 1
    return made


def operands(exponent: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """60 N and D of random sign, |N / D| between 2^exponent and 2^(exponent + 1)."""
    rng = np.random.default_rng(1000 + exponent)
    D = rng.uniform(1, 2, WIDTH) * rng.choice([-1, 1], WIDTH)
    N = D * rng.uniform(1, 2, WIDTH) * rng.choice([-1, 1], WIDTH) * 2.0**exponent
    return torch.from_numpy(N).to(dtype), torch.from_numpy(D).to(dtype)


def sharp_operands(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """N = 2^m + 2 and D = 1 + 2^m u for m = 1, ..., P - 2, u = 2^-P: unscaled, all of N is the quotient.

    >>> [N.shape for N in sharp_operands(torch.float32)]
    [torch.Size([22]), torch.Size([22])]
    """
    P = 1 - round(np.log2(torch.finfo(dtype).eps))
    m = torch.arange(1, P - 1, dtype=dtype)
    return 2**m + 2, 1 + 2 ** (m - P)


def relative_error(Q: float, N: float, D: float) -> float:
    """|Q / (N / D) - 1| in exact rational arithmetic; infinite where Q is not a number.

    >>> relative_error(1.5, 3.0, 1.0)
    0.5
    """
    if not np.isfinite(Q):
        return np.inf
    return float(abs(Fraction(Q) * Fraction(D) / Fraction(N) - 1))


def errors(divide: Divide, exponents: Iterable[int], dtype: torch.dtype) -> np.ndarray:
    """[exponents, 60] relative errors of the quotients of `operands`."""
    found = []
    for exponent in exponents:
        N, D = operands(exponent, dtype)
        said = divide(N, D).tolist()
        found.append(list(map(relative_error, said, N.tolist(), D.tolist())))
    return np.array(found)


def side_by_side(
    divide: Callable[[Tensor, Tensor, float], Tensor],
    N: Tensor,
    D: Tensor,
    scales: Iterable[float],
    dtypes: Iterable[torch.dtype],
) -> Tensor:
    """[1 + scales, dtypes x n] quotients: the processor's own, and those of a circuit at every scale.

    Args:
        divide: (N, D, c) to [n].
        N: [n].
        D: [n].
        scales: The c's.
        dtypes: In which all is computed, one block of columns after the other.

    >>> one = torch.ones(1)
    >>> side_by_side(lambda N, D, c: c * N / D, 3 * one, 2 * one, [0.5], [torch.float32]).tolist()
    [[1.5], [0.75]]
    """
    scales, found = list(scales), []
    for dtype in dtypes:
        n, d = N.to(dtype), D.to(dtype)
        found.append(torch.stack([n / d, *(divide(n, d, c) for c in scales)]).double())
    return torch.cat(found, 1)


def share_of_bound(errors: np.ndarray, exponents: np.ndarray, dtype: torch.dtype) -> float:
    """The most that errors of the unscaled circuit use of `general_bound`, where that leaves a digit.

    Args:
        errors: [exponents, 60] of the quotients of `operands`.
        exponents: Of two.
        dtype: That of the quotients.
    """
    u, used = torch.finfo(dtype).eps / 2, []
    for exponent, of_size in zip(exponents.tolist(), errors):
        if (3 + 2.0 ** (exponent + 1)) * u < 0.5:
            N, D = operands(exponent, dtype)
            used.append((of_size / general_bound((N / D).abs().double().numpy(), u)).max())
    return float(max(used))


def middle_to_worst(errors: np.ndarray) -> np.ndarray:
    """[3, exponents] whose median is the median, and whose range ends at the largest; one where no digit is right.

    >>> middle_to_worst(np.array([[0.1, 0.2, 5.0]])).ravel().tolist()
    [0.2, 0.2, 1.0]
    """
    seen = np.minimum(errors, 1)
    middle = np.median(seen, 1)
    return np.stack([middle, middle, seen.max(1)])
