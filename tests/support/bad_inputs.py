"""Bad inputs, derived by rule from the good calls of `good_calls`, and what becomes of each.

An input is *answered* when the call gives a result, and *refused* when it raises an error that the library wrote: raised by a `raise` of
its own, of a kind that callers can catch by its meaning, with a message that says what was asked. Everything else is *raw*. An answer that
holds NaN though no input does is *silent*.
"""

import linecache
import math
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

import metarep_lib
from factories import random_prompt, unchecked
from good_calls import Good, calls
from metarep_lib import Prompt, RidgeSystem
from metarep_lib.network import Network
from metarep_lib.numerics.solvers import Outcome, Solution

HOME = metarep_lib.__path__[0]
KINDS = (ValueError, TypeError, LookupError, OSError, ArithmeticError, FloatingPointError)
WAYS_OUT = ("expected", "this would work", "there are", "there is", "it has", "e.g.", "use ", "ask for", "try ", "write to", " has ", "give ", "scale ", " needs ", " fits ", " not among ", " have ")  # what a message says one of
SECONDS = 20  # of one call

Change = Callable[[Any], Any]


def one_entry(value: float) -> Change:
    def change(x: Tensor) -> Tensor:
        changed = x.clone()
        changed.view(-1)[0] = value
        return changed

    return change


