"""Of what degree the divisors of a program are in its inputs, read off the program.

A degree is a pair (d, e): of what is c^d s^e times as large for targets c y, features s phi and the ridge s^2 lambda. Those of flags
and constants are (0, 0), of products the sum, of quotients the difference; what a softmax averages has the degree of its values. A name
that starts at a constant and is written later has the degree of what is written.
"""

from collections.abc import Iterator

from metarep_lib.construct.program import Form, Head, Program, Weight, Write

Degree = tuple[int, int]
OF_INPUTS: dict[str, Degree] = {"y": (1, 0), "phi": (0, 1), "ridge": (0, 2)}
CONSTANT: Degree = (0, 0)


def divisor_degrees(program: Program) -> frozenset[Degree]:
    """(d, e) of every guarded divisor that depends on the targets; e is 0 for all where a sum has terms of different e.

    >>> from metarep_lib.construct.algorithms import conjugate_gradient, gradient_descent, two_block_conjugate_gradient
    >>> for program in (conjugate_gradient(3, steps=5), gradient_descent(3, steps=5, step_size=0.1)):
    ...     print(sorted(divisor_degrees(program)))
    [(2, 0), (2, 2)]
    []
    """
    known = degrees(program)
    found = [
        degree
        for head in heads(program)
        if is_guarded(head)
        for query, key in head.score
        if not is_numerator(key) and (degree := sum_of(known, query, key)) is not None
    ]
    scales = is_homogeneous(program, known)
    return frozenset((d, e if scales else 0) for d, e in found if d)


def degrees(program: Program) -> dict[str, Degree]:
    """Direction -> degree, of those whose degree follows from what is written to them."""
    written = {plain(write.target) for write in writes(program)}
    known = {
        name: max((OF_INPUTS.get(part, CONSTANT) for part, _ in form.terms), default=CONSTANT)
        for name, form in program.embedding
        if name not in written or any(part == "y" for part, _ in form.terms)
    }
    known |= {
        name: CONSTANT for name in program.stream if name not in written and name not in known
    }
    before = None
    while before != len(known):
        before = len(known)
        for write in writes(program):
            name = plain(write.target)
            if name not in known:
                found = [of for term in write.terms if (of := of_term(known, term)) is not None]
                known |= {name: max(found)} if found else {}
    return known


def is_homogeneous(program: Program, known: dict[str, Degree]) -> bool:
    """Whether all that is added to one direction is of its degree: no step size of a size of its own, say.

    What a division reads may be its numerator on one register and its divisor on another.
    """
    divided = [key for head in heads(program) if is_guarded(head) for _, key in head.score]
    apart = {plain(name) for key in divided for name, _ in key.terms}
    return all(
        of_term(known, term) in (None, known.get(plain(write.target)))
        for write in writes(program)
        for term in write.terms
        if plain(write.target) not in apart
    )


def of_term(known: dict[str, Degree], term: object) -> Degree | None:
    """The degree of a head or a product; None while it is not known."""
    if not isinstance(term, Head):
        return sum_of(known, term.left, term.right)
    value = of_form(known, term.value)
    if term.kind == "linear":
        scores = [sum_of(known, query, key) for query, key in term.score]
        return None if value is None or None in scores else plus(max(scores), value)
    if not is_guarded(term):
        return value  # an average
    above = [sum_of(known, query, key) for query, key in term.score if is_numerator(key)]
    below = [sum_of(known, query, key) for query, key in term.score if not is_numerator(key)]
    below = [degree for degree in below if degree is not None]
    return plus(max(above), max(below), -1) if above and below and None not in above else None


def sum_of(known: dict[str, Degree], *forms: Form) -> Degree | None:
    found = [of_form(known, form) for form in forms]
    return None if None in found else plus(*found) if len(found) == 2 else found[0]


def plus(one: Degree, other: Degree, sign: int = 1) -> Degree:
    return one[0] + sign * other[0], one[1] + sign * other[1]


def of_form(known: dict[str, Degree], form: Form) -> Degree | None:
    """The largest degree of what a form reads, guards apart; None while nothing of it is known."""
    names = [plain(name) for name, weight in form.terms if not isinstance(weight, Weight)]
    return max((known[name] for name in names if name in known), default=None)


def is_guarded(head: Head) -> bool:
    """Whether a head divides with a guard."""
    return head.kind == "normalised" and any(
        weight is Weight.GUARD for _, key in head.score for _, weight in key.terms
    )


def is_numerator(key: Form) -> bool:
    """Whether what a key adds to the sink it takes from the aggregator: the sum of the scores, the divisor, does not hold it."""
    weights = [weight for _, weight in key.terms]
    return len(weights) > 1 and not any(isinstance(w, Weight) for w in weights) and not sum(weights)


def writes(program: Program) -> Iterator[Write]:
    for attention, mlp in program.distinct_layers:
        yield from attention
        yield from mlp


def heads(program: Program) -> Iterator[Head]:
    return (term for write in writes(program) for term in write.terms if isinstance(term, Head))


def plain(name: str) -> str:
    """A direction without its channel."""
    return name.partition("[")[0]
