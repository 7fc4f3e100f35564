"""The question as data: supports with targets, queries without, and the ridge.

Letters: k supports, q queries, p features, m outputs; any leading axes are a batch of prompts.

Every wing speaks of a `Prompt`: tasks make it, a network reads its tokens, solvers answer it.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from metarep_lib.arrays import Units, read_features, read_targets, why_no_match
from metarep_lib.asked import asked, at_least, whole
from metarep_lib.asked.rules import Rule
from metarep_lib.asked.values import FLOATS, WIDE, looks, unreadable
from metarep_lib.contents import Contents, describe
from metarep_lib.rounding import redrawn

EXAMPLE = "Prompt(phi=float64[k, p], y=float64[k], phi_query=float64[q, p], ridge=0.1)"
ARRAYS_EXAMPLE = (
    "prompt, units = Prompt.from_arrays(X, y, X_query, ridge=0.1) with X of [k, p] numbers"
)


class PromptError(ValueError):
    """A prompt that no solver and no network could answer; the message lists every reason."""


@dataclass(frozen=True, eq=False, repr=False)
class Prompt(Contents):
    """Supports (phi, y), queries phi_query, ridge lambda: "what is y at the queries?".

    Args:
        phi: [*batch, k, p] features of the supports, floating point, finite.
        y: [*batch, k] targets of the supports, or [*batch, k, m] for m >= 2 outputs, same dtype and device.
        phi_query: [*batch, q, p] features of the queries, same dtype and device.
        ridge: lambda > 0, added to the diagonal of the kernel matrix.
        y_query: [*batch, q(, m)] targets of the queries for scoring; never shown to a network or a solver.

    Raises:
        PromptError: naming every reason at once.

    >>> import torch
    >>> prompt = Prompt(torch.ones(4, 2), torch.ones(4), torch.zeros(3, 2), ridge=0.5)
    >>> prompt.n_support, prompt.n_query, prompt.n_features
    (4, 3, 2)
    >>> Prompt(torch.ones(4, 2), torch.ones(5), torch.zeros(3, 2), ridge=0.0)
    Traceback (most recent call last):
    metarep_lib.prompt.PromptError: Prompt(phi=float32[4, 2], y=float32[5], phi_query=float32[3, 2], ridge=0.0)
      - y has shape [5], expected [4]: one target per support
      - ridge is 0.0, expected a finite Python number > 0
    this would work: Prompt(phi=float64[k, p], y=float64[k], phi_query=float64[q, p], ridge=0.1)
    """

    phi: Tensor
    y: Tensor
    phi_query: Tensor
    ridge: float
    y_query: Tensor | None = None

    def __post_init__(self) -> None:
        named = {"phi": self.phi, "y": self.y, "phi_query": self.phi_query}
        if self.y_query is not None:
            named["y_query"] = self.y_query
        reasons = [
            f"{name} is a {type(x).__name__}, expected a torch tensor; of numpy, pandas and lists"
            " Prompt.from_arrays(X, y, X_query, ridge=0.1) makes one"
            for name, x in named.items()
            if not isinstance(x, Tensor)
        ]
        if not reasons:
            reasons = shape_reasons(self) + kind_reasons(named)
        reasons += ridge_reasons(self.ridge, self.phi.dtype if not reasons else None)
        if reasons:
            came = ", ".join(f"{name}={describe(x)}" for name, x in named.items())
            listed = "".join(f"\n  - {reason}" for reason in reasons)
            raise PromptError(
                f"Prompt({came}, ridge={self.ridge!r}){listed}\nthis would work: {EXAMPLE}"
            )

    @classmethod
    @asked()
    def from_arrays(
        cls,
        X: Any,
        y: Any,
        X_query: Any,
        ridge: float,
        *,
        standardise: bool = True,
        intercept: bool = True,
        classes: bool | None = None,
    ) -> tuple["Prompt", Units]:
        """A prompt of whatever holds your numbers, and the way back to the units of y.

        Everything is measured by the supports alone: with m_a and s_a the mean and standard deviation of feature a over them,
        phi_a = (x_a - m_a) / s_a, and the targets likewise. With both switches on, the linear kernel's answer is scikit-learn's
        `make_pipeline(StandardScaler(), Ridge(alpha=ridge))`: centring is an intercept that is not penalised. For another kernel the mean
        of the targets is what is predicted far from all supports.

        Args:
            X: [k, p] features: numpy, a data frame (pandas, polars), torch or nested lists; numbers and truth values, one unit a column.
            y: [k] or [k, m] targets, or [k] labels.
            X_query: [q, p] features to answer for, with the columns of X.
            ridge: lambda > 0, added to the diagonal of the kernel matrix of the standardised features.
            standardise: divide features and targets by their standard deviation (a constant column is left as it is).
            intercept: take their means off. Off, the answer is 0 where all features are.
            classes: whether y holds labels, which become one column of 0 and 1 each; None: text does, floats do not.

        Returns:
            The prompt, in float64, and `Units`: `units.back(network.predict(prompt))` is in the units of y, `units.label(...)` the classes.

        Raises:
            PromptError: naming every column that holds no numbers, what is missing, and what does not fit, with a call that works.

        >>> prompt, units = Prompt.from_arrays([[1.0], [2.0], [3.0]], [10.0, 20.0, 30.0], [[4.0]], ridge=1e-9)
        >>> prompt.phi.flatten().round(decimals=4).tolist(), units.mean.item()
        ([-1.2247, 0.0, 1.2247], 20.0)
        """
        features, asked_for = read_features(X, "X"), read_features(X_query, "X_query")
        targets = read_targets(y, classes)
        reasons = [*features.reasons, *targets.reasons, *asked_for.reasons]
        if not reasons:
            reasons = [*why_no_match(features, asked_for)]
        if not reasons and len(features.values) != len(targets.values):
            reasons = [f"y has {len(targets.values)} rows, X has {len(features.values)}"]
        if not reasons and len(features.values) == 0:
            reasons = ["X holds no rows, expected at least one"]
        for name, values in (("X", features.values), ("y", targets.values)):
            if not reasons and not torch.isfinite(values.square().sum(0)).all():
                reasons = [
                    f"{name} holds numbers whose squares leave the range of float64: take other units"
                ]
        reasons += ridge_reasons(ridge, torch.float64)
        if reasons:
            came = f"X={describe(X)}, y={describe(y)}, X_query={describe(X_query)}, ridge={ridge!r}"
            listed = "".join(f"\n  - {reason}" for reason in reasons)
            raise PromptError(
                f"Prompt.from_arrays({came}){listed}\nthis would work: {ARRAYS_EXAMPLE}"
            )
        values = targets.values.to(features.values.device)
        mean, spread = centre(features.values, intercept), deviation(features.values, standardise)
        units = Units(centre(values, intercept), deviation(values, standardise), targets.labels)
        prompt = cls(
            (features.values - mean) / spread,
            (values - units.mean) / units.spread,
            (asked_for.values.to(mean) - mean) / spread,
            ridge=ridge,
        )
        return prompt, units

    @property
    def n_support(self) -> int:
        return self.phi.shape[-2]

    @property
    def n_query(self) -> int:
        return self.phi_query.shape[-2]

    @property
    def n_features(self) -> int:
        return self.phi.shape[-1]

    @property
    def n_outputs(self) -> int:
        return self.y.shape[-1] if self.y.ndim == self.phi.ndim else 1

    @asked(which=whole)
    def output(self, which: int) -> "Prompt":
        """The prompt with one of several outputs alone."""
        if self.y.ndim == self.phi.ndim and not -self.n_outputs <= which < self.n_outputs:
            raise IndexError(
                f"Prompt.output({which}): expected an output from 0 to {self.n_outputs - 1}"
            )
        held_out = None if self.y_query is None else self.y_query[..., which]
        return replace(self, y=self.y[..., which], y_query=held_out)

    def with_ridge_as_supports(self) -> "Prompt":
        """p extra supports sqrt(lambda) e_a of target 0 in front, which add lambda I to Phi^T Phi.

        For programs that do not read the ridge (`newton_schulz`): without it, the new prompt poses the
        regression that the old one poses with it.

        >>> import torch
        >>> prompt = Prompt(torch.ones(1, 2), torch.ones(1), torch.zeros(1, 2), ridge=4.0)
        >>> prompt.with_ridge_as_supports().phi.tolist()
        [[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]]
        """
        p = self.n_features
        unit = math.sqrt(self.ridge) * torch.eye(p, dtype=self.phi.dtype, device=self.phi.device)
        phi = torch.cat([unit.expand(*self.phi.shape[:-2], p, p), self.phi], dim=-2)
        y = torch.cat(
            [self.y.new_zeros(*self.phi.shape[:-2], p, *self.y.shape[self.phi.ndim - 1 :]), self.y],
            dim=self.phi.ndim - 2,
        )
        return replace(self, phi=phi, y=y)

    def to(self, *args: torch.dtype | torch.device | str) -> "Prompt":
        """The same prompt in another dtype or on another device; arguments as for `Tensor.to`."""
        moved = self._each(lambda x: x.to(*args))
        # single precision swallows the rounding that was drawn in double: draw again. Half precision stays as it is, since a
        # unit of it, nearly a hundredth, would make another question.
        swallowed = moved.phi.dtype == torch.float32 and self.phi.dtype == torch.float64
        return moved.rounded() if swallowed else moved

    @asked(n=at_least(1))
    def expand(self, n: int) -> "Prompt":
        """n times the same prompt along a new first axis, in the same memory.

        >>> import torch
        >>> Prompt(torch.ones(4, 2), torch.ones(4), torch.zeros(3, 2), ridge=0.5).expand(5).y.shape
        torch.Size([5, 4])
        """
        return self._each(lambda x: x.expand(n, *x.shape))

    def rounded(self) -> "Prompt":
        """The prompt as the rounding draw of the environment has it, itself when there is none (`metarep_lib.rounding`).

        The ridge stays, being an input and no result.
        """
        return self._each(redrawn)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Prompt":
        held_out = None if self.y_query is None else change(self.y_query)
        return replace(
            self,
            phi=change(self.phi),
            y=change(self.y),
            phi_query=change(self.phi_query),
            y_query=held_out,
        )


def centre(values: Tensor, intercept: bool) -> Tensor:
    """The means over the rows; zeros where nothing is to be taken off."""
    return values.mean(0) if intercept else torch.zeros_like(values[0])


def deviation(values: Tensor, standardise: bool) -> Tensor:
    """The standard deviations over the rows, 1 for a column of equal numbers, whose computed spread need not be 0; ones where nothing is scaled."""
    varies = (values != values[0]).any(0)
    spread = values.std(0, correction=0)
    return torch.where(varies & (spread > 0) & standardise, spread, torch.ones_like(spread))


def a_prompt(
    *,
    axes: str = "*B",
    single: bool = True,
    half: bool = False,
    supports: int = 1,
    queries: int = 0,
) -> Rule:
    """What a call asks of a prompt, as a rule of `metarep_lib.asked`.

    Args:
        axes: leading axes: "" is one prompt, "B" a batch of them, "*B" either; an empty batch never.
        single: one output alone.
        half: half precision will do, too.
        supports, queries: how many it needs at least.
    """
    parts = ["a prompt"] if axes != "B" else ["a batch of prompts, [B, k, p]"]
    if axes == "":
        parts = ["one prompt, [k, p] without a batch axis"]
    parts += ["with one output, as prompt.output(0) is"] * single
    parts += [f"with at least {supports} supports"] * (supports > 1)
    parts += [f"with at least {queries} queries"] * (queries > 0)
    parts += ["of float64 or float32, as prompt.to(torch.float64) is"] * (not half)
    one = "Prompt(batch.phi[0], batch.y[0], batch.phi_query[0], batch.ridge)"
    parts += [f"try {one}"] * (axes == "")

    def reason(prompt: object, sizes: dict) -> str:
        batch = prompt.phi.shape[:-2]
        wrong = (
            (axes == "" and len(batch) > 0)
            or (axes == "B" and len(batch) != 1)
            or 0 in batch
            or (single and prompt.n_outputs > 1)
            or (not half and prompt.phi.dtype not in WIDE)
            or prompt.n_support < supports
            or prompt.n_query < queries
        )
        sizes.update({"k": prompt.n_support, "p": prompt.n_features})
        return f"is {prompt}" if wrong else ""

    return Rule(", ".join(parts), reason)


def shape_reasons(prompt: Prompt) -> list[str]:
    phi, y, phi_query, y_query = prompt.phi, prompt.y, prompt.phi_query, prompt.y_query
    if phi.ndim < 2:
        return [f"phi has shape {list(phi.shape)}, expected [*batch, k, p]"]
    *batch, k, p = phi.shape
    reasons = []
    if k == 0:
        reasons.append("phi holds no supports (k = 0), expected at least one")
    if p == 0:
        reasons.append("phi has no features (p = 0), expected at least one")
    outputs = list(y.shape[phi.ndim - 1 :])
    if list(y.shape[: phi.ndim - 1]) != [*batch, k] or len(outputs) > 1 or outputs in ([0], [1]):
        reasons.append(
            f"y has shape {list(y.shape)}, expected {[*batch, k]}: one target per support"
        )
    if (
        phi_query.ndim != phi.ndim
        or list(phi_query.shape[:-2]) != batch
        or phi_query.shape[-1] != p
    ):
        reasons.append(
            f"phi_query has shape {list(phi_query.shape)}, expected {[*batch, 'q', p]}".replace(
                "'", ""
            )
        )
    elif y_query is not None and list(y_query.shape) != [*batch, phi_query.shape[-2], *outputs]:
        reasons.append(
            f"y_query has shape {list(y_query.shape)}, expected {[*batch, phi_query.shape[-2], *outputs]}"
        )
    return reasons


def ridge_reasons(ridge: object, dtype: torch.dtype | None) -> list[str]:
    is_number = isinstance(ridge, (int, float)) and not isinstance(ridge, bool)
    if not (is_number and 0 < ridge <= sys.float_info.max):
        return [f"ridge is {ridge!r}, expected a finite Python number > 0"]
    held = None if dtype is None else float(torch.tensor(float(ridge), dtype=dtype))
    if held in (0.0, math.inf):
        return [
            f"ridge {ridge} is {'zero' if held == 0 else 'infinite'} in {dtype}; use a {'larger' if held == 0 else 'smaller'} ridge or float64"
        ]
    return []


def kind_reasons(named: dict[str, Tensor]) -> list[str]:
    phi = named["phi"]
    reasons = []
    if phi.dtype.is_complex:
        reasons.append(f"phi is {phi.dtype}, expected a floating-point dtype: phi.real")
    elif phi.dtype not in FLOATS and phi.layout == torch.strided:
        reasons.append(f"phi is {phi.dtype}, expected a floating-point dtype: phi.double()")
    for name, x in named.items():
        if x.dtype != phi.dtype or x.device != phi.device:
            reasons.append(
                f"{name} is {x.dtype} on {x.device} but phi is {phi.dtype} on {phi.device}: {name}.to(phi)"
            )
        if why := unreadable(x):
            reasons.append(f"{name} {why}")
        elif not looks(lambda x=x: torch.isfinite(x).all()):
            n_bad = int((~torch.isfinite(x)).sum())
            reasons.append(f"{name} holds {n_bad} NaN or infinite values of {x.numel()}")
    return reasons
