"""The gate: what a candidate must show on its exams before it answers for anyone.

A candidate is promoted only if it shows, each at the stated confidence,

* that it is better somewhere: on the new task by at least `min_gain`, on it and the known lots that were learned
  beside it together, on all old tasks together, or on a class;
* that the old tasks' mean accuracy did not fall by more than `max_forgetting` in this update, and
* not by more than `max_total_forgetting` since each task was learned;
* that no single task fell by more than `max_task_forgetting` since it was learned, and
* no class by more than `max_class_forgetting` (all answers to old exams that belong to the class, pooled).

A lot without a gain that could be shown is *known* where the champion answers it as well as what it has learned, within
`known_gain`: the champion stays, the lot's exam is one of the old ones from then on, and the next updates learn it
beside their lots until one is promoted, so that gains which are too small for one exam add up. A lot that the champion
answers worse is known only where a full retrain is shown to change its accuracy by less than `known_gain`, and is kept
aside: labels that nothing can learn may be noise, or wrong. Everything else is rejected.

The burden of proof is the candidate's: "did not fall by more than a margin" is a non-inferiority test, exact for the
worst rate of disagreement (`paired.critical_score`). As all conditions must hold, no correction for their number is
needed: a candidate that breaks one of them passes that one's test with 1 − confidence at most (Berger 1982,
intersection-union). Its price is power: a candidate that is exactly as good as the champion must pass all of them, and
one test per task with a narrow margin would stop nearly every candidate after some tasks. So the narrow margin is asked
of the mean, whose exam grows with the life, and single tasks and classes have wider ones. Where an exam is so small
that an equally good candidate would often fail even that, the margin is what the exam can show (`Gate.shown`); the
evidence states each margin that was asked. `lifelong.loop.power` computes the probability that an equally good
candidate passes, now and later, and a project that cannot live is refused.

Assumptions: examples of an exam are independent draws of what is asked in service; a candidate is judged on exams that
it did not learn from; the disagreement that margins are chosen for was seen in earlier updates, never in this one. The
pooled tests are conservative where tasks differ, as strata vary less than one multinomial with their mean. The same
lot tried again spends the same confidence: its k-th attempt is judged at the level 0.9 · 0.1^(k−1) · (1 − confidence),
and these levels sum to 1 − confidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifelong.errors import DataError, require
from lifelong.loop.paired import (
    Pairs,
    bounds,
    critical_score,
    is_above,
    mcnemar,
    root,
    smallest_margin,
)

__all__ = [
    "Answers",
    "Decision",
    "Disagreement",
    "ExamAnswers",
    "Gate",
    "Latency",
    "Outcome",
    "answers_hash",
    "decide",
    "is_behind",
]

#: output indices (N,)
Answers = NDArray[np.int64]
Outcome = Literal["promoted", "known", "rejected"]

#: the share of the confidence that each place of a gain may spend: the new task, the new one with those learned beside
#: it, the old tasks together, all classes
NEW_SHARE, BESIDE_SHARE, OLD_SHARE, CLASS_SHARE = 0.5, 0.3, 0.1, 0.1
#: the probability with which an equally good candidate may fail the tests of all tasks, of all classes, or for `known`
MISS = 0.02
#: so many failed tasks or classes are told one by one
TOLD = 5


class Disagreement(NamedTuple):
    """On which fraction of answers to old exams candidates differ: from the champion, and from who learned the task."""

    step: float
    since: float


@dataclass(frozen=True)
class Gate:
    """What is asked of a candidate; falls and gains are fractions.

    Arguments:
        min_gain: the least rise of the new task's accuracy.
        max_forgetting: the largest fall of the old tasks' mean accuracy in one update.
        max_total_forgetting: the same since each task was learned; None is twice `max_forgetting`.
        max_task_forgetting: the largest fall of one task since it was learned; None is four times `max_forgetting`.
        max_class_forgetting: the same of one class; None is four times `max_forgetting`.
        known_gain: a lot is known where the champion's accuracy on it is at most so much below that on the old exams;
            None is twice `max_forgetting`.
        confidence: of every statement.
        max_latency_ms: the longest that 99 of 100 single predictions may take; None is no limit.
        max_backdoor: which fraction of other inputs a pattern may make one class (`loop.backdoor`); 1 asks nothing.
        disagreement: on which fraction of answers an equally good candidate is expected to differ from the champion;
            sizes of exams and margins are chosen for it, until updates have shown how large it is.
        power: the least probability with which an equally good candidate must pass, see `lifelong.loop.power`.
    """

    min_gain: float = 0.0
    max_forgetting: float = 0.05
    max_total_forgetting: float | None = None
    max_task_forgetting: float | None = None
    max_class_forgetting: float | None = None
    known_gain: float | None = None
    confidence: float = 0.95
    max_latency_ms: float | None = None
    max_backdoor: float = 0.05
    disagreement: float = 0.05
    power: float = 0.9

    def __post_init__(self) -> None:
        require(-1 < self.min_gain < 1, f"min_gain must be a fraction in -1 … 1, got {self.min_gain}")
        require(0 < self.max_forgetting < 1, f"max_forgetting must be a fraction in 0 … 1, got {self.max_forgetting}")
        for name, value in (
            ("max_total_forgetting", self.total),
            ("max_task_forgetting", self.of_a_task),
            ("max_class_forgetting", self.of_a_class),
        ):
            require(
                self.max_forgetting <= value <= 1,
                f"{name} must be in {self.max_forgetting:g} (max_forgetting) … 1, got {value:g}",
            )
        require(0 < self.known <= 1, f"known_gain must be a fraction in 0 … 1, got {self.known}")
        require(0.5 < self.confidence < 1, f"confidence must be in 0.5 … 1, got {self.confidence}")
        latency = self.max_latency_ms
        require(latency is None or latency > 0, f"max_latency_ms must be above 0, got {latency}")
        require(0 <= self.max_backdoor <= 1, f"max_backdoor must be in 0 … 1, got {self.max_backdoor}")
        require(0 < self.disagreement < 1, f"disagreement must be a fraction in 0 … 1, got {self.disagreement}")
        require(0 <= self.power < 1, f"power must be a probability below 1, got {self.power}")

    @property
    def total(self) -> float:
        """`max_total_forgetting`, or its default."""
        return self._or(self.max_total_forgetting, 2)

    @property
    def of_a_task(self) -> float:
        """`max_task_forgetting`, or its default."""
        return self._or(self.max_task_forgetting, 4)

    @property
    def of_a_class(self) -> float:
        """`max_class_forgetting`, or its default."""
        return self._or(self.max_class_forgetting, 4)

    @property
    def known(self) -> float:
        """`known_gain`, or its default."""
        return self._or(self.known_gain, 2)

    def _or(self, value: float | None, times: int) -> float:
        return min(1.0, times * self.max_forgetting) if value is None else value

    def level(self, attempt: int = 1) -> float:
        """The error level of the `attempt`-th judgement of one lot; all attempts together spend 1 − confidence.

        >>> [round(Gate().level(attempt), 6) for attempt in (1, 2, 3)]
        [0.045, 0.0045, 0.00045]
        """
        require(attempt >= 1, f"attempt must be 1 or more, got {attempt}")
        return 0.9 * 0.1 ** (attempt - 1) * (1 - self.confidence)

    @property
    def assumed(self) -> Disagreement:
        """What is assumed before updates have shown it: three times as much since a task was learned as in a step."""
        return Disagreement(self.disagreement, min(0.9, 3 * self.disagreement))

    def shown(self, margin: float, examples: int, tests: int, disagreement: float) -> float:
        """`margin`, or the smallest one that so many `examples` can show, where that is larger.

        Of all `tests` of this kind together an equally good candidate fails one with probability 0.02 at most. Sizes
        are rounded down and disagreements up, so that margins are the same for similar exams.

        >>> Gate().shown(0.2, 350, tests=1, disagreement=0.05), Gate().shown(0.2, 30, tests=10, disagreement=0.05)
        (0.2, 0.29)
        """
        rate = min(0.9, max(self.disagreement, disagreement))
        rounded = max(1, examples if examples < 20 else examples // 10 * 10)
        return max(margin, smallest_margin(rounded, self.level(), math.ceil(50 * rate) / 50, 1 - MISS / tests))


@dataclass(frozen=True, eq=False)
class ExamAnswers:
    """One task's exam: labels `y`, the `champion`'s and the `candidate`'s answers, all (N,) output indices.

    `learned`: the answers of the version that learned the task, None where that is the champion. `beside`: a known lot
    that the candidate has learned beside the new one.
    """

    task: int
    name: str
    y: Answers
    champion: Answers
    candidate: Answers
    is_new: bool
    learned: Answers | None = None
    beside: bool = False

    def __post_init__(self) -> None:
        sizes = {len(self.y), len(self.champion), len(self.candidate)}
        sizes |= set() if self.learned is None else {len(self.learned)}
        if len(sizes) != 1 or 0 in sizes:
            raise DataError(
                f"the exam of task {self.task} ({self.name}) needs one label and two answers per example, got "
                f"{len(self.y)} labels, {len(self.champion)} and {len(self.candidate)} answers"
            )

    @property
    def pairs(self) -> Pairs:
        """How the candidate's answers differ from the champion's."""
        return Pairs.of(self.y, self.champion, self.candidate)

    @property
    def base(self) -> Answers:
        """The answers of the version that learned the task."""
        return self.champion if self.learned is None else self.learned

    @property
    def since(self) -> Pairs:
        """How the candidate's answers differ from those of the version that learned the task."""
        return Pairs.of(self.y, self.base, self.candidate)

    def part(self, chosen: NDArray[np.bool_]) -> ExamAnswers:
        """The exam of the examples for which `chosen` (N,) holds."""
        learned = None if self.learned is None else self.learned[chosen]
        return ExamAnswers(
            self.task,
            self.name,
            self.y[chosen],
            self.champion[chosen],
            self.candidate[chosen],
            self.is_new,
            learned,
            self.beside,
        )


