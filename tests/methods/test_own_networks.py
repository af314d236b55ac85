"""Networks of one's own: skip connections and batch normalisation under methods that keep answers; odd parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.errors import SettingError
from lifelong.methods import EWC, GPM, HAT, METHODS, Method, PackNet, XdG
from lifelong.models import Head, Network, headed, with_head
from lifelong.models.gated import GatedLayers
from lifelong.models.per_task import TaskNorm, norms_per_task
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import Space

from ..small import build


class Block(nn.Module):
    """Two convolutions with batch normalisation, and what goes around them."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm_one, self.norm_two = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.around = nn.Conv2d(channels, width, 1) if channels != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.norm_one(self.one(x)))
        return torch.relu(self.norm_two(self.two(hidden)) + self.around(x))


def residual() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(Block(1, 8), Block(8, 8), nn.AdaptiveAvgPool2d(2), nn.Flatten())


def pictures(scenario: str = "task", tasks: int = 3) -> Stream:
    """Bars that lie or stand, in a corner of their own for each task."""
    generator = torch.Generator().manual_seed(0)
    datasets: list[tuple[object, object]] = []
    for number in range(tasks):
        parts = []
        for examples in (60, 40):
            y = torch.arange(examples) % 2
            x = 0.2 * torch.randn(examples, 1, 6, 6, generator=generator) + 0.5 * number
            x[y == 0, :, 1 + number % 3, :] += 2
            x[y == 1, :, :, 1 + number % 3] += 2
            parts.append((x, y + (0 if scenario == "domain" else 2 * number)))
        datasets.append((parts[0], parts[1]))
    return Stream.from_datasets(datasets, scenario=scenario, validation=0.0)  # pyrefly: ignore


def learner_of(method: Method[Any], stream: Stream) -> Learner:
    network = with_head(residual(), 32, stream.space, seed=1)
    return Learner(network, method, stream.space, epochs=8, batch=10, lr=0.05, momentum=0.9, seed=1)


KEEPING = [PackNet(keep=0.5), HAT(s_max=50.0), XdG(gate=0.6), GPM(threshold=1.0, samples=60)]


@pytest.mark.parametrize("method", KEEPING, ids=lambda m: m.name)
def test_a_residual_network_with_batch_normalisation_keeps_its_past_answers(
    method: Method[Any], tmp_path: Path
) -> None:
    stream = pictures()
    learner, answers = learner_of(method, stream), dict[int, Tensor]()
    for task in stream:
        learner.learn(task)
        assert learner.accuracy(task) > 0.85, f"task {task.number} is easy"
        answers[task.number] = learner.logits(task.test.x, task.number)[:, list(task.classes)]
    for task in stream:
        now = learner.logits(task.test.x, task.number)[:, list(task.classes)]
        if method.name == "gpm":
            assert learner.accuracy(task) > 0.85
        else:
            assert torch.equal(now, answers[task.number])
    learner.save(tmp_path / "learner.safetensors")
    loaded = Learner.load(tmp_path / "learner.safetensors", model=with_head(residual(), 32, stream.space, seed=1))
    for task in stream:
        assert torch.equal(loaded.logits(task.test.x, task.number), learner.logits(task.test.x, task.number))


class Sorter(nn.Module):
    """A module of its own class that has a backbone and a head that grows."""

    def __init__(self, backbone: nn.Module, space: Space, seed: int) -> None:
        super().__init__()
        self.backbone, self.head = (
            backbone,
            Head(32, space.classes or 0 if space.scenario == "domain" else 0, seed, grows=space.scenario != "domain"),
        )

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.head(self.backbone(x))
        return answer


@pytest.mark.parametrize("scenario", ["class", "task", "domain"])
@pytest.mark.parametrize("name", ["icarl", "hat", "gpm", "der", "ncm", "independent"])
def test_a_module_with_a_backbone_and_a_head_is_learned_as_the_network_of_the_package(
    name: str, scenario: str, tmp_path: Path
) -> None:
    if scenario not in METHODS[name].scenarios or (name == "gpm" and scenario != "task"):
        pytest.skip("the method is not for it")
    stream, method = pictures(scenario), build(name, {"capacity": 40} if name in ("icarl", "der") else {})
    networks = [Sorter(residual(), stream.space, 1), with_head(residual(), 32, stream.space, seed=1)]
    learners = [Learner(network, method, stream.space, epochs=2, batch=10, seed=1) for network in networks]
    for task in stream:
        rows = []
        for learner in learners:
            learner.learn(task)
            learner.score(stream.task(3))
            rows.append(learner.logits(task.test.x, task.number))
        assert torch.equal(*rows)
    assert torch.equal(learners[0].flat.theta_P, learners[1].flat.theta_P)
    learners[0].save(tmp_path / "learner.safetensors")
    again = Learner.load(tmp_path / "learner.safetensors", model=Sorter(residual(), stream.space, 1))
    assert torch.equal(again.logits(task.test.x, 3), rows[0])


def test_a_linear_layer_called_head_is_no_head_that_grows() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = nn.Flatten(), nn.Linear(4, 2)

    assert headed(Plain()) is None


def test_without_defence_the_past_is_lost_on_the_same_network() -> None:
    stream = pictures()
    learner, first = learner_of(build("finetune"), stream), stream.task(1)
    learner.learn(first)
    before = learner.logits(first.test.x, 1)[:, :2]
    learner.learn(stream.task(2))
    assert (learner.logits(first.test.x, 1)[:, :2] - before).abs().mean() > 0.3


