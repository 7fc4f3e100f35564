"""The same comparison for the exponential kernel: `python -m benchmarks.exponential`, also at the end of `make bench`.

Letters: k supports, p features, q queries, t steps.

No p x p shortcut exists for this kernel, so everybody pays for all pairs: the direct methods once, with k^3 on top, an
iteration once if it stores K and once per step if it does not. A softmax head is of the second sort: it forms its scores
anew in every block. The fused kernel of torch, `scaled_dot_product_attention`, does so without storing them; it takes the place
of the decoder's own lines here and nowhere else.

Asked of everybody: the accuracy of `contenders.TOLERANCE` at the queries, against a Cholesky solve. Conjugate gradient, in whichever
form, takes the steps that its textbook form with the same preconditioner needs and a quarter more, since rounding delays each form
differently, by up to an eighth where it was looked at; whoever misses the accuracy all the same is named.
"""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import MethodType

import torch
from torch import Tensor

from benchmarks.contenders import N_QUERY, SEED, TOLERANCE, Contender, Solve, relative_error
from benchmarks.measure import in_own_process, save
from metarep_lib import (
    ExponentialKernel,
    Prompt,
    assemble,
    ridge_system,
    softmax_conjugate_gradient,
    solvers,
)
from metarep_lib.construct.algorithms import pipelined_conjugate_gradient
from metarep_lib.network import PrefixMask

TAU, RIDGE, N_FEATURES = 0.5, 10.0, 8
SUPPORTS = (250, 1_000, 2_000)
MIB = 2**20


def problem(k: int, p: int) -> Prompt:
    """Features on the sphere, targets sin(3 x_1) with a little noise."""
    generator = torch.Generator().manual_seed(SEED)
    phi = torch.randn(k + N_QUERY, p, generator=generator, dtype=torch.float64)
    phi = phi / phi.norm(dim=1, keepdim=True)
    y = (3 * phi[:k, 0]).sin() + 0.1 * torch.randn(k, generator=generator, dtype=torch.float64)
    return Prompt(phi[:k], y, phi[k:], RIDGE)


def exact_prediction(prompt: Prompt) -> Tensor:
    system = ridge_system(prompt, ExponentialKernel(TAU))
    return system.predict(solvers.cholesky(system).alpha)


def textbook_iterates(prompt: Prompt) -> Iterator[Tensor]:
    """[q] predictions of textbook CG with a stored K, preconditioned by its row sums (Saad 2003, algorithm 9.1)."""
    K = ExponentialKernel(TAU)(prompt.phi, prompt.phi)
    K_query = ExponentialKernel(TAU)(prompt.phi_query, prompt.phi)
    m = 1 / (K.sum(1) + prompt.ridge)
    alpha, r = torch.zeros_like(prompt.y), prompt.y
    p, rho = m * r, r @ (m * r)
    while True:
        w = K @ p + prompt.ridge * p
        gamma = rho / (p @ w)
        alpha, r = alpha + gamma * p, r - gamma * w
        rho_old, rho = rho, r @ (m * r)
        p = m * r + (rho / rho_old) * p
        yield K_query @ alpha


def fewest_steps(prompt: Prompt, exact: Tensor) -> int:
    for t, prediction in enumerate(textbook_iterates(prompt), start=1):
        if relative_error(prediction, exact) <= TOLERANCE:
            return t
        if t > 1000:
            raise ArithmeticError(f"textbook CG is above {TOLERANCE:g} after {t} steps with k={prompt.n_support}")


def textbook(prompt: Prompt, steps: int) -> Solve:
    def solve() -> Tensor:
        iterates = textbook_iterates(prompt)
        for _ in range(steps - 1):
            next(iterates)
        return next(iterates)

    return solve


def cholesky(prompt: Prompt, steps: int) -> Solve:
    return lambda: exact_prediction(prompt)


