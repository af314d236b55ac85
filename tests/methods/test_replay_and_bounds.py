"""ER, GEM, joint, independent and chains: the facts that make each of them what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from lifelong.errors import SettingError
from lifelong.methods import ER, EWC, GEM, Chain, Finetune, Independent, Joint, build
from lifelong.streams import Stream
from lifelong.training import Learner

Clouds = Callable[..., Stream]


def test_er_without_memory_is_fine_tuning_bit_for_bit(clouds: Clouds) -> None:
    stream = clouds("class")
    ours = Learner("mlp:8", ER(capacity=0), stream.space, epochs=2)
    plain = Learner("mlp:8", Finetune(), stream.space, epochs=2)
    for task in stream:
        ours.learn(task)
        plain.learn(task)
    assert torch.equal(ours.flat.theta_P, plain.flat.theta_P)


def test_er_takes_one_gradient_of_batch_and_replay_together(clouds: Clouds) -> None:
    stream = clouds("domain", tasks=2)
    learner = Learner("linear", ER(capacity=54, replay_batch=54), stream.space, iterations=1, batch=54, lr=0.5)
    first, second = stream.task(1).train, stream.task(2).train
    learner.learn(stream.task(1))
    start = learner.flat.theta_P.detach().clone()
    learner.learn(stream.task(2))
    x, y = torch.cat([second.x, first.x]), torch.cat([second.y, first.y])
    with torch.no_grad():
        end = learner.flat.theta_P.detach().clone()
        learner.flat.assign(start)
    gradient = learner.flat.gradient(torch.nn.functional.cross_entropy(learner.model(x), y))
    assert torch.allclose(end, start - 0.5 * gradient, atol=1e-6)


def test_the_reservoir_holds_different_examples_after_many_epochs(clouds: Clouds) -> None:
    stream = clouds("domain", tasks=2)
    learner = Learner("linear", ER(capacity=500), stream.space, epochs=4)
    for task in stream:
        learner.learn(task)
    held = learner.state.examples()
    assert learner.state.num_seen == 108
    assert len(held.x.unique(dim=0)) == 108


def test_gem_never_steps_against_a_past_task(clouds: Clouds) -> None:
    stream = clouds("domain")
    learner = Learner("mlp:12", GEM(capacity=20, margin=0.0), stream.space, epochs=1, batch=10, lr=1e-4)
    learner.learn(stream.task(1))
    memory = learner.state.of(1)
    losses: list[float] = []

    def note(_: int) -> None:
        with torch.no_grad():
            losses.append(float(learner.objective.loss(learner.model(memory.x), memory.y, 1)))

    note(0)
    learner.learn(stream.task(2), on_step=note)
    rises = [after - before for before, after in pairwise(losses)]
    assert max(rises) <= 1e-6, "a small step along the projected gradient does not raise the past loss"


def test_gem_shares_a_total_capacity(clouds: Clouds) -> None:
    stream = clouds("domain")
    learner = Learner("mlp:8", GEM(capacity=30, per="total"), stream.space)
    for task in stream:
        learner.learn(task)
        assert sum(len(learner.state.of(number)) for number in learner.tasks) <= 30
    assert [len(learner.state.of(number)) for number in (1, 2, 3)] == [10, 10, 10]


def test_joint_does_not_depend_on_the_order_of_the_tasks_before(clouds: Clouds) -> None:
    """Row t of joint is multi-task learning from the random initialisation, whatever was learned before."""
    stream = clouds("domain", tasks=2)
    both = Learner("mlp:8", Joint(), stream.space, epochs=5, batch=200)
    for task in stream:
        both.learn(task)
    x = torch.cat([task.train.x for task in stream])
    y = torch.cat([task.train.y for task in stream])
    own = Learner("mlp:8", Finetune(), stream.space, epochs=5, batch=200)
    union = Stream.from_datasets([((x, y), (x, y))], validation=0)
    own.learn(union.task(1))
    assert torch.allclose(both.flat.theta_P, own.flat.theta_P, atol=1e-5), "a whole-batch step has no order"


def test_independent_models_forget_nothing_and_cost_their_storage(clouds: Clouds) -> None:
    stream = clouds("class")
    learner = Learner("mlp:8", Independent(), stream.space, epochs=3)
    right_after: list[float] = []
    for task in stream:
        learner.learn(task)
        right_after.append(learner.accuracy(task))
    assert learner.evaluate(stream) == right_after
    assert min(right_after) > 0.9
    sizes = [len(theta) for theta in learner.state.theta_P]
    assert learner.parameters == len(learner.flat) + sum(sizes)
    with pytest.raises(SettingError, match="needs the number of the task"):
        learner.predict(stream.task(1).test.x)


def test_independent_answers_with_the_last_model_of_a_task_and_keeps_no_other(clouds: Clouds) -> None:
    stream = clouds("domain", tasks=2)
    one, two = stream.task(1), stream.task(2)
    learner = Learner("mlp:8", Independent(), stream.space, epochs=2)
    learner.learn(one)
    learner.learn(two)
    stored, first, second = learner.stored_bytes, learner.logits(one.test.x, 1), learner.logits(two.test.x, 2)
    learner.learn(replace(one, load=two.load))
    assert learner.stored_bytes == stored
    assert not torch.allclose(learner.logits(one.test.x, 1), first)
    assert learner.accuracy(replace(one, load=two.load)) > 0.8
    assert torch.equal(learner.logits(two.test.x, 2), second)


def test_a_chain_folds_springs_into_replay(clouds: Clouds) -> None:
    stream = clouds("domain")
    silent = Chain(EWC(strength=0.0), ER(capacity=50))
    chained, alone = (Learner("mlp:8", method, stream.space) for method in (silent, ER(capacity=50)))
    for task in stream:
        chained.learn(task)
        alone.learn(task)
    assert torch.equal(chained.flat.theta_P, alone.flat.theta_P)
    assert chained.state[0].largest > 0


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("ewcc", {}, "did you mean 'ewc'"),
        ("ewc", {"strenght": 1}, "did you mean 'strength'"),
        ("ewc", {"strength": "much"}, "float"),
        ("ewc", {"strength": -1}, "0 or more, got -1"),
        ("ewc", {"fisher": "fake"}, "ewc.fisher must be auto, true, sampled, empirical or batched, got .fake"),
        ("er", {"replay_batch": 0}, "1 or more"),
        ("gem", {"per": "day"}, "day"),
        ("ewc+ewc", {}, "each method once"),
        ("ewc+er", {"gem": {}}, "unknown part"),
    ],
)
def test_wrong_settings_are_named_with_their_mend(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        build(name, settings)


def test_a_chain_does_not_restart_what_another_method_holds() -> None:
    with pytest.raises(SettingError, match="take one of them"):
        build("xdg+gdumb")


RESIZED = ["er", "er-ace", "mir", "gss", "der", "der++", "gdumb", "agem", "gem"]


@pytest.mark.parametrize(("before", "asked"), [(40, 12), (12, 40)])
@pytest.mark.parametrize("name", RESIZED)
def test_a_memory_follows_a_changed_capacity(
    name: str, before: int, asked: int, clouds: Clouds, tmp_path: Path
) -> None:
    stream, settings = clouds("domain"), {"per": "total"} if name == "gem" else {}
    learner = Learner("mlp:8", build(name, {"capacity": before, **settings}), stream.space)
    learner.learn(stream.task(1))
    learner.save(tmp_path / "learner.safetensors")
    assert len(learner.state) == before
    changed = build(name, {"capacity": asked, **settings})
    again = Learner.load(tmp_path / "learner.safetensors", method=changed)
    again.learn(stream.task(2))
    assert len(again.state) <= asked
    assert len(again.state) > (before if asked > before else 0)
    again.save(tmp_path / "again.safetensors")
    loaded = Learner.load(tmp_path / "again.safetensors")
    for one in (again, loaded):
        one.learn(stream.task(3))
    assert torch.equal(again.flat.theta_P, loaded.flat.theta_P)
    assert len(again.state) <= asked


def test_gem_per_task_thins_past_memories_to_a_smaller_capacity(clouds: Clouds, tmp_path: Path) -> None:
    stream = clouds("domain")
    learner = Learner("mlp:8", GEM(capacity=20), stream.space)
    learner.learn(stream.task(1))
    learner.save(tmp_path / "learner.safetensors")
    again = Learner.load(tmp_path / "learner.safetensors", method=GEM(capacity=7))
    again.learn(stream.task(2))
    assert [len(again.state.of(number)) for number in (1, 2)] == [7, 7]
