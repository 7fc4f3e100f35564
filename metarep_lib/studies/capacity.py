"""Laws of prompts on which width and depth are measured, linear and exponential, synthetic and real; and maps learned on them.

A prompt of an exponential law is handed on in the coordinates of its supports' span (`numerics.spanned_features`), where the
kernel is linear: a network of width m sees m numbers made of these, and what is dropped is what the map drops.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from metarep_lib.numerics.kernels.kernels import ExponentialKernel
from metarep_lib.numerics.projections import landmark_projection, spanned_features
from metarep_lib.prompt import Prompt
from metarep_lib.tasks.diabetes import diabetes_prompt
from metarep_lib.tasks.spectra import geometric_spectrum
from metarep_lib.tasks.synthetic import synthetic_prompt

POOL, POOL_SEED = 256, 10**6  # prompts that maps learn from, away from the seeds that are scored
# maps learn from the first half, the other is scored
PATIENTS = np.random.default_rng(442).permutation(442)


@dataclass(frozen=True)
class Law:
    """How prompts are drawn, and the kernel that answers them.

    Args:
        draw: (n_prompts, seed) to a batch of prompts whose `phi` are the kernel's inputs; with POOL_SEED what maps learn from.
        tau: temperature of the exponential kernel; None for the linear one.
        widths: the widths to look at, the last one enough for everything.
    """

    draw: Callable[[int, int], Prompt]
    tau: float | None
    widths: tuple[int, ...]

    @property
    def kernel(self) -> ExponentialKernel | None:
        return None if self.tau is None else ExponentialKernel(self.tau)

    def prompt(self, seed: int) -> Prompt:
        """One prompt, as the kernel's inputs."""
        batch = self.draw(1, seed)
        return Prompt(batch.phi[0], batch.y[0], batch.phi_query[0], batch.ridge, batch.y_query[0])

    def coordinates(self, prompt: Prompt) -> Prompt:
        """The same prompt with features: where the kernel is linear."""
        return prompt if self.kernel is None else spanned_features(prompt, self.kernel)


def linear_law(spectrum: np.ndarray) -> Callable[[int, int], Prompt]:
    """48 supports, eigenvalues of K as given, in one basis for all prompts, so that a map has something to learn."""
    basis = torch.from_numpy(
        np.linalg.qr(np.random.default_rng(77).standard_normal((len(spectrum),) * 2))[0]
    )

    def draw(n_prompts: int, seed: int) -> Prompt:
        made = synthetic_prompt(
            spectrum, 48, 16, ridge=0.01, seed=seed, noise=0.3, rotated=False, n_prompts=n_prompts
        )
        return Prompt(
            made.phi @ basis.mT, made.y, made.phi_query @ basis.mT, made.ridge, made.y_query
        )

    return draw


def gaussian_process_law(
    n_inputs: int, condition: float, tau: float, noise: float
) -> Callable[[int, int], Prompt]:
    """40 supports on the sphere, targets of a Gaussian process with the exponential kernel, the ridge that is right for them."""

    def draw(n_prompts: int, seed: int) -> Prompt:
        inputs, function, errors = (
            np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(3)
        )
        x = inputs.standard_normal((n_prompts, 56, n_inputs)) * np.sqrt(
            geometric_spectrum(n_inputs, condition)
        )
        x /= np.linalg.norm(x, axis=-1, keepdims=True)
        eigenvalues, vectors = np.linalg.eigh(np.exp((x @ x.swapaxes(-1, -2) - 1) / tau))
        root = vectors * np.sqrt(eigenvalues.clip(min=0))[:, None]
        f = (root @ function.standard_normal((n_prompts, 56, 1)))[..., 0]
        y = f + noise * errors.standard_normal(f.shape)
        parts = x[:, :40], y[:, :40], x[:, 40:]
        return Prompt(
            *map(torch.from_numpy, parts),
            ridge=noise**2 * float(np.exp(1 / tau)),
            y_query=torch.from_numpy(y[:, 40:]),
        )

    return draw


def diabetes_law(ridge: float) -> Callable[[int, int], Prompt]:
    """40 patients with outcome, 20 without; nobody who is scored is learned from."""

    def draw(n_prompts: int, seed: int) -> Prompt:
        among = PATIENTS[:221] if seed == POOL_SEED else PATIENTS[221:]
        return diabetes_prompt(40, 20, ridge=ridge, seed=seed, n_prompts=n_prompts, among=among)

    return draw


