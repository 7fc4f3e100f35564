"""Checkpoints, weights and cards: what is stored, torn, broken or of another run."""

import json
import pickle
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import metarep_lib.train.loop as training
from metarep_lib import assemble
from metarep_lib.construct import load_network
from metarep_lib.construct.algorithms import gradient_descent
from metarep_lib.construct.load import NetworkFileError
from metarep_lib.storage import sha256
from metarep_lib.studies import load_sweep, run_sweep
from metarep_lib.studies.journal import SweepError
from metarep_lib.train import cards, load_seeds, load_trained, read_recipe, train
from metarep_lib.train.checkpoint import CheckpointError
from metarep_lib.train.recipe import RecipeError
from metarep_lib.train.stored import Place, StoredNetworkError
from metarep_lib.train.trained import WEIGHTS, why_missing
from small_runs import LFS, ROOT, SAID, script, sweep, table, tiny

# ---------------------------------------------------------------- checkpoints


def interrupted(folder, monkeypatch, made=None, seed=0, after=5):
    """A run that stopped after some steps; its checkpoint."""
    real, left = training.batch_loss, [after]

    def until(*given):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*given)

    with monkeypatch.context() as patched:
        patched.setattr(training, "CHECKPOINT_EVERY", 2)
        patched.setattr(training, "batch_loss", until)
        with pytest.raises(KeyboardInterrupt):
            train(made or tiny(), seed, folder, **SAID)
    return folder / f"{(made or tiny()).name}-{seed}.checkpoint"


CHANGED = {
    "[training] learning_rate is 0.01 there, 0.02 here": {"training__learning_rate": 0.02},
    "[training] steps is 6 there, 9 here": {"training__steps": 9},
    "[network] d_model is 8 there, 4 here": {"network__d_model": 4},
    "[prior] noise": {"prior__noise": [0.1]},
    "[prior] kind is 'linear' there, 'exponential' here": {"prior__kind": "exponential"},
}


@pytest.mark.parametrize("reason", CHANGED)
def test_a_changed_recipe_does_not_go_on_from_the_old_checkpoint(reason, tmp_path, monkeypatch):
    path = interrupted(tmp_path, monkeypatch)
    before = path.read_bytes()
    with pytest.raises(CheckpointError) as error:
        train(tiny(**CHANGED[reason]), 0, tmp_path, **SAID)
    said = str(error.value)
    assert str(path) in said and reason in said and "remove it to start anew" in said and SAID["command"] in said
    assert [other.name for other in tmp_path.iterdir()] == [path.name] and path.read_bytes() == before


def test_another_seed_or_name_does_not_go_on_from_a_checkpoint_that_was_renamed(tmp_path, monkeypatch):
    path = interrupted(tmp_path, monkeypatch)
    path.rename(tmp_path / "other-1.checkpoint")
    with pytest.raises(CheckpointError, match=r"(?s)name is 'tiny' there, 'other' here.*seed is 0 there, 1 here"):
        train(tiny("other"), 1, tmp_path, **SAID)


