"""Old paths: every row of the table still works, and says where things are now."""

import ast
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

import metarep_lib
from metarep_lib import moved

FULL = [
    (facade, name, home)
    for facade, homes in moved.NAMES.items()
    for home, names in homes.items()
    for name in names.split()
    if f"{facade}.{name}" not in moved.CALLED
]
GONE = [old for old in moved.MODULES if not Path(metarep_lib.__file__).parent.joinpath(*old.split("."), "__init__.py").exists()]


def forget(old: str) -> None:
    """As if nobody had imported it yet."""
    package, _, name = moved.full(old).rpartition(".")
    sys.modules.pop(moved.full(old), None)
    vars(import_module(package)).pop(name, None)


def run(statement: str) -> tuple[dict, list[warnings.WarningMessage]]:
    """What a statement leaves, and what it is told."""
    there: dict = {}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        exec(statement, there)
    return there, [one for one in said if one.category is DeprecationWarning and "the old path" in str(one.message)]


@pytest.mark.parametrize("old", GONE)
def test_a_module_is_found_where_it_was_and_says_where_it_is(old):
    forget(old)
    new = [moved.full(part) for part in moved.MODULES[old].split()]
    there, said = run(f"import {moved.full(old)} as module")
    assert all(part in str(said[0].message) for part in new)
    assert there["module"] is import_module(new[0]) or len(new) > 1
    for part in map(import_module, new):
        own = [name for name in vars(part) if getattr(vars(part)[name], "__module__", "") == part.__name__]
        assert own and all(getattr(there["module"], name) is getattr(part, name) for name in own)


@pytest.mark.parametrize("old", GONE)
def test_a_module_is_found_in_its_old_package(old):
    forget(old)
    package, _, name = moved.full(old).rpartition(".")
    there, said = run(f"from {package} import {name}")
    assert said and name in there


@pytest.mark.parametrize(("facade", "name", "home"), FULL)
def test_a_name_is_found_where_it_was_announced_and_says_where_it_is(facade, name, home):
    if f"{facade}.{name}" in GONE:
        forget(f"{facade}.{name}")
    there, said = run(f"from {moved.full(facade)} import {name}")
    assert f"{moved.full(home)}.{name}" in str(said[0].message)
    assert there[name] is getattr(import_module(moved.full(home)), name)


@pytest.mark.parametrize("old", sorted(set(moved.MODULES) - set(GONE)))
def test_a_room_that_was_a_module_still_has_all_its_names(old):
    for part in moved.MODULES[old].split():
        module = import_module(moved.full(part))
        for name, value in vars(module).items():
            if getattr(value, "__module__", "") == module.__name__:
                assert run(f"from {moved.full(old)} import {name}")[0][name] is value


def test_a_user_is_told_where_they_wrote_it():
    statements = "import metarep_lib.evidence.probes\nfrom metarep_lib.evidence import fit_probes"
    said = subprocess.run([sys.executable, "-c", statements], capture_output=True, encoding="utf-8", check=True).stderr
    for line in (1, 2):
        assert f"<string>:{line}: DeprecationWarning: metarep_lib.evidence." in said


@pytest.mark.parametrize("room", moved.CALLED)
def test_a_room_by_the_name_of_a_function_can_be_called_as_that(room):
    module, name = import_module(moved.full(room)), room.rpartition(".")[2]
    with pytest.warns(DeprecationWarning, match=f"{room}.{name}"), pytest.raises(TypeError):
        module(nothing=True)


def test_what_never_was_is_not_found():
    with pytest.raises(ImportError):
        run("from metarep_lib.evidence import nothing_of_this_name")
    with pytest.raises(ModuleNotFoundError):
        run("import metarep_lib.evidence.nothing_of_this_name")


def test_new_paths_are_silent():
    assert run("from metarep_lib import assemble, solvers\nfrom metarep_lib.evidence.probe import fit_probes")[1] == []


@pytest.mark.parametrize(
    "statement",
    [
        "from metarep_lib import PrefixMask, TransformerConfig, conjugate_gradient_bound, nadaraya_watson",
        "from metarep_lib.evidence import certify_end_to_end, certify_step, two_block_recurrence",  # of the first readme
        "from metarep_lib.evidence import Edit, Put, Stream, heads_into, fit_probes, judge, load_sweep, load_trained",
        "from metarep_lib.evidence.sweep import Sweep, run_sweep",
        "import metarep_lib.evidence.training",
        "from metarep_lib.construct import input_basis, tokenise, on_polynomial_features",
        "from metarep_lib.construct.tokens import tokenise",
        "from metarep_lib.construct.exact import ExactTransformer",
        "from metarep_lib.construct.circuits import mat_vec, quotient, token_quotient",
        "from metarep_lib.numerics import block, depth, jacobi, ridge_fit, spectral, tune",
        "from metarep_lib.numerics.kernels import ridge_system",
        "from metarep_lib.tasks import redrawn",
    ],
)
def test_what_people_have_written_runs_and_says_so(statement):
    """Written down here, not read off the table, so that a row that is forgotten is noticed."""
    for old in GONE:
        forget(old)
    there, said = run(statement)
    assert said and len(there) > 1


def test_the_top_imports_nothing_heavy_until_it_is_asked():
    heavy = "{'torch', 'sklearn', 'flint', 'matplotlib', 'scipy'}"
    script = f"import sys, metarep_lib; print(sorted({heavy} & set(sys.modules)))"
    script += f"\nfrom metarep_lib import Prompt, Transformer, assemble, conjugate_gradient; print(sorted({heavy} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True).stdout
    assert said.splitlines() == ["[]", "['torch']"]


def test_the_top_says_the_same_to_those_who_read_and_those_who_run():
    tree = ast.parse(Path(metarep_lib.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If)).body
    read = {(node.module.removeprefix("metarep_lib."), alias.name) for node in block for alias in node.names}
    assert read == {(room, name) for room, names in metarep_lib.HOMES.items() for name in names.split()}
    assert {name for _, name in read} == set(metarep_lib.__all__)
