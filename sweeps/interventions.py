"""What edits do to trained networks: every head, MLP and attention taken out, the stream patched between prompts, probed directions injected.

A row is one set of weights. The error of a network is its mean squared distance to the Bayes predictor, which in expectation is its excess risk.
Lists are by place: heads block by block, or the stream after 0, 1, ... blocks. An entry `..._se` is the standard error of a difference from
the clean pass, paired over prompts.
"""

import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor

from metarep_lib import Prompt
from metarep_lib.evidence.intervene import (
    Add,
    Edit,
    Heads,
    Mean,
    Put,
    Stream,
    Take,
    Units,
    intervene,
)
from metarep_lib.studies import Sweep
from metarep_lib.tasks import Draw, bayes
from metarep_lib.train import TrainedTransformer, load_trained, read_recipe
from metarep_lib.train.trained import WEIGHTS

NAMES = ("linear-attention-2", "linear-attention-3", "linear-attention-4", "linear-attention-looped-4", "softmax-gp", "softmax-linear", "softmax-mixed-noise")
N_PROMPTS, AT_ONCE = 120, 8
N_INJECTED = 360  # what an injection gains is small, so more prompts
Edits = dict[str, list[Edit]]


class Asked:
    """A network with prompts it has never seen, and what Bayes would say at their queries and at their supports."""

    def __init__(self, network: TrainedTransformer, draw: Draw, n_support: int):
        k, prior = n_support, network.recipe.prior
        self.network, self.prior, self.k, self.draw = network, prior, k, draw
        self.prompt = Prompt(draw.x[:, :k], draw.y[:, :k], draw.x[:, k:], ridge=1.0)
        self.truth = bayes(prior, draw, k).float()
        again = Draw(torch.cat([draw.x[:, :k]] * 2, 1), draw.f, torch.cat([draw.y[:, :k]] * 2, 1), draw.noise)
        self.residual = draw.y[:, :k] - bayes(prior, again, k).float()  # noise^2 times the dual solution

    def run(self, edits: Edits, keep: bool = False) -> dict:
        """name -> predictions [B, q], or whole traces; a few interventions at a time."""
        held, names = {}, list(edits)
        for start in range(0, max(len(names), 1), AT_ONCE):
            some = {name: edits[name] for name in names[start : start + AT_ONCE]}
            for name, trace in intervene(self.network, self.prompt, some).items():
                held[name] = trace if keep else trace.prediction[-1]
        return held

    def errors(self, edits: Edits) -> dict[str, Tensor]:
        """name -> [B] squared distance to Bayes, averaged over the queries of a prompt."""
        return {name: (says - self.truth).square().mean(-1) for name, says in self.run(edits).items()}


def ask(network: TrainedTransformer, seed: int, n_support: int | None = None, n_prompts: int = N_PROMPTS) -> Asked:
    k = n_support or network.recipe.schedule.n_support[1]
    n_query = 1 if network.layout.has_passes else 4
    return Asked(network, network.recipe.prior.sample(n_prompts, k + n_query, torch.Generator().manual_seed(5 * 10**5 + seed)), k)


def places(network: TrainedTransformer) -> dict[str, list[Heads | Units]]:
    """Every head, every attention, every MLP: one of each list for every block, or n_heads of it."""
    shape = network.recipe.shape
    blocks = range(1, shape.n_layers + 1)
    found = {"head": [Heads(b, h) for b in blocks for h in range(shape.n_heads)], "attention": [Heads(b) for b in blocks]}
    return found | ({"mlp": [Units(b) for b in blocks]} if shape.d_mlp else {})


def ablate(asked: Asked) -> dict[str, list[float] | float]:
    """Excess risk without a part: its output zero, or its mean over prompts."""
    sort = {"zero": Put(0.0), "mean": Mean()}
    edits = {f"{part} {how} {i}": [Edit(place, what)] for part, found in places(asked.network).items() for how, what in sort.items() for i, place in enumerate(found)}
    errors = asked.errors(edits)
    clean = errors.pop("clean")
    held = {"clean": clean.mean(), "answer": asked.truth.square().mean()}
    for part, found in places(asked.network).items():
        for how in sort:
            these = [errors[f"{part} {how} {i}"] for i in range(len(found))]
            held |= {f"{part}_{how}": [e.mean() for e in these], f"{part}_{how}_se": [standard_error(e - clean) for e in these]}
    return held


