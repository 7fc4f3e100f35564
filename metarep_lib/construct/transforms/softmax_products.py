r"""Products with a kernel matrix made by softmax heads: of sums of exponentials, and so of the dot product up to a small error.

A softmax head exponentiates its scores and divides by their total. The division can be undone, since a twin head with
the same scores and value `is_sink` reads one over the total. The exponential can be undone too: with s = phi_i . phi_j,
heads at scores mu_h s and gains a_h add up to

    sum_j (sum_h a_h exp(mu_h s)) v_j,

and for mu = +-eps, +-2 eps, ..., +-J eps a central difference makes the bracket s + O(eps^{2J} s^{2J+1}).

The heads are standard softmax heads, and so is the bilinear MLP that multiplies by the totals. What is not standard is the
division that makes the totals, once, before the first step: a normalised linear head, as everywhere in the book.
"""

from dataclasses import replace
from fractions import Fraction as Rational
from math import factorial

from metarep_lib.asked import asked, at_least, positive
from metarep_lib.construct.circuits.linear import ONE, clear, mat_vec, times
from metarep_lib.construct.circuits.token import Fraction, token_quotient
from metarep_lib.construct.program import DIVISION_SCALE, Form, Head, Layer, Product, Program, Write
from metarep_lib.construct.transforms.polynomial_features import ON_PROMPT
from metarep_lib.construct.wiring import forms_of
from metarep_lib.network.basis import Basis

Exponentials = tuple[tuple[float, float], ...]
"""(mu_h, a_h) for every head: the function sum_h a_h exp(mu_h s) of a dot product s."""

FLAGS = {"is_aggregator": Form("is_aggregator"), "is_sink": Form("is_sink"), "on_prompt": ON_PROMPT}


@asked(pairs=at_least(1), spacing=positive)
def central_difference(pairs: int, spacing: float) -> Exponentials:
    """The 2 J exponentials with sum_h a_h exp(mu_h s) = s + O(spacing^{2J} s^{2J+1}).

    a = +-c_j / spacing at mu = +-j spacing, with c_j = (-1)^{j+1} (J!)^2 / (j (J - j)! (J + j)!).

    Args:
        pairs: J >= 1.
        spacing: eps > 0; a power of two makes every mu exact.

    Raises:
        ValueError: pairs below one or a spacing that is not positive.

    >>> central_difference(pairs=1, spacing=0.25)
    ((0.25, 2.0), (-0.25, -2.0))
    """
    if pairs < 1 or not spacing > 0:
        raise ValueError(
            f"central_difference(pairs={pairs}, spacing={spacing}): expected pairs >= 1 and spacing > 0;"
            " this would work: central_difference(pairs=1, spacing=2**-4)"
        )
    terms = []
    for j in range(1, pairs + 1):
        c = Rational(
            (-1) ** (j + 1) * factorial(pairs) ** 2, j * factorial(pairs - j) * factorial(pairs + j)
        )
        gain = float(c / Rational(spacing))
        terms += [(j * spacing, gain), (-j * spacing, -gain)]
    return tuple(terms)


@asked()
def with_softmax_products(program: Program, exponentials: Exponentials) -> Program:
    """The program with every product K v made by softmax heads: two blocks more before the first step, none more per step.

    It does exactly what the program does, for the kernel sum_h a_h exp(mu_h <phi, phi'>) instead of <phi, phi'>.

    Args:
        program: gradient descent, Chebyshev or conjugate gradient, for one output, on given or polynomial features.
        exponentials: (mu_h, a_h), one for each head, as `central_difference` makes them.

    Returns:
        A program with two channels more for every head, and the flags they need.

    Raises:
        ValueError: a program without a product K v, with several outputs, or with another use of `phi` in a head.

    >>> from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
    >>> program = with_softmax_products(gradient_descent(n_features=3, steps=5, step_size=0.25), central_difference(1, 0.25))
    >>> program.n_blocks, program.width
    (7, 14)
    """
    check(program, exponentials)
    n_prepared = sum(layer.step == 0 for layer in program.layers)
    layers = [layer_with_sums(layer, exponentials) for layer in program.layers]
    layers[n_prepared:n_prepared] = [weigh(exponentials), invert(len(exponentials))]
    added = {name: form for name, form in FLAGS.items() if name not in program.stream}
    used = names_used(layers) | {name for name, _ in (*program.embedding, *program.readout.terms)}
    # a product read by its own block alone needs no direction
    kept = [(name, width) for name, width in program.stream.widths if name in used]
    own = [(name, 1) for name in added] + [
        ("sums", len(exponentials)),
        ("totals", len(exponentials)),
    ]
    return replace(
        program,
        name=f"{program.name}_with_softmax_products",
        stream=Basis((*kept, *own), tuple(name for name in program.scratch if name in used)),
        embedding=(*program.embedding, *added.items()),
        layers=tuple(layers),
    )


