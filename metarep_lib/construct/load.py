"""A constructed network out of the file that `network.save` wrote."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from metarep_lib.construct.algorithms.block_conjugate_gradient import block_conjugate_gradient
from metarep_lib.construct.algorithms.carried_gram import (
    gram_chebyshev,
    gram_conjugate_gradient,
    gram_squaring,
)
from metarep_lib.construct.algorithms.causal_conjugate_gradient import causal_conjugate_gradient
from metarep_lib.construct.algorithms.chebyshev import chebyshev
from metarep_lib.construct.algorithms.conjugate_gradient import conjugate_gradient
from metarep_lib.construct.algorithms.copied_gradient_descent import copied_gradient_descent
from metarep_lib.construct.algorithms.feature_scaled_conjugate_gradient import (
    feature_scaled_conjugate_gradient,
)
from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
from metarep_lib.construct.algorithms.momentum import gradient_descent_plus_plus, momentum
from metarep_lib.construct.algorithms.narrow_gradient_descent import (
    narrow_gradient_descent,
    narrow_ridge_gradient_descent,
)
from metarep_lib.construct.algorithms.newton_schulz import newton_schulz
from metarep_lib.construct.algorithms.one_block_conjugate_gradient import (
    one_block_conjugate_gradient,
)
from metarep_lib.construct.algorithms.richardson import richardson
from metarep_lib.construct.algorithms.softmax_conjugate_gradient import (
    pipelined_conjugate_gradient,
    softmax_conjugate_gradient,
)
from metarep_lib.construct.algorithms.softmax_smoother import kernel_product, softmax_smoother
from metarep_lib.construct.algorithms.two_block_conjugate_gradient import (
    jacobi_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.as_data import program_of
from metarep_lib.construct.assemble import ConstructedTransformer, width_of
from metarep_lib.construct.program import Program
from metarep_lib.construct.save import FORMAT, HEADER
from metarep_lib.construct.transforms.all_to_all import all_to_all
from metarep_lib.construct.transforms.polynomial_features import on_polynomial_features
from metarep_lib.network.transformer import (
    AttentionConfig,
    BlockConfig,
    Transformer,
    TransformerConfig,
)
from metarep_lib.storage import file_fault, misfits, refusal

ALGORITHMS = {
    function.__name__: function
    for function in (
        all_to_all,
        block_conjugate_gradient,
        causal_conjugate_gradient,
        chebyshev,
        conjugate_gradient,
        copied_gradient_descent,
        feature_scaled_conjugate_gradient,
        gradient_descent,
        gradient_descent_plus_plus,
        gram_chebyshev,
        gram_conjugate_gradient,
        gram_squaring,
        jacobi_conjugate_gradient,
        kernel_product,
        momentum,
        narrow_gradient_descent,
        narrow_ridge_gradient_descent,
        newton_schulz,
        on_polynomial_features,
        one_block_conjugate_gradient,
        pipelined_conjugate_gradient,
        richardson,
        softmax_conjugate_gradient,
        softmax_smoother,
        two_block_conjugate_gradient,
    )
}
"""The functions a stored call may name; a call of any other is no record."""

LIKE_THIS = "assemble(gradient_descent(8, 10, 0.1)).save(path), then load_network(path)"


class NetworkFileError(ValueError):
    """A file that holds no network; the message names it, and every reason."""


def load_network(path: str | Path, *, device: torch.device | str = "cpu") -> ConstructedTransformer:
    """The network of a file, in the dtype it was saved in, without gradients.

    Its program has its record (`program.call`) when the call is one the library can make again and
    makes the same program.

    Raises:
        FileNotFoundError: no such file.
        NetworkFileError: no safetensors file or a broken one, not written by `network.save`, or
            weights, shape and program that do not belong together.
    """
    path = Path(path)
    header, weights = contents(path)
    try:
        config = config_of(json.loads(header["config"]))
        program = program_of(json.loads(header["program"]), ALGORITHMS)
        program.validate()
        transformer = Transformer(config, torch.Generator())
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise refused(
            path, [f"its header cannot be read, {type(error).__name__}: {error}"]
        ) from error
    reasons = [*misfits(transformer.state_dict(), weights), *strangers(config, program)]
    if reasons:
        raise refused(path, reasons)
    transformer.to(weights["W_E"].dtype).load_state_dict(weights)
    return ConstructedTransformer(transformer.requires_grad_(False).to(device), program)


def contents(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and weights of a file that `network.save` wrote."""
    if not path.exists():
        raise FileNotFoundError(
            f"load_network({str(path)!r}): no such file; this would work: {LIKE_THIS}"
        )
    if fault := file_fault(path):
        raise refused(path, [f"no safetensors file, or a broken one: {fault}"])
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise refused(path, [f"no safetensors file, or a broken one: {error}"]) from error
    missing = [name for name in HEADER if name not in header]
    if missing:
        raise refused(path, [f"its header has no {', '.join(missing)}: another program wrote it"])
    if header["format"] != FORMAT:
        raise refused(path, [f"its format is {header['format']!r}, expected {FORMAT!r}"])
    return header, weights


def strangers(config: TransformerConfig, program: Program) -> Iterator[str]:
    """What shape and program say differently."""
    pairs = {
        "inputs": (config.d_input, program.inputs.size),
        "channels of the stream": (config.d_model, program.width),
        "outputs": (config.d_output, width_of(program.readout, program.stream)),
        "blocks": (len(config.schedule), program.n_blocks),
    }
    for what, (of_shape, of_program) in pairs.items():
        if of_shape != of_program:
            yield f"{of_shape} {what}, its program has {of_program}"


def config_of(data: dict[str, Any]) -> TransformerConfig:
    blocks = []
    for block in data["blocks"]:
        groups = tuple(
            AttentionConfig(**group | {"hidden_keys": tuple(group["hidden_keys"])})
            for group in block["attention"]
        )
        blocks.append(BlockConfig(**block | {"attention": groups}))
    lists = {"blocks": tuple(blocks), "schedule": tuple(data["schedule"])}
    return TransformerConfig(**data | lists)


def refused(path: Path, reasons: list[str]) -> NetworkFileError:
    call = f"load_network({str(path)!r})"
    return NetworkFileError(refusal(call, "no network", reasons, LIKE_THIS))
