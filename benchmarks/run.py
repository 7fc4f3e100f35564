"""The tables: `make bench`, or `python -m benchmarks.run --quick` for the small cells alone.

Nothing is asserted: times belong to the machine they were measured on. On a busy machine threads
wait for each other, up to a hundred times their work; `--threads 1` is steadier there.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from benchmarks import contenders, exponential, floor, your_data
from benchmarks.contenders import ALL, Contender
from benchmarks.measure import Measurement, in_own_process, save

MIB = 2**20
SMALLEST_PEAK = 2 * MIB  # below it, a peak is mostly noise and takes no part in a slope
Results = dict[tuple[str, int, int], tuple[int, Measurement]]  # (contender, k, p) -> steps, what was measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="k = 1,000 and 4,000 and p = 16 only: a minute")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of every contender; as many as torch takes unless given")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ |= dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"], str(arguments.threads))  # for the children
    supports, features = ([1_000, 4_000], [16]) if arguments.quick else ([1_000, 10_000, 100_000], [16, 64])
    started = time.monotonic()
    print(f"{floor.machine()}\n{header()}\n")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    progress("what this machine can do")
    rates = floor.probe(device)
    results = measure_all(supports, features)
    for p in features:
        print(cells(results, supports, p), slopes(results, supports, p), sep="\n\n", end="\n\n")
    print(floors(results, supports, features, rates.best(floor.probe(device))))
    progress("the exponential kernel")
    print("\n" + exponential.report(exponential.SUPPORTS[:2] if arguments.quick else exponential.SUPPORTS))
    progress("real tables")
    print("\n" + your_data.report(your_data.TABLES[:2] if arguments.quick else your_data.TABLES))
    print(f"\n{time.monotonic() - started:.0f} s in all; load average at the end {os.getloadavg()[0]:.1f}, of which this run makes up to {arguments.threads}.")


def header() -> str:
    return (
        f"Linear kernel ridge regression in float64; eigenvalues of Phi^T Phi from 1 to {1 / contenders.CONDITION:g}, ridge {contenders.RIDGE:g}, "
        f"{contenders.N_QUERY} queries.\nAsked of everybody: a relative prediction error of at most {contenders.TOLERANCE:g} "
        "against an exact primal solve.\n"
        f"Load average at the start {os.getloadavg()[0]:.1f}: what is far above zero was other people's work, and slows this down."
    )


def measure_all(supports: Iterable[int], features: Iterable[int]) -> Results:
    todo = [(one, k, p) for p in features for k in supports for one in ALL if k <= one.max_support]
    results, prepared = {}, {}
    with tempfile.TemporaryDirectory() as temporary:
        for i, (one, k, p) in enumerate(todo, start=1):
            progress(f"[{i}/{len(todo)}] {one.name}, k = {k:,}, p = {p}")
            folder = Path(temporary) / f"{k}-{p}"
            if folder not in prepared:
                prompt = contenders.problem(k, p)
                exact = contenders.exact_prediction(prompt)
                save(folder, prompt, exact)
                prepared[folder] = contenders.fewest_steps(prompt, exact)
            results[one.name, k, p] = prepared[folder], in_own_process(folder, one.name, prepared[folder])
    progress("")
    return results


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def cells(results: Results, supports: list[int], p: int) -> str:
    rows, won, missed = [], [], []
    for k in supports:
        there = {one: results[one.name, k, p] for one in ALL if (one.name, k, p) in results}
        fastest = min(there, key=lambda one: there[one][1].median)
        won.append(f"{fastest.name} at k = {k:,}")
        for one, (steps, measured) in there.items():
            rows.append(
                [
                    one.name,
                    f"{k:,}",
                    str(steps) if iterates(one) else "-",
                    f"{measured.median:.3g}",
                    f"{measured.best:.3g}",
                    str(len(measured.seconds)),
                    f"{measured.median / there[fastest][1].median:.1f}",
                    f"{measured.peak / MIB:.1f}",
                    f"{measured.peak / (8 * k * p):.1f}",
                    f"{measured.error:.0e}",
                ]
            )
            if not measured.error <= contenders.TOLERANCE:
                missed.append(f"{one.name} at k = {k:,}")
    headers = ["contender", "k", "t", "median s", "best s", "runs", "x fastest", "peak MiB", "peak / Phi", "error"]
    return (
        f"p = {p}: time, memory and accuracy\n\n{table(rows, headers)}\n\n"
        f"Fastest: {'; '.join(won)}.\nThe primal solve, O(k p^2), is the fair competitor of anything that runs on a linear kernel, and textbook CG that of the same steps.\n"
        "x fastest: median over the least median at that k. Peak: rise of the peak resident set of a process of its own, inputs not counted."
        + (f"\nNOT accurate enough: {', '.join(missed)}." if missed else "")
    )


def table(rows: list[list[str]], headers: list[str]) -> str:
    """Names to the left, numbers to the right, digits as given."""
    return tabulate(rows, headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))


def iterates(one: Contender) -> bool:
    return one.cost.startswith("O(t")


def slopes(results: Results, supports: list[int], p: int) -> str:
    """Least squares of log best time and log memory on log k: over all k, and from the last k but one to the last."""
    rows = []
    for one in ALL:
        there = [(k, results[one.name, k, p][1]) for k in supports if (one.name, k, p) in results]
        large = [(k, m) for k, m in there if m.peak >= SMALLEST_PEAK]
        seconds, peak = lambda m: m.best, lambda m: m.peak
        rows.append([one.name, one.cost, fit(there, seconds), fit(there[-2:], seconds), fit(large, peak), fit(large[-2:], peak)])
    headers = ["contender", "cost", "time, all k", "time, last two k", "memory, all k", "memory, last two k"]
    return (
        f"p = {p}: fitted exponent of k\n\n{table(rows, headers)}\n\n"
        f"Of the best times. Small k is start-up cost, so the last two k are nearer the truth. Peaks below {SMALLEST_PEAK // MIB} MiB are left out of the memory columns.\n"
        "Operations and bytes are linear in k. Time above that is the machine's: arrays outgrow the caches, and large ones come page by page (last table)."
    )


def fit(points: list[tuple[int, Measurement]], of: Callable[[Measurement], float]) -> str:
    if len(points) < 2:
        return "-"
    k, values = zip(*((k, of(measured)) for k, measured in points))
    return f"{np.polyfit(np.log(k), np.log(values), 1)[0]:.2f}"


def floors(results: Results, supports: list[int], features: list[int], rates: floor.Rates) -> str:
    rows, agree = [], []
    for one in (one for one in ALL if one.program):
        agree.append(floor.agrees_with_torch(one.program(features[0], 2), k=50))
        for p in features:
            for k in supports:
                steps, measured = results[one.name, k, p]
                program = one.program(p, steps)
                stream = 8 * (k + contenders.N_QUERY + 2) * program.width
                work = floor.of_network(program, k)
                dense = sum(item.seconds(rates.square, rates.bandwidth(stream)) for item in work)
                sparse = sum(item.seconds(rates.square, rates.bandwidth(8 * k * p)) for item in floor.of_algorithm(k, p, steps))
                flops, moved = sum(item.flops for item in work), sum(item.bytes for item in work)
                rows.append([one.name, str(p), f"{k:,}", str(steps), str(program.n_blocks), str(program.width), f"{flops / 1e9:.3g}", f"{moved / 1e9:.3g}"])
                rows[-1] += [f"{dense:.3g}", f"{measured.best:.3g}", f"{measured.best / dense:.1f}", f"{dense / sparse:.0f}", f"{measured.peak / stream:.1f}"]
    headers = ["network", "p", "k", "t", "blocks", "width", "GFLOP", "GB moved", "dense floor s", "best s", "x floor", "floor / CG's", "peak / stream"]
    return (
        f"How far off the floor\n\n{table(rows, headers)}\n\n{in_words(rates)}\n"
        f"torch's own count of the products {'agrees' if all(agree) else 'does NOT agree'} with the formulas.\n"
        "Dense floor: every operation at this machine's best rate, for any decoder of this shape; x floor: best time over it. floor / CG's: over the\n"
        "floor of textbook CG, which has no weights. Peak / stream: in copies of the residual stream; keeping one per block would show as blocks + 1.\n"
        "Fewer blocks are not less work: with dense weights the wider stream of the two-block form costs more operations than its depth saves."
    )


def in_words(rates: floor.Rates) -> str:
    again, fresh = (", ".join(f"{rate / 1e9:.0f}" for rate in kind.values()) for kind in (rates.again, rates.fresh))
    return (
        f"This machine: {rates.square / 1e9:.0f} GFLOP/s on a square product, {rates.tall / 1e9:.0f} on one of 100,000 x 64 by 64 x 64; a + b moves {again} GB/s\n"
        f"on arrays of {', '.join(str(size // MIB) for size in floor.SIZES)} MiB, and {fresh} GB/s into freshly allocated ones, which is what torch's operations return."
    )


if __name__ == "__main__":
    main()
