"""Random prompts over a ring: tokens as `tokenise` lays them out, and the system they pose."""

from dataclasses import dataclass
from fractions import Fraction

import flint
import numpy as np

from metarep_lib.construct.tokens import AGGREGATOR, N_REGISTERS, SINK, input_basis
from metarep_lib.evidence.rings import Field, Ring


@dataclass(frozen=True)
class Problem:
    """A = K + lambda I, y, and the kernel rows of the queries, over a ring.

    A state of the certificates lives on supports *and* queries, in this order: a query takes part
    in every token-wise update, and nobody reads it.
    """

    A: np.ndarray  # [k, k]
    y: np.ndarray  # [k]
    K_query: np.ndarray  # [q, k]

    def matvec(self, v: np.ndarray) -> np.ndarray:
        """[k + q] to [k + q]: A v on the supports, k(x)^T v on the queries."""
        on_supports = v[: len(self.y)]
        return np.concatenate([self.A @ on_supports, self.K_query @ on_supports])

    def inner(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """[1] a . b over the supports."""
        k = len(self.y)
        return np.array([a[:k] @ b[:k]], dtype=object)

    def solve(self, field: Field) -> np.ndarray:
        """[k] A^-1 y over the field, by FLINT's own elimination."""
        matrix = flint.fmpz_mod_mat(*self.A.shape, list(self.A.flat), field.context)
        right = flint.fmpz_mod_mat(len(self.y), 1, list(self.y), field.context)
        return np.array(matrix.solve(right).entries(), dtype=object)


def random_prompt(ring: Ring, n_features: int, n_support: int, n_query: int) -> tuple[np.ndarray, Problem]:
    """[2 + k + q, d_input] tokens with random features, targets and ridge, and their system."""
    inputs = input_basis(n_features)
    zero, one, ridge = ring.scalar(Fraction(0)), ring.scalar(Fraction(1)), ring.draw()
    supports, queries = slice(N_REGISTERS, N_REGISTERS + n_support), slice(N_REGISTERS + n_support, None)
    phi, y = draws(ring, n_support + n_query, n_features), draws(ring, n_support)
    tokens = np.full((N_REGISTERS + n_support + n_query, inputs.size), zero, dtype=object)
    tokens[N_REGISTERS:, inputs["phi"]] = phi
    tokens[supports, inputs["y"]] = y[:, None]
    tokens[: supports.stop, inputs["ridge"]] = ridge
    for group, flag in ((AGGREGATOR, "is_aggregator"), (SINK, "is_sink"), (supports, "is_support"), (queries, "is_query")):
        tokens[group, inputs[flag]] = one
    K = phi @ phi[:n_support].T  # [k + q, k]
    A = K[:n_support].copy()
    A[np.diag_indices(n_support)] += ridge
    return tokens, Problem(A, y, K[n_support:])


def draws(ring: Ring, *shape: int) -> np.ndarray:
    out = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        out[at] = ring.draw()
    return out
