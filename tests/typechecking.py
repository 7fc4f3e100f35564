"""The checker that pytest applies to every annotation of the library, shapes included (see pyproject.toml).

pytest decorates every function of the library with `jaxtyping.jaxtyped`, which holds the letters of shapes for the time of a call and
takes some thirty microseconds for it. Two modules say shapes in their annotations; in all others there is nothing to hold, and beartype
checks the same annotations alone. `factories.unchecked` turns off both.
"""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import partial, wraps
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

# As in PEP 484, an int will do where a float is asked for.
typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
with_shapes = jaxtyping.jaxtyped


def says_shapes(function: Callable) -> bool:
    """Whether the module of a function has anything of jaxtyping's, but for the module that the import hook puts there."""
    held = (value for value in function.__globals__.values() if not inspect.ismodule(value))
    return any(getattr(value, "__module__", "").partition(".")[0] == "jaxtyping" for value in held if inspect.isclass(value))


def checked(given: Any = None, *, typechecker: Any) -> Any:
    """`jaxtyping.jaxtyped` where shapes are said, and beartype elsewhere."""
    if given is None:
        return partial(checked, typechecker=typechecker)
    if inspect.isclass(given):
        if is_dataclass(given) and "__init__" in vars(given) and not hasattr(given.__init__, "__wrapped__"):
            given.__init__ = checked(given.__init__, typechecker=typechecker)
        return given
    if not inspect.isfunction(given) or says_shapes(given):
        return with_shapes(given, typechecker=typechecker)
    strict, config = typechecked(given), jaxtyping.config

    @wraps(given)
    def run(*args: object, **kwargs: object) -> object:
        return (given if config.jaxtyping_disable else strict)(*args, **kwargs)

    return run


jaxtyping.jaxtyped = checked  # for every function but the first, whose decoration imports this module
