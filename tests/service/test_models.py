"""Versions in memory: one switch, nothing lost when a load fails, nothing kept that nobody needs."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lifelong import Learner, Space, stream
from lifelong.errors import SettingError, StorageError
from lifelong.loop.learning import Candidate, opened
from lifelong.loop.project import LearnerSettings
from lifelong.service.catalogue import Blob
from lifelong.service.metrics import Metrics
from lifelong.service.model import Answers, Model
from lifelong.service.models import Models

from ..small import build


def ids(candidates: list[Candidate]) -> list[str]:
    return [candidate.id for candidate in candidates]


def test_a_version_answers_as_its_learner(memory: Any, models: Models, candidates: list[Candidate]) -> None:
    x = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
    lineup = models.refresh("paint")
    assert lineup is not None
    answers = lineup.champion.answer(x)
    expected = torch.softmax(candidates[0].learner.logits(torch.from_numpy(x)), 1).numpy()
    np.testing.assert_array_equal(answers.probability_NC, expected)
    np.testing.assert_array_equal(answers.output_N, expected.argmax(1))
    np.testing.assert_array_equal(answers.confidence_N, expected.max(1))


def test_switching_changes_who_answers(memory: Any, models: Models, candidates: list[Candidate]) -> None:
    before = models.refresh("paint")
    assert models.refresh("paint") is before
    memory.promote("paint", candidates[1].id, canary=candidates[2].id, percent=10.0, shadow=candidates[3].id)
    after = models.refresh("paint")
    assert after is models.lineup("paint")
    assert before is not None
    assert after is not None
    assert before.champion.version == candidates[0].id
    assert [model.version for model in (after.champion, after.canary, after.shadow) if model] == ids(candidates)[1:]


def test_the_old_version_is_freed_after_its_last_use(memory: Any, models: Models, candidates: list[Candidate]) -> None:
    memory.known["paint"] = replace(memory.known["paint"], keep=0)
    lineup = models.refresh("paint")
    assert lineup is not None
    gone = weakref.ref(lineup.champion)
    memory.promote("paint", candidates[1].id)
    models.refresh("paint")
    gc.collect()
    assert gone() is not None  # a request still holds the lineup
    del lineup
    gc.collect()
    assert gone() is None


def test_a_rollback_finds_the_last_champions_loaded(memory: Any, models: Models, candidates: list[Candidate]) -> None:
    first = models.refresh("paint")
    for candidate in candidates[1:]:
        memory.promote("paint", candidate.id)
        models.refresh("paint")
    assert memory.known["paint"].keep == 2
    assert sorted(models.versions("paint")) == sorted(ids(candidates)[1:])  # the champion and two before it
    memory.blobs.clear()  # going back needs no bytes
    memory.promote("paint", candidates[2].id)
    back = models.refresh("paint")
    assert back is not None
    assert back.champion.version == candidates[2].id
    assert first is not None


@pytest.mark.parametrize("damage", ["gone", "cut", "another", "raises"])
def test_a_load_that_fails_leaves_the_champion_answering(
    memory: Any, models: Models, candidates: list[Candidate], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = models.refresh("paint")
    first, second = ids(candidates)[:2]
    if damage == "gone":
        del memory.blobs["paint", second]
    elif damage == "cut":
        memory.blobs["paint", second] = memory.blobs["paint", second][:-8]
    elif damage == "another":
        memory.blobs["paint", second] = memory.blobs["paint", first]
    else:

        def fail(project: str, version: str) -> bytes:
            raise StorageError("the disk is gone")

        monkeypatch.setattr(memory, "blob", fail)
    memory.promote("paint", second)
    for _ in range(2):  # it is tried again each time
        with pytest.raises(StorageError):
            models.refresh("paint")
        assert models.lineup("paint") is good
        assert second in models.failures["paint"]
        assert models.ready
    monkeypatch.undo()
    memory.blobs["paint", second] = candidates[1].data
    mended = models.refresh("paint")
    assert mended is not None
    assert mended.champion.version == second
    assert models.failures == {}


def test_nobody_answers_where_the_first_champion_cannot_be_loaded(memory: Any, models: Models) -> None:
    memory.blobs.clear()
    with pytest.raises(StorageError, match="has no version"):
        models.refresh("paint")
    assert not models.ready


def test_a_damaged_canary_is_left_out_and_withdrawn(memory: Any, models: Models, candidates: list[Candidate]) -> None:
    second = candidates[1].id
    memory.blobs["paint", second] = memory.blobs["paint", second][:-8]
    memory.promote("paint", candidates[0].id, canary=second, percent=50.0, shadow=candidates[2].id)
    lineup = models.refresh("paint")
    assert lineup is not None
    assert lineup.canary is None
    assert lineup.shadow is not None
    assert list(memory.withdrawn) == [second]
    assert "is damaged" in memory.withdrawn[second]
    assert memory.rows["paint"].canary is None
    assert models.refresh("paint") is models.refresh("paint")
    assert models.ready


def test_a_canary_that_fails_on_its_first_inputs_is_withdrawn(
    memory: Any, models: Models, candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    second, answer_now = candidates[1].id, Model.answer

    def moody(model: Model, x_N: Any, task: int | None = None) -> Answers:
        if model.version == second:
            raise RuntimeError("no")
        return answer_now(model, x_N, task)

    monkeypatch.setattr(Model, "answer", moody)
    memory.promote("paint", candidates[0].id, canary=second, percent=50.0)
    lineup = models.refresh("paint")
    assert lineup is not None
    assert lineup.canary is None
    assert "RuntimeError: no" in memory.withdrawn[second]


def test_a_canary_that_cannot_be_read_now_is_tried_again(
    memory: Any, models: Models, candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    second, blob_now = candidates[1].id, memory.blob
    memory.promote("paint", candidates[0].id)
    models.refresh("paint")

    def away(project: str, version: str) -> Blob | None:
        raise StorageError("the bucket does not answer")

    monkeypatch.setattr(memory, "blob", away)
    memory.promote("paint", candidates[0].id, canary=second, percent=50.0)
    lineup = models.refresh("paint")
    assert lineup is not None
    assert lineup.canary is None
    monkeypatch.setattr(memory, "blob", blob_now)
    lineup = models.refresh("paint")
    assert lineup is not None
    assert lineup.canary is not None
    assert memory.withdrawn == {}


def gated(candidates: list[Candidate], *slow: int) -> tuple[Any, threading.Event, Counter[str]]:
    """A way to load that stops at the slow ones until the event, and what it was asked for."""
    going, asked = threading.Event(), Counter[str]()

    def load(data: bytes, digest: str) -> Learner:
        asked[digest] += 1
        if digest in {candidates[number].id for number in slow}:
            assert going.wait(30)
        return opened(data, digest)

    return load, going, asked


def until(condition: Any) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_canary_that_loads_slowly_holds_nobody_up(memory: Any, candidates: list[Candidate]) -> None:
    first, second, third, fourth = ids(candidates)
    load, going, asked = gated(candidates, 1)
    models = Models(memory, Metrics(), 8, 2, load)
    models.refresh("paint")
    memory.promote("paint", third, canary=second, percent=50.0)
    with ThreadPoolExecutor(2) as threads:
        try:
            slow = threads.submit(models.refresh, "paint")
            until(lambda: asked[second])
            lineup = models.lineup("paint")
            assert lineup is not None
            assert (lineup.champion.version, lineup.canary) == (third, None), "the champion is switched first"
            asked_by_name = threads.submit(models.version, memory.known["paint"], second)
            memory.promote("paint", fourth, canary=second, percent=50.0)
            other = threading.Thread(target=models.refresh, args=("paint",))
            other.start()
            until(lambda: (now := models.lineup("paint")) is not None and now.champion.version == fourth)
            assert models.version(memory.known["paint"], first) is not None
        finally:
            going.set()
        other.join(30)
        late, named = slow.result(30), asked_by_name.result(30)
    now = models.lineup("paint")
    assert now is not None
    assert now.canary is not None
    assert (now.champion.version, now.canary.version) == (fourth, second)
    assert late is not None
    assert late.champion.version == fourth, "an older look does not undo a later one"
    assert asked[second] == 1, "who wants the same version waits for that one"
    assert named is now.canary


def test_after_a_restart_the_last_champions_are_loaded_beside_the_present_one(
    memory: Any, models: Models, candidates: list[Candidate]
) -> None:
    first, second, third, fourth = ids(candidates)
    memory.promote("paint", fourth)
    memory.before = [third, second, first]
    memory.blobs["paint", third] = b"damaged"
    models.refresh("paint")
    models.preload("paint", threading.Event())
    assert set(models.versions("paint")) == {fourth, second}, "two are kept, one of them is damaged"
    memory.blobs.clear()
    memory.promote("paint", second)
    back = models.refresh("paint")
    assert back is not None
    assert back.champion.version == second


def test_versions_asked_by_name_are_loaded_and_forgotten_in_turn(
    memory: Any, models: Models, candidates: list[Candidate]
) -> None:
    project = memory.known["paint"]
    models.refresh("paint")
    assert models.version(project, "f" * 64) is None
    for candidate in candidates[1:]:
        found = models.version(project, candidate.id)
        assert found is not None
        assert models.version(project, candidate.id) is found
    assert models.loaded("paint", candidates[1].id) is None  # two are kept
    assert models.loaded("paint", candidates[0].id) is not None  # the champion always is


def test_a_version_of_another_project_is_none_of_ours(memory: Any, models: Models, candidates: list[Candidate]) -> None:
    memory.known["sculpture"] = replace(memory.known["paint"], name="sculpture")
    assert models.version(memory.known["sculpture"], candidates[0].id) is None
    assert models.refresh("sculpture") is None


@pytest.mark.parametrize("method", ["finetune", "icarl", "packnet", "independent", "ranpac"])
@pytest.mark.parametrize("scenario", ["class", "task"])
def test_every_kind_of_method_answers_as_its_learner(memory: Any, clouds: Any, method: str, scenario: Any) -> None:
    stream = clouds(scenario)
    try:
        learner = Learner("mlp:8", build(method), space=Space((6,), 6, scenario), seed=0)
    except SettingError:
        pytest.skip(f"{method} does not do the scenario {scenario}")
    for task in stream.tasks[:2]:
        learner.learn(task)
    memory.known["tasks"] = replace(
        memory.known["paint"],
        name="tasks",
        classes=tuple("abcdef"),
        scenario=scenario,
        learner=LearnerSettings("mlp:8"),
    )
    (only,) = memory.add("tasks", [Candidate.of(learner)])
    memory.promote("tasks", only)
    lineup = Models(memory, Metrics(), 8, 1).refresh("tasks")
    assert lineup is not None
    x = stream.tasks[1].test.x
    task = 2 if lineup.champion.tasks else None
    assert lineup.champion.tasks == ([1, 2] if scenario == "task" or method == "independent" else None)
    answers = lineup.champion.answer(x.numpy(), task)
    np.testing.assert_array_equal(answers.probability_NC, torch.softmax(learner.logits(x, task), 1).numpy())
    assert (answers.output_N == stream.tasks[1].test.y.numpy()).mean() > 0.6


@pytest.mark.parametrize("name", ["hat", "xdg", "progressive", "packnet"])
def test_a_model_answers_for_each_task_as_its_learner_does(name: str) -> None:
    tasks = stream("split-digits", scenario="task", tasks=2)
    learner = Learner("mlp:16", build(name), tasks.space, iterations=5)
    for task in tasks:
        learner.learn(task)
    model, x = Model("v1", ("0", "1", "2", "3"), learner, rows=1), tasks.task(1).test.x[:5]
    learner.model.eval()
    for number in (1, 2, 1):
        expected = torch.softmax(learner.logits(x, number), dim=1)
        assert np.array_equal(model.answer(x.numpy(), number).probability_NC, expected.numpy())
