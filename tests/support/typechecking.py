"""The checker that pytest applies to every annotation of the library, shapes included (see pyproject.toml).

pytest decorates every function of the library with `jaxtyping.jaxtyped`, which holds the letters of shapes for the time of a call, checks
what is given twice and takes some hundred microseconds for it. Three modules say shapes in their annotations; there beartype checks once
while jaxtyping holds the letters. In all others there is nothing to hold, and beartype checks the same annotations alone.
`factories.unchecked` turns off both.
"""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import partial, wraps
from types import FunctionType
from typing import Any, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype

# As in PEP 484, an int will do where a float is asked for. What is wrong is one error, whichever of the two finds it.
typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError))
with_shapes = jaxtyping.jaxtyped


def says_shapes(function: Callable) -> bool:
    """Whether the module of a function has anything of jaxtyping's, but for the module that the import hook puts there."""
    held = (value for value in inspect.unwrap(function).__globals__.values() if not inspect.ismodule(value))
    return any(getattr(value, "__module__", "").partition(".")[0] == "jaxtyping" for value in held if inspect.isclass(value))


def checked(given: Any = None, *, typechecker: Any) -> Any:
    """`jaxtyping.jaxtyped` where shapes are said, and beartype elsewhere."""
    if given is None:
        return partial(checked, typechecker=typechecker)
    if inspect.isclass(given):
        if is_dataclass(given) and "__init__" in vars(given) and not hasattr(given.__init__, "__wrapped__"):
            given.__init__ = checked(given.__init__, typechecker=typechecker)
        return given
    if not inspect.isfunction(given) or inspect.isgeneratorfunction(given):
        return with_shapes(given, typechecker=typechecker)
    if says_shapes(given):
        return checked_once(given, typechecker)
    config, strict = jaxtyping.config, None

    @wraps(given)
    def run(*args: object, **kwargs: object) -> object:
        nonlocal strict
        if config.jaxtyping_disable:
            return given(*args, **kwargs)
        if strict is None:  # at the first call every name in an annotation is known
            strict = typechecked(with_names_resolved(given))
        return strict(*args, **kwargs)

    return run


def checked_once(given: Callable, typechecker: Any) -> Callable:
    """A function that says shapes; a call that is wrong is made again by jaxtyping, whose message names the sizes."""
    config, once, told = jaxtyping.config, typechecker(given), with_shapes(given, typechecker=typechecker)

    @wraps(given)
    def run(*args: object, **kwargs: object) -> object:
        if config.jaxtyping_disable:
            return given(*args, **kwargs)
        try:
            with with_shapes("context"):
                return once(*args, **kwargs)
        except jaxtyping.TypeCheckError:
            return told(*args, **kwargs)

    return run


def with_names_resolved(function: Callable) -> Callable:
    """The same function with classes where its annotations have their names, which beartype would look up in every call."""
    if not any(isinstance(hint, str) for hint in function.__annotations__.values()):
        return function
    same = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    same.__kwdefaults__, same.__qualname__, same.__module__ = function.__kwdefaults__, function.__qualname__, function.__module__
    same.__annotations__ = get_type_hints(function, include_extras=True)
    return same


jaxtyping.jaxtyped = checked  # for every function but the first, whose decoration imports this module
