"""A network out of its file is the network that was saved, and a file that is none says so."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import metarep_lib.construct.algorithms as algorithms
from factories import integers, random_prompt
from metarep_lib import Program, Prompt, Transformer, assemble
from metarep_lib.certify import certify
from metarep_lib.construct import ConstructedTransformer, algorithm, describe, load_network
from metarep_lib.construct.algorithms import (
    conjugate_gradient,
    gradient_descent,
    kernel_product,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.as_data import data_of, program_of
from metarep_lib.construct.load import ALGORITHMS, NetworkFileError
from metarep_lib.construct.transforms import on_frozen_stack
from metarep_lib.network.transformer import AttentionConfig, BlockConfig, TransformerConfig
from networks import NETWORKS

names = pytest.mark.parametrize("name", NETWORKS)


def returned(network: ConstructedTransformer, folder: Path) -> ConstructedTransformer:
    network.save(folder / "it.safetensors")
    return load_network(folder / "it.safetensors")


def prompt_for(network: ConstructedTransformer) -> Prompt:
    program = network.program
    made = random_prompt(5, program.inputs.width("phi"), 0 if program.causal else 2, 0.5)
    outputs = program.inputs.width("y")
    y = made.y if outputs == 1 else integers(5, outputs, seed=1)
    return Prompt(made.phi, y, made.phi_query, 0.5).to(network.transformer.W_E.dtype)


@names
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_loaded_network_says_the_same_to_the_bit(name, dtype, tmp_path):
    network = assemble(NETWORKS[name].program, dtype=dtype)
    again, prompt = returned(network, tmp_path), prompt_for(network)
    assert torch.equal(again.predict(prompt), network.predict(prompt))
    assert torch.equal(again.run(prompt).resid, network.run(prompt).resid)
    assert not any(weight.requires_grad for weight in again.transformer.parameters())


@names
def test_a_loaded_program_is_the_same_with_its_record(name, tmp_path):
    program = NETWORKS[name].program
    again = returned(assemble(program), tmp_path).program
    assert (
        again == program
        and again.call == program.call
        and again.call.function is program.call.function
    )
    assert describe(again) == describe(program) and again.scratch == program.scratch


def test_a_loaded_network_is_certified(tmp_path):
    network = assemble(two_block_conjugate_gradient(2, 2))
    assert str(certify(returned(network, tmp_path))) == str(certify(network))


def test_a_changed_weight_is_saved_and_refused(tmp_path):
    network = assemble(gradient_descent(2, 2, 0.25))
    network.transformer.W_E[0, 0] = 2.0
    assert not certify(returned(network, tmp_path), bound_error=False).holds


def test_blocks_of_another_transformer_are_kept(tmp_path):
    heads = (AttentionConfig("softmax", 1, 2, 2, score_scale=0.5, hidden_keys=(0,)),)
    shape = TransformerConfig(7, 4, 2, (BlockConfig(heads, 3, activation="gelu"),), (0, 0))
    network = on_frozen_stack(
        gradient_descent(2, 2, 0.25), Transformer(shape, torch.Generator()).double()
    )
    again, prompt = returned(network, tmp_path), random_prompt(5, 1, 2, 0.5)
    assert again.transformer.config == network.transformer.config
    assert torch.equal(again.predict(prompt), network.predict(prompt))


def test_weights_in_half_precision_are_kept(tmp_path):
    network = assemble(gradient_descent(2, 2, 0.25), dtype=torch.bfloat16)
    assert returned(network, tmp_path).transformer.W_E.dtype == torch.bfloat16


def test_loading_draws_nothing(tmp_path):
    network, before = assemble(gradient_descent(2, 2, 0.25)), torch.get_rng_state()
    returned(network, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_program_of_every_algorithm_survives_json():
    functions = {
        name
        for name in algorithms.__all__
        if getattr(algorithms, name).__annotations__.get("return") is Program
    }
    assert functions < set(ALGORITHMS)
    for program in (kernel_product(3, tau=1.0), *(case.program for case in NETWORKS.values())):
        again = program_of(json.loads(json.dumps(data_of(program))), ALGORITHMS)
        assert again == program and again.call == program.call


# ---------------------------------------------------------------- records that are none


def test_a_program_without_a_record_has_none_afterwards(tmp_path):
    assert returned(assemble(replace(gradient_descent(2, 2, 0.25))), tmp_path).program.call is None


def test_a_function_nobody_knows_is_no_record(tmp_path):
    @algorithm
    def my_own(n_features: int) -> Program:
        return gradient_descent(n_features, 2, 0.25)

    network = assemble(my_own(2))
    again = returned(network, tmp_path).program
    assert network.program.call.name == "my_own" and again == network.program and again.call is None


@pytest.mark.parametrize(
    "wrong", [{"step_size": 0.5}, {"steps": "many"}, {"smallest": 1.0}], ids=str
)
def test_a_record_that_makes_something_else_is_none(wrong, tmp_path):
    program = gradient_descent(2, 2, 0.25)
    data = json.loads(json.dumps(data_of(program)))
    data["call"]["arguments"] |= wrong
    again = program_of(data, ALGORITHMS)
    assert again == program and again.call is None


# ---------------------------------------------------------------- files that hold no network


def rewritten(path: Path, weights=lambda weights: weights, header=lambda header: header) -> Path:
    """Another file with something changed."""
    with safe_open(path, framework="pt") as file:
        said = file.metadata()
    other = path.with_name("other.safetensors")
    save_file(weights(load_file(path)), other, header(said))
    return other


def change(what: str, **keys: object):
    return lambda header: header | {what: json.dumps(json.loads(header[what]) | keys)}


@pytest.fixture
def saved(tmp_path):
    assemble(conjugate_gradient(2, 2)).save(tmp_path / "it.safetensors")
    return tmp_path / "it.safetensors"


def test_an_untouched_copy_is_read(saved):
    assert load_network(rewritten(saved)).program == conjugate_gradient(2, 2)


def without_readout(weights):
    return {name: weight for name, weight in weights.items() if name != "W_U"}


WRONG_HEADER = {
    "its header has no format, config, program": lambda header: {},
    "its format is '9', expected 'metarep network 1'": lambda header: header | {"format": "9"},
    "its header cannot be read, JSONDecodeError": lambda header: header | {"program": "{"},
    "its header cannot be read, KeyError": lambda header: header | {"program": "{}"},
    r"W_E is \[8, 18\], its shape says \[9, 18\]": change("config", d_input=9),
    "9 inputs, its program has 8": change("config", d_input=9),
    "3 blocks, its program has 10": change("config", schedule=[0, 1, 2]),
    "there is no block 7": change("config", schedule=[7]),
}
WRONG_WEIGHTS = {
    "W_U is missing": without_readout,
    "W_X is no weight of this shape": lambda weights: weights | {"W_X": weights["W_U"].clone()},
    r"W_U is \[1, 18\], its shape says \[18, 1\]": lambda weights: (
        weights | {"W_U": weights["W_U"].T.contiguous()}
    ),
    "its weights are torch.float32, torch.float64": lambda weights: (
        weights | {"W_U": weights["W_U"].float()}
    ),
}
WRONG = {reason: {"header": change} for reason, change in WRONG_HEADER.items()}
WRONG |= {reason: {"weights": change} for reason, change in WRONG_WEIGHTS.items()}


@pytest.mark.parametrize("reason", WRONG)
def test_a_file_that_holds_no_network_says_which_and_why(reason, saved):
    with pytest.raises(
        NetworkFileError, match=rf"(?s)other\.safetensors.*{reason}.*this would work"
    ):
        load_network(rewritten(saved, **WRONG[reason]))


@pytest.mark.parametrize("size", [0, 7, 200, -1])
def test_a_file_cut_short_is_refused(saved, size):
    saved.write_bytes(saved.read_bytes()[:size])
    with pytest.raises(
        NetworkFileError, match=r"it\.safetensors.*\n.*no safetensors file, or a broken one"
    ):
        load_network(saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.safetensors.*this would work"):
        load_network(tmp_path / "nowhere.safetensors")


# ---------------------------------------------------------------- a writer that is stopped


def test_a_write_that_fails_leaves_the_old_network_and_nothing_else(saved, monkeypatch):
    monkeypatch.setattr(Path, "replace", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        assemble(gradient_descent(2, 2, 0.25)).save(saved)
    assert load_network(saved).program == conjugate_gradient(2, 2)
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_writer_that_is_killed_leaves_the_old_network(saved):
    killed = (
        "import os, signal, sys; from pathlib import Path; from metarep_lib import assemble\n"
        "from metarep_lib.construct.algorithms import gradient_descent\n"
        "def half(path, content):\n"
        "    path.open('wb', buffering=0).write(content[: len(content) // 2])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Path.write_bytes = half\n"
        "assemble(gradient_descent(2, 2, 0.25)).save(sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", killed, str(saved)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(saved.parent.iterdir())) == 2  # the half
    assert load_network(saved).program == conjugate_gradient(2, 2)
