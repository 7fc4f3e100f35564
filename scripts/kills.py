"""Kill training and sweeps at any moment, go on, and compare with a run that nobody killed: `make kills`.

    python scripts/kills.py                 fifty random moments of each, and every access to a file
    python scripts/kills.py --moments 5     the sample that the unit tests take

A process is killed (SIGKILL) after a random time, or right before its n-th access to the folder it writes into. What it leaves must be
nothing, what was there before, or what an unkilled run makes; then it is started again, killed again now and then, and must end with the
same bytes. Two at once must both end with them, and one must when the other is killed.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch._dynamo  # an optimizer imports it at its first step: done here once, not in every fork

from chapters import ROOT

sys.path.insert(0, str(ROOT))

from metarep_lib.studies import Sweep, load_sweep, run_sweep  # noqa: E402
from metarep_lib.train import load_trained, loop, recipe_of, train  # noqa: E402

RECIPE = recipe_of(
    "tiny",
    {
        "prior": {"kind": "linear", "n_inputs": 1, "noise": [0.5]},
        "network": {"attention": "softmax", "n_layers": 1, "d_model": 8, "n_heads": 1, "d_head": 4, "d_mlp": 8},
        "training": {"layout": "prefix", "n_support": [1, 2], "n_query": 1, "batch": 4, "steps": 60, "learning_rate": 1e-2, "warmup": 5},
    },
)
OTHER = replace(RECIPE, schedule=replace(RECIPE.schedule, steps=3))  # what was there before
SAID = {"commit": "none", "command": "none"}
ACCESSES = {"open", "os.rename", "os.remove", "os.truncate"}
AGAIN = 0.3  # how often a run that goes on is killed, too


def point(knob: int, seed: int) -> dict:
    time.sleep(0.005)
    drawn = torch.randn(8, generator=torch.Generator().manual_seed(100 * knob + seed), dtype=torch.float64)
    return {"numbers": drawn.tolist(), "none": float("nan"), "endless": float("inf") if seed else -0.1}


SWEEP = Sweep("tiny", {"knob": [1, 2, 3, 4, 5, 6, 7, 8]}, [0, 1, 2], point)
OTHER_SWEEP = Sweep("tiny", {"knob": [1]}, [0], point)


@dataclass(frozen=True)
class Task:
    """What is killed.

    Args:
        run: does it, into a folder.
        before: leaves there what an earlier version has made.
        read: what a reader of the folder finds; raises a FileNotFoundError or a ValueError when there is nothing.
        stored: the files of an end.
    """

    name: str
    run: Callable[[Path], object]
    before: Callable[[Path], object]
    read: Callable[[Path], object]
    stored: tuple[str, ...]

    def content(self, folder: Path) -> list:
        """What is stored, but for the seconds it took."""
        texts = [(folder / name).read_bytes() for name in self.stored]
        return [self.read(folder), *(without_seconds(text) if text.startswith(b"{") else text for text in texts)]

    def left(self, folder: Path) -> list | None:
        """The same of what a killed run leaves; nothing when a reader is told that nothing is there."""
        try:
            self.read(folder)
        except (FileNotFoundError, ValueError):
            return None
        return self.content(folder)


def without_seconds(text: bytes) -> dict:
    held = json.loads(text)
    held.get("card", held).pop("seconds")
    return held


TASKS = (
    Task(
        "training",
        lambda folder: train(RECIPE, 0, folder, **SAID),
        lambda folder: train(OTHER, 0, folder, **SAID),
        lambda folder: {name: weight.tolist() for name, weight in load_trained("tiny", 0, folder=folder).transformer.state_dict().items()},
        ("tiny-0.safetensors", "tiny-0.json"),
    ),
    Task(
        "sweep",
        lambda folder: run_sweep(SWEEP, folder, **SAID),
        lambda folder: run_sweep(OTHER_SWEEP, folder, **SAID),
        lambda folder: repr(load_sweep("tiny", folder).rows),  # a NaN differs from itself
        ("tiny.json",),
    ),
)


class Wrong(Exception):
    """What a kill has broken."""


def start(work: Callable[[Path], object], folder: Path, last: float = float("inf")) -> int:
    """A process that does the work, and dies right before an access to the folder beyond the `last`; counts them in `accesses` beside it."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(os.open(folder.with_name("said"), os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        counted = 0

        def count(event: str, arguments: tuple) -> None:
            nonlocal counted
            if event in ACCESSES and str(arguments[0]).startswith(str(folder)):
                counted += 1
                if counted > last:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work(folder)
        folder.with_name("accesses").write_text(str(counted), encoding="utf-8")
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def finish(child: int, folder: Path) -> bool:
    """Wait for a process: whether it came to its end, and was not killed."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise Wrong(folder.with_name("said").read_text(encoding="utf-8"))
    return code == 0


def kill_after(child: int, seconds: float) -> None:
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)  # one that has ended waits to be asked for: it is still there


class Trial:
    """One task in a fresh folder each time, held against its unkilled run."""

    def __init__(self, task: Task, ground: Path, draw: random.Random) -> None:
        self.task, self.draw = task, draw
        self.folder = ground / "folder"
        self.fresh()
        finish(start(task.before, self.folder), self.folder)
        self.old = task.content(self.folder)
        self.fresh()
        began = time.monotonic()
        finish(start(task.run, self.folder), self.folder)
        self.seconds = time.monotonic() - began
        self.accesses = int(self.folder.with_name("accesses").read_text(encoding="utf-8"))
        self.whole = task.content(self.folder)

    def fresh(self, with_old: bool = False) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.with_name("said").unlink(missing_ok=True)
        self.folder.mkdir()
        if with_old:
            finish(start(self.task.before, self.folder), self.folder)

    def check_left(self) -> None:
        """What a reader finds is nothing, the old or the new."""
        if self.task.left(self.folder) not in (None, self.old, self.whole):
            raise Wrong(f"a killed {self.task.name} leaves what nobody made: {sorted(os.listdir(self.folder))}")

    def check_end(self) -> None:
        pairs = zip(("what a reader finds", *self.task.stored), self.task.content(self.folder), self.whole)
        if other := [name for name, ours, theirs in pairs if ours != theirs]:
            raise Wrong(f"a killed {self.task.name} ends otherwise than an unkilled one: {', '.join(other)}")
        if litter := set(os.listdir(self.folder)) - {*self.task.stored}:
            raise Wrong(f"a killed {self.task.name} leaves {', '.join(sorted(litter))} for ever")

    def go_on(self) -> None:
        """Start it again until it comes to its end; now and then it is killed once more."""
        while True:
            child = start(self.task.run, self.folder)
            if self.draw.random() < AGAIN:
                kill_after(child, self.draw.uniform(0, self.seconds))
            if finish(child, self.folder):
                return self.check_end()
            self.check_left()

    def at_time(self) -> None:
        """Killed after a random time, over nothing or over what was there before."""
        self.fresh(with_old=self.draw.random() < 0.5)
        child = start(self.task.run, self.folder)
        kill_after(child, self.draw.uniform(0, self.seconds))
        finish(child, self.folder)
        self.check_left()
        self.go_on()

    def at_access(self, number: int) -> None:
        """Killed right before an access to a file, over what was there before."""
        self.fresh(with_old=True)
        finish(start(self.task.run, self.folder, last=number), self.folder)
        self.check_left()
        self.go_on()

    def two_at_once(self) -> None:
        """Two that do the same: both end well, or one when the other is killed."""
        self.fresh()
        first, second = (start(self.task.run, self.folder) for _ in range(2))
        if self.draw.random() < 0.5:
            kill_after(first, self.draw.uniform(0, self.seconds))
        finish(first, self.folder)
        if not finish(second, self.folder):
            raise Wrong(f"the second {self.task.name} was killed")
        self.check_end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50, help="random moments of each; as many accesses, or all that there are")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)  # a fork has no threads
    loop.CHECKPOINT_EVERY = 10
    with tempfile.TemporaryDirectory() as ground:
        for task in TASKS:
            draw = random.Random(given.seed)
            trial = Trial(task, Path(ground).resolve(), draw)
            places = range(trial.accesses + 1)
            if given.moments < 50:
                places = sorted(draw.sample(places, given.moments))
            pairs = max(2, given.moments // 5)
            try:
                for _ in range(given.moments):
                    trial.at_time()
                for number in places:
                    trial.at_access(number)
                for _ in range(pairs):
                    trial.two_at_once()
            except Wrong as fault:
                print(f"{task.name}: {fault}")
                return 1
            print(
                f"{task.name} ({trial.seconds:.2f} s, {trial.accesses} accesses): killed at {given.moments} random moments and {len(places)}"
                f" accesses, {pairs} times two at once; every time the bytes of an unkilled run"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
