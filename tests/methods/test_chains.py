"""Chains: what is accepted keeps the promise of each of its methods, bit for bit; all else is refused at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lifelong.errors import SettingError
from lifelong.methods import DER, METHODS, Chain, Claim, Method, Progressive, Step, XdG, build
from lifelong.methods.base import Inner
from lifelong.methods.gss import inner_products, normalised
from lifelong.methods.inference import answers, snapshot
from lifelong.methods.mir import interference
from lifelong.methods.ogd import OGDState
from lifelong.models import select, selecting
from lifelong.streams import Stream, stream
from lifelong.training import Learner
from lifelong.types import Examples

HOLDING = ["packnet", "progressive", "hat", "xdg"]
ASKING = ["lwf", "mir", "der", "gss", "dgr"]  # they ask the network beside the loss
#: gpm treats no layer as the other makes them
UNTREATED = ["gpm+hat", "hat+gpm", "gpm+progressive", "progressive+gpm"]
STIFF: dict[str, dict[str, Any]] = {"ewc": {"strength": 1e6}}


def refused(label: str) -> bool:
    try:
        build(label)
    except SettingError:
        return True
    return False


def learner_of(label: str, stream: Stream, **settings: Any) -> Learner:
    chosen = {"epochs": 3, "lr": 0.02, "momentum": 0.9, "batch": 10, "seed": 1, **settings}
    parts = {name: STIFF[name] for name in label.split("+") if name in STIFF}
    return Learner("mlp:12,10", build(label, parts), stream.space, **chosen)


def said(learner: Learner, stream: Stream, x: Tensor) -> dict[int, Tensor]:
    """What the learner answers to `x` in each task it has learned, in that task's outputs."""
    tasks = [stream.task(number) for number in learner.tasks]
    return {task.number: learner.logits(x, task.number)[:, list(task.classes)] for task in tasks}


@pytest.mark.parametrize(
    "label", [f"{a}+{b}" for pair in itertools.product(HOLDING, ASKING) for a, b in itertools.permutations(pair)]
)
def test_a_saved_chain_goes_on_and_answers_bit_for_bit(
    label: str, clouds: Callable[..., Stream], tmp_path: Path
) -> None:
    stream, x = clouds("task"), torch.randn(9, 6)
    kept = learner_of(label, stream)
    kept.learn(stream.task(1))
    kept.learn(stream.task(2), on_step=lambda step: kept.save(tmp_path / "within") if step == 7 else None)
    kept.save(tmp_path / "between")
    within, between = Learner.load(tmp_path / "within"), Learner.load(tmp_path / "between")
    assert all(torch.equal(said(between, stream, x)[k], logits) for k, logits in said(kept, stream, x).items())
    within.learn(stream.task(2))
    assert torch.equal(within.flat.theta_P, kept.flat.theta_P)
    for learner in (kept, within, between):
        learner.learn(stream.task(3))
    for learner in (within, between):
        assert torch.equal(learner.flat.theta_P, kept.flat.theta_P)
        assert all(torch.equal(said(learner, stream, x)[k], logits) for k, logits in said(kept, stream, x).items())


