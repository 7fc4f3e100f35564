"""What a chapter's outputs depend on: the modules it reaches, the stored data it loads.

    python scripts/reach.py                  every chapter: how much it reaches
    python scripts/reach.py conditioning     what it reaches, one a line

Read off the syntax, nothing runs. Where that does not decide it, a chapter reaches everything.
"""

import argparse
import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chapters import BOOK, ROOT, chapters, read
from imports import LIBRARY, Library, Unresolved, Wanted, imported, is_text, names_made

EXERCISES = f"{LIBRARY}.exercises"
GRADING = f"{EXERCISES}.grading"  # imports a chapter's exercises by the id that `grade` is given
DIGESTS = f"{LIBRARY}.storage.digests"  # reads the library's code to name it on a card: no chapter trains or sweeps
# Whoever uses these may show the source of what it uses, comments and docstrings included.
SIGNATURES = {"signature", "Parameter", "isclass"}  # of inspect: they show no source
SHOWS_SOURCE = {"inspect", "linecache", "traceback", "pydoc", "doctest", ".__doc__", "help"}
# Whoever uses these may import, read or run what no import statement names.
UNREADABLE = {"importlib", "pkgutil", "importlib.resources", "runpy", "sys.modules", "subprocess"}
UNREADABLE |= {"__import__", "exec", "eval", "compile", "__file__", ".__file__", ".__path__"}


@dataclass(frozen=True)
class Reach:
    """What the outputs of a chapter depend on beside its own code.

    Args:
        modules: of the library, by name.
        routes: re-exports followed to them.
        by_bytes: those of the modules of which comments and docstrings count, too.
        data: files of stored weights and sweeps.
        unresolved: why it is everything, if it is.
    """

    modules: frozenset[str]
    routes: frozenset[str]
    by_bytes: frozenset[str]
    data: frozenset[Path]
    unresolved: str = ""


@cache
def words(tree: ast.AST) -> frozenset[str]:
    """Names, `.attributes`, `name.attributes` and imported modules of a piece of code."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(f".{node.attr}")
            if isinstance(node.value, ast.Name):
                found.add(f"{node.value.id}.{node.attr}")
    imports = imported(tree)
    found |= {module for module, _ in imports}
    return frozenset(found | {f"{module}.{name}" for module, name in imports})


def shows_source(tree: ast.AST) -> bool:
    """Whether code may show the source of what it uses; `from inspect import signature` and the like show none."""
    of_inspect = {name for module, name in imported(tree) if module == "inspect"}
    shown = SHOWS_SOURCE - ({"inspect"} if of_inspect and of_inspect <= SIGNATURES else set())
    return bool(shown & words(tree))


@cache
def last_words(tree: ast.AST) -> frozenset[str]:
    """All names in a piece of code, whatever they are attributes of."""
    return frozenset(word.rpartition(".")[2] for word in words(tree))


@cache
def texts(tree: ast.AST) -> tuple[str, ...]:
    """The strings in a piece of code, those left out that do nothing."""
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.stmt))
    idle = {id(statement.value) for statement in statements if is_text(statement)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return tuple(s.value for s in strings if isinstance(s.value, str) and id(s) not in idle)


def fixed(node: ast.expr | None) -> str | None:
    """The pattern of the texts an expression can be; None for any."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(fixed(part) or ".*" for part in node.values)
    return None


def arguments(tree: ast.AST, function: str) -> list[str | None]:
    """The pattern of the first argument at every use of a function; None where it may be any."""
    if function not in last_words(tree):
        return []
    nodes = list(ast.walk(tree))
    calls = [node for node in nodes if isinstance(node, ast.Call) and named(node.func, function)]
    called = {id(call.func) for call in calls}
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    names = [alias for node in imports for alias in node.names if alias.name == function]
    handed_on = [node for node in nodes if named(node, function) and id(node) not in called]
    renamed = [alias for alias in names if alias.asname not in (None, function)]
    return [fixed(first_argument(call)) for call in calls] + [None] * len(handed_on + renamed)


def first_argument(call: ast.Call) -> ast.expr | None:
    """The first argument of a call, given by place or as `name` or `id`."""
    given = [keyword.value for keyword in call.keywords if keyword.arg in ("name", "id")]
    return [*call.args, *given, None][0]


def named(node: ast.AST, function: str) -> bool:
    """Whether a piece of code is the function's name, bare or as an attribute."""
    bare = isinstance(node, ast.Name) and node.id == function
    return bare or isinstance(node, ast.Attribute) and node.attr == function


@dataclass(frozen=True)
class Door:
    """A module that loads stored files: its folder, and the functions that end up there.

    Args:
        folder: of the stored files.
        loaders: function -> whether its first argument is the name of a file.
    """

    folder: Path
    loaders: dict[str, bool]

    def files(self, trees: Iterable[ast.AST]) -> set[Path]:
        """The files that these pieces of code load through it."""
        stored = {path for path in self.folder.iterdir() if path.is_file()}
        found: set[Path] = set()
        for tree in trees:
            for loader, by_name in self.loaders.items():
                for name in arguments(tree, loader):
                    fits = rf"{name}(-\d+)?" if by_name and name is not None else ".*"
                    found |= {path for path in stored if re.fullmatch(fits, path.stem)}
        return found


