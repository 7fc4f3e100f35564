"""What an error advises works: the call or value after "this would work", "e.g.", "use" or "try" is taken out of the message and run."""

import re
from dataclasses import replace

import pytest
import torch

from bad_inputs import refused
from factories import random_prompt, unchecked
from good_calls import calls
from metarep_lib import (
    Prompt,
    assemble,
    conjugate_gradient,
    gradient_descent,
    load_trained,
    softmax_conjugate_gradient,
)
from metarep_lib.asked import AskedWrongly
from metarep_lib.certify import certify
from metarep_lib.certify.recurrences.dual import conjugate_gradient_recurrence
from metarep_lib.construct.algorithms import (
    block_conjugate_gradient,
    causal_conjugate_gradient,
    newton_schulz,
)
from metarep_lib.evidence.intervene import Edit, Put, Stream, intervene
from metarep_lib.network import PairCausalMask, Transformer
from metarep_lib.numerics import solvers, tuned_ridge_regression
from metarep_lib.numerics.kernels import ExponentialKernel

ADVICE = re.compile(r"(?:this would work|use|try|e\.g\.):? (?P<code>[^;\n]+)")
prompt, batch = random_prompt(5, 2, 3, 0.5), random_prompt(5, 2, 3, 0.5, batch=(4,))
network, textbook, trained = assemble(gradient_descent(2, 3, 0.02)), assemble(conjugate_gradient(2, 2)), load_trained("softmax-gp", 0)
block = assemble(block_conjugate_gradient(2, 2, 2, 0.25))
two_outputs = replace(prompt, y=torch.stack([prompt.y, -prompt.y], -1))
SPACE = {"phi": prompt.phi, "y": prompt.y, "phi_query": prompt.phi_query}


def advised(error: Exception) -> list[str]:
    """The pieces of code that a message offers."""
    return [found["code"].strip().rstrip(".") for found in ADVICE.finditer(str(error.args[0]))]


def refusal(call):
    with unchecked(), pytest.raises((ValueError, TypeError, LookupError)) as caught:
        call()
    assert refused(caught.value)
    return caught.value


def wide(n):
    return random_prompt(5, n, 3, 0.5)


# what is called wrongly, and in which words the advice is used: {} stands for it
WRONG = {
    "more features": (lambda: network.predict(wide(3)), "{}.predict(wide(3))"),
    "more features of a softmax network": (lambda: assemble(softmax_conjugate_gradient(2, 2, 2.0)).predict(wide(3)), "{}.predict(wide(3))"),
    "two outputs of a program that takes them": (lambda: network.predict(two_outputs), "{}.predict(two_outputs)"),
    "two outputs of newton": (lambda: assemble(newton_schulz(2, 2, 0.01)).predict(two_outputs), "{}.predict(two_outputs)"),
    "one output of two": (lambda: block.predict(prompt), None),
    "two outputs of a program without them": (lambda: assemble(causal_conjugate_gradient(2, 2)).predict(two_outputs), "assemble(causal_conjugate_gradient(2, 2)).predict(two_outputs.output(0))"),
    "another dtype": (lambda: network.predict(prompt.to(torch.float32)), "network.predict(prompt.to(torch.float32).to(torch.float64)) if '{}' else 0"),
    "a tensor for a prompt": (lambda: network.predict(prompt.phi), "{}"),
    "a number for an address": (lambda: network.trace(prompt)[0], "(trace := network.trace(prompt)) is {} or 1"),
    "no such name": (lambda: network.trace(prompt)["beta", "support"], "(trace := network.trace(prompt)) is {} or 1"),
    "no names": (lambda: trained.trace(random_prompt(4, 3, 2, 1.0).to(torch.float32))["alpha", "support"], "(trace := network.trace(prompt)) is {} or 1"),
    "a word for groups": (lambda: network.trace(prompt, groups="support"), "network.trace(prompt, {})"),
    "a stream of another dtype": (lambda: network.head(torch.ones(3, 7)), "network.head({})"),
    "an intervention": (lambda: intervene(network, prompt, {"x": [Edit(Stream(99), Put(0.0))]}), "{}"),
    "an unknown record": (lambda: certify(replace(textbook, program=replace(textbook.program))), None),
    "pairs that do not fit": (lambda: PairCausalMask(2).dense(6), None),
    "a batch to tune on": (lambda: tuned_ridge_regression(batch, [ExponentialKernel(1.0)], [1.0]), "{}"),
    "a prompt of integers": (lambda: Prompt(prompt.phi.long(), prompt.y.long(), prompt.phi_query.long(), 0.5), None),
    "steps below zero": (lambda: solvers.conjugate_gradient(None, 1), None),
}


