"""Prove that a refactoring has changed nothing the book says: `make ledger REV=main`.

    python scripts/ledger.py diff REV                      all chapters against that revision
    python scripts/ledger.py diff REV route-a --rewritten  one page, its printed lines left out
    python scripts/ledger.py figures --to new.json         run chapters for what their figures show
    python scripts/ledger.py diff REV --figures old.json new.json

Claims, records and outputs are read from the pairs (book/*.ipynb) of the revision and of the
working tree, so build first. Ids decide: a cell may move. What nbval compares has to be equal to
the digit, any other float to 1e-9 of itself, as two runs on one machine give it. Of lines that end
in `# measured` there have to be as many. What figures show comes from a run at either revision.
Exit status 1, and a list, where something differs.
"""

import argparse
import ast
import json
import math
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from difflib import unified_diff
from multiprocessing import get_context
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbval.plugin import get_sanitize_patterns

from chapters import BOOK, ROOT, chapters, read
from commit import git
from figure_data import drawn_in
from metarep_lib.storage import write_text

CLOSE = 1e-9  # relative
NOT_COMPARED = get_sanitize_patterns(
    (ROOT / "tests" / "nbval-sanitize.cfg").read_text(encoding="utf-8")
)
GLUED = "application/papermill.record/text/plain"  # the number; a claim's line for the eye is beside it
FIGURES = ROOT / "_build" / "ledger" / "figures.json"


@dataclass
class Ledger:
    """What the pairs of one revision say."""

    claims: dict[str, dict] = field(default_factory=dict)  # id -> fields
    records: dict[str, dict] = field(default_factory=dict)  # id -> value, and whether it is exact
    printed: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)  # chapter -> outputs


def ledger(pairs: dict[str, NotebookNode]) -> Ledger:
    """The ledger of some chapters."""
    found = Ledger()
    for chapter, notebook in pairs.items():
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        shown = [output for output in outputs if "scrapbook" not in output.get("metadata", {})]
        found.printed[chapter] = list(map(lines, shown))
        for output in (output for output in outputs if output not in shown):
            enter(found, output)
    return found


def enter(found: Ledger, output: NotebookNode) -> None:
    """Add what a call of `claim` or `record` has stored."""
    id, text = output.metadata.scrapbook.name, output.data[GLUED]
    fields = {"value": ast.literal_eval(text), "exact": not text.endswith("# measured")}
    kept = found.claims if "claim" in output.metadata else found.records
    while id in kept:
        id += " (again)"  # the book forbids it, and a difference it is
    kept[id] = fields | dict(output.metadata.get("claim", {}))


def lines(output: NotebookNode) -> tuple[str, ...]:
    """The lines an output shows, as nbval compares them."""
    texts = [output.text] if "text" in output else map(str, output.get("data", {}).values())
    if output.output_type == "error":
        texts = [f"{output.ename}: {output.evalue}"]
    compared = []
    for text in texts:
        for pattern, replacement in NOT_COMPARED:
            text = re.sub(pattern, replacement, text)
        compared += text.splitlines()
    return tuple(compared)


def differences(old: Ledger, new: Ledger, with_printed: bool = True) -> Iterator[str]:
    """All that differs, a line each."""
    yield from ids_that_differ("claim", old.claims, new.claims)
    yield from ids_that_differ("record", old.records, new.records)
    for chapter in sorted(old.printed.keys() | new.printed.keys()) if with_printed else ():
        before, after = old.printed.get(chapter, []), new.printed.get(chapter, [])
        gone, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
        yield from changed(f"{chapter}, printed", *(sum(c.elements(), ()) for c in (gone, come)))


def ids_that_differ(kind: str, old: dict[str, dict], new: dict[str, dict]) -> Iterator[str]:
    """Ids gone, ids new, and of the others each field that differs."""
    yield from (f"{kind} {id} is gone" for id in old if id not in new)
    yield from (f"{kind} {id} is new" for id in new if id not in old)
    for id in (id for id in old if id in new):
        exact = old[id]["exact"] or new[id]["exact"]
        for name in sorted(old[id].keys() | new[id].keys()):
            before, after = old[id].get(name), new[id].get(name)
            if not same(before, after, exact and name == "value"):
                yield f"{kind} {id}: {name} {before!r} -> {after!r}"


def same(before: object, after: object, exact: bool) -> bool:
    """Equal, or floats as close as two runs on one machine are."""
    if isinstance(before, float) and isinstance(after, float) and not exact:
        return math.isclose(before, after, rel_tol=CLOSE)
    return type(before) is type(after) and before == after


