"""One plain decoder: attention, then a gated MLP, each added to the residual stream.

Letters: B batch (any leading axes), T tokens, d_model stream width, H heads of a group,
d_head query/key width, d_value value width, d_mlp gated units.

The class knows no algorithm. What it computes is decided by its weights alone, whether they were
constructed (`metarep_lib.construct`) or trained by autograd. Read the file top to bottom:
configuration, attention, MLP, block, decoder.

A pass can be watched, and edited, through a `tap`: a function that is handed every value on its way and
returns the value to go on with. It is an argument of the pass; nothing is left behind in the network.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metarep_lib.asked import asked, at_least
from metarep_lib.contents import Contents, shown
from metarep_lib.network.masks import Mask
from metarep_lib.warned import WeightsFlushed

AttentionKind = Literal["linear", "normalised", "softmax"]
Activation = Literal["identity", "gelu", "silu"]
Norm = Literal["none", "rms", "layer"]


def identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS = {"identity": identity, "gelu": nn.functional.gelu, "silu": nn.functional.silu}

Tap = Callable[[int, str, Tensor], Tensor]
"""(block, part, value) to the value to go on with. Block 0 is the embedding, block b the b-th of the schedule. The parts:

    "heads G"    [*B, H, T, d_value] what the heads of group G found, before W_O
    "attention"  [*B, T, d_model] the stream after attention
    "units"      [*B, T, d_mlp] the gated units, before W_out
    "mlp"        [*B, T, d_model] the stream after the block; of block 0, after the embedding