@pytest.mark.parametrize("fact", ["library_digest", "device_name"])
def test_other_code_and_another_device_do_not_go_on_from_a_checkpoint(fact, tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    monkeypatch.setattr(training, fact, lambda *given: "another")
    with pytest.raises(CheckpointError, match=r"is .* there, 'another' here"):
        train(tiny(), 0, tmp_path, **SAID)


def test_the_card_of_a_run_that_went_on_says_all_of_its_seconds(tmp_path, monkeypatch):
    path = interrupted(tmp_path, monkeypatch)
    held = torch.load(path, weights_only=True)
    torch.save(held | {"seconds": 1000.0}, path)
    train(tiny(), 0, tmp_path, **SAID)
    assert load_trained("tiny", 0, folder=tmp_path).card["seconds"] >= 1000


def trojan(path):
    """A pickle that would leave a file."""

    class Trojan:
        def __reduce__(self):
            return Path.touch, (path.with_name("executed"),)

    return Trojan()


BROKEN_CHECKPOINTS = {
    "its format is None": lambda path: torch.save({"step": 3}, path),
    "its format is 'metarep checkpoint 1'": lambda path: torch.save({"format": "metarep checkpoint 1"}, path),
    "what it is of cannot be read": lambda path: torch.save(torch.load(path, weights_only=True) | {"run": "{}"}, path),
    "it does not fit": lambda path: torch.save(torch.load(path, weights_only=True) | {"network": {}}, path),
    "it is empty": lambda path: path.write_bytes(b""),
    "it is the pointer of Git LFS": lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
    "it cannot be read": lambda path: torch.save(trojan(path), path),
    "it cannot be read, ": lambda path: path.write_bytes(pickle.dumps(trojan(path))),
}


@pytest.mark.parametrize("reason", BROKEN_CHECKPOINTS)
def test_a_broken_checkpoint_is_named_and_runs_nothing(reason, tmp_path, monkeypatch):
    path = interrupted(tmp_path, monkeypatch)
    BROKEN_CHECKPOINTS[reason](path)
    with pytest.raises(CheckpointError, match=rf"(?s)tiny-0\.checkpoint.*{reason}.*remove it to start anew"):
        train(tiny(), 0, tmp_path, **SAID)
    assert not (tmp_path / "executed").exists()


# ---------------------------------------------------------------- weights and cards


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The files of one trained network, by suffix."""
    folder = tmp_path_factory.mktemp("made")
    train(tiny(), 0, folder, **SAID)
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def there(made, tmp_path):
    """Where one trained network is stored."""
    for suffix, content in made.items():
        (tmp_path / f"tiny-0{suffix}").write_bytes(content)
    return Place(tmp_path, "tiny", 0)


def rewrite(place, **changes):
    held = json.loads(place.card.read_text(encoding="utf-8"))
    place.card.write_text(json.dumps({key: value for key, value in (held | changes).items() if value is not ...}), encoding="utf-8")


def reweigh(place, change):
    """Other weights, with a card that fits them."""
    save_file(change(load_file(place.weights)), place.weights)
    rewrite(place, sha256=sha256(place.weights))


BROKEN = {
    r"tiny-0\.json is missing": lambda place: place.card.unlink(),
    r"tiny-0\.safetensors is missing": lambda place: place.weights.unlink(),
    r"tiny-0\.json: it is empty": lambda place: place.card.write_bytes(b""),
    r"tiny-0\.safetensors: it is empty": lambda place: place.weights.write_bytes(b""),
    r"tiny-0\.json: it is the pointer of Git LFS": lambda place: place.card.write_bytes(LFS),
    r"tiny-0\.safetensors: it is the pointer of Git LFS": lambda place: place.weights.write_bytes(LFS),
    r"tiny-0\.json: it is no JSON": lambda place: place.card.write_bytes(b'{"recipe": '),
    r"tiny-0\.json: it is no text": lambda place: place.card.write_bytes(b"\xff\xfe"),
    r"tiny-0\.json: expected a table, got list": lambda place: place.card.write_bytes(b"[]"),
    r"tiny-0\.json: it has NaN": lambda place: rewrite(place, seconds=float("nan")),
    r"has no recipe": lambda place: rewrite(place, recipe=...),
    r'has no sha256\n.*adds "sha256": "[0-9a-f]{64}"': lambda place: rewrite(place, sha256=...),
    r"has the SHA-256 [0-9a-f]{64}, its card says": lambda place: rewrite(place, sha256="0" * 64),
    r"is the card of tiny-1": lambda place: rewrite(place, seed=1),
    r"no recipe:\n  - \[network\] norm is 'layr'": lambda place: rewrite(place, recipe=table(network__norm="layr") | {"name": "tiny"}),
    r"is no safetensors file": lambda place: (place.weights.write_bytes(b"nothing"), rewrite(place, sha256=sha256(place.weights))),
    r"W_U is missing": lambda place: reweigh(place, lambda weights: {key: weight for key, weight in weights.items() if key != "W_U"}),
    r"W_U is \[8\], its shape says \[8, 1\]": lambda place: reweigh(place, lambda weights: weights | {"W_U": weights["W_U"].flatten()}),
    r"its weights are .*int8.*expected floats": lambda place: reweigh(place, lambda weights: weights | {"W_U": weights["W_U"].to(torch.int8)}),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_network_whose_files_are_broken_says_which_and_the_command_that_trains_it(reason, there):
    assert why_missing(tiny(), 0, there.folder) == ""
    BROKEN[reason](there)
    with pytest.raises(ValueError, match=rf"(?s)load_trained\('tiny', seed=0\).*tiny-0.*{reason}") as error:
        load_trained("tiny", 0, folder=there.folder)
    assert isinstance(error.value, (StoredNetworkError, RecipeError)) and "this would work" in str(error.value)
    assert why_missing(tiny(), 0, there.folder) == str(error.value)  # what cannot be loaded is trained by make weights, and nothing else
    if isinstance(error.value, StoredNetworkError):
        assert "scripts/train.py" in str(error.value)


def test_a_network_of_another_recipe_has_yet_to_be_trained(there):
    assert "another recipe" in why_missing(tiny(training__steps=7), 0, there.folder)
    assert "no such weights" in why_missing(tiny(), 1, there.folder)


def test_one_changed_bit_of_the_weights_is_noticed(there):
    draw, content = random.Random(0), there.weights.read_bytes()
    for _ in range(50):
        at = draw.randrange(len(content))
        there.weights.write_bytes(content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :])
        with pytest.raises(StoredNetworkError, match="one of them was changed"):
            load_trained("tiny", 0, folder=there.folder)
        with pytest.raises(StoredNetworkError):
            cards(there.folder)


def test_a_half_written_network_is_on_no_list(there):
    other = Place(there.folder, "tiny", 1)
    other.weights.write_bytes(there.weights.read_bytes())  # whoever wrote it was stopped before the card
    assert [network.card["seed"] for network in load_seeds("tiny", folder=there.folder)] == [0] and len(cards(there.folder)) == 1


@pytest.mark.parametrize("stopped", ["save", "sha256"])
def test_who_is_stopped_while_writing_leaves_the_old_network_or_none(stopped, there, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(f"metarep_lib.train.stored.{stopped}", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(tiny(training__steps=2), 0, there.folder, **SAID)
    if stopped == "save":
        assert load_trained("tiny", 0, folder=there.folder).recipe == tiny()
    else:
        with pytest.raises(StoredNetworkError, match="was stopped in between"):
            load_trained("tiny", 0, folder=there.folder)


def test_weights_that_half_precision_cannot_hold_are_no_network(tmp_path, monkeypatch):
    real = training.optimise

    def too_large(*given):
        network, seconds = real(*given)
        network.W_E.data.fill_(1e6)
        return network, seconds

    monkeypatch.setattr(training, "optimise", too_large)
    with pytest.raises(FloatingPointError, match="half precision"):
        train(tiny(), 0, tmp_path, **SAID)
    assert not list(tmp_path.glob("tiny*"))


def test_name_and_seed_are_two_arguments(there):
    with pytest.raises(TypeError, match=r"load_trained\('softmax-gp-0', seed=None\).*load_trained\('softmax-gp', seed=0\)"):
        load_trained("softmax-gp-0")
    with pytest.raises(FileNotFoundError, match=r"there are: tiny-0; name and seed are two arguments: load_trained\('tiny', seed=0\)"):
        load_trained("tiny-0", 0, folder=there.folder)


# ---------------------------------------------------------------- torn at any byte


def test_files_cut_short_anywhere_are_refused_by_name(there, tmp_path, monkeypatch):
    checkpoint = interrupted(tmp_path / "run", monkeypatch)
    stored = run_sweep(sweep(), tmp_path, **SAID)
    network = tmp_path / "network.safetensors"
    assemble(gradient_descent(2, 2, 0.25)).save(network)
    reads = {
        there.weights: (StoredNetworkError, lambda: load_trained("tiny", 0, folder=there.folder)),
        there.card: (StoredNetworkError, lambda: load_trained("tiny", 0, folder=there.folder)),
        stored: (SweepError, lambda: load_sweep("tiny", tmp_path)),
        network: (NetworkFileError, lambda: load_network(network)),
        checkpoint: (CheckpointError, lambda: train(tiny(), 0, checkpoint.parent, **SAID)),
    }
    draw = random.Random(0)
    for path, (kind, read) in reads.items():
        content = path.read_bytes()
        whole = len(content.rstrip())  # the line's end of a JSON is no part of it
        for size in {0, 1, 8, whole - 1, *draw.sample(range(whole), 20)}:
            path.write_bytes(content[:size])
            with pytest.raises(kind, match=path.name.replace(".", r"\.")):
                read()
        path.write_bytes(content)


@pytest.mark.parametrize("content", [LFS, b"", b"<!DOCTYPE html>"])
def test_a_saved_network_that_is_something_else_says_so(content, tmp_path):
    (tmp_path / "it.safetensors").write_bytes(content)
    with pytest.raises(NetworkFileError, match=r"it\.safetensors.*\n.*no safetensors file"):
        load_network(tmp_path / "it.safetensors")
    with pytest.raises(NetworkFileError, match="it is a folder"):
        load_network(tmp_path)


def test_a_network_is_not_saved_into_a_folder_that_is_not_there(tmp_path):
    network, where = assemble(gradient_descent(2, 2, 0.25)), tmp_path / "new" / "it.safetensors"
    with pytest.raises(FileNotFoundError) as error:
        network.save(where)
    exec(str(error.value).partition("this would work: ")[2].partition(", then")[0], {"Path": Path})
    network.save(where)
    assert load_network(where).program == network.program
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        network.save(tmp_path)


# ---------------------------------------------------------------- what is stored


RECIPES = {path.stem: read_recipe(path) for path in sorted((ROOT / "training").glob("*.toml"))}
STATED = [(name, seed) for name, recipe in RECIPES.items() for seed in recipe.seeds]


def test_every_network_that_a_recipe_states_is_stored_and_is_of_that_recipe():
    assert {f"{name}-{seed}": why for name, seed in STATED if (why := why_missing(RECIPES[name], seed))} == {}


def test_nothing_is_stored_that_no_recipe_states():
    assert {path.name for path in WEIGHTS.iterdir()} <= {f"{name}-{seed}.{suffix}" for name, seed in STATED for suffix in ("json", "safetensors")}


def test_every_sweep_is_stored_and_is_the_grid_of_its_file():
    asked = script("sweep")
    assert {name: why for name in asked.NAMES if (why := asked.why_missing(asked.definition(name)))} == {}
    assert {path.name for path in (ROOT / "metarep_lib" / "sweeps").iterdir()} == {f"{name}.json" for name in (*asked.NAMES, "blind-identification")}
