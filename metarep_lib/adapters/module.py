"""Any `torch.nn.Module` as a network: its blocks, head and tokens named by its owner, and tried on one prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from torch import nn

from metarep_lib.adapters.answers import tried
from metarep_lib.adapters.checks import check_module, check_trained
from metarep_lib.adapters.module_network import ModuleNetwork, Tokens
from metarep_lib.adapters.names import Blocks, Head, block_names, name_in, reader
from metarep_lib.adapters.trial import check_places, check_tokens, parts_of
from metarep_lib.adapters.twins import Factory
from metarep_lib.adapters.watch import SUBPARTS
from metarep_lib.adapters.where import PREFIX, Where
from metarep_lib.asked import AskedWrongly, asked, at_least
from metarep_lib.contents import shown
from metarep_lib.network.asking import Traits
from metarep_lib.prompt import Prompt, a_prompt


@asked(prompt=a_prompt(single=False, supports=2, queries=1), n_heads=at_least(1))
def as_network(
    model: nn.Module,
    prompt: Prompt,
    *,
    blocks: Blocks,
    tokens: Tokens,
    head: Head,
    where: Where = PREFIX,
    parts: Mapping[str, str] = MappingProxyType({}),
    n_heads: int = 1,
    twin: Factory | None = None,
    name: str | None = None,
) -> ModuleNetwork:
    """Any module as a network, for every instrument that needs layers.

    Args:
        model: a module in evaluation mode; it stays as it is.
        prompt: one that it reads. Everything is tried on it once: whether the blocks run as listed, the tokens stand where they are
            said to, and the head says what the module says.
        blocks: modules or dotted names, in the order they run, one named as often as it runs; or a list of modules whole, model.blocks.
            What the first is given is layer 0, the embedding.
        tokens: prompts with one batch axis, phi [N, k, p], y [N, k], phi_query [N, q, p], to what the module takes: a tensor, a tuple of
            arguments, or a dictionary of them.
        head: modules of the model one after the other, [model.norm, model.out], or a function of (model, stream), from the last
            stream [N, n, D] to answers [N, n, m], [N, n] for one output.
        where: which tokens are supports and queries: `PREFIX`, `INTERLEAVED` (a pass for every query), or one of your own.
        parts: what can be edited besides the stream, by its name inside a block: "attention", whose output is added to the stream;
            "units", whose output are the units of the MLP; "heads", the projection that is given what the `n_heads` heads found.
        twin: seed to a fresh module of the same shapes; without it the modules draw again by their own `reset_parameters`.
        name: for errors; that of the class where there is none.

    Raises:
        AskedWrongly: with what came, what was expected, and what would work.

    >>> import torch
    >>> class Mean(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.block, self.out = nn.Linear(2, 2), nn.Linear(2, 1)
    ...     def forward(self, x):
    ...         return self.out(self.block(x + x.mean(1, keepdim=True)))
    >>> def tokens(prompt):
    ...     y = torch.cat([prompt.y, torch.zeros_like(prompt.phi_query[..., 0])], 1)
    ...     return torch.cat([torch.cat([prompt.phi, prompt.phi_query], 1), y.unsqueeze(-1)], -1)
    >>> model, prompt = Mean().eval(), Prompt(torch.ones(4, 1), torch.ones(4), torch.zeros(3, 1), ridge=1.0)
    >>> network = as_network(model, prompt, blocks=[model.block], tokens=tokens, head=model.out)
    >>> network.trace(prompt).stream("support").shape, network.traits.is_isolated
    (torch.Size([2, 4, 2]), False)
    """
    name = name or type(model).__name__
    call = f"as_network({name})"
    check_trained(call, model)
    check_module(call, model, prompt)
    if not isinstance(where, Where):
        raise AskedWrongly(f"{call}: where={shown(where)}, expected a Where, e.g. PREFIX")
    names = block_names(call, model, blocks)
    check_subparts(call, model, names, parts)
    bare = ModuleNetwork(
        model,
        names,
        tokens,
        reader(call, model, head),
        where,
        parts,
        n_heads,
        twin,
        name,
        Traits(prompt.phi.dtype, prompt.phi.device, None, prompt.n_outputs, *[False] * 5, 0.0),
    )
    check_tokens(call, tokens, where.asked(prompt))
    network = replace(bare, parts=parts_of(call, bare, prompt))
    check_places(call, network, prompt)
    found = tried(call, network.predict, prompt, None)
    return replace(
        network,
        assumed=replace(
            found,
            n_features=prompt.n_features,
            n_outputs=prompt.n_outputs,
            rounding=found.rounding * network.n_layers,
        ),
    )


def check_subparts(call: str, model: nn.Module, blocks: Sequence[str], parts: object) -> None:
    known = isinstance(parts, Mapping) and all(part in SUBPARTS for part in parts)
    if not known or not all(isinstance(path, str) for path in parts.values()):
        raise AskedWrongly(
            f"{call}: parts={shown(parts)}, expected names of {', '.join(SUBPARTS)} inside a block; this"
            " would work: parts={'attention': 'attn', 'units': 'mlp.act'}"
        )
    for path in parts.values():
        for block in blocks:
            name_in(call, "parts", model, f"{block}.{path}")
