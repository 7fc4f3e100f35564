"""The exercises of the chapters: a module each, graded by code.

>>> from metarep_lib.exercises import grade
>>> grade("kernel-ridge-2", lambda phi: phi.sum(1))
not yet: after one step of conjugate gradient the residual is not zero; for which y is (K + lambda I) y a multiple of y?
"""

from metarep_lib.exercises.grading import Exercise, NotYet, Verdict, find, grade

__all__ = ["Exercise", "NotYet", "Verdict", "find", "grade"]
