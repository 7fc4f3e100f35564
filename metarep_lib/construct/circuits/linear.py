r"""The circuits: each one function, what it reads and writes, and why it is right.

Notation: token i holds the named directions; k supports; the registers are the two tokens
`aggregator` and `sink`. Every circuit runs under the prefix mask: all tokens read registers and
supports, nobody reads a query.
"""

from metarep_lib.construct.program import Form, Head, Product, Write

ONE = Form("one")
REGISTERS = Form({"is_aggregator": 1, "is_sink": 1})


def mat_vec(vector: str, into: str) -> Write:
    r"""Lemma A: adds (K v)_j = sum_i <phi_j, phi_i> v_i at support j, and k(x)^T v at a query x.

    Proof. Query and key are phi, the value is v, so the linear head adds
    sum_i (phi_j . phi_i) v_i. The sum runs over the visible tokens, registers and supports;
    registers have phi = 0 and contribute nothing. At a query token phi_j = phi(x). The head
    computes Q (K^T V): K^T V = Phi^T v has p numbers, so the k x k matrix never exists.  QED
    """
    return Write(into, (Head("linear", ((Form("phi"), Form("phi")),), Form(vector)),))


def reduce(left: str, right: str, into: str, readers: Form = REGISTERS) -> Write:
    r"""Lemma B: adds sum_i left_i right_i on the registers (or other readers), and nothing on other tokens.

    Proof. The query is the readers' flag, the key `left`, the value `right`: the head adds
    flag_j sum_i left_i right_i. The flag is 1 on the readers and 0 elsewhere; the visible tokens
    are registers, where the directions reduced are zero, and supports. With `ONE` for the flag
    every token reads the sum, and a value of width p gives a vector such as Phi^T r.  QED
    """
    return Write(into, (Head("linear", ((readers, Form(left)),), Form(right)),))


def update(target: str, *terms: Product) -> Write:
    r"""Lemma C: adds a sum of products of directions of the same token, e.g. r <- r - gamma w.

    Proof. A product is one gated unit per channel, gain * left * right, and the residual
    connection adds it to what the target holds. No token reads another.  QED
    """
    return Write(target, terms)


def times(left: str, right: str, gain: float = 1.0) -> Product:
    return Product(Form(left), Form(right), gain)


def copy(source: str, gain: float = 1.0) -> Product:
    """gain * source, as a product with the constant one."""
    return Product(ONE, Form(source), gain)


def clear(name: str) -> Write:
    r"""Empties a register: x <- x - x, exactly 0 in every arithmetic.

    A register that will be *replaced* is cleared in one MLP and written in a later half-block.
    Writing x <- x + (new - x) in one go would leave an error u |x|, which ruins small new values
    after large old ones: after a sharp drop of the residual, all of rho would be rounding.
    """
    return Write(name, (copy(name, -1.0),))
