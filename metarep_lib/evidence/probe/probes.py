"""Probes: what can be read off the residual stream, judged on tasks the probe has not seen.

Letters: B tasks, n tokens of each, D channels of the stream, m entries of a target per token (alpha_t has one, w_t has p).

A probe is ridge regression from stream to target. Tasks, not tokens, are split into those that teach, those that choose
the penalty and those that judge, and intervals resample tasks: the tokens of one task are no independent witnesses.
Channels are not rescaled, so a rotation of the stream changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats
from metarep_lib.asked.values import unreadable
from metarep_lib.contents import Contents
from metarep_lib.network.asking import Network
from metarep_lib.network.levels import needs
from metarep_lib.prompt import Prompt

PENALTIES = tuple(10.0**e for e in range(-13, 3))
"""Of a probe, in units of the mean squared singular value of the stream."""

Targets = Mapping[str, Tensor]
Predictor = Callable[[Tensor], Tensor]


@needs(Network)
@asked()
def activations(network: Network, prompt: Prompt) -> dict[str, Tensor]:
    """Group of tokens -> [L + 1, *B, n, D], the stream there after the embedding and after every layer.

    Args:
        network: any whose layers can be read.
        prompt: a batch of tasks, in the network's dtype.
    """
    return dict(network.trace(prompt, groups=tuple(network.groups(prompt))).streams)


@dataclass(frozen=True)
class Split:
    """Which tasks teach, which choose the penalty, which judge."""

    train: slice
    validation: slice
    test: slice

    @classmethod
    @asked(n_tasks=at_least(3, example=10))
    def of(cls, n_tasks: int) -> "Split":
        """Half, a fifth, and the rest, in order.

        >>> Split.of(10)
        Split(train=slice(0, 5, None), validation=slice(5, 7, None), test=slice(7, 10, None))
        """
        first, second = n_tasks // 2, n_tasks * 7 // 10
        return cls(slice(0, first), slice(first, second), slice(second, n_tasks))


@dataclass(frozen=True, eq=False, repr=False)
class Recovery(Contents):
    """How well a target was predicted; kept per task, for intervals and comparisons.

    Args:
        error: [B] sum of squared errors.
        spread: [B] sum of squares of the target around its mean over all these tasks.
        cosines: [B] cosine between the predicted and the true vector of the task.
    """

    error: Tensor
    spread: Tensor
    cosines: Tensor

    @property
    def r2(self) -> float:
        """1 - error / spread, over all tasks together; below zero where the mean would have been the better guess."""
        return 1 - (self.error.sum() / self.spread.sum()).item()

    @property
    def cosine(self) -> float:
        """Mean over the tasks."""
        return self.cosines.mean().item()

    @asked(resamples=at_least(1), seed=at_least(0))
    def interval(
        self, than: "Recovery | None" = None, *, resamples: int = 2000, seed: int = 0
    ) -> tuple[float, float]:
        """95 % of the bootstrap over tasks, for R^2, or for R^2 minus that of another recovery of the same tasks, in pairs."""
        n = len(self.error)
        drawn = torch.randint(n, (resamples, n), generator=torch.Generator().manual_seed(seed))
        values = 1 - self.error[drawn].sum(1) / self.spread[drawn].sum(1)
        if than is not None:
            values = values - (1 - than.error[drawn].sum(1) / than.spread[drawn].sum(1))
        low, high = torch.quantile(
            values, torch.tensor([0.025, 0.975], dtype=values.dtype)
        ).tolist()
        return low, high


@asked(predicted=floats("B n | B n m"), truth=floats("B n | B n m"))
def recovery(predicted: Tensor, truth: Tensor) -> Recovery:
    """Score a prediction, both [B, n] or [B, n, m]: one vector per task.

    Raises:
        ValueError: shapes that differ, or a truth that is the same everywhere.

    >>> recovery(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, -1.0]])).r2
    0.5
    """
    if predicted.shape != truth.shape:
        raise ValueError(
            f"recovery(predicted={list(predicted.shape)}, truth={list(truth.shape)}): expected one"
            " shape, [B, n] or [B, n, m]"
        )
    if not (truth != truth[:1, :1]).any():
        raise ValueError(
            f"recovery(truth={list(truth.shape)}): it is the same at every token of every task, so"
            " that R^2, the share of its variance, has no meaning; expected a target that varies"
        )
    error = (predicted - truth).square().flatten(1).sum(1)
    spread = (truth - truth.mean(dim=(0, 1))).square().flatten(1).sum(1)
    return Recovery(
        error, spread, torch.cosine_similarity(predicted.flatten(1), truth.flatten(1), dim=1)
    )


@dataclass(frozen=True, eq=False, repr=False)
class Probe(Contents):
    """An affine map of the stream, x W + b.

    Args:
        weights: [D, m].
        offset: [m].
        penalty: the one that validation chose.
    """

    weights: Tensor
    offset: Tensor
    penalty: float

    def __call__(self, x: Tensor) -> Tensor:
        """[B, n, D] of any dtype to [B, n, m], to [B, n] for m = 1, in the probe's own double precision."""
        return (x.to(self.weights) @ self.weights + self.offset).squeeze(-1)


