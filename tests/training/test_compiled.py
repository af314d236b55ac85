"""Modules that go through `torch.compile` learn, are saved and go on as they do without it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.methods import Method, build
from lifelong.streams import stream
from lifelong.training import Learner


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.1))
        self.last = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.last(self.body(x))
        return answer


def forward_compiled(backend: Any) -> nn.Module:
    net = Net()
    net.forward = torch.compile(net.forward, backend=backend)
    return net


def called_compiled(backend: Any) -> nn.Module:
    net = Net()
    net.compile(backend=backend)
    return net


def wrapped(backend: Any) -> nn.Module:
    compiled: Any = torch.compile(Net(), backend=backend)
    return compiled  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def forget_compiled() -> None:
    torch._dynamo.reset()


@pytest.mark.parametrize("how", [wrapped, called_compiled, forward_compiled])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("method", ["er", "ewc"])
def test_a_compiled_module_learns_and_resumes_as_the_plain_one(
    method: str, backend: str, how: Callable[[Any], nn.Module], tmp_path: Path
) -> None:
    digits = stream("rotated-digits", tasks=2)
    plain, compiled = (Learner(model, method, digits.space, epochs=1, lr=0.1) for model in (Net(), how(backend)))
    for learner in (plain, compiled):
        learner.learn(digits.task(1))
        learner.save(tmp_path / "first")
        learner.learn(digits.task(2))
    assert compiled.flat.names == plain.flat.names
    torch.testing.assert_close(compiled.flat.theta_P, plain.flat.theta_P, atol=1e-6, rtol=0)
    assert compiled.evaluate(digits) == pytest.approx(plain.evaluate(digits), abs=0.01)
    for model in (how(backend), Net()):  # what was saved compiled goes on compiled or not
        again = Learner.load(tmp_path / "first", model=model)
        again.learn(digits.task(2))
        torch.testing.assert_close(again.flat.theta_P, compiled.flat.theta_P, atol=1e-6, rtol=0)


@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # of torch itself, as it loads inductor
def test_compiled_code_learns_as_the_module() -> None:
    task = stream("rotated-digits", tasks=1).task(1)
    plain, compiled = Net(), Net()
    for net in (plain, compiled):
        net.body[3].p = 0.0  # its masks are drawn in another way
    learners = [Learner(model, "er", iterations=3, lr=0.1) for model in (plain, torch.compile(compiled))]
    for learner in learners:
        learner.learn(task)
    torch.testing.assert_close(learners[1].flat.theta_P, learners[0].flat.theta_P, atol=1e-5, rtol=0)


@pytest.mark.parametrize("settings", ["ncm:features=backbone", "gpm"])
def test_methods_that_look_inside_see_what_was_compiled_as_it_is_written(settings: str) -> None:
    digits = stream("rotated-digits", tasks=2)
    plain, compiled = (
        Learner(model, parsed(settings), digits.space, head=None if "ncm" in settings else "last", epochs=2, lr=0.1)
        for model in (Net(), wrapped("eager"))
    )
    for learner in (plain, compiled):
        learner.evaluate(digits)  # compiles
        for task in digits:
            learner.learn(task)
    assert compiled.evaluate(digits) == pytest.approx(plain.evaluate(digits), abs=1e-3)
    assert min(plain.evaluate(digits)) > 0.3


def parsed(text: str) -> Method[Any]:
    name, _, setting = text.partition(":")
    return build(name, dict([setting.split("=")]) if setting else {})


def test_what_was_compiled_runs_when_the_learner_asks_and_its_last_layer_can_grow() -> None:
    digits = stream("split-digits", scenario="class", tasks=2)
    graphs: list[int] = []

    def counting(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        graphs.append(len(inputs))
        return graph.forward

    learner = Learner(wrapped(counting), "er", digits.space, head="last", epochs=3, lr=0.1)
    assert learner.model_name == "own:Net"
    graphs.clear()
    for task in digits:
        learner.learn(task)
    assert graphs, "nothing was compiled"
    assert learner.model.head.classes == 4
    assert min(learner.evaluate(digits)) > 0.5
