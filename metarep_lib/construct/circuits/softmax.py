r"""The circuits of softmax heads: the exponential kernel, exactly, and a sink that is the ridge.

Notation as in `circuits`. K_ij = exp(s_ij) with s_ij = <U phi_i, U phi_j> / tau is the kernel, sums run
over the supports j, and D_i = sum_j K_ij + lambda. Every head below hides the aggregator. So it sees the
sink, whose logit is log lambda, and the supports.
"""

from torch import Tensor

from metarep_lib.construct.circuits.linear import ONE
from metarep_lib.construct.program import HUGE, TINY, Form, Head, Write
from metarep_lib.network.tokens import AGGREGATOR

Score = tuple[tuple[Form, Form], ...]

LOG_RIDGE = (ONE, Form("log_ridge"))
ON_PROMPT = Form("on_prompt")
SOFTMAX_FLAGS = ("is_aggregator", "is_sink", "on_prompt")


def kernel_score(n_features: int, tau: float, U: Tensor | None = None) -> Score:
    """Pairs of query and key whose inner products add up to <U phi_i, U phi_j> / tau; U is [p', p], or the identity when None.

    Raises:
        ValueError: a temperature that is not positive, or U that does not fit the features.

    >>> kernel_score(n_features=3, tau=0.5)
    ((phi, 2 phi),)
    >>> import torch
    >>> kernel_score(n_features=2, tau=0.5, U=torch.tensor([[1.0, 3.0]]))
    ((phi[0] + 3 phi[1], 2 phi[0] + 6 phi[1]),)
    """
    if not 0 < tau < float("inf"):
        raise ValueError(f"kernel_score(tau={tau}): expected a positive temperature, e.g. tau=1.0")
    if U is None:
        return ((Form("phi"), Form({"phi": 1 / tau})),)
    if U.ndim != 2 or U.shape[1] != n_features:
        raise ValueError(
            f"kernel_score(U with shape {list(U.shape)}): expected [p', {n_features}] for {n_features} features, e.g. torch.eye({n_features})"
        )
    rows = [{f"phi[{b}]": weight for b, weight in enumerate(row)} for row in U.tolist()]
    return tuple(
        (Form(row), Form({name: weight / tau for name, weight in row.items()})) for row in rows
    )


def kernel_average(vector: str, into: str, score: Score) -> Write:
    r"""Adds (P v)_i = sum_j K_ij v_j / D_i at every support and query i, for a v that is zero on the sink.

    Proof. The scores of the softmax head are s_ij on support j (log_ridge is zero there) and log lambda
    on the sink (phi is zero there). Their exponentials are K_ij and lambda, which add up to D_i.  QED
    """
    return Write(into, (Head("softmax", (*score, LOG_RIDGE), Form(vector), hides=(AGGREGATOR,)),))


def sink_mass(into: str, score: Score) -> Write:
    r"""Adds lambda / D_i at every support and query i: what the same head gives to the sink.

    Proof. As for `kernel_average`; the value is 1 on the sink and 0 on the supports.  QED

    Rounding. Softmax subtracts the largest logit before it takes exponentials, so nothing overflows; but
    the sink's weight underflows where that logit exceeds log lambda by more than the dtype's range, and
    with it the row's scale is lost.
    """
    return kernel_average("is_sink", into, score)


def invert_mass(mass: str, into: str) -> Write:
    r"""Adds 1 / mass_i = D_i / lambda at every support and query i, and nothing on the registers.

    Proof. The scores of a normalised head are c * on_prompt_i on the sink, mass_i - c * on_prompt_i on the
    aggregator (c = TINY) and 0 elsewhere; they add up to mass_i. The value is 1 / c on the sink and 0
    elsewhere, so the head adds on_prompt_i / mass_i.  QED

    Rounding. c is the smallest normal number of the dtype, so the total is within 3 u of mass_i for every normal mass. There is no guard, on purpose: a mass that has underflowed to 0 gives infinity, then NaN,
    and not a finite number that looks like an answer.
    """
    score = (
        (ON_PROMPT, Form({"is_sink": TINY})),
        (Form({"on_prompt": -1}), Form({"is_aggregator": TINY})),
        (Form(mass), Form("is_aggregator")),
    )
    return Write(into, (Head("normalised", score, Form({"is_sink": HUGE})),))
