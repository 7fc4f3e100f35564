"""Files as users meet them: with odd names, torn, changed, of another run, from Git LFS. Each is read right or refused by name."""

import importlib.util
import json
import pickle
import random
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
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
from metarep_lib.studies import Sweep, load_sweep, run_sweep
from metarep_lib.studies.journal import SweepError
from metarep_lib.train import cards, load_seeds, load_trained, read_recipe, recipe_of, train
from metarep_lib.train.checkpoint import CheckpointError
from metarep_lib.train.recipe import RecipeError
from metarep_lib.train.stored import Place, StoredNetworkError, places
from metarep_lib.train.trained import WEIGHTS, why_missing

ROOT = Path(__file__).resolve().parents[2]
SAID = {"commit": "none", "command": "python scripts/train.py training/tiny.toml --seed 0"}
TABLE = {
    "prior": {"kind": "linear", "n_inputs": 1, "noise": [0.5]},
    "network": {"attention": "softmax", "n_layers": 1, "d_model": 8, "n_heads": 1, "d_head": 4, "d_mlp": 8},
    "training": {"layout": "prefix", "n_support": [1, 2], "n_query": 1, "batch": 4, "steps": 6, "learning_rate": 1e-2, "warmup": 2},
}


def table(**changes):
    """The tables of a tiny recipe; a change names table and key, `training__steps=3`."""
    made = {name: dict(part) for name, part in TABLE.items()}
    for where, value in changes.items():
        part, _, key = where.partition("__")
        made[part][key] = value
    return made


def tiny(name="tiny", **changes):
    return recipe_of(name, table(**changes))


def script(name):
    """A script as a module."""
    sys.path.append(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["v1.2", "a.b.json", "with space", "größer λ", "tiny-1", "[x]", "100%", "-", "a'b;c$d"])
def test_a_recipe_of_any_name_has_its_own_files_for_every_seed(name, tmp_path):
    written = [train(tiny(name, training__steps=1), seed, tmp_path, **SAID) for seed in (0, 1, 12)]
    assert [path.name for path in written] == [f"{name}-{seed}.safetensors" for seed in (0, 1, 12)]
    assert len({path.read_bytes() for path in written}) == 3
    assert [network.card["seed"] for network in load_seeds(name, folder=tmp_path)] == [0, 1, 12]
    assert [(place.name, place.seed) for place in places(tmp_path)] == [(name, seed) for seed in (0, 1, 12)]
    assert load_trained(name, 12, folder=tmp_path).recipe.name == name


