"""The grade of a method: its accuracy beside fine-tuning, EWC, rehearsal and joint training, by stated rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.chapter.homework.student import blaming
from lifelong.evaluation import Array, Interval, Record, acc, by_method, paired_difference
from lifelong.experiments import run
from lifelong.experiments.reproduce import table
from lifelong.methods import Method
from lifelong.reports.bilingual import Text
from lifelong.testing import check_method

__all__ = ["PASS", "Grade", "Rule", "accuracies", "grade", "reference_runs", "rules", "student_runs"]

REFERENCES = ("finetune", "ewc", "er", "joint")
#: a step size at which a penalty that is added to the gradient, as a student writes it, is stable under momentum
SETTINGS: dict[str, Any] = {
    "seeds": 3,
    "tasks": 5,
    "lr": 0.03,
    "stream_settings": {"angles": [0.0, 20.0, 40.0, 60.0, 80.0]},
}
PASS = 50

#: points gained over fine-tuning after five tasks in the published homework
PUBLISHED = {part.label: part.cells[-1].published / 100 for part in table("homework").parts if part.cells}
EWC_GAIN, MAS_GAIN = (PUBLISHED[name] - PUBLISHED["finetune"] for name in ("ewc", "mas"))


@dataclass(frozen=True)
class Rule:
    """So many points for a mean accuracy of `least` or more, why, and what leads to the next ones."""

    points: int
    least: float
    why: Text
    then: Text


@dataclass(frozen=True)
class Grade:
    """The rule that was reached, and the gain over fine-tuning."""

    rule: Rule
    gain: Interval


def rules(finetune: float, ewc: float, joint: float) -> tuple[Rule, ...]:
    """The rules by rising points, from the mean accuracies of the references.

    Example:
        >>> [(rule.points, round(rule.least, 3)) for rule in rules(0.5, 0.8, 0.9)]
        [(20, 0.0), (50, 0.523), (70, 0.643), (90, 0.77), (100, 0.85)]
    """
    return (
        Rule(
            20,
            0.0,
            Text("it runs and keeps the contract of methods", "能运行，并遵守方法的约定"),
            Text(
                "do the TODOs of `gradient` and `end_task`, and choose λ above 0",
                "完成 `gradient` 和 `end_task` 里的 TODO，并让 λ 大于 0",
            ),
        ),
        Rule(
            50,
            finetune + EWC_GAIN,
            Text(
                f"it gains the {100 * EWC_GAIN:.1f} points of EWC in the published homework",
                f"达到原作业公布结果中 EWC 的提升（{100 * EWC_GAIN:.1f} 个百分点）",
            ),
            Text(
                "measure b by the squared gradients of single examples (square first, then the mean)",
                "用单个样本梯度的平方来计算 b（先平方，再平均）",
            ),
        ),
        Rule(
            70,
            finetune + MAS_GAIN,
            Text(
                f"it gains the {100 * MAS_GAIN:.1f} points of MAS in the published homework",
                f"达到原作业公布结果中 MAS 的提升（{100 * MAS_GAIN:.1f} 个百分点）",
            ),
            Text(
                "add up the guards of all tasks, with θᵇ their mean weighted by b; try other λ",
                "把所有任务的守卫累加起来，θᵇ 取按 b 加权的平均；再试试别的 λ",
            ),
        ),
        Rule(
            90,
            finetune + 0.9 * (ewc - finetune),
            Text("it gains nine tenths of what EWC gains here", "达到本次运行中 EWC 提升幅度的十分之九"),
            Text(
                "a guard alone will hardly do more: store a few examples, or have a new idea",
                "仅靠守卫已难以再提高：可以保存少量样本，或想出新的办法",
            ),
        ),
        Rule(
            100,
            (ewc + joint) / 2,
            Text(
                "it closes half of the gap between EWC and joint training",
                "补上了 EWC 与多任务学习之间差距的一半",
            ),
            Text("nothing is left to ask for", "已是满分"),
        ),
    )


def grade(student: Array, references: Mapping[str, Array]) -> Grade:
    """The grade of accuracies (seeds,) at the end beside those of the references over the same seeds.

    A gain whose 95 % interval includes 0 counts as none.

    Example:
        >>> references = {"finetune": [0.5, 0.5], "ewc": [0.8, 0.8], "joint": [0.9, 0.9]}
        >>> grade([0.78, 0.79], references).rule.points, grade([0.5, 0.9], references).rule.points
        (90, 20)
    """
    means = {name: float(np.mean(values)) for name, values in references.items()}
    gain = paired_difference(student, references["finetune"])
    known = rules(means["finetune"], means["ewc"], means["joint"])
    sure = gain.mean - gain.ci95 > 0
    reached = [rule for rule in known if rule.points == 20 or (sure and float(np.mean(student)) >= rule.least)]
    return Grade(max(reached, key=lambda rule: rule.points), gain)


def accuracies(records: list[Record]) -> dict[str, Array]:
    """The mean accuracy on all tasks at the end (seeds,) by method."""
    return {
        method: np.asarray([float(acc(record.matrix)) for record in some])
        for method, some in by_method(records).items()
    }


def student_runs(method: Method[Any], path: Path) -> list[Record]:
    """Check the contract of the student's method, then run it.

    Raises:
        StudentError: The method breaks the contract, or fails while it learns.
    """
    with blaming(path):
        check_method(method)
        return list(run("rotated-digits", method, **SETTINGS).records)


def reference_runs(jobs: int | None = None) -> list[Record]:
    """The runs that a method is graded against."""
    return list(run("rotated-digits", REFERENCES, jobs=jobs, **SETTINGS).records)
