"""`python -m lifelong.loop.train FOLDER PARENT`: one update in a process of its own, so that a server keeps answering.

The folder holds `job.json`, `champion`, and the blobs of the tasks by their names. Written there: `candidate`,
`answers` (`job.pack_answers`) and `result.json`. Progress goes to stdout as lines of JSON; one with `need` asks for the
blobs of the old lots, and a line on stdin says that they are there. It ends where its parent is gone.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import torch

from lifelong.errors import LifelongError
from lifelong.loop import exam, learning
from lifelong.loop.backdoor import backdoors_of
from lifelong.loop.job import HOPELESS, Job, Part, answers_of, pack_answers
from lifelong.loop.lot import unpack
from lifelong.loop.project import MethodChoice, from_json
from lifelong.loop.repair import repaired
from lifelong.training import Progress
from lifelong.types import Examples, Split, Task

__all__ = ["main"]


def main(folder: Path, parent: int) -> int:
    """Learn what `folder` tells; 0 where the results are there, `HOPELESS` where stdout says why that cannot be."""
    torch.set_num_threads(1)  # the bits depend on it
    os.nice(5)  # predictions come first
    job = msgspec.json.decode((folder / "job.json").read_bytes(), type=Job)
    try:
        _learn(folder, job, parent, ask_for_lots)
    except LifelongError as error:
        tell({"failed": str(error)})
        return HOPELESS
    return 0


def _learn(folder: Path, job: Job, parent: int, fetch_lots: Callable[[], None]) -> None:
    project = from_json(json.dumps(job.project), "the project")
    method = None if job.method is None else MethodChoice(job.method["name"], job.method.get("settings") or {})
    tasks = [_task(folder, part) for part in job.exams]
    new = next(task for task in tasks if task.number == job.task)
    champion = (folder / job.champion).read_bytes()

    def step(_: int) -> None:
        if os.getppid() != parent:
            raise SystemExit(4)

    def report(news: Progress) -> None:
        tell({"stage": "learning", "step": news.step, "steps": news.steps, "loss": round(news.loss, 4)})

    def lots() -> list[Task]:
        fetch_lots()
        return [task for task in tasks if task.number != job.task]

    tell({"stage": "learning", "step": 0})
    learned = {
        number: answers_of((folder / each.answers).read_bytes())[each.who][number]
        for number, each in job.learned.items()
    }
    made = repaired(
        project,
        champion,
        tasks,
        job.task,
        method,
        learned,
        job.beside,
        lots,
        retrain=bool((job.method or {}).get("retrain")),
        tell=tell,
        on_progress=report,
        on_step=step,
    )
    tell({"stage": "exams", "of": len(tasks)})
    before = exam.answers(learning.opened(champion), tasks)
    found = backdoors_of(project, learning.opened(champion), made.candidate.learner, tasks, job.task, job.beside)
    steps = [*made.steps, {"step": "backdoors", "found": [{**asdict(each), "success": each.success} for each in found]}]
    taken = exam.latency(made.candidate.learner, new)
    (folder / "candidate").write_bytes(made.candidate.data)
    (folder / "answers").write_bytes(pack_answers(made.candidate.learner, tasks, made.answers, before))
    (folder / "result.json").write_text(json.dumps({"latency": asdict(taken), "steps": steps}))


def _task(folder: Path, part: Part) -> Task:
    """Its splits are read when they are asked for: what an old task was learned from is seldom here."""
    blobs = {"train": part.train, "test": part.exam}

    def load(split: Split) -> Examples | None:
        if split not in blobs:
            return None
        x, y = unpack((folder / blobs[split]).read_bytes())
        return Examples(torch.from_numpy(x.copy()), torch.from_numpy(y.copy()), part.number)

    return Task(part.number, part.name, tuple(part.classes), load)


def ask_for_lots() -> None:
    """Let the parent bring what the old tasks were learned from, and wait until it is there."""
    tell({"stage": "fetching the old lots", "need": "lots"})
    if sys.stdin.readline().strip() != "lots":
        raise SystemExit(4)  # the parent is gone, or stops this work


def tell(news: Mapping[str, Any]) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