def test_every_task_has_its_own_normalisation_and_those_of_the_past_stay() -> None:
    norm = norms_per_task(nn.BatchNorm1d(3))
    assert isinstance(norm, TaskNorm)
    x = torch.randn(50, 3) * 2 + 5
    for number in (4, 2):
        norm.grow(number)
        norm.select(number)
        norm.train()
        for _ in range(100):
            norm(number * x)
    norm.eval()
    for number in (4, 2):
        norm.select(number)
        assert norm(number * x).mean(0).abs().max() < 0.05, "its own statistics"
    norm.train()
    before = {name: value.clone() for name, value in norm.named_buffers() if ".0." in name}
    norm.select(torch.tensor([4] * 25 + [2] * 25))
    mixed = norm(torch.cat([4 * x[:25], 2 * x[25:]]))
    assert mixed.mean(0).abs().max() < 0.3
    assert all(torch.equal(value, before[name]) for name, value in norm.named_buffers() if name in before)
    norm.select(9)
    norm.eval()
    assert torch.equal(norm(x), nn.BatchNorm1d(3).eval()(x)), "a task to come starts with the layer as it came"


@pytest.mark.parametrize(
    "method", [GPM(), EWC(strength=float("inf")), build("si", {"strength": float("inf")})], ids=lambda m: m.name
)
def test_who_keeps_answers_refuses_statistics_that_every_batch_moves(method: Method[Any]) -> None:
    norm = nn.BatchNorm1d(5)
    network = nn.Sequential(nn.Linear(6, 5), norm, nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(SettingError, match=f"{method.name} keeps past answers, and .* the running statistics of 1:"):
        Learner(network, method, Space((6,), 2))
    norm.eval().requires_grad_(False)
    Learner(network, method, Space((6,), 2))


def test_a_gate_is_behind_the_normalisation_of_its_layer() -> None:
    learner = learner_of(XdG(), pictures())
    assert isinstance(learner.model, Network)
    backbone = learner.model.backbone
    assert isinstance(backbone, GatedLayers)
    assert dict(backbone.points) == {
        "0.one": "0.norm_one", "0.two": "0.norm_two", "0.around": "0.around", "1.one": "1.norm_one",
        "1.two": "1.norm_two",
    }  # fmt: skip


class Leaking(nn.Module):
    """Answers by a layer's output before it is normalised, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(6, 5), nn.BatchNorm1d(5)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layer(x)
        return torch.relu(self.norm(hidden)) + hidden


@pytest.mark.parametrize("method", [HAT(), XdG()], ids=lambda m: m.name)
@pytest.mark.parametrize(
    ("backbone", "message"),
    [(Leaking, "weights of units that are closed"), (lambda: nn.LSTM(6, 5), "LSTM"), (nn.Flatten, "no such layer")],
)
def test_what_cannot_be_gated_is_refused(method: Method[Any], backbone: Callable[[], nn.Module], message: str) -> None:
    space = Space((6,), None, "task")
    with pytest.raises(SettingError, match=message):
        Learner(with_head(backbone(), 5, space), method, space)


class Cosine(nn.Module):
    """Features of length `scale`, a parameter without dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(6, 12), nn.Parameter(torch.tensor(5.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * nn.functional.normalize(torch.relu(self.layer(x)), dim=1)


def unlike_layers(name: str) -> bool:
    return name in ("gpm", "packnet", "progressive", "hat", "xdg")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", METHODS)
def test_a_parameter_without_dimensions_and_a_growing_head(
    name: str, clouds: Callable[..., Stream], tmp_path: Path
) -> None:
    scenario = "class" if "class" in METHODS[name].scenarios else "task"
    stream = clouds(scenario)

    def network() -> nn.Module:
        torch.manual_seed(0)
        return with_head(Cosine(), 12, stream.space, seed=1)

    if unlike_layers(name):
        with pytest.raises(SettingError, match=r"Cosine|Linear"):
            Learner(network(), build(name), stream.space)
        return
    learner = Learner(
        network(), build(name), stream.space, epochs=3, batch=10, lr=0.05, keep_optimizer=True, momentum=0.5
    )
    for task in stream:
        learner.learn(task)
        assert learner.accuracy(task) > 0.3
        learner.save(tmp_path / "learner.safetensors")
        loaded = Learner.load(tmp_path / "learner.safetensors", model=network())
        assert torch.equal(loaded.logits(task.test.x, task.number), learner.logits(task.test.x, task.number))


class Pretrained(nn.Module):
    """A backbone that tells classes apart by a feature that raw inputs hide."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x.norm(dim=1), torch.ones(len(x))], 1)


@pytest.mark.parametrize("name", ["ncm", "slda", "ranpac"])
def test_features_are_by_default_those_of_a_backbone_that_was_trained_before(name: str) -> None:
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    y = torch.arange(200) % 2
    x *= (1 + 3 * y)[:, None]
    stream = Stream.from_datasets([((x, y), (x, y))], scenario="domain", validation=0)
    apart = Learner(with_head(Pretrained(), 2, stream.space), build(name), stream.space)
    headed = Learner(nn.Sequential(Pretrained(), nn.Linear(2, 2)), build(name), stream.space)
    raw = Learner("linear", build("ncm"), stream.space)
    for learner in (apart, headed, raw):
        learner.learn(stream.task(1))
    assert apart.accuracy(stream.task(1)) > 0.9
    assert torch.equal(headed.logits(x), apart.logits(x)), "the layer that gives the answer is the head"
    assert raw.accuracy(stream.task(1)) < 0.7
