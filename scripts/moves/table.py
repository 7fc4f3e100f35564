"""What moves where. Paths are dotted and begin below `metarep_lib`."""

# A module moves whole.
MOVES = {
    # what runs
    "construct.basis": "network.basis",
    "construct.tokens": "network.tokens",
    # statements held to account
    "construct.exact": "certify.exact",
    "construct.degree": "certify.degree",
    "evidence.balls": "certify.exact_errors",
    "evidence.blindness": "certify.blind_pair",
    "evidence.catalogue": "certify.catalogue",
    "evidence.certificate": "certify.certificate",
    "evidence.exponential": "certify.exponential_problem",
    "evidence.leakage": "certify.leakage",
    "evidence.mutation": "certify.mutants",
    "evidence.naming": "certify.naming",
    "evidence.problem": "certify.problem",
    "evidence.recurrence": "certify.recurrence",
    "evidence.rings": "certify.rings",
    "evidence.search": "certify.search",
    "evidence.trial": "certify.trial",
    "evidence.drift": "certify.statements.stability",
    "evidence.softmax_algorithms": "certify.recurrences.softmax",
    # networks that learn
    "evidence.recipe": "train.recipe",
    "evidence.training": "train.loop",
    "evidence.trained": "train.trained",
    # experiments
    "evidence.adversary": "studies.adversary",
    "evidence.capacity": "studies.capacity",
    "evidence.lineup": "studies.lineup",
    "evidence.sweep": "studies.sweep",
    # instruments
    "evidence.probes": "evidence.probe.probes",
    "evidence.controls": "evidence.probe.controls",
    "evidence.interventions": "evidence.intervene.intervene",
    "evidence.candidates": "evidence.identify.candidates",
    "evidence.marks": "evidence.identify.spectral_marks",
    "evidence.alignment": "evidence.align.smoother_families",
    "evidence.heads": "evidence.align.kernel_heads",
    "evidence.diagnostics": "evidence.align.silent_failure",
    "evidence.files": "storage",
    # what the weights say
    "construct.softmax_circuits": "construct.circuits.softmax",
    "construct.communication": "construct.transforms.all_to_all",
    "construct.stencil": "construct.transforms.softmax_products",
    "construct.algorithms.block": "construct.algorithms.block_conjugate_gradient",
    "construct.algorithms.causal": "construct.algorithms.causal_conjugate_gradient",
    "construct.algorithms.copies": "construct.algorithms.copied_gradient_descent",
    "construct.algorithms.feature_scaling": "construct.algorithms.feature_scaled_conjugate_gradient",
    "construct.algorithms.frame": "construct.algorithms.krr_program",
    "construct.algorithms.gram": "construct.algorithms.carried_gram",
    "construct.algorithms.look_ahead": "construct.algorithms.one_block_conjugate_gradient",
    "construct.algorithms.narrow": "construct.algorithms.narrow_gradient_descent",
    "construct.algorithms.one_shot": "construct.algorithms.softmax_smoother",
    "construct.algorithms.preconditioned": "construct.algorithms.softmax_preconditioner",
    "construct.algorithms.two_block": "construct.algorithms.two_block_conjugate_gradient",
    # the answer
    "numerics.recurrences": "numerics.steps",
    "numerics.random_features": "numerics.kernels.random_features",
    "numerics.smoothers": "numerics.kernels.smoothers",
    "numerics.stencil": "numerics.kernels.stencil",
    "numerics.block": "numerics.solvers.block_conjugate_gradient",
    "numerics.preconditioning": "numerics.solvers.preconditioning",
    "numerics.s_step": "numerics.solvers.s_step",
    "numerics.filters": "numerics.spectrum.filters",
    "numerics.depth": "numerics.spectrum.depth_laws",
    "numerics.spectral": "numerics.spectrum.errors",
    "numerics.bounds": "numerics.bounds.rates",
    "numerics.capacity": "numerics.bounds.width_and_depth",
    "numerics.order": "numerics.bounds.rank_order",
    "numerics.perturbation": "numerics.bounds.perturbation",
    "numerics.sensitivity": "numerics.bounds.cg_sensitivity",
}

