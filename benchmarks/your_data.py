"""What a front-door answer costs on real tables beside a solver: `python -m benchmarks.your_data`, also at the end of `make bench`.

Three times, each the best of several runs in this process: all of `solve` (choosing the ridge and the steps, making the weights, one
forward pass), the forward pass alone, and what a user of scikit-learn would run, with a ridge that is given: `Ridge` for the linear
kernel, `KernelRidge` with the same kernel matrix for the exponential one. Tables from scikit-learn alone, two thirds of the rows.
"""

import time
from collections.abc import Callable

from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from tabulate import tabulate

from metarep_lib import ExponentialKernel
from metarep_lib.studies import your_tables as study

TABLES = ("linnerud", "iris", "wine", "breast cancer", "diabetes")
RUNS = 3


def best(work: Callable[[], object], runs: int = RUNS) -> float:
    """Seconds of the fastest of some runs, after one that does not count."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def row(name: str, kernel: str) -> list[str]:
    drawn = study.split(name, seed=0)
    answer = study.answered(name, kernel, drawn)
    prompt, network = answer.prompt, answer.network
    phi, y, phi_query = (x.numpy() for x in (prompt.phi, prompt.y, prompt.phi_query))
    prompts = [prompt]
    if network.traits.n_outputs == 1 and prompt.n_outputs > 1:
        prompts = [prompt.output(i) for i in range(prompt.n_outputs)]
    if kernel == "linear":
        model = Ridge(alpha=prompt.ridge, fit_intercept=False)
        solver = best(lambda: model.fit(phi, y).predict(phi_query))
    else:
        K = ExponentialKernel(answer.tau)
        model = KernelRidge(alpha=prompt.ridge, kernel="precomputed")
        solver = best(
            lambda: model.fit(K(prompt.phi, prompt.phi).numpy(), y).predict(K(prompt.phi_query, prompt.phi).numpy())
        )
    passes = best(lambda: [network.predict(one) for one in prompts])
    whole = best(lambda: study.answered(name, kernel, drawn), runs=1)
    sizes = [name, kernel, str(prompt.n_support), str(prompt.n_features), str(prompt.n_outputs), str(answer.blocks)]
    return [*sizes, f"{solver:.1e}", f"{passes:.1e}", f"{whole:.1e}", f"{passes / solver:.0f}", f"{whole / solver:.0f}"]


def report(tables: tuple[str, ...] = TABLES) -> str:
    rows = [row(name, kernel) for kernel in ("linear", "exponential") for name in tables]
    headers = ["table", "kernel", "k", "p", "m", "blocks", "sklearn s", "pass s", "solve s", "pass / sklearn", "solve / sklearn"]
    made = tabulate(rows, headers, disable_numparse=True, colalign=("left", "left", *["right"] * 9))
    return f"Your data: the network beside scikit-learn\n\n{made}\n\nNobody should solve a table this way for speed: what the network buys is that every step can be looked at."


if __name__ == "__main__":
    print(report())
