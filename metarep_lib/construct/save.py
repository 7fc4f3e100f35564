"""A constructed network in one file: weights, shape, program.

The file is one of safetensors, which holds numbers and words and runs nothing when it is read.
Shape and program stand in its header as JSON. One file, not two, so that a writer who is stopped
halfway leaves the old network whole or the new one.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save

from metarep_lib.construct.as_data import data_of
from metarep_lib.construct.program import Program
from metarep_lib.network.transformer import Transformer
from metarep_lib.storage import write_bytes

FORMAT = "metarep network 1"
HEADER = ("format", "config", "program")


def write_network(transformer: Transformer, program: Program, path: Path) -> None:
    """Write weights, shape and program to a file, in the place of what stands there."""
    weights = {
        name: weight.detach().cpu().contiguous()
        for name, weight in transformer.state_dict().items()
    }
    header = (FORMAT, to_json(asdict(transformer.config)), to_json(data_of(program)))
    whole = save(weights, dict(zip(HEADER, header)))
    write_bytes(path, whole)


def to_json(data: dict[str, Any]) -> str:
    return json.dumps(data, allow_nan=False, default=float)  # float: for numbers of numpy's kinds
