"""Where stored networks and sweeps come from: what their cards say, a record for each."""

from collections.abc import Mapping

from metarep_lib.studies.sweep import Swept, sweeps
from metarep_lib.train import cards

__all__ = ["networks", "of_sweeps"]


def of_network(card: Mapping) -> dict[str, object]:
    """Name, seed, size, what training took, and the risk at the longest context over that of the Bayes predictor."""
    recipe, last = card["recipe"], card["risks"][-1]
    return {
        "network": recipe["name"],
        "seed": card["seed"],
        "parameters": f"{card['n_parameters']:,}",
        "steps": recipe["training"]["steps"],
        "seconds": card["seconds"],
        "commit": card["commit"],
        "risk / Bayes, full context": f"{last['risk'] / last['bayes']:.2f}",
    }


def networks() -> list[dict[str, object]]:
    """Of all stored networks, by name and seed."""
    return list(map(of_network, cards()))


def of_sweep(name: str, swept: Swept) -> dict[str, object]:
    """Name, points, knobs with the number of their values, and what the run took."""
    knobs = ", ".join(f"{knob} ({len(values)})" for knob, values in swept.knobs.items())
    return {
        "sweep": name,
        "points": len(swept.rows),
        "knobs": knobs,
        **{kept: swept.card[kept] for kept in ("seconds", "commit", "command")},
    }


def of_sweeps() -> list[dict[str, object]]:
    """Of all stored sweeps, by name."""
    return [of_sweep(name, swept) for name, swept in sweeps().items()]
