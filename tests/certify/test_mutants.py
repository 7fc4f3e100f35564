"""Mutants of all constructed networks: a sample of 500 dies, ten known survivors of each survive, and all of those have a reason.

`make mutants` tries all mutants, and holds all survivors to what is stored.
"""

import json
import random
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from factories import unchecked
from metarep_lib import assemble
from metarep_lib.certify import mutants
from metarep_lib.certify.mutants import WRITING, Harness
from networks import NETWORKS
from survivors import REASONS, reason

STORED = json.loads((Path(__file__).resolve().parents[1] / "support" / "mutants.json").read_text(encoding="utf-8"))
N_SAMPLED, N_SURVIVORS = 500, 10
SEED = 5  # another one would draw another prime: survivors are the same, being right networks
names = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture(scope="module", autouse=True)
def without_checks_of_annotations():
    with unchecked():
        yield


@cache
def tried(name: str) -> tuple[Harness, list]:
    case = NETWORKS[name]
    network = assemble(case.program)
    return Harness(network, case.expects, seed=SEED, n_support=case.n_support), list(mutants(network))


def sample(name: str) -> list:
    """This network's share of the sample, as large as its share of all mutants."""
    everybody = sum(sum(of_it["made"].values()) for of_it in STORED.values())
    of_it = tried(name)[1]
    return random.Random(name).sample(of_it, max(5, round(N_SAMPLED * len(of_it) / everybody)))


def test_the_stored_networks_are_all_networks():
    assert STORED.keys() == NETWORKS.keys()


@names
def test_as_many_mutants_are_made_as_were_tried(name):
    assert Counter(mutant.kind for mutant in tried(name)[1]) == Counter(STORED[name]["made"])


@names
def test_no_two_mutants_have_one_name(name):
    everybody = tried(name)[1]
    assert len({str(mutant) for mutant in everybody}) == len(everybody)


@names
def test_a_name_says_what_it_connects(name):
    """Read off the matrices by hand: what is added to W_E, W_O or W_out lands on the channel whose name stands behind the arrow."""
    stream, inputs = NETWORKS[name].program.stream, NETWORKS[name].program.inputs
    for mutant in tried(name)[1]:
        matrix = (mutant.tensor or "").split(".")[-1]
        source, _, target = mutant.where.rpartition(" -> ")
        if matrix in WRITING and len(mutant.at) > 1:
            assert stream[target].start <= mutant.at[-1] < stream[target].stop == stream[target].start + 1, mutant
        elif matrix in ("W_Q", "W_K", "W_V", "W_gate", "W_in", "W_U"):
            assert stream[source.split(" ")[-1]].start == mutant.at[-2], mutant
        if matrix == "W_E":
            assert inputs[source.split(" ")[-1]].start == mutant.at[0], mutant


@names
def test_a_sample_dies_but_for_the_known_survivors(name):
    harness, known = tried(name)[0], set(STORED[name]["survivors"])
    assert not [str(mutant) for mutant in sample(name) if str(mutant) not in known and harness.accepts(mutant)]


@names
def test_known_survivors_are_made_and_a_sample_of_them_survives(name):
    harness, everybody = tried(name)
    known = set(STORED[name]["survivors"])
    again = [mutant for mutant in everybody if str(mutant) in known]
    assert len(again) == len(known)
    some = random.Random(name).sample(again, min(N_SURVIVORS, len(again)))
    assert not [str(mutant) for mutant in some if not harness.accepts(mutant)]


@names
def test_every_survivor_has_a_reason(name):
    assert not [what for what in STORED[name]["survivors"] if reason(name, what) is None]


def test_a_write_that_is_never_cleared_has_no_reason():
    assert reason("two blocks", "added block 0 W_out unit g[0] * g[0] into delta -> alpha") is None
    assert reason("two blocks", "tripled block 0 W_out unit g[0] * g[0] into delta -> beta") is None


def test_every_reason_is_somebodys():
    used = {reason(name, what) for name, of_it in STORED.items() for what in of_it["survivors"]}
    assert used == set(REASONS)