def test_the_seeds_of_a_name_with_a_dot_have_checkpoints_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 2)
    real, made = training.batch_loss, tiny("v1.2")
    monkeypatch.setattr(training, "batch_loss", lambda *given, left=[3]: real(*given) if left[0] and not left.__setitem__(0, left[0] - 1) else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(made, 0, tmp_path, **SAID)
    monkeypatch.setattr(training, "batch_loss", real)
    alone = train(made, 1, tmp_path / "alone", **SAID).read_bytes()
    assert train(made, 1, tmp_path, **SAID).read_bytes() == alone
    assert [path.name for path in tmp_path.glob("*.checkpoint")] == ["v1.2-0.checkpoint"]


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a\\b", ".hidden", "..", "a\nb", "a\0b", "a:b", "a" * 201, "ä" * 101, "\ud800"])
def test_a_name_that_no_file_can_have_is_refused(name, tmp_path):
    with pytest.raises(RecipeError, match="its name"):
        tiny(name)
    with pytest.raises(SweepError, match="its name"):
        run_sweep(Sweep(name, {}, [0], lambda seed: {}), tmp_path, **SAID)


@pytest.mark.parametrize("seed", [-1, True])
def test_a_seed_is_a_whole_number(seed, tmp_path):
    with pytest.raises(ValueError, match=r"train\('tiny', seed=.*seed=0"):
        train(tiny(), seed, tmp_path, **SAID)


# ---------------------------------------------------------------- recipes

WRONG = {  # key -> (a wrong value, what the message says of it)
    "prior__kind": ("cubic", "'linear', 'exponential'"),
    "prior__n_inputs": (0, "at least 1"),
    "prior__noise": ([], "a list"),
    "prior__condition": (float("nan"), "finite"),
    "prior__colour": (1, "there are: n_inputs, condition, noise"),
    "network__attention": ("sofmax", "'linear', 'normalised', 'softmax'"),
    "network__activation": ("relu", "'identity', 'gelu', 'silu'"),
    "network__norm": ("layr", "'none', 'rms', 'layer'"),
    "network__looped": (1, "true or false"),
    "network__n_layers": (2.5, "a whole number"),
    "network__d_model": ("8", "a whole number"),
    "network__d_mlp": (-1, "at least 0"),
    "network__n_heads": (True, "a whole number"),
    "network__depth": (3, "there are: attention, n_layers"),
    "training__layout": ("prefx", "'prefix', 'pair-causal'"),
    "training__n_support": ([5, 2], "smallest <= largest"),
    "training__batch": (0, "at least 1"),
    "training__steps": (-3, "at least 1"),
    "training__learning_rate": (0, "above 0"),
    "training__warmup": (0, "at least 1"),
    "training__clip": (float("inf"), "finite"),
    "training__weight_decay": (-0.1, "at least 0"),
    "training__speed": (1, "there are: layout, n_support"),
}


@pytest.mark.parametrize("where", WRONG)
def test_a_wrong_value_is_named_with_what_is_allowed(where):
    value, said = WRONG[where]
    part, _, key = where.partition("__")
    with pytest.raises(RecipeError) as error:
        tiny("odd", **{where: value})
    line = next(line for line in str(error.value).splitlines() if line.startswith("  - "))
    assert f"[{part}] {key}" in line and said in line and "this would work" in str(error.value)


def test_every_wrong_value_is_named_at_once_and_the_file(tmp_path):
    path = tmp_path / "odd.toml"
    text = 'seeds = [0, 0]\n[prior]\nkind = "linear"\nn_inputs = 3\n[netwrk]\n[network]\nnorm = "layr"\n[training]\nsteps = "many"\n'
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        read_recipe(path)
    said = str(error.value)
    assert said.startswith(f"read_recipe({str(path)!r}): no recipe")
    for reason in ("[netwrk] is no table", "[network] norm is 'layr'", "[network] d_model is missing", "[training] steps is 'many'", "seeds is [0, 0]"):
        assert reason in said


@pytest.mark.parametrize("value", [None, "many", -1, 0.5, float("nan"), 10**400, [], [0], {}, True])
@pytest.mark.parametrize("where", [f"{part}__{key}" for part, held in TABLE.items() for key in held])
def test_no_value_of_any_key_brings_a_raw_error(where, value):
    try:
        tiny(**{where: value})
    except RecipeError as error:
        assert where.replace("__", "] ") in str(error)


@pytest.mark.parametrize("part", TABLE)
@pytest.mark.parametrize("value", [None, 3, [], "text"])
def test_a_table_that_is_none_is_said_to_be_missing(part, value):
    with pytest.raises(RecipeError, match=rf"\[{part}\] is missing"):
        recipe_of("odd", TABLE | {part: value})


def test_a_recipe_made_in_python_is_checked_as_well():
    made = tiny()
    with pytest.raises(RecipeError, match=r"(?s)\[network\] d_head is 0.*\[training\] steps is -1"):
        replace(made, shape=replace(made.shape, d_head=0), schedule=replace(made.schedule, steps=-1))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "it is empty"), (b"[prior\n", "no TOML"), (b"\xff\xfe", "no TOML"), (b"version https://git-lfs.github.com/spec/v1\noid x\n", "git lfs pull")],
)
def test_a_file_that_is_no_recipe_is_named(content, said, tmp_path):
    (tmp_path / "odd.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=rf"(?s)odd\.toml.*{said}"):
        read_recipe(tmp_path / "odd.toml")


def test_a_recipe_that_is_not_there_says_which_are(tmp_path):
    (tmp_path / "there.toml").touch()
    with pytest.raises(FileNotFoundError, match=r"nowhere\.toml.*there are: there\.toml"):
        read_recipe(tmp_path / "nowhere.toml")
    (tmp_path / "odd.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"expected '\.toml'"):
        read_recipe(tmp_path / "odd.json")


def test_seeds_are_stated_and_no_part_of_what_is_trained():
    assert recipe_of("a", TABLE | {"seeds": [3, 5]}).seeds == (3, 5) and tiny().seeds == (0, 1, 2)
    assert recipe_of("a", TABLE | {"seeds": [3]}) == recipe_of("a", TABLE | {"seeds": []})
    assert "seeds" not in tiny().asdict()


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


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
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


@pytest.mark.parametrize("stopped", ["save_file", "sha256"])
def test_who_is_stopped_while_writing_leaves_the_old_network_or_none(stopped, there, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(f"metarep_lib.train.stored.{stopped}", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(tiny(training__steps=2), 0, there.folder, **SAID)
    if stopped == "save_file":
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


# ---------------------------------------------------------------- sweeps


def numbers(width, seed):
    return {"error": 1 / width + seed / 3, "path": [float("nan"), float("inf"), -float("inf"), 0.1 * width]}


def other_numbers(width, seed):
    return {"error": 2 / width + seed / 3, "path": [float("nan"), float("inf"), -float("inf"), 0.1 * width]}


def sweep(run=numbers, name="tiny"):
    return Sweep(name, {"width": [1, 2, 3]}, [0, 1], run)


def begun(folder, monkeypatch, rows=4):
    """The journal of a sweep that was stopped."""

    with monkeypatch.context() as patched:
        patched.setattr("metarep_lib.studies.sweep.write_sweep", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_sweep(sweep(), folder, **SAID)
    path = folder / "tiny.partial"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: 1 + rows]))
    return path


def rows_of(path):
    return path.read_bytes().partition(b'"rows"')[2]


def test_a_journal_torn_at_any_byte_is_gone_on_from(tmp_path, monkeypatch):
    whole = rows_of(run_sweep(sweep(), tmp_path / "whole", **SAID))
    journal = begun(tmp_path, monkeypatch)
    content, last = journal.read_bytes(), journal.read_bytes().rindex(b"\n", 0, -1)
    draw = random.Random(0)
    for size in {*draw.sample(range(len(content)), 40), *range(last, len(content) + 1, 7), 0, len(content)}:
        journal.write_bytes(content[:size])
        assert rows_of(run_sweep(sweep(), tmp_path, **SAID)) == whole
        journal.write_bytes(content[:size] + b"\0" * 8)  # a file system's way to leave a file after a crash
        assert rows_of(run_sweep(sweep(), tmp_path, **SAID)) == whole


def test_only_what_is_missing_runs_again(tmp_path, monkeypatch):
    journal, ran = begun(tmp_path, monkeypatch, rows=4), []
    journal.write_bytes(journal.read_bytes()[:-5])
    monkeypatch.setattr("metarep_lib.studies.sweep.short", lambda value: ran.append(value) or value)
    run_sweep(sweep(), tmp_path, **SAID)
    assert len(ran) == 2 * 3  # two results at each of three points


@pytest.mark.parametrize("run", [other_numbers, lambda width, seed: numbers(width, seed), partial(other_numbers)], ids=["another", "lambda", "partial"])
def test_rows_of_an_older_run_are_not_stored_beside_new_ones(run, tmp_path, monkeypatch):
    journal = begun(tmp_path, monkeypatch)
    before = journal.read_bytes()
    with pytest.raises(SweepError, match=r"(?s)tiny\.partial.*made by other code.*remove it to start anew"):
        run_sweep(sweep(run), tmp_path, **SAID)
    assert journal.read_bytes() == before


def test_rows_of_another_library_are_not_stored_beside_new_ones(tmp_path, monkeypatch):
    begun(tmp_path, monkeypatch)
    monkeypatch.setattr("metarep_lib.studies.sweep.library_digest", lambda: "another")
    with pytest.raises(SweepError, match="made by other code"):
        run_sweep(sweep(), tmp_path, **SAID)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [b'{"width": 1, "seed": 0}\n', *lines[1:]], "its format is None"),
        (lambda lines: [*lines[:2], b"{torn}\n", *lines[3:]], "line 3 is no line of a journal"),
        (lambda lines: [*lines[:2], b"7\n", *lines[3:]], "line 3 is no line of a journal: it is a int"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3 is not the row of {'width': 1, 'seed': 1}"),
        (lambda lines: [*lines, *lines[1:]], "it has 8 rows, the grid 6 points"),
        (lambda lines: [LFS], "pointer of Git LFS"),
    ],
)
def test_a_journal_that_is_none_is_refused(change, said, tmp_path, monkeypatch):
    journal = begun(tmp_path, monkeypatch)
    journal.write_bytes(b"".join(change(journal.read_bytes().splitlines(keepends=True))))
    with pytest.raises(SweepError) as error:
        run_sweep(sweep(), tmp_path, **SAID)
    assert said in str(error.value) and str(journal) in str(error.value) and "remove it to start anew" in str(error.value)


