"""Identify networks whose algorithm is known, blind: `python scripts/identify.py`.

Three steps, each a process of its own, so that none can look over another's shoulder:

    build     the line-up: weights in files that are named by their hash, in a random basis of the stream; the key goes elsewhere
    predict   sees the files alone; for every network and both readouts, which candidate does it run?
    open      joins predictions and key, and stores metarep_lib/sweeps/blind-identification.json
"""

import argparse
import hashlib
import json
import multiprocessing
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from chapters import ROOT
from commit import commit

sys.path.insert(0, str(ROOT))

from metarep_lib import Prompt, Transformer  # noqa: E402
from metarep_lib.evidence.identify import (  # noqa: E402
    KERNEL,
    LINEAR,
    SCHEDULED,
    Posed,
    fit_candidate,
    fitted_readout,
    judge,
    own_head,
    query_streams,
)
from metarep_lib.evidence.identify.candidates import Candidate  # noqa: E402
from metarep_lib.evidence.probe.other_basis import in_other_basis, signed_permutation  # noqa: E402
from metarep_lib.network import AttentionConfig, BlockConfig, TransformerConfig  # noqa: E402
from metarep_lib.network.bare import BareTransformer  # noqa: E402
from metarep_lib.network.layouts import Prefix  # noqa: E402
from metarep_lib.network.tokens import input_basis  # noqa: E402
from metarep_lib.studies import lineup  # noqa: E402
from metarep_lib.studies.sweep import SWEEPS, SweepError, load_sweep, short, write_sweep  # noqa: E402
from metarep_lib.tasks import clusters, designed_prompts, spread  # noqa: E402

NAME = "blind-identification"
P, K, Q, STEPS, SEEDS = 12, 16, 8, 5, 2
INPUTS = input_basis(P, log_ridge=True)  # every network reads the same tokens


