"""Prompts: what cannot be answered is refused, with every reason at once and what would work."""

import math
from dataclasses import FrozenInstanceError

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from factories import unchecked
from metarep_lib import Prompt, PromptError


def parts(k=4, p=2, q=3, dtype=torch.float64):
    return {"phi": torch.ones(k, p, dtype=dtype), "y": torch.ones(k, dtype=dtype), "phi_query": torch.ones(q, p, dtype=dtype), "ridge": 0.1}


def reasons_of(**changes):
    """The reasons a user is given for a good prompt with these changes."""
    with unchecked(), pytest.raises(PromptError) as refused:
        Prompt(**(parts() | changes))
    first, *reasons, last = str(refused.value).splitlines()
    assert first.startswith("Prompt(phi=")
    assert last == "this would work: Prompt(phi=float64[k, p], y=float64[k], phi_query=float64[q, p], ridge=0.1)"
    assert all(reason.startswith("  - ") for reason in reasons)
    return [reason[4:] for reason in reasons]


def ones(*shape, dtype=torch.float64):
    return torch.ones(shape, dtype=dtype)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"y": ones(5)}, "y has shape [5], expected [4]: one target per support"),
        ({"y": ones(4, 1, 1)}, "y has shape [4, 1, 1], expected [4]: one target per support"),
        ({"y": ones(4, 0)}, "y has shape [4, 0], expected [4]: one target per support"),
        ({"y": ones(4, 2), "y_query": ones(3)}, "y_query has shape [3], expected [3, 2]"),
        ({"phi": ones(4)}, "phi has shape [4], expected [*batch, k, p]"),
        ({"phi_query": ones(3, 5)}, "phi_query has shape [3, 5], expected [q, 2]"),
        ({"phi_query": ones(2)}, "phi_query has shape [2], expected [q, 2]"),
        ({"phi_query": ones(1, 3, 2)}, "phi_query has shape [1, 3, 2], expected [q, 2]"),
        ({"y_query": ones(2)}, "y_query has shape [2], expected [3]"),
        ({"phi": ones(2, 4, 2), "y": ones(2, 4), "phi_query": ones(5, 3, 2)}, "phi_query has shape [5, 3, 2], expected [2, q, 2]"),
        ({"phi": ones(0, 2), "y": ones(0)}, "phi holds no supports (k = 0), expected at least one"),
        ({"phi": ones(4, 0), "phi_query": ones(3, 0)}, "phi has no features (p = 0), expected at least one"),
        ({"ridge": 0.0}, "ridge is 0.0, expected a finite Python number > 0"),
        ({"ridge": 0}, "ridge is 0, expected a finite Python number > 0"),
        ({"ridge": -0.5}, "ridge is -0.5, expected a finite Python number > 0"),
        ({"ridge": math.nan}, "ridge is nan, expected a finite Python number > 0"),
        ({"ridge": math.inf}, "ridge is inf, expected a finite Python number > 0"),
        ({"ridge": "0.1"}, "ridge is '0.1', expected a finite Python number > 0"),
        ({"ridge": None}, "ridge is None, expected a finite Python number > 0"),
        ({"ridge": torch.tensor(0.1)}, "ridge is tensor(0.1000), expected a finite Python number > 0"),
        ({"phi": [[1.0]]}, "phi is a list, expected a torch tensor; of numpy, pandas and lists Prompt.from_arrays(X, y, X_query, ridge=0.1) makes one"),
        ({"y": None}, "y is a NoneType, expected a torch tensor; of numpy, pandas and lists Prompt.from_arrays(X, y, X_query, ridge=0.1) makes one"),
        ({"y_query": 3.0}, "y_query is a float, expected a torch tensor; of numpy, pandas and lists Prompt.from_arrays(X, y, X_query, ridge=0.1) makes one"),
        ({"y": ones(4) * math.nan}, "y holds 4 NaN or infinite values of 4"),
        ({"phi_query": torch.tensor([[1.0, math.inf], [-math.inf, 1.0]]).double()}, "phi_query holds 2 NaN or infinite values of 4"),
        ({"y_query": ones(3) / 0}, "y_query holds 3 NaN or infinite values of 3"),
        ({"y": ones(4, dtype=torch.float32)}, "y is torch.float32 on cpu but phi is torch.float64 on cpu: y.to(phi)"),
        ({"phi_query": ones(3, 2, dtype=torch.int64)}, "phi_query is torch.int64 on cpu but phi is torch.float64 on cpu: phi_query.to(phi)"),
    ],
)
def test_each_mistake_has_its_reason(changes, reason):
    assert reasons_of(**changes) == [reason]


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex128])
def test_only_floating_point_will_do(dtype):
    made = {name: value.to(dtype) if isinstance(value, torch.Tensor) else value for name, value in parts().items()}
    cure = "phi.real" if dtype.is_complex else "phi.double()"
    assert reasons_of(**made) == [f"phi is {dtype}, expected a floating-point dtype: {cure}"]


