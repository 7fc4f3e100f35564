"""Carrying the Gram matrix: after one attention no token needs another.

Block 1 writes G = sum phi_i phi_i^T + lambda I and b = sum y_i phi_i onto every token, summed over what the
token may read: the whole prompt under the prefix mask, its own past under the strictly causal one. From then on
every token solves its own G w = b in the primal, by itself, and predicts f = phi . w.

    carry    G_a = sum phi_i[a] phi_i, lambda added to entry a; b into r         p + p + 1 heads

Row a of G is the direction `G_a`. It needs no outer products made beforehand: a head with key phi[a] and value
phi sums them. The ridge is one more token: the sink carries it as its value. G v = sum_a v[a] G_a (G is symmetric)
takes p^2 gated units.
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.chebyshev import chebyshev_coefficients
from metarep_lib.construct.algorithms.krr_program import ONE as ONE_ON_ANY_TOKEN
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import ONE, clear, copy, times, update
from metarep_lib.construct.circuits.token import Fraction, token_quotient
from metarep_lib.construct.program import (
    DIVISION_SCALE,
    Form,
    Head,
    Layer,
    Product,
    Program,
    Write,
    every_step,
)

BETA = Fraction(("rho", "is_sink", "is_aggregator"), (("rho_old", "is_aggregator", 1.0),))
CHI = Fraction(("rho", "is_sink", "is_aggregator"), (("c", "is_aggregator", 1.0),))
GAMMA = Fraction(
    ("rho", "is_sink", "is_aggregator"), (("delta", "is_aggregator", 1.0), ("psi", "started", -1.0))
)

SCALARS = (
    "y",
    "f",
    "c",
    "rho_old",
    "phi_p",
    "rho",
    "phi_r",
    "phi_p_old",
    "beta",
    "chi",
    "delta",
    "psi",
    "gamma",
    "started",
)
SCRATCH = (
    "u",
    "p_old",
    "s_old",
    "phi_p_old",
    "rho",
    "phi_r",
    "beta",
    "chi",
    "delta",
    "psi",
    "gamma",
)
MOVED = {"p": "p_old", "s": "s_old", "phi_p": "phi_p_old"}


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def gram_chebyshev(
    n_features: int, steps: int, smallest: float, largest: float, causal: bool = False
) -> Program:
    """Chebyshev's iteration for (S + lambda I) w = b, one block per step, none of which has a head.

        w <- w + d,  f <- f + phi . d,  r <- r - G d,  d <- c_t d + g_t r

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, one block each after the one that carries.
        smallest, largest: bounds for the eigenvalues of S + lambda I, weights.
        causal: run under the strict causal mask, where every token solves for its own past.

    Returns:
        A program of width p^2 + 4 p + 5 with t + 1 blocks.

    Raises:
        ValueError: n_features or steps below one, or not 0 < smallest < largest.

    >>> program = gram_chebyshev(n_features=3, steps=5, smallest=0.1, largest=2.0)
    >>> program.n_blocks, program.width, sum(bool(layer.attention) for layer in program.layers)
    (6, 26, 1)
    """
    first, coefficients = chebyshev_coefficients(smallest, largest, steps)
    blocks = [
        Layer(
            step=t,
            phase="chebyshev",
            mlp=(
                update("w", copy("d")),
                update("f", times("phi", "d")),
                update("r", *matrix("G", n_features, "d", -1.0)),
                # d <- c d + g (r - G d), added to d
                update("d", copy("d", c - 1), copy("r", g), *matrix("G", n_features, "d", -g)),
            ),
        )
        for t, (c, g) in enumerate(coefficients, start=1)
    ]
    registers = (
        rows("G", n_features)
        | dict.fromkeys(("w", "r", "d"), n_features)
        | dict.fromkeys(("y", "f"), 1)
    )
    start = carry("G", n_features, into="r", mlp=(update("d", copy("r", first)),))
    return gram_program(
        "gram_chebyshev", n_features, ["is_sink"], registers, [start, *blocks], causal
    )


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def gram_conjugate_gradient(n_features: int, steps: int, causal: bool = False) -> Program:
    """CG for (S + lambda I) w = b, three blocks per step; their heads divide, and read the registers alone.

        block 1   u = G r,  rho = r . r                              no head
        block 2   beta = rho / rho_old,  chi = rho / c               two quotients; c = gamma_old rho_old
                  delta = r . u,  psi = chi rho,  p <- r + beta p,  s <- u + beta s
        block 3   gamma = rho / (delta - psi)                        one quotient; psi counts from the second step on
                  w <- w + gamma p,  r <- r - gamma s,  f <- f + gamma phi . p,  c <- gamma rho

    The order is that of Chronopoulos and Gear (1989). Arguments as for `gram_chebyshev`.

    Returns:
        A program of width p^2 + 8 p + 18 with 3 t + 1 blocks, of which four store tensors.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = gram_conjugate_gradient(n_features=3, steps=4)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (13, 51, 4)
    """
    blocks = every_step(one_step(n_features), steps)
    vectors = ("w", "r", "p", "s", "u", "p_old", "s_old")
    registers = (
        rows("G", n_features) | dict.fromkeys(vectors, n_features) | dict.fromkeys(SCALARS, 1)
    )
    layers = [carry("G", n_features, into="r"), *blocks] if steps > 0 else []
    return gram_program(
        "gram_conjugate_gradient",
        n_features,
        ["is_aggregator", "is_sink"],
        registers,
        layers,
        causal,
        ones=("rho_old", "c"),
        scratch=SCRATCH,
    )


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def gram_squaring(n_features: int, steps: int, step_size: float, causal: bool = False) -> Program:
    """2^t steps of gradient descent in t blocks: squaring the matrix squares the error.

        E = I - eta G,  w = eta b;        w <- w + E w,  E <- E E        w = eta (I + E + ... + E^(2^t - 1)) b

    The iterate is that of Newton's iteration (Schulz 1933) from X = eta I. Arguments as for `gram_chebyshev`, and
    step_size: eta, a weight; converges for 0 < eta < 2 / lambda_max(S + lambda I).

    Returns:
        A program of width p^2 + 2 p + 5 with t + 2 blocks and p^3 + p^2 gated units per step: the last block predicts.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = gram_squaring(n_features=3, steps=4, step_size=0.5)
    >>> program.n_blocks, program.width
    (6, 20)
    """
    # row a of E^2 is E row_a
    squared = [
        update(f"E_{a}", *matrix("E", n_features, f"E_{a}"), copy(f"E_{a}", -1.0))
        for a in range(n_features)
    ]
    mlp = (update("w", *matrix("E", n_features, "w")), *squared)
    predict = Layer(step=steps, phase="predict", mlp=(update("f", times("phi", "w")),))
    start = carry("E", n_features, into="w", gain=-step_size, identity=True)
    layers = (
        [start, *every_step([Layer(step=1, phase="square", mlp=mlp)], steps), predict]
        if steps > 0
        else []
    )
    registers = rows("E", n_features) | {"w": n_features, "y": 1, "f": 1}
    return gram_program("gram_squaring", n_features, ["is_sink"], registers, layers, causal)


def gram_program(
    name: str,
    n_features: int,
    flags: list[str],
    registers: dict[str, int],
    layers: list[Layer],
    causal: bool,
    ones: tuple[str, ...] = (),
    scratch: tuple[str, ...] = (),
) -> Program:
    """The output is f; y is held to be summed; `ones` start at 1 on every token."""
    starts = {"y": TARGET} | dict.fromkeys(ones, ONE_ON_ANY_TOKEN)
    return krr_program(
        name,
        n_features,
        flags,
        registers,
        starts,
        layers,
        readout=Form("f"),
        causal=causal,
        scratch=scratch,
    )


def rows(matrix_name: str, n_features: int) -> dict[str, int]:
    """The directions that hold a p x p matrix, one row each."""
    return {f"{matrix_name}_{a}": n_features for a in range(n_features)}


def carry(
    into_matrix: str,
    n_features: int,
    into: str,
    gain: float = 1.0,
    identity: bool = False,
    mlp: tuple[Write, ...] = (),
) -> Layer:
    """Block 1: every token receives gain (S + lambda I), plus I if asked for, and |gain| b, of what it may read.

    Proof. With query `one`, key phi[a] and value phi a head adds sum phi_i[a] phi_i, row a of S; with key `is_sink`
    the value is that of the sink, gain lambda (+ 1), into entry a of row a; key y, value phi gives b. Registers have phi = 0 and y = 0.  QED
    """
    on_diagonal = Form({"ridge": gain, "is_sink": 1.0} if identity else {"ridge": gain})
    gram = [
        Write(
            f"{into_matrix}_{a}",
            (Head("linear", ((ONE, Form(f"phi[{a}]")),), Form("phi"), gain=gain),),
        )
        for a in range(n_features)
    ]
    ridge = [
        Write(f"{into_matrix}_{a}[{a}]", (Head("linear", ((ONE, Form("is_sink")),), on_diagonal),))
        for a in range(n_features)
    ]
    right = Write(into, (Head("linear", ((ONE, Form("y")),), Form("phi"), gain=abs(gain)),))
    return Layer(step=0, phase="carry", attention=(*gram, *ridge, right), mlp=mlp)


def matrix(name: str, n_features: int, vector: str, gain: float = 1.0) -> list[Product]:
    """gain * M v for the symmetric matrix held as rows: sum_a v[a] M_a, p^2 gated units."""
    return [Product(Form(f"{vector}[{a}]"), Form(f"{name}_{a}"), gain) for a in range(n_features)]


def one_step(n_features: int) -> list[Layer]:
    products = (
        update("u", *matrix("G", n_features, "r")),
        update("rho", times("r", "r")),
        update("phi_r", times("phi", "r")),
    )
    moved = [write for name, to in MOVED.items() for write in (update(to, copy(name)), clear(name))]
    directions = (
        update("delta", times("r", "u")),
        update("psi", times("chi", "rho")),
        update("p", copy("r"), times("beta", "p_old")),
        update("s", copy("u"), times("beta", "s_old")),
        update("phi_p", copy("phi_r"), times("beta", "phi_p_old")),
        clear("rho_old"),
        clear("c"),
    )
    advance = (
        update("w", times("gamma", "p")),
        update("r", times("gamma", "s", -1.0)),
        update("f", times("gamma", "phi_p")),
        update("c", times("gamma", "rho")),
        update("rho_old", copy("rho")),
        # 0 or 1, so new - old is exact
        update("started", copy("is_aggregator"), copy("started", -1.0)),
    )
    divide = [
        token_quotient(fraction, into=name, scale=DIVISION_SCALE)
        for fraction, name in ((BETA, "beta"), (CHI, "chi"), (GAMMA, "gamma"))
    ]
    return [
        Layer(step=1, phase="multiply", mlp=(*products, *moved)),
        Layer(step=1, phase="turn", attention=tuple(divide[:2]), mlp=directions),
        Layer(
            step=1,
            phase="advance",
            attention=tuple(divide[2:]),
            mlp=(*advance, *map(clear, SCRATCH)),
        ),
    ]
