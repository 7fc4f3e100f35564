"""Training: one function runs a recipe with a seed, resumes where it stopped, and writes weights with a card."""

import math
import platform
import time
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from metarep_lib.network.masks import PairCausalMask, PrefixMask
from metarep_lib.network.tokens import bare_tokens
from metarep_lib.network.transformer import Transformer
from metarep_lib.storage import alone, library_digest
from metarep_lib.tasks.priors import Draw, bayes_risk
from metarep_lib.train.checkpoint import Run, read_checkpoint, write_checkpoint
from metarep_lib.train.initial import initial
from metarep_lib.train.recipe import Recipe
from metarep_lib.train.stored import Place, clear, read_card, write_network

CHECKPOINT_EVERY = 500
EVALUATION_SEED = 10**6  # far from every training seed


def train(
    recipe: Recipe, seed: int, folder: Path, *, commit: str, command: str, device: str = "cpu"
) -> Path:
    """Train a recipe; write `NAME-SEED.safetensors` (half precision) and `NAME-SEED.json` (the card) into the folder.

    Interrupted, it goes on from the last checkpoint (`NAME-SEED.checkpoint`, removed at the end) with the very batches it would have seen.
    While another process trains the same into the same folder it waits, and trains what that one leaves undone.

    Returns:
        The path of the weights.

    Raises:
        ValueError: a seed that is no whole number from 0 on.
        CheckpointError: the checkpoint is broken or of another run: another recipe, seed or code.
        FloatingPointError: the loss is no longer a number, or the weights do not fit half precision; no network is written.
    """
    if type(seed) is not int or seed < 0:
        raise ValueError(
            f"train({recipe.name!r}, seed={seed!r}): expected a whole number from 0 on, seed=0 say"
        )
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(folder, recipe.name, seed)
    made = {
        "commit": commit,
        "code": library_digest(),
        "device": device_name(device),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    run = Run(recipe, seed, command, made)
    with alone(place.weights) as waited:
        clear(place)
        if waited and has_made(place, run):
            return place.weights
        network, seconds = optimise(run, place.checkpoint, device)
        finish(run, place, network, round(seconds))
        place.checkpoint.unlink(missing_ok=True)
    return place.weights


def has_made(place: Place, run: Run) -> bool:
    """Whether the network that this run would make is there."""
    try:
        card = read_card(place, "train")
    except (FileNotFoundError, ValueError):
        return False
    return not [*run.differences(Run.of(card))]


def optimise(run: Run, checkpoint: Path, device: str) -> tuple[Transformer, float]:
    """The trained network, and the seconds it took, those before an interruption included."""
    recipe, seed, schedule = run.recipe, run.seed, run.recipe.schedule
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
    parts = {"network": network, "optimizer": optimizer, "pace": pace}
    start, seconds = read_checkpoint(checkpoint, run, parts)
    weigh = loss_weights(recipe)
    began = time.monotonic()
    with tqdm(
        range(start, schedule.steps),
        initial=start,
        total=schedule.steps,
        desc=checkpoint.stem,
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
                spent = seconds + time.monotonic() - began
                write_checkpoint(checkpoint, run, parts, step + 1, spent)
    return network, seconds + time.monotonic() - began


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


def finish(run: Run, place: Place, network: Transformer, seconds: int) -> None:
    """Store the weights in half precision, and a card with the risk of what was stored."""
    halves = {
        name: weight.detach().cpu().half().contiguous()
        for name, weight in network.state_dict().items()
    }
    network.load_state_dict({name: weight.float() for name, weight in halves.items()})
    judged = risks(network, run.recipe)
    if not all(math.isfinite(row["risk"]) for row in judged):
        raise FloatingPointError(
            f"train({run.recipe.name!r}, seed={run.seed}): in half precision, as they are stored, the weights give a risk that is no number;"
            " lower learning_rate or output_gain"
        )
    card = {
        "recipe": run.recipe.asdict(),
        "seed": run.seed,
        "command": run.command,
        **run.made,
        "seconds": seconds,
        "n_parameters": sum(weight.numel() for weight in halves.values()),
        "risks": judged,
    }
    write_network(place, halves, card)


def device_name(device: str) -> str:
    return (
        torch.cuda.get_device_name()
        if device.startswith("cuda")
        else f"CPU, {torch.get_num_threads()} threads"
    )
