"""A program as plain data, and back: what JSON can hold, every float to the last bit.

Blocks are listed once, in the order they first run, and layers say which one they are, as in the
network's schedule.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from metarep_lib.construct.call import Call, Entries, nested
from metarep_lib.construct.program import Form, Head, Layer, Product, Program, Weight, Write
from metarep_lib.network.basis import Basis

Functions = Mapping[str, Callable[..., Program]]


def data_of(program: Program) -> dict[str, Any]:
    """A program as dictionaries, lists, numbers and words.

    >>> from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
    >>> program = gradient_descent(3, steps=5, step_size=0.25)
    >>> data, functions = data_of(program), {"gradient_descent": gradient_descent}
    >>> program_of(data) == program, program_of(data, functions).call, program_of(data).call
    (True, gradient_descent(n_features=3, steps=5, step_size=0.25, n_outputs=1), None)
    """
    return {
        "name": program.name,
        "call": None if program.call is None else data_of_call(program.call),
        "inputs": data_of_basis(program.inputs),
        "stream": data_of_basis(program.stream),
        "embedding": [[name, data_of_form(form)] for name, form in program.embedding],
        "blocks": [
            {"attention": list(map(data_of_write, attention)), "mlp": list(map(data_of_write, mlp))}
            for attention, mlp in program.distinct_layers
        ],
        "layers": [
            [layer.step, layer.phase, block]
            for layer, block in zip(program.layers, program.schedule)
        ],
        "readout": data_of_form(program.readout),
        "causal": program.causal,
    }


def program_of(data: dict[str, Any], functions: Functions = MappingProxyType({})) -> Program:
    """The program that `data_of` made these of.

    It has its record back when the call, made once more, makes the same program. A function that is
    not among these, or one that has come to make something else, is no record.

    Args:
        data: as `data_of` makes them.
        functions: those that a call may name.

    Raises:
        KeyError, TypeError, ValueError, IndexError: the data are of another form.
    """
    blocks = [
        {half: tuple(map(write_of, block[half])) for half in ("attention", "mlp")}
        for block in data["blocks"]
    ]
    program = Program(
        name=data["name"],
        inputs=basis_of(data["inputs"]),
        stream=basis_of(data["stream"]),
        embedding=tuple((name, form_of(form)) for name, form in data["embedding"]),
        layers=tuple(Layer(step, phase, **blocks[block]) for step, phase, block in data["layers"]),
        readout=form_of(data["readout"]),
        causal=data["causal"],
    )
    again = made_again(data["call"], functions)
    return again if again == program else program


def made_again(call: dict[str, Any] | None, functions: Functions) -> Program | None:
    """What a stored call makes today, if anything."""
    try:
        return None if call is None else call_of(call, functions).again()
    except (KeyError, TypeError, ValueError):  # the function is gone, or takes something else
        return None


def data_of_call(call: Call) -> dict[str, Any]:
    return {"function": call.name, "arguments": {name: plain(value) for name, value in call.bound}}


def call_of(data: dict[str, Any], functions: Functions) -> Call:
    arguments = data["arguments"].items()
    bound = tuple((name, from_plain(value, functions)) for name, value in arguments)
    return Call(functions[data["function"]], bound)


def plain(value: Any) -> Any:
    """An argument of a call: a tensor by its entries, a program by its call."""
    if isinstance(value, Entries):
        return {"entries": value.values, "dtype": value.dtype}
    return data_of_call(value) if isinstance(value, Call) else value


def from_plain(value: Any, functions: Functions) -> Any:
    if not isinstance(value, dict):
        return nested(value)
    if "entries" in value:
        return Entries(nested(value["entries"]), value["dtype"])
    return call_of(value, functions)


def data_of_basis(basis: Basis) -> dict[str, Any]:
    return {"widths": [list(pair) for pair in basis.widths], "scratch": list(basis.scratch)}


def basis_of(data: dict[str, Any]) -> Basis:
    return Basis(tuple((name, width) for name, width in data["widths"]), tuple(data["scratch"]))


def data_of_form(form: Form) -> dict[str, Any]:
    """Name to weight; one that depends on the dtype goes by its name."""
    return {
        name: weight.name if isinstance(weight, Weight) else weight for name, weight in form.terms
    }


def form_of(data: dict[str, Any]) -> Form:
    return Form(
        {
            name: Weight[weight] if isinstance(weight, str) else weight
            for name, weight in data.items()
        }
    )


def data_of_write(write: Write) -> dict[str, Any]:
    return {"target": write.target, "terms": list(map(data_of_term, write.terms))}


def write_of(data: dict[str, Any]) -> Write:
    return Write(data["target"], tuple(map(term_of, data["terms"])))


def data_of_term(term: Head | Product) -> dict[str, Any]:
    if isinstance(term, Product):
        factors = {"left": data_of_form(term.left), "right": data_of_form(term.right)}
        return factors | {"gain": term.gain}
    return {
        "kind": term.kind,
        "score": [[data_of_form(query), data_of_form(key)] for query, key in term.score],
        "value": data_of_form(term.value),
        "gain": term.gain,
        "hides": list(term.hides),
    }


def term_of(data: dict[str, Any]) -> Head | Product:
    if "kind" not in data:
        return Product(form_of(data["left"]), form_of(data["right"]), data["gain"])
    score = tuple((form_of(query), form_of(key)) for query, key in data["score"])
    return Head(data["kind"], score, form_of(data["value"]), data["gain"], tuple(data["hides"]))
