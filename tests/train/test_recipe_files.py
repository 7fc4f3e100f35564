"""Names and recipes: what files may be called, and what they may say."""

from dataclasses import replace

import pytest

import metarep_lib.train.loop as training
from metarep_lib.studies import Sweep, run_sweep
from metarep_lib.studies.journal import SweepError
from metarep_lib.train import load_seeds, load_trained, read_recipe, recipe_of, train
from metarep_lib.train.recipe import RecipeError
from metarep_lib.train.stored import places
from small_runs import SAID, TABLE, tiny

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