def test_a_sweep_is_json_by_the_standard_and_comes_back_as_it_was(tmp_path):
    path = run_sweep(sweep(), tmp_path, **SAID)
    held = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
    assert held["rows"][0]["path"] == [None, "Infinity", "-Infinity", 0.1]
    back = load_sweep("tiny", tmp_path)
    assert repr(back.rows[0]["path"]) == "[nan, inf, -inf, 0.1]"
    assert back.values("path").shape == (3, 2, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (LFS, "pointer of Git LFS"),
        (b'{"card": ', "no JSON"),
        (b'{"card": {}, "knobs": {}, "rows": [{"a": NaN}]}', "it has NaN"),
        (b"[]", "it has no card, knobs, rows"),
        (b'{"card": {}, "knobs": {"a": [1]}, "rows": [{"b": 1}]}', "row 0 has no a"),
        (b'{"card": {}, "knobs": {}, "rows": [3]}', "row 0 has no names"),
    ],
)
def test_a_stored_sweep_that_is_broken_says_how_it_is_made_again(content, said, tmp_path):
    (tmp_path / "tiny.json").write_bytes(content)
    with pytest.raises(SweepError, match=rf"(?s)tiny\.json.*{said}.*remove it and run `make sweeps`"):
        load_sweep("tiny", tmp_path)


