"""Run a chapter and note what of the library really works: `python tests/support/traced.py kernel-ridge`.

Prints JSON: the modules a function of which ran, and the stored files that were opened. What runs
when a module is imported does not count. Run by test_execution_cache.py in a process of its own.
"""

import json
import os
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from imports import LIBRARY, Library  # noqa: E402
from reach import code_cells  # noqa: E402


def import_all(library: Library) -> None:
    """Import every module, so that nothing is imported later."""
    for module in library.modules:
        __import__(module)


def traced(chapter: Path) -> dict[str, list[str]]:
    """What of the library works while the chapter runs."""
    library, files, opened = Library(ROOT), set(), set()
    modules = {str(path): module for module, path in library.modules.items()}

    def note_call(frame, event, argument) -> None:
        files.add(frame.f_code.co_filename)

    def note_file(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            opened.add(os.fspath(arguments[0]))

    import_all(library)
    cells = [compile(cell, "<cell>", "exec") for cell in code_cells(chapter)]
    page = {"__name__": "__main__"}
    sys.addaudithook(note_file)
    threading.settrace(note_call)
    sys.settrace(note_call)
    for cell in cells:
        exec(cell, page)
    sys.settrace(None)
    inside = (Path(path) for path in opened if Path(path).is_relative_to(ROOT / LIBRARY))
    stored = (path for path in inside if path.suffix not in (".py", ".pyc"))
    return {
        "modules": sorted(modules[file] for file in files & modules.keys()),
        "data": sorted(path.relative_to(ROOT).as_posix() for path in stored),
    }


if __name__ == "__main__":
    os.chdir(ROOT / "book")
    said, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(traced(ROOT / "book" / f"{sys.argv[1]}.md")), file=said)
