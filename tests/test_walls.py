"""The walls between the parts of the library, read off its imports."""

import ast
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

import metarep_lib

LIBRARY = Path(metarep_lib.__file__).parent
CHAPTERS = sorted((LIBRARY.parent / "book").glob("*.md"))
WINGS = ("network", "construct", "numerics", "tasks", "evidence", "exercises", "show")

# what a wing may import of the library; what it may import of other people; STDLIB is always allowed
MAY_IMPORT = {
    "settings": (set(), set()),
    "rounding": ({"settings"}, {"torch", "numpy"}),
    "prompt": ({"rounding"}, {"torch"}),
    "network": (set(), {"torch", "jaxtyping"}),
    "construct": ({"prompt", "network"}, {"torch", "jaxtyping", "numpy", "safetensors"}),
    "numerics": ({"prompt"}, {"torch", "jaxtyping", "numpy", "scipy"}),
    "tasks": ({"prompt", "rounding", "numerics.kernels"}, {"torch", "jaxtyping", "numpy", "sklearn"}),
    "evidence": ({"prompt", "network", "construct", "numerics", "tasks"}, None),
    "exercises": ({"prompt", "network", "construct", "numerics", "tasks"}, {"torch"}),
    "show": ({"settings"}, None),
}


def name_of(path: Path) -> str:
    parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(LIBRARY.rglob("*.py"))}


def imported(source: str, module: str = "") -> list[tuple[str, str | None]]:
    """(module, name) of every import, at any depth; name is None for `import module`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively: write the wall's name out"
            found += [(node.module, alias.name) for alias in node.names]
    return found


def dependencies(module: str) -> set[str]:
    """Full names of the modules a module imports; `from package import submodule` is the submodule."""
    pairs = imported(MODULES[module].read_text(encoding="utf-8"), module)
    return {f"{source}.{name}" if f"{source}.{name}" in MODULES else source for source, name in pairs}


def wing_of(module: str) -> str:
    return module.split(".")[1]


BEHIND_WALLS = [module for module in MODULES if module != "metarep_lib"]


def test_every_module_stands_in_a_wing_that_has_rules():
    assert {wing_of(module) for module in BEHIND_WALLS} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", BEHIND_WALLS)
def test_a_module_imports_only_what_its_wing_may(module):
    of_library, of_others = MAY_IMPORT[wing_of(module)]
    for name in dependencies(module):
        top = name.split(".")[0]
        if top == "metarep_lib":
            inside = name.removeprefix("metarep_lib").removeprefix(".")
            assert inside, f"{module} imports the whole library"
            allowed = inside.split(".")[0] == wing_of(module) or any(f"{inside}.".startswith(f"{wall}.") for wall in of_library)
        else:
            allowed = top in sys.stdlib_module_names or of_others is None or top in of_others
        assert allowed, f"{module} imports {name}"


def test_the_walls_would_notice():
    assert dependencies("metarep_lib.construct.exact") >= {"metarep_lib.network.masks", "torch", "numpy"}
    assert dependencies("metarep_lib.numerics") >= {"metarep_lib.numerics.solvers"}
    assert imported("def f():\n    import metarep_lib.numerics\n    from a.b import c, d") == [("metarep_lib.numerics", None), ("a.b", "c"), ("a.b", "d")]


def test_no_module_imports_itself_by_a_detour():
    graph = {module: {name for name in dependencies(module) if name in MODULES} for module in MODULES}
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            path.append(module)
            for name in sorted(graph[module]):
                visit(name)
            done.add(path.pop())

    for module in graph:
        visit(module)
    assert done == set(MODULES)


@pytest.mark.parametrize("package", ["metarep_lib", *(f"metarep_lib.{wing}" for wing in WINGS)])
def test_what_a_package_announces_is_there_and_sorted(package):
    module = import_module(package)
    assert all(hasattr(module, name) for name in module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def code_of(chapter: str) -> list[str]:
    """The code cells of a chapter, without the lines that only IPython understands."""
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```\s*$", chapter, flags=re.MULTILINE | re.DOTALL)
    options = re.compile(r"\A---\n.*?\n---\n", flags=re.DOTALL)
    magic = re.compile(r"^\s*([%!?]|:\w+:).*$|^.*\?$", flags=re.MULTILINE)
    return [magic.sub("pass", options.sub("", cell)) if not cell.startswith("%%") else "" for cell in cells]


def private_imports(source: str) -> list[str]:
    """Imports of the library that are not announced by the library or by one of its wings."""
    public = {"metarep_lib", *(f"metarep_lib.{wing}" for wing in WINGS)}
    wrong = []
    for module, name in imported(source):
        if module.split(".")[0] != "metarep_lib":
            continue
        announced = module in public and (name is None or name in import_module(module).__all__ or f"{module}.{name}" in public)
        if not announced:
            wrong.append(f"{module}.{name}" if name else module)
    return wrong


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_use_public_names_only(chapter):
    assert [name for cell in code_of(chapter.read_text(encoding="utf-8")) for name in private_imports(cell)] == []


def test_a_private_import_of_a_chapter_would_be_noticed():
    chapter = "# T\n```{code-cell} ipython3\n:tags: [hide-input]\nfrom metarep_lib.numerics.solvers import judge\n%time x = 1\n```\ntext\n```{code-cell}\nfrom metarep_lib import tokenise, assemble\nimport metarep_lib.evidence, torch\n```\n"
    assert [name for cell in code_of(chapter) for name in private_imports(cell)] == ["metarep_lib.numerics.solvers.judge", "metarep_lib.tokenise"]