@pytest.mark.parametrize("what", [what for what, (_, use) in WRONG.items() if use])
def test_advice_in_its_own_words(what):
    call, use = WRONG[what]
    error = refusal(call)
    (*_, code) = advised(error) or [""]
    assert code or "without them" in what, str(error)
    if "without them" in what:
        assert "prompt.output(0)" in str(error) and "n_outputs=" not in str(error).split("this would work")[1]
    with unchecked():
        eval(use.format(code), globals() | SPACE)


def test_the_record_of_a_call_is_advised_whole():
    message = str(refusal(lambda: network.predict(wide(3))))
    assert "this would work: assemble(gradient_descent(n_features=3, steps=3, step_size=0.02, n_outputs=1))" in message


def test_a_cure_that_would_not_work_is_not_offered():
    U = torch.eye(2).double()
    message = str(refusal(lambda: assemble(softmax_conjugate_gradient(2, 2, 2.0, U)).predict(wide(3))))
    assert "it reads n_features=2" in message and "this would work" not in message  # U is of two features, too


def test_complex_numbers_are_not_doubled():
    x = prompt.phi.to(torch.complex128)
    message = str(refusal(lambda: Prompt(x, prompt.y.to(x.dtype), prompt.phi_query.to(x.dtype), 0.5)))
    assert "phi.double()" not in message and "phi.real" in message
    Prompt(x.real, prompt.y, prompt.phi_query.to(x.dtype).real, 0.5)


def test_what_an_intervention_advises_changes_what_is_said():
    error = refusal(lambda: intervene(network, prompt, {"x": [Edit(Stream(99), Put(0.0))]}))
    (code,) = advised(error)
    for asked, question in ((network, prompt), (trained, random_prompt(4, 3, 2, 1.0).to(torch.float32))):
        runs = eval(code, globals() | {"network": asked, "prompt": question})
        assert not torch.equal(runs["clean"].prediction[-1], runs["no supports"].prediction[-1])


def test_an_unknown_record_is_cured_as_advised():
    bare = replace(textbook, program=replace(textbook.program))
    error = refusal(lambda: certify(bare))
    assert "certify(network, recurrence=conjugate_gradient_recurrence())" in str(error)
    assert certify(bare, recurrence=conjugate_gradient_recurrence(), sizes=((3, 1),), seeds=(0,), bound_error=False)


def test_pairs_are_cured_as_advised():
    message = str(refusal(lambda: PairCausalMask(2).dense(6)))
    (found,) = re.findall(r"(PairCausalMask\(n_pairs=\d+\)) fits (\d+) tokens", message)
    assert eval(found[0]).dense(int(found[1])).shape == (6, 6)


def test_tokens_are_cured_as_advised():
    question = network.question(prompt)
    message = str(refusal(lambda: network.transformer(question.tokens.float(), question.mask)))
    assert "tokens.to(torch.float64)" in message and isinstance(network.transformer, Transformer)
    network.transformer(question.tokens.float().to(torch.float64), question.mask)


@pytest.mark.parametrize("name", calls())
def test_the_example_of_a_rule_keeps_to_it(name):
    """`x is None, expected a whole number >= 1, e.g. 3`: with x = 3 nothing is said of x any more."""
    good = calls()[name]
    for argument in good.given:
        with unchecked():
            try:
                good.function(**good.given | {argument: object()})
                continue
            except AskedWrongly as error:
                found = re.search(rf"- {argument} is .*, e\.g\. (.+)$", str(error), re.MULTILINE)
            except Exception:
                continue
        if not found or "assemble" in found[1]:
            continue
        value = eval(found[1], {"torch": torch})
        with unchecked():
            try:
                good.function(**good.given | {argument: value})
            except AskedWrongly as error:
                assert f"- {argument} is" not in str(error), str(error)
            except (ValueError, LookupError, ArithmeticError):
                pass  # of the right kind, and of another size than the other arguments