# A module comes apart: into the first go all names that no other claims, but for those that only another uses.
SPLITS = {
    "numerics.kernels": {
        "numerics.system": "",
        "numerics.kernels.kernels": "Kernel linear_kernel ExponentialKernel GaussianKernel",
    },
    "evidence.algorithms": {
        "certify.recurrences.dual": "",
        "certify.recurrences.primal": "causal_recurrence",
    },
    "evidence.wide": {
        "certify.recurrences.primal": "",
        "certify.recurrences.dual": "one_block_recurrence",
    },
    "evidence.remedies": {
        "train.fine_tune": "",
        "evidence.align.representation": "representation_drift",
    },
    "evidence.transfer": {
        "studies.transfer": "",
        "evidence.intervals": "paired_interval",
    },
    "evidence.identification": {
        "evidence.identify.tuning": "",
        "evidence.identify.verdict": "Verdict judge",
    },
    "evidence.layers": {
        "evidence.identify.readouts": "",
        "evidence.probe.other_basis": "in_other_basis signed_permutation",
    },
    "evidence.edits": {
        "evidence.intervene.edits": "",
        "network.places": "Stream Heads Units",
        "construct.heads_into": "heads_into",
    },
    "evidence.targets": {
        "evidence.probe.targets": "",
        "numerics.system": "primal_system past_systems",
    },
    "construct.circuits": {
        "construct.circuits.linear": "",
        "construct.circuits.division": "quotient quotient_scores",
        "construct.circuits.token": "Fraction token_quotient token_ratio",
    },
    "construct.features": {
        "construct.transforms.polynomial_features": "",
        "construct.transforms.frozen_stack": "on_frozen_stack",
    },
    "numerics.solvers": {
        "numerics.solvers.iterations": "",
        "numerics.solvers.solution": "Outcome Solution judge",
    },
    "numerics.width": {
        "numerics.projections": "",
        "numerics.bounds.width": "width_bound",
    },
}

# The first lines of modules that come apart; the others keep what they say.
SAYS = {
    "certify.recurrences.dual": "Recurrences of the algorithms that keep a number a token, in plain arithmetic, with the names of the programs.\n\nThey know no network: what a certificate holds weights against.",
    "certify.recurrences.primal": "Recurrences of the algorithms that keep vectors or matrices of features on every token.",
    "evidence.align.representation": "How far a representation has moved.",
    "evidence.intervals": "Intervals by resampling.",
    "evidence.identify.verdict": "Which of the tuned candidates a network runs, on prompts that nothing was tuned on.",
    "evidence.probe.other_basis": "The same network with another basis of its stream: no channel means what it meant.",
    "network.places": "Where in a forward pass: the stream, the heads of a group, the units of an MLP; which block, which tokens.",
    "construct.heads_into": "The heads of a constructed network by the direction they write to.",
    "construct.circuits.division": "A quotient of two numbers that the registers hold, by a head.",
    "construct.circuits.token": "A quotient that every token takes for itself, by scores between its own numbers.",
    "construct.transforms.polynomial_features": "A program on all products of two inputs, made inside the network.",
    "construct.transforms.frozen_stack": "A program on what another network, kept as it is, makes of the inputs.",
    "numerics.system": "The linear system that answers a prompt.",
    "numerics.kernels.kernels": "Kernels: of two sets of inputs, a matrix.",
    "numerics.solvers.solution": "What a solver gives back: every iterate, and how it ended.",
    "numerics.bounds.width": "What a projection of the features to fewer costs.",
}