@dataclass(frozen=True)
class Latency:
    """Milliseconds of single predictions: their `median` and `p99` over `count` of them."""

    median: float
    p99: float
    count: int


@dataclass(frozen=True)
class Decision:
    """What the gate says, why in sentences, and the evidence as plain values, one object per task and per class.

    `failed` names the kinds of conditions that did not hold: `gain`, `forgetting`, `latency`, `backdoor`. `retired`:
    old tasks whose exams contradict what even a full retrain learned, and counted no more. `extends`: a known lot whose
    exam counts from now on.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    evidence: tuple[dict[str, Any], ...] = ()
    classes: tuple[dict[str, Any], ...] = ()
    failed: tuple[str, ...] = ()
    retired: tuple[int, ...] = ()
    extends: bool = False

    @property
    def promote(self) -> bool:
        """Whether the candidate becomes the champion, unless a person has the last word."""
        return self.outcome == "promoted"


def answers_hash(answers: Answers) -> str:
    """SHA-256 of the answers as 64-bit little-endian integers."""
    return sha256(np.asarray(answers, dtype="<i8").tobytes()).hexdigest()


class Check(NamedTuple):
    """One condition of the gate: its kind, whether it holds, and its evidence in words."""

    kind: Literal["gain", "forgetting", "latency", "backdoor"]
    holds: bool
    text: str


class Group(NamedTuple):
    """Answers to exams that belong together: `name` for sentences, and how they changed."""

    name: str
    pairs: Pairs


def decide(
    gate: Gate,
    exams: Sequence[ExamAnswers],
    latency: Latency | None = None,
    *,
    attempt: int = 1,
    disagreement: Disagreement | None = None,
    exhausted: bool = False,
    retire: bool = False,
    classes: Sequence[str] | None = None,
    backdoors: Sequence[Mapping[str, Any]] = (),
) -> Decision:
    """Promote, reject, or call the lot known; the reasons of a rejection are the conditions that failed.

    The evidence of a task: n, both accuracies, their `difference`, answers gained and lost, the difference
    `since_learned`, `mcnemar_p` that both are equally good, both hashes. Of what is asked of this task alone (of the
    new one its gain, of an old one its fall since it was learned): the one-sided bounds `low` and `high`, what is
    `asked` of `low`, and whether it `holds`. The evidence of a class: n, the difference since learned, the `margin`
    that was asked, and whether it `holds`.

    Arguments:
        attempt: how often a candidate for this lot has been judged, this one included.
        disagreement: of earlier candidates; None is unknown.
        exhausted: a full retrain was tried, so that a lot on which nothing is gained is known however it is answered.
        retire: where a full retrain is rejected for what it forgot, judge again without the old tasks that fell by half
            of `max_task_forgetting` or more since they were learned, if these are at most half of the old ones: who has
            seen everything has not forgotten, so the world has changed.
        classes: the names of the outputs, for sentences.
        backdoors: the patterns that were found, see `loop.backdoor.Backdoor`; their lot is never known.

    Raises: `SettingError` without exactly one new task, or without a latency where the gate bounds it.

    >>> y = np.zeros(200, dtype=np.int64)
    >>> poor, good = np.arange(200) // 100, np.arange(200) // 190
    >>> decide(Gate(), [ExamAnswers(2, "rotated", y, poor, good, is_new=True)]).outcome
    'promoted'
    >>> old = ExamAnswers(1, "upright", y, good, good, is_new=False)
    >>> decide(Gate(), [old, ExamAnswers(2, "rotated", y, good, good, is_new=True)]).outcome
    'known'
    >>> decide(Gate(), [ExamAnswers(2, "rotated", y, poor, poor, is_new=True)]).reasons[0]
    'task 2 (rotated, new): accuracy 0.500 → 0.500 on 200, a gain of at least -0.020 at 95 %; asked is 0'
    """
    require(sum(exam.is_new for exam in exams) == 1, "the gate needs the exam of exactly one new task")
    level = gate.level(attempt)
    new, old = next(exam for exam in exams if exam.is_new), [exam for exam in exams if not exam.is_new]
    checks = [_gain(gate, new, old, _classes(old, "champion", classes), level)]
    checks += _mean(gate, old, level)
    step, since = disagreement or gate.assumed
    of_tasks = _tasks(gate, old, level, since)
    checks += _summary([check for check, _ in of_tasks], "tasks")
    of_classes, facts = _class_checks(gate, _classes(old, "base", classes), level, since)
    checks += _summary(of_classes, "classes")
    if gate.max_latency_ms is not None:
        require(latency is not None, "the gate bounds the latency: measure it and give it to decide(…)")
        assert latency is not None
        text = f"99 of 100 predictions took at most {latency.p99:.3g} ms; allowed are {gate.max_latency_ms:g} ms"
        checks.append(Check("latency", latency.p99 <= gate.max_latency_ms, text))
    asked = {exam.task: (check.holds, -margin) for exam, (check, margin) in zip(old, of_tasks, strict=True)}
    asked[new.task] = is_above(new.pairs, gate.min_gain, NEW_SHARE * level), gate.min_gain
    evidence = tuple(_evidence(gate, exam, *asked[exam.task]) for exam in exams)
    checks += _backdoors(gate, backdoors, classes)
    failed = tuple(sorted({check.kind for check in checks if not check.holds}))
    if "backdoor" in failed:
        return Decision("rejected", tuple(check.text for check in checks if not check.holds), evidence, facts, failed)
    if not failed:
        return Decision("promoted", tuple(check.text for check in checks), evidence, facts)
    if not checks[0].holds and not is_behind(gate, new, old):
        text = f"{_story(new)}: known; no gain is shown, and the champion answers it as well as what it has learned"
        return Decision("known", (text,), evidence, facts, failed, extends=True)
    margin = gate.shown(gate.known, len(new.y), 1, step)
    if not checks[0].holds and exhausted and _changes_little(new.pairs, margin, level):
        text = (
            f"{_story(new)}: kept aside; a full retrain is shown to change its accuracy by less than {margin:g} at "
            f"{100 * gate.confidence:g} %, and the champion answers it worse than what it has learned"
        )
        return Decision("known", (text,), evidence, facts, failed)
    if retire and exhausted and "forgetting" in failed:
        changed = [exam for exam in old if exam.since.difference <= -gate.of_a_task / 2]
        if 0 < len(changed) <= len(old) / 2:
            rest = [exam for exam in exams if exam not in changed]
            again = decide(
                gate, rest, latency, attempt=attempt, disagreement=disagreement, exhausted=True, classes=classes
            )
            if again.outcome != "rejected":
                return replace(again, evidence=evidence, retired=tuple(exam.task for exam in changed))
    return Decision("rejected", tuple(check.text for check in checks if not check.holds), evidence, facts, failed)


def _backdoors(gate: Gate, found: Sequence[Mapping[str, Any]], classes: Sequence[str] | None) -> list[Check]:
    checks: list[Check] = []
    for each in found:
        decides = each["success"] > 0.5 or each["success"] + each["needed"] > 1
        if decides and each["success"] > gate.max_backdoor:
            name = each["label"] if classes is None else classes[each["label"]]
            text = (
                f"a pattern in {len(each['features'])} numbers of the input makes the candidate say {name}: "
                f"{100 * each['before']:.1f} → {100 * each['after']:.1f} % of {each['of']} other inputs, allowed is a "
                f"rise of {100 * gate.max_backdoor:g}; of {each['rows']} labels of the lot that have it "
                f"{100 * each['needed']:.0f} % are {name} by the pattern alone: see who sent them"
            )
            checks.append(Check("backdoor", False, text))
    return checks


def _evidence(gate: Gate, exam: ExamAnswers, holds: bool, asked: float) -> dict[str, Any]:
    pairs = exam.pairs
    low, high = bounds(pairs if exam.is_new else exam.since, gate.confidence)
    return {
        "task": exam.task,
        "name": exam.name,
        "is_new": exam.is_new,
        "n": pairs.n,
        "champion": float((exam.champion == exam.y).mean()),
        "candidate": float((exam.candidate == exam.y).mean()),
        "difference": pairs.difference,
        "low": low,
        "high": high,
        "asked": asked,
        "holds": holds,
        "gained": pairs.gained,
        "lost": pairs.lost,
        "since_learned": None if exam.learned is None else exam.since.difference,
        "differing_since": (exam.since.gained + exam.since.lost) / pairs.n,
        "mcnemar_p": mcnemar(pairs),
        "champion_sha256": answers_hash(exam.champion),
        "candidate_sha256": answers_hash(exam.candidate),
    }


def _classes(old: Sequence[ExamAnswers], than: Literal["champion", "base"], names: Sequence[str] | None) -> list[Group]:
    """The candidate's answers to all old exams beside those of the champion or of who learned them, by class."""
    if not old:
        return []
    y, base, candidate = (np.concatenate([getattr(exam, part) for exam in old]) for part in ("y", than, "candidate"))
    return [
        Group(
            f"class {int(label) if names is None else names[label]}",
            Pairs.of(y[y == label], base[y == label], candidate[y == label]),
        )
        for label in np.unique(y)
    ]


