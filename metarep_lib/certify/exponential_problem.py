"""Random prompts for networks with softmax heads, over a ring where exp is a random function.

Letters as in `problem`.
"""

from functools import cached_property, reduce
from operator import add

import numpy as np
from torch import Tensor

from metarep_lib.certify.problem import Problem
from metarep_lib.construct.circuits.softmax import kernel_score
from metarep_lib.construct.program import Form
from metarep_lib.network.basis import Basis
from metarep_lib.network.tokens import input_basis


class ExponentialProblem(Problem):
    """The same for K_ij = F(s_ij), F a random function of the score <U phi_i, U phi_j> / tau, in units of the ridge.

    The system is (K / lambda + I) (lambda alpha) = y, and f(x) = (k(x) / lambda)^T (lambda alpha): K and K_query are divided by lambda
    here, and what stands for alpha is lambda alpha.
    """

    tau: float = 1.0
    U: Tensor | None = None

    @classmethod
    def inputs(cls, n_features: int, n_outputs: int) -> Basis:
        return input_basis(n_features, n_outputs, log_ridge=True)

    @cached_property
    def K(self) -> np.ndarray:
        """[n, k] F(s_ij) / lambda, from the forms of query and key that the networks use; rows are supports, then queries."""
        p = self.phi.shape[1]
        pairs, forms = kernel_score(p, self.tau, self.U), Basis.of(phi=p)
        read = {form: self.read(form, forms) for pair in pairs for form in pair}
        scores = reduce(add, (read[query] @ read[key][: self.n_support].T for query, key in pairs))
        return self.ratio(np.vectorize(self.ring.exponential, otypes=[object])(scores), self.ridge)

    @cached_property
    def own_score(self) -> np.ndarray:
        """[n] the score of every token with itself."""
        p = self.phi.shape[1]
        forms = Basis.of(phi=p)
        return reduce(
            add,
            (
                (self.read(query, forms) * self.read(key, forms)).sum(axis=1)
                for query, key in kernel_score(p, self.tau, self.U)
            ),
        )

    def read(self, form: Form, forms: Basis) -> np.ndarray:
        """[n, width] a linear read of the features."""
        return reduce(
            add, (self.phi[:, forms[name]] * self.number(weight) for name, weight in form.terms)
        )

    @property
    def constants(self) -> dict[str, np.ndarray]:
        held = super().constants
        return held | {"on_prompt": held["is_support"] + held["is_query"]}

    @property
    def A(self) -> np.ndarray:
        """[k, k] K / lambda + I."""
        A = self.K[: self.n_support].copy()
        A[np.diag_indices(self.n_support)] += self.number(1.0)
        return A

    @property
    def K_query(self) -> np.ndarray:
        """[q, k] kernel rows of the queries, divided by lambda."""
        return self.K[self.n_support :]

    @property
    def inverse_mass(self) -> np.ndarray:
        """[n] D_i / lambda = sum_j K_ij / lambda + 1 at supports and queries."""
        return self.K.sum(axis=1) + self.number(1.0)

    def matvec(self, v: np.ndarray) -> np.ndarray:
        """[n]: (K / lambda + I) v on the supports, k(x)^T v / lambda on the queries."""
        on_supports = v[: self.n_support]
        return self.K @ on_supports + self.on_rows(on_supports)


def exponential_problem(tau: float = 1.0, U: Tensor | None = None) -> type[ExponentialProblem]:
    """The problem of one kernel."""
    return type("ExponentialProblem", (ExponentialProblem,), {"tau": tau, "U": U})
