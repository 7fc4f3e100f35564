"""Two prompts that a network with too narrow an embedding cannot tell apart, whatever comes after the embedding.

Letters: p features, m channels of the stream.

A token carries p + 1 numbers, phi and y. If the m channels it is embedded into keep fewer than p + 1 of them, some
(v, s) != 0 goes to zero, and adding it to a support changes nothing the network will ever see.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats, not_negative, positive
from metarep_lib.contents import Contents
from metarep_lib.network.tokens import input_basis
from metarep_lib.prompt import Prompt


@dataclass(frozen=True, eq=False, repr=False)
class BlindPair(Contents):
    """Two prompts of one support and one query, the same to a network, not the same to ridge regression.

    Args:
        prompts: they differ in the support alone, by a direction the embedding maps to zero.
        answers: what kernel ridge regression says to each; the first >= 0, the second <= 0.
    """

    prompts: tuple[Prompt, Prompt]
    answers: tuple[float, float]

    @property
    def error(self) -> float:
        """Half of how far the answers are apart: whatever the network says, it is wrong by as much on one of the two."""
        return (self.answers[0] - self.answers[1]) / 2


@asked(embedding=floats("d m"), n_features=at_least(1), ridge=positive, tolerance=not_negative)
def blind_pair(
    embedding: Tensor, n_features: int, ridge: float, tolerance: float = 1e-10
) -> BlindPair | None:
    """The pair of `thm-blind`, points 1 and 2, or None for an embedding that keeps all of (phi, y).

    A kernel vector (v, s), s >= 0, is taken with s = 0 where there is one. If s <= |v| = 1 the supports are (v, 1 + s)
    and (-v, 1 - s), and the query is v. If |v| < s = 1 they are (e + v, 1) and (e - v, -1), and the query is e = v / |v|.

    Args:
        embedding: [d_input, m] the W_E of a network that reads tokens as `tokenise` makes them for one output.
        n_features: p.
        ridge: lambda.
        tolerance: singular values below this, relative to the largest, count as zero.

    Raises:
        ValueError: an embedding that does not read such tokens.

    >>> W_E = torch.zeros(7, 1, dtype=torch.float64)  # one channel for one feature and its target
    >>> W_E[0], W_E[1] = 1.0, -2.0  # it sees phi - 2 y
    >>> pair = blind_pair(W_E, n_features=1, ridge=1.0)
    >>> [(round(prompt.phi.item(), 9), round(prompt.y.item(), 9)) for prompt in pair.prompts]
    [(1.0, 1.5), (-1.0, 0.5)]
    >>> round(pair.answers[0], 9), round(pair.answers[1], 9), round(pair.error, 9)
    (0.75, -0.25, 0.5)
    """
    basis = input_basis(n_features)
    if embedding.ndim != 2 or embedding.shape[0] != basis.size:
        raise ValueError(
            f"blind_pair(embedding={list(embedding.shape)}, n_features={n_features}): expected [{basis.size}, m], a row for each of"
            f" {', '.join(basis)}; this would work: blind_pair(transformer.W_E, n_features={embedding.shape[0] - basis.size + n_features}, ridge=1.0)"
        )
    seen = torch.cat([embedding[basis["phi"]], embedding[basis["y"]]]).detach()  # [p + 1, m]
    left, size, _ = torch.linalg.svd(seen)
    rank = int((size > tolerance * size.max()).sum()) if size.numel() else 0
    kernel = left[:, rank:]
    if not kernel.shape[1]:
        return None
    # of several kernel vectors one with s = 0
    found = kernel @ torch.linalg.svd(kernel[-1:])[2][-1]
    return pair_along(*(found if found[-1] >= 0 else -found).split([n_features, 1]), ridge)


def pair_along(v: Tensor, s: Tensor, ridge: float) -> BlindPair:
    """The pair of a kernel vector: v is [p], s is [1] and not negative."""
    length = v.norm()
    e = v / length if length > 0 else torch.eye(len(v)).to(v)[0]
    if s <= length:
        supports, targets = (e, -e), (1 + s / length, 1 - s / length)
    else:
        supports, targets = (
            ((1 + length / s) * e, (1 - length / s) * e),
            (torch.ones_like(s), -torch.ones_like(s)),
        )
    prompts = tuple(Prompt(phi[None], y, e[None], ridge) for phi, y in zip(supports, targets))
    answers = tuple(float(y * (phi @ e) / (phi @ phi + ridge)) for phi, y in zip(supports, targets))
    return BlindPair(prompts, answers)
