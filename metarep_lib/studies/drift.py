"""Features that move under ridge regression, and under the networks that run it: patients, worst moves, rounding, turns."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from metarep_lib.certify import worst_case
from metarep_lib.certify.statements.stability import DRIFT_RATIOS
from metarep_lib.construct import ConstructedTransformer
from metarep_lib.construct.algorithms import two_block_conjugate_gradient
from metarep_lib.construct.transforms import on_frozen_stack
from metarep_lib.network import AttentionConfig, BlockConfig, Transformer, TransformerConfig
from metarep_lib.network.tokens import input_basis
from metarep_lib.numerics import ridge_system, solvers
from metarep_lib.numerics.bounds.perturbation import (
    feature_drift_bound,
    from_joint,
    joint_features,
    kernel_drift_bound,
    predicted_drift_bound,
    ridge_fit,
    worst_drift,
)
from metarep_lib.prompt import Prompt
from metarep_lib.tasks import diabetes_prompt

__all__ = [
    "FORMATS",
    "by_rounded_features",
    "by_rounded_weights",
    "fan",
    "formula_slopes",
    "frozen_stack",
    "moves",
    "network_slopes",
    "patients",
    "query_moved",
    "turned",
    "used",
    "worst_used",
]

N_FEATURES = 10
Rounding = Callable[[Tensor], Tensor]


def integers(x: Tensor, largest: int) -> Tensor:
    """Rounded to whole multiples of a step, one step for the whole tensor.

    >>> integers(torch.tensor([-1.0, 0.3, 1.0]), largest=2)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    step = x.abs().max() / largest
    return (x / step).round() * step


FORMATS: dict[str, Rounding] = {
    "float16": lambda x: x.half().double(),
    "bfloat16": lambda x: x.bfloat16().double(),
    "int8": lambda x: integers(x, 127),
    "int4": lambda x: integers(x, 7),
}


def patients(ridge: float, n_query: int = 4) -> Prompt:
    """Six prompts of 40 patients each."""
    return diabetes_prompt(40, n_query, ridge, seed=11, n_prompts=6)


def answers(prompt: Prompt) -> Tensor:
    """The exact prediction at every query."""
    system = ridge_system(prompt)
    return system.predict(solvers.cholesky(system).alpha)


def used(name: str, seed: int, starts: int = 3) -> dict[str, float]:
    """The most of a bound of `DRIFT_RATIOS` that is used by 200 random inputs, and by a search."""
    ratio, size = DRIFT_RATIOS[name]
    draws = np.random.default_rng(1000 + seed).standard_normal((200, size))
    return {
        "random": max(ratio(torch.from_numpy(z)).item() for z in draws),
        "searched": worst_case(ratio, size, seed=seed, starts=starts),
    }


def moves(prompt: Prompt, delta: float, generator: torch.Generator) -> dict[str, np.ndarray]:
    """Changes of every query's answer, and what was promised, flat over prompts and queries.

    `worst`: by ascent over moves of supports and query of this size; `random`: by a random move of
    it. `features`: the bound from the prompt alone; `kernel` and `after`: the kernel bound and the
    feature bound at the worst move.
    """
    still = joint_features(prompt)
    start = from_joint(still, prompt)
    noise = torch.randn(still.shape, generator=generator, dtype=still.dtype)
    size = torch.linalg.matrix_norm(noise, ord=2, keepdim=True)
    worst = worst_drift(prompt, delta, steps=8)
    moved = {"worst": worst, "random": from_joint(still + delta * noise / size, prompt)}
    found = {
        name: (answers(after) - answers(start)).abs().squeeze(-1) for name, after in moved.items()
    }
    found["features"] = predicted_drift_bound(prompt, delta)
    found["kernel"] = kernel_drift_bound(ridge_system(start), ridge_system(worst))
    found["after"] = feature_drift_bound(start, worst).squeeze(-1)
    return {name: values.flatten().numpy() for name, values in found.items()}


def network_slopes(network: ConstructedTransformer, t: int, kappas: np.ndarray) -> list[float]:
    """Slope of a network's output after step t in the target of `thm-cg-jacobian`, part 3; of four features, ridge 1."""
    slopes = []
    for kappa in kappas:
        spectrum = torch.tensor([*range(t), float(kappa) - 1.0] + [0.0] * (3 - t)).double()
        y = torch.tensor([1.0] * t + [0.0] * (4 - t), dtype=torch.float64, requires_grad=True)
        query = torch.eye(4, dtype=torch.float64)[t : t + 1]
        output = network.run(Prompt(spectrum.sqrt().diag(), y, query, 1.0)).prediction[t, 0]
        (slope,) = torch.autograd.grad(output, y)
        slopes.append(slope[t].abs().item())
    return slopes


def formula_slopes(t: int, kappas: np.ndarray) -> np.ndarray:
    """The same by the formula; t = 0: what the answer allows.

    >>> formula_slopes(1, np.array([4])).round(3)  # sqrt(3) (1 + 3) / 4
    array([1.732])
    """
    ways = np.prod([(kappas - j) / j for j in range(1, t + 1)], axis=0) if t else 0.0
    return np.sqrt(kappas - 1.0) * np.abs(1 - (-1) ** t * ways) / kappas