WRONG_KINDS: dict[str, Change] = {
    "None": lambda x: None,
    "a word": lambda x: "a word",
    "an empty list": lambda x: [],
    "a dictionary": lambda x: {},
    "an object": lambda x: object(),
    "a number": lambda x: 3.5,
    "a nested list": lambda x: [[1.0, "x"], [2.0]],
}
OF_TENSOR: dict[str, Change] = {
    "a list": lambda x: x.tolist(),
    "an array": lambda x: x.numpy(),
    "turned": lambda x: x.mT if x.ndim > 1 else x.unsqueeze(-1),
    "flat": lambda x: x.flatten(),
    "a number of it": lambda x: x.flatten()[0],
    "empty": lambda x: x[:0],
    "empty inside": lambda x: x[..., :0],
    "one row less": lambda x: x[1:],
    "one column less": lambda x: x[..., 1:],
    "an axis more": lambda x: x.unsqueeze(0),
    "an axis inside": lambda x: x.unsqueeze(-2),
    "int64": lambda x: x.long(),
    "bool": lambda x: x.bool(),
    "complex": lambda x: x.to(torch.complex128),
    "bfloat16": lambda x: x.bfloat16(),
    "float16": lambda x: x.half(),
    "float32 or float64": lambda x: x.double() if x.dtype == torch.float32 else x.float(),
    "float8": lambda x: x.float().to(torch.float8_e4m3fn),
    "sparse": lambda x: x.to_sparse(),
    "meta": lambda x: x.to("meta"),
    "one NaN": one_entry(math.nan),
    "one inf": one_entry(math.inf),
    "all NaN": lambda x: x * math.nan,
    "negative": lambda x: -x.abs() - 1,
    "zero": torch.zeros_like,
    "constant": torch.ones_like,
    "huge": lambda x: x * 1e200,
    "tiny": lambda x: x * 1e-200,
}
OF_ARRAY: dict[str, Change] = {
    "a list": lambda x: x.tolist(),
    "a tensor": torch.from_numpy,
    "flat": lambda x: x.flatten(),
    "a number of it": lambda x: x.flat[0],
    "empty": lambda x: x[:0],
    "one row less": lambda x: x[1:],
    "one column less": lambda x: x[..., 1:],
    "an axis more": lambda x: x[None],
    "int64": lambda x: x.astype(np.int64),
    "bool": lambda x: x.astype(bool),
    "complex": lambda x: x.astype(complex),
    "words": lambda x: x.astype(str),
    "objects": lambda x: x.astype(object),
    "all NaN": lambda x: x * math.nan,
    "negative": lambda x: -np.abs(x) - 1,
    "zero": np.zeros_like,
    "huge": lambda x: x * 1e200,
    "tiny": lambda x: x * 1e-200,
}
OF_INT: dict[str, Change] = {
    "zero": lambda n: 0,
    "minus one": lambda n: -1,
    "very negative": lambda n: -(10**6),
    "not whole": lambda n: n + 0.5,
    "a float": float,
    "a word of it": str,
    "NaN": lambda n: math.nan,
    "inf": lambda n: math.inf,
    "True": lambda n: True,
    "a tensor": lambda n: torch.tensor(n),
    "a vector": lambda n: torch.tensor([n, n]),
    "complex": lambda n: 1j,
}
OF_FLOAT: dict[str, Change] = {
    "zero": lambda x: 0.0,
    "minus": lambda x: -x,
    "NaN": lambda x: math.nan,
    "inf": lambda x: math.inf,
    "minus inf": lambda x: -math.inf,
    "huge": lambda x: 1e300,
    "tiny": lambda x: 1e-300,
    "beyond floats": lambda x: 10**400,
    "a word of it": str,
    "True": lambda x: True,
    "complex": lambda x: 1j,
    "a vector": lambda x: torch.tensor([x, x]),
}
OF_WORD: dict[str, Change] = {
    "another": lambda s: "no such name",
    "empty": lambda s: "",
    "in capitals": lambda s: s.upper() + "X",
    "bytes": lambda s: s.encode(),
    "a number for it": lambda s: 0,
    "a tuple": lambda s: (s, s),
}
OF_PROMPT: dict[str, Change] = {
    "its features": lambda p: p.phi,
    "its parts": lambda p: (p.phi, p.y),
    "two outputs": lambda p: replace(p, y=torch.stack([p.y, -p.y], -1), y_query=None),
    "a batch": lambda p: replace(p.expand(2), y_query=None),
    "one of a batch": lambda p: Prompt(p.phi[0], p.y[0], p.phi_query[0], p.ridge) if p.phi.ndim > 2 else p,
    "bfloat16": lambda p: p.to(torch.bfloat16),
    "float16": lambda p: p.to(torch.float16),
    "other precision": lambda p: p.to(torch.float32 if p.phi.dtype == torch.float64 else torch.float64),
    "more features": lambda p: random_prompt(6, p.n_features + 1, 3, 0.5),
    "no queries": lambda p: replace(p, phi_query=p.phi_query[..., :0, :], y_query=None),
    "one support": lambda p: replace(p, phi=p.phi[..., :1, :], y=p.y[..., :1]),
    "an empty batch": lambda p: Prompt(p.phi.new_zeros(0, 3, 2), p.phi.new_zeros(0, 3), p.phi.new_zeros(0, 1, 2), p.ridge),
    "zero features": lambda p: replace(p, phi=0 * p.phi, phi_query=0 * p.phi_query),
    "zero targets": lambda p: replace(p, y=0 * p.y),
    "huge features": lambda p: replace(p, phi=1e100 * p.phi.double(), y=p.y.double(), phi_query=p.phi_query.double()),
    "huge targets": lambda p: replace(p, y=1e300 * p.y.double(), phi=p.phi.double(), phi_query=p.phi_query.double()),
}
OF_SYSTEM: dict[str, Change] = {
    "its matrix": lambda s: s.A,
    "two outputs": lambda s: RidgeSystem(s.A, torch.stack([s.y, s.y], -1), s.K_query),
    "not symmetric": lambda s: RidgeSystem(s.A.triu(), s.y, s.K_query),
    "singular": lambda s: RidgeSystem(0 * s.A, s.y, s.K_query),
    "negative": lambda s: RidgeSystem(-s.A, s.y, s.K_query),
    "NaN": lambda s: RidgeSystem(s.A * math.nan, s.y, s.K_query),
    "bfloat16": lambda s: RidgeSystem(s.A.bfloat16(), s.y.bfloat16(), s.K_query.bfloat16()),
    "y too short": lambda s: RidgeSystem(s.A, s.y[..., 1:], s.K_query),
    "not square": lambda s: RidgeSystem(s.A[..., 1:], s.y, s.K_query),
    "empty": lambda s: RidgeSystem(s.A[..., :0, :0], s.y[..., :0], s.K_query[..., :0]),
}
OF_SEQUENCE: dict[str, Change] = {
    "empty": lambda s: type(s)(),
    "None inside": lambda s: type(s)([None, *s]),
    "a word inside": lambda s: type(s)([*s, "a word"]),
    "one inside alone": lambda s: s[0] if len(s) else 0,
    "minus one inside": lambda s: type(s)([-1, *s]),
    "NaN inside": lambda s: type(s)([*s, math.nan]),
}
OF_MAPPING: dict[str, Change] = {
    "empty": lambda m: {},
    "None inside": lambda m: {**m, "more": None},
    "a number for a name": lambda m: {**m, 3: next(iter(m.values()), None)},
    "values alone": lambda m: list(m.values()),
    "one less": lambda m: dict(list(m.items())[1:]),
}
OF_NETWORK: dict[str, Change] = {
    "its weights": lambda n: n.transformer.state_dict(),
    "its transformer": lambda n: n.transformer,
    "another kind": lambda n: metarep_lib.load_trained("softmax-gp", 0),
    "its prediction": lambda n: n.predict,
}
RULES: list[tuple[type | tuple[type, ...], dict[str, Change]]] = [
    (Tensor, OF_TENSOR),
    (np.ndarray, OF_ARRAY),
    (bool, {}),
    (int, OF_INT),
    (float, OF_FLOAT),
    (str, OF_WORD),
    (Prompt, OF_PROMPT),
    (RidgeSystem, OF_SYSTEM),
    ((list, tuple), OF_SEQUENCE),
    (Mapping, OF_MAPPING),
    (Network, OF_NETWORK),
]