# Rooms and wings: the sentence of their `__init__`. What they announce is what the old facades announced of what they hold.
ROOMS = {
    "network": "What runs: one plain decoder, the masks it reads through, its tokens, and the trace of a pass.",
    "construct": "What the weights say: programs over named directions, and the assembly that makes them weights.",
    "construct.algorithms": "Functions that return a `Program`: one algorithm a file, under its name.",
    "construct.circuits": "Circuits: functions that return the writes of one operation, and prove that they are right.",
    "construct.transforms": "From a program to a program.",
    "numerics": "The answer: systems, steps, projections. Rooms: kernels, solvers, spectrum, bounds. Imports neither network nor construct.",
    "numerics.kernels": "Kernels, smoothers, and what stands in for a kernel.",
    "numerics.solvers": "Solvers with full histories.",
    "numerics.spectrum": "What the eigenvalues say: errors of every step, filters, and how many steps are needed.",
    "numerics.bounds": "Bounds.",
    "certify": "Statements held to account: certificates in exact arithmetic, mutants, leakage, searched inputs.",
    "certify.recurrences": "What a network is certified against: dual, primal, softmax. Import from those.",
    "certify.statements": "Theorems as numbers, a module a chapter: a value, and what bounds it.",
    "train": "Networks that learn: recipes, the loop, what it left.",
    "evidence": "Instruments for any network. Rooms: probe, intervene, identify, align.",
    "evidence.probe": "What can be read off a stream, and what would have been found where there is nothing.",
    "evidence.intervene": "What a network says when part of it is changed.",
    "evidence.identify": "Which algorithm a network follows, and which ones it cannot.",
    "evidence.align": "What a network weighs its supports by, and whether its answer can be trusted.",
    "studies": "Experiments: functions that put instruments to use and return plain numbers. Nothing imports them but chapters.",
}

# Modules that announce names themselves, since their room is full or their topic is apart.
SPEAK = (
    "rounding",
    "network.layouts",
    "network.tokens",
    "numerics.kernels.random_features",
    "numerics.kernels.stencil",
    "numerics.bounds.perturbation",
    "certify.recurrences.dual",
    "certify.recurrences.primal",
    "certify.recurrences.softmax",
    "certify.statements.stability",
)

# Modules whose names another room than their own announces.
GUESTS = {"network.places": "evidence.intervene"}

# Announced by a facade once, and from now on by nobody: tests and other rooms take them from their modules.
QUIET = set(
    """
    chebyshev_coefficients
    BareTransformer Question Traits
    Call NetworkFileError SinkUnderflow Wire
    Certification UnknownRecurrence recurrence_of StepTrial WholeTrial
    is_looped steps_to_certify Leakage BlindPair Harness Judged Mutant
    Candidate SAME Fit Gains Readout best_filter primal_spectrum
    Partial Probe Recovery remainder
    KernelHead Diagnosis Score
    Tuned in_other_basis signed_permutation
    """.split()
)

# Announced on top of that: room -> module -> names. A module among the names is one.
ALSO = {
    "numerics.solvers": {
        "numerics.solvers.iterations": "cholesky chebyshev conjugate_gradient divide gradient_descent",
        "numerics.solvers": "block_conjugate_gradient",
    },
    "numerics.spectrum": {"numerics.spectrum": "depth_laws errors"},
}

# The top: room -> names. Nothing is imported before it is asked for.
TOP = {
    "prompt": "Prompt PromptError",
    "network": "Transformer",
    "construct": "ConstructedTransformer Program assemble",
    "construct.algorithms": "chebyshev conjugate_gradient gradient_descent newton_schulz softmax_conjugate_gradient two_block_conjugate_gradient",
    "numerics": "RidgeSystem ridge_system solvers",
    "numerics.kernels": "ExponentialKernel",
    "tasks": "diabetes_prompt geometric_spectrum synthetic_prompt",
    "certify": "certify_end_to_end certify_step",
    "train": "load_trained",
    "studies": "load_sweep",
}

# What keeps its place and loses a facade: names that tasks announced and do not belong to it.
LEAVES = {"tasks": {"rounding": "in_last_place redrawn"}}
