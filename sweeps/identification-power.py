"""How well can one candidate pass for another? The power of a design, before it is used.

The truth is a candidate with the scalars of `TRUTHS`. Every candidate is tuned to its first six steps on some prompts, exactly as it would be
tuned to a network's layers, and judged on others. What it leaves unexplained is how far this design can tell the two apart.

"isotropic": supports drawn from a standard normal law. "spread": eigenvalues of Phi^T Phi / k log-uniform in [0.04, 4]. "clusters": three
places there, new for every prompt. "searched": for every pair, prompts on which the rival, tuned on "spread", does worst; then the rival is
tuned again on half of them.
"""

import torch

from metarep_lib import Prompt
from metarep_lib.evidence.identify import LINEAR, Posed, fit_candidate
from metarep_lib.studies import Sweep, searched_prompts
from metarep_lib.tasks import clusters, designed_prompts, isotropic, spread

P, K, Q, STEPS, LOW, HIGH = 12, 16, 8, 6, 0.04, 4.0
DESIGNS = {"isotropic": isotropic(K), "spread": spread(LOW, HIGH), "clusters": clusters(3, LOW, HIGH)}
SEARCHED = ("gradient descent", "Newton", "ridge path")  # the truths for which prompts are searched: a minute each
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


def prompts(design: str, n_prompts: int, seed: int) -> Posed:
    return Posed.of(designed_prompts(DESIGNS[design], n_prompts, K, Q, P, seed=seed, ridge=1.0))


def run(design: str, truth: str, seed: int) -> dict:
    of_name = {candidate.name: candidate for candidate in LINEAR}
    true, held = of_name[truth], TRUTHS[truth]
    logs = torch.tensor([held[name] for name in true.free(STEPS)], dtype=torch.float64).log10()
    plain = "spread" if design == "searched" else design
    tuning, judging = prompts(plain, 24, 2 * seed + 100), prompts(plain, 48, 2 * seed + 101)

    def layers(posed: Posed) -> torch.Tensor:
        path = true.path(posed, logs, STEPS, tuning)
        return path[[12, 24, 36, 42, 48, 54]] if true.may_jump else path[1:]  # of the ridge path six points

    misfits = []
    if design == "searched" and truth not in SEARCHED:
        return {"misfits": [float("nan")] * len(LINEAR)}
    for rival in LINEAR:
        tuned = fit_candidate(rival, tuning, layers(tuning), seed=seed)
        judged = judging
        if design == "searched":
            found = searched_prompts(layers, tuned, LOW, HIGH, 8, K, Q, P, seed=seed)
            half, judged = (Posed.of(Prompt(found.phi[part], found.y[part], found.phi_query[part], found.ridge)) for part in (slice(4), slice(4, None)))
            tuned = fit_candidate(rival, half, layers(half), seed=seed)
        misfits.append(float(tuned.misfits(judged, layers(judged)).mean()))
    return {"misfits": misfits}


SWEEP = Sweep("identification-power", {"design": [*DESIGNS, "searched"], "truth": list(TRUTHS)}, [0], run)
