"""Move the modules of the library to their rooms: `python scripts/moves/move.py [RUFF]`, from the root of a clean checkout.

The table says what moves. Bodies of functions stay as they are; what changes is where a definition stands, the lines that import,
dotted names and paths in text, and what packages announce. What has moved already, or is not there, is passed over, so that the
script can run on any later state; run it again when a conflict comes up instead of merging by hand.
"""

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOP_NAME = "metarep_lib"
LIBRARY = ROOT / TOP_NAME
sys.path.insert(0, str(HERE))
from table import ALSO, GUESTS, LEAVES, MOVES, QUIET, ROOMS, SAYS, SPEAK, SPLITS, TOP  # noqa: E402

RUFF = sys.argv[1] if len(sys.argv) > 1 else "ruff"
FORMER = {old: {new: ""} for old, new in MOVES.items()} | SPLITS
CALLED = ("evidence.intervene",)
UNMOVED = ("show", "exercises")
UNTOUCHED = {HERE, LIBRARY / "moved.py", ROOT / "CHANGELOG.md", ROOT / "tests" / "test_moved.py", ROOT / "tests" / "test_walls.py"}
FOLDERS = (TOP_NAME, "tests", "scripts", "sweeps", "benchmarks", "training", "book")
FILES = ("README.md", "CONTRIBUTING.md", "pyproject.toml", "Makefile")
WIDE = {".md": 88, ".ipynb": 88}


def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))


def file_of(module: str) -> Path:
    return LIBRARY.joinpath(*module.split(".")).with_suffix(".py")


def is_room(module: str) -> bool:
    return (LIBRARY.joinpath(*module.split(".")) / "__init__.py").exists() or module in ROOMS


def git(*words: str) -> None:
    subprocess.run(["git", *words], cwd=ROOT, check=True)


# ---- where a name is


def defined(source: str) -> list[str]:
    return [name for node in ast.parse(source).body for name in bound(node)]


