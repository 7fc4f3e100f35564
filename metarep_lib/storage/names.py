"""Which words can be the name of a file on every system."""

from collections.abc import Iterator

FORBIDDEN = '/\\:*?"<>|'
LONGEST = 200  # bytes; systems allow 255, and what is stored adds a seed, a suffix and a process


def name_faults(name: str) -> Iterator[str]:
    """Why a file cannot have this name, with a suffix; nothing when it can.

    >>> list(name_faults("softmax v1.2 größer")), list(name_faults("a/b"))
    ([], ["its name has '/', which no file's name may"])
    """
    if not name:
        yield "its name is empty"
    if name.startswith("."):
        yield "its name begins with a dot: such files are hidden, and no list shows them"
    if wrong := sorted({letter for letter in name if letter in FORBIDDEN or ord(letter) < 32}):
        yield f"its name has {', '.join(map(repr, wrong))}, which no file's name may"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        yield "its name is no text: it cannot be written in UTF-8"
    else:
        if size > LONGEST:
            yield f"its name has {size} bytes, at most {LONGEST} fit"
