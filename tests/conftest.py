"""Settings all tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every run, and no limit on the time of one: a test that fails must fail again.
settings.register_profile("metarep", derandomize=True, deadline=None)
settings.load_profile("metarep")

pytest.register_assert_rewrite("contract")  # tests that others inherit: their assertions explain themselves, too

# They read text, imports, messages and trees, hold runs against themselves to the bit, or compute in exact arithmetic: no rounding reaches them.
WITHOUT_FLOATS = {
    "test_advice",
    "test_algorithm_record",
    "test_appendix",
    "test_bookkeeping",
    "test_budgets",
    "test_certificates",
    "test_claims",
    "test_claims_page",
    "test_colab",
    "test_exact",
    "test_execution_cache",
    "test_files",
    "test_floors",
    "test_induction",
    "test_ledger",
    "test_lint",
    "test_look_ahead",
    "test_moved",
    "test_mutants",
    "test_notebook_rendering",
    "test_portability",
    "test_program",
    "test_readme",
    "test_recipe_files",
    "test_roundings",
    "test_saved_network",
    "test_scratch",
    "test_shown",
    "test_site",
    "test_sweep",
    "test_sweep_files",
    "test_text_files",
    "test_training_scripts",
    "test_typechecking",
    "test_walls",
}


@pytest.fixture
def as_drawn(monkeypatch):
    """No other rounding: it moves a prompt by its own content, so that parts which two prompts share would differ in the last place."""
    from metarep_lib.settings import (
        ROUNDING,  # here: what is imported before pytest is configured, jaxtyping cannot check
    )

    monkeypatch.delenv(ROUNDING, raising=False)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files without such tests are not even read when only those are asked for, `-m floats`."""
    return True if config.getoption("markexpr") == "floats" and collection_path.stem in WITHOUT_FLOATS else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that depend on floats, which `make portability` runs under other arithmetics."""
    for item in items:
        exact = any(mark.kwargs.get("exact") for mark in item.iter_markers("certifies"))
        if not exact and item.path.stem not in WITHOUT_FLOATS:
            item.add_marker(pytest.mark.floats)