def test_a_result_that_is_called_like_a_knob_is_refused(tmp_path):
    with pytest.raises(SweepError, match="its results have width, which are knobs"):
        run_sweep(sweep(lambda width, seed: {"width": 3.0}), tmp_path, **SAID)
    with pytest.raises(SweepError, match="'seed' is a knob"):
        run_sweep(Sweep("tiny", {"seed": [1]}, [0], numbers), tmp_path, **SAID)
    with pytest.raises(SweepError, match="width takes nan"):
        run_sweep(Sweep("tiny", {"width": [float("nan")]}, [0], numbers), tmp_path, **SAID)


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


# ---------------------------------------------------------------- the scripts


TOML = """seeds = [0, 2]
[prior]
kind = "linear"
n_inputs = 1
noise = [0.5]
[network]
attention = "softmax"
n_layers = 1
d_model = 8
n_heads = 1
d_head = 4
d_mlp = 8
[training]
layout = "prefix"
n_support = [1, 2]
n_query = 1
batch = 4
steps = 2
learning_rate = 1e-2
"""


def test_a_recipe_by_its_difference_is_the_one_written_out(tmp_path):
    """Against the file written out by hand: keys in its own tables, a prior of another kind as a whole."""
    whole = TOML.replace("steps = 2", "steps = 3")
    (tmp_path / "tiny.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / "written.toml").write_text(whole, encoding="utf-8")
    (tmp_path / "other.toml").write_text('base = "tiny"\n[training]\nsteps = 3\n', encoding="utf-8")
    written, other = (read_recipe(tmp_path / f"{name}.toml").asdict() for name in ("written", "other"))
    assert written | {"name": ""} == other | {"name": ""}
    assert other["training"] != read_recipe(tmp_path / "tiny.toml").asdict()["training"]
    kind = 'base = "tiny"\n[prior]\nkind = "exponential"\nn_inputs = 2\ntau = 0.5\nnoise = [0.1]\n'
    (tmp_path / "kind.toml").write_text(kind, encoding="utf-8")
    assert read_recipe(tmp_path / "kind.toml").asdict()["prior"] == {"kind": "exponential", "n_inputs": 2, "tau": 0.5, "noise": (0.1,)}


@pytest.mark.parametrize("base, said", [('"nowhere"', "no such recipe"), ('"a/b"', "beside it"), ("3", "beside it"), ('"second"', "has a base itself")])
def test_a_base_that_is_none_is_named(tmp_path, base, said):
    (tmp_path / "second.toml").write_text('base = "tiny"\n', encoding="utf-8")
    (tmp_path / "odd.toml").write_text(f"base = {base}\n", encoding="utf-8")
    with pytest.raises((RecipeError, FileNotFoundError), match=rf"(?s)odd\.toml.*{said}"):
        read_recipe(tmp_path / "odd.toml")


def test_a_recipe_is_trained_from_any_folder_and_its_card_quotes_a_command_that_works(tmp_path, monkeypatch):
    asked = script("train")
    (tmp_path / "my own.toml").write_text(TOML, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "my own.toml", "--seed", "0", "--folder", "here"])
    asked.main()
    card = load_trained("my own", 0, folder=tmp_path / "here").card
    assert card["command"] == f"python scripts/train.py '{tmp_path}/my own.toml' --seed 0"
    of_repository = asked.file_of(Path("training/softmax-gp.toml"))
    assert of_repository.exists() and asked.command(of_repository, 1) == "python scripts/train.py training/softmax-gp.toml --seed 1"


