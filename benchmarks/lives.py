"""Long lives of the loop, without a server: 100 lots with recurring, gradual and abrupt drift, late classes, noise.

    python benchmarks/lives.py [--data digits|mnist-4k|mnist|electricity] [--lots 100] [--seed 0] [--settings JSON]
        [--training JSON] [--model NAME] [--quiet] [--out FILE]

Every lot goes through what the loop does with it: cut, learn, repair, judge. Printed: how many lots were promoted,
known and rejected, the accuracy on every concept (and the lowest recall of a class) beside those of one learner that
learned all lots together, and how long updates took at the beginning and at the end. Exit code 1 where fewer than 90
of 100 lots were promoted or known, the mean accuracy is more than 3 points below joint, or a class has less than 90 %
of its recall by joint.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.loop import exam
from lifelong.loop.backdoor import backdoors_of
from lifelong.loop.gate import Answers, Decision, Disagreement, decide
from lifelong.loop.learning import first_version, opened, retrained
from lifelong.loop.lot import ExamSettings, Row, cut, verdict_part
from lifelong.loop.project import LearnerSettings, MethodChoice, Project
from lifelong.loop.repair import repaired
from lifelong.loop.schema import InputSchema
from lifelong.streams.sources import data_folder, load
from lifelong.streams.transforms import rotate
from lifelong.types import Examples, Split, Task

NOISE = 0.05
LOT = 300


@dataclass(frozen=True, eq=False)
class World:
    """What a life meets: the first task, the `lots` of (x, y, image numbers), and a test per concept."""

    project: Project
    first: Task
    lots: Iterator[tuple[str, Tensor, Tensor, list[str]]]
    tests: dict[str, tuple[Tensor, Tensor]]


def images(name: str, lots: int, seed: int) -> World:
    """Digits that are turned further and further, permuted or inverted, and upright again; 8 and 9 come late."""
    source, draw = load(name), np.random.default_rng(seed)
    x, y = torch.cat([source.train_x, source.test_x]), torch.cat([source.train_y, source.test_y])
    order = torch.from_numpy(draw.permutation(len(x)))
    count = min(len(x) // 4, 1000)
    test, exams, pool = order[:count], order[count : 2 * count], order[2 * count :]
    pixels = torch.from_numpy(draw.permutation(x[0].numel()))
    concepts: dict[str, Callable[[Tensor], Tensor]] = {
        "upright": lambda image: image,
        "turned 30": lambda image: rotate(image, 30.0),
        "turned 60": lambda image: rotate(image, 60.0),
        "permuted": lambda image: image.flatten(1)[:, pixels].view_as(image),
        "inverted": lambda image: 1 - image,
    }

    def of(number: int) -> tuple[str, Callable[[Tensor], Tensor]]:
        at = number / lots
        if 0.3 < at <= 0.5:  # gradual
            angle = 60.0 * (at - 0.3) / 0.2
            return f"turned {angle:.0f}", lambda image: rotate(image, angle)
        known = ["upright"]
        known += ["turned 60"] * (at > 0.5) + ["permuted"] * (at > 0.6) + ["inverted"] * (at > 0.8)
        name = known[-1] if number % 2 else known[number // 2 % len(known)]  # abrupt, then in turn with what was
        return name, concepts[name]

    def stream() -> Iterator[tuple[str, Tensor, Tensor, list[str]]]:
        early = pool[y[pool] < 8]
        for number in range(1, lots + 1):
            name, change = of(number)
            among = early if number <= 0.2 * lots else pool
            rows = among[torch.from_numpy(draw.choice(len(among), LOT, replace=len(among) < LOT))]
            labels = y[rows].clone()
            wrong = torch.from_numpy(draw.random(len(rows)) < NOISE)
            labels[wrong] = torch.from_numpy(draw.integers(0, 8 if number <= 0.2 * lots else 10, int(wrong.sum())))
            yield name, change(x[rows]), labels, [str(int(row)) for row in rows]

    begin = pool[torch.from_numpy(draw.choice(len(pool), min(len(pool) // 2, 2000), replace=False))]
    begin, exams = begin[y[begin] < 8], exams[y[exams] < 8]
    shape = tuple(x.shape[1:])
    project = Project(
        "life",
        InputSchema(shape, 0, 1),
        tuple("0123456789"),
        learner=LearnerSettings("mlp:128"),
        exam=ExamSettings(0.3, cap=500, minimum=60),
    )
    first = Task.of(1, train=(x[begin], y[begin]), test=(x[exams][:500], y[exams][:500]), name="upright")
    tests = {name: (change(x[test]), y[test]) for name, change in concepts.items()}
    return World(project, replace(first, classes=tuple(range(10))), stream(), tests)


def electricity(lots: int, seed: int) -> World:
    """The electricity market of New South Wales, in time: whether the price goes up; concepts are its quarters."""
    table = np.genfromtxt(data_folder("tabular") / "elec.csv", delimiter=",", skip_header=1, dtype=np.float32)
    x, y = torch.from_numpy(table[:, :-1]), torch.from_numpy(table[:, -1]).long()
    rows = torch.arange(len(x)).tensor_split(lots + 4)
    begin = torch.cat(rows[:4])
    scale = x[begin].std(0).clamp_min(1e-3), x[begin].mean(0)
    x = (x - scale[1]) / scale[0]
    draw = np.random.default_rng(seed)
    held = torch.from_numpy(draw.random(len(x)) < 0.2)  # never learned: the tests of the concepts

    def stream() -> Iterator[tuple[str, Tensor, Tensor, list[str]]]:
        for number, part in enumerate(rows[4:], start=1):
            seen = part[~held[part]]
            yield f"time {number}", x[seen], y[seen], [str(int(row)) for row in seen]

    seen = begin[~held[begin]]
    seen = seen[torch.from_numpy(draw.permutation(len(seen)))]
    project = Project(
        "life",
        InputSchema(tuple(x.shape[1:]), -100, 100),
        ("down", "up"),
        learner=LearnerSettings("mlp:64"),
        exam=ExamSettings(0.3, cap=500, minimum=60, retire=True),
    )
    first = Task.of(1, train=(x[seen[500:]], y[seen[500:]]), test=(x[seen[:500]], y[seen[:500]]), name="first")
    tests = {
        f"quarter {place}": (x[part][held[part]], y[part][held[part]])
        for place, part in enumerate(torch.arange(len(x)).tensor_split(4), start=1)
    }
    return World(project, first, stream(), tests)


@dataclass(eq=False)
class Life:
    """A champion, all tasks that it has learned, and what became of each lot."""

    project: Project
    champion: bytes
    tasks: list[Task]
    learned: dict[int, Answers] = field(default_factory=dict)
    beside: list[int] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    failed: list[tuple[str, ...]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    differing: list[list[float]] = field(default_factory=list)
    retired: list[Task] = field(default_factory=list)
    lots: list[Task] = field(default_factory=list)

    def meet(self, name: str, x: Tensor, y: Tensor, ids: list[str]) -> Decision:
        """One lot: cut, learn, repair, judge."""
        number = len(self.outcomes) + 2
        rows = [Row(f"{place}", int(label), place, ids[place]) for place, label in enumerate(y)]
        lot = cut(rows, self.project.exam, self.project.seed)
        split: dict[Split, list[int]] = {"train": [int(i) for i in lot.train], "test": [int(i) for i in lot.exam]}
        parts = {part: Examples(x[places], y[places], number) for part, places in split.items()}
        task = Task(number, name, tuple(range(len(self.project.classes))), parts.get)
        self.lots.append(task)
        start = time.perf_counter()
        tasks = [*self.tasks, task]
        champion = exam.answers(opened(self.champion), tasks)
        made = repaired(
            self.project,
            self.champion,
            tasks,
            number,
            None,
            self.learned,
            self.beside,
            lambda: [*self.retired, *self.tasks],
        )
        exams = exam.compare(champion, made.answers, tasks, number, self.learned)
        exams = [
            replace(each, beside=each.task in self.beside).part(verdict_part(each.y, self.project.selection))
            for each in exams
        ]
        seen = Disagreement(*np.mean(self.differing[-10:], axis=0)) if self.differing else None
        retrain = any(step["step"] == "retrain" for step in made.steps)
        found = backdoors_of(self.project, opened(self.champion), made.candidate.learner, tasks, number, self.beside)
        decision = decide(
            self.project.gate,
            exams,
            disagreement=seen,
            exhausted=retrain,
            retire=self.project.exam.retire,
            backdoors=[{**asdict(each), "success": each.success} for each in found],
        )
        self.seconds.append(time.perf_counter() - start)
        count = sum(len(each.y) for each in exams if not each.is_new)
        pairs = [[each.pairs, each.since] for each in exams if not each.is_new]
        self.differing.append(
            [sum(each.gained + each.lost for each in some) / count for some in zip(*pairs, strict=True)]
        )
        self.outcomes.append(decision.outcome)
        self.failed.append(decision.failed)
        self.steps.append("+".join(str(step["step"]) for step in made.steps))
        self.beside = [*self.beside, number] if decision.extends else self.beside
        if decision.promote:
            for each in tasks[:-1]:
                self.learned.setdefault(each.number, champion[each.number])
            self.champion = made.candidate.data
            self.beside.clear()
        if decision.promote or decision.extends:
            self.retired += [each for each in tasks if each.number in decision.retired]
            self.tasks = [each for each in tasks if each.number not in decision.retired]
        return decision


def recalls(learner: Any, tests: dict[str, tuple[Tensor, Tensor]]) -> tuple[dict[str, float], np.ndarray[Any, Any]]:
    """Accuracy per concept, and the recall of each class over all concepts."""
    with torch.no_grad():
        answers = {name: learner.predict(x) for name, (x, _) in tests.items()}
    right = {name: torch.as_tensor(answers[name]) == y for name, (_, y) in tests.items()}
    labels, hits = torch.cat([y for _, y in tests.values()]), torch.cat(list(right.values()))
    recall = np.array([float(hits[labels == label].float().mean()) for label in labels.unique()])
    return {name: float(each.float().mean()) for name, each in right.items()}, recall


def main() -> int:
    """Live, and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", choices=["digits", "mnist-4k", "mnist", "electricity"])
    parser.add_argument("--lots", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", help="default: that of new projects")
    parser.add_argument("--settings", type=json.loads, default={}, help="of the method, as JSON")
    parser.add_argument("--training", type=json.loads, default={}, help="settings of the training, as JSON")
    parser.add_argument("--model")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    world = electricity(options.lots, options.seed) if options.data == "electricity" else images(
        options.data, options.lots, options.seed
    )  # fmt: skip
    learner = world.project.learner
    training = replace(learner.training, **options.training)
    learner = replace(learner, model=options.model or learner.model, training=training)
    method = world.project.method if options.method is None else MethodChoice(options.method, options.settings)
    project = replace(world.project, learner=learner, method=method, seed=options.seed)
    life = Life(project, first_version(project, [world.first]).data, [world.first])
    for name, x, y, ids in world.lots:
        decision = life.meet(name, x, y, ids)
        if not options.quiet:
            reason = "" if decision.promote else f"  {decision.reasons[0]}"
            print(f"{len(life.outcomes):4} {name:10} {decision.outcome:9} {life.steps[-1]}{reason}", flush=True)
    mine, recall = recalls(opened(life.champion), world.tests)
    joint = retrained(project, [world.first, *life.lots], MethodChoice("finetune"), most=10**9).learner
    theirs, best = recalls(joint, world.tests)
    counts = Counter(life.outcomes)
    print(f"\n{options.data}, seed {options.seed}: {dict(counts)} of {len(life.outcomes)} lots")
    print(f"steps: {dict(Counter(life.steps))}; exams retired: {len(life.retired)}")
    for name in mine:
        print(f"  {name:12} {100 * mine[name]:5.1f} %   joint {100 * theirs[name]:5.1f} %")
    gap = np.mean(list(theirs.values())) - np.mean(list(mine.values()))
    lowest = float((recall / best).min())
    first, last = np.mean(life.seconds[:10]), np.mean(life.seconds[-10:])
    print(f"mean {100 * np.mean(list(mine.values())):.1f} %, {100 * gap:.1f} points below joint")
    print(f"lowest recall of a class: {100 * lowest:.0f} % of joint's")
    print(f"an update takes {first:.2f} s at the beginning, {last:.2f} s at the end")
    good = (counts["promoted"] + counts["known"]) / len(life.outcomes)
    if options.out:
        facts = {"data": options.data, "seed": options.seed, "outcomes": life.outcomes, "steps": life.steps}
        facts |= {"concepts": mine, "joint": theirs, "recall": (recall / best).tolist(), "seconds": life.seconds}
        options.out.write_text(json.dumps(facts))
    return int(good < 0.9 or gap > 0.03 or lowest < 0.9)


if __name__ == "__main__":
    sys.exit(main())
