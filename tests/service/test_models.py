"""Versions in memory: one switch, nothing lost when a load fails, nothing kept that nobody needs."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lifelong import Learner, Space
from lifelong.errors import SettingError, StorageError
from lifelong.loop.learning import Candidate
from lifelong.loop.project import LearnerSettings
from lifelong.methods import build
from lifelong.service.metrics import Metrics
from lifelong.service.models import Models


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


def test_a_canary_that_cannot_be_loaded_is_left_out(memory: Any, models: Models, candidates: list[Candidate]) -> None:
    memory.promote("paint", candidates[0].id, canary="f" * 64, percent=50.0, shadow=candidates[1].id)
    lineup = models.refresh("paint")
    assert lineup is not None
    assert lineup.canary is None
    assert lineup.shadow is not None
    assert models.refresh("paint") is lineup
    assert models.ready


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
