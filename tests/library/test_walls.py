"""The walls between the parts of the library, read off its imports."""

import ast
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

import metarep_lib

LIBRARY = Path(metarep_lib.__file__).parent
sys.path.append(str(LIBRARY.parent / "scripts"))

from imports import Library, imported, is_text, parsed  # noqa: E402

CHAPTERS = sorted((LIBRARY.parent / "book").glob("*.md"))

# what a wing may import of the library; what it may import of other people; STDLIB is always allowed, and so are the table of old paths,
# the checks of arguments and what shows contents
MAY_IMPORT = {
    "moved": (set(), set()),
    "settings": (set(), set()),
    "storage": (set(), set()),
    "contents": (set(), {"torch"}),
    "asked": ({"contents"}, {"torch", "numpy"}),
    "rounding": ({"settings"}, {"torch", "numpy"}),
    "warned": (set(), set()),
    "arrays": (set(), {"torch", "numpy"}),
    "prompt": ({"rounding", "arrays"}, {"torch"}),
    "network": ({"prompt", "warned"}, {"torch", "jaxtyping"}),
    "construct": ({"prompt", "network", "storage", "warned"}, {"torch", "jaxtyping", "numpy", "safetensors"}),
    "numerics": ({"prompt"}, {"torch", "jaxtyping", "numpy", "scipy"}),
    "tasks": ({"prompt", "rounding", "numerics.kernels.kernels"}, {"torch", "jaxtyping", "numpy", "sklearn"}),
    "certify": ({"prompt", "network", "construct", "numerics"}, None),
    "train": ({"prompt", "network", "numerics", "tasks", "storage"}, None),
    "evidence": ({"prompt", "network", "numerics"}, None),
    "adapters": ({"prompt", "network"}, {"torch", "numpy", "sklearn"}),
    "fast": ({"prompt", "network"}, {"torch"}),
    "estimators": ({"prompt", "arrays", "construct", "numerics", "warned"}, {"torch"}),
    "command": ({"estimators", "evidence", "show", "storage", "warned"}, {"torch", "numpy", "matplotlib"}),
    "__main__": ({"command"}, {"tqdm"}),
    "studies": ({"warned", "prompt", "arrays", "estimators", "rounding", "network", "construct", "numerics", "tasks", "certify", "train", "evidence", "storage"}, None),
    "examine": ({"prompt", "network", "numerics", "evidence"}, None),
    "exercises": ({"prompt", "network", "construct", "numerics", "tasks"}, {"torch"}),
    "show": ({"settings"}, None),
}
# what stands against the walls today, and has to go: module -> walls
NOT_YET = {
}
ROOM, HALL = 15, 25  # names that a room announces, and that anything may
HALLS = ("metarep_lib", "metarep_lib.asked", "metarep_lib.tasks", "metarep_lib.construct.algorithms")


MODULES = Library(LIBRARY.parent).modules


def dependencies(module: str) -> set[str]:
    """Full names of the modules a module imports; `from package import submodule` is the submodule."""
    pairs = imported(parsed(MODULES[module].read_text(encoding="utf-8")))
    assert not [source for source, _ in pairs if source.startswith(".")], f"{module} imports relatively: write the wall's name out"
    return {f"{source}.{name}" if f"{source}.{name}" in MODULES else source for source, name in pairs}


def wing_of(module: str) -> str:
    return module.split(".")[1]


BEHIND_WALLS = [module for module in MODULES if module != "metarep_lib"]


def test_every_module_stands_in_a_wing_that_has_rules():
    assert {wing_of(module) for module in BEHIND_WALLS} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", BEHIND_WALLS)
def test_a_module_imports_only_what_its_wing_may(module):
    of_library, of_others = MAY_IMPORT[wing_of(module)]
    of_library = of_library | NOT_YET.get(module, set()) | {"moved", "asked", "contents"}
    for name in dependencies(module):
        top = name.split(".")[0]
        if top == "metarep_lib":
            inside = name.removeprefix("metarep_lib").removeprefix(".")
            assert inside, f"{module} imports the whole library"
            allowed = inside.split(".")[0] == wing_of(module) or any(f"{inside}.".startswith(f"{wall}.") for wall in of_library)
        else:
            allowed = top in sys.stdlib_module_names or of_others is None or top in of_others
        assert allowed, f"{module} imports {name}"


@pytest.mark.parametrize(("module", "wall"), [(module, wall) for module, walls in NOT_YET.items() for wall in walls])
def test_what_stands_against_the_walls_still_does(module, wall):
    assert any(name.startswith(f"metarep_lib.{wall}.") for name in dependencies(module)), "take it off the list"