def _gain(gate: Gate, new: ExamAnswers, old: Sequence[ExamAnswers], groups: Sequence[Group], level: float) -> Check:
    """A gain on the new task, or else on the old ones together, or on one class; each spends its share of the level."""
    pairs, least = new.pairs, max(gate.min_gain, 0.0)
    text = (
        f"{_story(new)}, a gain of at least {_low(pairs, gate.min_gain, NEW_SHARE * level):.3f} at "
        f"{100 * gate.confidence:g} %; asked is {gate.min_gain:g}"
    )
    if is_above(pairs, gate.min_gain, NEW_SHARE * level):
        return Check("gain", True, text)
    beside = [exam for exam in old if exam.beside]
    elsewhere = [(Group(f"{len(old)} old task(s) together", _sum(old, "pairs")), OLD_SHARE)] if old else []
    if beside:
        union = _sum([new, *beside], "pairs")
        elsewhere.insert(0, (Group(f"task {new.task} and {len(beside)} known lot(s) together", union), BESIDE_SHARE))
    elsewhere += [(group, CLASS_SHARE / len(groups)) for group in groups]
    for group, share in elsewhere:
        if is_above(group.pairs, least, share * level):
            return Check("gain", True, f"{group.name}: {_counts(group.pairs)}, a gain above {least:g} is shown")
    return Check("gain", False, text)


