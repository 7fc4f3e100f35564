"""What a network says when part of it is changed."""

from metarep_lib import moved
from metarep_lib.evidence.intervene.edits import Add, Edit, Mean, Put, Scale, Take
from metarep_lib.evidence.intervene.intervene import InterventionError, intervene
from metarep_lib.network.places import Heads, Stream, Units

__all__ = [
    "Add",
    "Edit",
    "Heads",
    "InterventionError",
    "Mean",
    "Put",
    "Scale",
    "Stream",
    "Take",
    "Units",
    "intervene",
]

__call__ = moved.called(__name__)
