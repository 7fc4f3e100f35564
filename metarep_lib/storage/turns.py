"""Two processes that would make the same file take turns.

The turn is a lock of the operating system on `.NAME.lock` beside the file. A process that dies
gives it back, however it dies.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Hold the turn at making a file; while another process holds it, wait.

    Yields:
        Whether it had to wait: then the other may have made the file.
    """
    lock, waited = path.with_name(f".{path.name}.lock"), False
    while True:
        file = lock.open("ab")
        waited = take(file, path) or waited
        if is_at(lock, file):
            break
        file.close()  # whoever had it before has removed it
    try:
        yield waited
    finally:
        with suppress(OSError):  # Windows removes no open file; one that stays does no harm
            lock.unlink()
        file.close()


def take(file: IO[bytes], path: Path) -> bool:
    """Lock an open file, and say whether that meant waiting."""
    try:
        return locked(file, path)
    except OSError as error:
        warnings.warn(
            f"{file.name} cannot be locked ({error}): see to it that no second process makes {path}",
            stacklevel=4,
        )
        return False


def locked(file: IO[bytes], path: Path) -> bool:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        print(f"{path}: another process is making it; waiting for it", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
        return True


def is_at(path: Path, file: IO[bytes]) -> bool:
    """Whether an open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
