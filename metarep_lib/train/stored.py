"""A stored network: `NAME-SEED.safetensors` holds the weights, `NAME-SEED.json` is its card.

The card holds the SHA-256 of the weights and is written last: a network exists when its card does
and matches. Whoever is stopped before leaves no network, and nothing that is taken for one.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from metarep_lib.storage import (
    clear_leftovers,
    file_fault,
    misfits,
    read_json,
    refusal,
    sha256,
    write_whole,
)

FIELDS = ("recipe", "seed", "command", "sha256", "risks")  # without these a card says too little


class StoredNetworkError(ValueError):
    """Files of a trained network that are broken, or do not belong together; the message names them."""


@dataclass(frozen=True)
class Place:
    """Where a recipe's network of one seed is stored.

    >>> Place(Path("weights"), "softmax-v1.2", 0).weights.name
    'softmax-v1.2-0.safetensors'
    """

    folder: Path
    name: str
    seed: int

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.seed}"

    @property
    def weights(self) -> Path:
        return self.folder / f"{self.stem}.safetensors"

    @property
    def card(self) -> Path:
        return self.folder / f"{self.stem}.json"

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"{self.stem}.checkpoint"

    @property
    def files(self) -> tuple[Path, ...]:
        return self.weights, self.card, self.checkpoint


def places(folder: Path) -> list[Place]:
    """Where there are cards, by name and seed."""
    stems = (path.stem.rpartition("-") for path in folder.glob("*.json"))
    found = [Place(folder, name, int(seed)) for name, _, seed in stems if is_number(seed)]
    return sorted(found, key=lambda place: (place.name, place.seed))


def is_number(text: str) -> bool:
    """Whether a text is a seed as a file's name has it."""
    return text.isascii() and text.isdigit() and text == str(int(text))


def write_network(place: Place, weights: Mapping[str, Tensor], card: dict) -> None:
    """Store weights, then the card that makes them a network, in the place of what stands there.

    Between the two an old card, if there is one, does not match: nothing is there that loads.
    """
    # not by `save_file`, which leaves a temporary file of its own when it is killed
    write_whole(place.weights, save(dict(weights)))
    held = dict(card)
    judged = held.pop("risks")
    held |= {"sha256": sha256(place.weights), "risks": judged}
    text = json.dumps(held, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(place.card, text)


def clear(place: Place) -> None:
    """Remove what killed writers left; for whoever has the turn at this place."""
    for path in place.files:
        clear_leftovers(path)


def read_card(place: Place, call: str) -> dict:
    """The card of a network that exists.

    Raises:
        FileNotFoundError: neither weights nor card, with the names there are.
        StoredNetworkError: one without the other, broken, or not belonging together.
    """
    if not (place.card.exists() or place.weights.exists()):
        known = ", ".join(other.stem for other in places(place.folder)) or "none"
        raise FileNotFoundError(f"{call}: no such weights; there are: {known}{hint(place)}")
    card, reasons = {}, list(missing_half(place))
    if not reasons:
        try:
            card = read_json(place.card)
            reasons += card_faults(place, card)
        except ValueError as error:
            reasons = [f"{place.card.name}: {error}"]
    if fault := place.weights.exists() and file_fault(place.weights):
        reasons.insert(0, f"{place.weights.name}: {fault}")
    if reasons:
        raise refused(place, call, reasons, card)
    return card


def hint(place: Place) -> str:
    """The likely mistake, where a seed is part of the name that was asked for."""
    name, _, seed = place.name.rpartition("-")
    if not (name and is_number(seed) and Place(place.folder, name, int(seed)).card.exists()):
        return ""
    return f"; name and seed are two arguments: load_trained({name!r}, seed={seed})"


def missing_half(place: Place) -> Iterator[str]:
    if not place.card.exists():
        yield f"{place.card.name} is missing: whoever wrote the weights was stopped before the card, so they may be anything"
    if not place.weights.exists():
        yield f"{place.weights.name} is missing"


def card_faults(place: Place, card: object) -> Iterator[str]:
    """Why a card is none, or not the one of the weights beside it."""
    name = place.card.name
    if not isinstance(card, dict):
        yield f"{name}: expected a table, got {type(card).__name__}"
        return
    missing = [field for field in FIELDS if field not in card]
    digest = sha256(place.weights) if place.weights.is_file() else ""
    if missing:
        yield f"{name} has no {', '.join(missing)}"
    if missing == ["sha256"]:
        yield f'an older program wrote it; whoever trusts the weights adds "sha256": "{digest}"'
    elif not missing and card["sha256"] != digest:
        yield f"{place.weights.name} has the SHA-256 {digest}, its card says {card['sha256']}: one of them was changed, or whoever wrote them was stopped in between"
    recipe = card.get("recipe")
    of = f"{recipe.get('name')}-{card.get('seed')}" if isinstance(recipe, dict) else place.stem
    if of != place.stem:
        yield f"{name} is the card of {of}"


def read_weights(
    place: Place, expected: Mapping[str, Tensor], call: str, card: dict
) -> dict[str, Tensor]:
    """The weights of a place, in half precision as they are stored.

    Raises:
        StoredNetworkError: no safetensors file, or not of the shapes and the dtype of the recipe.
    """
    try:
        weights = load_file(place.weights)
    except (SafetensorError, OSError) as error:
        reason = f"{place.weights.name} is no safetensors file, or a broken one: {error}"
        raise refused(place, call, [reason], card) from error
    if reasons := [*misfits(expected, weights)]:
        raise refused(place, call, reasons, card)
    return weights


def refused(place: Place, call: str, reasons: list[str], card: object) -> StoredNetworkError:
    """The error; its remedy is the command that the card quotes, or the one that it would."""
    said = card.get("command") if isinstance(card, dict) else None
    command = said or f"python scripts/train.py training/{place.name}.toml --seed {place.seed}"
    remedy = f"`{command}` trains the network again, `git checkout` brings a committed one back"
    files = f"{place.weights} and {place.card.name} are no network"
    return StoredNetworkError(refusal(call, files, reasons, remedy))
