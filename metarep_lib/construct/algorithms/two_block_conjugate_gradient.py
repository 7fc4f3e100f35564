"""Conjugate gradient in two blocks per step for linear kernels, plain or preconditioned by Jacobi's diagonal.

After Chronopoulos and Gear (1989): all sums of a step are taken at once, so that a step has two
synchronisations instead of four. With z = m * r (z = r without preconditioner) and sums over supports:

    block 1   rho = sum r z,  zz = sum z z,  g = sum phi z    heads that sum, for every token
              w = phi . g + lambda z                          (A z)_i, token by token
              delta = g . g + lambda zz                       z . A z: the linear kernel saves a sum
    block 2   beta = rho / rho_old                            three quotients in one attention
              gamma = rho c / (delta c - rho^2)               c = gamma_old rho_old
              gamma_beta = rho^2 gamma_old / (delta c - rho^2)
              alpha <- alpha + gamma z + gamma_beta p         p and s are those of the step before
              r <- r - gamma w - gamma_beta s
              p <- z + beta p,   s <- w + beta s,   c <- gamma rho,   rho_old <- rho

Differences from the paper: gamma beta is a quotient of its own, since a gated unit multiplies only
two numbers; and the first step is no special case. `started` is 0 before it and multiplies rho^2,
and c and rho_old start at 1, so that the first quotients are gamma = rho / delta and
beta = rho, times p = 0.

What is replaced (p, s, c, gamma, rho_old, z) moves to a copy in block 1 and is written empty in block 2.
With a preconditioner z is refreshed from m r in every step: z_new = m r - gamma m w - gamma_beta m s.
A recurrence that carried z from step to step would drift away from r.
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.krr_program import ONE as ONE_ON_ANY_TOKEN
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import ONE, clear, copy, reduce, times, update
from metarep_lib.construct.circuits.token import Fraction, token_quotient
from metarep_lib.construct.program import DIVISION_SCALE, Layer, Program, Write, every_step

LIVE = ("alpha", "r", "p", "s", "c", "rho_old", "gamma", "started")
SCRATCH = ("rho", "delta", "rho_rho", "w", "p_old", "s_old", "lambda", "beta", "gamma_beta")
SCRATCH += (
    "c_aggregator",
    "c_sink",
    "rho_old_aggregator",
    "gamma_aggregator",
    "gamma_sink",
    "started_aggregator",
)
PRECONDITIONED_SCRATCH = ("zz", "z_old", "m_r", "m_w", "m_s")

BETA = Fraction(("rho", "is_sink", "is_aggregator"), (("one", "rho_old_aggregator", 1.0),))
CURVATURE = (("delta", "c_aggregator", 1.0), ("rho_rho", "started_aggregator", -1.0))
GAMMA = Fraction(("rho", "c_sink", "c_aggregator"), CURVATURE)
GAMMA_BETA = Fraction(("rho_rho", "gamma_sink", "gamma_aggregator"), CURVATURE)
NAMED = {"beta": BETA, "gamma": GAMMA, "gamma_beta": GAMMA_BETA}
BOOKS = (
    update("c", times("gamma", "rho")),
    update("rho_old", copy("rho")),
    update("started", copy("one"), copy("started", -1.0)),  # 0 or 1, so new - old is exact
)
JACOBI = Fraction(("is_support", "is_sink", "is_aggregator"), (("diagonal", "is_aggregator", 1.0),))
SHARED = ("started", "started_aggregator", "lambda")  # the same number for every output


@algorithm
@asked(n_features=at_least(1), steps=at_least(0), n_outputs=at_least(1))
def two_block_conjugate_gradient(n_features: int, steps: int, n_outputs: int = 1) -> Program:
    """CG for (K + lambda I) alpha = y, two blocks per step; f_t(x) readable at every query after each.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1; all steps share the tensors of two blocks.
        n_outputs: m targets per support; each has its own g = Phi^T r and scalars of its own.

    Its divisor delta c - rho^2 is of degree four in y: in float32 half of the digits are safe for ||y|| from 1.4e-3 to 2.7e8 and a
    network warns of `DigitsLost` outside, in float64 from 1.2e-66 to 7e75 (`metarep_lib.construct.digits`). `conjugate_gradient`,
    of degree two, has twice the range in powers of ten.

    Returns:
        A program of width (m + 1) p + 20 m + 7: 2 p + 27 for one output.

    Raises:
        ValueError: n_features, steps or n_outputs below one.

    >>> program = two_block_conjugate_gradient(n_features=3, steps=4)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (8, 33, 2)
    """
    layers = every_step([sum_up("r", n_outputs), advance("r", n_outputs)], steps)
    registers = dict.fromkeys(names_of_g(n_outputs), n_features)
    registers |= {name: 1 if name in SHARED else n_outputs for name in (*LIVE, *SCRATCH)}
    starts = {"r": TARGET} | {
        f"{name}{a}": ONE_ON_ANY_TOKEN for name in ("c", "rho_old") for a in channels(n_outputs)
    }
    flags = ["is_aggregator", "is_sink"]
    return krr_program(
        "two_block_conjugate_gradient",
        n_features,
        flags,
        registers,
        starts,
        layers,
        n_outputs=n_outputs,
        scratch=scratch_of("r", n_outputs),
    )


def channels(n_outputs: int) -> list[str]:
    """How to address one output of a direction that has a channel for each."""
    return [f"[{a}]" for a in range(n_outputs)] if n_outputs > 1 else [""]


def names_of_g(n_outputs: int) -> list[str]:
    """g = Phi^T r takes p channels for every output: a direction each."""
    return [f"g_{a}" for a in range(n_outputs)] if n_outputs > 1 else ["g"]


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def jacobi_conjugate_gradient(n_features: int, steps: int) -> Program:
    """CG preconditioned by m_i = 1 / (K_ii + lambda), computed by the network in two blocks beforehand.

    m is held in the stream and zero on queries: z = m r vanishes there, and r at a query is still
    -k(x)^T alpha_t. Arguments as for `two_block_conjugate_gradient`, and so is the range, with sqrt(sum_i m_i y_i^2) in the place of ||y||.

    Returns:
        A program of width 3 p + 37 with 2 t + 2 blocks.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = jacobi_conjugate_gradient(n_features=3, steps=4)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (10, 46, 4)
    """
    steps_of = every_step([sum_up("z"), advance("z")], steps)
    layers = [*prepare_jacobi(), *steps_of] if steps > 0 else []
    scalars = ("m", "m_ridge", "z", "diagonal", *LIVE, *SCRATCH, *PRECONDITIONED_SCRATCH)
    registers = {"g": n_features, "m_phi": n_features} | dict.fromkeys(scalars, 1)
    starts = {"r": TARGET, "c": ONE_ON_ANY_TOKEN, "rho_old": ONE_ON_ANY_TOKEN}
    flags = ["is_aggregator", "is_sink", "is_support"]
    return krr_program(
        "jacobi_conjugate_gradient",
        n_features,
        flags,
        registers,
        starts,
        layers,
        scratch=("diagonal", *scratch_of("z")),
    )


def scratch_of(z: str, n_outputs: int = 1) -> tuple[str, ...]:
    """What block 2 clears; `z` is "r" without preconditioner."""
    of_z = PRECONDITIONED_SCRATCH if z == "z" else ()
    return (*names_of_g(n_outputs), *SCRATCH, *of_z)


def prepare_jacobi() -> list[Layer]:
    """The diagonal phi . phi + lambda in an MLP, its inverse in a head, and what will be multiplied by it."""
    diagonal = Layer(
        step=0, phase="diagonal", mlp=(update("diagonal", times("phi", "phi"), copy("ridge")),)
    )
    products = (
        update("m_phi", times("m", "phi")),
        update("m_ridge", times("m", "ridge")),
        update("z", times("m", "r")),
    )
    invert = Layer(
        step=0,
        phase="invert",
        attention=(token_quotient(JACOBI, into="m", scale=DIVISION_SCALE),),
        mlp=(*products, clear("diagonal")),
    )
    return [diagonal, invert]


def sum_up(z: str, n_outputs: int = 1) -> Layer:
    """Block 1: every sum of the step, and the products that need them. `z` is "r" without preconditioner."""
    outputs = list(zip(channels(n_outputs), names_of_g(n_outputs)))
    sums = [reduce(f"r{a}", f"{z}{a}", into=f"rho{a}", readers=ONE) for a, _ in outputs]
    sums += [reduce(f"{z}{a}", "phi", into=g, readers=ONE) for a, g in outputs]
    sums.append(reduce("is_sink", "ridge", into="lambda", readers=ONE))
    norm, extra = "rho", ()
    if z == "z":
        sums.append(reduce("z", "z", into="zz", readers=ONE))
        norm = "zz"
        extra = (
            update("m_r", times("m", "r")),
            update("m_w", times("m_phi", "g"), times("m_ridge", "z")),
            update("m_s", times("m", "s")),
            *move("z", "z_old"),
        )
    products = (
        *(update(f"w{a}", times("phi", g), times("ridge", f"{z}{a}")) for a, g in outputs),
        *(update(f"delta{a}", times(g, g), times("lambda", f"{norm}{a}")) for a, g in outputs),
        update("rho_rho", times("rho", "rho")),
    )
    return Layer(step=1, phase="sum", attention=tuple(sums), mlp=(*products, *set_aside(), *extra))


def set_aside() -> tuple[Write, ...]:
    """Copies of everything that block 2 replaces or divides by, the scalars on single registers."""
    moved = (
        *move("p", "p_old"),
        *move("s", "s_old"),
        *keep("c"),
        *keep("gamma"),
        *keep("rho_old", ["aggregator"]),
    )
    return (*moved, update("started_aggregator", times("is_aggregator", "started")))


def advance(z: str, n_outputs: int = 1) -> Layer:
    """Block 2: the three quotients of every output, then every recurrence of the step."""
    cleared = map(clear, scratch_of(z, n_outputs))
    return Layer(
        step=1,
        phase="advance",
        attention=quotients(n_outputs),
        mlp=(*recurrences("alpha", z), *cleared),
    )


def quotients(n_outputs: int = 1) -> tuple[Write, ...]:
    """beta, gamma and gamma beta of every output."""
    named = [(name, fraction, a) for name, fraction in NAMED.items() for a in channels(n_outputs)]
    return tuple(
        token_quotient(of_output(fraction, a), into=f"{name}{a}", scale=DIVISION_SCALE)
        for name, fraction, a in named
    )


def of_output(fraction: Fraction, a: str) -> Fraction:
    """The same fraction of one output's numbers; flags, `one` and `started_aggregator` have no outputs."""

    def own(name: str) -> str:
        return name if name in ("one", "is_sink", "is_aggregator", *SHARED) else f"{name}{a}"

    numerator = tuple(own(name) for name in fraction.numerator)
    return Fraction(
        numerator, tuple((own(part), own(key), sign) for part, key, sign in fraction.denominator)
    )


