"""The gradients of all tasks at once are those of one task after the other."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from lifelong import GEM, Learner, stream
from lifelong.methods import per_sample
from lifelong.methods.base import Step
from lifelong.methods.per_sample import products
from lifelong.types import Examples, Space

from .odd_networks import Bypassed, Folded, Reused, Unheard


def prepared(model: str, name: str, scenario: str) -> tuple[Step, list[Examples]]:
    """A step of a learner of three tasks, and 12 examples of each task."""
    tasks = stream(name, tasks=3, scenario=scenario)
    learner = Learner(model, GEM(), tasks.space, iterations=3)
    for task in tasks:
        learner.learn(task)
    forward = partial(learner.method.forward, learner.state, learner)
    step = Step(learner, forward, tasks.task(1).train.at(slice(8)), 1, 1, 1, 1, 1, 0.1, None)
    return step, [task.train.at(slice(12)) for task in tasks]


@pytest.mark.parametrize(
    ("name", "scenario"), [("permuted-digits", "domain"), ("split-digits", "class"), ("split-digits", "task")]
)
def test_linear_layers_take_one_pass(name: str, scenario: str) -> None:
    step, past = prepared("mlp:32,16", name, scenario)
    rows_TP = per_sample._at_once(step, past)
    assert rows_TP is not None
    slowly_TP = torch.stack([step.gradient_on(examples) for examples in past])
    assert slowly_TP.abs().max() > 1e-3
    torch.testing.assert_close(rows_TP, slowly_TP, rtol=1e-4, atol=1e-7)
    assert torch.equal(per_sample.task_gradients(step, past), rows_TP)


def test_what_is_not_linear_or_not_of_one_size_takes_a_pass_each(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [
        (prepared(model, "permuted-digits", "domain"), sizes)
        for model, sizes in (("cnn", (12, 12, 12)), ("mlp:32", (12, 5, 12)))
    ]
    monkeypatch.setattr(per_sample, "_at_once", lambda *_: pytest.fail("it cannot be done at once"))
    for (step, past), sizes in cases:
        cut = [examples.at(slice(size)) for examples, size in zip(past, sizes, strict=True)]
        slowly_TP = torch.stack([step.gradient_on(examples) for examples in cut])
        assert torch.equal(per_sample.task_gradients(step, cut), slowly_TP)


@pytest.mark.parametrize("kind", [Bypassed, Reused, Folded, Unheard])
def test_what_the_calls_of_the_layers_do_not_tell_takes_a_pass_each(kind: type[nn.Module]) -> None:
    torch.manual_seed(1)
    learner = Learner(kind(), GEM(), Space((9,), 4))
    learner.objective.announce(1, (0, 1, 2, 3))
    past = [Examples(torch.randn(12, 9), torch.arange(12) % 4, 1) for _ in range(2)]
    step = Step(learner, partial(learner.method.forward, learner.state, learner), past[0], 1, 1, 1, 1, 1, 0.1, 10.0)
    slowly_TP = torch.stack([step.gradient_on(examples) for examples in past])
    torch.testing.assert_close(per_sample.task_gradients(step, past), slowly_TP, rtol=1e-4, atol=1e-7)
    inner_NN = products(learner, past[0], lambda logits_BC, y_B, _: logits_BC.gather(1, y_B[:, None])[:, 0])
    single = [learner.flat.gradient(learner.model(x[None])[0, y]) for x, y in zip(past[0].x, past[0].y, strict=True)]
    rows_NP = torch.stack(single)
    torch.testing.assert_close(inner_NN, rows_NP @ rows_NP.T, rtol=1e-4, atol=1e-6)
