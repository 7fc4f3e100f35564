"""Hold tests and chapters to other arithmetics than this machine's own: `make portability`, or some settings by name.

    python scripts/portability.py                        all settings
    python scripts/portability.py rounding-1 compatible  those two

A setting is an environment: the machine as it is, three draws of another rounding of every prompt (metarep_lib/tasks/rounding.py), the plainest
code paths of MKL and torch, two threads. Under each of them run the tests that depend on floats and all notebooks, compared with
their stored outputs. What took effect is read back from a fresh process, and a setting that changes nothing here is not run twice.

A fault, and exit status 1: a test fails, a notebook's compared outputs change, a claim does not hold, or a claim or what a test holds to a
tolerance moves by more than a tenth between settings while it comes over a tenth of its bound: then it was a draw of roundings and has to
be restated. For all of them the range of value / bound goes to _build/portability.json, and those that move to a table beside it.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from chapters import ROOT
from metarep_lib.settings import CLAIMS_LOG, ROUNDING
from metarep_lib.storage import write_text

SETTINGS = {
    "machine": {},
    "rounding-1": {ROUNDING: "1"},
    "rounding-2": {ROUNDING: "2"},
    "rounding-3": {ROUNDING: "3"},
    "compatible": {"MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "default"},
    "two-threads": {"OMP_NUM_THREADS": "2"},
}
BUILD = ROOT / "_build" / "portability"
MOVES, NEAR = 0.1, 0.1  # of itself, and of its bound: more of both and a claim is no claim
TESTS = ("-m", "floats", "--dist", "worksteal", "tests")
NOTEBOOKS = ("--dist", "loadfile", "--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval-sanitize.cfg", "book")
READ_BACK = """
import ctypes, hashlib, pathlib, torch
x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
product = hashlib.sha256((x @ x).numpy().tobytes()).hexdigest()[:8]
try:
    get = ctypes.CDLL(str(pathlib.Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).mkl_serv_cbwr_get
    branch = {1: "auto", 2: "auto", 3: "compatible"}.get(get(-1) & 15, f"branch {get(-1) & 15}")
except (OSError, AttributeError):
    branch = "no MKL"
print(f"torch {torch.backends.cpu.get_cpu_capability()}, MKL {branch}, {torch.get_num_threads()} threads, product {product}")
"""


def environment(setting: str) -> dict[str, str]:
    """The variables of a setting, over one thread each: more belongs to the setting that says so."""
    return os.environ | {"OMP_NUM_THREADS": "1"} | SETTINGS[setting]


def effect(setting: str) -> str:
    """What a fresh process says of its arithmetic."""
    return subprocess.run([sys.executable, "-c", READ_BACK], env=environment(setting), capture_output=True, check=True, encoding="utf-8").stdout.strip()


def passes(setting: str, what: tuple[str, ...], **more: str) -> bool:
    """Whether pytest passes under a setting. Its caches are its own: those of the build know nothing of settings."""
    workers = "1" if environment(setting)["OMP_NUM_THREADS"] == "2" else "2"  # threads of two workers on two cores wait for one another
    command = [sys.executable, "-m", "pytest", "-q", "-n", workers, "-o", f"cache_dir={BUILD / setting}", *what]
    return subprocess.run(command, cwd=ROOT, env=environment(setting) | more).returncode == 0


def claims(log: Path) -> dict[str, dict]:
    """id -> the claim as notebooks and tests made it; of one made several times, the one that uses most of its bound."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    found = {}
    for claim in map(json.loads, lines):
        claim |= {"value": float(claim["value"]), "bound": float(claim["bound"])}  # NaN is a string in JSON
        if claim["id"] not in found or not used(claim) <= used(found[claim["id"]]):
            found[claim["id"]] = claim
    return found


def run(setting: str) -> tuple[list[str], dict[str, dict]]:
    """The faults of one setting, and its claims."""
    log = BUILD / f"{setting}.jsonl"
    log.unlink(missing_ok=True)
    logged = {CLAIMS_LOG: str(log)}
    faults = [] if passes(setting, TESTS, **logged) else ["a test fails"]
    faults += [] if passes(setting, NOTEBOOKS, **logged) else ["a notebook gives other outputs"]
    made = claims(log)
    faults += [f"claim {id!r} does not hold: {claim['value']:.4g} {claim['relation']} {claim['bound']:.4g}" for id, claim in made.items() if not claim["holds"]]
    faults += [] if made else ["the notebooks made no claim"]
    return faults, made


def used(claim: dict) -> float:
    """How much of its room a claim uses: value / bound, or the inverse where the bound is from below; 0 where the bound is 0."""
    value, bound = abs(claim["value"]), abs(claim["bound"])
    if not bound:
        return 0.0
    return value / bound if claim["relation"].startswith("<") else bound / value if value else float("inf")


def ranges(made: dict[str, dict[str, dict]]) -> dict[str, dict]:
    """id -> how far a claim moves over the settings, and how much of its bound it uses at most."""
    by_id = defaultdict(list)
    for of_setting in made.values():
        for id, claim in of_setting.items():
            by_id[id].append(claim)
    found = {}
    for id, same in by_id.items():
        values = [claim["value"] for claim in same]
        largest = max(map(abs, values))
        moved = (max(values) - min(values)) / largest if largest else 0.0
        ratios = [value / same[0]["bound"] for value in values] if same[0]["bound"] else None
        found[id] = {"kind": same[0]["kind"], "values": [min(values), max(values)], "ratios": ratios and [min(ratios), max(ratios)], "moved": moved, "used": max(map(used, same))}
    return found


def table(found: dict[str, dict]) -> str:
    """The claims that move, the furthest first."""
    moving = sorted(((entry["moved"], id) for id, entry in found.items() if entry["moved"] > MOVES), reverse=True)
    rows = (f"| {id} | {found[id]['values'][0]:.3g} | {found[id]['values'][1]:.3g} | {moved:.2f} | {found[id]['used']:.2g} |" for moved, id in moving)
    return "\n".join(["| claim | least | most | moves by | uses of its bound |", "|---|---|---|---|---|", *rows, ""])


def restless(found: dict[str, dict]) -> Iterator[str]:
    """Claims that a rounding decides."""
    for id, entry in found.items():
        if entry["moved"] > MOVES and entry["used"] > NEAR:
            yield f"claim {id!r} moves by {entry['moved']:.2f} between settings and uses {entry['used']:.2g} of its bound: restate it"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", nargs="*", metavar="SETTING", help=f"which of {', '.join(SETTINGS)}; all when none is named")
    asked = parser.parse_args().settings or list(SETTINGS)
    if unknown := set(asked) - SETTINGS.keys():
        parser.error(f"no such setting: {', '.join(sorted(unknown))}; there are {', '.join(SETTINGS)}")
    BUILD.mkdir(parents=True, exist_ok=True)
    faults, made, seen = [], {}, {}
    for setting in asked:
        said = effect(setting)
        key = (said, SETTINGS[setting].get(ROUNDING))
        if key in seen:
            print(f"== {setting}: {said}: the same as {seen[key]} on this machine, not run again", flush=True)
            continue
        seen[key] = setting
        print(f"== {setting}: {said}", flush=True)
        found, made[setting] = run(setting)
        faults += [f"{setting}: {fault}" for fault in found]
    found = ranges(made)
    faults += restless(found)
    write_text(BUILD.with_suffix(".json"), json.dumps({"settings": {name: said for (said, _), name in seen.items()}, "claims": found}, indent=1) + "\n")
    write_text(BUILD.with_suffix(".md"), table(found))
    print(f"{len(found)} claims and tolerances under {len(made)} settings; those that move: {BUILD.with_suffix('.md').relative_to(ROOT)}")
    print(*faults, sep="\n", end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