def patch(network: TrainedTransformer, seed: int) -> dict[str, list[float]]:
    """Which part of the way to another prompt's answer the prediction goes when its query tokens are replaced after b blocks.

    Prompts come in pairs: another task at the same query, the same task with other supports, the same prompt with another query. (To replace
    the supports is the same run, seen from the partner; with another query it must change nothing at all.)
    """
    k = network.recipe.schedule.n_support[1]
    n_query = 1 if network.layout.has_passes else 4
    half = N_PROMPTS // 2
    draw = network.recipe.prior.sample(N_PROMPTS, 2 * k + 2 * n_query, torch.Generator().manual_seed(6 * 10**5 + seed))
    x, y, xq, xo = draw.x[:, : 2 * k], draw.y[:, : 2 * k], draw.x[:, 2 * k : 2 * k + n_query], draw.x[:, 2 * k + n_query :]
    one, first, second = slice(half), slice(k), slice(k, 2 * k)
    pairs = {
        "other_task": (x[:, first], y[:, first], torch.cat([xq[one], xq[one]])),
        "same_task": (*(torch.cat([held[one, first], held[one, second]]) for held in (x, y)), torch.cat([xq[one], xq[one]])),
        "other_query": (*(torch.cat([held[one, first]] * 2) for held in (x, y)), torch.cat([xq[one], xo[one]])),
    }
    partner = [*range(half, N_PROMPTS), *range(half)]
    blocks = range(network.recipe.shape.n_layers + 1)
    held = {}
    for pair, question in pairs.items():
        for tokens in ("query", "support") if pair == "other_query" else ("query",):
            edits = {str(b): [Edit(Stream(b, None, tokens), Take(partner))] for b in blocks}
            runs = {name: trace.prediction[-1] for name, trace in intervene(network, Prompt(*question, ridge=1.0), edits).items()}
            clean = runs.pop("clean")
            way, moved = clean[partner] - clean, [runs[str(b)] - clean for b in blocks]
            share = [(m * way).sum() / way.square().sum() for m in moved]
            held[f"{pair}_{tokens}"] = share
            held[f"{pair}_{tokens}_off"] = [(m - part * way).square().sum() / way.square().sum() for m, part in zip(moved, share)]
            held[f"{pair}_{tokens}_moved"] = [m.square().mean() for m in moved]
    return held


def inject(network: TrainedTransformer, seed: int) -> dict[str, list[float]]:
    """A linear probe is fitted after b blocks, the stream is moved until it reads the exact answer, and the rest of the network runs on.

    At a query the probe is for the Bayes prediction; at a support for y - f there, noise^2 times the dual solution. Three ways to move: along the
    probe's weights (the shortest), along the regression of the stream on what is probed (the way the stream itself moves with it), and as far as either in
    a random direction. Also the same against the probe, and the whole stream of the block after (`ahead`).
    """
    fit, test = ask(network, seed + 1), ask(network, seed + 2, n_prompts=N_INJECTED)
    depth = network.recipe.shape.n_layers
    found = {}
    streams, probes = fit.run({}, keep=True)["clean"], test.run({}, keep=True)["clean"]
    generator = torch.Generator().manual_seed(seed)
    for tokens, goal, truth in (("query", fit.truth, test.truth), ("support", fit.residual, test.residual)):
        edits, shifts, quality = {}, {}, []
        for b in range(1, depth):
            seen, held = (trace.stream(tokens)[b] for trace in (streams, probes))
            flat, wanted = seen.reshape(-1, seen.shape[-1]), goal.reshape(-1)
            probe = RidgeCV(alphas=(1e-4, 1e-2, 1.0, 100.0)).fit(flat.double().numpy(), wanted.double().numpy())
            weights = torch.from_numpy(probe.coef_).float()
            reads = held @ weights + float(probe.intercept_)
            quality.append(1 - (truth - reads).square().mean() / truth.var())
            centred = flat - flat.mean(0)
            pattern = (centred * (wanted - wanted.mean()).unsqueeze(-1)).mean(0) / wanted.var()
            gap = (truth - reads).unsqueeze(-1)
            along = {"probe": gap * weights / weights.square().sum(), "pattern": gap * pattern / (pattern @ weights)}
            random = torch.randn(weights.shape, generator=generator)
            along["random"] = along["pattern"].norm(dim=-1, keepdim=True) * random / random.norm() * gap.sign()
            along["against"] = -along["pattern"]
            for how, move in along.items():
                edits[f"{how} {b}"] = [Edit(Stream(b, None, tokens), Add(move))]
            shifts[b] = gap.reshape(truth.shape)
            if tokens == "query":
                edits[f"ahead {b}"] = [Edit(Stream(b, None, group), Put(probes.stream(group)[b + 1])) for group in ("support", "query")]
        runs = test.run(edits)
        clean = runs["clean"]
        error = (clean - test.truth).square().mean(-1)
        found[f"{tokens}_r2"] = quality
        for how in ("probe", "pattern", "random", "against", *(["ahead"] if tokens == "query" else [])):
            after = [(runs[f"{how} {b}"] - test.truth).square().mean(-1) for b in range(1, depth)]
            found |= {f"{tokens}_{how}": [e.mean() for e in after], f"{tokens}_{how}_se": [standard_error(e - error) for e in after]}
        if tokens == "query":
            for how in ("probe", "pattern"):  # how much of the shift is still there at the end
                pairs = [((runs[f"{how} {b}"] - clean), shifts[b].reshape(clean.shape)) for b in range(1, depth)]
                found[f"query_{how}_gain"] = [(moved * shift).sum() / shift.square().sum() for moved, shift in pairs]
    return found | {"inject_clean": error.mean()}


