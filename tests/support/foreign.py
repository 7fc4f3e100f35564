"""Models of somebody else's making: a small GPT in plain PyTorch, and networks of ours in a box that nobody looks into."""

from copy import deepcopy

import torch
from torch import nn

from factories import random_prompt
from metarep_lib.adapters import INTERLEAVED, Where, as_network
from metarep_lib.network import Transformer


class Block(nn.Module):
    def __init__(self, width, n_heads):
        super().__init__()
        self.n_heads, self.ln1, self.ln2 = n_heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attn = nn.Identity()  # where what attention adds can be seen
        self.fc, self.act, self.out = nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)

    def forward(self, x):
        heads = self.qkv(self.ln1(x)).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        found = nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.attn(self.proj(found.transpose(1, 2).flatten(2)))
        return x + self.out(self.act(self.fc(self.ln2(x)))), None  # a tuple, as GPT-2 has it


class GPT(nn.Module):
    """x_1, y_1, x_2, y_2, ..., x in; an answer at every token out."""

    def __init__(self, n_features=2, width=8, n_layers=2, n_heads=2, longest=64):
        super().__init__()
        self.embed, self.places = nn.Linear(n_features + 1, width), nn.Embedding(longest, width)
        self.blocks = nn.ModuleList(Block(width, n_heads) for _ in range(n_layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1)

    def forward(self, tokens):
        x = self.embed(tokens) + self.places(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)[0]
        return self.head(self.norm(x)).squeeze(-1)


def interleaved(prompt):
    """[N, 2 k + 1, p + 1] (x_1, 0), (0, y_1), ..., (x, 0)."""
    x = nn.functional.pad(torch.cat([prompt.phi, prompt.phi_query], 1), (0, 1))
    y = nn.functional.pad(prompt.y.unsqueeze(-1), (prompt.n_features, 0))
    y = torch.cat([y, torch.zeros_like(x[:, -1:])], 1)
    return torch.stack([x, y], 2).flatten(1, 2)[:, :-1]


def gpt(dtype=torch.float64, seed=0, **sizes):
    torch.manual_seed(seed)
    return GPT(**sizes).to(dtype).eval()


PARTS = {"attention": "attn", "units": "act", "heads": "proj"}
EXAMPLE = random_prompt(5, 2, 3, 0.7)


def as_gpt(model, prompt=EXAMPLE, **changed):
    """The few lines a user writes."""
    given = dict(blocks=model.blocks, tokens=interleaved, where=INTERLEAVED, head=[model.norm, model.head])
    return as_network(model, prompt, **given | changed)


class Box(nn.Module):
    """A transformer of ours that only runs."""

    def __init__(self, transformer):
        super().__init__()
        self.inside = transformer

    def forward(self, tokens, mask):
        return self.inside(tokens, mask)


def boxed(network, prompt):
    """A decoder of ours as a module of which its owner names the blocks, the head and the tokens."""
    has_passes, layout = network.layout.has_passes, network.layout
    box = Box(deepcopy(network.transformer)).eval()

    def tokens(prompt):
        question = layout.question(prompt, network.inputs)
        return (question.tokens[:, 0] if has_passes else question.tokens), question.mask

    def groups(k, q):
        shapes = random_prompt(k, network.traits.n_features, q, 1.0)
        return layout.question(shapes, network.inputs).groups

    blocks = [box.inside.blocks[i] for i in network.transformer.config.schedule]
    def twin(seed):
        return Box(Transformer(network.transformer.config, torch.Generator().manual_seed(seed)))

    where = Where(groups, has_passes)
    return as_network(box, prompt, blocks=blocks, tokens=tokens, head=lambda model, x: model.inside.read(x), where=where, twin=twin, name=network.name)
