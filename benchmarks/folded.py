"""Folded networks beside the solvers they run, all in one process and one thread, in turns: `python -m benchmarks.folded 1000,16 100000,64`.

A ratio of two best times that were taken in turns means something on a busy machine, where a time does not; and the time is that of the thread,
in which waiting for the processor does not count. Reference is textbook CG in torch with
the same steps; asked of everybody is the accuracy of `contenders.TOLERANCE`. The dense networks take part up to k = 10,000.
"""

import os
import sys
import time

import torch
from tabulate import tabulate

from benchmarks import contenders
from benchmarks.contenders import ALL, Solve, relative_error

SIZES = ((1_000, 16), (1_000, 64), (10_000, 16), (10_000, 64), (100_000, 16), (100_000, 64))
NAMES = ("textbook CG, torch", "scipy cg", "folded, two-block CG", "folded, five-block CG", "network, two-block CG")
BUDGET, DENSE_UP_TO = 6.0, 10_000


def best_in_turns(solves: list[Solve], budget: float) -> list[float]:
    """Seconds of everybody's best run, in rounds until the budget is spent, at least three."""
    best, start, rounds = [float("inf")] * len(solves), time.perf_counter(), 0
    while rounds < 3 or time.perf_counter() - start < budget:
        for i, solve in enumerate(solves):
            began = time.thread_time()
            solve()
            best[i] = min(best[i], time.thread_time() - began)
        rounds += 1
    return best


def row(k: int, p: int) -> list[str]:
    prompt = contenders.problem(k, p)
    exact = contenders.exact_prediction(prompt)
    steps = contenders.fewest_steps(prompt, exact)
    by_name = {one.name: one for one in ALL}
    solves = {name: by_name[name].prepare(prompt, steps) for name in NAMES if k <= DENSE_UP_TO or not name.startswith("network")}
    error = max(relative_error(solve(), exact) for solve in solves.values())
    quick = [name for name in solves if not name.startswith("network")]
    best = dict(zip(quick, best_in_turns([solves[name] for name in quick], BUDGET)))
    if len(solves) > len(quick):
        best[NAMES[-1]] = best_in_turns([solves[NAMES[-1]]], 0)[0]
    ratios = [f"{best[name] / best[NAMES[0]]:.2f}" if name in best else "-" for name in NAMES[1:]]
    return [f"{k:,}", str(p), str(steps), f"{1e3 * best[NAMES[0]]:.2f}", *ratios, f"{error:.0e}"]


def main() -> None:
    torch.set_num_threads(1)
    sizes = [tuple(map(int, size.split(","))) for size in sys.argv[1:]] or SIZES
    before = os.getloadavg()[0]
    rows = [row(*size) for size in sizes]
    headers = ["k", "p", "t", f"{NAMES[0]}, ms", *(f"x {name}" for name in NAMES[1:]), "error"]
    print(tabulate(rows, headers, disable_numparse=True, colalign=["right"] * len(headers)))
    print(f"\nfloat64, one thread, load average {before:.1f} before and {os.getloadavg()[0]:.1f} after.")


if __name__ == "__main__":
    main()