def recurrences(alpha: str, z: str) -> tuple[Write, ...]:
    """What a step makes of its three quotients, given w = A z and the copies of what it replaces."""
    z_now = "z_old" if z == "z" else "r"
    steps = (
        update(alpha, times("gamma", z_now), times("gamma_beta", "p_old")),
        update("r", times("gamma", "w", -1.0), times("gamma_beta", "s_old", -1.0)),
        update("p", copy(z_now), times("beta", "p_old")),
        update("s", copy("w"), times("beta", "s_old")),
    )
    refreshed = update(
        "z", copy("m_r"), times("gamma", "m_w", -1.0), times("gamma_beta", "m_s", -1.0)
    )
    return (*steps, *BOOKS, refreshed) if z == "z" else (*steps, *BOOKS)


def move(name: str, to: str) -> tuple[Write, Write]:
    """Copy a register into an empty one and clear it."""
    return update(to, copy(name)), clear(name)


def keep(
    name: str, registers: tuple[str, ...] | list[str] = ("aggregator", "sink")
) -> tuple[Write, ...]:
    """Copy a register to `name_aggregator` and `name_sink`, held by that register token alone, and clear it."""
    return (
        *(update(f"{name}_{token}", times(f"is_{token}", name)) for token in registers),
        clear(name),
    )
