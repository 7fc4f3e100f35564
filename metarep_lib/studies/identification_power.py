"""How well can one candidate pass for another? The power of a design, before it is used.

The truth is a candidate with the scalars of `TRUTHS`. Every candidate is tuned to its first six steps on some prompts, exactly as it would be
tuned to a network's layers, and judged on others. What it leaves unexplained is how far this design can tell the two apart.

"isotropic": supports drawn from a standard normal law. "spread": eigenvalues of Phi^T Phi / k log-uniform in [0.04, 4]. "clusters": three
places there, new for every prompt. "searched": for every pair, prompts on which the rival, tuned on "spread", does worst; then the rival is
tuned again on half of them.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from metarep_lib.evidence.identify import LINEAR, Posed, fit_candidate
from metarep_lib.evidence.identify.candidates import Candidate
from metarep_lib.prompt import Prompt
from metarep_lib.studies.adversary import searched_prompts
from metarep_lib.studies.sweep import Sweep, Swept
from metarep_lib.tasks import clusters, designed_prompts, isotropic, spread

__all__ = [
    "SWEEP",
    "between",
    "misfit",
    "prompts",
    "run",
    "summary",
    "told_apart",
    "true_layers",
]

P, K, Q, STEPS, LOW, HIGH = 12, 16, 8, 6, 0.04, 4.0
N_TUNING, N_JUDGING = 24, 48
DESIGNS = {
    "isotropic": isotropic(K),
    "spread": spread(LOW, HIGH),
    "clusters": clusters(3, LOW, HIGH),
}
SEARCHED = (
    "gradient descent",
    "Newton",
    "ridge path",
)  # the truths for which prompts are searched: a minute each
TRUTHS = {  # in units of the mean largest eigenvalue
    "gradient descent": {"ridge": 0.02, "eta": 0.9},
    "momentum": {"ridge": 0.02, "eta": 0.8, "beta": 0.4},
    "GD++": {"eta": 0.9, "gamma": 0.15},
    "Chebyshev": {"ridge": 0.02, "smallest": 0.04, "largest": 2.0},
    "conjugate gradient": {"ridge": 0.02},
    "conjugate gradient (primal)": {"ridge": 0.02},
    "conjugate gradient (jacobi)": {"ridge": 0.02},
    "Newton": {"ridge": 0.02, "eta": 0.9},
    "ridge path": {},
}
OF_NAME = {candidate.name: candidate for candidate in LINEAR}
SAME = {
    ("gradient descent", "momentum"),
    ("gradient descent", "GD++"),
}  # zero momentum, no shrinking


def prompts(design: str, n_prompts: int, seed: int) -> Posed:
    """Prompts of one design."""
    return Posed.of(designed_prompts(DESIGNS[design], n_prompts, K, Q, P, seed=seed, ridge=1.0))


def true_layers(truth: str, tuning: Posed) -> Callable[[Posed], Tensor]:
    """What the first six steps of a candidate with known scalars say, [6, B, q], as a function of the prompts."""
    true, held = OF_NAME[truth], TRUTHS[truth]
    logs = torch.tensor([held[name] for name in true.free(STEPS)], dtype=torch.float64).log10()

    def layers(posed: Posed) -> Tensor:
        path = true.path(posed, logs, STEPS, tuning)
        return path[[12, 24, 36, 42, 48, 54]] if true.may_jump else path[1:]  # six of the ridges

    return layers


def misfit(design: str, truth: str, rival: str, seed: int = 0) -> float:
    """What a rival that is tuned to a truth leaves of it on other prompts, on average."""
    tuning, judging = prompts_of(design, seed)
    layers = true_layers(truth, tuning)
    tuned = fit_candidate(OF_NAME[rival], tuning, layers(tuning), seed=seed)
    return float(tuned.misfits(judging, layers(judging)).mean())


def misfit_where_searched(truth: str, rival: Candidate, seed: int) -> float:
    """The same on prompts on which the rival does worst, tuned again on half of them and judged on the others."""
    tuning, _ = prompts_of("spread", seed)
    layers = true_layers(truth, tuning)
    tuned = fit_candidate(rival, tuning, layers(tuning), seed=seed)
    found = searched_prompts(layers, tuned, LOW, HIGH, 8, K, Q, P, seed=seed)
    half, rest = (
        Posed.of(Prompt(found.phi[part], found.y[part], found.phi_query[part], found.ridge))
        for part in (slice(4), slice(4, None))
    )
    tuned = fit_candidate(rival, half, layers(half), seed=seed)
    return float(tuned.misfits(rest, layers(rest)).mean())


def prompts_of(design: str, seed: int) -> tuple[Posed, Posed]:
    """To tune on, and to judge on."""
    return (
        prompts(design, N_TUNING, 2 * seed + 100),
        prompts(design, N_JUDGING, 2 * seed + 101),
    )


def run(design: str, truth: str, seed: int) -> dict:
    """One row of the sweep: the misfit of every candidate, NaN where no prompts were searched."""
    if design == "searched" and truth not in SEARCHED:
        return {"misfits": [float("nan")] * len(LINEAR)}
    if design == "searched":
        return {"misfits": [misfit_where_searched(truth, rival, seed) for rival in LINEAR]}
    return {"misfits": [misfit(design, truth, rival, seed) for rival in OF_NAME]}


def told_apart(swept: Swept) -> dict[str, np.ndarray]:
    """Design -> [truths, candidates] misfits, medians over draws, at least 1e-16; NaN where prompts were not searched."""
    held = {design: swept.values("misfits", design=design) for design in swept.knobs["design"]}
    return {design: np.maximum(np.median(one, axis=1), 1e-16) for design, one in held.items()}


def between() -> np.ndarray:
    """[truths, candidates] whether the two are different, and neither holds the other as a special case.

    >>> int(between().sum())  # of 81: nine of themselves, two where a scalar is zero
    70
    """
    names = list(OF_NAME)
    return np.array([[a != b and (a, b) not in SAME for b in names] for a in names])


def summary(apart: Mapping[str, np.ndarray]) -> tuple[dict[str, float], dict[str, float]]:
    """The median and the smallest misfit between different candidates, by design."""
    pairs = between()
    middle = {design: float(np.nanmedian(of[pairs])) for design, of in apart.items()}
    return middle, {design: float(np.nanmin(of[pairs])) for design, of in apart.items()}


SWEEP = Sweep(
    "identification-power", {"design": [*DESIGNS, "searched"], "truth": list(TRUTHS)}, [0], run
)
