"""Mutants that every certificate accepts, with the reason why each does no harm; nothing else may survive.

The networks have two features (one input where they make features), two steps and three supports.
"""

DEAD = "multiplies zeros on the registers"
GUARD = "multiplies the guard, which counts as 0 in exact arithmetic"
HEAD = "scales numerator and total of a normalised head alike"
LAST = "in the last step both blocks only prepare a direction that no later block reads"
FIRST = "start of rho_old: the first beta multiplies p = 0"
OFF = "start of c on a token that is no register: only the registers' c is read before the first gamma"
SCALE = "scales m: a preconditioner times a number is the same preconditioner"
LENGTH = "scales the first z: the length of the first direction cancels"
CLEARED = "clears `diagonal`, which nothing reads again"
UNUSED = "an input this algorithm does not read"


def all_for(reason: str, *mutants: str) -> dict[str, str]:
    return dict.fromkeys(mutants, reason)


GRADIENT_DESCENT = all_for(DEAD, "tripled W_E[4, 3]", "tripled W_E[5, 3]")
GRADIENT_DESCENT_TWO_OUTPUTS = all_for(DEAD, "tripled W_E[5, 3]", "tripled W_E[6, 3]")
CONJUGATE_GRADIENT = all_for(
    HEAD,
    *(f"tripled blocks.{block}.attention.0.{weight}" for block, weight in ((2, "W_Q[0, 3, 0]"), (2, "W_K[0, 14, 0]"))),
    *(f"tripled blocks.{block}.attention.0.{weight}" for block, weight in ((4, "W_Q[0, 3, 0]"), (4, "W_K[0, 16, 0]"))),
) | all_for(LAST, "swapped blocks 7 and 8", "swapped blocks 8 and 9")
CONJUGATE_GRADIENT_TWO_OUTPUTS = all_for(
    HEAD,
    *(f"tripled blocks.{block}.attention.0.W_Q[{head}, 3, 0]" for block in (2, 4) for head in (0, 1)),
    *(f"tripled blocks.2.attention.0.W_K[{head}, {22 + head}, 0]" for head in (0, 1)),
    *(f"tripled blocks.4.attention.0.W_K[{head}, {26 + head}, 0]" for head in (0, 1)),
) | all_for(LAST, "swapped blocks 7 and 8", "swapped blocks 8 and 9")
TWO_BLOCK = (
    all_for(FIRST, *(f"tripled W_E[{row}, 13]" for row in (4, 5, 6, 7)))
    | all_for(OFF, "tripled W_E[6, 12]", "tripled W_E[7, 12]")
    | all_for(GUARD, "tripled blocks.1.attention.0.W_Q[0, 3, 1]", *(f"tripled blocks.1.attention.1.W_Q[{head}, 3, 1]" for head in (0, 1)))
)
JACOBI = (
    all_for(FIRST, *(f"tripled W_E[{row}, 20]" for row in (4, 5, 6, 7)))
    | all_for(OFF, "tripled W_E[6, 19]", "tripled W_E[7, 19]")
    | all_for(
        SCALE,
        "tripled W_E[6, 6]",
        *(f"tripled blocks.1.attention.0.{weight}" for weight in ("W_Q[0, 6, 0]", "W_Q[0, 14, 2]", "W_K[0, 4, 2]")),
        *(f"tripled blocks.1.attention.0.{weight}" for weight in ("W_V[0, 5, 0]", "W_O[0, 0, 11]")),
    )
    | all_for(LENGTH, *(f"tripled blocks.1.mlp.{weight}" for weight in ("W_gate[11, 3]", "W_in[16, 3]", "W_out[3, 13]")))
    | all_for(CLEARED, *(f"tripled blocks.1.mlp.{weight}" for weight in ("W_gate[3, 4]", "W_in[14, 4]", "W_out[4, 14]")))
    | all_for(CLEARED, "dropped unit 4 of blocks.1.mlp.W_out")
    | all_for(GUARD, "tripled blocks.1.attention.0.W_Q[0, 3, 1]", "tripled blocks.3.attention.0.W_Q[0, 3, 1]")
    | all_for(GUARD, *(f"tripled blocks.3.attention.1.W_Q[{head}, 3, 1]" for head in (0, 1)))
)
CAUSAL = (
    all_for(DEAD, "tripled W_E[4, 3]", "tripled W_E[5, 3]")
    | all_for(UNUSED, "tripled W_E[7, 3]", "tripled W_E[7, 23]")
    | all_for(FIRST, *(f"tripled W_E[{row}, 23]" for row in (4, 5, 6)))
    | all_for(GUARD, *(f"tripled blocks.2.attention.0.W_Q[{head}, 3, 1]" for head in (0, 1)), "tripled blocks.3.attention.0.W_Q[0, 3, 1]")
)
NEWTON_SCHULZ = all_for(UNUSED, "tripled W_E[3, 2]") | all_for(DEAD, "tripled W_E[4, 3]", "tripled W_E[5, 3]")
POLYNOMIAL = all_for(
    HEAD,
    *(f"tripled blocks.{block}.attention.0.{weight}" for block, weight in ((3, "W_Q[0, 5, 0]"), (3, "W_K[0, 16, 0]"))),
    *(f"tripled blocks.{block}.attention.0.{weight}" for block, weight in ((5, "W_Q[0, 5, 0]"), (5, "W_K[0, 18, 0]"))),
) | all_for(LAST, "swapped blocks 8 and 9", "swapped blocks 9 and 10")