def softmax_sums(vector: str, exponentials: Exponentials) -> tuple[Write, ...]:
    r"""One softmax head per exponential: adds a_h sum_j exp(mu_h s_ij) v_j / Z_hi to channel h of `sums` on every token i.

    Z_hi = 2 + sum_j exp(mu_h s_ij), j over supports.

    Proof. The query is mu_h phi, the key phi: the scores are mu_h s_ij on supports and 0 on the two registers, where
    phi = 0. So the exponentials add up to Z_hi. v is 0 on the registers.  QED
    """
    return tuple(
        Write(
            f"sums[{h}]",
            (Head("softmax", ((Form({"phi": mu}), Form("phi")),), Form(vector), gain=a),),
        )
        for h, (mu, a) in enumerate(exponentials)
    )


def weigh(exponentials: Exponentials) -> Layer:
    r"""Adds the sink's weight 1 / Z_hi to channel h of `sums`.

    Proof. The twins of the heads of `softmax_sums`, with gain 1: the value `is_sink` is 1 on the sink, whose score is 0.  QED
    """
    twins = softmax_sums("is_sink", tuple((mu, 1.0) for mu, _ in exponentials))
    return Layer(step=0, phase="weigh", attention=twins)


def invert(n_heads: int) -> Layer:
    r"""Adds Z_hi to channel h of `totals` on supports and queries, 0 on the registers, and clears `sums`.

    Proof. `token_quotient` with the flag `on_prompt` over the sink's weight.  QED
    """
    quotients = []
    for h in range(n_heads):
        total = Fraction(
            ("on_prompt", "is_sink", "is_aggregator"), ((f"sums[{h}]", "is_aggregator", 1.0),)
        )
        quotients.append(token_quotient(total, into=f"totals[{h}]", scale=DIVISION_SCALE))
    return Layer(step=0, phase="invert", attention=tuple(quotients), mlp=(clear("sums"),))


def layer_with_sums(layer: Layer, exponentials: Exponentials) -> Layer:
    r"""The layer with its product K v, if it has one, made by softmax heads and put together by its own MLP.

    Proof. On supports and queries `totals . sums` is sum_h Z_hi a_h sum_j exp(mu_h s_ij) v_j / Z_hi, the product; on the
    registers it is 0, as the linear head's output is. A copy of the product in the MLP becomes that inner product; a
    product that is not cleared is written, for later blocks.  QED
    """
    product = next((write for write in layer.attention if is_product(write)), None)
    if product is None:
        return layer
    into, (head,) = product.target, product.terms
    put_together = times("totals", "sums")
    mlp = {
        write.target: tuple(instead_of(into, term) for term in write.terms)
        for write in layer.mlp
        if write != clear(into)
    }
    if clear(into) not in layer.mlp:
        mlp[into] = (put_together, *mlp.get(into, ()))
    others = tuple(write for write in layer.attention if write != product)
    sums = softmax_sums(head.value.terms[0][0], exponentials)
    return replace(
        layer,
        attention=(*sums, *others),
        mlp=(*(Write(target, terms) for target, terms in mlp.items()), clear("sums")),
    )


def instead_of(into: str, term: Product) -> Product:
    """A copy of the product's direction becomes the inner product that equals it."""
    return (
        times("totals", "sums", term.gain)
        if term.left == ONE and term.right == Form(into)
        else term
    )


def is_product(write: Write) -> bool:
    """Whether a write is K v, as `mat_vec` makes it."""
    return any(
        isinstance(term, Head) and write == mat_vec(term.value.terms[0][0], into=write.target)
        for term in write.terms
    )


def names_used(layers: list[Layer]) -> set[str]:
    """Directions that any block reads or writes, without channel numbers."""
    writes = [write for layer in layers for write in (*layer.attention, *layer.mlp)]
    read = {
        name
        for write in writes
        for term in write.terms
        for form in forms_of(term)
        for name, _ in form.terms
    }
    return {name.partition("[")[0] for name in {write.target for write in writes} | read}


def check(program: Program, exponentials: Exponentials) -> None:
    """Refuse programs whose kernel stands anywhere but in products K v."""
    attention = [write for layer in program.layers for write in layer.attention]
    others = [head for write in attention if not is_product(write) for head in write.terms]
    reasons = []
    if not any(is_product(write) for write in attention):
        reasons.append("it has no product K v")
    if any(name == "phi" for head in others for form in forms_of(head) for name, _ in form.terms):
        reasons.append("a head reads phi in another way, which is right for dot products alone")
    if program.inputs.width("y") != 1:
        reasons.append(f"it has {program.inputs.width('y')} outputs")
    if not exponentials:
        reasons.append("there are no exponentials")
    if reasons:
        raise ValueError(
            f"with_softmax_products({program.name}, ...): {'; '.join(reasons)};"
            " this would work: with_softmax_products(conjugate_gradient(n_features=8, steps=10), central_difference(1, 2**-4))"
        )
