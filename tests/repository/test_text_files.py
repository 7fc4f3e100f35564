"""Text is UTF-8 on every machine: whatever reads, writes or pipes it says so, since Python else asks the locale."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("metarep_lib", "scripts", "book/_ext", "tests", "benchmarks", "sweeps")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
TEXT = {"read_text", "write_text", "open"}
BINARY = {"rb", "wb", "ab", "xb", "rb+", "wb+"}
NOT_OF_TEXT = {"Image", "os"}  # modules whose `open` opens something else


def is_of_text(call: ast.Call) -> bool:
    """Whether a call reads, writes or pipes text: `open` and its like but in binary, and processes asked for text."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    of = getattr(getattr(call.func, "value", None), "id", "")
    given = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
    binary = any(isinstance(value, ast.Constant) and value.value in BINARY for value in given)
    piped = any(word.arg in ("text", "universal_newlines") and getattr(word.value, "value", None) is True for word in call.keywords)
    return piped or (name in TEXT and of not in NOT_OF_TEXT and not binary)


def without_encoding(source: str) -> list[int]:
    """Lines that leave the encoding of text to the locale."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return sorted(call.lineno for call in calls if is_of_text(call) and not any(word.arg == "encoding" for word in call.keywords))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_says_its_encoding(path):
    assert without_encoding(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("forgotten", ["path.read_text()", "path.write_text(text)", "open(name)", 'path.open("a")', "run(command, text=True)"])
def test_a_forgotten_encoding_would_be_noticed(forgotten):
    assert without_encoding(f"import os\n{forgotten}") == [2]
    assert without_encoding(f'import os\n{forgotten[:-1]}, encoding="utf-8")'.replace("(, ", "(")) == []


def test_what_is_not_text_needs_none():
    assert without_encoding('Image.open(buffer)\nopen(name, "rb")\npath.open(mode="wb")\nrun(command)\nparagraph(text=words)') == []
