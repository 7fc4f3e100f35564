"""The induction behind every certificate of all steps: each of its hypotheses is needed, and both together let no wrong network through.

The faults are planted where one of the hypotheses alone does not look. That each does harm is seen in an ordinary forward pass.
"""

from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch

from certificates import certifies
from factories import prompt_of
from metarep_lib import Program, assemble, conjugate_gradient, two_block_conjugate_gradient
from metarep_lib.certify import Recurrence, certify_end_to_end
from metarep_lib.certify.certificate import StepTrial, WholeTrial, exact, pose
from metarep_lib.certify.recurrences.dual import conjugate_gradient_recurrence, two_block_recurrence
from metarep_lib.certify.rings import Field
from metarep_lib.construct.assemble import ConstructedTransformer
from metarep_lib.construct.program import guard_of

STEPS, P = 5, 2
TWO_BLOCKS = two_block_conjugate_gradient(P, STEPS), two_block_recurrence()
FIVE_BLOCKS = conjugate_gradient(P, STEPS), conjugate_gradient_recurrence()


@dataclass(frozen=True)
class Planted:
    """A network with a fault, and the recurrence it was made for."""

    network: ConstructedTransformer
    recurrence: Recurrence


def with_entry(program: Program, recurrence: Recurrence, tensor: str, row: int | slice, column: int | slice, change) -> Planted:
    network = assemble(program)
    weight = network.transformer.state_dict()[tensor]
    weight[..., row, column] = change(weight[..., row, column])
    return Planted(network, recurrence)


def into(program: Program, source: str, target: str) -> tuple[int, slice]:
    """Row and column of W_E."""
    return program.inputs[source].start, program.stream[target]


def target_in_s() -> Planted:
    """The embedding writes y into s, too: the first two predictions are right."""
    return with_entry(*TWO_BLOCKS, "W_E", *into(TWO_BLOCKS[0], "y", "s"), lambda entry: entry + 1)


def wrong_alpha() -> Planted:
    """alpha is off for ever, and no prediction shows it."""
    return with_entry(*TWO_BLOCKS, "W_E", *into(TWO_BLOCKS[0], "y", "alpha"), lambda entry: entry + 17)


def half_the_target() -> Planted:
    """The embedding writes half the target into p: every step is one of the algorithm, from a wrong start."""
    return with_entry(*FIVE_BLOCKS, "W_E", *into(FIVE_BLOCKS[0], "y", "p"), lambda entry: entry / 2)


def third_step_twice() -> Planted:
    """From the third step on the blocks `reduce again` and `turn` are left out."""
    network = assemble(FIVE_BLOCKS[0])
    config = network.transformer.config
    schedule = config.schedule[:10] + (0, 1, 2, 2, 2) * 3
    network.transformer.config = replace(config, schedule=schedule)
    return Planted(network, FIVE_BLOCKS[1])


def loud_guard() -> Planted:
    """The query that the guard of a division meets is as large as the guard is small."""
    network = assemble(TWO_BLOCKS[0])
    for name, weight in network.transformer.state_dict().items():
        if name.endswith("attention.1.W_Q"):
            keys = network.transformer.state_dict()[name.replace("W_Q", "W_K")]
            meets = (keys == guard_of(keys.dtype)).any(-2)  # [heads, d_head]
            weight *= torch.where(meets, torch.tensor(0.1 / guard_of(keys.dtype), dtype=keys.dtype), keys.new_ones(())).unsqueeze(-2)
    return Planted(network, TWO_BLOCKS[1])


PLANTED = {plant.__name__: plant for plant in (target_in_s, wrong_alpha, half_the_target, third_step_twice, loud_guard)}


def entries(planted: Planted, guarded: bool, base: bool, step: bool):
    """What the certificates compare: the base over two steps, and a step; with its kind."""
    network, recurrence = planted.network, planted.recurrence
    field = Field(seed=7, guarded=guarded)
    problem = pose(recurrence, field, P, 3, 1, 1)
    config = network.transformer.config
    tried = exact(network.transformer.state_dict(), config, field)
    if base:
        short = exact(network.transformer.state_dict(), replace(config, schedule=config.schedule[: 2 * recurrence.n_blocks]), field)
        yield from WholeTrial(network.basis, recurrence, problem, 2).compare(short)
    if step:
        for t in range(STEPS):
            yield from StepTrial(network.basis, recurrence, problem, t).compare(tried)


def accepts(planted: Planted, *, guarded: bool = True, base: bool = True, step: bool = True, look=lambda name: True) -> bool:
    """The two certificates, or what is left of them."""
    return all((ours == theirs).all() for name, ours, theirs in entries(planted, guarded, base, step) if look(name))


@cache
def harm(plant) -> float:
    """The largest error of any named direction on supports and queries in an ordinary forward pass of five steps, relative to its size."""
    planted, prompt = plant(), prompt_of(30.0, 12, P, 3, seed=1)
    program = {recurrence.name: program for program, recurrence in (TWO_BLOCKS, FIVE_BLOCKS)}[planted.recurrence.name]
    right, wrong = assemble(program).run(prompt), planted.network.run(prompt)
    errors = [
        ((right[name, group] - wrong[name, group]).norm() / right[name, group].norm()).item()
        for name in ("alpha", "r", "p")
        for group in ("support", "query")
        if right[name, group].any()
    ]
    return max(errors)


@certifies(
    "thm-induction",
    statement=accepts,
    mutants={
        "only the outputs are compared": lambda planted: accepts(planted, look=lambda name: name.startswith("f_"), step=False),
        "the step alone": lambda planted: accepts(planted, base=False),
        "the base alone": lambda planted: accepts(planted, step=False),
        "guards count as zero": lambda planted: accepts(planted, guarded=False),
    },
    exact=True,
)
def test_no_planted_fault_passes_both_certificates(statement):
    for program, recurrence in (TWO_BLOCKS, FIVE_BLOCKS):
        assert statement(Planted(assemble(program), recurrence))
    assert not [name for name, plant in PLANTED.items() if statement(plant())]


def test_a_step_certified_for_other_states_than_the_first_one_is_refused():
    """Hypothesis 1 asks that s_1 is one of the states of hypothesis 2: here every step is said to find started = 2."""
    program, recurrence = TWO_BLOCKS
    network = assemble(program)
    weights, config = network.transformer.state_dict(), network.transformer.config
    wrong = replace(recurrence, known=lambda state, problem, t: {"started": problem.number(2.0)})
    whole = certify_end_to_end(weights, config, network.basis, wrong, seed=1, bound_error=False)
    assert {entry.partition("[")[0] for entry in whole.mismatches} == {f"step {t}: known started" for t in range(1, STEPS + 1)}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED.keys())
def test_every_planted_fault_does_harm(plant):
    assert harm(plant) > 1e-3


def test_outputs_alone_cannot_see_what_the_third_prediction_shows():
    prompt = prompt_of(30.0, 12, P, 3, seed=1)
    right, wrong = assemble(TWO_BLOCKS[0]).run(prompt).prediction, target_in_s().network.run(prompt).prediction
    torch.testing.assert_close(wrong[:3], right[:3], rtol=1e-12, atol=1e-12)
    assert (wrong[3] - right[3]).abs().max() > 1e-3 * right[3].abs().max()