def kernel_ridge(prompt: Prompt, steps: int) -> Solve:
    import numpy as np
    from sklearn.kernel_ridge import KernelRidge

    phi, y, phi_query = prompt.phi.numpy(), prompt.y.numpy(), prompt.phi_query.numpy()

    def solve() -> Tensor:
        model = KernelRidge(alpha=prompt.ridge, kernel="precomputed").fit(np.exp(phi @ phi.T / TAU), y)
        return torch.from_numpy(model.predict(np.exp(phi_query @ phi.T / TAU)))

    return solve


def network(name: str, program, fused: bool = False) -> Contender:
    def prepare(prompt: Prompt, steps: int) -> Solve:
        constructed = assemble(program(prompt.n_features, steps, TAU), device=prompt.phi.device)
        if fused:
            for block in constructed.transformer.blocks:
                for group in block.attention:
                    group.softmax = MethodType(fused_softmax, group)
        return lambda: constructed.predict(prompt)

    return Contender(name, "O(t k^2)", prepare, runs_on_gpu=True)


def fused_softmax(self, q: Tensor, k: Tensor, v: Tensor, mask: PrefixMask) -> Tensor:
    """`Attention.softmax` under a prefix mask: the keys that may be read are sliced out, so no mask is left; values are padded to the
    width of queries, which the fused kernel asks for."""
    read = [j for j in range(mask.n_prefix) if j not in self.config.hidden_keys]
    padded = torch.nn.functional.pad(v[..., read, :], (0, q.shape[-1] - v.shape[-1]))
    out = torch.nn.functional.scaled_dot_product_attention(q, k[..., read, :], padded, scale=self.config.score_scale)
    return out[..., : v.shape[-1]]


ALL = (
    network("network, softmax CG", softmax_conjugate_gradient),
    network("network, softmax CG, fused attention", softmax_conjugate_gradient, fused=True),
    network("network, pipelined CG, fused attention", pipelined_conjugate_gradient, fused=True),
    Contender("textbook CG with stored K, torch", "O(k^2 p + t k^2)", textbook, runs_on_gpu=True),
    Contender("Cholesky, torch", "O(k^2 p + k^3)", cholesky, runs_on_gpu=True),
    Contender("sklearn KernelRidge, precomputed", "O(k^2 p + k^3)", kernel_ridge),
)


def report(supports: tuple[int, ...] = SUPPORTS) -> str:
    from tabulate import tabulate

    rows, missed = [], []
    with tempfile.TemporaryDirectory() as temporary:
        for k in supports:
            prompt = problem(k, N_FEATURES)
            exact, folder = exact_prediction(prompt), Path(temporary) / str(k)
            save(folder, prompt, exact)
            steps = math.ceil(1.25 * fewest_steps(prompt, exact))
            measured = {one: in_own_process(folder, one.name, steps) for one in ALL}
            fastest = min(found.median for found in measured.values())
            missed += [f"{one.name} at k = {k:,}" for one, found in measured.items() if not found.error <= TOLERANCE]
            for one, found in measured.items():
                times = [f"{found.median:.3g}", f"{found.best:.3g}", f"{found.median / fastest:.1f}"]
                sizes = [f"{found.peak / MIB:.1f}", f"{found.peak / (8 * k * k):.1f}", f"{found.error:.0e}"]
                rows.append([one.name, one.cost, f"{k:,}", str(steps) if "t k" in one.cost else "-", *times, *sizes])
    headers = ["contender", "cost", "k", "t", "median s", "best s", "x fastest", "peak MiB", "peak / K", "error"]
    aligned = tabulate(rows, headers, disable_numparse=True, colalign=("left", "left", *["right"] * 8))
    return (
        f"Exponential kernel, temperature {TAU:g}, ridge {RIDGE:g}, p = {N_FEATURES} features on the sphere, {N_QUERY} queries, float64\n\n{aligned}\n\n"
        "Whoever may store K pays for the exponentials once. A softmax head computes all scores again in every block, as every transformer does;\n"
        "the fused kernel keeps them out of memory. The inputs are not counted."
        + (f"\nNOT accurate enough: {', '.join(missed)}." if missed else "")
    )


if __name__ == "__main__":
    print(report())