def steer(network: TrainedTransformer, seed: int) -> dict[str, list[float]]:
    """The ridge that explains the predictions best, after the mean difference of the stream between loud and quiet prompts is added to middling ones."""
    levels, k = network.recipe.prior.noise, 10
    asked, other = ask(network, seed + 3, k), ask(network, seed + 4, k)
    stream = other.run({}, keep=True)["clean"].stream("support")
    of = {level: (other.draw.noise == torch.tensor(level)).squeeze(-1) for level in levels}
    depth = network.recipe.shape.n_layers
    generator = torch.Generator().manual_seed(seed)
    doses = (-1.0, -0.5, 0.5, 1.0)
    edits = {}
    for b in range(1, depth):
        loud = stream[b, of[levels[-1]]].mean((0, 1)) - stream[b, of[levels[0]]].mean((0, 1))
        random = torch.randn(loud.shape, generator=generator)
        random *= loud.norm() / random.norm()
        for dose in doses:
            edits[f"steered {b} {dose}"] = [Edit(Stream(b, None, "support"), Add(dose * loud))]
            edits[f"random {b} {dose}"] = [Edit(Stream(b, None, "support"), Add(dose * random))]
    runs = asked.run(edits)
    middle = (asked.draw.noise == torch.tensor(levels[len(levels) // 2])).squeeze(-1)
    grid = torch.logspace(-1.5, 1, 41)
    ridges = torch.stack([bayes(asked.prior, Draw(asked.draw.x, asked.draw.f, asked.draw.y, level.sqrt().expand_as(asked.draw.noise)), k).float() for level in grid])

    def best(says: Tensor) -> tuple[float, float]:
        gaps = (ridges - says)[:, middle].square().mean((1, 2))
        return grid[gaps.argmin()].item(), gaps.min().item()

    names = {how: [f"{how} {b} {dose}" for b in range(1, depth) for dose in doses] for how in ("steered", "random")}
    held = {f"{how}_ridge": [best(runs[name])[0] for name in these] for how, these in names.items()}
    held |= {f"{how}_gap": [best(runs[name])[1] for name in these] for how, these in names.items()}
    clean_ridge, clean_gap = best(runs["clean"])
    return held | {"clean_ridge": clean_ridge, "clean_ridge_gap": clean_gap, "size": runs["clean"][middle].square().mean()}


def standard_error(difference: Tensor) -> Tensor:
    return difference.std() / len(difference) ** 0.5


def run(seed: int, weights: str) -> dict[str, list[float] | float]:
    name, _, of = weights.rpartition("-")
    network = load_trained(name, int(of))
    held = ablate(ask(network, seed)) | patch(network, seed) | inject(network, seed)
    if len(network.recipe.prior.noise) > 1:
        held |= steer(network, seed)
    return {key: [float(v) for v in value] if isinstance(value, list) else float(value) for key, value in held.items()}


TRAINING = WEIGHTS.parents[1] / "training"
NETWORKS = [f"{name}-{seed}" for name in NAMES for seed in read_recipe(TRAINING / f"{name}.toml").seeds]
SWEEP = Sweep("interventions", {"weights": NETWORKS}, [0], run)
