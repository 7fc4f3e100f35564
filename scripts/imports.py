"""What Python files import, read off their syntax: nothing is imported to find out.

Chapters and scripts import names from facades, packages whose `__init__` only passes names on. A
name is followed through them to the module that defines it, and from there on through the imports
of that module. Packages execute their `__init__`, too: of these the lines that are no imports
count for everybody (`own_lines`); `tests/library/test_walls.py` holds modules to have no effect on others.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

LIBRARY = "metarep_lib"
Wanted = tuple[str, str | None]  # (module, name); the name is None for `import module`
OLD_PATHS = (LIBRARY, "moved")  # for other people's code: chapters import what is announced
ALL_AND_VERSION = {"__all__", "__version__"}  # they change nothing that is computed


class Unresolved(Exception):
    """An import that cannot be followed; the message says which."""


@cache
def parsed(source: str) -> ast.Module:
    """The syntax of a source; treat it as read-only."""
    return ast.parse(source)


@cache
def imported(tree: ast.AST) -> tuple[Wanted, ...]:
    """(module, name) of every import, at any depth; a relative one begins with its dots."""
    found: list[Wanted] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [(module, alias.name) for alias in node.names]
    return tuple(found)


def of_library(wanted: Iterable[Wanted]) -> list[Wanted]:
    """Those imports that are of the library, or relative and thus unknown; not its table of old paths."""
    return [pair for pair in wanted if pair[0].split(".")[0] in (LIBRARY, "") and pair != OLD_PATHS]


@cache
def bindings(tree: ast.Module) -> dict[str, set[Wanted]]:
    """Name in a facade -> where it is imported from, several if branches differ."""
    found: dict[str, set[Wanted]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                found.setdefault(alias.asname or alias.name, set()).add((module, alias.name))
    return found


def is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring or another string that does nothing."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def own_lines(tree: ast.Module) -> list[ast.stmt]:
    """What a facade does beside passing names on."""

    def passes_on(statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Assign):
            return {ast.unparse(target) for target in statement.targets} <= ALL_AND_VERSION
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            return all(map(passes_on, statement.body)) and not statement.orelse
        return isinstance(statement, ast.Import | ast.ImportFrom) or is_text(statement)

    return [statement for statement in tree.body if not passes_on(statement)]


def names_made(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module binds, other than by an import."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


@dataclass(frozen=True)
class Closure:
    """Modules to be taken whole, and the re-exports (`facade.name = module.name`) followed."""

    modules: set[str] = field(default_factory=set)
    routes: set[str] = field(default_factory=set)


class Library:
    """The modules under `root/metarep_lib`, as files.

    Args:
        root: the folder of the repository.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        files = sorted((root / LIBRARY).rglob("*.py"))
        self.modules = {self.name_of(path): path for path in files}
        self.packages = {self.name_of(path) for path in files if path.name == "__init__.py"}
        self.sources: dict[str, str] = {}
        self.wholes: dict[str, frozenset[str]] = {}

    def name_of(self, path: Path) -> str:
        """The dotted name of a file."""
        parts = path.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def source(self, module: str) -> str:
        """The text of a module, read once."""
        if module not in self.sources:
            self.sources[module] = self.modules[module].read_text(encoding="utf-8")
        return self.sources[module]

    def tree(self, module: str) -> ast.Module:
        """The syntax of a module; treat it as read-only."""
        return parsed(self.source(module))

    def whole(self, module: str) -> frozenset[str]:
        """A module, with all that lies in it if it is a package; looked for once."""
        if module not in self.wholes:
            within = (name for name in self.modules if f"{name}.".startswith(f"{module}."))
            self.wholes[module] = frozenset(within)
        return self.wholes[module]

    def closure(self, wanted: Iterable[Wanted]) -> Closure:
        """All that these imports reach.

        Raises:
            Unresolved: an import that cannot be followed.
        """
        found, todo = Closure(), of_library(wanted)
        while todo:
            new = self.owners(*todo.pop(), found.routes) - found.modules
            found.modules.update(new)
            for module in new:
                todo += of_library(imported(self.tree(module)))
        return found

    def owners(self, module: str, name: str | None, routes: set[str]) -> set[str]:
        """The modules that `from module import name` may get its value from; notes its routes.

        A submodule of this name counts, too: which of the two a facade shows depends on the order
        of imports.
        """
        if module not in self.modules or name is None:
            raise Unresolved(f"from {module} import {name}" if name else f"import {module}")
        found = set(self.whole(f"{module}.{name}"))
        if name == "*" or module not in self.packages:
            return found | self.whole(module)
        bound = bindings(self.tree(module)).get(name, set())
        for origin, original in bound:
            routes.add(f"{module}.{name} = {origin}.{original}")
            if origin == module:  # a submodule
                found |= self.whole(f"{module}.{original}")
            elif of_library([(origin, original)]):
                found |= self.owners(origin, original, routes)
        if any(name in names_made(statement) for statement in self.tree(module).body):
            found.add(module)
        if not found and not bound:
            raise Unresolved(f"from {module} import {name}")
        return found