@pytest.mark.parametrize(
    "label",
    [
        label
        for label in map("+".join, itertools.product(HOLDING, METHODS))
        if label not in UNTREATED and not refused(label)
    ],
)
def test_what_one_method_holds_no_other_moves_within_a_task_or_after_it(
    label: str, clouds: Callable[..., Stream]
) -> None:
    stream, x = clouds("task"), 3 * torch.randn(20, 6)
    learner = learner_of(label, stream, epochs=2)
    learner.learn(stream.task(1))
    before, first, steps = learner.flat.theta_P.detach().clone(), said(learner, stream, x)[1], []

    def look(step: int) -> None:
        steps.append(step)
        assert torch.equal(learner.logits(x, 1)[:, :2], first), f"answers of task 1 moved at step {step} of task 2"

    learner.learn(stream.task(2), on_step=look)
    assert len(steps) > 0
    assert len(before) != len(learner.flat) or not torch.equal(before, learner.flat.theta_P), "task 2 was learned"
    assert torch.equal(said(learner, stream, x)[1], first)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("ewc+ncm", "^ewc.ncm: ncm takes no step of gradient descent, .*; use it alone"),
        ("ncm+er", "ncm takes no step"),
        ("joint+ranpac", "ranpac takes no step"),
        ("slda+ncm", "slda, ncm takes no step"),
        ("xdg+gdumb", "^xdg.gdumb: gdumb begins tasks anew and would undo what xdg relies on; take one of them"),
        ("icarl+xdg", "^icarl.xdg: icarl, xdg each answer in a way of their own, and only one can; take one of them"),
        ("packnet+icarl", "packnet, icarl each answer"),
        ("icarl+hat", "icarl, hat each answer"),
        ("packnet+xdg", "packnet, xdg each answer"),
        ("icarl+independent", "independent begins tasks anew and would undo what icarl relies on"),
        ("icarl+rwalk+hat", "icarl, hat each answer"),
        (
            "joint+gdumb",
            "^joint.gdumb: joint, gdumb each choose what is learned from, and only one can; take one of them",
        ),
        (
            "er+icarl",
            "^er.icarl: icarl learns from stored examples too, which er would store as new ones",
        ),
        (
            "icarl+er-ace",
            "er-ace would store as new ones; take one of them",
        ),
        ("lwf+joint", "^lwf.joint: joint begins tasks anew and would undo what lwf relies on; take one of them"),
    ],
)
def test_a_chain_that_would_not_do_what_it_says_is_refused(label: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        build(label)


#: pairs that version 0.1.0 refused in both orders, by its booleans; a triple was refused where one of its pairs was
FREE = ["ewc", "online-ewc", "l2", "si", "mas", "rwalk", "scp", "ogd", "gpm", "lwf"]
STORING = ["gem", "agem", "er", "er-ace", "der", "der++", "mir", "gss"]
SOLVING = ["ncm", "slda", "ranpac"]
REFUSED: dict[str, list[str]] = {
    "joint": [*FREE, *STORING, *HOLDING, *SOLVING, "gdumb", "icarl", "dgr"],
    "gdumb": [*FREE, *STORING, *HOLDING, *SOLVING, "joint", "icarl", "dgr"],
    "independent": [*FREE, *HOLDING, *SOLVING, "icarl", "dgr"],
    "icarl": [*STORING, *HOLDING, *SOLVING, "joint", "independent", "gdumb", "dgr"],
}


def was_refused(pair: tuple[str, str]) -> bool:
    one, two = pair
    both = one in HOLDING and two in HOLDING
    return both or bool({one, two} & {*SOLVING}) or two in REFUSED.get(one, []) or one in REFUSED.get(two, [])


@pytest.mark.parametrize("size", [2, 3])
def test_the_claims_give_the_verdicts_of_the_booleans_on_all_pairs_and_triples(size: int) -> None:
    sets = list(itertools.combinations(METHODS, size))
    assert len(sets) == (465 if size == 2 else 4495)
    for names in sets:
        before = any(was_refused(pair) for pair in itertools.combinations(names, 2))
        assert refused("+".join(names)) == before, names


@pytest.mark.parametrize("labels", [("ewc+gem+ogd", "ogd+gem+ewc"), ("icarl+lwf", "lwf+icarl"), ("si+ewc", "ewc+si")])
def test_a_chain_is_a_set(labels: tuple[str, str], clouds: Callable[..., Stream]) -> None:
    stream, thetas = clouds("task"), []
    for label in labels:
        learner = learner_of(label, stream)
        for task in stream:
            learner.learn(task)
        thetas.append(learner.flat.theta_P.detach())
    assert torch.equal(*thetas)


KEEPING = ["gem", "agem", "er", "er-ace", "mir", "der", "der++", "gss", "dgr"]
CONTINUING = ["ewc", "online-ewc", "l2", "si", "mas", "rwalk", "scp", "ogd", "gpm", "lwf", "dgr", "icarl"]


@pytest.mark.parametrize("pair", [*itertools.product(["joint", "gdumb", "icarl"], KEEPING)], ids="+".join)
def test_what_is_stored_is_not_taken_for_new_by_another(pair: tuple[str, str]) -> None:
    assert all(refused("+".join(order)) for order in itertools.permutations(pair))


@pytest.mark.parametrize("pair", [*itertools.product(["joint", "gdumb", "independent"], CONTINUING)], ids="+".join)
def test_what_past_tasks_left_in_the_weights_is_not_held_where_tasks_begin_anew(pair: tuple[str, str]) -> None:
    assert all(refused("+".join(order)) for order in itertools.permutations(pair))


def test_joint_that_goes_on_from_the_weights_of_the_last_task_may_be_held() -> None:
    assert Claim.RESETS_WEIGHTS not in build("joint+ewc", {"joint": {"restart": False}}).claimed()
    with pytest.raises(SettingError, match="joint begins tasks anew"):
        build("joint+ewc")


def test_every_method_says_whether_it_keeps_its_batches() -> None:
    descending = {name: kind for name, kind in METHODS.items() if Claim.SOLVES not in kind().claimed()}
    stores = {name for name, kind in descending.items() if "memory" in kind.needs and kind.examples is Method.examples}
    assert (
        {*stores, "dgr"}
        == set(KEEPING)
        == {name for name, kind in METHODS.items() if Claim.STORES_BATCHES in kind().claimed()}
    )


SPRINGS: dict[str, dict[str, Any]] = {"ewc": {"strength": 1e5}, "si": {"strength": 1e4}, "l2": {"strength": 20.0}}


@pytest.mark.parametrize(
    "label",
    [f"{a}+{b}" for pair in itertools.product(["ogd", "gpm"], SPRINGS) for a, b in itertools.permutations(pair)],
)
def test_springs_do_not_pull_back_into_the_span(label: str) -> None:
    digits, names = stream("permuted-digits", tasks=2, samples=100), label.split("+")
    settings = {"ogd": {"capacity": 30}, "gpm": {"threshold": 0.9}, **SPRINGS}
    chain = build(label, {name: settings[name] for name in names})
    learner = Learner("mlp:16", chain, digits.space, epochs=2, lr=0.1)
    learner.learn(digits.task(1))
    place = next(place for place, name in enumerate(names) if name in ("ogd", "gpm"))
    start_P, inside = learner.flat.theta_P.detach().clone(), []

    def look(_: int) -> None:
        way_P = learner.flat.theta_P.detach() - start_P
        assert float(way_P.norm()) > 0
        state = learner.state[place]
        if isinstance(state, OGDState):
            inside.append(float((state.basis_KP @ way_P).norm() / way_P.norm()))
            return
        for name, basis_KD in state.bases.items():
            own = learner.flat.named(way_P)
            way_HD = torch.cat([own[f"{name}.weight"], own[f"{name}.bias"][:, None]], dim=1)
            inside.append(float((way_HD @ basis_KD.T).norm() / way_P.norm()))

    learner.learn(digits.task(2), on_step=look)
    assert max(inside) <= 1e-4


@pytest.mark.parametrize("label", ["si+ogd", "ogd+si"])
def test_the_path_is_measured_along_the_step_that_was_taken(label: str) -> None:
    digits = stream("permuted-digits", tasks=2, samples=100)
    chain = build(label, {"ogd": {"capacity": 30}, "si": {"strength": 0.0}})
    learner = Learner("mlp:16", chain, digits.space, epochs=1, lr=0.1)
    learner.learn(digits.task(1))
    si = learner.state[label.split("+").index("si")]
    path_P, before_P = torch.zeros_like(si.path_P), learner.flat.theta_P.detach().clone()

    def look(_: int) -> None:
        path_P.sub_(si.grad_P * (learner.flat.theta_P.detach() - before_P))
        before_P.copy_(learner.flat.theta_P.detach())

    learner.learn(digits.task(2), on_step=look)
    assert torch.allclose(si.path_P, path_P, atol=1e-5)


@pytest.mark.parametrize("label", UNTREATED)
def test_a_network_that_one_method_makes_is_checked_by_the_others_at_once(
    label: str, clouds: Callable[..., Stream]
) -> None:
    with pytest.raises(SettingError, match=r"is a (AttentionGate|Columns)"):
        learner_of(label, clouds("task"))


@dataclass
class Noted:
    """The number of every step whose own batch was in a loss."""

    steps: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Probe(Method[Noted]):
    """Notes that the losses inside were asked for."""

    name = "probe"
    family = "springs"
    reference = "-"

    @property
    def state_type(self) -> type[Noted]:
        return Noted

    def loss(self, state: Noted, step: Step, inner: Inner) -> Tensor:
        if set(step.batch.task_numbers().tolist()) >= {step.task}:
            state.steps.append(step.number)
        return inner(step)


@pytest.mark.parametrize("name", [name for name, kind in METHODS.items() if Claim.SOLVES not in kind().claimed()])
def test_a_method_uses_the_loss_of_those_inside_or_says_that_it_does_not(
    name: str, clouds: Callable[..., Stream]
) -> None:
    method = build(name)
    stream, steps = clouds(method.scenarios[-1], tasks=2), list[int]()
    learner = Learner("mlp:12", Chain(method, Probe()), stream.space, batch=10)
    for task in stream:
        learner.learn(task, on_step=steps.append)
    assert set(learner.state[1].steps) == set(steps), "what leaves out the loss of others is innermost"


# --- examples of several tasks, asked about beside the loss ---


def step_of(learner: Learner, batch: Examples) -> Step:
    def forward(x: Tensor, task: int | Tensor) -> Tensor:
        return learner.method.forward(learner.state, learner, x, task)

    return Step(learner, forward, batch, learner.tasks[-1], 2, 18, 1, 6, 0.1, 10.0)


def gated_life(stream: Stream) -> tuple[Learner, Examples]:
    """A learner with gates after two tasks, and some examples of both."""
    learner = Learner("mlp:12,10", XdG(gate=0.6), stream.space, batch=10, lr=0.1, epochs=2)
    for number in (1, 2):
        learner.learn(stream.task(number))
    return learner, Examples.cat([stream.task(number).train.at(slice(0, 6)) for number in (2, 1)])


def under_its_task(learner: Learner, x: Tensor, task: int) -> Tensor:
    with selecting(learner.model, task):
        logits: Tensor = learner.model(x[None])
    return learner.objective.masked(logits, task)


def test_interference_is_measured_under_the_task_of_each_example(clouds: Callable[..., Stream]) -> None:
    learner, some = gated_life(clouds("task", tasks=2))
    virtual_P = learner.flat.theta_P.detach() + 0.3 * torch.randn(len(learner.flat))
    rise = interference(step_of(learner, some), some, virtual_P)
    for place, (x, y, task) in enumerate(zip(some.x, some.y, some.task_numbers().tolist(), strict=True)):
        now = torch.log_softmax(under_its_task(learner, x, task), 1)[0, y]
        with learner.flat.holding(virtual_P):
            after = torch.log_softmax(under_its_task(learner, x, task), 1)[0, y]
        assert float(rise[place]) == pytest.approx(float((now - after).detach()), abs=1e-5)


@pytest.mark.parametrize("method", [XdG(gate=0.6), Progressive()], ids=lambda method: method.name)
def test_gradients_are_compared_under_the_task_of_each_example(
    method: Method[Any], clouds: Callable[..., Stream]
) -> None:
    stream = clouds("task", tasks=2)
    learner = Learner("mlp:12,10", method, stream.space, batch=10, lr=0.1, epochs=2)
    for task in stream:
        learner.learn(task)
    some, rows = Examples.cat([stream.task(number).train.at(slice(0, 6)) for number in (2, 1)]), []
    for x, y, number in zip(some.x, some.y, some.task_numbers().tolist(), strict=True):
        row_P = learner.flat.gradient(-torch.log_softmax(under_its_task(learner, x, number), 1)[0, y])
        rows.append(row_P / row_P.norm().clamp_min(1e-12))
    assert torch.allclose(normalised(inner_products(learner, some)), torch.stack(rows) @ torch.stack(rows).T, atol=1e-4)


def test_a_teacher_answers_under_the_task_of_each_example(clouds: Callable[..., Stream]) -> None:
    learner, some = gated_life(clouds("task", tasks=2))
    given = answers(step_of(learner, some), snapshot(learner), some.x, some.task)
    for place, (x, task) in enumerate(zip(some.x, some.task_numbers().tolist(), strict=True)):
        own = list(learner.objective.classes[task])
        assert torch.allclose(given[place, own], under_its_task(learner, x, task)[0, own], atol=1e-5)


@pytest.mark.parametrize("first", ["der", "xdg"])
def test_der_asks_for_new_outputs_under_the_task_of_each_example(first: str, clouds: Callable[..., Stream]) -> None:
    stream = clouds("task", tasks=2)
    methods: list[Method[Any]] = [DER(capacity=20), XdG(gate=0.6)]
    chain = Chain(*methods if first == "der" else methods[::-1])
    learner = Learner("mlp:12,10", chain, stream.space, batch=10, lr=0.1)
    learner.learn(stream.task(1))
    learner._announce(stream.task(2))
    network = learner.model
    select(network, 2)
    state = learner.state[0 if first == "der" else 1]
    held = state.examples()
    state = methods[0].begin_task(state, learner, stream.task(2).train)
    with selecting(network, 1), torch.no_grad():
        assert torch.allclose(state.tables[0].columns["answer"][:, 2:], network(held.x)[:, 2:], atol=1e-6)
    with selecting(network, 2), torch.no_grad():
        assert not torch.allclose(state.tables[0].columns["answer"][:, 2:], network(held.x)[:, 2:], atol=1e-2)


@pytest.mark.parametrize("label", ["ogd+progressive", "progressive+ogd"])
def test_directions_that_lose_parameters_are_made_orthonormal_again(label: str, clouds: Callable[..., Stream]) -> None:
    stream = clouds("task", tasks=2)
    learner = learner_of(label, stream)
    for task in stream:
        learner.learn(task)
    [basis_KP] = [state.basis_KP for state in learner.state if hasattr(state, "basis_KP")]
    assert len(basis_KP) > 10
    assert torch.allclose(basis_KP @ basis_KP.T, torch.eye(len(basis_KP)), atol=1e-5)