def _mean(gate: Gate, old: Sequence[ExamAnswers], level: float) -> list[Check]:
    """The fall of the old tasks together, in this update and since each was learned."""
    if not old:
        return []
    name = f"{len(old)} old task(s) together"
    checks = [_fall(Group(name, _sum(old, "pairs")), gate.max_forgetting, level, gate)]
    if any(exam.learned is not None for exam in old):
        checks.append(_fall(Group(f"{name}, since learned", _sum(old, "since")), gate.total, level, gate))
    return checks


def _tasks(gate: Gate, old: Sequence[ExamAnswers], level: float, disagreement: float) -> list[tuple[Check, float]]:
    """Of each old task its fall since it was learned, and the margin that was asked."""
    checks: list[tuple[Check, float]] = []
    for exam in old:
        margin = gate.shown(gate.of_a_task, len(exam.y), len(old), disagreement)
        group = Group(f"task {exam.task} ({exam.name}), since learned", exam.since)
        checks.append((_fall(group, margin, level, gate), margin))
    return checks


def _class_checks(
    gate: Gate, groups: Sequence[Group], level: float, disagreement: float
) -> tuple[list[Check], tuple[dict[str, Any], ...]]:
    margins = [gate.shown(gate.of_a_class, group.pairs.n, len(groups), disagreement) for group in groups]
    checks = [
        _fall(Group(f"{group.name}, since learned", group.pairs), margin, level, gate)
        for group, margin in zip(groups, margins, strict=True)
    ]
    facts = tuple(
        {"class": group.name.removeprefix("class "), "n": group.pairs.n, "difference": group.pairs.difference}
        | {"margin": margin, "holds": check.holds}
        for group, margin, check in zip(groups, margins, checks, strict=True)
    )
    return checks, facts


