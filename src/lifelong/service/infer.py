"""The path of a prediction: who answers, the answer, its log, and the shadow's answer that nobody hears."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from lifelong.errors import StorageError
from lifelong.loop import Project
from lifelong.loop.canary import is_canary
from lifelong.service.batching import Batcher
from lifelong.service.catalogue import Catalogue, Prediction, Variant
from lifelong.service.metrics import Metrics
from lifelong.service.model import Answers, Model
from lifelong.service.models import Lineup, Models
from lifelong.service.prediction_log import PredictionLog
from lifelong.service.problems import ModelError, ProblemError
from lifelong.service.settings import ServeSettings
from lifelong.service.tensors import Answered, Question

__all__ = ["Predictor", "no_version"]


class Predictor:
    """Answers questions for every project; made in the event loop that it will be used in.

    Arguments: `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        settings: ServeSettings,
        models: Models,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.models, self.metrics = models, metrics
        self._catalogue, self._durable, self._clock = catalogue, settings.durable, clock
        self._log = PredictionLog(catalogue.log, metrics)
        self._batcher = Batcher(settings.batch_rows, settings.waiting_rows, settings.inline_ms / 1000, metrics)

    async def lineup(self, name: str) -> Lineup:
        """Who answers for project `name`, looked up where nobody does yet.

        Raises: `ProblemError` 404 for an unknown project or one without a version; `StorageError` where nobody can
        be loaded.
        """
        lineup = self.models.lineup(name)
        if lineup is None and name in self.models.failures:
            raise StorageError(self.models.failures[name])
        lineup = lineup or await asyncio.to_thread(self.models.refresh, name)
        if lineup is None:
            known = await asyncio.to_thread(self._catalogue.projects)
            if name in known:
                raise ProblemError(404, f"project {name!r} has no version that answers yet; promote one")
            raise ProblemError(404, f"unknown model {name!r}; the name of a project is expected")
        return lineup

    async def version(self, project: Project, version: str) -> Model:
        """That version of the project; `ProblemError` 404 where it has none of that id."""
        model = self.models.loaded(project.name, version)
        model = model or await asyncio.to_thread(self.models.version, project, version)
        if model is None:
            raise no_version(project.name, version)
        return model

    async def known(self, project: str, version: str) -> bool:
        """Whether the project has a version of that id, in memory or not."""
        loaded = self.models.loaded(project, version) is not None
        return loaded or await asyncio.to_thread(self._catalogue.has, project, version)

    async def predict(self, lineup: Lineup, question: Question, sticky: str, version: str | None = None) -> Answered:
        """Answer with the champion, for some of the `sticky` keys with the canary, or with the `version` named.

        Where the canary fails, the champion answers.

        Raises: `ProblemError` 400 for a missing or unknown task, 503 where too much waits; `ModelError`.
        """
        model, variant = lineup.champion, "champion"
        if version is None:
            if lineup.canary is not None and is_canary(sticky, lineup.row.percent, lineup.canary.version):
                model, variant = lineup.canary, "canary"
        elif version != model.version:
            model, variant = await self.version(lineup.project, version), "named"
        try:
            answers = await self._answers(lineup, model, variant, question)
        except ModelError:
            if variant != "canary":
                raise
            model, variant = lineup.champion, "champion"
            answers = await self._answers(lineup, model, variant, question)
        answered = Answered(model.version, variant, answers, new_ids(len(question.x_N), self._clock()))
        if self._durable:
            await self._log.durable(self._logged(lineup.project.name, answered, question))
        else:
            self._log.add(self._logged(lineup.project.name, answered, question))
        if lineup.shadow is not None and version is None:
            self._ask_shadow(lineup, lineup.shadow, answered, question)
        return answered

    async def settled(self) -> None:
        """Return when all that was answered until now is stored."""
        await self._log.settled()

    async def close(self) -> None:
        """Store what was answered, and end."""
        await self._log.close()
        self._batcher.close()

    async def _answers(self, lineup: Lineup, model: Model, variant: Variant, question: Question) -> Answers:
        labels = (lineup.project.name, model.version, variant)
        try:
            answers = await self._batcher.submit(model, question.x_N, known_task(model, question.task))
        except ModelError:
            self._failed(lineup, model, variant, len(question.x_N))
            raise
        self.metrics.rows.add(*labels, n=len(question.x_N))
        return answers

    def _failed(self, lineup: Lineup, model: Model, variant: Variant, rows: int) -> None:
        """Count `rows` inputs; what is evidence for or against who answers beside the champion is stored."""
        name, row = lineup.project.name, lineup.row
        self.metrics.failed.add(name, model.version, variant, n=rows)
        if variant != "named" and (row.canary is not None or row.shadow is not None):
            self._log.fail(name, row.traffic, model.version, variant, rows)

    def _ask_shadow(self, lineup: Lineup, shadow: Model, answered: Answered, question: Question) -> None:
        name, rows = lineup.project.name, len(question.x_N)
        try:
            coming = self._batcher.spare(shadow, question.x_N, known_task(shadow, question.task))
        except ProblemError:  # a task that the champion knows and the shadow does not
            coming = None
        if coming is None:
            self.metrics.skipped.add(name, n=rows)
            return

        def compare(done: asyncio.Future[Answers]) -> None:
            if done.cancelled() or done.exception() is not None:
                self._failed(lineup, shadow, "shadow", rows)
                return
            answers = done.result()
            same = int((answers.output_N == answered.answers.output_N).sum())
            self.metrics.agreed.add(name, shadow.version, n=same)
            self.metrics.differed.add(name, shadow.version, n=rows - same)
            self.metrics.rows.add(name, shadow.version, "shadow", n=rows)
            ids = [f"{own}.shadow" for own in answered.ids]
            self._log.add(self._logged(name, Answered(shadow.version, "shadow", answers, ids), question))

        coming.add_done_callback(compare)

    def _logged(self, project: str, answered: Answered, question: Question) -> list[Prediction]:
        now = self._clock()
        outputs, confidences = answered.answers.output_N.tolist(), answered.answers.confidence_N.tolist()
        return [
            Prediction(own, project, answered.version, answered.variant, x, output, confidence, now)
            for own, x, output, confidence in zip(answered.ids, question.x_N, outputs, confidences, strict=True)
        ]


def no_version(project: str, version: str) -> ProblemError:
    """What is said where a version is named that is not stored."""
    return ProblemError(404, f"project {project!r} has no version {version!r}; versions are named by their id")


def known_task(model: Model, task: int | None) -> int | None:
    """The task to ask `model` about; `ProblemError` 400 where one is needed and it is missing or unknown."""
    tasks = model.tasks
    if tasks is None:
        return None
    if task not in tasks:
        raise ProblemError(
            400,
            f"this model needs the number of a task that it has learned ({', '.join(map(str, tasks))}), got {task}; "
            'send it as "parameters": {"task": …} (in /invocations: "params")',
        )
    return task


def new_ids(count: int, now: float) -> list[str]:
    """Ids that nobody can guess, in the order of time so that an index on them grows at its end.

    >>> ids = new_ids(3, 1.0)
    >>> [len(id) for id in ids], ids[0][:12]
    ([32, 32, 32], '0000000003e8')
    """
    start, luck = f"{int(now * 1000):012x}", os.urandom(10 * count).hex()
    return [start + luck[at : at + 20] for at in range(0, 20 * count, 20)]
