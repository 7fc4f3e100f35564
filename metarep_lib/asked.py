"""What a call takes, said above it and checked before it runs; every reason at once.

    @asked(steps=at_least(0), step_size=positive)
    def gradient_descent(n_features: int, steps: int, step_size: float) -> Program: ...

The kind of every argument is read off its annotation: a whole number, a finite number, a dense tensor, a prompt. A rule
of the decorator narrows it. Shapes share their letters: with `x=floats("B n D"), y=floats("B n")` the B of both is one
number. The values of a tensor are checked where they can be looked at, so a call runs under `torch.vmap`, where
shapes are checked all the same, and in a compiler's trace, where nothing is.
"""

import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Iterable as AnyIterable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, isclass, signature
from numbers import Integral, Real
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from metarep_lib.contents import describe, shown

Function = TypeVar("Function", bound=Callable)
Sizes = dict[str, Any]
UNSAID = ("self", "cls")

WIDE = (torch.float64, torch.float32)  # what factorisations are made for
FLOATS = (*WIDE, torch.bfloat16, torch.float16)


class AskedWrongly(ValueError):
    """A call with what it cannot work with; the message names the call and lists every reason."""


class OutOfRange(ArithmeticError):
    """A call that was asked well and whose numbers left their range: a singular matrix, an overflow; the message names the call."""


TROUBLE = (torch.linalg.LinAlgError, np.linalg.LinAlgError, OverflowError, ZeroDivisionError)


@dataclass(frozen=True)
class Rule:
    """One thing that is asked of an argument.

    Args:
        expected: what is asked, as the end of "expected ...".
        reason: (value, sizes) to why it does not do, or "" where it does; letters of shapes meet in `sizes`.
    """

    expected: str
    reason: Callable[[Any, Sizes], str]


def that(expected: str, holds: Callable[[Any], bool]) -> Rule:
    """A rule that looks at one value alone."""
    return Rule(expected, lambda value, sizes: "" if holds(value) else f"is {shown(value)}")


def is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """A finite real number, or a tensor of one entry that is; a whole one no float can hold is none."""
    if isinstance(value, Tensor):
        real = value.ndim == 0 and not value.is_complex() and value.dtype != torch.bool
        return real and unreadable(value) == "" and looks(lambda: torch.isfinite(value))
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def looks(test: Callable[[], Any]) -> bool:
    """Whether a test of values holds; True where values cannot be looked at: under `torch.vmap`, in a compiler's trace."""
    if torch.compiler.is_compiling():
        return True
    try:
        return bool(test())
    except RuntimeError:
        return True


def unreadable(x: Tensor) -> str:
    """Why nothing can be computed with a tensor; nothing where it can."""
    if x.is_meta:
        return "is on the device meta, which holds no values"
    if x.layout != torch.strided or x.is_nested:
        return f"is {str(x.layout).removeprefix('torch.')}: to_dense()"
    if x.dtype.is_floating_point and x.dtype not in FLOATS:
        return f"is {x.dtype}, in which nothing is computed: float()"
    return ""


