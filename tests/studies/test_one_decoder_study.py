"""The studies of the chapter on the decoder, against masks with a known fault and the floats of Python."""

from dataclasses import dataclass

import torch

from metarep_lib import assemble
from metarep_lib.construct import Form, Product, Write
from metarep_lib.network import PrefixMask
from metarep_lib.studies import mask_faces, replacing


@dataclass(frozen=True)
class Torn:
    """One mask's list with another's sum."""

    lists: object
    sums: object

    def dense(self, n_tokens):
        return self.lists.dense(n_tokens)

    def contract(self, q, k, v):
        return self.sums.contract(q, k, v)


def test_faces_that_list_other_pairs_than_they_sum_are_apart():
    q, k, v = mask_faces.drawn(0)
    assert mask_faces.apart(PrefixMask(40), q, k, v) < 1e-14
    assert mask_faces.apart(Torn(PrefixMask(40), PrefixMask(39)), q, k, v) > 1e-3
    one, values = torch.ones(3, 1), torch.tensor([[1.0], [1.0], [6.0]])
    torn = Torn(PrefixMask(3), PrefixMask(2))
    assert mask_faces.apart(torn, one, one, values) == 0.75  # of 1 + 1 + 6 the last is missing


def test_a_number_replaced_at_once_is_what_the_floats_of_python_make_of_it():
    old, new = 1.0, [0.3, 1e-9, 3e-17, 7e5]
    difference = Product(Form("one"), Form({"new": 1, "x": -1}))
    made = assemble(replacing.program("at once", Write("x", (difference,))))
    asked = replacing.tokens(old, torch.tensor(new, dtype=torch.float64))
    held = made.transformer(asked, PrefixMask(0))[:, 0].tolist()
    assert held == [old + (value - old) for value in new]
    assert held[0] != new[0]  # the rounding that the chapter is about
