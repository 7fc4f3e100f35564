"""A program as a table: what every half of every kind of block reads and writes."""

import math
from collections.abc import Iterator
from itertools import chain, groupby
from textwrap import wrap

from metarep_lib.asked import asked
from metarep_lib.construct.program import Form, Head, Layer, Product, Program, Weight, Write

COLUMNS = ("block", "step", "half", "kind", "writes", "reads", "gain")
WRITES, READS = COLUMNS.index("writes"), COLUMNS.index("reads")
GAP = "  "
WIDTH = 88  # columns of code that a page of the book shows without scrolling
NARROWEST = 20  # reads get at least this much, however long the names


@asked()
def describe(program: Program) -> str:
    """A line on the size of a program, then a table with a row for each head and each product.

    Listed are the blocks that prepare (step 0), those of step 1, and of later steps the first block
    of every new phase; the others differ in their numbers at most. `block` counts from 1 in the order of
    running. A head reads `<query, key> value` (`0 hidden`: not from the token at position 0), a product
    `left * right`; numbers before names are weights, and a gain of 1 is left out. `clear x` is the product `one * x` with gain -1 into x.

    Raises:
        ProgramError: with every reason why the program cannot be assembled.

    >>> from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
    >>> print(describe(gradient_descent(n_features=3, steps=5, step_size=0.25)))
    gradient_descent: 5 blocks, 1 per step, 1 distinct; width 8; 240 parameters
    block  step       half       kind     writes  reads         gain
    1      1 descend  attention  linear   w       <phi, phi> r
                      mlp        product  alpha   one * r       0.25
                                 product  r       one * w       -0.25
                                 product  r       ridge * r     -0.25
                                 clear    w
    """
    program.validate()
    rows = [row for number, layer in listed(program) for row in rows_of(number, layer)]
    return "\n".join(
        [*wrap(summary(program), WIDTH, subsequent_indent="    "), *aligned([COLUMNS, *rows])]
    )


def summary(program: Program) -> str:
    per_step = sum(layer.step == 1 for layer in program.layers)
    return (
        f"{program.name}: {program.n_blocks} blocks, {per_step} per step, {len(program.distinct_layers)} distinct;"
        f" width {program.width}; {program.n_parameters} parameters"
    )


def listed(program: Program) -> Iterator[tuple[int, Layer]]:
    """(number, layer) of the blocks worth a look; no block twice."""
    seen, phases = set(), set()
    for number, layer in enumerate(program.layers, start=1):
        halves = layer.attention, layer.mlp
        if halves not in seen and (layer.step <= 1 or layer.phase not in phases):
            yield number, layer
        seen.add(halves)
        phases.add(layer.phase)


def rows_of(number: int, layer: Layer) -> Iterator[tuple[str, ...]]:
    """The rows of a block. What a row shares with the one above it is left blank."""
    where = str(number), f"{layer.step} {layer.phase}"
    if not layer.attention and not layer.mlp:
        yield *where, "", "", "nothing"
    for half, writes in (("attention", layer.attention), ("mlp", layer.mlp)):
        for row in rows_of_half(writes):
            yield *where, half, *row
            where, half = ("", ""), ""


def rows_of_half(writes: tuple[Write, ...]) -> Iterator[tuple[str, ...]]:
    """(kind, writes, reads, gain) for every term; clears in a row share one row (kind, writes)."""
    for clears, group in groupby(writes, key=is_clear):
        if clears:
            yield "clear", ", ".join(write.target for write in group)
            continue
        for write in group:
            for term in write.terms:
                kind = term.kind if isinstance(term, Head) else "product"
                yield (
                    kind,
                    write.target,
                    show_term(term),
                    "" if term.gain == 1 else show_number(term.gain),
                )


def is_clear(write: Write) -> bool:
    return write.terms == (Product(Form("one"), Form(write.target), -1.0),)


def show_term(term: Head | Product) -> str:
    if isinstance(term, Head):
        scores = " + ".join(f"<{show_form(query)}, {show_form(key)}>" for query, key in term.score)
        hidden = f", {', '.join(map(str, term.hides))} hidden" if term.hides else ""
        return f"{bracketed(scores, len(term.score))} {factor(term.value)}{hidden}"
    return f"{factor(term.left)} * {factor(term.right)}"


def factor(form: Form) -> str:
    return bracketed(show_form(form), len(form.terms))


def bracketed(text: str, n_terms: int) -> str:
    return f"({text})" if n_terms > 1 else text


def show_form(form: Form) -> str:
    def show(name: str, weight: float | Weight) -> str:
        return (
            name if weight == 1 else f"-{name}" if weight == -1 else f"{show_number(weight)} {name}"
        )

    return " + ".join(show(*term) for term in form.terms).replace("+ -", "- ")


def show_number(weight: float | Weight) -> str:
    """Small and large powers of two by their exponent, other numbers to six digits.

    >>> show_number(2.0**-40), show_number(-(2.0**40)), show_number(0.5), show_number(Weight.GUARD)
    ('2^-40', '-2^40', '0.5', 'GUARD')
    """
    if isinstance(weight, Weight):
        return weight.name
    mantissa, exponent = math.frexp(weight)
    if abs(mantissa) == 0.5 and abs(exponent) > 10:
        return f"{'-' if weight < 0 else ''}2^{exponent - 1}"
    return f"{weight:g}"


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell; what is too long for `WIDTH` is broken into several lines."""
    full = [row for row in rows if len(row) == len(COLUMNS)]
    widths = [
        max(len(row[i]) for row in (rows if i < WRITES else full)) for i in range(len(COLUMNS))
    ]
    others = sum(widths) - widths[READS] + len(GAP) * (len(widths) - 1)
    widths[READS] = min(widths[READS], max(WIDTH - others, NARROWEST))
    return list(chain.from_iterable(lines_of(row, widths) for row in rows))


def lines_of(row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    """The lines of one row. Its reads may take several; in a short row the last cell has all the rest of the width."""
    long = READS if len(row) == len(COLUMNS) else WRITES
    indent = sum(widths[:long]) + len(GAP) * long
    room = widths[READS] if long == READS else WIDTH - indent
    first, *others = wrap(row[long], room, break_long_words=False, break_on_hyphens=False) or [""]
    cells = [*row[:long], first, *row[long + 1 :]]
    yield GAP.join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip()
    for other in others:
        yield " " * indent + other