def bound(node: ast.stmt) -> list[str]:
    """The names a statement of a module gives."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = getattr(node, "targets", [node.target] if isinstance(node, ast.AnnAssign) else [])
    return [leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)]


def old_facades() -> dict[str, dict[str, str]]:
    """Facade -> name -> module that it came from, before anything moves; from `moved.py` where it has."""
    facades: dict[str, dict[str, str]] = defaultdict(dict)
    moved = LIBRARY / "moved.py"
    if moved.exists():
        table = next(
            node.value
            for node in ast.parse(read(moved)).body
            if isinstance(node, ast.Assign) and node.targets[0].id == "NAMES"
        )
        for facade, homes in ast.literal_eval(table).items():
            facades[facade] |= {name: home for home, names in homes.items() for name in names.split()}
        return facades
    for path in sorted(LIBRARY.rglob("__init__.py")):
        facade = ".".join(path.parent.relative_to(LIBRARY).parts)
        if facade in UNMOVED:
            continue
        for node in ast.parse(read(path)).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(TOP_NAME):
                source = node.module.removeprefix(TOP_NAME).removeprefix(".")
                for alias in node.names:
                    if source != facade:  # else a module of its own
                        facades[facade][alias.asname or alias.name] = source
    for facade, names in facades.items():  # a facade that repeats a facade
        for name, source in names.items():
            while name in facades.get(source, {}) and facades[source][name] != source:
                source = facades[source][name]
            names[name] = source
    return facades


class Splits:
    """Which part of a module that comes apart a name goes to; decided by its source, or by what is there already."""

    def __init__(self):
        self.of: dict[str, dict[str, str]] = {}
        for old, parts in SPLITS.items():
            path = file_of(old)
            if path.exists():
                self.of[old] = assign(read(path), parts)
            else:
                self.of[old] = {
                    name: new for new in reversed(parts) if file_of(new).exists() for name in defined(read(file_of(new)))
                }

    def new(self, old: str, name: str) -> str:
        parts = FORMER[old]
        return self.of.get(old, {}).get(name) or next(iter(parts))


def assign(source: str, parts: dict[str, str]) -> dict[str, str]:
    """Name -> part. A name that nobody claims goes where it is used if that is one place, and else to the first."""
    first = next(iter(parts))
    nodes = {name: node for node in ast.parse(source).body for name in bound(node)}
    place = {name: part for part, names in parts.items() for name in names.split() if name in nodes}
    users = {name: {user for user in nodes if user != name and name in names_in(nodes[user])} for name in nodes}
    open_names = [name for name in nodes if name not in place]
    place |= dict.fromkeys(open_names, first)
    for _ in range(len(open_names)):
        for name in open_names:
            homes = {place[user] for user in users[name]}
            if len(homes) == 1:
                place[name] = homes.pop()
    public = {name for name in open_names if not users[name]}
    return place | dict.fromkeys(public, first)


def names_in(node: ast.AST) -> set[str]:
    """Names a statement uses, in annotations that are strings too."""
    words = {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)}
    strings = [leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)]
    return words | {word for text in strings if len(text) < 60 for word in re.findall(r"[A-Za-z_]\w*", text) if text == word}


# ---- moving


def place_modules() -> None:
    """Whole modules by `git mv`, then those that come apart."""
    for old, new in MOVES.items():
        source, target = file_of(old), file_of(new)
        if source.exists() and not target.exists():
            shift(source, target)
        elif source.exists():
            print(f"both are there, nothing done: {old}, {new}")
    for old, parts in SPLITS.items():
        if file_of(old).exists():
            take_apart(old, parts)


def shift(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    git("mv", str(source.relative_to(ROOT)), str(target.relative_to(ROOT)))


def take_apart(old: str, parts: dict[str, str]) -> None:
    source = read(file_of(old))
    place = assign(source, parts)
    said, imports, pieces = pieces_of(source)
    if file_of(next(iter(parts))).exists():
        git("rm", "-q", "-f", str(file_of(old).relative_to(ROOT)))
    else:
        shift(file_of(old), file_of(next(iter(parts))))
        file_of(next(iter(parts))).unlink()
    for number, part in enumerate(parts):
        mine = [piece for names, piece in pieces if place[names[0]] == part]
        uses = {name for names, node_text in pieces if place[names[0]] == part for name in names_in(ast.parse(node_text))}
        others = defaultdict(list)
        for name, home in place.items():
            if home != part and name in uses:
                others[home].append(name)
        lines = imports + "".join(
            f"from {TOP_NAME}.{home} import {', '.join(sorted(names))}\n" for home, names in others.items()
        )
        says = f'"""{SAYS[part]}"""' if SAYS.get(part) else said
        add(file_of(part), says, lines, mine)


def pieces_of(source: str) -> tuple[str, str, list[tuple[list[str], str]]]:
    """Docstring, imports, and every other statement with the comments before it and a string behind it."""
    lines, tree = source.splitlines(keepends=True), ast.parse(source)
    said, imports, pieces, end = "", "", [], 0
    for node in tree.body:
        text = "".join(lines[end : node.end_lineno])
        end = node.end_lineno
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports += text.strip("\n") + "\n"
        elif isinstance(node, ast.Expr) and not said and not pieces:
            said = text.strip("\n")
        elif isinstance(node, ast.Expr | ast.AugAssign):
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + text)
        else:
            pieces.append((bound(node), text))
    return said, imports, pieces


def add(path: Path, says: str, imports: str, pieces: list[str]) -> None:
    """Write a module, or add to it."""
    if path.exists():
        said, before, there = pieces_of(read(path))
        imports, pieces = before + imports, [text for _, text in there] + ["\n\n" + pieces[0], *pieces[1:]]
        says = said
    text = says + "\n\n" + imports + "\n\n" + "".join(pieces).strip("\n") + "\n"
    write(path, text)
    git("add", str(path.relative_to(ROOT)))


# ---- what is announced


class Places:
    """Where each name is, and where it is announced."""

    def __init__(self):
        self.again = (LIBRARY / "moved.py").exists()
        self.facades = old_facades()
        self.splits = Splits()
        self.announced: dict[str, dict[str, str]] = defaultdict(dict)
        self.top = {name: room for room, names in TOP.items() for name in names.split()}
        if self.again:
            self.read_announced()
        else:
            self.announce()

    def read_announced(self) -> None:
        """What the rooms announce, where everything has moved already."""
        for path in LIBRARY.rglob("*.py"):
            parts = path.relative_to(LIBRARY).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            for node in ast.parse(read(path)).body:
                if module and "__all__" in bound(node) and isinstance(node.value, ast.List):
                    self.announced[module] = dict.fromkeys(ast.literal_eval(node.value), module)

    def announce(self) -> None:
        for facade, names in self.facades.items():
            for name, source in names.items():
                if not facade or name in QUIET or facade in UNMOVED:
                    continue
                home = self.new(source, name)
                self.announced[self.room(home)][name] = home
        for room, homes in ALSO.items():
            for home, names in homes.items():
                self.announced[room] |= dict.fromkeys(names.split(), home)
        for facade, homes in LEAVES.items():
            for home, names in homes.items():
                for name in names.split():
                    self.announced[facade].pop(name, None)

    def new(self, module: str, name: str) -> str:
        """The module that has a name now."""
        return self.splits.new(module, name) if module in FORMER and not self.again else module

    def was(self, old: str) -> bool:
        """Whether a module of the table has ever been: its parts are there now."""
        return all(file_of(part).exists() for part in FORMER[old])

    def room(self, module: str) -> str:
        if module in GUESTS:
            return GUESTS[module]
        if module in SPEAK or is_room(module):
            return module
        parent = module.rpartition(".")[0]
        return parent if parent else module

    def public(self, module: str, name: str) -> str:
        """Where somebody outside takes a name of a module from."""
        room = self.room(module)
        return room if name in self.announced.get(room, {}) else module

    def resolve(self, module: str, name: str, outside: bool) -> tuple[str, str]:
        """(module, name) of an import, to its new (module, name); all below the library."""
        if not module and outside and name in self.top:
            return module, name
        if module in self.facades and name in self.facades[module]:
            home = self.new(self.facades[module][name], name)
            return (self.public(home, name) if outside else home), name
        full = f"{module}.{name}" if module else name
        if full in FORMER and full not in ROOMS:
            parent, _, leaf = next(iter(FORMER[full])).rpartition(".")
            return parent, leaf
        if module in FORMER and not file_of(full).exists():
            home = self.splits.new(module, name)
            same_room = module in ROOMS and name in self.announced[module]
            return (module if outside and same_room else home), name
        return module, name


# ---- imports and names in text

NAME = r"\w+(?: as \w+)?"
IMPORT = re.compile(
    rf"from {TOP_NAME}(?P<module>(?:\.\w+)*) import (?:\((?:  (?P<note># noqa[^\n]*))?(?P<many>[^()#]*)\)|(?P<few>{NAME}(?:, {NAME})*))"
)
END = r"(?:[ \t]*|  # noqa: E402)$"
RUN = re.compile(rf"^(?P<lead>[ \t]*(?:>>> )?){IMPORT.pattern}{END}(?:\n(?P=lead){re.sub(r'[?]P<[a-z]+>', '?:', IMPORT.pattern)}{END})*", re.M)
DOTTED = re.compile(rf"(?<![\w./]){TOP_NAME}((?:\.\w+)+)")
SHORT = re.compile(r"(?<=`)((?:construct|evidence|numerics)(?:\.\w+)+)")
FILE = re.compile(r"(?:\bmetarep_lib/)?\b((?:construct|evidence|numerics)/[\w/]+)\.py\b")


def entries(text: str) -> list[tuple[str, str, str]]:
    """(module, name, name here) of every import in a text."""
    found = []
    for m in IMPORT.finditer(text):
        for item in re.split(r"[,\n]+", m["many"] or m["few"]):
            if item.strip():
                name, _, here = item.strip().partition(" as ")
                found.append((m["module"].removeprefix("."), name, here or name))
    return found


def order(name: str) -> tuple:
    return (not (name.isupper() and len(name) > 1), not name[0].isupper(), name)


def statements(found: list[tuple[str, str, str]], lead: str, width: int) -> list[str]:
    """The imports, merged by module and in order."""
    of_module, renamed = defaultdict(set), set()
    for module, name, here in found:
        if name == here:
            of_module[module].add(name)
        else:
            renamed.add((module, name, here))
    made = []
    for module, names in of_module.items():
        full = f"{TOP_NAME}.{module}".rstrip(".")
        names = sorted(names, key=order)
        line = f"{lead}from {full} import {', '.join(names)}"
        if len(line) > width and ">>>" not in lead:
            line = f"{lead}from {full} import (\n" + "".join(f"{lead}    {name},\n" for name in names) + f"{lead})"
        made.append(((module, 0, ""), line))
    for module, name, here in renamed:
        made.append(((module, 1, name), f"{lead}from {TOP_NAME}.{module} import {name} as {here}".replace(". import", " import")))
    return [line for _, line in sorted(made)]


class Rewriter:
    def __init__(self, places: Places):
        self.places = places

    def moved(self, found: list, outside: bool, own: str) -> list[tuple[str, str, str]]:
        """Where to import from now; nothing from the module that imports, `own`."""
        places = [(*self.places.resolve(module, name, outside), here) for module, name, here in found]
        return [place for place in places if place[0] != own]

    def text(self, text: str, outside: bool, width: int = 100, own: str = "-") -> str:
        text, parts = self.by_parts(text) if outside else (text, {})

        def run(m: re.Match) -> str:
            before = entries(m[0])
            after = self.moved(before, outside, own)
            after = [place for one in after for place in parts.get(one, [one])]
            note = "  # noqa: E402" if "# noqa: E402" in m[0] else ""
            made = [re.sub("$", note, one, count=1, flags=re.M) for one in statements(after, m["lead"], width)]
            return m[0] if after == before else "\n".join(made)

        def inside_a_line(m: re.Match) -> str:
            before = entries(m[0])
            after = self.moved(before, outside, own)
            return m[0] if after == before else "; ".join(statements(after, "", 10**6))

        text = RUN.sub(run, text)
        text = IMPORT.sub(inside_a_line, text)
        spans = [m.span() for m in IMPORT.finditer(text)]
        in_import = lambda at: any(start <= at < end for start, end in spans)  # noqa: E731
        text = DOTTED.sub(lambda m: m[0] if in_import(m.start()) else TOP_NAME + "." + self.dotted(m[1][1:]), text)
        text = SHORT.sub(lambda m: self.dotted(m[1]), text)
        return FILE.sub(self.file, text)

    def by_parts(self, text: str) -> tuple[str, dict]:
        """A module that came apart and is used as one, `circuits.quotient`, by the parts it has: `division.quotient`."""
        parts = {}
        for module, name, here in entries(text):
            old = f"{module}.{name}"
            if old not in SPLITS:
                continue
            used = set(re.findall(rf"(?<![\w.]){here}\.(\w+)", text))
            if not used - set(self.places.announced.get(old, {})):
                continue
            homes = {attribute: self.places.splits.new(old, attribute) for attribute in used}
            called = {home: home.rpartition(".")[2] for home in homes.values()}
            taken = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text))
            called = {home: f"{leaf}_{here}" if leaf in taken else leaf for home, leaf in called.items()}
            for attribute, home in homes.items():
                text = re.sub(rf"(?<![\w.]){here}\.{attribute}\b", f"{called[home]}.{attribute}", text)
            parts[(*self.places.resolve(module, name, True), here)] = [
                (*home.rpartition(".")[::2], here_now) for home, here_now in called.items()
            ]
        return text, parts

    def dotted(self, name: str) -> str:
        """A dotted name below the library, perhaps with attributes behind it."""
        words = name.split(".")
        for size in range(len(words), 0, -1):
            module, rest = ".".join(words[:size]), words[size:]
            if file_of(module).exists() or (is_room(module) and not rest):
                return name
            if module in self.places.facades and module and rest and rest[0] in self.places.facades[module]:
                home = self.places.new(self.places.facades[module][rest[0]], rest[0])
                return ".".join([self.places.public(home, rest[0]), *rest])
            if module in FORMER and (module not in ROOMS):
                home = self.places.splits.new(module, rest[0]) if rest else next(iter(FORMER[module]))
                return ".".join([home, *rest])
        return name

    def file(self, m: re.Match) -> str:
        module = m[1].replace("/", ".")
        if module not in FORMER or file_of(module).exists():
            return m[0]
        return m[0].replace(m[1], next(iter(FORMER[module])).replace(".", "/"))

    def notebook(self, text: str) -> str:
        book = json.loads(text)
        for cell in book["cells"]:
            before = "".join(cell["source"])
            after = self.text(before, True, 88)
            if after != before:
                cell["source"] = after.splitlines(keepends=True)
        return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def texts() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".md", ".ipynb", ".toml", ".cfg") and not any(
                path == untouched or untouched in path.parents for untouched in UNTOUCHED
            ):
                yield path
    yield from (ROOT / name for name in FILES)


def outside(path: Path) -> bool:
    """Whoever is not the library takes names from rooms; the exercises are read as chapters are."""
    return LIBRARY not in path.parents or (LIBRARY / "exercises") in path.parents


def rewrite(places: Places) -> list[Path]:
    rewriter, changed = Rewriter(places), []
    for path in texts():
        if path.name == "__init__.py" and LIBRARY in path.parents and path.parent.name != "exercises":
            continue
        before = read(path)
        if path.suffix == ".ipynb":
            after = rewriter.notebook(before) if TOP_NAME in before else before
        else:
            inside = path.suffix == ".py" and LIBRARY in path.parents
            own = ".".join(path.relative_to(LIBRARY).with_suffix("").parts) if inside else "-"
            width = 88 if path.parent.name == "exercises" else WIDE.get(path.suffix, 100)
            after = rewriter.text(before, outside(path), width, own)
        if after != before:
            write(path, after)
            changed.append(path)
    return changed


# ---- the first files of rooms, the top, the table of old paths


def listed(names: list[str]) -> str:
    return "__all__ = [\n" + "".join(f'    "{name}",\n' for name in sorted(set(names), key=order)) + "]\n"


def write_rooms(places: Places) -> None:
    for room, says in ROOMS.items():
        path = LIBRARY.joinpath(*room.split(".")) / "__init__.py"
        announced = places.announced.get(room, {})
        if (LIBRARY / "moved.py").exists() and path.exists():
            continue
        lines = [f'"""{says}"""', ""]
        pairs = [(home, name, name) for name, home in announced.items()]
        imports = statements(pairs, "", 100)
        called = room in CALLED
        if has_past(places, room) or called:
            imports.append(f"from {TOP_NAME} import moved")
        lines += ["\n".join(sorted(imports)), ""] if imports else []
        lines += [listed(list(announced))] if announced else []
        lines += ["__getattr__ = moved.names(__name__)\n"] if has_past(places, room) else []
        lines += ["__call__ = moved.called(__name__)\n"] if called else []
        write(path, "\n".join(lines))
        git("add", str(path.relative_to(ROOT)))


def has_past(places: Places, room: str) -> bool:
    """Whether a package was a facade of more than it announces, or a module that has come apart."""
    return room in FORMER or bool(past_names(places, room))


def past_names(places: Places, facade: str) -> dict[str, str]:
    """Name -> place, of what a facade announced once and does no more."""
    stays = set(places.top) if not facade else {n for n, home in places.announced.get(facade, {}).items()}
    return {
        name: places.public(places.new(source, name), name)
        for name, source in places.facades.get(facade, {}).items()
        if name not in stays and facade not in UNMOVED
    }


def keep_tasks(places: Places) -> None:
    """A facade that stays, but for names that leave it."""
    for facade, homes in LEAVES.items():
        path = LIBRARY / facade / "__init__.py"
        text = read(path)
        if "moved" in text:
            continue
        for home, names in homes.items():
            text = re.sub(rf"from {TOP_NAME}\.{home} import [^\n]*\n", "", text, count=1)
            for name in names.split():
                text = text.replace(f'    "{name}",\n', "")
        text = text.replace("\nfrom", f"\nfrom {TOP_NAME} import moved\nfrom", 1) + "\n__getattr__ = moved.names(__name__)\n"
        write(path, text)


def let_speak(places: Places) -> None:
    """An `__all__` behind the imports of modules that announce names themselves."""
    for module in SPEAK:
        path, names = file_of(module), list(places.announced.get(module, {}))
        names += [name for homes in LEAVES.values() for home, many in homes.items() if home == module for name in many.split()]
        if not path.exists() or "__all__" in read(path):
            continue
        text = read(path)
        body = ast.parse(text).body
        first = next(node for node in body[1:] if not isinstance(node, ast.Import | ast.ImportFrom))
        start = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", []))]) - 1
        lines = text.splitlines(keepends=True)
        while start and lines[start - 1].startswith("#"):
            start -= 1
        write(path, "".join(lines[:start]).rstrip("\n") + "\n\n" + listed(names) + "\n\n" + "".join(lines[start:]))


def row(key: str, words: str, indent: str) -> str:
    """A line of a table, or as many as it takes."""
    line = f'{indent}"{key}": "{words}",\n'
    if len(line) <= 100:
        return line
    pieces = wrap(words, 90 - len(indent))
    quoted = [f'{indent}    "{piece} "\n' for piece in pieces[:-1]] + [f'{indent}    "{pieces[-1]}"\n']
    return f'{indent}"{key}": (\n{"".join(quoted)}{indent}),\n'


def table_text(places: Places) -> str:
    modules = "".join(row(old, " ".join(parts), "    ") for old, parts in sorted(FORMER.items()) if places.was(old))
    names = ""
    for facade in ["", *sorted(facade for facade in places.facades if facade)]:
        homes = defaultdict(list)
        for name, home in past_names(places, facade).items():
            homes[home].append(name)
        if homes:
            rows = "".join(row(home, " ".join(sorted(many, key=order)), " " * 8) for home, many in sorted(homes.items()))
            names += f'    "{facade}": {{\n{rows}    }},\n'
    return f"MODULES = {{\n{modules}}}\n\nNAMES = {{\n{names}}}\n"


def write_moved(places: Places) -> None:
    path = LIBRARY / "moved.py"
    if not path.exists():
        write(path, read(HERE / "moved.py.txt").replace('TABLES = "here"\n', table_text(places)))
        git("add", str(path.relative_to(ROOT)))


def write_top(places: Places) -> None:
    path = LIBRARY / "__init__.py"
    text = read(path)
    if "TYPE_CHECKING" in text:
        return
    version = re.search(r'^__version__ = .*$', text, re.M)[0]
    pairs = [(room, name, name) for name, room in places.top.items()]
    imports = "\n".join(statements(pairs, "    ", 100))
    homes = "".join(row(room, names, "    ") for room, names in TOP.items())
    made = read(HERE / "top.py.txt")
    for mark, value in (("VERSION", version), ("    IMPORTS", imports), ("    HOMES\n", homes), ("ALL\n", listed(list(places.top)))):
        made = made.replace(f"# {mark}" if mark == "VERSION" else mark, value, 1)
    write(path, made)


def not_yet() -> str:
    """Imports of `evidence` that its walls will forbid: module -> wings."""
    rows = ""
    for path in sorted((LIBRARY / "evidence").rglob("*.py")):
        nodes = [node for node in ast.walk(ast.parse(read(path))) if isinstance(node, ast.ImportFrom)]
        imports = {node.module.split(".")[1] for node in nodes if node.module.startswith(f"{TOP_NAME}.")}
        against = sorted(imports & {"construct", "train", "tasks", "certify", "studies"})
        if against:
            walls = ", ".join(f'"{wall}"' for wall in against)
            rows += f'    "{TOP_NAME}.{".".join(path.relative_to(LIBRARY).with_suffix("").parts)}": {{{walls}}},\n'
    return rows


WALLS = re.split(r"^#### (\w+)\n", read(HERE / "walls.txt"), flags=re.M)[1:]


def rebuild_walls() -> None:
    """The walls' test: new rules, the rooms that announce in place of the wings, the rest as it is."""
    path = ROOT / "tests" / "test_walls.py"
    text, new = read(path), dict(zip(WALLS[::2], (part.strip("\n") for part in WALLS[1::2])))
    loop = re.search(r"    for module, name in imported\(.*\n", text)[0]
    steps = (
        (r"^WINGS = .*\n", ""),
        (r"^# what a wing may import[\s\S]*?^}\n", new["rules"].replace("    # NOT_YET\n", not_yet()) + "\n"),
        (r"^(    of_library, of_others = .*\n)", "\\1    of_library = of_library | NOT_YET.get(module, set()) | {\"moved\"}\n"),
        (r"^(?=def test_the_walls_would_notice)", new["still"] + "\n\n\n"),
        (r"metarep_lib\.construct\.exact", "metarep_lib.certify.exact"),
        (r"(?<=>= {\")metarep_lib\.numerics\.solvers", "metarep_lib.numerics.system"),
        (r"^@.*\bWINGS\b[^\n]*\ndef test_what_a_package_announces[\s\S]*?(?=^def code_of)", new["announce"] + "\n\n\n"),
        (
            r"(?<=^def private_imports\(source: str\) -> list\[str\]:\n)[\s\S]*?(?=^@)",
            re.sub(r"    for module, name in imported\(.*\n", lambda m: loop, new["private"]) + "\n\n\n",
        ),
        (
            r"^@[^\n]*MODULES\)\n(?=def test_importing_a_module_changes_nothing_elsewhere)",
            '@pytest.mark.parametrize("module", [module for module in MODULES if module != "metarep_lib.moved"])\n',
        ),
        (
            r"^(    if isinstance\(statement, ast.AugAssign\):\n)",
            '    if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":\n'
            "        return any(acts(inner, made) for inner in statement.body)\n\\1",
        ),
    )
    for pattern, by in steps:
        text, n = re.subn(pattern, by if "\\1" in by else by.replace("\\", "\\\\"), text, count=1, flags=re.M)
        if not n:
            print("by hand: tests/test_walls.py has no", pattern)
    write(path, text)