def test_the_walls_would_notice():
    assert dependencies("metarep_lib.certify.exact") >= {"metarep_lib.network.masks", "torch", "numpy"}
    assert dependencies("metarep_lib.numerics") >= {"metarep_lib.numerics.system"}
    assert imported(parsed("def f():\n    import metarep_lib.numerics\n    from a.b import c, d")) == (("metarep_lib.numerics", None), ("a.b", "c"), ("a.b", "d"))


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


def acts(statement: ast.stmt, made: set[str]) -> bool:
    """Whether a statement of a module does more than define names of its own."""
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return not all(isinstance(target, ast.Name | ast.Tuple) for target in targets)
    if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
        return any(acts(inner, made) for inner in statement.body)
    if isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'":
        return False  # nothing that imports it sees that
    if isinstance(statement, ast.AugAssign):
        return not (isinstance(statement.target, ast.Name) and statement.target.id in made)
    return not (isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef) or is_text(statement))


def actions(source: str) -> list[str]:
    """What a module does, when it is imported, that others may notice."""
    body = ast.parse(source).body
    assigned = (target for statement in body if isinstance(statement, ast.Assign) for target in statement.targets)
    made = {target.id for target in assigned if isinstance(target, ast.Name)}
    return [ast.unparse(statement) for statement in body if acts(statement, made)]


@pytest.mark.parametrize("module", [module for module in MODULES if module != "metarep_lib.moved"])
def test_importing_a_module_changes_nothing_elsewhere(module):
    """What a chapter does not reach (scripts/reach.py) must not reach the chapter: its outputs are cached without it."""
    assert actions(MODULES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("line", ["torch.set_num_threads(2)", "LAWS['a'] = 1", "solvers.LIMIT = 2", "LAWS |= {}", "if x:\n    f()", "for x in y:\n    f(x)"])
def test_an_import_with_an_effect_would_be_noticed(line):
    assert actions(f'"""Text."""\nfrom a import LAWS, solvers\nOWN = {{}}\nOWN |= {{}}\n{line}\n') == [line]


def announces(module: str) -> bool:
    """Whether a module says what it is for others to import: whether it has an `__all__`."""
    body = ast.parse(MODULES[module].read_text(encoding="utf-8")).body
    return any(getattr(target, "id", "") == "__all__" for node in body if isinstance(node, ast.Assign) for target in node.targets)


ANNOUNCING = [module for module in MODULES if announces(module)]
PACKAGES = {module for module, path in MODULES.items() if path.name == "__init__.py"}


@pytest.mark.parametrize("package", ANNOUNCING)
def test_what_a_package_announces_is_there_and_sorted(package):
    module = import_module(package)
    assert all(hasattr(module, name) for name in module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper() or len(name) == 1, not name[0].isupper(), name))


# what a chapter has studied, and its statements in numbers: modules that announce their names themselves
OF_CHAPTERS = {module for module in ANNOUNCING if module.startswith(("metarep_lib.studies.", "metarep_lib.certify.statements."))}


@pytest.mark.parametrize("package", ANNOUNCING)
def test_a_room_announces_few_names(package):
    assert len(import_module(package).__all__) <= (HALL if package in {*HALLS, *OF_CHAPTERS} else ROOM)


def code_of(chapter: str) -> list[str]:
    """The code cells of a chapter, without the lines that only IPython understands."""
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```\s*$", chapter, flags=re.MULTILINE | re.DOTALL)
    options = re.compile(r"\A---\n.*?\n---\n", flags=re.DOTALL)
    magic = re.compile(r"^\s*([%!?]|:\w+:).*$|^.*\?$", flags=re.MULTILINE)
    return [magic.sub("pass", options.sub("", cell)) if not cell.startswith("%%") else "" for cell in cells]


def private_imports(source: str) -> list[str]:
    """Imports of the library that are not announced where they are imported from."""
    wrong = []
    for module, name in imported(parsed(source)):
        if module.split(".")[0] != "metarep_lib":
            continue
        if name is None or f"{module}.{name}" in PACKAGES | OF_CHAPTERS:
            announced = (f"{module}.{name}" if name else module) in PACKAGES | OF_CHAPTERS
        else:
            announced = module in ANNOUNCING and name in import_module(module).__all__
        if not announced:
            wrong.append(f"{module}.{name}" if name else module)
    return wrong


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_use_public_names_only(chapter):
    assert [name for cell in code_of(chapter.read_text(encoding="utf-8")) for name in private_imports(cell)] == []


def test_a_private_import_of_a_chapter_would_be_noticed():
    chapter = "# T\n```{code-cell} ipython3\n:tags: [hide-input]\nfrom metarep_lib.numerics.solvers import judge\n%time x = 1\n```\ntext\n```{code-cell}\nfrom metarep_lib import tokenise, assemble\nimport metarep_lib.evidence, torch\n```\n"
    assert [name for cell in code_of(chapter) for name in private_imports(cell)] == ["metarep_lib.numerics.solvers.judge", "metarep_lib.tokenise"]
