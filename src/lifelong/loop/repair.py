"""A candidate that forgets is repaired before the gate judges it: a smaller step, more replay, or a new beginning.

    learned ──► interpolate ──► replay ──► retrain          each where the one before looks as though it forgot

* `interpolate`: the largest α of champion + α (candidate − champion) that looks safe (Wortsman et al. 2022, Robust
  fine-tuning of zero-shot models); the state of the method stays the candidate's. No class may look fallen: the
  largest step that a gate lets pass is what wrong labels of one class would ask for.
* `replay`: the champion learns the lot again beside up to 5,000 examples of the old lots, in equal shares.
* `retrain`: a new learner of the project learns every stored lot together.

Whether a candidate looks safe is asked of the selection part of each exam, which the verdict does not use
(`lot.verdict_part`). It is an estimate, not a proof: what is handed in is judged by the gate on the other part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from lifelong.errors import DivergedError, LifelongError, SettingError, require
from lifelong.loop import exam
from lifelong.loop.gate import Answers, ExamAnswers, Gate, is_behind
from lifelong.loop.learning import Candidate, opened, retrained, update
from lifelong.loop.lot import verdict_part
from lifelong.loop.paired import Pairs
from lifelong.loop.project import MethodChoice, Project
from lifelong.methods import Claim
from lifelong.training import Learner
from lifelong.types import Task

__all__ = ["Estimate", "Repaired", "estimate", "interpolated", "repaired"]

#: steps from the champion towards the candidate, the largest first
STEPS = (0.85, 0.7, 0.55, 0.4, 0.25)
#: old examples beside those of the new lot in `replay`, and all examples of a `retrain`, at most
REPLAYED, RETRAINED = 5_000, 20_000


@dataclass(frozen=True)
class Estimate:
    """How a candidate does on the selection parts, in fractions.

    `gain` on the new task; `excess`: by how much the worst fall is above what looks safe; `behind`: the champion
    answers the new task worse than what it has learned.
    """

    gain: float
    excess: float
    behind: bool

    def is_fine(self, gate: Gate, wanted: float) -> bool:
        """Whether nothing looks forgotten, and what is gained is `wanted`, or there is nothing to gain."""
        learned = self.gain >= wanted if self.behind else self.gain >= min(wanted, -gate.known / 2)
        return self.excess <= 0 and learned


@dataclass(frozen=True, eq=False)
class Repaired:
    """The candidate to hand in, its answers to all exams, and each step that was taken as plain values."""

    candidate: Candidate
    answers: Mapping[int, Answers]
    steps: tuple[dict[str, Any], ...]


def estimate(gate: Gate, exams: Sequence[ExamAnswers], *, strict: bool = False) -> Estimate:
    """What the answers to the selection parts of `exams` say; falls since learned count as in the gate.

    The mean may fall by a fifth of its margin, one task or class by six tenths of its own; the fall of few examples is
    shrunk as though ten more had been answered as before. `strict`: a class may fall from the champion's answers by a
    quarter of its margin, and nothing is shrunk.
    """
    new, old = next(each for each in exams if each.is_new), [each for each in exams if not each.is_new]
    gain = new.pairs.difference
    if not old:
        return Estimate(gain, -1.0, behind=True)
    excess = [-_sum([each.pairs for each in old]).difference - gate.max_forgetting / 5]
    excess.append(-_sum([each.since for each in old]).difference - 0.6 * gate.total)
    excess += [_fall(each.since) - 0.6 * gate.of_a_task for each in old]
    for label in {int(label) for each in old for label in each.y}:
        parts = [each.part(each.y == label).since for each in old if (each.y == label).any()]
        excess.append(_fall(_sum(parts)) - 0.6 * gate.of_a_class)
        if strict:
            now = _sum([each.part(each.y == label).pairs for each in old if (each.y == label).any()])
            excess.append(-now.difference - 0.25 * gate.of_a_class)
    return Estimate(gain, max(excess), is_behind(gate, new, old))


def _sum(parts: Sequence[Pairs]) -> Pairs:
    return sum(parts, Pairs(0, 0, 0))


def _fall(pairs: Pairs) -> float:
    return (pairs.lost - pairs.gained) / (pairs.n + 10)


def repaired(
    project: Project,
    champion: bytes,
    tasks: Sequence[Task],
    new: int,
    method: MethodChoice | None,
    learned: Mapping[int, Answers],
    beside: Sequence[int],
    lots: Callable[[], Sequence[Task]],
    *,
    retrain: bool = False,
    tell: Callable[[Mapping[str, Any]], None] = lambda news: None,
    **hooks: Any,
) -> Repaired:
    """Learn task `new` from `champion`, and repair what looks forgotten, in the order of `project.repair`.

    Arguments:
        tasks: all tasks with their exams (the split `test`); the new one can be learned, too.
        learned: the answers of the version that learned each old task, where that is not the champion.
        beside: the numbers of known lots that are learned together with the new one.
        lots: gives the old tasks with what they were learned from; asked for only where a repair needs it.
        retrain: a person asked for a full retrain, and nothing else is tried.
        tell: is told each stage.
        hooks: `on_progress` and `on_step` of `learning.update`.

    Raises: like `learning.update`; a repair that cannot be made is a step with its reason, and no error.
    """
    task = next(each for each in tasks if each.number == new)
    before = exam.answers(opened(champion), tasks)

    def look(name: str, candidate: Candidate, **more: Any) -> tuple[Repaired, Estimate]:
        after = exam.answers(candidate.learner, tasks)
        if project.selection == 0:
            return Repaired(candidate, after, ()), Estimate(0.0, 0.0, behind=False)
        exams = exam.compare(before, after, tasks, new, learned)
        parts = [each.part(~verdict_part(each.y, project.selection)) for each in exams]
        seen = estimate(project.gate, parts, strict=name == "interpolate")
        return Repaired(candidate, after, ({"step": name, **asdict(seen), **more},)), seen

    known = [each for each in tasks if each.number in beside]

    def tries(name: str) -> Iterator[tuple[Candidate, dict[str, Any]]]:
        """The candidates of one kind, with what tells them apart."""
        if name == "learned":
            yield update(champion, project, task, method, beside=known, most_beside=REPLAYED, **hooks), {}
        elif name == "interpolate" and best is not None:
            whole = best.candidate.data
            for alpha in STEPS:
                yield Candidate.of(interpolated(opened(champion), opened(whole), task, alpha)), {"alpha": alpha}
        elif name == "replay":
            yield update(champion, project, task, method, beside=lots(), most_beside=REPLAYED, **hooks), {}
        elif name == "retrain":
            yield retrained(project, [*lots(), task], method, most=RETRAINED, **hooks), {}

    best: Repaired | None = None
    seen, wanted, steps = Estimate(-1.0, 1.0, behind=True), project.gate.known, list[dict[str, Any]]()
    names = ("retrain",) if retrain else ("learned", *(project.repair if project.selection else ()))
    for name in names:
        if seen.is_fine(project.gate, wanted) or (name == "interpolate" and seen.gain < wanted):
            continue  # nothing to repair; or a smaller step towards what gained little, which gains less
        if name != "learned":
            tell({"stage": f"repair: {name}"})
        try:
            for candidate, more in tries(name):
                now, looks = look(name, candidate, **more)
                steps += now.steps
                if best is None or _better(looks, seen, wanted):
                    best, seen = now, looks
                if name == "learned":
                    wanted = max(wanted, looks.gain / 2)
                if looks.is_fine(project.gate, wanted):
                    break
        except DivergedError as error:
            steps.append({"step": name, "why_not": str(error)})
        except LifelongError as error:
            if name == names[0]:
                raise
            steps.append({"step": name, "why_not": str(error)})
    if best is None:
        raise SettingError(f"no candidate could be learned: {steps[-1]['why_not']}")
    return replace(best, steps=tuple(steps))


def _better(one: Estimate, other: Estimate, wanted: float) -> bool:
    """What gains enough is better than what does not; of two such, what forgets less."""
    enough = one.gain >= wanted, other.gain >= wanted
    if enough[0] != enough[1]:
        return enough[0]
    return max(one.excess, 0.0) < max(other.excess, 0.0) if enough[0] else one.gain > other.gain


def interpolated(champion: Learner, candidate: Learner, task: Task, alpha: float) -> Learner:
    """`candidate` with the numbers champion + `alpha` (candidate − champion); `champion` gets the outputs of `task`.

    Raises: `SettingError` for a method whose state belongs to the weights as it left them (penalties, masks).
    """
    claims = candidate.method.claimed()
    require(
        not claims & (Claim.RELIES_ON_WEIGHTS | Claim.SOLVES),
        f"{candidate.method.name} relies on the weights that it left, so a part of the step cannot be taken",
    )
    champion._announce(task)
    ours, theirs = champion.model.state_dict(), candidate.model.state_dict()
    with torch.no_grad():
        for name, value in theirs.items():
            if value.is_floating_point() and ours[name].shape == value.shape:
                value.copy_(torch.lerp(ours[name], value, alpha))
    return candidate
