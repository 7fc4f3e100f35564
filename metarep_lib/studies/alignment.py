"""A trained network against its frozen solver on other laws: along a knob, over all of them, and where it fails.

A row of the sweeps ``alignment-gp`` and ``alignment-linear`` is one network, by its training seed, on
one shift of its law, "knob value". A *frozen* solver was fitted to the network on its own law.
"""

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import roc_auc_score

from metarep_lib.studies.sweep import Swept

__all__ = [
    "COMPARED",
    "along",
    "compared",
    "cost",
    "failures",
    "over_predicted",
    "parts",
    "places",
    "ranked",
    "risks",
    "values_of",
]

COMPARED = (
    "hard",
    "soft",
    "nonlinear",
    "measured / predicted",
    "measured / least",
    "seed 0: measured / predicted",
    "from",
    "to",
)
FAILED = 2.0  # times the least possible error


def values_of(swept: Swept, knob: str) -> np.ndarray:
    """The values at which a knob stands in a sweep of shifts.

    >>> from metarep_lib.studies.sweep import load_sweep
    >>> values_of(load_sweep("alignment-gp"), "spread").tolist()
    [0.0, 0.1, 0.2, 0.3]
    """
    shifts = [shift.split() for shift in swept.knobs["shift"]]
    return np.array([float(value) for name, value in shifts if name == knob])


def along(swept: Swept, knob: str, *results: str) -> list[np.ndarray]:
    """[seeds, values] of every result at the values of a knob, in their order."""
    here = [shift for shift in swept.knobs["shift"] if shift.split()[0] == knob]
    return [np.stack([swept.values(name, shift=at) for at in here], 1) for name in results]


def risks(swept: Swept, knob: str) -> dict[str, np.ndarray]:
    """[seeds, values] mean squared errors along a knob, over the variance of the function.

    Of the network, of its frozen solvers (``gaussian``, ``exponential``) and the least (``oracle``).
    """
    names = ("network", "gaussian", "exponential", "oracle")
    found = along(swept, knob, *(f"{name}_risk" for name in names))
    variance = values_of(swept, knob) ** 2 if knob == "y-scale" else 1.0
    return {name: risk / variance for name, risk in zip(names, found)}


def over_predicted(swept: Swept) -> np.ndarray:
    """[shifts, seeds] measured risk of the network over what its frozen gaussian solver predicts."""
    measured, predicted = (
        np.stack([swept.values(name, shift=shift) for shift in swept.knobs["shift"]])
        for name in ("network_risk", "gaussian_risk")
    )
    return measured / predicted


def cost(swept: Swept, shift: str) -> float:
    """Measured risk over the least possible, median over training seeds."""
    measured, least = (swept.values(name, shift=shift) for name in ("network_risk", "oracle_risk"))
    return float(np.median(measured / least))


def places(swept: Swept, group: str) -> list[int]:
    """Where the shifts of some knobs, "noise, tau", or one shift, "noise 2", stand in a sweep."""
    named = group.split(", ")
    shifts = swept.knobs["shift"]
    return [i for i, at in enumerate(shifts) if at in named or at.split()[0] in named]


def compared(swept: Swept, family: str) -> np.ndarray:
    """[shifts, 8] the columns of `COMPARED`: medians over training seeds; of the first seed, with its interval.

    Args:
        swept: The comparisons.
        family: Of the frozen solver, ``"gaussian"`` or ``"linear"``.
    """
    names = (
        f"{family}_error",
        f"{family}_prediction_error",
        "nonlinearity",
        "network_risk",
        f"{family}_risk",
        "oracle_risk",
    )
    rows = []
    for shift in swept.knobs["shift"]:
        hard, soft, nonlinear, measured, predicted, least = (
            swept.values(name, shift=shift) for name in names
        )
        medians = map(np.median, (hard, soft, nonlinear, measured / predicted, measured / least))
        excess = swept.values(f"{family}_excess", shift=shift)[0]
        rows.append([*medians, *(1 + excess / predicted[0])])
    return np.array(rows)


def parts(swept: Swept) -> dict[str, np.ndarray]:
    """The excess of every prompt in two, and two signals, relative to the mean square of its targets.

    Returns:
        ``departure`` (error minus that of the solver), ``assumption`` (that of the solver minus the
        least), ``gap`` (from the solver's predictions), ``left-out`` (error at supports that were
        hidden), [shifts, seeds, prompts].
    """
    each = {
        name: np.stack([swept.values(f"each_{name}", shift=at) for at in swept.knobs["shift"]])
        for name in ("network", "oracle", "gaussian", "gap", "left_out", "size")
    }
    of = {
        "departure": each["network"] - each["gaussian"],
        "assumption": each["gaussian"] - each["oracle"],
        "gap": each["gap"],
        "left-out": each["left_out"],
    }
    return {name: values / each["size"] for name, values in of.items()}


def failures(swept: Swept) -> dict[str, np.ndarray]:
    """Prompts with an error above twice the least: by assumption where the frozen solver's is, too, else by departure, [shifts, seeds, prompts]."""
    network, oracle, gaussian = (
        np.stack([swept.values(f"each_{name}", shift=at) for at in swept.knobs["shift"]])
        for name in ("network", "oracle", "gaussian")
    )
    failed = network > FAILED * oracle
    shared = failed & (gaussian > FAILED * oracle)
    return {"departure": failed & ~shared, "assumption": shared}


def ranked(
    failed: Mapping[str, np.ndarray], signals: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Kind of failure -> signal -> area under its curve, against prompts that did not fail.

    >>> failed = {"a": np.array([True, False, False]), "b": np.array([False, True, False])}
    >>> ranked(failed, {"gap": np.array([3.0, 1.0, 2.0])})
    {'a': {'gap': 1.0}, 'b': {'gap': 0.0}}
    """
    fine = ~np.any(list(failed.values()), axis=0)
    return {
        kind: {
            name: float(roc_auc_score(these[these | fine], values[these | fine]))
            for name, values in signals.items()
        }
        for kind, these in failed.items()
    }
