"""The commands that train, and that kill what trains."""

import random
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from metarep_lib.train import load_trained, read_recipe
from metarep_lib.train.recipe import RecipeError
from small_runs import LFS, ROOT, script

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
