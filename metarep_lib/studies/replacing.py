"""Tokens that hold a number and its successor, and programs that replace the one by the other."""

import torch
from torch import Tensor

from metarep_lib.construct import Form, Layer, Program, Write
from metarep_lib.network import Basis

__all__ = ["program", "tokens"]

TOKEN = Basis.of(x=1, new=1, one=1)


def program(name: str, *mlps: Write) -> Program:
    """A program of one block a write, without attention, whose output is what `x` holds in the end."""
    embedding = tuple((direction, Form(direction)) for direction in TOKEN)
    layers = tuple(Layer(1, f"mlp {i}", mlp=(write,)) for i, write in enumerate(mlps))
    return Program(name, TOKEN, TOKEN, embedding, layers, Form("x"))


def tokens(old: float, new: Tensor) -> Tensor:
    """[n, 3] one token for each of `new`; all hold `old`.

    >>> tokens(2.0, torch.tensor([3.0, 4.0])).tolist()
    [[2.0, 3.0, 1.0], [2.0, 4.0, 1.0]]
    """
    return torch.stack([torch.full_like(new, old), new, torch.ones_like(new)], dim=-1)
