"""The gate: what a candidate must show on its exams before it answers for anyone.

A candidate is promoted only if it shows, each at the stated confidence,

* that the new task's accuracy rose by at least `min_gain` over the champion's, and
* that no old task's accuracy fell by more than `max_forgetting`, and
* that none is by more than `max_total_forgetting` below that of the version which learned it: else ten updates, each
  within its bounds, could together forget what none of them may (this is the task's share of backward transfer).

The burden of proof is the candidate's. For old tasks that is a non-inferiority test: the *upper* bound of the fall
must be within `max_forgetting`. The other reading, to reject only where a larger fall is shown, promotes nearly
everything where exams are small, and that is what "never gets worse unnoticed" must not do. Its price is exams that are
large enough: fewer than z² (1 − f) / f examples can never show a fall of at most f (52 for 0.05 at 95 %), and a project
whose exams would be smaller is refused. As all conditions must hold, no correction for their number is needed: a
candidate that breaks one of them passes that one's test with about 1 − confidence at most (Berger 1982,
intersection-union; how near: `paired.bounds`).

Where lots are too small for that, `proof="together"` asks that the old tasks *together* fell by at most
`max_forgetting`, and that no single one is shown to have fallen by more (Holm over the tasks, so that a candidate
without such a fall is wrongly stopped with about 1 − confidence at most).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifelong.errors import DataError, require
from lifelong.loop.paired import PairedTest, Pairs, bounds, holm, mcnemar, p_above, smallest_exam

__all__ = ["Answers", "Decision", "ExamAnswers", "Gate", "Latency", "answers_hash", "decide"]

#: output indices (N,)
Answers = NDArray[np.int64]


@dataclass(frozen=True)
class Gate:
    """What is asked of a candidate.

    Arguments:
        min_gain: the least rise of the new task's accuracy, a fraction.
        max_forgetting: the largest fall of an old task's accuracy, a fraction.
        confidence: of every statement.
        max_latency_ms: the longest that 99 of 100 single predictions may take; None is no limit.
        test: `mcnemar` (score test with a margin), or the paired `bootstrap`; see `paired.bounds`.
        proof: `each` old task must be shown to be safe, or all `together`; see the module.
        max_total_forgetting: the largest fall since the task was learned; None is three times `max_forgetting`, 1 is no
            limit.
    """

    min_gain: float = 0.0
    max_forgetting: float = 0.05
    confidence: float = 0.95
    max_latency_ms: float | None = None
    test: PairedTest = "mcnemar"
    proof: Literal["each", "together"] = "each"
    max_total_forgetting: float | None = None

    def __post_init__(self) -> None:
        require(-1 < self.min_gain < 1, f"min_gain must be a fraction in -1 … 1, got {self.min_gain}")
        require(0 < self.max_forgetting < 1, f"max_forgetting must be a fraction in 0 … 1, got {self.max_forgetting}")
        total = self.total
        require(
            self.max_forgetting <= total <= 1,
            f"max_total_forgetting must be in {self.max_forgetting:g} (max_forgetting) … 1, got {total:g}",
        )
        require(0.5 < self.confidence < 1, f"confidence must be in 0.5 … 1, got {self.confidence}")
        latency = self.max_latency_ms
        require(latency is None or latency > 0, f"max_latency_ms must be above 0, got {latency}")

    @property
    def total(self) -> float:
        """`max_total_forgetting`, or what stands for it."""
        return min(1.0, 3 * self.max_forgetting) if self.max_total_forgetting is None else self.max_total_forgetting

    @property
    def smallest_exam(self) -> int:
        """The fewest examples with which an old task's exam can be passed."""
        return smallest_exam(self.max_forgetting, self.confidence) if self.proof == "each" else 1


@dataclass(frozen=True, eq=False)
class ExamAnswers:
    """One task's exam: labels `y`, the `champion`'s and the `candidate`'s answers, all (N,) output indices.

    `learned`: the answers of the version that learned the task, None where that is the champion.
    """

    task: int
    name: str
    y: Answers
    champion: Answers
    candidate: Answers
    is_new: bool
    learned: Answers | None = None

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
    def since(self) -> Pairs | None:
        """How they differ from those of the version that learned the task; None where that is the champion."""
        return None if self.learned is None else Pairs.of(self.y, self.learned, self.candidate)


@dataclass(frozen=True)
class Latency:
    """Milliseconds of single predictions: their `median` and `p99` over `count` of them."""

    median: float
    p99: float
    count: int


@dataclass(frozen=True)
class Decision:
    """What the gate says, why in sentences, and the evidence as plain values, one object per task."""

    promote: bool
    reasons: tuple[str, ...]
    evidence: tuple[dict[str, Any], ...]


def answers_hash(answers: Answers) -> str:
    """SHA-256 of the answers as 64-bit little-endian integers."""
    return sha256(np.asarray(answers, dtype="<i8").tobytes()).hexdigest()


class Check(NamedTuple):
    """One condition of the gate: whether it holds, and what was found in words."""

    holds: bool
    text: str