def test_make_weights_trains_what_is_stated_and_not_stored_and_nothing_else(tmp_path, monkeypatch, capsys):
    asked = script("train")
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "v1.2.toml").write_text(TOML, encoding="utf-8")
    monkeypatch.setattr(asked, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "--missing", "--folder", str(tmp_path / "here")])

    def trained():
        capsys.readouterr()
        asked.main()
        return [line.rpartition("/")[2] for line in capsys.readouterr().out.splitlines() if line.endswith(".safetensors")]

    assert trained() == ["v1.2-0.safetensors", "v1.2-2.safetensors"]
    assert trained() == []
    (tmp_path / "here" / "v1.2-0.json").unlink()
    assert trained() == ["v1.2-0.safetensors"]
    (tmp_path / "here" / "v1.2-2.safetensors").write_bytes(LFS)
    assert trained() == ["v1.2-2.safetensors"]
    (tmp_path / "training" / "v1.2.toml").write_text(TOML.replace("steps = 2", "steps = 3"), encoding="utf-8")
    assert trained() == ["v1.2-0.safetensors", "v1.2-2.safetensors"]
    (tmp_path / "training" / "bad.toml").write_text(TOML.replace('"prefix"', '"prefx"'), encoding="utf-8")
    (tmp_path / "here" / "v1.2-0.json").unlink()
    with pytest.raises(RecipeError, match=r"bad\.toml"):  # before anything is trained
        asked.main()
    assert not (tmp_path / "here" / "v1.2-0.json").exists()


def test_a_copy_without_a_repository_does_not_know_its_commit(tmp_path):
    (tmp_path / "scripts").mkdir()
    for name in ("chapters.py", "commit.py"):
        (tmp_path / "scripts" / name).write_bytes((ROOT / "scripts" / name).read_bytes())
    command = [sys.executable, "-c", "from commit import commit; print(commit('training'))"]
    done = subprocess.run(command, cwd=tmp_path / "scripts", check=True, capture_output=True, encoding="utf-8")
    assert done.stdout == "unknown\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_run_ends_as_one_that_nobody_killed():
    """Five random moments and five accesses of each; `make kills` tries fifty, and every access."""
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "kills.py"), "--moments", "5"], check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("every time the bytes of an unkilled run") == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_kills_would_notice_that_nobody_takes_turns(tmp_path, monkeypatch):
    kills = script("kills")
    monkeypatch.setattr("metarep_lib.studies.sweep.alone", lambda path: nullcontext(False))
    trial = kills.Trial(kills.TASKS[1], tmp_path, random.Random(1))
    with pytest.raises(kills.Wrong):
        for _ in range(20):
            trial.two_at_once()
