"""Answers joined into runs are those of single runs, and one request's trouble is its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from lifelong.loop.learning import Candidate, opened
from lifelong.loop.schema import Inputs
from lifelong.service.batching import Batcher
from lifelong.service.metrics import Metrics
from lifelong.service.model import Answers, Model
from lifelong.service.problems import ModelError, ProblemError

LONG = (1.0, 1.0)  # seconds that send a run to the other thread


def numbers(rows: int, seed: int = 0) -> Inputs:
    return np.random.default_rng(seed).standard_normal((rows, 6)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Probe(Model):
    """A model that notes its runs: threads and sizes; rows that hold 666 make it fail, 777 makes NaN of them."""

    runs: list[tuple[str, int]] = field(default_factory=list)
    gate: threading.Event | None = None

    def answer(self, x_N: Inputs, task: int | None = None) -> Answers:
        self.runs.append((threading.current_thread().name, len(x_N)))
        if self.gate is not None:
            assert self.gate.wait(5)
        if (x_N == 666).any():
            raise RuntimeError("the number of the beast")
        answers = Model.answer(self, x_N, task)
        answers.confidence_N[(x_N == 777).any(1)] = np.nan
        return answers


@pytest.fixture
def probe(candidates: list[Candidate]) -> Callable[..., Probe]:
    def make(which: int = 0, **more: Any) -> Probe:
        candidate = candidates[which]
        return Probe(candidate.id, ("red", "green", "blue"), opened(candidate.data), **more)

    return make


def within(work: Callable[[Batcher, Metrics], Awaitable[Any]], rows: int = 16, limit: int = 64) -> Any:
    """What `work` gives with a batcher in a loop of its own."""

    async def main() -> Any:
        metrics = Metrics()
        batcher = Batcher(rows, limit, 0.002, metrics)
        try:
            return await asyncio.wait_for(work(batcher, metrics), 10)
        finally:
            batcher.close()

    return asyncio.run(main())


@pytest.mark.parametrize("seconds", [(0.0, 0.0), LONG])
def test_joined_answers_are_those_of_single_runs(probe: Callable[..., Probe], seconds: tuple[float, float]) -> None:
    model = probe(seconds=seconds)
    xs = [numbers(1 + seed % 3, seed) for seed in range(12)]

    async def work(batcher: Batcher, metrics: Metrics) -> list[Answers]:
        return await asyncio.gather(*(batcher.submit(model, x) for x in xs))

    joined = within(work)
    runs = list(model.runs)
    for x, together in zip(xs, joined, strict=True):
        alone = model.answer(x)
        np.testing.assert_array_equal(together.output_N, alone.output_N)
        np.testing.assert_allclose(together.probability_NC, alone.probability_NC, atol=1e-6)
    assert len(runs) < len(xs)
    assert max(rows for _, rows in runs) <= 16
    assert sum(rows for _, rows in runs) == sum(len(x) for x in xs)
    assert all(thread.startswith("lifelong-model") == (seconds is LONG) for thread, _ in runs)


@pytest.mark.parametrize("bad", [666, 777])
def test_a_row_that_breaks_the_model_harms_nobody_else(probe: Callable[..., Probe], bad: int) -> None:
    model = probe()
    wrong = numbers(2)
    wrong[1, 3] = bad

    async def work(batcher: Batcher, metrics: Metrics) -> list[Answers | BaseException]:
        questions = [numbers(1, 1), wrong, numbers(3, 2)]
        return await asyncio.gather(*(batcher.submit(model, x) for x in questions), return_exceptions=True)

    first, broken, last = within(work)
    assert isinstance(broken, ModelError)
    assert model.version in str(broken)
    assert len(first.output_N) == 1
    np.testing.assert_allclose(last.probability_NC, model.answer(numbers(3, 2)).probability_NC, atol=1e-6)


def test_models_and_tasks_are_not_mixed(probe: Callable[..., Probe]) -> None:
    one, two = probe(0), probe(1)
    x = numbers(1)

    async def work(batcher: Batcher, metrics: Metrics) -> list[Answers]:
        asked = [(one, None), (two, None), (one, None), (one, 1), (two, None)]
        return await asyncio.gather(*(batcher.submit(model, x, task) for model, task in asked))

    answers = within(work)
    expected = [Model.answer(model, x).probability_NC for model in (one, two, one, one, two)]
    for found, right in zip(answers, expected, strict=True):
        np.testing.assert_allclose(found.probability_NC, right, atol=1e-6)
    assert [rows for _, rows in one.runs] == [2, 1]
    assert [rows for _, rows in two.runs] == [2]


def test_an_idle_server_does_not_wait_for_company(probe: Callable[..., Probe]) -> None:
    model = probe()

    async def work(batcher: Batcher, metrics: Metrics) -> int:
        coming, turns = batcher.submit(model, numbers(1)), 0
        while not coming.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert within(work) <= 2


def test_too_much_waiting_is_refused_and_the_rest_is_answered(probe: Callable[..., Probe]) -> None:
    gate = threading.Event()
    model = probe(seconds=LONG, gate=gate)

    async def work(batcher: Batcher, metrics: Metrics) -> tuple[int, ProblemError]:
        coming = [batcher.submit(model, numbers(16)) for _ in range(4)]
        while not model.runs:
            await asyncio.sleep(0.001)
        coming.append(batcher.submit(model, numbers(16)))  # the first 16 run, so they wait no more
        with pytest.raises(ProblemError) as refused:
            batcher.submit(model, numbers(1))
        gate.set()
        return sum(len(answers.output_N) for answers in await asyncio.gather(*coming)), refused.value

    rows, refused = within(work)
    assert rows == 80
    assert refused.status == 503
    assert refused.headers["Retry-After"] == "1"


def test_a_request_larger_than_a_batch_runs_alone(probe: Callable[..., Probe]) -> None:
    model = probe()

    async def work(batcher: Batcher, metrics: Metrics) -> list[Answers]:
        return await asyncio.gather(*(batcher.submit(model, numbers(rows)) for rows in (2, 40, 2)))

    assert [len(answers.output_N) for answers in within(work)] == [2, 40, 2]
    assert sorted(rows for _, rows in model.runs) == [4, 40]


def test_whoever_has_gone_is_skipped(probe: Callable[..., Probe]) -> None:
    model = probe()

    async def work(batcher: Batcher, metrics: Metrics) -> Answers:
        gone, stays = batcher.submit(model, numbers(1)), batcher.submit(model, numbers(2))
        gone.cancel()
        return await stays

    assert len(within(work).output_N) == 2


def test_spare_work_comes_last_and_is_bounded(probe: Callable[..., Probe]) -> None:
    gate = threading.Event()
    model, shadow = probe(0, seconds=LONG, gate=gate), probe(1)

    async def work(batcher: Batcher, metrics: Metrics) -> list[str]:
        first = batcher.submit(model, numbers(1))
        spare = batcher.spare(shadow, numbers(10))
        assert spare is not None
        assert batcher.spare(shadow, numbers(10)) is None
        later = batcher.submit(model, numbers(1))
        order: list[str] = []
        later.add_done_callback(lambda _: order.append("later"))
        spare.add_done_callback(lambda _: order.append("spare"))
        gate.set()
        await asyncio.gather(first, later, spare)
        return order

    assert within(work) == ["later", "spare"]