def build(folder: Path, key: Path) -> None:
    """Write the line-up into the folder under hashes, and which hash is what into the key."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(2026)
    labels = {}
    for member in lineup(P, K, STEPS, SEEDS):
        R = signed_permutation(member.transformer.config.d_model, generator)
        turned = in_other_basis(member.transformer, R)
        weights = {name: weight.contiguous() for name, weight in turned.state_dict().items()}
        missing = INPUTS.size - len(weights["W_E"])  # a network that does not read log lambda ignores it
        weights["W_E"] = torch.cat([weights["W_E"], weights["W_E"].new_zeros(missing, turned.config.d_model)])
        config = asdict(turned.config) | {"d_input": INPUTS.size}
        digest = hashlib.sha256(b"".join(weight.numpy().tobytes() for weight in weights.values())).hexdigest()[:12]
        save_file(weights, folder / f"{digest}.safetensors")
        (folder / f"{digest}.json").write_text(json.dumps(config), encoding="utf-8")
        labels[digest] = member.label
    key.write_text(json.dumps(labels), encoding="utf-8")


def load(stem: Path) -> BareTransformer:
    """A hashed network, and how every one of them is asked."""
    held = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    blocks = tuple(
        BlockConfig(tuple(AttentionConfig(**group | {"hidden_keys": tuple(group["hidden_keys"])}) for group in block.pop("attention")), **block)
        for block in held.pop("blocks")
    )
    transformer = Transformer(TransformerConfig(**held | {"blocks": blocks, "schedule": tuple(held["schedule"])}), torch.Generator()).double()
    transformer.load_state_dict(load_file(stem.with_suffix(".safetensors")))

    return BareTransformer(transformer.requires_grad_(False), Prefix(), INPUTS, stem.name)


def prompts(n_prompts: int, seed: int) -> Posed:
    """Half with spread spectra, half with three clusters."""
    halves = [
        designed_prompts(spectra, n_prompts // 2, K, Q, P, seed=seed + i, ridge=0.5) for i, spectra in enumerate((spread(0.04, 4.0), clusters(3, 0.04, 4.0)))
    ]
    return Posed.of(Prompt(*(torch.cat([getattr(half, name) for half in halves]) for name in ("phi", "y", "phi_query")), ridge=0.5))


def say(path: Path) -> list[dict]:
    """Which candidate a file of weights runs, from its own head; and, if it is one for the linear kernel, from fitted readouts as well."""
    torch.set_num_threads(1)
    tuning, judging = prompts(16, seed=11), prompts(32, seed=21)
    network = load(path.with_suffix(""))
    streams = [query_streams(network, posed.prompt) for posed in (tuning, judging)]
    own = [own_head(network, stream) for stream in streams]
    nothing = {"network": path.stem, "readout": "own head", "seed": 0, "said": "none", "misfits": {}}
    if not all(stream.isfinite().all() and stream.abs().max() < 1e30 for stream in streams):
        return [nothing]

    def row(readout: str, seen: torch.Tensor, judged: torch.Tensor, *stages: Sequence[Candidate]) -> dict:
        fits = []
        for stage in stages:  # the next stage is for those whom the last left without a name
            fits += [fit_candidate(candidate, tuning, seen[1:], seed=0) for candidate in stage]
            verdict = judge(fits, judging, judged[1:])
            if verdict.name != "none":
                break
        return nothing | {"readout": readout, "said": verdict.name, "misfits": {name: short(misfit) for name, misfit in verdict.misfits.items()}}

    rows = [row("own head", *own, LINEAR, KERNEL, SCHEDULED[:1])]
    if rows[0]["said"] in {candidate.name for candidate in LINEAR}:
        maps = fitted_readout(streams[0], own[0][-1])
        rows.append(row("fitted", *(maps(stream, head[-1]) for stream, head in zip(streams, own)), LINEAR))
    return rows


def predict(folder: Path, predictions: Path, processes: Path | str = "1") -> None:
    """Say of every file in the folder which candidate it runs."""
    began = time.monotonic()
    paths = sorted(folder.glob("*.safetensors"))
    with multiprocessing.get_context("spawn").Pool(int(str(processes))) as pool:
        rows = list(tqdm(pool.imap_unordered(say, paths), total=len(paths), desc="predict", mininterval=5))
    rows = sorted(sum(rows, []), key=lambda row: (row["network"], row["readout"]))
    predictions.write_text(json.dumps({"seconds": round(time.monotonic() - began), "rows": rows}), encoding="utf-8")


def reveal(predictions: Path, key: Path) -> None:
    """Join what was said with what is so, and store it."""
    labels, held = json.loads(key.read_text(encoding="utf-8")), json.loads(predictions.read_text(encoding="utf-8"))
    rows = [row | {"label": labels[row["network"]]} for row in held["rows"]]
    card = {"command": "python scripts/identify.py", "commit": commit("scripts"), "seconds": held["seconds"], "torch": torch.__version__, "python": platform.python_version()}
    knobs = {"network": sorted(labels), "readout": ["own head", "fitted"], "seed": [0]}
    path = SWEEPS / f"{NAME}.json"
    write_sweep(path, card, knobs, rows)
    print(path)


def why_missing() -> str:
    """What is wrong with what is stored; nothing when it is of the line-up as it is made today, every network of it."""
    try:
        stored = load_sweep(NAME)
    except (FileNotFoundError, SweepError) as error:
        return str(error)
    made = sorted(member.label for member in lineup(P, K, STEPS, SEEDS))
    judged = sorted(row["label"] for row in stored.rows if row["readout"] == "own head")
    return "" if judged == made else f"{NAME}: what is stored is another line-up"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", default="1", help="of the predictions")
    parser.add_argument("--missing", action="store_true", help="only if what is stored is missing, broken or of another line-up")
    parser.add_argument("step", nargs="?", choices=["build", "predict", "open"], help="one step alone; all three when left out")
    parser.add_argument("paths", nargs="*", type=Path, help="build: folder and key; predict: folder, predictions, processes; open: predictions and key")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.missing:
        if not (reason := why_missing()):
            return
        print(reason, flush=True)
    if given.step:
        {"build": build, "predict": predict, "open": reveal}[given.step](*given.paths)
    else:
        with tempfile.TemporaryDirectory() as blind, tempfile.TemporaryDirectory() as sealed:
            folder, key, predictions = Path(blind) / "networks", Path(sealed) / "key.json", Path(blind) / "predictions.json"
            for step in (["build", folder, key], ["predict", folder, predictions, given.processes], ["open", predictions, key]):
                subprocess.run([sys.executable, __file__, *step], check=True)


if __name__ == "__main__":
    main()
