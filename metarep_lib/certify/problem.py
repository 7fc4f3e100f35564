"""Random prompts over a ring, and what they ask: the exact counterpart of `Prompt` and `RidgeSystem`.

Letters: k supports, q queries, n = k + q rows of a state, m outputs. A state of a certificate lives on
supports *and* queries, in this order: a query takes part in every token-wise update, and nobody reads it.
"""

from dataclasses import dataclass
from fractions import Fraction

import flint
import numpy as np

from metarep_lib.certify.rings import Field, Ring
from metarep_lib.contents import Contents
from metarep_lib.network.basis import Basis
from metarep_lib.network.masks import CausalMask, Mask, PrefixMask
from metarep_lib.network.tokens import AGGREGATOR, N_REGISTERS, SINK, input_basis


@dataclass(frozen=True, eq=False, repr=False)
class Problem(Contents):
    """(K + lambda I) alpha = y under the prefix mask, over a ring.

    Args:
        tokens: [2 + n, d_input] as `tokenise` lays them out.
        phi: [n, p] features of supports and queries.
        y: [k] or [k, m] targets.
        ridge: [1] lambda.
        ring: what all of these are over.
    """

    tokens: np.ndarray
    phi: np.ndarray
    y: np.ndarray
    ridge: np.ndarray
    ring: Ring

    def number(self, value: float) -> np.ndarray:
        """[1] a float as the dyadic rational it is."""
        return np.array([self.ring.scalar(Fraction(value))], dtype=object)

    def zeros(self, *shape: int) -> np.ndarray:
        return np.full(shape, self.ring.scalar(Fraction(0)), dtype=object)

    def divide(self, numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        """Entry by entry as the networks divide: N / (D + g), g the guard, of which a certificate makes a variable."""
        return self.ratio(numerator, denominator + self.ring.guard)

    def ratio(self, numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        """Entry by entry without a guard, with 0 / 0 = 0."""
        return np.vectorize(self.ring.divide, otypes=[object])(numerator, denominator)

    @classmethod
    def features(cls, x: np.ndarray, one: np.ndarray) -> np.ndarray:
        """[n, p] features of the raw inputs [n, d]; here the inputs themselves."""
        return x

    @classmethod
    def inputs(cls, n_features: int, n_outputs: int) -> Basis:
        """The channels of a token."""
        return input_basis(n_features, n_outputs)

    @property
    def constants(self) -> dict[str, np.ndarray]:
        """name -> [2 + n, width] what the stream holds of the prompt itself."""
        inputs = self.inputs(
            self.tokens.shape[1] - self.inputs(1, self.n_outputs).size + 1, self.n_outputs
        )
        held = {name: self.tokens[:, inputs[name]] for name in inputs if name not in ("phi", "y")}
        on_registers = self.zeros(N_REGISTERS, self.phi.shape[1])
        one = np.full((len(self.tokens), 1), self.ring.scalar(Fraction(1)), dtype=object)
        return held | {"one": one, "phi": np.concatenate([on_registers, self.phi])}

    @property
    def n_support(self) -> int:
        return len(self.y)

    @property
    def n_outputs(self) -> int:
        return self.y.size // self.n_support

    @property
    def mask(self) -> Mask:
        return PrefixMask(N_REGISTERS + self.n_support)

    @property
    def A(self) -> np.ndarray:
        """[k, k] K + lambda I."""
        A = self.phi[: self.n_support] @ self.phi[: self.n_support].T
        A[np.diag_indices(self.n_support)] += self.ridge
        return A

    @property
    def K_query(self) -> np.ndarray:
        """[q, k] kernel rows of the queries."""
        return self.phi[self.n_support :] @ self.phi[: self.n_support].T

    def on_rows(self, at_supports: np.ndarray) -> np.ndarray:
        """Zero on the queries below what stands on the supports."""
        rows = self.zeros(len(self.phi), *at_supports.shape[1:])
        rows[: self.n_support] = at_supports
        return rows

    def matvec(self, v: np.ndarray) -> np.ndarray:
        """[n(, m)]: A v on the supports, k(x)^T v on the queries."""
        on_supports = v[: self.n_support]
        return self.phi @ (self.phi[: self.n_support].T @ on_supports) + self.ridge * self.on_rows(
            on_supports
        )

    def inner(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """[1] or [m]: a . b over the supports."""
        return np.atleast_1d((a[: self.n_support] * b[: self.n_support]).sum(axis=0))

    def gram(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """[m, m]: a^T b over the supports."""
        return a[: self.n_support].T @ b[: self.n_support]

    def solution(self, field: Field) -> np.ndarray:
        """[q(, m)] k(x)^T (K + lambda I)^-1 y, solved over the field by FLINT's own elimination."""
        return self.K_query @ solve(self.A, self.y, field)


class CausalProblem(Problem):
    """The regression of every token's own past, in the primal: (S_i + lambda I) w_i = b_i under the strict causal mask.

    S_i = sum over j < i of phi_j phi_j^T and b_i = sum over j < i of phi_j y_j. A state has one vector of p
    channels for every token; there are no queries.
    """

    @property
    def mask(self) -> Mask:
        return CausalMask(strict=True, n_registers=N_REGISTERS)

    @property
    def before(self) -> np.ndarray:
        """[k, p] b_i."""
        terms = self.phi * self.y[:, None]
        return np.concatenate([self.zeros(1, terms.shape[1]), terms.cumsum(axis=0)[:-1]])

    def matvec(self, v: np.ndarray) -> np.ndarray:
        """[k, p]: S_i v_i for every token i."""
        past = [self.phi[:i].T @ (self.phi[:i] @ v[i]) for i in range(1, len(v))]
        return np.stack([self.zeros(v.shape[1]), *past])

    def inner(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """[k, 1]: a_i . b_i for every token i."""
        return (a * b).sum(axis=1, keepdims=True)

    def solution(self, field: Field) -> np.ndarray:
        """[k] what ridge regression on its own past predicts at every token."""
        past = [
            (self.phi[:i].T @ self.phi[:i], self.phi[:i].T @ self.y[:i])
            for i in range(1, len(self.y))
        ]
        identity = np.diag(np.repeat(self.number(1.0), self.phi.shape[1]))
        zero = identity * self.number(0.0)
        weights = [solve(S + zero + self.ridge * identity, b, field) for S, b in past]
        return np.array(
            [self.number(0.0)[0], *(phi @ w for phi, w in zip(self.phi[1:], weights))], dtype=object
        )


class PolynomialProblem(Problem):
    """The same on phi(x) = (1, x) (x) (1, x): kernel (1 + <x, x'>)^2; tokens carry x."""

    @classmethod
    def features(cls, x: np.ndarray, one: np.ndarray) -> np.ndarray:
        x = np.concatenate([np.full((len(x), 1), one[0], dtype=object), x], axis=1)
        return (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)

    @property
    def constants(self) -> dict[str, np.ndarray]:
        held = super().constants
        inputs = self.tokens[:, : self.tokens.shape[1] - self.inputs(1, self.n_outputs).size + 1]
        return held | {"x": inputs, "on_prompt": held["is_support"] + held["is_query"]}


def solve(A: np.ndarray, y: np.ndarray, field: Field) -> np.ndarray:
    """A^-1 y over the field, by FLINT's elimination."""
    matrix = flint.fmpz_mod_mat(*A.shape, list(A.flat), field.context)
    right = flint.fmpz_mod_mat(len(y), y.size // len(y), list(y.flat), field.context)
    return np.array(matrix.solve(right).entries(), dtype=object).reshape(y.shape)


def random_prompt(
    ring: Ring,
    n_features: int,
    n_support: int,
    n_query: int,
    n_outputs: int = 1,
    kind: type[Problem] = Problem,
) -> Problem:
    """A prompt with random features, targets and ridge."""
    inputs = kind.inputs(n_features, n_outputs)
    zero, one, ridge = ring.scalar(Fraction(0)), ring.scalar(Fraction(1)), draws(ring, 1)
    supports, queries = (
        slice(N_REGISTERS, N_REGISTERS + n_support),
        slice(N_REGISTERS + n_support, None),
    )
    x = draws(ring, n_support + n_query, n_features)
    y = draws(ring, n_support, *([n_outputs] if n_outputs > 1 else []))
    tokens = np.full((N_REGISTERS + n_support + n_query, inputs.size), zero, dtype=object)
    tokens[N_REGISTERS:, inputs["phi"]] = x
    tokens[supports, inputs["y"]] = y.reshape(n_support, n_outputs)
    tokens[: supports.stop, inputs["ridge"]] = ridge
    if "log_ridge" in inputs:
        tokens[SINK, inputs["log_ridge"]] = ring.logarithm(ridge[0])
    for group, flag in (
        (AGGREGATOR, "is_aggregator"),
        (SINK, "is_sink"),
        (supports, "is_support"),
        (queries, "is_query"),
    ):
        tokens[group, inputs[flag]] = one
    return kind(tokens, kind.features(x, np.array([one], dtype=object)), y, ridge, ring)


def draws(ring: Ring, *shape: int) -> np.ndarray:
    out = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        out[at] = ring.draw()
    return out