def write_tests(places: Places) -> None:
    if not places.again:
        write(ROOT / "tests" / "test_moved.py", read(HERE / "test_moved.py.txt"))
        rebuild_walls()
        git("add", "tests/test_moved.py")


# ---- lines of text that no rule finds

PATCHES = json.loads(read(HERE / "patches.json")) if (HERE / "patches.json").exists() else []


def patch() -> None:
    for file, before, after in PATCHES:
        path = ROOT / file
        text = read(path) if path.exists() else after
        if after in text:
            continue
        if before in text:
            write(path, text.replace(before, after))
        else:
            print(f"by hand: {file} has no {before[:70]!r}")


def doctests() -> None:
    """An example that used what its module imported, and does no more, imports it."""
    for part in {part for parts in SPLITS.values() for part in parts}:
        path = file_of(part)
        text = read(path) if path.exists() else ""
        if not text or re.search("^import torch$", text, re.M):
            continue
        blocks = re.split(r"((?:^[ \t]*>>>.*\n(?:.*\S.*\n)*)+)", text, flags=re.M)
        for at, block in enumerate(blocks):
            if ">>>" in block and "torch." in block and "import torch" not in block:
                blocks[at] = re.sub(r"^([ \t]*)>>>", r"\1>>> import torch\n\1>>>", block, count=1, flags=re.M)
        write(path, "".join(blocks))


