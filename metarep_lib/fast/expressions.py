"""Sums of products of at most two values: what weights make of what tokens hold.

An expression is a table {(a, b): weight} for sum weight * a * b. Values are numbers of the table in `values.py`, the smaller first, and `ONE`
is the constant one: (ONE, ONE) is a constant, (ONE, a) a linear term. No term has weight zero, so that what cancels is gone: x - x is {}.
"""

ONE = 0
Expression = dict[tuple[int, int], float]
Entries = list[
    tuple[int, float]
]  # of a column or row of a matrix: where it is not zero, and what stands there


def added(into: Expression, what: Expression, weight: float = 1.0) -> None:
    """into += weight * what, in place.

    >>> x = {(0, 3): 1.0}
    >>> added(x, {(0, 3): 1.0, (0, 4): 2.0}, -1.0)
    >>> x
    {(0, 4): -2.0}
    """
    for term, value in what.items():
        total = into.get(term, 0.0) + weight * value
        if total == 0:
            into.pop(term, None)
        else:
            into[term] = total


def read(entries: Entries, held: dict[int, Expression]) -> Expression:
    """What a column of a reading matrix makes of the channels of a token; channels that are not held are zero."""
    found: Expression = {}
    for channel, weight in entries:
        if channel in held:
            if not found:
                found = {term: weight * value for term, value in held[channel].items()}
            else:
                added(found, held[channel], weight)
    return found


def multiplied(left: Expression, right: Expression) -> Expression:
    """The product of two linear expressions.

    >>> multiplied({(0, 3): 2.0, (0, 0): 1.0}, {(0, 2): 5.0})
    {(2, 3): 10.0, (0, 2): 5.0}
    """
    if len(left) == len(right) == 1:  # nothing can meet
        (((_, a), weight),), (((_, b), other),) = left.items(), right.items()
        return {(a, b) if a < b else (b, a): weight * other}
    found: Expression = {}
    for (_, a), weight in left.items():
        for (_, b), other in right.items():
            added(found, {(a, b) if a < b else (b, a): weight * other})
    return found