def door(library: Library, module: str) -> Door | None:
    """The door that a module is, if it names a folder beside itself by `__file__`.

    Raises:
        Unresolved: it uses `__file__` in another way.
    """
    tree = library.tree(module)
    uses = lambda node: {"__file__"} & words(node)  # noqa: E731
    if not uses(tree):
        return None
    places = [statement for statement in tree.body if uses(statement)]
    folders = [library.root / LIBRARY / ["missing", *texts(place)][-1] for place in places]
    known = [folder for folder in folders if folder.is_dir() and isinstance(places[0], ast.Assign)]
    if len(places) != 1 or len(known) != 1:
        raise Unresolved(f"{module} reads files by __file__")
    loaders = {name: False for name in names_made(places[0])}
    while new := {
        made: by_name(statement)
        for statement in tree.body
        if set(loaders) & words(statement)
        for made in defined(statement)
        if made not in loaders
    }:
        loaders |= new
    return Door(known[0], loaders)


def defined(statement: ast.stmt) -> set[str]:
    """The names a statement gives to its module."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    return set(names_made(statement))


def by_name(statement: ast.stmt) -> bool:
    """Whether a function's first argument is a `name`."""
    if not isinstance(statement, ast.FunctionDef):
        return False
    return [argument.arg for argument in statement.args.args][:1] == ["name"]


def check_readable(tree: ast.AST, name: str, allowed: str = "", with_texts: bool = True) -> None:
    """Refuse code that reaches what its imports do not name.

    Raises:
        Unresolved: with the words that are the reason.
    """
    found = sorted((UNREADABLE & words(tree)) - {allowed})
    if with_texts:
        found += [repr(text) for text in texts(tree) if LIBRARY in text]
    if found:
        raise Unresolved(f"{name} uses {', '.join(found)}")


def check_modules(library: Library, modules: Iterable[str], doors: Iterable[str]) -> None:
    """Refuse a module that reaches what its imports do not name.

    Raises:
        Unresolved: with the module and the words that are the reason.
    """
    for module in modules:
        allowed = "importlib" if module == GRADING else "__file__" if module in doors else ""
        graded = module.startswith(EXERCISES)  # their texts are code for readers
        check_readable(library.tree(module), module, allowed, with_texts=not graded)


def exercises(library: Library, trees: Iterable[ast.AST]) -> Iterator[Wanted]:
    """The modules with the exercises that a chapter has graded."""
    for id in (id for tree in trees for id in arguments(tree, "grade")):
        chapter = re.sub(r"-[0-9]+$", "", (id or "").replace("\\", ""))
        module = f"{EXERCISES}.{chapter.replace('-', '_')}"
        if module not in library.modules:
            raise Unresolved("grade(...) of something else than an exercise's id")
        yield module, "EXERCISES"


def reach(cells: Iterable[str], library: Library) -> Reach:
    """What the code cells of a chapter reach."""
    try:
        return resolved([ast.parse(cell) for cell in cells], library)
    except (Unresolved, SyntaxError) as reason:
        everything = frozenset(library.modules)
        data = (path for path in (library.root / LIBRARY).rglob("*") if path.is_file())
        stored = frozenset(path for path in data if path.suffix not in (".py", ".pyc"))
        return Reach(everything, frozenset(), everything, stored, str(reason))


def resolved(trees: list[ast.Module], library: Library) -> Reach:
    """What these cells reach.

    Raises:
        Unresolved: that cannot be said.
    """
    for tree in trees:
        check_readable(tree, "the page")
    wanted = [pair for tree in trees for pair in imported(tree)]
    found = library.closure([*wanted, *exercises(library, trees)])
    read = found.modules - {DIGESTS}
    doors = {module: made for module in read if (made := door(library, module))}
    check_modules(library, read, doors)
    code = [*trees, *(library.tree(module) for module in found.modules - doors.keys())]
    data = {path for made in doors.values() for path in made.files(code)}
    shown = found.modules if any(map(shows_source, code)) else set()
    graded = {module for module in found.modules if module.startswith(f"{EXERCISES}.")}
    reached = (found.modules, found.routes, shown | graded, data)
    return Reach(*map(frozenset, reached))


def code_cells(chapter: Path) -> list[str]:
    """The code of a chapter, cell by cell."""
    return [cell.source for cell in read(chapter).cells if cell.cell_type == "code"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapter", nargs="?", help="by name; all when none is given")
    asked, library = parser.parse_args().chapter, Library(ROOT)
    for chapter in [BOOK / f"{asked}.md"] if asked else chapters():
        found = reach(code_cells(chapter), library)
        if asked:
            print(*sorted(found.modules), sep="\n")
            print(*sorted(path.relative_to(ROOT).as_posix() for path in found.data), sep="\n")
        counts = f"{len(found.modules)} of {len(library.modules)} modules"
        counts += f" ({len(found.by_bytes)} by bytes), {len(found.data)} stored files"
        print(f"{chapter.stem}: {counts}", *filter(None, [found.unresolved]), sep="; ")


if __name__ == "__main__":
    main()
