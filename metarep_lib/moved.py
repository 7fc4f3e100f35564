"""Where things were: old paths work for one release, and every use says the new one.

MODULES: a module that was, and where it or its parts are. NAMES: a package, and where the names are that it once announced.
All paths begin below `metarep_lib`. Whoever removes this file removes `moved` from the packages that end in `moved.names(...)`.

>>> import warnings
>>> with warnings.catch_warnings(record=True) as said:
...     warnings.simplefilter("always")
...     from metarep_lib.evidence.files import replace
>>> print(said[0].message)
metarep_lib.evidence.files is metarep_lib.storage.whole now; the old path works for one release
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

TOP = "metarep_lib"

MODULES = {
    "construct.algorithms.block": "construct.algorithms.block_conjugate_gradient",
    "construct.algorithms.causal": "construct.algorithms.causal_conjugate_gradient",
    "construct.algorithms.copies": "construct.algorithms.copied_gradient_descent",
    "construct.algorithms.feature_scaling": (
        "construct.algorithms.feature_scaled_conjugate_gradient"
    ),
    "construct.algorithms.frame": "construct.algorithms.krr_program",
    "construct.algorithms.gram": "construct.algorithms.carried_gram",
    "construct.algorithms.look_ahead": "construct.algorithms.one_block_conjugate_gradient",
    "construct.algorithms.narrow": "construct.algorithms.narrow_gradient_descent",
    "construct.algorithms.one_shot": "construct.algorithms.softmax_smoother",
    "construct.algorithms.preconditioned": "construct.algorithms.softmax_preconditioner",
    "construct.algorithms.two_block": "construct.algorithms.two_block_conjugate_gradient",
    "construct.basis": "network.basis",
    "construct.circuits": (
        "construct.circuits.linear construct.circuits.division construct.circuits.token"
    ),
    "construct.communication": "construct.transforms.all_to_all",
    "construct.degree": "certify.degree",
    "construct.exact": "certify.exact",
    "construct.features": (
        "construct.transforms.polynomial_features construct.transforms.frozen_stack"
    ),
    "construct.softmax_circuits": "construct.circuits.softmax",
    "construct.stencil": "construct.transforms.softmax_products",
    "construct.tokens": "network.tokens",
    "evidence.adversary": "studies.adversary",
    "evidence.algorithms": "certify.recurrences.dual certify.recurrences.primal",
    "evidence.alignment": "evidence.align.smoother_families evidence.align.target_weights",
    "evidence.balls": "certify.exact_errors",
    "evidence.blindness": "certify.blind_pair",
    "evidence.candidates": "evidence.identify.candidates",
    "evidence.capacity": "studies.capacity",
    "evidence.catalogue": "certify.catalogue",
    "evidence.certificate": "certify.certificate",
    "evidence.controls": "evidence.probe.controls",
    "evidence.diagnostics": "evidence.align.silent_failure",
    "evidence.drift": "certify.statements.stability",
    "evidence.edits": "evidence.intervene.edits network.places construct.heads_into",
    "evidence.exponential": "certify.exponential_problem",
    "evidence.files": "storage.whole",
    "evidence.heads": "evidence.align.kernel_heads",
    "evidence.identification": "evidence.identify.tuning evidence.identify.verdict",
    "evidence.interventions": "evidence.intervene.intervene",
    "evidence.layers": "evidence.identify.readouts evidence.probe.other_basis",
    "evidence.leakage": "certify.leakage",
    "evidence.lineup": "studies.lineup",
    "evidence.marks": "evidence.identify.spectral_marks",
    "evidence.mutation": "certify.mutants",
    "evidence.naming": "certify.naming",
    "evidence.probes": "evidence.probe.probes",
    "evidence.problem": "certify.problem",
    "evidence.recipe": "train.recipe",
    "evidence.recurrence": "certify.recurrence",
    "evidence.remedies": "train.fine_tune evidence.align.representation",
    "evidence.rings": "certify.rings",
    "evidence.search": "certify.search",
    "evidence.softmax_algorithms": "certify.recurrences.softmax",
    "evidence.sweep": "studies.sweep",
    "evidence.targets": "evidence.probe.targets numerics.system",
    "evidence.trained": "train.trained",
    "evidence.training": "train.loop train.initial",
    "evidence.transfer": "studies.transfer evidence.intervals",
    "evidence.trial": "certify.certify",
    "evidence.wide": "certify.recurrences.primal certify.recurrences.dual",
    "numerics.block": "numerics.solvers.block_conjugate_gradient",
    "numerics.bounds": "numerics.bounds.rates",
    "numerics.capacity": "numerics.bounds.width_and_depth",
    "numerics.depth": "numerics.spectrum.depth_laws",
    "numerics.filters": "numerics.spectrum.filters",
    "numerics.kernels": "numerics.system numerics.kernels.kernels",
    "numerics.order": "numerics.bounds.rank_order",
    "numerics.perturbation": "numerics.bounds.perturbation",
    "numerics.preconditioning": "numerics.solvers.preconditioning",
    "numerics.random_features": "numerics.kernels.random_features",
    "numerics.recurrences": "numerics.steps",
    "numerics.s_step": "numerics.solvers.s_step",
    "numerics.sensitivity": "numerics.bounds.cg_sensitivity",
    "numerics.smoothers": "numerics.kernels.smoothers",
    "numerics.solvers": "numerics.solvers.iterations numerics.solvers.solution",
    "numerics.spectral": "numerics.spectrum.errors",
    "numerics.stencil": "numerics.kernels.stencil",
    "numerics.width": "numerics.projections numerics.bounds.width",
    "tasks.real": "tasks.diabetes",
}

NAMES = {
    "": {
        "construct": "ProgramError",
        "construct.algorithms": (
            "block_conjugate_gradient causal_conjugate_gradient jacobi_conjugate_gradient "
            "kernel_product pipelined_conjugate_gradient richardson softmax_smoother"
        ),
        "warned": "SinkUnderflow",
        "construct.transforms": "on_frozen_stack on_polynomial_features",
        "network": "CausalMask PairCausalMask PrefixMask Trace TransformerConfig",
        "numerics.bounds": "conjugate_gradient_bound gradient_descent_bound prediction_factor",
        "numerics.kernels": "linear_kernel nadaraya_watson",
        "numerics.solvers": "Outcome Solution",
        "tasks": "class_prompt",
    },
    "construct": {
        "construct.algorithms": (
            "block_conjugate_gradient causal_conjugate_gradient chebyshev conjugate_gradient "
            "copied_gradient_descent feature_scaled_conjugate_gradient gradient_descent "
            "gradient_descent_plus_plus gram_chebyshev gram_conjugate_gradient gram_squaring "
            "jacobi_conjugate_gradient kernel_product momentum narrow_gradient_descent "
            "narrow_ridge_gradient_descent newton_schulz one_block_conjugate_gradient "
            "pipelined_conjugate_gradient repeat_context richardson softmax_conjugate_gradient "
            "softmax_smoother two_block_conjugate_gradient"
        ),
        "warned": "SinkUnderflow",
        "construct.call": "Call",
        "construct.load": "NetworkFileError",
        "construct.transforms": (
            "all_to_all central_difference on_frozen_stack on_polynomial_features "
            "with_softmax_products"
        ),
        "construct.wiring": "Wire",
        "network": "Basis",
        "network.tokens": "bare_tokens input_basis prefix_mask token_groups tokenise",
    },
    "construct.algorithms": {
        "construct.algorithms.chebyshev": "chebyshev_coefficients",
    },
    "evidence": {
        "certify": (
            "RECURRENCES Certificate Recurrence blind_pair certify certify_end_to_end "
            "certify_same certify_step climb exact_errors leakage_by_change leakage_by_gradient "
            "mutants survivors worst_case"
        ),
        "certify.blind_pair": "BlindPair",
        "certify.catalogue": "UnknownRecurrence recurrence_of",
        "certify.certificate": "StepTrial WholeTrial is_looped steps_to_certify",
        "certify.leakage": "Leakage",
        "certify.mutants": "Harness Judged Mutant",
        "certify.recurrences.dual": (
            "all_to_all_recurrence block_recurrence chebyshev_recurrence "
            "conjugate_gradient_recurrence features_first gradient_descent_recurrence "
            "jacobi_recurrence narrow_gradient_descent_recurrence "
            "narrow_ridge_gradient_descent_recurrence newton_schulz_recurrence "
            "one_block_recurrence two_block_recurrence"
        ),
        "certify.recurrences.primal": (
            "causal_recurrence feature_scaled_recurrence gram_chebyshev_recurrence "
            "gram_conjugate_gradient_recurrence gram_squaring_recurrence"
        ),
        "certify.recurrences.softmax": (
            "pipelined_recurrence richardson_recurrence softmax_conjugate_gradient_recurrence"
        ),
        "certify.statements.stability": "DRIFT_RATIOS fragility",
        "certify.certify": "Certification",
        "construct": "heads_into",
        "evidence.align": (
            "FAMILIES Fitted diagnose fit head_logits kernel_heads prediction_and_weights "
            "prediction_error rank_correlation reference_solver representation_drift score "
            "weight_cosine weight_error"
        ),
        "evidence.align.kernel_heads": "KernelHead",
        "evidence.align.silent_failure": "Diagnosis Score",
        "evidence.identify": (
            "KERNEL LINEAR SCHEDULED LogFilter Posed Verdict additivity_gap fit_candidate "
            "fitted_readout judge own_head query_streams spectral_gains"
        ),
        "evidence.identify.candidates": "Candidate",
        "evidence.identify.readouts": "Readout",
        "evidence.identify.spectral_marks": "Gains best_filter primal_spectrum",
        "evidence.identify.tuning": "SAME Fit",
        "evidence.intervene": (
            "Add Edit Heads InterventionError Mean Put Scale Stream Take Units intervene"
        ),
        "evidence.probe": (
            "Split activations control_task fit_mlp_probes fit_probes other_tasks "
            "partial_recovery predictions random_features recover recovery rotated states "
            "with_shuffled_weights"
        ),
        "evidence.probe.other_basis": "in_other_basis signed_permutation",
        "evidence.probe.probes": "Partial Probe Recovery remainder",
        "numerics": "past_systems primal_system",
        "studies": (
            "Member Sweep Swept drawn fit_families lineup load_sweep risks_compared run_sweep "
            "searched_prompts sweeps weights_compared"
        ),
        "train": (
            "REMEDIES Recipe TrainedTransformer cards context_stream feature_alignment "
            "fine_tune initial load_seeds load_trained network_features read_recipe recipe_of "
            "train untrained"
        ),
    },
    "network": {
        "network.asking": "Traits",
        "network.bare": "BareTransformer",
        "network.layouts": "Causal Interleaved Layout PairCausal Prefix",
        "network.question": "Question",
    },
    "numerics": {
        "numerics.bounds": (
            "capacity_bound conjugate_gradient_bound conjugate_gradient_jacobian "
            "conjugate_gradient_lipschitz distinct_eigenvalues gradient_descent_bound "
            "hidden_order_bound hiding_threshold one_step_order_bound prediction_factor "
            "width_bound"
        ),
        "numerics.bounds.perturbation": (
            "RidgeFit aligned drift_gradient drift_size feature_drift_bound from_joint "
            "joint_features kernel_drift_bound lipschitz_constants predicted_drift_bound "
            "resolvent_bound ridge_fit worst_drift"
        ),
        "numerics.kernels": (
            "ExponentialKernel GaussianKernel effective_supports first_order_bound "
            "flat_logits_bound leading_logit_bound linear_kernel log_sink_mass nadaraya_watson "
            "share_on_sphere smoother_left_out smoother_weights"
        ),
        "numerics.kernels.random_features": (
            "positive_features positive_variance random_directions random_feature_bound "
            "trigonometric_features trigonometric_variance"
        ),
        "numerics.kernels.stencil": (
            "StencilKernel best_spacing rounding_gain stencil_coefficients stencil_constant "
            "stencil_error stencil_error_in_floats"
        ),
        "numerics.leave_one_out": "Tuned",
        "numerics.solvers": (
            "Outcome Solution block_diagonal jacobi landmark_preconditioner row_normalised "
            "s_step_conjugate_gradient scaled whitened"
        ),
        "numerics.spectrum": "Filter PolynomialFilter Spectrum best_polynomial krylov_degree tune",
    },
    "tasks": {
        "rounding": "in_last_place redrawn",
    },
}


# rooms by the name of a function that their wing announced once
CALLED = ["evidence.intervene"]

# modules that are packages now, under the same name
STILL = {
    old for old, new in MODULES.items() if any(part.startswith(f"{old}.") for part in new.split())
}


def below(path: str) -> str:
    """The path of the table that a full one is in."""
    return path.removeprefix(TOP).removeprefix(".")


def full(path: str) -> str:
    return f"{TOP}.{path}" if path else TOP


def told(old: str, new: Sequence[str], depth: int) -> None:
    """Warn whoever called the function that is `depth` calls above this one."""
    warnings.warn(
        f"{old} is {' and '.join(new)} now; the old path works for one release",
        DeprecationWarning,
        stacklevel=depth + 1,
    )


def value(homes: Sequence[str], name: str) -> object:
    """What the first of the modules that has the name holds there.

    Raises:
        AttributeError: none has.
    """
    for home in map(import_module, homes):
        if hasattr(home, name):
            return getattr(home, name)
    raise AttributeError(f"{' and '.join(homes)} have no {name!r}")


def names(package: str) -> Callable[[str], object]:
    """A `__getattr__` for a package that announced more once, or that was a module."""
    old = below(package)
    homes = {name: home for home, many in NAMES.get(old, {}).items() for name in many.split()}
    parts = [full(part) for part in MODULES.get(old, "").split()]

    def __getattr__(name: str) -> object:
        if name in homes:
            told(f"{package}.{name}", [f"{full(homes[name])}.{name}"], 2)
            return value([full(homes[name])], name)
        was = below(f"{package}.{name}")
        if was in STILL:
            return import_module(f"{package}.{name}")
        if was in MODULES and not name.startswith("_"):
            new = [full(part) for part in MODULES[was].split()]
            told(f"{package}.{name}", new, 2)
            return import_module(new[0]) if len(new) == 1 else in_parts(f"{package}.{name}", new)
        if not name.startswith("__"):
            for part in parts:
                if hasattr(import_module(part), name):
                    told(f"{package}.{name}", [f"{part}.{name}"], 2)
                    return getattr(import_module(part), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__


def in_parts(old: str, homes: Sequence[str]) -> ModuleType:
    """A module that looks its names up in those it has come apart into."""
    module = ModuleType(old, f"Now {' and '.join(homes)}.")
    module.__getattr__ = lambda name: value(homes, name)
    return module


class Called(ModuleType):
    """A room that answers where the function of its own name is called, as after `from metarep_lib import certify`."""

    def __call__(self, *given: object, **named: object) -> object:
        return getattr(self, self.__name__.rpartition(".")[2])(*given, **named)


class StillCalled(Called):
    """One that does so for one release, and says so."""

    def __call__(self, *given: object, **named: object) -> object:
        name = self.__name__.rpartition(".")[2]
        told(f"{self.__name__}(...)", [f"{self.__name__}.{name}"], 2)
        return super().__call__(*given, **named)


def called(room: str, kind: type[Called] = StillCalled) -> Callable[..., object]:
    """Let a room be called by the name of a function in it; gives the function."""
    sys.modules[room].__class__ = kind
    return getattr(sys.modules[room], room.rpartition(".")[2])


class OldPaths(MetaPathFinder, Loader):
    """Finds a module where it was. It stands last, so that nothing that exists is found here."""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        return (
            ModuleSpec(name, self)
            if name.startswith(f"{TOP}.") and below(name) in MODULES
            else None
        )

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        new = [full(part) for part in MODULES[below(name)].split()]
        told(name, new, 2)
        # The import system takes what it finds in `sys.modules` after this, so that old and new are one module.
        sys.modules[name] = import_module(new[0]) if len(new) == 1 else in_parts(name, new)


if not any(isinstance(finder, OldPaths) for finder in sys.meta_path):
    sys.meta_path.append(OldPaths())