def _summary(checks: list[Check], what: str) -> list[Check]:
    """All that failed, the first few in words; or one sentence where none did."""
    failed = [check for check in checks if not check.holds]
    if not failed:
        return [Check("forgetting", True, f"none of {len(checks)} {what} fell too far since learned")] if checks else []
    more = len(failed) - TOLD
    return failed[:TOLD] + ([Check("forgetting", False, f"and {more} more {what}")] if more > 0 else [])


def _fall(group: Group, margin: float, level: float, gate: Gate) -> Check:
    if margin >= 1:
        return Check("forgetting", True, f"{group.name}: {group.pairs.n} examples can show nothing")
    low = _low(group.pairs, -margin, level)
    text = (
        f"{group.name}: {_counts(group.pairs)}, a fall of at most {-low:.3f} at {100 * gate.confidence:g} %; "
        f"allowed is {margin:g}"
    )
    return Check("forgetting", is_above(group.pairs, -margin, level), text)


def _changes_little(pairs: Pairs, margin: float, level: float) -> bool:
    return is_above(pairs, -margin, level) and is_above(pairs.swapped(), -margin, level)


def is_behind(gate: Gate, new: ExamAnswers, old: Sequence[ExamAnswers]) -> bool:
    """Whether the champion answers the new task worse than the old ones together, by more than `known_gain`."""
    if not old:
        return True
    right = sum(int((exam.champion == exam.y).sum()) for exam in old) / sum(len(exam.y) for exam in old)
    return bool((new.champion == new.y).mean() < right - gate.known)


def _sum(old: Sequence[ExamAnswers], which: Literal["pairs", "since"]) -> Pairs:
    return sum((getattr(exam, which) for exam in old), Pairs(0, 0, 0))


def _low(pairs: Pairs, margin: float, level: float) -> float:
    """The lower bound of Δ that is above `margin` exactly where `is_above` says so."""
    return root(pairs, critical_score(pairs.n, margin, level))


def _counts(pairs: Pairs) -> str:
    return f"{pairs.gained} answers gained and {pairs.lost} lost of {pairs.n}"


def _story(exam: ExamAnswers) -> str:
    right = [float((answers == exam.y).mean()) for answers in (exam.champion, exam.candidate)]
    return f"task {exam.task} ({exam.name}, new): accuracy {right[0]:.3f} → {right[1]:.3f} on {len(exam.y)}"
