"""How many operations and bytes a forward pass needs, and what this machine can do: how far off is it?

Letters: T tokens, S of them visible, d stream width; a group of H heads with query/key width e and
value width v; m gated units. A product [a, b] [b, c] takes 2abc floating point operations and moves
8 (ab + bc + ac) bytes in float64; n sums of two numbers take n and move 24 n. Operation by operation:

    attention   Q, K, V        2 T d H (2e + v)
    (a group)   memory K^T V   2 S H e v'           v' = v, or v + 1 in a normalised head, which
                Q memory       2 T H e v'           also divides: T H v
                W_O            2 T H v d
                add            T d
    MLP         gate and in    4 T d m
                product        T m
                W_out          2 T m d
                add            T d

so that a block costs, to leading order in T,

    T [ 4 d sum_g H (e + v) + 4 sum_g H e v' + 6 d m ]  operations,

linear in T, and the same for zero and non-zero weights: this is the *dense* floor, that of any
decoder of this shape. A forward pass adds up its blocks, the embedding and the readout. The time of
an operation is at least the larger of (operations / peak rate) and (bytes / bandwidth), and the
floor is the sum over operations, each of which reads its operands and writes its result once.

The *algorithm's* floor is textbook CG in registers: a step reads Phi twice (Phi^T v, then Phi times
it) and touches 14 numbers of every support (w = u + lambda p; p.w; alpha; r; r.r; p), in
4kp + 12k operations. It has no weights, so the distance between the floors is the price of generality.
"""

import math
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import contenders
from benchmarks.contenders import Solve
from benchmarks.measure import clock
from metarep_lib import assemble
from metarep_lib.construct.program import Program
from metarep_lib.network import TransformerConfig
from metarep_lib.network.tokens import N_REGISTERS

WORD = 8  # bytes of a float64
SIZES = [2**20, 2**23, 2**26, 2**29]  # of the arrays that probe the bandwidth


@dataclass(frozen=True)
class Work:
    flops: float
    bytes: float
    is_product: bool = False

    def seconds(self, flops_rate: float, bandwidth: float) -> float:
        return max(self.flops / flops_rate, self.bytes / bandwidth)


def product(a: int, b: int, c: int, heads: int = 1) -> Work:
    return Work(2 * heads * a * b * c, WORD * heads * (a * b + b * c + a * c), is_product=True)


def pointwise(n: int) -> Work:
    return Work(n, 3 * WORD * n)


def forward_pass(config: TransformerConfig, n_tokens: int, n_visible: int) -> Iterator[Work]:
    """Every operation of a forward pass in which nobody reads beyond the first `n_visible` tokens."""
    T, d = n_tokens, config.d_model
    yield product(T, config.d_input, d)
    for block in (config.blocks[index] for index in config.schedule):
        for group in block.attention:
            H, e, v = group.n_heads, group.d_head, group.d_value
            yield from (product(T, d, H * width) for width in (e, e, v))
            written = v + (group.kind == "normalised")
            yield product(e, n_visible, written, heads=H)
            yield product(T, e, written, heads=H)
            if group.kind == "normalised":
                yield pointwise(T * H * v)
            yield product(T, H * v, d)
            yield pointwise(T * d)
        yield from (product(T, d, block.d_mlp), product(T, d, block.d_mlp), pointwise(T * block.d_mlp), product(T, block.d_mlp, d))
        yield pointwise(T * d)
    yield product(T, d, config.d_output)


def of_network(program: Program, k: int) -> list[Work]:
    """The operations of the network a program becomes, on k supports and the queries of the benchmark."""
    visible = N_REGISTERS + k
    return list(forward_pass(assemble(program).transformer.config, visible + contenders.N_QUERY, visible))


def of_algorithm(k: int, p: int, steps: int) -> list[Work]:
    """Textbook CG in registers, see above."""
    return [Work((4 * p + 12) * k, WORD * (2 * p + 14) * k)] * steps


def agrees_with_torch(program: Program, k: int) -> bool:
    """Whether the products counted here are those torch counts while the network runs."""
    prompt = contenders.problem(k, program.inputs.width("phi"))
    with FlopCounterMode(display=False) as counter:
        assemble(program).predict(prompt)
    return counter.get_total_flops() == sum(work.flops for work in of_network(program, k) if work.is_product)


def best_of(work: Solve, device: str, lasting: float = 0.4) -> float:
    """The best time of as many runs as fit into so many seconds, at least five: others may use the machine meanwhile."""
    times = [clock(work, device)[0] for _ in range(5)]
    while sum(times) < lasting:
        times.append(clock(work, device)[0])
    return min(times)


@dataclass(frozen=True)
class Rates:
    """What the machine was seen to do: operations per second of a square product and of one as tall as a
    stream, bytes per second of a + b by the size of an array, into the same array again and into a fresh one.

    A fresh array is what an ordinary torch operation returns; on a CPU its pages come from the system
    one by one, at a rate of its own.
    """

    square: float
    tall: float
    again: dict[int, float]
    fresh: dict[int, float]

    def bandwidth(self, n_bytes: int) -> float:
        """Into the same array again, at the probed size nearest to this one."""
        return self.again[min(self.again, key=lambda size: abs(math.log(size / n_bytes)))]

    def best(self, other: "Rates") -> "Rates":
        again, fresh = ({size: max(mine[size], theirs[size]) for size in SIZES} for mine, theirs in ((self.again, other.again), (self.fresh, other.fresh)))
        return Rates(max(self.square, other.square), max(self.tall, other.tall), again, fresh)


def probe(device: str) -> Rates:
    """A few seconds. Others may use the machine meanwhile: probe before and after, and take the best."""
    again, fresh = ({size: sum_rate(device, size, fresh=kind) for size in SIZES} for kind in (False, True))
    return Rates(product_rate(device, 2048, 2048), product_rate(device, 100_000, 64), again, fresh)


def product_rate(device: str, rows: int, columns: int) -> float:
    a, b = (torch.ones(n, columns, dtype=torch.float64, device=device) for n in (rows, columns))
    out = torch.empty_like(a)
    return 2 * rows * columns**2 / best_of(lambda: torch.mm(a, b, out=out), device)


def sum_rate(device: str, n_bytes: int, *, fresh: bool) -> float:
    a, b, out = (torch.ones(n_bytes // WORD, dtype=torch.float64, device=device) for _ in range(3))
    return 3 * n_bytes / best_of(lambda: torch.add(a, b) if fresh else torch.add(a, b, out=out), device)


def machine() -> str:
    """The processor that runs the contenders, in words."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    gpu = f"GPU {torch.cuda.get_device_name()} for the torch contenders" if torch.cuda.is_available() else "no GPU"
    return f"{cpu}, threads: {torch.get_num_threads()}, {gpu}, torch {torch.__version__}"