def by_rounded_features(
    network: ConstructedTransformer, prompts: Prompt
) -> dict[str, tuple[Tensor, Tensor]]:
    """Format -> change of what the network says by step, [steps + 1, B, q], and the feature bound [B, q]."""
    still, found = network.run(prompts).prediction, {}
    for name, rounding in FORMATS.items():
        phi, query = rounding(prompts.phi), rounding(prompts.phi_query)
        moved = replace(prompts, phi=phi, phi_query=query)
        change = (network.run(moved).prediction - still).abs()
        found[name] = change, feature_drift_bound(prompts, moved)
    return found


def frozen_stack(seed: int) -> Transformer:
    """A random softmax block that makes 12 features of inputs, and none of targets."""
    tokens = input_basis(n_features=N_FEATURES)
    block = BlockConfig((AttentionConfig("softmax", 2, 8, 8),), 48, "gelu")
    shape = TransformerConfig(tokens.size, 24, 12, (block,), (0, 0))
    stack = Transformer(shape, torch.Generator().manual_seed(seed)).double()
    stack.requires_grad_(False)
    stack.W_E[tokens["y"]] = 0.0
    stack.W_U *= 0.1
    return stack


def whole(stack: Transformer, prompts: Prompt) -> tuple[Tensor, Prompt]:
    """One forward pass on a frozen stack: what it predicts, and the features it made on the way."""
    trace = on_frozen_stack(two_block_conjugate_gradient(12, 40), stack).run(prompts)
    made = {"phi": trace["phi", "support"][0], "phi_query": trace["phi", "query"][0]}
    return trace.prediction[-1], replace(prompts, **made)


def by_rounded_weights(stack: Transformer, prompts: Prompt) -> dict[str, tuple[Tensor, Tensor]]:
    """Format -> change of the converged network when the stack's weights are rounded, and the feature bound, [B, q] each."""
    still, made = whole(stack, prompts)
    found = {}
    for name, rounding in FORMATS.items():
        other = Transformer(stack.config, torch.Generator()).double()
        other.load_state_dict({key: rounding(value) for key, value in stack.state_dict().items()})
        prediction, moved = whole(other.requires_grad_(False), prompts)
        found[name] = (prediction - still).abs(), feature_drift_bound(made, moved)
    return found


def worst_used(network: ConstructedTransformer, prompts: Prompt, delta: float) -> float:
    """The most that the converged network's change uses of the feature bound, by the worst move found."""
    start, worst = (
        from_joint(joint_features(prompts), prompts),
        worst_drift(prompts, delta, steps=8),
    )
    change = (network.run(worst).prediction[-1] - network.run(start).prediction[-1]).abs()
    return (change / feature_drift_bound(start, worst)).max().item()


def plane_of(prompt: Prompt) -> Tensor:
    """[2, p] orthonormal: the direction of w*, and of what the query has besides."""
    w = ridge_fit(prompt).w
    w = w / w.norm()
    across = prompt.phi_query[0] - (prompt.phi_query[0] @ w) * w
    return torch.stack([w, across / across.norm()])


def turned(
    network: ConstructedTransformer, prompt: Prompt, angles: np.ndarray
) -> Mapping[str, list[float]]:
    """Change of the prediction when features are turned in the plane of w* and phi(x): all, or the query's alone."""
    plane, f = plane_of(prompt), network.predict(prompt)
    found: dict[str, list[float]] = {"all features": [], "the query alone": []}
    for angle in angles:
        c, s = np.cos(angle), np.sin(angle)
        small = torch.tensor([[c - 1, -s], [s, c - 1]], dtype=torch.float64)
        turn = torch.eye(prompt.n_features, dtype=torch.float64) + plane.T @ small @ plane
        for what, phi in zip(found, (prompt.phi @ turn, prompt.phi)):
            moved = replace(prompt, phi=phi, phi_query=prompt.phi_query @ turn)
            found[what].append((network.predict(moved) - f).abs().item())
    return found


def query_moved(
    network: ConstructedTransformer, prompt: Prompt, directions: Tensor
) -> tuple[Tensor, Tensor]:
    """Cosines of unit moves [n, p] of the query with w*, and the changes of the prediction, [n] each."""
    w = plane_of(prompt)[0]
    moved = Prompt(prompt.phi, prompt.y, prompt.phi_query + directions, prompt.ridge)
    return directions @ w, network.predict(moved) - network.predict(prompt)


def fan(prompt: Prompt, angles: np.ndarray) -> Tensor:
    """[angles, p] unit vectors from w* to what the query has besides, and on."""
    c, s = (torch.tensor(of(angles), dtype=torch.float64)[:, None] for of in (np.cos, np.sin))
    w, across = plane_of(prompt)
    return c * w + s * across