LAWS = {
    "power law, linear": Law(
        linear_law(1.0 / np.arange(1, 25) ** 2), None, (1, 2, 4, 7, 11, 16, 20, 23)
    ),
    "geometric, linear": Law(
        linear_law(geometric_spectrum(24, 1e4)), None, (1, 2, 4, 7, 11, 16, 20, 23)
    ),
    "sphere, exponential": Law(
        gaussian_process_law(3, 1.0, 0.5, 0.2), 0.5, (1, 2, 4, 8, 13, 20, 28, 36)
    ),
    "flat sphere, exponential": Law(
        gaussian_process_law(6, 100.0, 0.5, 0.2), 0.5, (1, 2, 4, 8, 13, 20, 28, 36)
    ),
    "diabetes, linear": Law(diabetes_law(1.0), None, (1, 2, 3, 4, 5, 6, 8, 9)),
    "diabetes, exponential": Law(diabetes_law(1.0), 10.0, (1, 2, 4, 8, 13, 20, 28, 36)),
}


@lru_cache(maxsize=len(LAWS))
def pool(law: str) -> Prompt:
    return LAWS[law].draw(POOL, POOL_SEED)


def learn_map(law: str, m: int, seed: int, steps: int = 150) -> Tensor:
    """A bottleneck of width m by gradient descent on the squared error of ridge regression behind it, on prompts of the law.

    Args:
        law: a key of `LAWS`.
        m: the width.
        seed: of the start and of the batches.
        steps: of Adam, 32 prompts each.

    Returns:
        Linear: W [m, p] with orthonormal rows. Exponential: m learned landmarks [m, p], inputs whose kernel values are the features.
    """
    generator = torch.Generator().manual_seed(seed)
    prompts, kernel = pool(law), LAWS[law].kernel
    if kernel is None:
        start = torch.randn(m, prompts.n_features, generator=generator, dtype=torch.float64)
    else:
        start = prompts.phi.flatten(0, 1)[
            torch.randperm(POOL * prompts.n_support, generator=generator)[:m]
        ]
    learned = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([learned], lr=0.05)
    for _ in range(steps):
        chosen = torch.randint(POOL, (32,), generator=generator)
        phi, phi_query = (
            narrow_features(x[chosen], learned, kernel) for x in (prompts.phi, prompts.phi_query)
        )
        H = phi.mT @ phi + prompts.ridge * torch.eye(m, dtype=torch.float64)
        w = torch.linalg.solve(H, phi.mT @ prompts.y[chosen].unsqueeze(-1))
        loss = ((phi_query @ w).squeeze(-1) - prompts.y_query[chosen]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return learned.detach() if kernel else torch.linalg.qr(learned.detach().mT).Q.mT


def narrow_features(x: Tensor, learned: Tensor, kernel: ExponentialKernel | None) -> Tensor:
    """[*batch, n, m] features of unit scale: W x with orthonormal rows, or kernel values with the landmarks, whitened by theirs."""
    if kernel is None:
        return x @ torch.linalg.qr(learned.mT).Q
    own = kernel(learned, learned)
    L = torch.linalg.cholesky(
        own + 1e-8 * own.diagonal().mean() * torch.eye(len(own), dtype=own.dtype)
    )
    return torch.linalg.solve_triangular(L, kernel(x, learned).mT, upper=False).mT


def in_common_coordinates(
    prompt: Prompt, kernel: ExponentialKernel, landmarks: Tensor
) -> tuple[Prompt, Tensor]:
    """The prompt in the span of supports *and* landmarks, and an orthonormal basis of the landmarks there: a projection like any other."""
    asked = Prompt(prompt.phi, prompt.y, torch.cat([prompt.phi_query, landmarks]), prompt.ridge)
    wide = spanned_features(asked, kernel, anchors=torch.cat([prompt.phi, landmarks]))
    phi_query, of_landmarks = wide.phi_query[: prompt.n_query], wide.phi_query[prompt.n_query :]
    W = landmark_projection(
        Prompt(of_landmarks, of_landmarks[:, 0], of_landmarks[:0], 1.0),
        torch.arange(len(landmarks)),
    )
    return Prompt(wide.phi, wide.y, phi_query, wide.ridge, prompt.y_query), W
