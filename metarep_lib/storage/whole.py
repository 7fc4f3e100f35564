"""Files are written whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside the path, then move it there.

    Raises:
        FileNotFoundError: no folder to write into, with the call that makes it.
        IsADirectoryError: a folder stands at the path.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{path} cannot be written: there is no folder {path.parent};"
            f" this would work: Path({str(path.parent)!r}).mkdir(parents=True), then the same again"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} cannot be written: it is a folder; give a file's name")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(
                file.fileno()
            )  # else a crash of the machine may leave the name without content
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Make a text the whole content of a file, in UTF-8 and with the line ends it has."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Make this the whole content of a file."""
    replace(path, lambda temporary: temporary.write_bytes(content))


def clear_leftovers(path: Path) -> None:
    """Remove the temporary files that killed writers of the path left; for whoever is its only writer."""
    start = f".{path.name}."
    for other in path.parent.iterdir():
        if other.name.startswith(start) and other.name.removeprefix(start).isdigit():
            other.unlink(missing_ok=True)