@asked(x=floats("...", half=True, finite=False))
def fit_probes(x: Tensor, targets: Targets, split: Split) -> dict[str, Probe]:
    """A ridge probe for every target; each takes the penalty that is best on the validation tasks.

    Args:
        x: [B, n, D] the stream of all tasks, any dtype.
        targets: name -> [B, n] or [B, n, m].
        split: of the B tasks; those of `test` are not looked at.

    Raises:
        ValueError: shapes that do not fit, naming the target, or a stream that is not finite.
    """
    check(x, targets)
    x = x.double()
    rows = x[split.train].flatten(0, 1)
    mean = rows.mean(0)
    U, s, Vt = torch.linalg.svd(rows - mean, full_matrices=False)
    # a stream that is the same everywhere has s = 0 and is read as nothing: every probe then says the mean
    unit = s.square().mean().clamp(min=torch.finfo(s.dtype).tiny)
    probes = {}
    for name, target in targets.items():
        y = target.double()
        taught = y[split.train].flatten(0, 1).reshape(len(rows), -1)
        along = U.T @ (taught - taught.mean(0))  # [rank, m], once for all penalties
        candidates = []
        for penalty in PENALTIES:
            weights = Vt.T @ ((s / (s.square() + penalty * unit)).unsqueeze(-1) * along)
            candidates.append(Probe(weights, taught.mean(0) - mean @ weights, penalty))
        probes[name] = min(
            candidates,
            key=lambda probe: (probe(x[split.validation]) - y[split.validation]).square().sum(),
        )
    return probes


@asked(x=floats("...", half=True, finite=False))
def recover(
    x: Tensor,
    targets: Targets,
    split: Split,
    fit: Callable[[Tensor, Targets, Split], Mapping[str, Predictor]] = fit_probes,
) -> dict[str, Recovery]:
    """Fit a probe for every target and judge it on the test tasks. Arguments as for `fit_probes`.

    >>> x = torch.randn(20, 5, 3, generator=torch.Generator().manual_seed(0))
    >>> round(recover(x, {"sum": x.sum(-1)}, Split.of(20))["sum"].r2, 6)
    1.0
    """
    probes = fit(x, targets, split)
    return {
        name: recovery(probes[name](x[split.test].double()), y[split.test].double())
        for name, y in targets.items()
    }


def remainder(values: Tensor, given: Tensor, split: Split) -> Tensor:
    """What least squares on `given` (and a constant), fitted on the training tasks, leaves of `values`, on all tasks.

    Args:
        values: [B, n] or [B, n, m].
        given: [B, n, g].
        split: of the B tasks.
    """
    values, given = values.double(), given.double()
    design = torch.cat([given, torch.ones_like(given[..., :1])], dim=-1)
    flat = values.reshape(*given.shape[:2], -1)
    taught = slice(split.train.start, split.train.stop)
    coefficients = torch.linalg.lstsq(
        design[taught].flatten(0, 1), flat[taught].flatten(0, 1), driver="gelsd"
    ).solution
    return (flat - design @ coefficients).reshape(values.shape)


@dataclass(frozen=True, eq=False, repr=False)
class Partial(Contents):
    """Recovery of what is left of a target once other quantities are known.

    Args:
        left: share of the target's variance that they leave, on the test tasks. A partial R^2 of next to nothing is nothing.
        recovery: of that rest, from what they leave of the stream.
    """

    left: float
    recovery: Recovery


@asked(x=floats("...", half=True, finite=False), given=floats("B n g"))
def partial_recovery(
    x: Tensor, targets: Targets, given: Tensor, split: Split
) -> dict[str, Partial]:
    """The partial R^2 of the stream for every target, given [B, n, g]: both are replaced by their remainders first (Frisch and Waugh 1933).

    This is (SSE of `given` alone - SSE of `given` and stream) / SSE of `given` alone, with the penalty on the stream only.
    """
    check(x, targets)
    if given.shape[:2] != x.shape[:2]:
        raise ValueError(
            f"partial_recovery(x={list(x.shape)}, given={list(given.shape)}): expected what is given"
            " at every token of every task, [B, n, g]"
        )
    rests = {name: remainder(y, given, split) for name, y in targets.items()}
    recovered = recover(remainder(x, given, split), rests, split)
    left = {
        name: recovery(y[split.test] - rests[name][split.test], y[split.test].double())
        for name, y in targets.items()
    }
    return {name: Partial(1 - left[name].r2, recovered[name]) for name in targets}


def check(x: Tensor, targets: Targets) -> None:
    if unfit := [name for name, y in targets.items() if isinstance(y, Tensor) and unreadable(y)]:
        raise ValueError(
            f"probe of {unfit[0]!r}: the target {unreadable(targets[unfit[0]])}; expected a dense"
            " tensor of numbers"
        )
    if not torch.isfinite(x).all():
        raise ValueError(
            f"probe on a stream of shape {list(x.shape)}: it holds NaN or infinite values, the network overflowed; this would work: smaller inputs or weights, or float64"
        )
    for name, y in targets.items():
        if (
            not isinstance(y, Tensor)
            or x.ndim != 3
            or y.ndim not in (2, 3)
            or y.shape[:2] != x.shape[:2]
        ):
            raise ValueError(
                f"probe of {name!r} with shape {list(getattr(y, 'shape', []))} on a stream of shape {list(x.shape)}: expected one target for each token of each task;"
                " this would work: x[B, n, D] and y[B, n] or y[B, n, m]"
            )
        if not torch.isfinite(y).all():
            raise ValueError(
                f"probe of {name!r}: the target holds NaN or infinite values; this would work: leave such tasks out"
            )