NARROW: dict[str, str] = {}
TWO_BLOCK_TWO_OUTPUTS = (
    all_for(FIRST, *(f"tripled W_E[{row}, {column}]" for row in (4, 5, 6, 7) for column in (17, 18)))
    | all_for(OFF, *(f"tripled W_E[{row}, {column}]" for row in (6, 7) for column in (15, 16)))
    | all_for(GUARD, *(f"tripled blocks.1.attention.{group}.W_Q[{head}, 2, 1]" for group, heads in ((0, 2), (1, 4)) for head in range(heads)))
)
BLOCK = all_for(DEAD, "tripled W_E[4, 2]", "tripled W_E[5, 2]") | all_for(
    GUARD, *(f"tripled blocks.{pivot}.attention.0.W_Q[{head}, 2, 2]" for pivot, heads in ((1, 4), (2, 3)) for head in range(heads))
)
ALONE = "changes what a token that is not asked makes of the matrix it carries: whoever is asked solves alone"
GRAM = all_for(ALONE, *(f"tripled W_E[{row}, 3]" for row in (4, 5, 6)))
GRAM_FIRST = all_for(
    "start of c or rho_old: the first psi is not counted, the first beta multiplies p = 0",
    *(f"tripled W_E[{row}, {name}]" for row in (4, 5, 6, 7) for name in (26, 27)),
)
GRAM_GUARD = all_for(GUARD, *(f"tripled blocks.2.attention.0.W_Q[{head}, 3, 1]" for head in (0, 1)), "tripled blocks.3.attention.0.W_Q[0, 3, 1]")
GRAM_CONJUGATE_GRADIENT_CAUSAL = GRAM_FIRST | GRAM_GUARD | all_for(ALONE, "tripled W_E[5, 3]") | all_for(UNUSED, "tripled W_E[7, 3]")
FEATURE_SCALED = (
    all_for(
        "start of c or rho_old: the first psi is not counted, the first beta multiplies p = 0",
        *(f"tripled W_E[{row}, {name}]" for row in (4, 5, 6, 7) for name in (36, 37)),
    )
    | all_for("the sink carries the problem as every token does, and nobody asks there", "tripled W_E[5, 3]")
    | all_for(GUARD, *(f"tripled blocks.{block}.attention.0.W_Q[{head}, 3, 1]" for block in (2, 4) for head in (0, 1)))
    | all_for(GUARD, "tripled blocks.5.attention.0.W_Q[0, 3, 1]")
)
ONE_BLOCK = (
    all_for("start of v . v: the first omega multiplies v_old = 0", *(f"tripled W_E[{row}, 22]" for row in (4, 5, 6, 7)))
    | all_for(
        "omega of a register multiplies h_3 and j_3, which are zero on conjugate gradient's own states", "tripled W_E[4, 23]", "tripled W_E[5, 23]"
    )
    | all_for("pi is read at the queries alone", *(f"tripled W_E[{row}, 24]" for row in (4, 5, 6)))
    | all_for(GUARD, "tripled blocks.1.attention.2.W_Q[0, 3, 3]", *(f"tripled blocks.1.attention.3.W_Q[{head}, 3, 1]" for head in (0, 1)))
    | all_for("while even is 1, vv_even is empty", "tripled blocks.1.mlp.W_gate[23, 45]")
)
EMBEDDED = "scales what supports divide by: only the fit at the supports changes, and nobody asks there"
RICHARDSON = all_for(DEAD, "tripled W_E[4, 3]", "tripled W_E[5, 3]") | all_for(EMBEDDED, "tripled W_E[6, 6]")
SOFTMAX_JACOBI = (
    all_for(FIRST, *(f"tripled W_E[{row}, 21]" for row in (4, 5, 6, 7)))
    | all_for(OFF, "tripled W_E[6, 20]", "tripled W_E[7, 20]")
    | all_for(
        SCALE,
        "tripled W_E[6, 7]",
        *(f"tripled blocks.1.mlp.{weight}" for weight in ("W_gate[7, 0]", "W_in[13, 0]", "W_out[0, 14]")),
        *(f"tripled blocks.2.attention.0.{weight}" for weight in ("W_Q[0, 14, 0]", "W_V[0, 5, 0]", "W_O[0, 0, 10]")),
    )
    | all_for(LENGTH, *(f"tripled blocks.2.mlp.{weight}" for weight in ("W_gate[10, 0]", "W_in[16, 0]", "W_out[0, 17]")))
    | all_for(GUARD, "tripled blocks.2.attention.0.W_Q[0, 3, 1]", "tripled blocks.5.attention.0.W_Q[0, 3, 1]")
    | all_for(GUARD, *(f"tripled blocks.5.attention.1.W_Q[{head}, 3, 1]" for head in (0, 1)))
)
PIPELINED = (
    all_for(FIRST, *(f"tripled W_E[{row}, 18]" for row in (4, 5, 6, 7)))
    | all_for(OFF, "tripled W_E[6, 17]", "tripled W_E[7, 17]")
    | all_for(SCALE, "tripled W_E[6, 7]", *(f"tripled blocks.0.mlp.{weight}" for weight in ("W_gate[7, 0]", "W_in[8, 0]", "W_out[0, 10]")))
    | all_for(GUARD, "tripled blocks.4.attention.0.W_Q[0, 3, 1]", *(f"tripled blocks.4.attention.1.W_Q[{head}, 3, 1]" for head in (0, 1)))
)
