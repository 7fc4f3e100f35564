"""What an instrument needs of who is asked: answers, layers, or weights; and what to do where that is missing."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from torch import nn

from metarep_lib.contents import shown
from metarep_lib.network.asking import Answerer, Decoder, Network, NotAvailable
from metarep_lib.network.transformer import Transformer

Function = TypeVar("Function", bound=Callable)

AS_NETWORK = (
    "as_network(model, prompt, blocks=..., tokens=..., where=..., head=...) of the adapters"
)
AS_ANSWERER = "as_answerer(predict, prompt) of the adapters"
OURS = "a network with a transformer of ours, e.g. assemble(program)"
LEVELS: dict[type, tuple[str, str]] = {
    Answerer: ("answers to prompts", AS_ANSWERER),
    Network: ("layers", AS_NETWORK),
    Decoder: ("weights of a transformer of ours", OURS),
    Transformer: ("weights of a transformer of ours", OURS),
}


def needs(level: type, argument: str = "network") -> Callable[[Function], Function]:
    """Say which level an instrument needs, of somebody who is asked and has another, before anything else is checked.

    What is no such thing at all, a number or a word, is left to the checks behind.

    Args:
        level: `Answerer`, `Network`, `Decoder` or `Transformer`.
        argument: the name of who is asked.

    >>> @needs(Network)
    ... def layers(network: Network) -> int:
    ...     return network.n_layers
    >>> layers(len)
    Traceback (most recent call last):
    metarep_lib.network.asking.NotAvailable: layers(network=<built-in function len>) needs layers: this is a function; this would work: as_network(model, prompt, blocks=..., tokens=..., where=..., head=...) of the adapters
    """

    def decorate(function: Function) -> Function:
        position = list(signature(function).parameters).index(argument)

        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            subject = args[position] if len(args) > position else kwargs.get(argument)
            if not isinstance(subject, level) and (is_what := kind_of(subject)):
                what, cure = LEVELS[level]
                if level is Transformer and isinstance(subject, Decoder):
                    cure = f"{function.__name__}({argument}=network.transformer, ...)"
                raise NotAvailable(
                    f"{function.__name__}({argument}={shown(subject)}) needs {what}: this is {is_what};"
                    f" this would work: {cure}"
                )
            return function(*args, **kwargs)

        return checked

    return decorate


def kind_of(subject: object) -> str:
    """What somebody who might be asked is, in words; nothing where it is none."""
    if isinstance(subject, Decoder):
        return "a whole network"
    if isinstance(subject, Network):
        return "a network read from outside"
    if isinstance(subject, Answerer):
        return "something that answers, and no more is known of it"
    if isinstance(subject, nn.Module):
        return "a module whose layers nobody has named"
    if callable(getattr(subject, "fit", None)):
        return "an estimator"
    return "a function" if callable(subject) else ""
