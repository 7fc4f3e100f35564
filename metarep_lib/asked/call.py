"""The arguments of one call against everything that is asked of them."""

from collections.abc import Mapping
from inspect import Parameter
from typing import Any, NamedTuple

from metarep_lib.asked.errors import AskedWrongly, OutOfRange, first_line
from metarep_lib.asked.kinds import of_kind
from metarep_lib.asked.rules import Rule, Sizes
from metarep_lib.contents import shown

UNSAID = ("self", "cls")


class Argument(NamedTuple):
    """What is asked of one argument: the rule of its annotation, then the one that narrows it."""

    name: str
    may_be_none: bool
    rules: tuple[Rule, ...]


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
        self.arguments: list[Argument] = []

    def read(self) -> list[Argument]:
        """What is asked, off annotations and rules; at the first call, when every name in them is known."""
        found = []
        for name, parameter in self.parameters.items():
            kind, rule = self.kind(parameter), self.rules.get(name)
            is_implied = rule is not None and rule.implies is kind
            rules = (rule,) if is_implied else (kind, rule)
            if name not in UNSAID:
                asked_of = tuple(one for one in rules if one is not None)
                found.append(Argument(name, parameter.default is None, asked_of))
        return found

    def kind(self, parameter: Parameter) -> Rule | None:
        annotation = parameter.annotation
        if isinstance(annotation, str):
            annotation = self.space.get(annotation, Any)
        starred = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        return None if annotation is Parameter.empty or starred else of_kind(annotation)

    def check(self, args: tuple, kwargs: Mapping[str, Any]) -> None:
        """Return where every argument does.

        Raises:
            AskedWrongly: with the call and every reason.
        """
        if not self.arguments:
            self.arguments = self.read()
        given = {**dict(zip(self.positional, args)), **kwargs}
        sizes: Sizes = {"=self": given.get("self")}
        reasons = []
        for name, may_be_none, rules in self.arguments:
            if name not in given or (may_be_none and given[name] is None):
                continue
            for rule in rules:
                if why := rule.reason(given[name], sizes):
                    reasons.append(f"\n  - {name} {why}, expected {rules[-1].expected}")
                    break
            else:
                sizes[f"={name}"] = given[name]
        if reasons:
            raise AskedWrongly(f"{self.call(args, kwargs)}{''.join(reasons)}")

    def call(self, args: tuple, kwargs: Mapping[str, Any]) -> str:
        """The call as it came, in a line."""
        given = {**dict(zip(self.positional, args)), **kwargs}
        came = ", ".join(f"{k}={shown(v)}" for k, v in given.items() if k not in UNSAID)
        return f"{self.name}({came})"

    def out_of_range(self, error: Exception, args: tuple, kwargs: Mapping[str, Any]) -> OutOfRange:
        return OutOfRange(
            f"{self.call(args, kwargs)}: {type(error).__name__}, {first_line(error)}; this would"
            " work: numbers of ordinary size, a larger ridge, float64"
        )