"""


def untouched(*place_and_value: int | str | Tensor) -> Tensor:
    """The tap of an ordinary pass: every value goes on as it is."""
    return place_and_value[-1]


@asked(n_heads=at_least(0), d_head=at_least(0), d_value=at_least(0))
@dataclass(frozen=True)
class AttentionConfig:
    """A group of heads that share kind and widths; a block may hold several groups.

    kind: "linear"      out_i = sum_j (q_i . k_j) v_j
          "normalised"  the same divided by sum_j (q_i . k_j)   (Katharopoulos et al. 2020; signed
                        scores are allowed here, theirs are positive)
          "softmax"     weights softmax_j(score_scale * q_i . k_j)
    score_scale: multiplies softmax scores; explicit, never a hidden 1/sqrt(d_head).
    hidden_keys: positions no head of this group may read, on top of the mask.
    """

    kind: AttentionKind
    n_heads: int
    d_head: int
    d_value: int
    score_scale: float = 1.0
    hidden_keys: tuple[int, ...] = ()


@asked(d_mlp=at_least(0))
@dataclass(frozen=True)
class BlockConfig:
    attention: tuple[AttentionConfig, ...]
    d_mlp: int
    activation: Activation = "identity"  # identity: the bilinear MLP, a polynomial map
    norm: Norm = "none"


@asked(d_input=at_least(1), d_model=at_least(1), d_output=at_least(1))
@dataclass(frozen=True, repr=False)
class TransformerConfig(Contents):
    """`blocks` are the distinct blocks; `schedule` is the order they run in.

    A block named twice in the schedule runs twice with the *same* tensors (a looped
    transformer): schedule (0, 1, 0, 1) is four blocks deep and stores two.

    Raises:
        ValueError: a schedule that names a block there is not.
    """

    d_input: int
    d_model: int
    d_output: int
    blocks: tuple[BlockConfig, ...]
    schedule: tuple[int, ...]
    final_norm: Norm = "none"

    def __post_init__(self) -> None:
        unknown = sorted(set(self.schedule) - set(range(len(self.blocks))))
        if unknown:
            raise ValueError(
                f"TransformerConfig(schedule={self.schedule}) with {len(self.blocks)} blocks: there is no block {unknown[0]};"
                f" this would work: schedule={tuple(range(len(self.blocks)))}"
            )


def make_norm(norm: Norm, d_model: int) -> nn.Module:
    if norm == "rms":
        return nn.RMSNorm(d_model)
    if norm == "layer":
        return nn.LayerNorm(d_model)
    return nn.Identity()


class Attention(nn.Module):
    """One group of heads of one kind."""

    def __init__(self, config: AttentionConfig, d_model: int):
        super().__init__()
        self.config = config
        heads, d_head, d_value = config.n_heads, config.d_head, config.d_value
        self.W_Q = nn.Parameter(torch.empty(heads, d_model, d_head))
        self.W_K = nn.Parameter(torch.empty(heads, d_model, d_head))
        self.W_V = nn.Parameter(torch.empty(heads, d_model, d_value))
        self.W_O = nn.Parameter(torch.empty(heads, d_value, d_model))

    def forward(
        self,
        x: Float[Tensor, "*B T d_model"],
        mask: Mask,
        tap: Callable[[Tensor], Tensor] = untouched,
    ) -> Float[Tensor, "*B T d_model"]:
        x_heads = x.unsqueeze(-3)  # [*B, 1, T, d_model]
        # [*B, H, T, d_head | d_value]
        q, k, v = x_heads @ self.W_Q, x_heads @ self.W_K, x_heads @ self.W_V
        out = tap(getattr(self, self.config.kind)(q, k, v, mask))  # [*B, H, T, d_value]
        # the sum over heads, as one product
        return out.transpose(-3, -2).flatten(-2) @ self.W_O.flatten(0, 1)

    def linear(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask) -> Tensor:
        return mask.contract(q, self.hide(k), v)

    def normalised(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask) -> Tensor:
        ones = torch.ones_like(v[..., :1])
        # numerator and total in one pass
        out = mask.contract(q, self.hide(k), torch.cat([v, ones], dim=-1))
        return out[..., :-1] / out[..., -1:]

    def softmax(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask) -> Tensor:
        visible = mask.dense(q.shape[-2]).to(q.device)
        visible[:, list(self.config.hidden_keys)] = False
        scores = (self.config.score_scale * (q @ k.mT)).masked_fill(~visible, -torch.inf)
        # a token that may read nobody receives nothing (softmax alone would give it NaN)
        blind = ~visible.any(-1, keepdim=True)
        weights = scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)
        return weights @ v

    def hide(self, k: Tensor) -> Tensor:
        """Keys with the hidden positions zeroed: a zero key has score zero for every reader."""
        if not self.config.hidden_keys:
            return k
        keep = torch.ones(k.shape[-2], 1, dtype=k.dtype, device=k.device)
        keep[list(self.config.hidden_keys)] = 0.0
        return k * keep


class GatedMLP(nn.Module):
    """W_out(activation(W_gate x) * (W_in x)); with the identity activation, bilinear (Shazeer 2020)."""

    def __init__(self, d_model: int, d_mlp: int, activation: Activation):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.W_gate = nn.Parameter(torch.empty(d_model, d_mlp))
        self.W_in = nn.Parameter(torch.empty(d_model, d_mlp))
        self.W_out = nn.Parameter(torch.empty(d_mlp, d_model))

    def forward(
        self, x: Float[Tensor, "*B T d_model"], tap: Callable[[Tensor], Tensor] = untouched
    ) -> Float[Tensor, "*B T d_model"]:
        return tap(self.activation(x @ self.W_gate) * (x @ self.W_in)) @ self.W_out


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: BlockConfig, d_model: int):
        super().__init__()
        self.norm_attention = make_norm(config.norm, d_model)
        self.attention = nn.ModuleList(Attention(group, d_model) for group in config.attention)
        self.norm_mlp = make_norm(config.norm, d_model)
        self.mlp = GatedMLP(d_model, config.d_mlp, config.activation)

    def forward(
        self,
        x: Float[Tensor, "*B T d_model"],
        mask: Mask,
        tap: Callable[[str, Tensor], Tensor] = untouched,
    ) -> Float[Tensor, "*B T d_model"]:
        normed = self.norm_attention(x)
        for g, group in enumerate(self.attention):
            x = x + group(normed, mask, partial(tap, f"heads {g}"))
        x = tap("attention", x)
        return tap("mlp", x + self.mlp(self.norm_mlp(x), partial(tap, "units")))


class Transformer(nn.Module):
    """Tokens in, one output vector per token out.

    x = tokens W_E;  x = block(x) for every block of the schedule;  output = norm(x) W_U.

    Args:
        config: the architecture.
        generator: draws the initial weights, N(0, 1/fan_in); None leaves torch's global generator.

    >>> config = TransformerConfig(3, 8, 1, (BlockConfig((AttentionConfig("linear", 2, 4, 4),), 16),), (0, 0))
    >>> network = Transformer(config, torch.Generator().manual_seed(0))
    >>> from metarep_lib.network.masks import PrefixMask
    >>> network(torch.ones(5, 7, 3), PrefixMask(4)).shape
    torch.Size([5, 7, 1])
    """

    @asked()
    def __init__(self, config: TransformerConfig, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.W_E = nn.Parameter(torch.empty(config.d_input, config.d_model))
        self.blocks = nn.ModuleList(Block(block, config.d_model) for block in config.blocks)
        self.norm = make_norm(config.final_norm, config.d_model)
        self.W_U = nn.Parameter(torch.empty(config.d_model, config.d_output))
        for name, weight in self.named_parameters():
            if name.rpartition(".")[2].startswith("W_"):  # norms keep their own ones and zeros
                nn.init.normal_(weight, std=max(weight.shape[-2], 1) ** -0.5, generator=generator)

    def __repr__(self) -> str:
        """In place of the tree of modules, which has a line for every matrix."""
        config, size = self.config, sum(weight.numel() for weight in self.parameters())
        return (
            f"Transformer({config.d_input} -> {config.d_model} -> {config.d_output},"
            f" {len(config.schedule)} blocks, {len(config.blocks)} of them stored,"
            f" {size} parameters in {self.W_E.dtype} on {self.W_E.device})"
        )

    def stream(
        self, tokens: Tensor, mask: Mask, tap: Tap = untouched
    ) -> Iterator[Float[Tensor, "*B T d_model"]]:
        """Yield the residual stream: after the embedding, then after every block of the schedule."""
        self.check(tokens)
        if not callable(getattr(mask, "contract", None)):
            raise ValueError(
                f"Transformer(mask={shown(mask)}): expected a mask, e.g. PrefixMask(n_prefix=2)"
            )
        x = tap(0, "mlp", tokens @ self.W_E)
        yield x
        for block, index in enumerate(self.config.schedule, start=1):
            x = self.blocks[index](x, mask, partial(tap, block))
            yield x

    def forward(self, tokens: Tensor, mask: Mask) -> Float[Tensor, "*B T d_output"]:
        for x in self.stream(tokens, mask):
            pass
        return self.read(x)

    def read(self, x: Float[Tensor, "*B T d_model"]) -> Float[Tensor, "*B T d_output"]:
        return self.norm(x) @ self.W_U

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Transformer":
        """What `to`, `float`, `half` and the like do to every weight; those that do not survive it are said.

        Warns:
            WeightsFlushed: weights that became zero or infinite.
        """
        before = [weight.detach() for weight in self.parameters()]
        moved = super()._apply(fn, recurse)
        if before and before[0].dtype != self.W_E.dtype:
            warn_of_flushed(before, list(self.parameters()), self.W_E.dtype)
        return moved

    def check(self, tokens: Tensor) -> None:
        """Refuse tokens this network cannot read, naming every reason.

        Raises:
            ValueError: wrong number of channels, dtype or device.
        """
        if not isinstance(tokens, Tensor):
            raise ValueError(
                f"Transformer(tokens={shown(tokens)}): expected a tensor, e.g. tokenise(prompt)"
            )
        reasons = []
        if tokens.ndim < 2 or tokens.shape[-1] != self.config.d_input:
            reasons.append(
                f"expected shape [..., tokens, {self.config.d_input}], got {list(tokens.shape)}"
            )
        if tokens.dtype != self.W_E.dtype:
            reasons.append(
                f"the weights are {self.W_E.dtype}: use tokens.to({self.W_E.dtype}) or network.to({tokens.dtype})"
            )
        if tokens.device != self.W_E.device:
            reasons.append(
                f"the weights are on {self.W_E.device}: use tokens.to('{self.W_E.device}')"
            )
        if reasons:
            came = f"Transformer(tokens={tokens.dtype}{list(tokens.shape)} on {tokens.device})"
            raise ValueError(came + "".join(f"\n  - {reason}" for reason in reasons))


def warn_of_flushed(before: Sequence[Tensor], after: Sequence[Tensor], dtype: torch.dtype) -> None:
    """Warn of weights that a cast made zero or infinite."""

    def alive(weights: Sequence[Tensor]) -> int:
        return sum(
            int((torch.isfinite(weight) & (weight != 0)).sum())
            for weight in weights
            if not weight.is_meta
        )

    lost = alive(before) - alive(after)
    if lost > 0:
        warnings.warn(
            f"Transformer.to({dtype}): {lost} weights that were neither are zero or infinite now, and a division without its guard makes NaN of 0 / 0;"
            f" this would work: network.to({dtype}) of the whole network, or assemble(program, dtype={dtype})",
            WeightsFlushed,
            stacklevel=4,
        )
