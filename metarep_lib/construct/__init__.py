"""What the weights say: programs over named directions, and the assembly that makes them weights."""

from metarep_lib import moved
from metarep_lib.construct.assemble import ConstructedTransformer, assemble
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.describe import describe
from metarep_lib.construct.heads_into import heads_into
from metarep_lib.construct.load import load_network
from metarep_lib.construct.program import (
    GUARD,
    Form,
    Head,
    Layer,
    Product,
    Program,
    ProgramError,
    Write,
)
from metarep_lib.construct.wiring import wiring

__all__ = [
    "GUARD",
    "ConstructedTransformer",
    "Form",
    "Head",
    "Layer",
    "Product",
    "Program",
    "ProgramError",
    "Write",
    "algorithm",
    "assemble",
    "describe",
    "heads_into",
    "load_network",
    "wiring",
]

__getattr__ = moved.names(__name__)
