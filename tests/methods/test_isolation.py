"""Isolation: what a finished task answers never changes by a bit, and each method is its formula."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lifelong
from lifelong.errors import SettingError
from lifelong.methods import ER, EWC, HAT, Chain, Extent, Method, PackNet, Progressive, Step, XdG
from lifelong.methods.isolation import Isolation
from lifelong.models import Head, Network, with_head
from lifelong.models.columns import Columns
from lifelong.models.gated import Gated, gated
from lifelong.models.gates import AttentionGate, RandomGate
from lifelong.models.per_task import generator_for
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import Examples, Space

FOUR: list[Isolation[Any]] = [PackNet(keep=0.4), Progressive(), HAT(), XdG(gate=0.5)]
OPTIMIZERS: list[dict[str, Any]] = [
    {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01},
    {"lr": 0.01, "optimizer": "adam", "keep_optimizer": True, "weight_decay": 0.01, "clip": 0.5},
    {"lr": 0.01, "optimizer": "adamw", "keep_optimizer": True, "weight_decay": 0.1},
]
SPACE = Space((6,), None, "task")


def learner_of(method: Method[Any], stream: Stream, model: str = "mlp:12,10", **settings: Any) -> Learner:
    chosen = {"epochs": 3, "lr": 0.1, "batch": 10, "seed": 1, **settings}
    return Learner(model, method, stream.space, **chosen)


def pictures(tasks: int = 3) -> Stream:
    """Tasks of two kinds of 6 × 6 pictures."""
    generator = torch.Generator().manual_seed(0)
    datasets: list[tuple[object, object]] = []
    for number in range(tasks):
        centres = torch.randn(2, 1, 6, 6, generator=generator)
        y = torch.arange(40) % 2
        x = centres[y] + 0.3 * torch.randn(40, 1, 6, 6, generator=generator)
        datasets.append(((x, y + 2 * number), (x, y + 2 * number)))
    return Stream.from_datasets(datasets, scenario="task")


def backbone_of(learner: Learner) -> nn.Module:
    assert isinstance(learner.model, Network)
    return learner.model.backbone


@pytest.mark.parametrize("settings", OPTIMIZERS, ids=["momentum", "adam", "adamw"])
@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_past_answers_are_the_same_bits_whatever_comes_after(
    method: Isolation[Any], settings: dict[str, Any], clouds: Callable[..., Stream], tmp_path: Path
) -> None:
    stream = clouds("task", tasks=4)
    learner = learner_of(method, stream, **settings)
    x, said = 3 * torch.randn(50, 6), {}
    for task in stream:
        before = learner.flat.theta_P.detach().clone()
        learner.learn(task)
        assert not torch.equal(before[:200], learner.flat.theta_P.detach()[:200]), "the backbone learned something"
        said[task.number] = learner.logits(x, task.number)[:, list(task.classes)]
        for number, logits in said.items():
            assert torch.equal(learner.logits(x, number)[:, list(stream.task(number).classes)], logits)
    learner.save(tmp_path / "file.safetensors")
    loaded = Learner.load(tmp_path / "file.safetensors")
    for number, logits in said.items():
        assert torch.equal(loaded.logits(x, number)[:, list(stream.task(number).classes)], logits)


@pytest.mark.parametrize("method", [PackNet(), HAT(), XdG(gate=0.5)], ids=lambda m: m.name)
def test_past_answers_are_the_same_bits_with_convolutions_in_half_precision(method: Isolation[Any]) -> None:
    stream = pictures()
    learner = learner_of(method, stream, "cnn:4,8", lr=0.05, momentum=0.9, autocast="bfloat16", head="all")
    x, said = torch.randn(20, 1, 6, 6), {}
    for task in stream:
        learner.learn(task)
        said[task.number] = learner.logits(x, task.number)
    for number, logits in said.items():
        assert torch.equal(learner.logits(x, number), logits)
    assert not torch.equal(said[1].argmax(1), said[2].argmax(1))


@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_capacity_is_used_up_and_a_task_is_learned_once(method: Isolation[Any], clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    learner = learner_of(method, stream)
    used = [method.capacity_used(learner.state)]
    for task in stream:
        learner.learn(task)
        used.append(method.capacity_used(learner.state))
    assert used[0] == 0
    assert used == sorted(used)
    assert used[-1] <= 1
    assert (used[-1] > 0) == (method.name != "progressive")
    with pytest.raises(SettingError, match="give new data a new task number"):
        learner.learn(stream.task(1))


@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_networks_that_cannot_be_treated_are_refused(method: Isolation[Any]) -> None:
    normalised = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5, affine=False), nn.ReLU())
    with pytest.raises(SettingError, match="network with a backbone and a head, got Linear"):
        Learner(nn.Linear(6, 2), method, SPACE)
    with pytest.raises(SettingError, match=method.name):
        Learner(with_head(normalised, 5, SPACE), method, SPACE)
    with pytest.raises(SettingError, match="mlp:400,400"):
        Learner("linear", method, SPACE)


@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_a_stiff_spring_later_in_the_chain_does_not_move_what_is_frozen(
    method: Isolation[Any], clouds: Callable[..., Stream]
) -> None:
    stream = clouds("task")
    learner = learner_of(Chain(method, EWC(strength=1e6)), stream)
    x, said = torch.randn(9, 6), {}
    for task in stream:
        learner.learn(task)
        said[task.number] = learner.logits(x, task.number)[:, list(task.classes)]
    for number, logits in said.items():
        assert torch.equal(learner.logits(x, number)[:, list(stream.task(number).classes)], logits)


@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_tasks_may_come_in_any_order(method: Isolation[Any], clouds: Callable[..., Stream], tmp_path: Path) -> None:
    stream = clouds("task", tasks=4)
    learner = learner_of(method, stream, momentum=0.9, lr=0.05)
    for number in (3, 1, 2):
        learner.learn(stream.task(number))
    learner.save(tmp_path / "file.safetensors")
    loaded = Learner.load(tmp_path / "file.safetensors")
    loaded.learn(stream.task(4))
    x = torch.randn(9, 6)
    for number in (1, 2, 3):
        assert torch.equal(loaded.logits(x, number)[:, :6], learner.logits(x, number))


# --- packnet ---


def test_packnet_keeps_the_largest_free_weights_of_each_layer(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    method = PackNet(keep=0.3, train_fraction=0.5)
    learner = learner_of(method, stream)
    weights = ["backbone.1.weight", "backbone.3.weight"]
    owners: dict[str, list[int]] = {name: [] for name in weights}
    for task in stream:
        steps = {}

        def look(step: int, steps: dict[int, Any] = steps) -> None:
            steps[step] = (learner.flat.theta_P.detach().clone(), learner.state.owner_P.clone())

        learner.learn(task, on_step=look)
        middle, (theta_P, owner_P) = len(steps) // 2, steps[len(steps) // 2]
        for name in weights:
            place = learner.flat.slices[name]
            owners[name] = owners[name] or [0] * (place.stop - place.start)
            free = [i for i, owner in enumerate(owners[name]) if owner == 0]
            kept = [i for i in free if int(owner_P[place][i]) == task.number]
            assert len(kept) == round(0.3 * len(free))
            held = theta_P[place]
            assert all(float(held[i]) == 0 for i in free if i not in kept)
            assert all(float(held[i]) != 0 for i in kept)
            for i in kept:
                owners[name][i] = task.number
            for theta_now, _ in list(steps.values())[middle:]:
                assert all(float(theta_now[place][i]) == 0 for i, owner in enumerate(owners[name]) if owner == 0)
        expected = [owner for name in weights for owner in owners[name]]
        assert torch.cat([learner.state.owner_P[learner.flat.slices[name]] for name in weights]).tolist() == expected


def test_packnet_prunes_by_size(clouds: Callable[..., Stream]) -> None:
    """With a step of no size the weights at the pruning are those at the start."""
    stream = clouds("task", tasks=1)
    learner = learner_of(PackNet(keep=0.25), stream, lr=1e-30)
    place = learner.flat.slices["backbone.1.weight"]
    sizes = learner.flat.theta_P.detach()[place].abs().tolist()
    learner.learn(stream.task(1))
    kept = [i for i, owner in enumerate(learner.state.owner_P[place].tolist()) if owner == 1]
    largest = sorted(range(len(sizes)), key=lambda i: -sizes[i])[: round(0.25 * len(sizes))]
    assert kept == sorted(largest)


def test_packnet_answers_with_the_weights_of_its_task_and_earlier_ones(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    learner = learner_of(PackNet(), stream)
    x = torch.randn(9, 6)
    learner.learn(stream.task(1))
    said = learner.logits(x, 1)[:, :2]
    bias = learner.flat.named(learner.flat.theta_P.detach())["backbone.1.bias"].clone()
    learner.learn(stream.task(2))
    assert torch.equal(learner.flat.named(learner.flat.theta_P.detach())["backbone.1.bias"], bias)
    later_P = (learner.state.owner_P != 1) & (torch.arange(len(learner.flat)) < learner.state.shared)
    assert int(later_P.sum()) > 50
    learner.flat.theta_P.detach()[later_P] = 7.0
    assert torch.equal(learner.logits(x, 1)[:, :2], said)
    assert not torch.equal(learner.logits(x, 2)[:, 2:4], said)


def test_packnet_says_when_there_is_no_room(clouds: Callable[..., Stream]) -> None:
    with pytest.raises(
        SettingError, match=r"leaves no weight for task 30 in the smallest layer, which has 1000; use keep=0.033"
    ):
        PackNet(keep=0.5).check(Extent(30, 100, 24, 1000, 60))
    PackNet(keep=0.03).check(Extent(30, 100, 24, 10_000, 60))
    stream = clouds("task")
    learner = learner_of(PackNet(keep=1.0), stream)
    learner.learn(stream.task(1))
    with pytest.raises(SettingError, match="leaves no weight for task 2"):
        learner.learn(stream.task(2))


def test_packnet_names_the_layer_that_is_full(clouds: Callable[..., Stream]) -> None:
    """12 weights, of which a half is kept each time: 6, 3, 2 and 1."""
    with pytest.raises(SettingError, match=r"no weight for task 5 in the smallest layer, which has 12; use keep=0.2"):
        PackNet(keep=0.5).check(Extent(5, 100, 24, 1000, 10, smallest=12))
    PackNet(keep=0.5).check(Extent(4, 100, 24, 1000, 8, smallest=12))
    stream = clouds("task", tasks=5)
    learner = learner_of(PackNet(keep=0.5), stream, "mlp:2,30")
    for number in (1, 2, 3, 4):
        learner.learn(stream.task(number))
    with pytest.raises(SettingError, match=r"no free weight left after 4 tasks in backbone\.1; use a smaller keep"):
        learner.learn(stream.task(5))
    with pytest.raises(SettingError, match=r"no weight for task 5 in the smallest layer, which has 30"):
        lifelong.run("split-digits", [PackNet(keep=0.8)], scenario="task", model="mlp:30,1", seeds=1, epochs=1, jobs=1)


# --- progressive ---


def test_columns_are_equation_1() -> None:
    torch.manual_seed(0)
    columns = Columns([nn.Linear(5, 4), nn.Linear(4, 3)], seed=3)
    for task in (4, 7, 2):
        columns.grow(task)
    x = torch.randn(6, 5)
    hidden: list[list[Tensor]] = []
    for place, column in enumerate(columns.columns):
        weights = {name: p.detach().double() for name, p in column.named_parameters()}
        first = torch.relu(x.double() @ weights["layers.0.weight"].T + weights["layers.0.bias"])
        second = first @ weights["layers.1.weight"].T + weights["layers.1.bias"]
        for j in range(place):
            second = second + hidden[j][0] @ weights["laterals.0.weight"][:, 4 * j : 4 * j + 4].T
        second = torch.relu(second)
        features = second
        for j in range(place):
            features = features + hidden[j][1] @ weights["laterals.1.weight"][:, 3 * j : 3 * j + 3].T
        hidden.append([first, second])
        for mode in (True, False):
            columns.train(mode).select((4, 7, 2)[place])
            assert torch.allclose(columns(x).double(), features, atol=1e-5)


def test_columns_choose_by_row_and_show_what_is_to_come() -> None:
    torch.manual_seed(0)
    columns = Columns([nn.Linear(5, 4), nn.Linear(4, 3)], seed=3).eval()
    x, state = torch.randn(6, 5), torch.get_rng_state()
    columns.grow(1)
    columns.select(9)
    expected = columns(x)
    assert columns.grow(9)
    assert not columns.grow(9)
    assert torch.equal(columns(x), expected)
    assert torch.equal(torch.get_rng_state(), state)
    columns.select(torch.tensor([1, 9, 9, 1, 9, 1]))
    mixed = columns(x)
    for task, rows in ((1, [0, 3, 5]), (9, [1, 2, 4])):
        columns.select(task)
        assert torch.allclose(mixed[rows], columns(x)[rows], atol=1e-6)
    assert [p.requires_grad for p in columns.columns[0].parameters()] == [False] * 4


def test_a_progressive_network_grows_by_columns_and_laterals(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    learner = learner_of(Progressive(), stream, "mlp:12,10")
    for task in stream:
        learner.learn(task)
    column, lateral, head = 6 * 12 + 12 + 12 * 10 + 10, 12 * 10 + 10 * 10, 6 * 11
    assert learner.parameters == 3 * column + (0 + 1 + 2) * lateral + head
    assert len(learner.flat) == column + 2 * lateral + head


# --- hat ---


def test_hat_anneals_within_each_pass(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    learner = learner_of(HAT(s_max=100.0), stream, epochs=3)
    for task in stream:
        found: list[float] = []
        learner.learn(task, on_step=lambda step, found=found: found.append(learner.state.scale))
        one_pass = [1 / 100 + (100 - 1 / 100) * b / 5 for b in range(6)]  # 54 examples in batches of 10
        assert found == pytest.approx(3 * one_pass)


def started(method: HAT, stream: Stream) -> tuple[Learner, Gated]:
    """A learner in the first step of task 2."""
    learner = learner_of(method, stream, lr=0.02)
    learner.learn(stream.task(1))
    task = stream.task(2)
    learner._announce(2, task.classes)
    learner.state = method.begin_task(learner.state, learner, task.train)
    backbone = backbone_of(learner)
    assert isinstance(backbone, Gated)
    return learner, backbone


def step_of(learner: Learner, batch: Examples, number: int) -> Step:
    def forward(x: Tensor, task: int | Tensor) -> Tensor:
        return learner.method.forward(learner.state, learner, x, task)

    return Step(learner, forward, batch, 2, number, 18, 1, 6, 0.1, 10.0)


def test_hat_compensates_the_gradient_of_the_embeddings(clouds: Callable[..., Stream]) -> None:
    """As σ'(z) = 1 / (2 (cosh z + 1)), what is left is s_max σ'(e) ∂L/∂a, whatever s is."""
    method = HAT(s_max=50.0, sparsity=0.0)
    learner, backbone = started(method, clouds("task"))
    step = step_of(learner, clouds("task").task(2).train.at(slice(0, 10)), number=2)
    for gate in backbone.gates:
        gate.embedding.data.mul_(0.1)
    learner.flat.backward(method.loss(learner.state, step, Step.cross_entropy))
    grad_P = method.gradient(learner.state, step, learner.flat.grad_P.clone())
    assert learner.state.scale == pytest.approx(0.02 + (50 - 0.02) / 5)
    gate = backbone.gates[1]
    e_H = gate.embedding.detach()[1].double()
    gates = [torch.sigmoid(learner.state.scale * g.embedding.detach()[1]).requires_grad_() for g in backbone.gates]
    h = step.batch.x
    for layer, a_H in zip((backbone.layers[1], backbone.layers[3]), gates, strict=True):
        h = torch.relu(layer(h)) * a_H
    loss = learner.outputs.loss(learner.model.head(h), step.batch.y, 2)
    (to_gate,) = torch.autograd.grad(loss, gates[1])
    sigma = torch.sigmoid(e_H)
    found = learner.flat.named(grad_P)["backbone.gates.1.embedding"]
    assert torch.allclose(found[1].double(), 50 * sigma * (1 - sigma) * to_gate.double(), rtol=1e-3, atol=1e-6)
    assert float(found[1].abs().max()) > 0
    assert bool((found[0] == 0).all()), "the embedding of task 1 is held"


def test_hat_charges_for_units_that_no_task_used(clouds: Callable[..., Stream]) -> None:
    method = HAT(s_max=400.0, sparsity=2.0)
    learner, backbone = started(method, clouds("task"))
    step = step_of(learner, clouds("task").task(2).train.at(slice(0, 10)), number=1)
    total = count = 0.0
    for gate in backbone.gates:
        past, now = gate.embedding.detach().double()
        for used, e in zip(past.tolist(), now.tolist(), strict=True):
            if used <= 0:
                total, count = total + 1 / (1 + math.exp(-e / 400)), count + 1
    assert 0 < count < 22
    with_price = float(method.loss(learner.state, step, Step.cross_entropy).detach())
    assert with_price - float(step.cross_entropy().detach()) == pytest.approx(2.0 * total / count, rel=1e-5)


def test_hat_freezes_what_lies_between_used_units(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    learner = learner_of(HAT(s_max=400.0), stream)
    for task in (1, 2):
        learner.learn(stream.task(task))
    backbone = backbone_of(learner)
    assert isinstance(backbone, Gated)
    used = [(torch.sigmoid(400 * gate.embedding.detach()) > 0.5).any(0).tolist() for gate in backbone.gates]
    assert 0 < sum(used[0] + used[1]) < 22
    frozen = learner.flat.named(learner.state.frozen.mask_P)
    for i in range(10):
        for j in range(12):
            assert bool(frozen["backbone.layers.3.weight"][i, j]) == (used[1][i] and used[0][j])
    assert frozen["backbone.layers.3.bias"].tolist() == used[1]
    assert frozen["backbone.layers.1.weight"].tolist() == [[unit] * 6 for unit in used[0]]
    assert bool(frozen["backbone.gates.0.embedding"].all())
    assert bool(frozen["head.weight"].all())


# --- xdg and gates ---


def test_columns_gates_and_rows_of_the_head_share_no_numbers() -> None:
    """What is drawn uniformly is compared as it was drawn, before it was scaled."""
    column = generator_for("column", 0, 2)
    draws = {
        "row": torch.rand(8, generator=torch.Generator().manual_seed(2)),  # of class 2, as models.head draws it
        "column": torch.rand(8, generator=column),
        "random": torch.rand(8, generator=generator_for("random gate", 0, 0, 2)),
        "attention": torch.rand(8, generator=generator_for("attention gate", 0, 0, 2)),
        "place": torch.rand(8, generator=generator_for("random gate", 0, 1, 2)),
        "task": torch.rand(8, generator=generator_for("random gate", 0, 0, 3)),
        "seed": torch.rand(8, generator=generator_for("random gate", 1, 0, 2)),
    }
    for (one, a), (two, b) in itertools.combinations(draws.items(), 2):
        assert not torch.equal(a, b), f"{one} and {two}"
    columns, head = Columns([nn.Linear(12, 12)], seed=0), Head(12, 3, seed=0)
    columns.grow(1)
    columns.grow(2)
    first = columns.columns[1].layers[0].weight.detach()[0]
    assert not torch.allclose(first, head.weight.detach()[2], atol=1e-6)


@pytest.mark.parametrize("method", [XdG(), HAT(), Progressive()], ids=lambda method: method.name)
def test_with_a_network_of_ones_own_the_learner_s_seed_draws(
    method: Method[Any], clouds: Callable[..., Stream]
) -> None:
    stream, drawn = clouds("task", tasks=2), []
    for seed in (1, 2, 1):
        torch.manual_seed(0)
        own = with_head(nn.Sequential(nn.Flatten(), nn.Linear(6, 12), nn.ReLU()), 12, stream.space)
        learner = Learner(own, method, stream.space, seed=seed)
        for task in stream:
            learner._announce(task.number, task.classes)
        backbone = backbone_of(learner)
        if isinstance(backbone, Gated):
            drawn.append(
                torch.stack(
                    [gate._row(2) if isinstance(gate, AttentionGate) else gate.of(2) for gate in backbone.gates]
                )
            )
        else:
            drawn.append(backbone.columns[1].layers[0].weight)
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])


def test_gates_are_a_function_of_seed_and_task() -> None:
    gate = RandomGate(200, closed=0.8, seed=5)
    rows_TH = torch.stack([gate.of(task) for task in range(60)])
    assert rows_TH.sum(1).tolist() == [40.0] * 60
    assert torch.equal(RandomGate(200, closed=0.8, seed=5).of(41), rows_TH[41])
    assert not torch.equal(RandomGate(200, closed=0.8, seed=6).of(41), rows_TH[41])
    overlap = (rows_TH[:-1] * rows_TH[1:]).sum(1).mean()  # hypergeometric: mean 8, deviation 2.3 over √59
    assert abs(float(overlap) - 8) < 5 * 2.3 / math.sqrt(59)


@pytest.mark.parametrize("kind", [RandomGate, AttentionGate])
def test_gates_choose_by_row_of_units_and_channels(kind: type[RandomGate] | type[AttentionGate]) -> None:
    gate = RandomGate(4, closed=0.5, seed=0) if kind is RandomGate else AttentionGate(4, 400.0, 0.5, seed=0)
    for task in (3, 1, 2):
        gate.grow(task)
    h, tasks = torch.randn(5, 4, 2, 2), [1, 3, 2, 3, 1]
    gate.select(torch.tensor(tasks))
    found = gate(h)
    for row, task in enumerate(tasks):
        assert torch.equal(found[row], h[row] * gate.of(task)[:, None, None])
    gate.select(2)
    assert torch.equal(gate(h[:, :, 0, 0]), h[:, :, 0, 0] * gate.of(2))


def test_weights_between_open_channels_and_units_are_found() -> None:
    stack = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(8, 4), nn.ReLU(),
    )  # fmt: skip
    network = gated(with_head(stack, 4, SPACE), "xdg", lambda place, units: RandomGate(units, 0.5, place))
    assert isinstance(network.backbone, Gated)
    network.select(3)
    x = torch.randn(2, 1, 4, 4)
    before = network.backbone(x)
    masks = network.backbone.between([gate.of(3) > 0 for gate in network.backbone.gates])
    with torch.no_grad():
        for name, parameter in network.backbone.named_parameters():
            parameter[~masks[name]] += 100 * torch.rand_like(parameter)[~masks[name]]
    assert torch.equal(network.backbone(x), before), "no other weight has a say"
    for name, parameter in network.backbone.named_parameters():
        place = tuple(masks[name].nonzero()[0].tolist())
        with torch.no_grad():
            parameter[place] += 100
        assert not torch.equal(network.backbone(10 * x.abs()), before), f"{name} has"


def test_without_freezing_it_is_the_gating_of_the_paper_and_goes_with_springs(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    chain = Chain(XdG(gate=0.5, freeze=False), EWC(strength=10.0))
    learner = learner_of(chain, stream)
    learner.learn(stream.task(1))
    kept = learner.logits(torch.ones(1, 6), 1)
    closed = [bool(v) for v in backbone_of(learner).gates[0].of(1) == 0]
    importance = learner.flat.named(learner.state[1].importance_P)["backbone.layers.1.weight"]
    assert float(importance.sum()) > 0
    assert bool((importance[closed] == 0).all()), "EWC measured the gated network"
    learner.learn(stream.task(2))
    assert not torch.equal(learner.logits(torch.ones(1, 6), 1)[:, :2], kept[:, :2])


@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_replayed_examples_are_answered_by_their_own_task(
    method: Isolation[Any], clouds: Callable[..., Stream]
) -> None:
    stream = clouds("task")
    learner = learner_of(Chain(method, ER(capacity=30)), stream)
    for task in stream:
        learner.learn(task)
    if method.name == "packnet":
        return  # it trains with all weights, whatever the task
    x, tasks = torch.randn(4, 6), [1, 2, 1, 2]
    network = learner.model.eval()
    assert isinstance(network, Network)
    selected = [part.selected for part in network.per_task]
    with torch.no_grad():
        mixed = learner.method.forward(learner.state, learner, x, torch.tensor(tasks))
        for row, task in enumerate(tasks):
            alone = learner.method.forward(learner.state, learner, x, task)
            assert torch.allclose(mixed[row], alone[row], atol=1e-5)
    assert selected == [3] * len(selected)
    assert [part.selected for part in network.per_task] == selected
