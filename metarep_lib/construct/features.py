"""Features made by the network's own lower blocks; what runs on top is any program, unchanged.

* `on_polynomial_features`: one block of gated units forms all products of two inputs, so that the
  kernel is (1 + <x, x'>)^2 exactly.
* `on_frozen_stack`: the blocks of another transformer, trained or not, make the features; one block
  hands them over.

In both the prompt's `phi` is the raw input x. Features are zero on the registers: what makes them is
multiplied by the flag `on_prompt`, which is 1 on supports and queries alone.
"""

from dataclasses import replace

from torch import nn

from metarep_lib.construct.assemble import ConstructedTransformer, assemble
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits import update
from metarep_lib.construct.program import Form, Layer, Product, Program
from metarep_lib.network.basis import Basis
from metarep_lib.network.transformer import Transformer

ON_PROMPT = Form({"is_support": 1, "is_query": 1})


@algorithm
def on_polynomial_features(program: Program, n_inputs: int) -> Program:
    """The program on phi(x) = (1, x) (x) (1, x), all (d + 1)^2 products, made by one block.

    <phi(x), phi(x')> = (1 + <x, x'>)^2, with no weight that has to be rounded: the two copies of
    every mixed product stand for its coefficient 2.

    Args:
        program: made for (d + 1)^2 features.
        n_inputs: d, the width of x.

    Raises:
        ValueError: the program is made for another number of features.

    >>> from metarep_lib.construct.algorithms import conjugate_gradient
    >>> program = on_polynomial_features(conjugate_gradient(n_features=9, steps=2), n_inputs=2)
    >>> program.n_blocks, program.width
    (11, 28)
    """
    p = (n_inputs + 1) ** 2
    if program.stream.width("phi") != p:
        raise ValueError(
            f"on_polynomial_features(program for {program.stream.width('phi')} features, n_inputs={n_inputs}):"
            f" {n_inputs} inputs make {p} features; this would work: {program.name}(n_features={p}, ...)"
        )
    factors = ["on_prompt", *(f"x[{a}]" if n_inputs > 1 else "x" for a in range(n_inputs))]
    pairs = [(left, right) for left in factors for right in factors]
    multiply = [
        update(f"phi[{i}]", Product(Form(left), Form(right)))
        for i, (left, right) in enumerate(pairs)
    ]
    kept = [(name, form) for name, form in program.embedding if name not in ("phi", "on_prompt")]
    flag = () if "on_prompt" in program.stream else (("on_prompt", 1),)
    return replace(
        program,
        name=f"{program.name}_on_polynomial_features",
        inputs=with_raw_inputs(program.inputs, n_inputs),
        stream=Basis((*program.stream.widths, ("x", n_inputs), *flag), program.scratch),
        embedding=(*kept, ("x", Form("phi")), ("on_prompt", ON_PROMPT)),
        layers=(Layer(step=0, phase="multiply", mlp=tuple(multiply)), *program.layers),
    )


def on_frozen_stack(program: Program, stack: Transformer) -> ConstructedTransformer:
    """The program on phi(x) = what another transformer says at a token, in one forward pass.

    The stack's blocks run first, on channels of their own; then one block writes its output,
    W_U^T times its stream, into phi; then the program's blocks run.

    Args:
        program: made for as many features as the stack has outputs.
        stack: reads tokens as `tokenise` makes them; without norms, which would mix its channels
            with the program's. Its weights are copied.

    Returns:
        The network; its program describes the blocks above the stack, whose own it only counts.

    Raises:
        ValueError: outputs and features differ in number, or the stack has norms.
    """
    p, config = program.stream.width("phi"), stack.config
    norms = {block.norm for block in config.blocks} | {config.final_norm}
    if config.d_output != p or norms != {"none"}:
        raise ValueError(
            f"on_frozen_stack(program for {p} features, stack with {config.d_output} outputs and norms {sorted(norms)}):"
            f" expected a stack with {p} outputs and norm 'none' in every block"
        )
    n_inputs = config.d_input - with_raw_inputs(program.inputs, 1).size + 1
    flag = () if "on_prompt" in program.stream else (("on_prompt", 1),)
    stream = Basis((("hidden", config.d_model), *flag, *program.stream.widths), program.scratch)
    # W_in is replaced below
    hand_over = Layer(
        step=0, phase="hand over", mlp=(update("phi", Product(Form("on_prompt"), Form("phi"))),)
    )
    kept = [(name, form) for name, form in program.embedding if name not in ("phi", "on_prompt")]
    inputs = with_raw_inputs(program.inputs, n_inputs)
    below = [Layer(step=0, phase=f"stack {depth + 1}") for depth in range(len(config.schedule))]
    upper = replace(
        program,
        name=f"{program.name}_on_frozen_stack",
        inputs=inputs,
        stream=stream,
        embedding=(*kept, ("on_prompt", ON_PROMPT)),
        layers=(hand_over, *program.layers),
    )
    built = assemble(upper, dtype=stack.W_E.dtype, device=stack.W_E.device).transformer
    n_lower = len(config.blocks)
    whole = Transformer(
        replace(
            built.config,
            blocks=(*config.blocks, *built.config.blocks),
            schedule=(*config.schedule, *(index + n_lower for index in built.config.schedule)),
        )
    ).to(stack.W_E)
    whole.requires_grad_(False)
    whole.W_E.copy_(built.W_E)
    whole.W_E[:, stream["hidden"]] = stack.W_E
    whole.W_U.copy_(built.W_U)
    for mine, theirs in zip(whole.blocks, (*stack.blocks, *built.blocks)):
        copy_padded(theirs, mine)
    whole.blocks[n_lower].mlp.W_in.zero_()[stream["hidden"]] = stack.W_U
    return ConstructedTransformer(whole, replace(upper, layers=(*below, *upper.layers)))


def with_raw_inputs(inputs: Basis, n_inputs: int) -> Basis:
    """The same channels with x, d wide, in the place of phi."""
    return Basis(
        tuple((name, n_inputs if name == "phi" else width) for name, width in inputs.widths)
    )


def copy_padded(source: nn.Module, target: nn.Module) -> None:
    """Copy weights into a module of a wider stream: its first channels are the source's, the rest of each weight is 0."""
    theirs = dict(source.named_parameters())
    for name, weight in target.named_parameters():
        weight.zero_()
        weight[tuple(slice(size) for size in theirs[name].shape)] = theirs[name]
