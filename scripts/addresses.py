"""Where the project lives: the addresses in `[project.urls]` of pyproject.toml, read by the book and by nobody else.

Both may be empty. The environment wins over the file: METAREP_REPOSITORY, METAREP_SITE.
"""

import os
import tomllib

from chapters import ROOT


def repository() -> str:
    """Address of the repository, as in https://github.com/OWNER/NAME, or nothing."""
    return _address("Repository", "METAREP_REPOSITORY")


def site() -> str:
    """Address of the published book, or nothing."""
    return _address("Documentation", "METAREP_SITE")


def colab_can_open(repository: str) -> bool:
    """Colab opens notebooks of GitHub's repositories."""
    return repository.startswith("https://github.com/")


def _address(name: str, variable: str) -> str:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    return os.environ.get(variable, urls.get(name, "")).rstrip("/")