def changed(what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Lines gone and lines come."""
    for line in list(unified_diff(before, after, n=0, lineterm=""))[2:]:
        if not line.startswith("@@"):
            yield f"{what} {line[0]} {line[1:]}"


def figures_that_differ(old: dict[str, list], new: dict[str, list]) -> Iterator[str]:
    """Figures gone and new, and of the others the artists and texts that differ."""
    yield from (f"figure {name} is gone" for name in old if name not in new)
    yield from (f"figure {name} is new" for name in new if name not in old)
    for name in (name for name in old if name in new):
        yield from changed(f"figure {name}", old[name], new[name])


def pairs_at(revision: str) -> dict[str, NotebookNode]:
    """The pairs of a revision."""
    try:
        paths = git("ls-tree", "--name-only", revision, f"{BOOK.name}/").splitlines()
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip()
        raise SystemExit(f"ledger diff {revision}: {said}; try: diff HEAD") from None
    return {
        Path(path).stem: nbformat.reads(git("show", f"{revision}:{path}"), as_version=4)
        for path in paths if path.endswith(".ipynb")
    }


def pairs_here() -> dict[str, NotebookNode]:
    """The pairs of the working tree."""
    return {path.stem: nbformat.read(path, as_version=4) for path in sorted(BOOK.glob("*.ipynb"))}


def drawings(path: Path, asked: Sequence[str]) -> dict[str, list[str]]:
    """Figure name -> its lines, as `figures` has stored them."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    run = [made for name, made in stored.items() if not asked or name in asked]
    return {name: lines for made in run for name, lines in made.items()}


def chosen(pairs: dict[str, NotebookNode], asked: Sequence[str]) -> dict[str, NotebookNode]:
    """The pairs asked for, or all."""
    return {name: pair for name, pair in pairs.items() if not asked or name in asked}


def diff(given: argparse.Namespace) -> bool:
    """Print what differs; whether something does."""
    old, new = (chosen(pairs, given.chapters) for pairs in (pairs_at(given.revision), pairs_here()))
    if missing := set(given.chapters) - old.keys() - new.keys():
        raise SystemExit(f"ledger diff: no chapter {', '.join(sorted(missing))}; try: diff HEAD")
    now = ledger(new)
    found = list(differences(ledger(old), now, not given.rewritten))
    if given.figures:
        before, after = (drawings(path, given.chapters) for path in given.figures)
        found += figures_that_differ(before, after)
    print(*found, sep="\n", end="\n" if found else "")

    verdict = f"{len(found)} found" if found else "nothing differs"
    parts = [f"{len(new)} chapters, {len(now.claims)} claims, {len(now.records)} records"]
    parts += [] if given.rewritten else ["printed lines"]
    parts += [f"{len(after)} figures"] if given.figures else []
    print(f"Differences from {given.revision}: {verdict} in {', '.join(parts)}.")
    if old == new:
        print("The pairs are those of that revision to the byte: has `make book` run since?")
    return bool(found)


def figures(given: argparse.Namespace) -> bool:
    """Run chapters, each in a process of its own, and store what their figures show."""
    known = {path.stem: path for path in chapters()}
    if unknown := [name for name in given.chapters if name not in known]:
        raise SystemExit(f"ledger figures: no chapter {', '.join(unknown)}; try: figures route-a")
    names, made = given.chapters or list(known), {}
    for number, name in enumerate(names, 1):
        start = time.perf_counter()
        try:
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                made[name] = process.submit(drawn_in, BOOK, read(known[name])).result()
            said = f"{len(made[name])} figures"
        except Exception as error:  # whatever a chapter raises
            said = f"failed: {error!r}"
        spent = time.perf_counter() - start
        print(f"[{number}/{len(names)}] {name}: {said}, {spent:.0f} s", flush=True)
    given.to.parent.mkdir(parents=True, exist_ok=True)
    write_text(given.to, json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    print(f"{sum(map(len, made.values()))} figures in {given.to}")
    return len(made) < len(names)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    compare = commands.add_parser("diff", help="compare the pairs with those of a revision")
    compare.add_argument("revision", metavar="REV")
    compare.add_argument("--rewritten", action="store_true", help="leave printed lines out")
    compare.add_argument("--figures", nargs=2, type=Path, metavar=("OLD", "NEW"))
    compare.set_defaults(run=diff)
    execute = commands.add_parser("figures", help="run chapters for what their figures show")
    execute.add_argument("--to", type=Path, default=FIGURES, metavar="FILE")
    execute.set_defaults(run=figures)
    for command in (compare, execute):
        command.add_argument("chapters", nargs="*", metavar="CHAPTER", help="all if none is named")
    given = parser.parse_args(arguments)
    return given.run(given)


if __name__ == "__main__":
    sys.exit(main())
