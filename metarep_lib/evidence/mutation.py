"""Testing the certificates: every mutant of a network must die, or be known to do no harm.

A certificate that accepts a wrong network proves nothing. Three kinds of mutants are made: one
non-zero weight tripled, one gated unit dropped, two neighbouring unequal blocks swapped.
"""

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from metarep_lib.construct.assemble import ConstructedTransformer
from metarep_lib.evidence.certificate import certify_end_to_end, certify_step, is_looped
from metarep_lib.evidence.recurrence import Recurrence
from metarep_lib.network.transformer import TransformerConfig

Mutant = tuple[str, dict[str, Tensor], TransformerConfig]


def mutants(state_dict: dict[str, Tensor], config: TransformerConfig) -> Iterator[Mutant]:
    """Yield (what was done, weights, configuration), one small wrong at a time."""
    for name, weight in state_dict.items():
        for at in weight.nonzero().tolist():
            tripled = weight.clone()
            tripled[tuple(at)] *= 3
            yield f"tripled {name}{at}", state_dict | {name: tripled}, config
        if name.endswith("mlp.W_out"):
            for unit in range(len(weight)):
                dropped = weight.clone()
                dropped[unit] = 0
                yield f"dropped unit {unit} of {name}", state_dict | {name: dropped}, config
    schedule = config.schedule
    for i, (one, other) in enumerate(zip(schedule, schedule[1:])):
        if one != other:
            swapped = (*schedule[:i], other, one, *schedule[i + 2 :])
            yield f"swapped blocks {i} and {i + 1}", state_dict, replace(config, schedule=swapped)


def survivors(network: ConstructedTransformer, recurrence: Recurrence, *, seed: int, n_support: int = 3) -> tuple[list[str], int]:
    """Mutants that every certificate accepts, and how many mutants were tried.

    A mutant dies when the certificate of a step or the one from end to end fails. Networks of two
    steps are enough: a third would repeat the same tensors or the same circuits.
    """
    config = network.transformer.config
    n_features, n_outputs = network.program.inputs.width("phi"), network.program.inputs.width("y")
    n_steps = 1 if is_looped(config, recurrence) else network.program.n_steps

    def lives(weights: dict[str, Tensor], mutated: TransformerConfig) -> bool:
        settings = {"seed": seed, "n_support": n_support, "bound_error": False}
        if mutated.schedule == config.schedule:
            for t in range(n_steps):
                if not certify_step(weights, mutated, network.basis, recurrence, t=t, n_inputs=n_features, **settings).holds:
                    return False
        return certify_end_to_end(weights, mutated, recurrence, n_features=n_features, n_outputs=n_outputs, **settings).holds

    all_mutants = list(mutants(network.transformer.state_dict(), config))
    return [what for what, weights, mutated in all_mutants if lives(weights, mutated)], len(all_mutants)