def is_array(value: object) -> bool:
    """Real numbers that numpy makes an array of."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, AnyIterable):
        return False
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return array.dtype.kind in "iuf"


numbers = that("an array of numbers", is_array)
whole = that("a whole number, e.g. 3", is_whole)
finite = that("a finite number, e.g. 0.5", is_number)
positive = that("a finite number > 0, e.g. 0.5", lambda x: is_number(x) and looks(lambda: x > 0))
temperature = that(
    "a positive temperature, e.g. 1.0", lambda x: is_number(x) and looks(lambda: x > 0)
)
not_negative = that(
    "a finite number >= 0, e.g. 0.5", lambda x: is_number(x) and looks(lambda: x >= 0)
)


def at_least(least: int, *, example: int | None = None) -> Rule:
    """A whole number from `least` on."""
    shown_as = max(least, 3) if example is None else example
    return that(f"a whole number >= {least}, e.g. {shown_as}", lambda n: is_whole(n) and n >= least)


def between(low: float, high: float, example: float) -> Rule:
    return that(
        f"a number from {low:g} to {high:g}, e.g. {example:g}",
        lambda x: is_number(x) and low <= x <= high,
    )


def one_of(*names: Any) -> Rule:
    def known(value: object) -> bool:
        return isinstance(value, str | int) and value in names

    return that(f"one of {', '.join(map(repr, names))}", known)


def each(rule: Rule, *, least: int = 1, example: str) -> Rule:
    """A sequence whose entries all keep to a rule."""

    def reason(values: Any, sizes: Sizes) -> str:
        if isinstance(values, str) or not isinstance(values, AnyIterable):
            return f"is {shown(values)}"
        try:
            listed = list(values)
        except TypeError:
            return f"is {shown(values)}"
        if len(listed) < least or any(rule.reason(value, sizes) for value in listed):
            return f"is {shown(values)}"
        return ""

    return Rule(f"{least} or more of: {rule.expected.partition(',')[0]}; e.g. {example}", reason)


def floats(
    shape: str = "...",
    *,
    half: bool = False,
    finite: bool = True,
    empty: str = "",
    above: float | None = None,
    least: float | None = None,
    like: str = "",
    squared: bool = False,
) -> Rule:
    """A dense tensor of floats.

    Args:
        shape: letters and numbers, as in "*B n 2"; "B n | B n m" is either, "..." any.
        half: half precision will do, too; factorisations and quantiles are not made for it.
        finite: no NaN and nothing infinite.
        empty: the letters that may be zero.
        above, least: every entry is larger than this, or not smaller.
        like: another argument, whose dtype it has to have.
        squared: the sum of the squares of its entries is finite, too.
    """
    kinds = FLOATS if half else WIDE
    shapes = [one.split() for one in shape.split("|")]
    spelled = " or ".join(f"[{', '.join(letters)}]" for letters in shapes)
    of_shape = "" if shape == "..." else f" of shape {spelled}"
    expected = f"a dense tensor of {'floats' if half else 'float64 or float32'}{of_shape}"

    def reason(x: Any, sizes: Sizes) -> str:
        if not isinstance(x, Tensor):
            return f"is {shown(x)}"
        if why := unreadable(x):
            return why
        if x.dtype not in kinds:
            return f"is {describe(x)}"
        if not any(fits(x.shape, letters, sizes, empty) for letters in shapes):
            met = {name: sizes[name] for name in shapes[0] if name in sizes}
            return f"is {describe(x)}" + (f" where {met} is known" if met else "")
        if finite and not looks(lambda: torch.isfinite(x).all()):
            return f"is {describe(x)} with NaN or infinite values"
        if above is not None and not looks(lambda: (x > above).all()):
            return f"is {describe(x)} with entries of at most {above:g}"
        if least is not None and not looks(lambda: (x >= least).all()):
            return f"is {describe(x)} with entries below {least:g}"
        if squared and not looks(lambda: torch.isfinite(x.square().sum())):
            return f"is {describe(x)}, whose squares overflow"
        if like and x.dtype != dtype_of(sizes.get(f"={like}"), x.dtype):
            return f"is {describe(x)} beside {like} of {dtype_of(sizes[f'={like}'])}"
        return ""

    return Rule(
        expected
        + (", all finite" if finite else "")
        + (f", all above {above:g}" if above is not None else "")
        + (f", none below {least:g}" if least is not None else "")
        + (f", of the dtype of {like}" if like else ""),
        reason,
    )


def dtype_of(value: Any, otherwise: torch.dtype | None = None) -> torch.dtype | None:
    """Of a tensor, or of the first tensor that a dataclass holds."""
    held = [value, *vars(value).values()] if hasattr(value, "__dict__") else [value]
    return next((x.dtype for x in held if isinstance(x, Tensor)), otherwise)


def broadcasts(one: torch.Size, other: torch.Size) -> bool:
    """Whether two shapes broadcast."""
    try:
        torch.broadcast_shapes(one, other)
    except RuntimeError:
        return False
    return True


def beside(other: str, rule: Rule) -> Rule:
    """A tensor whose shape broadcasts with that of an argument before it."""

    def reason(x: Any, sizes: Sizes) -> str:
        if why := rule.reason(x, sizes):
            return why
        beside_it = sizes.get(f"={other}")  # nothing where that was refused
        if beside_it is None or not broadcasts(x.shape, beside_it.shape):
            return f"is {describe(x)}, which does not broadcast with {other}"
        return ""

    kind, _, example = rule.expected.partition(", e.g. ")
    such = f", e.g. {example}" if example else ""
    return Rule(f"{kind}, that broadcasts with {other}{such}", reason)


def holding(*names: str) -> Rule:
    """A mapping with these names in it."""
    return that(
        f"a mapping that holds {', '.join(names)}",
        lambda held: isinstance(held, Mapping) and all(name in held for name in names),
    )


def is_array_or_number(value: object) -> bool:
    return isinstance(value, Tensor | np.ndarray) or is_number(value)


def is_device(value: object) -> bool:
    try:
        torch.empty(0, device=value)
    except (RuntimeError, TypeError, AssertionError):
        return False
    return True


def is_definite(value: Tensor) -> bool:
    return not torch.linalg.cholesky_ex(value).info.any()


counts = that(
    "a tensor of whole numbers from 0 on, e.g. torch.tensor(3)",
    lambda t: (
        isinstance(t, Tensor)
        and not unreadable(t)
        and not t.is_complex()
        and t.dtype != torch.bool
        and looks(lambda: (t >= 0).all())
    ),
)
array_or_number = that("a number or an array of numbers", is_array_or_number)
a_device = that("a device of this machine, e.g. 'cpu'", is_device)


def definite(shape: str) -> Rule:
    """Symmetric positive definite matrices."""
    plain = floats(shape)

    def reason(x: Any, sizes: Sizes) -> str:
        if why := plain.reason(x, sizes):
            return why
        return "" if looks(lambda: is_definite(x)) else f"is {describe(x)}, not positive definite"

    return Rule(f"{plain.expected}, positive definite", reason)


def indices(below: str = "") -> Rule:
    """A vector of whole numbers from 0 on, as positions; smaller than a size met before where one is named."""

    def reason(x: Any, sizes: Sizes) -> str:
        if not isinstance(x, Tensor):
            return f"is {shown(x)}"
        if why := unreadable(x):
            return why
        if x.ndim != 1 or not len(x) or x.dtype.is_floating_point or x.dtype.is_complex:
            return f"is {describe(x)}"
        if x.dtype == torch.bool:
            return f"is {describe(x)}"
        top = sizes.get(below, math.inf)
        inside = looks(lambda: (x >= 0).all() and float(x.max()) < top)
        return "" if inside else f"is {describe(x)} with entries outside 0 to {top - 1}"

    return Rule("a vector of positions, e.g. torch.tensor([0, 2])", reason)


def ascending(shape: str) -> Rule:
    """A vector of floats that rise."""
    plain = floats(shape)

    def reason(x: Any, sizes: Sizes) -> str:
        if why := plain.reason(x, sizes):
            return why
        return "" if looks(lambda: (x.diff() > 0).all()) else f"is {describe(x)} that does not rise"

    return Rule(f"{plain.expected}, rising", reason)


def tensors(shape: str = "...", *, least: int = 1, finite: bool = True, half: bool = True) -> Rule:
    """A mapping of names to tensors of floats."""
    plain = floats(shape, finite=finite, half=half)

    def reason(held: Any, sizes: Sizes) -> str:
        if not isinstance(held, Mapping) or len(held) < least:
            return f"is {shown(held)}"
        wrong = [f"{name!r} {why}" for name, x in held.items() if (why := plain.reason(x, sizes))]
        return f"is {shown(held)} where {wrong[0]}" if wrong else ""

    return Rule(f"a mapping of {least} or more names, each to {plain.expected}", reason)


def fits(came: torch.Size, letters: list[str], sizes: Sizes, empty: str) -> bool:
    """Whether a shape is as the letters say; letters met for the first time get their number.

    >>> sizes = {}
    >>> fits(torch.Size([5, 2, 3]), ["*B", "n", "D"], sizes, ""), sizes
    (True, {'n': 2, 'D': 3, '*B': (5,)})
    >>> fits(torch.Size([5, 4, 3]), ["*B", "n", "D"], sizes, "")
    False
    """
    if letters == ["..."]:
        return 0 not in came or "..." in empty.split()
    sides = list(came)
    leading = letters[0] if letters[:1] and letters[0].startswith("*") else None
    letters = letters[1:] if leading else letters
    if len(sides) < len(letters) or (not leading and len(sides) != len(letters)):
        return False
    split = len(sides) - len(letters)
    met = {
        name: side for name, side in zip(letters, sides[split:]) if not name.lstrip("-").isdigit()
    }
    if leading:
        met[leading] = tuple(sides[:split])
    fixed = all(int(name) == side for name, side in zip(letters, sides[split:]) if name.isdigit())
    one_each = all(met[name] == side for name, side in zip(letters, sides[split:]) if name in met)
    there = all(side or name in empty.split() for name, side in zip(letters, sides[split:]))
    known = all(sizes.get(name, value) == value for name, value in met.items())
    good = (
        fixed
        and one_each
        and there
        and known
        and (0 not in sides[:split] or leading in empty.split())
    )
    if good:
        sizes.update(met)
    return good


def of_kind(annotation: Any) -> Rule | None:
    """The rule that an annotation is; None where nothing can be checked.

    >>> of_kind(int).expected, of_kind(float | None).expected
    ('a whole number, e.g. 3', 'a finite number or None, e.g. 0.5')
    """
    if annotation is int:
        return whole
    if annotation is float:
        return finite
    if annotation is None or annotation is types.NoneType:
        return that("None", lambda value: value is None)
    if isinstance(annotation, TypeVar):
        return of_kind(annotation.__bound__) if annotation.__bound__ else None
    if annotation is np.ndarray:
        return numbers
    if annotation is Tensor or getattr(annotation, "array_type", None) is Tensor:
        return Rule("a dense tensor", dense)
    origin, given = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return either([of_kind(one) for one in given])
    if origin is Literal:
        return one_of(*given)
    if origin is not None and isclass(origin) and origin.__module__ == "collections.abc":
        if origin is Callable:
            return that("a function", callable)
        return container(origin, given)
    if origin in (tuple, list):
        return container(AnySequence, given[:1] if given[1:] in ((), (...,)) else ())
    if origin is dict:
        return container(Mapping, given)
    if origin is type:
        return instance(type)
    if isclass(annotation) and not getattr(annotation, "_is_protocol", False):
        return None if annotation in (object, Any) else instance(annotation)
    if getattr(annotation, "_is_runtime_protocol", False):
        return instance(annotation)
    return None


def dense(value: Any, sizes: Sizes) -> str:
    return unreadable(value) if isinstance(value, Tensor) else f"is {shown(value)}"


def instance(kind: type) -> Rule:
    article = "an" if kind.__name__[0] in "AEIOUaeiou" else "a"

    def holds(value: object) -> bool:
        return isinstance(value, kind) and not (kind is not bool and isinstance(value, bool))

    return that(f"{article} {kind.__name__}", holds)


def container(kind: type, given: tuple) -> Rule:
    """A sequence, mapping or iterable; of the entries of a sequence, those with a kind are looked at."""
    name = kind.__name__.lower()
    entry = of_kind(given[0]) if given and kind in (AnySequence, AnyIterable) else None

    def reason(values: Any, sizes: Sizes) -> str:
        if isinstance(values, str | bytes) or not isinstance(values, kind):
            return f"is {shown(values)}"
        if entry is None or not isinstance(values, AnySequence):
            return ""
        wrong = [value for value in values if entry.reason(value, sizes)]
        return f"is {shown(values)}" if wrong else ""

    kind_of_entry, _, example = entry.expected.partition(", e.g. ") if entry else ("", "", "")
    of = f" of: {kind_of_entry}" if entry else ""
    such = f", e.g. [{example}]" if example else ""
    return Rule(f"{'an' if name[0] in 'aeiou' else 'a'} {name}{of}{such}", reason)


def either(rules: list[Rule | None]) -> Rule | None:
    if None in rules:
        return None

    def reason(value: Any, sizes: Sizes) -> str:
        why = [rule.reason(value, sizes) for rule in rules]
        return "" if "" in why else why[0]

    parted = [rule.expected.partition(", e.g. ") for rule in rules]
    example = next((f", e.g. {each[2]}" for each in parted if each[2]), "")
    return Rule(" or ".join(each[0] for each in parted) + example, reason)


def asked(**rules: Rule) -> Callable[[Function], Function]:
    """Check the arguments of a function, a method or the constructor of a dataclass before it runs.

    Args:
        rules: name of an argument to what is asked of it beyond its annotation.

    The call raises `AskedWrongly` with every reason, and `OutOfRange` where a factorisation fails or a number overflows.

    >>> @asked(steps=at_least(0), y=floats("k"), x=floats("k p"))
    ... def solve(x: Tensor, y: Tensor, steps: int) -> int:
    ...     return steps
    >>> solve(torch.ones(3, 2), torch.ones(3), 4)
    4
    >>> solve(torch.ones(3, 2), torch.ones(4), 2.5)
    Traceback (most recent call last):
    metarep_lib.asked.AskedWrongly: solve(x=float32[3, 2], y=float32[4], steps=2.5)
      - y is float32[4] where {'k': 3} is known, expected a dense tensor of float64 or float32 of shape [k], all finite
      - steps is 2.5, expected a whole number >= 0, e.g. 3
    """

    def decorate(function: Function) -> Function:
        if isclass(function):
            function.__init__ = decorate_function(function.__init__, rules, function.__name__)
            return function
        name = function.__qualname__.removesuffix(".__init__").rpartition("<locals>.")[2]
        return decorate_function(function, rules, name)

    return decorate


def decorate_function(function: Function, rules: Mapping[str, Rule], name: str) -> Function:
    form = signature(function)
    said = Checks(name, form.parameters, rules, getattr(function, "__globals__", {}))

    # the compiler reads functions in a closure, and no other objects
    def check(args: tuple, kwargs: Mapping[str, Any]) -> None:
        said.check(args, kwargs)

    def out_of_range(error: Exception, args: tuple, kwargs: Mapping[str, Any]) -> OutOfRange:
        return OutOfRange(
            f"{said.call(args, kwargs)}: {type(error).__name__}, {first_line(error)}; this would"
            " work: numbers of ordinary size, a larger ridge, float64"
        )

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not torch.compiler.is_compiling():
            check(args, kwargs)
        try:
            return function(*args, **kwargs)
        except TROUBLE as error:
            raise out_of_range(error, args, kwargs) from error

    return checked


def in_range(call: str, result: Any) -> Any:
    """A result whose numbers are all finite, as it is.

    Raises:
        OutOfRange: naming the call; what it was given leaves the range of its dtype on the way.
    """
    if not looks(lambda: torch.isfinite(torch.as_tensor(result)).all()):
        raise OutOfRange(
            f"{call}: the result is not finite, a number on the way left the range of its dtype; this"
            " would work: numbers of ordinary size, or float64"
        )
    return result


def first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")


class Checks:
    """The rules of one call, in the order of its arguments."""

    def __init__(
        self, name: str, parameters: Mapping[str, Parameter], rules: Mapping[str, Rule], space: dict
    ):
        if strangers := rules.keys() - parameters.keys():
            raise TypeError(f"asked({', '.join(strangers)}=...): {name} has no such argument")
        self.name, self.parameters, self.rules, self.space = name, parameters, rules, space
        kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        self.positional = [each.name for each in parameters.values() if each.kind in kinds]
        self.kinds: dict[str, Rule | None] | None = None

    def of_annotations(self) -> dict[str, Rule | None]:
        """The rules of the annotations; found at the first call, when every name in them is known."""
        kinds = {}
        for name, parameter in self.parameters.items():
            annotation = parameter.annotation
            if isinstance(annotation, str):
                annotation = self.space.get(annotation, Any)
            starred = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
            untold = annotation is Parameter.empty or starred
            kinds[name] = None if untold else of_kind(annotation)
        return kinds

    def check(self, args: tuple, kwargs: Mapping[str, Any]) -> None:
        if self.kinds is None:
            self.kinds = self.of_annotations()
        given = {**dict(zip(self.positional, args)), **kwargs}
        sizes: Sizes = {"=self": given.get("self")}
        reasons = [
            f"{name} {why}, expected {expected}"
            for name in self.in_order(given)
            for why, expected in self.reasons(name, given[name], sizes)
        ]
        if reasons:
            listed = "".join(f"\n  - {reason}" for reason in reasons)
            raise AskedWrongly(f"{self.call(args, kwargs)}{listed}")

    def call(self, args: tuple, kwargs: Mapping[str, Any]) -> str:
        """The call as it came, in a line."""
        given = {**dict(zip(self.positional, args)), **kwargs}
        came = ", ".join(f"{k}={shown(v)}" for k, v in given.items() if k not in UNSAID)
        return f"{self.name}({came})"

    def in_order(self, given: Mapping[str, Any]) -> Iterator[str]:
        return (name for name in self.parameters if name in given and name not in UNSAID)

    def reasons(self, name: str, value: Any, sizes: Sizes) -> Iterator[tuple[str, str]]:
        parameter, kind, rule = self.parameters[name], self.kinds[name], self.rules.get(name)
        if value is parameter.default and value is None:
            return
        for asked_of in (kind, rule):
            if asked_of is not None and (why := asked_of.reason(value, sizes)):
                yield why, (rule or kind).expected
                return
        sizes[f"={name}"] = value
