"""Another rounding of a prompt: what a processor with other kernels would have made of it, drawn by a seed.

Two processors agree on a prompt to a few units in the last place and on nothing finer, so a statement about prompts that
one of them refutes is false. With ``METAREP_ROUNDING=SEED`` in the environment every prompt and every draw of `tasks` is moved within
that distance, and again where `Prompt.to` takes it to single precision; without it nothing happens.
"""

import zlib

import numpy as np
import torch
from torch import Tensor

from metarep_lib.settings import rounding_draw

__all__ = [
    "in_last_place",
    "redrawn",
]


def redrawn(x: Tensor) -> Tensor:
    """Every entry moved by -1, 0 or 1 unit in the last place, as the environment's draw says; x itself when there is none.

    The same draw moves the same tensor alike wherever and whenever it is made. Zeros stay: a flag or an absent feature is zero on every machine.
    """
    draw = rounding_draw()
    return x if draw is None else in_last_place(x, draw)


def in_last_place(x: Tensor, draw: int) -> Tensor:
    """Every non-zero entry moved by -1, 0 or 1 unit in the last place.

    >>> x = torch.tensor([1.0, -3.0, 0.0, 0.1], dtype=torch.float64)
    >>> moved = in_last_place(x, draw=1)
    >>> bool((moved != x).any()), bool(((moved - x).abs() <= 2.0**-52 * x.abs()).all())
    (True, True)
    """
    content = zlib.crc32(x.detach().cpu().contiguous().numpy().tobytes())
    steps = torch.from_numpy(
        np.random.default_rng([draw, content]).integers(-1, 2, size=tuple(x.shape))
    ).to(x.device)
    target = torch.where(steps > 0, torch.inf, -torch.inf).to(x.dtype)
    return torch.where((steps == 0) | (x == 0), x, torch.nextafter(x, target))