@dataclass(frozen=True)
class Bad:
    """One argument of one good call, changed by one rule."""

    call: str
    argument: str
    rule: str

    def __str__(self) -> str:
        return f"{self.call}({self.argument}: {self.rule})"

    @property
    def given(self) -> dict[str, Any]:
        good = calls()[self.call]
        with unchecked():
            return good.given | {self.argument: rules_for(good.given[self.argument])[self.rule](good.given[self.argument])}


@dataclass(frozen=True)
class Became:
    """What became of a bad input: "answered", "refused", "silent", "raw", or "slow"; and how."""

    what: str
    how: str = ""


def rules_for(value: Any) -> dict[str, Change]:
    own = next((rules for kind, rules in RULES if isinstance(value, kind)), {})
    return WRONG_KINDS | {f"{name}, of its kind": change for name, change in own.items()}


def all_bad() -> list[Bad]:
    return [Bad(name, argument, rule) for name, good in calls().items() for argument, value in good.given.items() for rule in rules_for(value)]


def outcome(bad: Bad) -> Became:
    """Make the call as users do, without annotation checks, and look at what comes back."""
    try:
        given = bad.given
    except Exception as error:  # the rule does not apply to this value, or the input itself is refused where it is made
        return Became("refused", f"where it is made: {error}") if refused(error) else Became("no input")
    good = calls()[bad.call]

    def late(*_: object) -> None:
        raise TimeoutError("took too long")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        with unchecked(), warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            result = Good(good.function, given)()
        if has_nan(result) and not said and not documented(bad, given, result):
            return Became("silent")
        return Became("answered")
    except TimeoutError:
        return Became("slow")
    except Exception as error:
        name = type(error).__name__
        return Became("refused", f"{name}: {error}") if refused(error) else Became("raw", f"{name}: {error}")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# where a result that is not finite is a value the caller sees, and where that is said
NAN_IS_SAID = {
    "a stream that overflows, which `trace.all_finite` tells": (
        "ModuleNetwork.predict ModuleNetwork.trace ModuleNetwork.head ConstructedTransformer.run ConstructedTransformer.at ConstructedTransformer.trace ConstructedTransformer.head Transformer.__call__ Mask.contract evidence.align.head_logits"
        " evidence.align.prediction_and_weights evidence.identify.own_head evidence.identify.query_streams evidence.intervene.intervene evidence.probe.activations"
    ),
    "a value that was put there": "Intervention of a value",
    "a bin without eigenvalues": "evidence.identify.spectral_gains",
    "a filter whose steps diverge": "numerics.spectrum.Filter",
    "an iterate that diverged": "RidgeSystem.norm",
    "the ends of an interval of one seed": "evidence.over_seeds evidence.ratio_over_seeds",
}


def documented(bad: Bad, given: Mapping[str, Any], result: Any) -> bool:
    """Whether NaN came in, is spoken of in the call's own text, or is told by the outcome of a solve."""
    if isinstance(result, Solution):
        return result.outcome is not Outcome.CONVERGED
    return any(map(has_nan, given.values())) or any(bad.call in names for names in NAN_IS_SAID.values())


def refused(error: BaseException) -> bool:
    """Raised by a statement of the library, as a kind that says what is wrong, with words."""
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    file = last.tb_frame.f_code.co_filename
    line = linecache.getline(file, last.tb_lineno).strip()
    return isinstance(error, KINDS) and file.startswith(HOME) and line.startswith("raise ") and any(way in str(error) for way in WAYS_OUT)


def has_nan(value: Any, depth: int = 4) -> bool:
    """Whether there is a NaN anywhere inside."""
    if isinstance(value, Tensor):
        if value.is_meta or not (value.is_floating_point() or value.is_complex()):
            return False
        return bool(value.to_dense().to(torch.complex128 if value.is_complex() else torch.float64).isnan().any())
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fc" and bool(np.isnan(value).any())
    if isinstance(value, float):
        return math.isnan(value)
    if not depth:
        return False
    if is_dataclass(value) and not isinstance(value, type):
        return any(has_nan(getattr(value, each.name), depth - 1) for each in fields(value))
    if isinstance(value, Mapping):
        return any(has_nan(each, depth - 1) for each in value.values())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return any(has_nan(each, depth - 1) for each in value)
    return False


def wrong(bads: Sequence[Bad]) -> list[str]:
    """Those that were neither answered nor refused."""
    return [f"{bad}: {became.what} {became.how[:200]}" for bad, became in tally(bads) if became.what in ("raw", "silent", "slow")]


def tally(bads: Sequence[Bad]) -> Iterator[tuple[Bad, Became]]:
    for bad in bads:
        yield bad, outcome(bad)