def test_a_ridge_that_underflows_says_so():
    made = parts(dtype=torch.float32) | {"ridge": 1e-60}
    assert reasons_of(**made) == ["ridge 1e-60 is zero in torch.float32; use a larger ridge or float64"]
    with pytest.raises(PromptError, match="ridge 1e-60 is zero in torch.float32"):
        Prompt(**(parts() | {"ridge": 1e-60})).to(torch.float32)


def test_a_ridge_that_overflows_says_so():
    (reason,) = reasons_of(**(parts(dtype=torch.float32) | {"ridge": 1e39}))
    assert "1e+39" in reason and "torch.float32" in reason


def test_an_integer_ridge_beyond_every_float_is_refused():
    assert len(reasons_of(ridge=10**400)) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_device_of_its_own_is_named():
    assert reasons_of(y=ones(4).cuda()) == ["y is torch.float64 on cuda:0 but phi is torch.float64 on cpu: y.to(phi)"]
    assert Prompt(**parts()).to("cuda").phi_query.is_cuda


def test_all_reasons_come_at_once():
    reasons = reasons_of(phi=ones(4, 2) * math.nan, y=ones(5, dtype=torch.float32), phi_query=ones(3, 7), y_query=ones(9) / 0, ridge=-1)
    assert len(reasons) == 6
    for part in ("y has shape [5]", "phi_query has shape [3, 7]", "phi holds 8 NaN", "y is torch.float32", "y_query holds 9 NaN", "ridge is -1"):
        assert any(part in reason for reason in reasons), part
    assert len(reasons_of(phi=None, y=[1.0], phi_query="x", y_query=(), ridge="y")) == 5


def test_the_first_line_says_what_came():
    with pytest.raises(PromptError) as refused:
        Prompt(ones(4, 2), ones(5, dtype=torch.float32), ones(3, 2), ridge=0.5, y_query=ones(3))
    assert str(refused.value).startswith("Prompt(phi=float64[4, 2], y=float32[5], phi_query=float64[3, 2], y_query=float64[3], ridge=0.5)\n")
    assert isinstance(refused.value, ValueError)


@given(st.lists(st.integers(1, 3), max_size=2), st.integers(1, 5), st.integers(1, 4), st.integers(0, 4), st.booleans(), st.sampled_from([torch.float32, torch.float64]))
def test_every_sound_shape_is_accepted_and_counted(batch, k, p, q, scored, dtype):
    y_query = ones(*batch, q, dtype=dtype) if scored else None
    prompt = Prompt(ones(*batch, k, p, dtype=dtype), ones(*batch, k, dtype=dtype), ones(*batch, q, p, dtype=dtype), ridge=1, y_query=y_query)
    assert (prompt.n_support, prompt.n_query, prompt.n_features) == (k, q, p)
    assert {prompt.to(torch.float32).phi.dtype, prompt.to(torch.float32).y.dtype, prompt.to(torch.float32).phi_query.dtype} == {torch.float32}
    assert (prompt.to(torch.float64).y_query is None) == (not scored)


@pytest.mark.parametrize("batch", [(), (2,)])
def test_several_outputs_can_be_taken_apart(batch):
    y, y_query = torch.arange(12.0).view(4, 3).expand(*batch, 4, 3), torch.arange(6.0).view(2, 3).expand(*batch, 2, 3)
    prompt = Prompt(torch.ones(*batch, 4, 5), y, torch.ones(*batch, 2, 5), ridge=0.1, y_query=y_query)
    assert prompt.n_outputs == 3
    one = prompt.output(1)
    assert one.n_outputs == 1
    assert torch.equal(one.y, y[..., 1]) and torch.equal(one.y_query, y_query[..., 1])


def test_a_prompt_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Prompt(**parts()).ridge = 1.0


def test_moving_a_prompt_keeps_values_and_ridge(as_drawn):
    prompt = Prompt(**(parts() | {"y": torch.arange(4).double(), "y_query": torch.arange(3).double()}))
    moved = prompt.to(torch.float32).to("cpu")
    assert moved.ridge == prompt.ridge
    assert moved.y.tolist() == [0, 1, 2, 3] and moved.y_query.tolist() == [0, 1, 2]
