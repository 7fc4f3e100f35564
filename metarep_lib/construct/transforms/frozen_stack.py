"""A program on what another network, kept as it is, makes of the inputs."""

from dataclasses import replace

from torch import nn

from metarep_lib.asked import asked
from metarep_lib.construct.assemble import ConstructedTransformer, assemble
from metarep_lib.construct.circuits.linear import update
from metarep_lib.construct.program import Form, Layer, Product, Program
from metarep_lib.construct.transforms.polynomial_features import ON_PROMPT, with_raw_inputs
from metarep_lib.network.basis import Basis
from metarep_lib.network.transformer import Transformer


@asked()
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


def copy_padded(source: nn.Module, target: nn.Module) -> None:
    """Copy weights into a module of a wider stream: its first channels are the source's, the rest of each weight is 0."""
    theirs = dict(source.named_parameters())
    for name, weight in target.named_parameters():
        weight.zero_()
        weight[tuple(slice(size) for size in theirs[name].shape)] = theirs[name]
