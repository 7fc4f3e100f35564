"""Training: one function runs a recipe with a seed, resumes where it stopped, and writes weights with a card."""

import json
import math
import platform
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from metarep_lib.asked import asked, at_least
from metarep_lib.network.masks import PairCausalMask, PrefixMask
from metarep_lib.network.tokens import bare_tokens
from metarep_lib.network.transformer import Transformer
from metarep_lib.storage import replace
from metarep_lib.tasks.priors import Draw, bayes_risk
from metarep_lib.train.recipe import Recipe

CHECKPOINT_EVERY = 500
EVALUATION_SEED = 10**6  # far from every training seed


def train(
    recipe: Recipe, seed: int, folder: Path, *, commit: str, command: str, device: str = "cpu"
) -> Path:
    """Train a recipe; write `NAME-SEED.safetensors` (half precision) and `NAME-SEED.json` (the card) into the folder.

    Interrupted, it goes on from the last checkpoint (`NAME-SEED.checkpoint`, removed at the end) with the very batches it would have seen.

    Returns:
        The path of the weights.

    Raises:
        FloatingPointError: the loss is no longer a number; nothing is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{recipe.name}-{seed}"
    schedule = recipe.schedule
    network = initial(recipe, seed).to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=schedule.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=schedule.weight_decay,
    )
    pace = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate(step, schedule.warmup, schedule.steps)
    )
    start, seconds = resume(stem, network, optimizer, pace)
    weigh = loss_weights(recipe)
    began = time.monotonic()
    with tqdm(
        range(start, schedule.steps),
        initial=start,
        total=schedule.steps,
        desc=stem.name,
        mininterval=5,
    ) as progress:
        for step in progress:
            loss = batch_loss(
                network,
                recipe,
                weigh,
                torch.Generator().manual_seed((seed + 1) * 10**7 + step),
                device,
            )
            if not loss.isfinite():
                raise FloatingPointError(
                    f"train({recipe.name!r}, seed={seed}): the loss of step {step} is {loss.item()}; lower learning_rate or output_gain"
                )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), schedule.clip)
            optimizer.step()
            pace.step()
            if step % 50 == 0:
                progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            if (step + 1) % CHECKPOINT_EVERY == 0:
                state = {"step": step + 1, "seconds": seconds + time.monotonic() - began}
                parts = {
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "pace": pace.state_dict(),
                }
                replace(
                    stem.with_suffix(".checkpoint"),
                    lambda path, held={**state, **parts}: torch.save(held, path),
                )
    seconds += time.monotonic() - began
    return finish(
        recipe,
        seed,
        stem,
        network,
        {
            "command": command,
            "commit": commit,
            "device": device_name(device),
            "seconds": round(seconds),
        },
    )


@asked(seed=at_least(0))
def initial(recipe: Recipe, seed: int) -> Transformer:
    """The untrained network of a seed."""
    network = Transformer(recipe.config, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for block in network.blocks:
            for writes in (*(group.W_O for group in block.attention), block.mlp.W_out):
                writes.mul_(recipe.schedule.output_gain)
    return network


def rate(step: int, warmup: int, steps: int) -> float:
    """Linear warm-up, then cosine decay to zero."""
    return min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / steps)))


def batch_loss(
    network: Transformer, recipe: Recipe, weigh: Tensor, generator: torch.Generator, device: str
) -> Tensor:
    """Squared error against the noiseless f, each context length weighted by 1 / its Bayes risk."""
    schedule = recipe.schedule
    smallest, largest = schedule.n_support
    if schedule.layout == "pair-causal":
        draw = recipe.prior.sample(schedule.batch, largest, generator)
        x, y, f = (held.to(device) for held in (draw.x, draw.y, draw.f))
        said = network(bare_tokens(x, y, x), PairCausalMask(largest))[:, largest:, 0]
        return ((said - f).square() * weigh[:largest].to(device))[:, smallest:].mean()
    k = int(torch.randint(smallest, largest + 1, (), generator=generator))
    draw = recipe.prior.sample(schedule.batch, k + schedule.n_query, generator)
    x, y, f = (held.to(device) for held in (draw.x, draw.y, draw.f))
    said = network(bare_tokens(x[:, :k], y[:, :k], x[:, k:]), PrefixMask(k, sees_itself=True))[
        :, k:, 0
    ]
    return (said - f[:, k:]).square().mean() * weigh[k].item()


def loss_weights(recipe: Recipe, n_prompts: int = 2000) -> Tensor:
    """[largest + 1] one over the Bayes risk at every context length: late contexts, where the risk is small, count as much as early ones."""
    smallest, largest = recipe.schedule.n_support
    draw = recipe.prior.sample(
        n_prompts, largest + 4, torch.Generator().manual_seed(EVALUATION_SEED + 1)
    )
    risks = [
        bayes_risk(recipe.prior, draw, k) if k >= smallest else math.inf for k in range(largest + 1)
    ]
    return 1 / torch.tensor(risks)


@torch.no_grad()
def risks(network: Transformer, recipe: Recipe, n_prompts: int = 1000) -> list[dict[str, float]]:
    """Mean squared error against f by context length, the network's and the Bayes predictor's, on prompts of a seed no training uses."""
    schedule = recipe.schedule
    smallest, largest = schedule.n_support
    draw = recipe.prior.sample(
        n_prompts, largest + schedule.n_query, torch.Generator().manual_seed(EVALUATION_SEED)
    )
    device = next(network.parameters()).device
    x, y, f = (held.to(device) for held in (draw.x, draw.y, draw.f))
    lengths = sorted(
        {*range(max(smallest, 1), largest + 1, max(1, (largest - smallest) // 8)), largest}
    )
    table = []
    for k in lengths:
        asked = draw  # the Bayes predictor answers the very queries that the network answers
        if schedule.layout == "pair-causal":
            asked = Draw(draw.x[:, : k + 1], draw.f[:, : k + 1], draw.y[:, : k + 1], draw.noise)
            pairs = torch.cat([x[:, :k], x[:, k : k + 1]], dim=1)
            targets = torch.cat([y[:, :k], torch.zeros_like(y[:, :1])], dim=1)
            said, truth = (
                network(bare_tokens(pairs, targets, pairs), PairCausalMask(k + 1))[:, -1:, 0],
                f[:, k : k + 1],
            )
        else:
            said, truth = (
                network(bare_tokens(x[:, :k], y[:, :k], x[:, k:]), PrefixMask(k, sees_itself=True))[
                    :, k:, 0
                ],
                f[:, k:],
            )
        table.append(
            {
                "n_support": k,
                "risk": (said - truth).square().mean().item(),
                "bayes": bayes_risk(recipe.prior, asked, k),
            }
        )
    return table


def finish(recipe: Recipe, seed: int, stem: Path, network: Transformer, run: dict) -> Path:
    """Store the weights in half precision, then the card with the risk of what was stored, then drop the checkpoint."""
    halves = {
        name: weight.detach().cpu().half().contiguous()
        for name, weight in network.state_dict().items()
    }
    weights = stem.with_suffix(".safetensors")
    replace(weights, lambda path: save_file(halves, path))
    network.load_state_dict({name: weight.float() for name, weight in halves.items()})
    card = {
        "recipe": recipe.asdict(),
        "seed": seed,
        **run,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    card |= {
        "n_parameters": sum(weight.numel() for weight in halves.values()),
        "risks": risks(network, recipe),
    }
    replace(
        stem.with_suffix(".json"),
        lambda path: path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8"),
    )
    stem.with_suffix(".checkpoint").unlink(missing_ok=True)
    return weights


def resume(
    stem: Path,
    network: Transformer,
    optimizer: torch.optim.Optimizer,
    pace: torch.optim.lr_scheduler.LambdaLR,
) -> tuple[int, float]:
    """The step to go on from and the seconds spent so far."""
    path = stem.with_suffix(".checkpoint")
    if not path.exists():
        return 0, 0.0
    held = torch.load(path, weights_only=True)
    network.load_state_dict(held["network"])
    optimizer.load_state_dict(held["optimizer"])
    pace.load_state_dict(held["pace"])
    return held["step"], held["seconds"]


def device_name(device: str) -> str:
    return (
        torch.cuda.get_device_name()
        if device.startswith("cuda")
        else f"CPU, {torch.get_num_threads()} threads"
    )