def tidy() -> None:
    """Imports in one order, none unused, the library formatted."""
    moved = [str(LIBRARY), "tests", "scripts", "sweeps", "benchmarks", "book/_ext"]
    subprocess.run([RUFF, "check", "-q", "--fix", "--select", "I,F401", *moved], cwd=ROOT, check=False)
    doctests()
    subprocess.run([RUFF, "format", "-q", TOP_NAME], cwd=ROOT, check=True)
    subprocess.run([RUFF, "check", "-q", "--output-format", "concise", "."], cwd=ROOT, check=False)


def report(places: Places) -> None:
    for room, names in sorted(places.announced.items()):
        if len(names) > 15:
            print(f"{room} announces {len(names)}: {' '.join(sorted(names, key=order))}")
    print("the top announces", len(places.top))
    known = {"evidence", *(room for room in ROOMS)}
    for path in sorted((LIBRARY / "evidence").glob("*.py")):
        module = f"evidence.{path.stem}"
        if path.stem not in ("__init__", "intervals") and module not in known:
            print(f"no row for {module}")


def main() -> int:
    places = Places()
    place_modules()
    write_rooms(places)
    keep_tasks(places)
    let_speak(places)
    write_top(places)
    rewrite(places)
    write_moved(places)
    patch()
    tidy()
    write_tests(places)
    report(places)
    return 0


if __name__ == "__main__":
    sys.exit(main())
