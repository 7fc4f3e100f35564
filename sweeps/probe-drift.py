"""Fine-tuning four layers of linear attention when the features come in other units: what a probe still reads, with three remedies.

The tasks and their answers stay; only phi is multiplied by `SCALE`, so that the network must find its step sizes again. The probe reads the final residual lambda alpha* on the supports after the last block and is frozen before fine-tuning. `nothing`: the loss alone.
`subspace`: no weight may change what it writes along the direction the probe reads. `oracle`: the squared error of the frozen probe against
the solver's lambda alpha*, over its variance, is added to the loss (over its Bayes risk).
"""

from dataclasses import replace

import torch

from metarep_lib import Prompt, ridge_system, solvers
from metarep_lib.evidence import Split, Sweep, activations, fit_probes, load_trained, recover, recovery
from metarep_lib.tasks import LinearPrior

PRIOR, SCALE = LinearPrior(5, noise=(0.1,)), 0.6
K, STEPS, EVERY = 20, 300, 50


def pose(scale, n_tasks, seed):
    """A prompt with features in other units, f at its queries, lambda alpha* and f* of the regression in the old units."""
    drawn = PRIOR.sample(n_tasks, K + 4, torch.Generator().manual_seed(seed))
    prompt = Prompt(drawn.x[:, :K], drawn.y[:, :K], drawn.x[:, K:], ridge=PRIOR.noise[0] ** 2)
    system = ridge_system(prompt.to(torch.float64), PRIOR.covariance)
    alpha = solvers.cholesky(system).alpha
    moved = replace(prompt, phi=scale * prompt.phi, phi_query=scale * prompt.phi_query)
    return moved, drawn.f[:, K:], prompt.ridge * alpha, system.predict(alpha)


def write_elsewhere(transformer, direction):
    """Take out of every gradient what would change the writing along the direction."""
    for block in transformer.blocks:
        for group in block.attention:
            group.W_O.grad -= (group.W_O.grad @ direction).unsqueeze(-1) * direction
    transformer.W_E.grad -= (transformer.W_E.grad @ direction).unsqueeze(-1) * direction


def run(seed, remedy):
    network = load_trained("linear-attention-4", seed)
    transformer = network.transformer
    prompt, _, rest, _ = pose(1.0, 400, 11)
    probe = fit_probes(activations(network, prompt)["support"][-1], {"rest": rest}, Split.of(400))["rest"]
    weights, offset = probe.weights.float(), probe.offset.float()
    direction = (weights / weights.norm()).squeeze(-1)
    judged, f, rest, exact = pose(SCALE, 400, 12)
    split = Split.of(400)
    bayes = (exact - f).square().mean().item()
    transformer.requires_grad_(True)
    optimizer = torch.optim.AdamW(transformer.parameters(), lr=5e-4, weight_decay=0.0)
    rows = {"risk": [], "frozen": [], "anew": []}
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            with torch.no_grad():
                stream = activations(network, judged)["support"][-1].double()
                rows["risk"].append(((network.predict(judged) - f).square().mean() / bayes).item())
                rows["frozen"].append(recovery(probe(stream[split.test]), rest[split.test]).r2)
                rows["anew"].append(recover(stream, {"rest": rest}, split)["rest"].r2)
        asked, f_asked, rest_asked, _ = pose(SCALE, 64, 10**6 * (seed + 1) + step)
        tokens, mask, queries = network.question(asked)
        *_, last = transformer.stream(tokens, mask)
        loss = (transformer.read(last)[:, queries, 0] - f_asked).square().mean() / bayes
        if remedy == "oracle":
            said = (last[:, :K] @ weights + offset).squeeze(-1)
            loss = loss + (said - rest_asked).square().mean() / rest_asked.var()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(transformer.parameters(), 1.0)
        if remedy == "subspace":
            write_elsewhere(transformer, direction)
        optimizer.step()
    return {name: [round(value, 4) for value in values] for name, values in rows.items()}


SWEEP = Sweep("probe-drift", {"remedy": ["nothing", "subspace", "oracle"]}, [0, 1], run)