def decide(gate: Gate, exams: Sequence[ExamAnswers], latency: Latency | None = None, seed: int = 0) -> Decision:
    """Promote or reject; the reasons of a rejection are the conditions that failed, of a promotion all of them.

    `seed` is that of the bootstrap. The evidence of a task: n, both accuracies, their difference with its one-sided
    bounds `low` and `high`, answers gained and lost, the difference `since_learned`, the `p` of what must be ruled out
    (that the gain is min_gain or less, that the fall is max_forgetting or more), `mcnemar_p` that both are equally
    good, both hashes.

    Raises: `SettingError` without exactly one new task, or without a latency where the gate bounds it.

    >>> y = np.zeros(200, dtype=np.int64)
    >>> poor, good = np.arange(200) // 100, np.arange(200) // 190
    >>> decide(Gate(), [ExamAnswers(2, "rotated", y, poor, good, is_new=True)]).promote
    True
    >>> decide(Gate(), [ExamAnswers(2, "rotated", y, good, poor, is_new=True)]).reasons
    ('task 2 (rotated, new): accuracy 0.950 → 0.500 on 200, a gain of at least -0.508 at 95 %; asked is 0',)
    """
    require(sum(exam.is_new for exam in exams) == 1, "the gate needs the exam of exactly one new task")
    evidence = tuple(_evidence(gate, exam, seed) for exam in exams)
    checks = [_gain(gate, facts) for facts in evidence if facts["is_new"]]
    old = [facts for facts in evidence if not facts["is_new"]]
    if gate.proof == "each":
        checks += [_fall(gate, facts) for facts in old]
    elif old:
        checks += _together(gate, [exam for exam in exams if not exam.is_new], seed)
    checks += _in_all(gate, [exam for exam in exams if not exam.is_new], seed)
    if gate.max_latency_ms is not None:
        require(latency is not None, "the gate bounds the latency: measure it and give it to decide(…)")
        assert latency is not None
        text = f"99 of 100 predictions took at most {latency.p99:.3g} ms; allowed are {gate.max_latency_ms:g} ms"
        checks.append(Check(latency.p99 <= gate.max_latency_ms, text))
    promote = all(check.holds for check in checks)
    return Decision(promote, tuple(check.text for check in checks if promote or not check.holds), evidence)


def _evidence(gate: Gate, exam: ExamAnswers, seed: int) -> dict[str, Any]:
    pairs = exam.pairs
    low, high = bounds(pairs, gate.confidence, gate.test, seed)
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
        "gained": pairs.gained,
        "lost": pairs.lost,
        "since_learned": None if (since := exam.since) is None else since.difference,
        "p": p_above(pairs, gate.min_gain if exam.is_new else -gate.max_forgetting, gate.test, seed),
        "mcnemar_p": mcnemar(pairs),
        "champion_sha256": answers_hash(exam.champion),
        "candidate_sha256": answers_hash(exam.candidate),
    }


def _gain(gate: Gate, facts: dict[str, Any]) -> Check:
    text = f"a gain of at least {facts['low']:.3f} at {100 * gate.confidence:g} %; asked is {gate.min_gain:g}"
    return Check(facts["low"] >= gate.min_gain, f"{_story(facts)}, {text}")


def _fall(gate: Gate, facts: dict[str, Any]) -> Check:
    holds = -facts["low"] <= gate.max_forgetting
    text = f"{_story(facts)}, {_at_most(gate, facts['low'])}; allowed is {gate.max_forgetting:g}"
    if facts["n"] < gate.smallest_exam:
        text += f" (no candidate can show that on fewer than {gate.smallest_exam} examples)"
    return Check(holds, text)


def _together(gate: Gate, old: Sequence[ExamAnswers], seed: int) -> list[Check]:
    union = sum((exam.pairs for exam in old), Pairs(0, 0, 0))
    low, _ = bounds(union, gate.confidence, gate.test, seed)
    text = f"{len(old)} old task(s) together on {union.n}, {_at_most(gate, low)}; allowed is {gate.max_forgetting:g}"
    p_values = [p_above(exam.pairs.swapped(), gate.max_forgetting, gate.test, seed) for exam in old]
    shown = holm(p_values, 1 - gate.confidence)
    fallen = [
        Check(False, f"task {exam.task} ({exam.name}): shown to have fallen by more than {gate.max_forgetting:g} "
              f"(p = {p:.2g}, Holm over {len(old)} task(s))")
        for exam, p, is_shown in zip(old, p_values, shown, strict=True) if is_shown
    ]  # fmt: skip
    return [Check(-low <= gate.max_forgetting, text), *fallen]


def _in_all(gate: Gate, old: Sequence[ExamAnswers], seed: int) -> list[Check]:
    """The falls since the tasks were learned, each or together, where there are any."""
    known = [(exam, since) for exam in old if (since := exam.since) is not None]
    if gate.total >= 1 or not known:
        return []
    if gate.proof == "together":
        known_pairs = sum((since for _, since in known), Pairs(0, 0, 0))
        cases = [(f"{len(known)} old task(s) together on {known_pairs.n}", known_pairs)]
    else:
        cases = [(f"task {exam.task} ({exam.name}) on {since.n}", since) for exam, since in known]
    checks: list[Check] = []
    for name, pairs in cases:
        low, _ = bounds(pairs, gate.confidence, gate.test, seed)
        text = f"{name}, since learned: {_at_most(gate, low)}; allowed is {gate.total:g}"
        checks.append(Check(-low <= gate.total, text))
    return checks


def _story(facts: dict[str, Any]) -> str:
    new = ", new" if facts["is_new"] else ""
    scores = f"{facts['champion']:.3f} → {facts['candidate']:.3f} on {facts['n']}"
    return f"task {facts['task']} ({facts['name']}{new}): accuracy {scores}"


def _at_most(gate: Gate, low: float) -> str:
    return f"a fall of at most {-low:.3f} at {100 * gate.confidence:g} %"
