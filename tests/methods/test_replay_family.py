"""ER-ACE, DER, DER++, MIR, GSS and GDumb against slow twins written from their formulas, in float64."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor, nn

from lifelong.errors import SettingError
from lifelong.experiments.resources import check_methods
from lifelong.memory import Balanced, PriorityBuffer
from lifelong.methods import DER, DERPP, ER, ERACE, GSS, METHODS, MIR, Finetune, GDumb, Method, Step, build
from lifelong.methods.gss import inner_products, normalised
from lifelong.methods.mir import interference
from lifelong.models import build as network
from lifelong.models import with_head
from lifelong.streams import Stream, stream
from lifelong.training import Learner
from lifelong.types import Examples, Space

Clouds = Callable[..., Stream]
WHOLE = 54  # examples of a task of `clouds`


def slow_loss(logits: Tensor, y: Tensor, allowed: list[int]) -> Tensor:
    """Mean cross-entropy over the outputs `allowed`, one sample at a time."""
    losses = [-torch.log_softmax(row[allowed], 0)[allowed.index(int(label))] for row, label in zip(logits, y)]  # noqa: B905
    return torch.stack(losses).mean()


def one_step_of_the_second_task(method: Method[object], stream: Stream) -> tuple[Learner, nn.Module, Tensor]:
    """A learner after one whole-batch step on task 2, the network before that step in float64, and θ after it."""
    learner = Learner("mlp:7", method, stream.space, iterations=1, batch=WHOLE, lr=0.5, seed=2)
    learner.learn(stream.task(1))
    learner._announce(stream.task(2))
    before = copy.deepcopy(learner.model).double()
    learner.learn(stream.task(2))
    return learner, before, learner.flat.theta_P.detach().double()


def stepped(model: nn.Module, loss: Tensor, lr: float = 0.5) -> Tensor:
    parameters = list(model.parameters())
    grads = torch.autograd.grad(loss, parameters)
    return torch.cat([(p - lr * g).detach().reshape(-1) for p, g in zip(parameters, grads, strict=True)])


def test_er_ace_learns_the_batch_among_its_own_classes(clouds: Clouds) -> None:
    stream = clouds("class", tasks=2)
    _, model, after = one_step_of_the_second_task(ERACE(capacity=WHOLE, replay_batch=WHOLE), stream)
    first, second = stream.task(1).train, stream.task(2).train
    loss = slow_loss(model(second.x.double()), second.y, [2, 3])
    loss = loss + slow_loss(model(first.x.double()), first.y, [0, 1, 2, 3])
    assert torch.allclose(after, stepped(model, loss), atol=1e-6)


def test_er_ace_leaves_the_outputs_of_absent_classes_alone(clouds: Clouds) -> None:
    stream = clouds("class")
    moved = {}
    for name in ("er-ace", "finetune"):
        learner = Learner("mlp:7", build(name), stream.space, iterations=1, head="all")
        before = copy.deepcopy(learner.model)
        learner.learn(stream.task(1))
        moved[name] = [
            not torch.equal(a, b) for a, b in zip(before.head.weight, learner.model.head.weight, strict=True)
        ]
    assert moved == {"er-ace": [True] * 2 + [False] * 4, "finetune": [True] * 6}


@pytest.mark.parametrize("scenario", ["domain", "task", "class"])
@pytest.mark.parametrize("beta", [None, 0.3])
def test_der_replays_the_logits_of_the_moment_of_storing(clouds: Clouds, scenario: str, beta: float | None) -> None:
    stream = clouds(scenario, tasks=2)
    settings = {"capacity": WHOLE, "replay_batch": WHOLE, "alpha": 0.7}
    method = DER(**settings) if beta is None else DERPP(**settings, beta=beta)
    _, model, after = one_step_of_the_second_task(method, stream)
    first, second = stream.task(1).train, stream.task(2).train
    untouched = Learner("mlp:7", Finetune(), stream.space, seed=2)
    for number in (1, 2):
        untouched._announce(stream.task(number))
    then = untouched.model.double()(first.x.double()).detach()  # the first step stored the answers of θ⁰
    known = then.shape[1] if scenario == "domain" else 2
    then[:, known:] = model(first.x.double())[:, known:].detach()  # outputs that came with task 2
    allowed = {"domain": ([0, 1], [0, 1]), "task": ([0, 1], [2, 3]), "class": ([0, 1, 2, 3], [0, 1, 2, 3])}[scenario]
    now = model(first.x.double())
    distance = sum((float(1) * (a - b)) ** 2 for a, b in zip(now.reshape(-1), then.reshape(-1), strict=True))
    loss = slow_loss(model(second.x.double()), second.y, allowed[1]) + 0.7 * distance / now.numel()
    if beta is not None:
        loss = loss + beta * slow_loss(now, first.y, allowed[0])
    assert torch.allclose(after, stepped(model, loss), atol=1e-6)


def test_der_stores_what_an_independent_forward_gives_at_each_step(clouds: Clouds) -> None:
    stream = clouds("class", tasks=2)
    learner = Learner("mlp:7", DER(capacity=500), stream.space, batch=10, lr=0.3, epochs=2)
    for number in (1, 2):
        task = stream.task(number)
        learner._announce(task)
        models = [copy.deepcopy(learner.model).double()]
        learner.learn(task, on_step=lambda _, models=models: models.append(copy.deepcopy(learner.model).double()))
        held, logits = learner.state.examples(), learner.state.tables[0].columns["answer"]
        start = 2 * WHOLE * (number - 1)
        assert len(held) == start + 2 * WHOLE, "both passes over the task are offered"
        for place in range(start, start + 2 * WHOLE):
            second, position = divmod(place - start, WHOLE)
            expected = models[6 * second + position // 10](held.x[place : place + 1].double())[0]
            assert torch.allclose(logits[place].double(), expected, atol=1e-5)


def test_mir_measures_the_rise_of_each_loss_and_touches_nothing() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 4))
    learner = Learner(network, MIR(), Space((6,), 4, "task"))
    learner.objective.announce(1, (0, 1))
    learner.objective.announce(2, (2, 3))
    network.train()
    examples = Examples(
        torch.randn(9, 6), torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0]), torch.tensor([1, 1, 2, 2] * 2 + [1])
    )
    virtual_P = learner.flat.theta_P.detach() + 0.3 * torch.randn(len(learner.flat))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    forward = partial(learner.method.forward, learner.state, learner)
    step = Step(learner, forward, examples, 2, 1, 1, 1, 1, 0.1, 10.0)
    rise = interference(step, examples, virtual_P)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network.training
    there = copy.deepcopy(network).double().eval()
    here = copy.deepcopy(there)
    with torch.no_grad():
        for p, value in zip(there.parameters(), learner.flat.views(virtual_P), strict=True):
            p.copy_(value)
        for place, (x, y, task) in enumerate(zip(examples.x.double(), examples.y, examples.task, strict=True)):
            allowed = [0, 1] if int(task) == 1 else [2, 3]
            after, now = (slow_loss(model(x[None]), y[None], allowed) for model in (there, here))
            assert float(rise[place]) == pytest.approx(float(after - now), abs=1e-5)


def test_mir_counts_a_batch_once_in_running_statistics(clouds: Clouds) -> None:
    stream, counts = clouds("domain", tasks=1), []
    for method in (ER(capacity=200, replay_batch=5), MIR(capacity=200, replay_batch=5, candidates=20)):
        layers = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU())
        learner = Learner(with_head(layers, 8, stream.space), method, stream.space, batch=10, epochs=2)
        steps: list[int] = []
        learner.learn(stream.task(1), on_step=steps.append)
        counts.append(int(layers[1].num_batches_tracked))
    assert counts == [len(steps), len(steps)]


def test_mir_replays_the_most_hurt_of_all_candidates(clouds: Clouds) -> None:
    stream = clouds("domain", tasks=2)
    _, model, after = one_step_of_the_second_task(MIR(capacity=WHOLE, replay_batch=5, candidates=WHOLE), stream)
    first, second = stream.task(1).train, stream.task(2).train
    virtual = copy.deepcopy(model)
    theta = stepped(model, slow_loss(model(second.x.double()), second.y, [0, 1]))
    torch.nn.utils.vector_to_parameters(theta, virtual.parameters())
    rises = [
        float((slow_loss(virtual(x[None]), y[None], [0, 1]) - slow_loss(model(x[None]), y[None], [0, 1])).detach())
        for x, y in zip(first.x.double(), first.y, strict=True)
    ]
    worst = sorted(range(WHOLE), key=lambda place: -rises[place])[:5]
    x, y = torch.cat([second.x, first.x[worst]]).double(), torch.cat([second.y, first.y[worst]])
    assert torch.allclose(after, stepped(model, slow_loss(model(x), y, [0, 1])), atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.PReLU])  # linear layers alone, and a network that has others too
def test_gss_compares_the_gradients_of_single_samples_of_several_tasks(
    activation: type[nn.Module], bias: bool, clouds: Clouds
) -> None:
    stream = clouds("task", tasks=2)
    layers = nn.Sequential(nn.Linear(6, 7, bias=bias), activation())
    learner = Learner(with_head(layers, 7, stream.space), GSS(), stream.space)
    for task in stream:
        learner.learn(task)
    both = Examples.cat([stream.task(1).train.at(slice(0, 4)), stream.task(2).train.at(slice(0, 3))])
    model, unit = copy.deepcopy(learner.model).double(), []
    for x, y in zip(both.x.double(), both.y, strict=True):
        loss = slow_loss(model(x[None]), y[None], [0, 1] if int(y) < 2 else [2, 3])
        slow = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(model.parameters()))])
        unit.append(slow / slow.norm())
    expected = torch.stack(unit) @ torch.stack(unit).T
    assert torch.allclose(normalised(inner_products(learner, both)).double(), expected, atol=1e-5)


def test_gss_scores_a_newcomer_by_its_most_similar_stored_example(clouds: Clouds) -> None:
    stream = clouds("domain", tasks=1)
    learner = Learner("mlp:7", GSS(capacity=100, subset=100), stream.space, batch=27, lr=0.3)
    learner.learn(stream.task(1))
    held, score = learner.state.examples(), learner.state.tables[0].columns["score"]
    model = copy.deepcopy(learner.model).double()
    unit = []
    for x, y in zip(held.x.double(), held.y, strict=True):
        grads = torch.autograd.grad(slow_loss(model(x[None]), y[None], [0, 1]), list(model.parameters()))
        row = torch.cat([g.reshape(-1) for g in grads])
        unit.append(row / row.norm())
    expected = [1.0] * 27 + [1 + max(float(unit[new] @ unit[old]) for old in range(27)) for new in range(27, WHOLE)]
    assert score[:WHOLE].tolist() == pytest.approx(expected, abs=1e-4)


def test_gss_by_batch_asks_the_gradient_of_the_mean(clouds: Clouds, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, offered = clouds("domain", tasks=2), list[tuple[Tensor, Tensor]]()
    plain = PriorityBuffer.offer

    def offer(
        self: PriorityBuffer, batch: Examples, score: Tensor, by: torch.Generator, gate: Tensor | None = None
    ) -> None:
        if gate is not None:
            offered.append((score, gate))
        plain(self, batch, score, by, gate)

    monkeypatch.setattr(PriorityBuffer, "offer", offer)
    learner = Learner("mlp:7", GSS(capacity=WHOLE, subset=WHOLE, gate="batch"), stream.space, batch=WHOLE, lr=0.1)
    learner.learn(stream.task(1))
    held = learner.state.examples()
    learner.learn(stream.task(2))
    model = copy.deepcopy(learner.model).double()

    def unit(examples: Examples) -> Tensor:
        loss = slow_loss(model(examples.x.double()), examples.y, [0, 1])
        row = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(model.parameters()))])
        return row / row.norm()

    new, stored = unit(stream.task(2).train), [unit(held.at(slice(n, n + 1))) for n in range(WHOLE)]
    (score, gate), *_ = offered
    assert gate.tolist() == pytest.approx([1 + max(float(new @ old) for old in stored)] * WHOLE, abs=1e-4)
    assert not torch.allclose(score, gate)


def test_a_gate_decides_who_challenges_and_the_own_score_who_wins() -> None:
    stored = Examples(torch.zeros(4), torch.zeros(4).long(), 1)
    new = Examples(torch.full((4,), 9.0), torch.ones(4).long(), 2)
    shut, open_ = torch.full((4,), 1.0), torch.full((4,), 0.9)
    generator = torch.Generator().manual_seed(0)
    for score, gate, taken in ((0.0, shut, False), (0.0, open_, True), (1e9, open_, False)):
        memory = PriorityBuffer(4)
        memory.offer(stored, torch.ones(4), generator)
        memory.offer(new, torch.full((4,), score), generator, gate)
        assert bool((memory.examples().x == 9).any()) is taken


def test_scored_places_are_taken_with_the_probabilities_of_the_paper() -> None:
    scores, newcomer, trials = [0.2, 0.5, 1.9], 0.4, 2500
    chosen = [c / sum(scores) * c / (c + newcomer) for c in scores]
    generator, taken = torch.Generator().manual_seed(0), [0, 0, 0, 0]
    stored = Examples(torch.arange(3.0), torch.zeros(3).long(), 1)
    for _ in range(trials):
        memory = PriorityBuffer(3)
        memory.offer(stored, torch.tensor(scores), generator)
        memory.offer(Examples(torch.tensor([9.0]), torch.ones(1).long(), 2), torch.tensor([newcomer]), generator)
        places = (memory.examples().x == 9).nonzero()[:, 0].tolist()
        taken[places[0] if places else 3] += 1
        if places:
            assert float(memory.tables[0].columns["score"][places[0]]) == pytest.approx(newcomer)
    assert chisquare(taken, [trials * p for p in [*chosen, 1 - sum(chosen)]]).pvalue > 1e-3


@given(st.integers(1, 6), st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(0, 99))
def test_scored_keeps_all_while_there_is_room_and_never_what_is_like_the_rest(
    capacity: int, sizes: list[int], seed: int
) -> None:
    memory, generator, seen = PriorityBuffer(capacity), torch.Generator().manual_seed(seed), 0
    for size in sizes:
        x = torch.arange(seen, seen + size, dtype=torch.float32)
        memory.offer(Examples(x, torch.zeros(size).long(), 1), torch.ones(size), generator)
        seen += size
    assert memory.examples().x.tolist() == [float(value) for value in range(min(capacity, seen))]


groups = st.lists(st.tuples(st.integers(1, 2), st.integers(0, 3)), min_size=1, max_size=40)


@given(groups, groups, st.integers(8, 25), st.integers(0, 999))
def test_balanced_gives_every_group_its_share(
    one: list[tuple[int, int]], two: list[tuple[int, int]], capacity: int, seed: int
) -> None:
    memory, generator = Balanced(capacity), torch.Generator().manual_seed(seed)
    start = 0
    for part in (one, two):
        x = torch.arange(start, start + len(part), dtype=torch.float32)
        memory.add(Examples(x, torch.tensor([y for _, y in part]), torch.tensor([t for t, _ in part])), generator)
        start += len(part)
    offered = [*one, *two]
    held = memory.examples()
    assert isinstance(held.task, Tensor)
    rows = held.x.long().tolist()
    assert len(set(rows)) == len(rows) <= capacity
    assert [offered[row] for row in rows] == list(zip(held.task.tolist(), held.y.tolist(), strict=True))
    kept, came = Counter(offered[row] for row in rows), Counter(offered)
    for group, count in came.items():
        assert kept[group] >= min(count, capacity // len(came))


def test_gdumb_balances_classes_alone_where_nobody_could_say_when_a_task_ends() -> None:
    digits = stream("split-digits", blurry=0.5)
    check_methods([GDumb(capacity=10)], lambda: network("mlp:8", digits.space), digits)
    learner = Learner("mlp:8", GDumb(capacity=130), digits.space)
    for task in digits:
        learner.learn(task)
    held = learner.state.examples()
    assert Counter(held.y.tolist()) == dict.fromkeys(range(10), 13)


def test_gdumb_learns_its_memory_from_scratch_and_nothing_else(clouds: Clouds) -> None:
    stream = clouds("domain", tasks=2)
    ours = Learner("mlp:8", GDumb(capacity=20), stream.space, epochs=5, batch=200)
    for task in stream:
        ours.learn(task)
    held = ours.state.examples()
    counts = Counter(zip(held.task.tolist(), held.y.tolist(), strict=True))
    assert set(counts.values()) == {5}
    assert len(counts) == 4
    fresh = Learner("mlp:8", Finetune(), stream.space, epochs=5, batch=200)
    fresh.learn(Stream.from_datasets([((held.x, held.y), (held.x, held.y))], validation=0).task(1))
    assert torch.allclose(ours.flat.theta_P, fresh.flat.theta_P, atol=1e-6), "a whole-batch step has no order"


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("er-ace", {"capacity": 0}), ("der", {"alpha": -1}), ("der++", {"beta": -1}), ("mir", {"candidates": 3}),
        ("gss", {"subset": 0}), ("gdumb", {"capacity": 0}), ("icarl", {"capacity": 0}), ("lwf", {"temperature": 0}),
        ("dgr", {"latent": 0}), ("dgr", {"output": "tanh"}), ("gss", {"gate": "day"}), ("lwf", {"over": "new"}),
        ("ewc", {"batch": 0}), ("online-ewc", {"samples": 0}),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(name: str, settings: dict[str, object]) -> None:
    (setting,) = settings
    with pytest.raises(SettingError, match=setting):
        METHODS[name](**settings)


@pytest.mark.parametrize(("name", "passes"), [("der", 2), ("der++", 3), ("er-ace", 2)])
@pytest.mark.parametrize("normalised", [True, False])
def test_batch_and_replay_are_forwarded_at_once_but_where_a_batch_is_normalised(
    name: str, passes: int, normalised: bool, clouds: Clouds
) -> None:
    stream, sizes = clouds("domain", tasks=1), list[int]()
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8) if normalised else nn.ReLU())
    learner = Learner(with_head(layers, 8, stream.space), build(name), stream.space, batch=10, iterations=2)
    layers[0].register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    learner.learn(stream.task(1))
    assert sizes == [10, *([10] * passes if normalised else [10 * passes])]
