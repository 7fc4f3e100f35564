"""Annotations of the library are checked while testing: types by beartype, shapes by jaxtyping, until `unchecked` turns both off."""

from contextlib import suppress

import jaxtyping
import pytest
import torch

from factories import unchecked
from metarep_lib.network import PrefixMask
from metarep_lib.storage import sha256
from metarep_lib.studies import Sweep
from typechecking import says_shapes, typechecked

X = torch.ones(2, 3, dtype=torch.float64)


@pytest.mark.parametrize("wrong", [lambda: sha256("no path"), lambda: Sweep("a", 3, [0], dict)], ids=["function", "dataclass"])
def test_a_wrong_type_is_an_error_where_no_shape_is_said(wrong):
    assert not says_shapes(sha256)
    with pytest.raises(jaxtyping.TypeCheckError):
        wrong()
    with unchecked(), suppress(AttributeError):  # which a string brings that is no path
        wrong()


def test_a_wrong_shape_is_an_error():
    mask = PrefixMask(1)
    assert says_shapes(type(mask).contract)
    with pytest.raises(jaxtyping.TypeCheckError, match="T=2"):
        mask.contract(X, torch.ones(4, 3, dtype=torch.float64), X)


def test_a_result_of_another_type_is_an_error():
    @jaxtyping.jaxtyped(typechecker=typechecked)
    def one() -> int:
        return "one"

    with pytest.raises(jaxtyping.TypeCheckError):
        one()
    with unchecked():
        assert one() == "one"
