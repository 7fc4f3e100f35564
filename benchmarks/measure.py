"""Time and peak memory of one contender on one problem, each in a process of its own.

Time: the median and the best over several runs of the timed function, after a warm-up on a tiny
prompt (thread pools, code of the BLAS). At least `FEWEST` runs unless they take over `LIMIT` seconds,
more while `BUDGET` seconds last.

Memory: by how much the first run raises the peak of the process's resident set, in bytes. torch
allocates outside Python, so tracemalloc sees nothing of it; and a process whose earlier work peaked
higher shows nothing either. Hence a fresh process that reads its prompt from files, resets the peak
(on Linux) and compares the peak after with the resident set before. On Linux the peak is VmHWM of
/proc/self/status, elsewhere getrusage's ru_maxrss: Linux's own ru_maxrss survives fork and exec, so
that a child would inherit its parent's. glibc serves arrays below 32 MiB from a heap that keeps freed
pieces; for the first run it is told to map every array by itself, so that the peak is what was live.
The inputs are resident beforehand and not counted, and 1 MiB is noise. On a GPU: torch.cuda.max_memory_allocated.
"""

import ctypes
import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import contenders
from benchmarks.contenders import Contender, Solve
from metarep_lib import Prompt

BUDGET, LIMIT, FEWEST, MOST = 2.0, 45.0, 3, 15
STATUS = Path("/proc/self/status")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's names for what `mallopt` sets


@dataclass(frozen=True)
class Measurement:
    """seconds: of every run, in order; peak: bytes beyond the inputs; error: relative, at the queries."""

    seconds: list[float]
    peak: int
    error: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        return min(self.seconds)


def in_own_process(folder: Path, contender: str, steps: int) -> Measurement:
    """Run a contender, by its name, on the prompt saved in a folder."""
    command = [sys.executable, "-m", "benchmarks.measure", str(folder), contender, str(steps)]
    root = Path(__file__).parent.parent
    child = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=True, encoding="utf-8")
    return Measurement(**json.loads(child.stdout.splitlines()[-1]))


def save(folder: Path, prompt: Prompt, exact: Tensor) -> None:
    folder.mkdir()
    for name, value in {"phi": prompt.phi, "y": prompt.y, "phi_query": prompt.phi_query, "ridge": prompt.ridge, "exact": exact}.items():
        np.save(folder / f"{name}.npy", np.asarray(value))


def load(folder: Path) -> tuple[Prompt, Tensor]:
    phi, y, phi_query, exact = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("phi", "y", "phi_query", "exact"))
    return Prompt(phi, y, phi_query, ridge=float(np.load(folder / "ridge.npy"))), exact


def measure(contender: Contender, prompt: Prompt, exact: Tensor, steps: int) -> Measurement:
    device = "cuda" if contender.runs_on_gpu and torch.cuda.is_available() else "cpu"
    contender.prepare(contenders.problem(2 * prompt.n_features, prompt.n_features).to(device), steps)()
    solve = contender.prepare(prompt.to(device), steps)
    before = start_watching(device)
    seconds, prediction = clock(solve, device)
    times, peak = [seconds], highest(device) - before
    set_allocator(map_from=2**25, trim_from=2**26)  # where glibc's own thresholds end up after large arrays
    while sum(times) < (LIMIT if len(times) < FEWEST else BUDGET) and len(times) < MOST:
        times.append(clock(solve, device)[0])
    return Measurement(times, max(peak, 0), contenders.relative_error(prediction, exact))


def clock(work: Solve, device: str = "cpu") -> tuple[float, Tensor]:
    """Seconds of wall time until the device is done, and the result."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    result = work()
    wait()
    return time.perf_counter() - start, result


def start_watching(device: str) -> int:
    """Forget the peak so far; the bytes in use now."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    if not STATUS.exists():
        return highest(device)
    set_allocator(map_from=2**16, trim_from=2**17)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # sets VmHWM to VmRSS
    return kibibytes("VmRSS") * 1024


def set_allocator(map_from: int, trim_from: int) -> None:
    """Arrays of at least `map_from` bytes get pages of their own; what is free now goes back to the system. glibc alone."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, map_from)
        libc.mallopt(M_TRIM_THRESHOLD, trim_from)
        libc.malloc_trim(0)


def highest(device: str) -> int:
    """Peak bytes since `start_watching`."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    if STATUS.exists():
        return kibibytes("VmHWM") * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def kibibytes(field: str) -> int:
    return next(int(line.split()[1]) for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(field + ":"))


def main() -> None:
    folder, name, steps = sys.argv[1:]
    from benchmarks import exponential  # which imports this module

    contender = next(one for one in (*contenders.ALL, *exponential.ALL) if one.name == name)
    print(json.dumps(asdict(measure(contender, *load(Path(folder)), int(steps)))))


if __name__ == "__main__":
    main()
