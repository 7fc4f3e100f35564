"""Exercises of the chapter "A bridge: softmax by random features"."""

from metarep_lib.exercises.grading import Exercise, need, normal, numbers
from metarep_lib.numerics.kernels.random_features import (
    positive_variance,
    trigonometric_variance,
)


def check_positive(features) -> None:
    x, directions = 0.5 * normal(4, 3, seed=0), normal(40000, 3, seed=1)
    found = numbers(features(x.clone(), directions.clone()), (4, 40000))
    need((found > 0).all(), "some features are not positive")
    estimate, wanted = found @ found.T, (x @ x.T).exp()
    off = float(((estimate - wanted) / wanted).abs().max())
    need(
        off <= 0.1,
        f"the inner products are off by {off:.0%} of exp(<x, x'>); for a standard Gaussian w, what is the mean of exp(w . (x + x'))?",
    )


def check_where(pair) -> None:
    need(isinstance(pair, tuple) and len(pair) == 2, "expected two vectors: x and x'")
    x, other = (numbers(part, (2,)).unsqueeze(0) for part in pair)
    need(x.norm() <= 3 and other.norm() <= 3, "vectors of length up to 3, please")
    positive, trigonometric = (
        float(positive_variance(x, other, tau=1.0)),
        float(trigonometric_variance(x, other, tau=1.0)),
    )
    need(
        trigonometric > 0.1,
        "the trigonometric features are as good as exact here; at which x' are they not?",
    )
    need(
        positive <= 1e-3 * trigonometric,
        f"the variances are {positive:.2g} for positive and {trigonometric:.2g} for trigonometric features; when is exp(|x + x'|^2) - 1 zero?",
    )


EXERCISES = (
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_positive,
        solution="""
def features(x, directions):
    length = x.square().sum(1, keepdim=True)
    return (x @ directions.T - length / 2).exp() / len(directions) ** 0.5
""",
        wrong={
            "the length forgotten": "def features(x, directions):\n    return (x @ directions.T).exp() / len(directions) ** 0.5",
            "not an average": "def features(x, directions):\n    return (x @ directions.T - x.square().sum(1, keepdim=True) / 2).exp() / len(directions)",
            "the length not halved": "def features(x, directions):\n    return (x @ directions.T - x.square().sum(1, keepdim=True)).exp() / len(directions) ** 0.5",
        },
    ),
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_where,
        solution="""
x = torch.tensor([1.0, 0.5])
pair = (x, -x)
""",
        wrong={
            "the same vector": "pair = (torch.tensor([1.0, 0.5]), torch.tensor([1.0, 0.5]))",
            "zero": "pair = (torch.zeros(2), torch.zeros(2))",
            "at right angles": "pair = (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))",
        },
    ),
)
