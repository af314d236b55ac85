"""The gate: what it asks for, its evidence, and how often it is wrong in either direction."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest

from lifelong.errors import DataError, SettingError
from lifelong.loop.gate import Decision, Disagreement, ExamAnswers, Gate, Latency, answers_hash, decide


def exam(task: int, n: int, champion: float, gained: float, lost: float, seed: int, new: bool = False) -> ExamAnswers:
    """Answers drawn so that the champion is right with `champion`, and each way of differing has its probability."""
    generator = np.random.default_rng([seed, task])
    draw = generator.uniform(size=n)
    right = np.select([draw < gained, draw < gained + lost], [0, 1], generator.uniform(size=n) < champion)
    right_too = np.select([draw < gained, draw < gained + lost], [1, 0], right)
    y = generator.integers(0, 2, size=n)
    return ExamAnswers(task, f"task {task}", y, (y + 1 - right) % 2, (y + 1 - right_too) % 2, is_new=new)


def rate(
    gate: Gate, gained: float, lost: float, old: tuple[tuple[int, float, float], ...] = (), runs: int = 300
) -> float:
    """How often a candidate of these true rates is promoted; `old` holds (n, gained, lost) of old tasks."""
    promoted = 0
    for seed in range(runs):
        exams = [exam(99, 150, 0.6, gained, lost, seed, new=True)]
        exams += [exam(j, n, 0.9, up, down, seed) for j, (n, up, down) in enumerate(old, start=1)]
        promoted += decide(gate, exams).promote
    return promoted / runs


def test_a_candidate_without_the_gain_is_promoted_as_rarely_as_stated() -> None:
    gate = Gate(min_gain=0.05)
    assert rate(gate, 0.15, 0.10) <= 0.05, "its true gain is just min_gain"
    assert rate(gate, 0.10, 0.10) < 0.01
    assert rate(gate, 0.30, 0.05) > 0.97, "one that is clearly better is promoted"


def test_a_candidate_that_forgets_is_promoted_as_rarely_as_stated() -> None:
    gate = Gate(max_forgetting=0.05)
    assert rate(gate, 0.3, 0.0, ((300, 0.02, 0.07),)) <= 0.07, "the mean falls by just 0.05; 300 runs say 0.045 ± 0.024"
    assert rate(gate, 0.3, 0.0, ((300, 0.01, 0.01),)) > 0.95, "one that does not fall is promoted"
    of_one = Gate(max_forgetting=0.2, max_task_forgetting=0.2, max_class_forgetting=0.9)
    one_of_many = ((200, 0.01, 0.01),) * 4 + ((200, 0.02, 0.22),)
    assert rate(of_one, 0.3, 0.0, one_of_many) <= 0.07, (
        "one falls by just its margin; the others give it no more chance"
    )


def test_an_equally_good_candidate_passes_after_many_tasks_with_small_exams() -> None:
    """What was the fault of one test per task: exams of 60 … 100 stopped nearly every candidate after ten tasks."""
    small = ((300, 0.025, 0.025), *((45, 0.025, 0.025),) * 29)
    assert rate(Gate(), 0.3, 0.0, small, runs=60) >= 0.9


def test_one_task_or_class_that_falls_among_many_is_seen() -> None:
    quiet = [exam(j, 90, 0.9, 0.01, 0.01, seed=j) for j in range(1, 13)]
    new = exam(99, 150, 0.6, 0.4, 0.0, seed=1, new=True)
    assert decide(Gate(), [*quiet, new]).promote
    fallen = exam(50, 90, 0.9, 0.0, 0.5, seed=5)
    decision = decide(Gate(), [*quiet, fallen, new])
    assert decision.failed == ("forgetting",)
    assert any("task 50 (task 50), since learned" in reason for reason in decision.reasons)

    y = np.arange(90) % 10
    wide = [ExamAnswers(j, "ten", y, y, np.where(y == 3, 4, y), is_new=False) for j in range(1, 5)]
    decision = decide(Gate(max_forgetting=0.2), [*wide, new], classes=[f"digit {label}" for label in range(10)])
    (reason,) = decision.reasons
    assert reason.startswith("class digit 3, since learned: 0 answers gained and 36 lost of 36, a fall of at most 1.0")
    (fact,) = [fact for fact in decision.classes if not fact["holds"]]
    assert (fact["class"], fact["n"], fact["difference"]) == ("digit 3", 36, -1.0)


def test_evidence_is_what_was_answered() -> None:
    old, new = exam(1, 80, 0.9, 0.05, 0.1, seed=1), exam(2, 60, 0.2, 0.6, 0.0, seed=1, new=True)
    decision = decide(Gate(max_forgetting=0.5), [old, new])
    assert decision.promote
    facts = decision.evidence[0]
    assert facts["n"] == 80
    assert facts["champion"] == np.mean(old.champion == old.y)
    assert facts["difference"] == pytest.approx(facts["candidate"] - facts["champion"])
    assert facts["low"] < facts["difference"] < facts["high"]
    assert facts["candidate_sha256"] == sha256(old.candidate.astype("<i8").tobytes()).hexdigest()
    assert facts["candidate_sha256"] != facts["champion_sha256"]
    assert len(decision.reasons) == 4, "the gain, the mean, tasks, classes"


def test_answers_hash_is_of_numbers_not_of_their_layout() -> None:
    narrow = np.array([1, 2, 3], dtype=np.int16)
    assert answers_hash(narrow) == answers_hash(np.array([1, 0, 2, 0, 3, 0])[::2])  # pyrefly: ignore


def test_a_lot_that_brings_nothing_new_is_known() -> None:
    old, same = exam(1, 300, 0.95, 0.01, 0.01, seed=0), exam(2, 90, 0.95, 0.02, 0.02, seed=3, new=True)
    decision = decide(Gate(), [old, same])
    assert decision.outcome == "known"
    assert decision.reasons[0].endswith("no gain is shown, and the champion answers it as well as what it has learned")
    assert decision.extends
    behind = exam(2, 90, 0.5, 0.02, 0.02, seed=3, new=True)
    assert decide(Gate(), [old, behind]).outcome == "rejected", "there may be much to gain"
    decision = decide(Gate(), [old, behind], exhausted=True)
    assert decision.outcome == "known"
    assert "kept aside; a full retrain is shown to change its accuracy by less than" in decision.reasons[0]
    assert not decision.extends, "what nothing can learn may be wrong"
    few = exam(2, 12, 0.5, 0.3, 0.2, seed=3, new=True)
    assert decide(Gate(), [old, few], exhausted=True).outcome == "rejected", "twelve answers show nothing either way"


@pytest.mark.parametrize("place", ["old", "class", "beside"])
def test_a_gain_anywhere_counts(place: str) -> None:
    """The new lot gains nothing; what is gained elsewhere is enough, and no more often by chance than stated."""
    new = exam(9, 90, 0.9, 0.0, 0.0, seed=1, new=True)
    y = np.tile(np.arange(2), 200)
    flat = ExamAnswers(1, "flat", y, y, y, is_new=False)
    assert decide(Gate(), [flat, new]).outcome == "known"
    weak = {
        "old": np.where(np.arange(400) % 20 == 0, 1 - y, y),
        "class": np.where((np.arange(400) % 40 == 1), 1 - y, y),
        "beside": np.where(np.arange(400) % 28 == 0, 1 - y, y),
    }[place]
    better = ExamAnswers(1, "better", y, weak, y, is_new=False, beside=place == "beside")
    decision = decide(Gate(), [better, new])
    assert decision.promote
    assert "a gain above 0 is shown" in decision.reasons[0]
    promoted = sum(
        decide(Gate(), [exam(1, 300, 0.9, 0.02, 0.02, s), exam(9, 90, 0.9, 0.02, 0.02, s, new=True)]).promote
        for s in range(300)
    )
    assert promoted / 300 <= 0.05


def test_attempts_at_one_lot_share_the_confidence() -> None:
    gate = Gate(confidence=0.9)
    assert sum(gate.level(attempt) for attempt in range(1, 12)) == pytest.approx(0.1)
    old = exam(1, 300, 0.9, 0.01, 0.01, seed=0)
    new = next(
        each
        for each in (exam(2, 90, 0.6, 0.12, 0.03, seed, new=True) for seed in range(100))
        if decide(Gate(), [old, each]).promote and not decide(Gate(), [old, each], attempt=2).promote
    )
    assert decide(Gate(), [old, new], attempt=2).failed == ("gain",)
    with pytest.raises(SettingError, match="attempt must be 1 or more"):
        decide(Gate(), [old, new], attempt=0)


def test_margins_are_what_exams_can_show_and_are_told() -> None:
    """A margin that is too narrow for the exam would stop every candidate; the wider one is in the evidence."""
    assert Gate().shown(0.2, 400, 1, 0.05) == 0.2
    assert Gate().shown(0.2, 30, 10, 0.05) > 0.2
    assert Gate().shown(0.2, 60, 10, 0.3) > Gate().shown(0.2, 60, 10, 0.05)
    assert Gate(disagreement=0.1).assumed == Disagreement(step=0.1, since=pytest.approx(0.3))
    y = np.arange(60) % 10
    old = ExamAnswers(1, "ten", y, y, y, is_new=False)
    new = exam(2, 90, 0.2, 0.7, 0.0, seed=0, new=True)
    decision = decide(Gate(max_forgetting=0.1), [old, new])
    assert decision.promote
    assert {fact["margin"] for fact in decision.classes} == {Gate(max_forgetting=0.1).shown(0.4, 6, 10, 3 * 0.05)}


def test_latency_counts() -> None:
    new = [exam(1, 100, 0.2, 0.7, 0.0, 0, new=True)]
    slow = decide(Gate(max_latency_ms=5), new, Latency(median=1.0, p99=7.5, count=200))
    assert slow == Decision(
        "rejected",
        ("99 of 100 predictions took at most 7.5 ms; allowed are 5 ms",),
        slow.evidence,
        failed=("latency",),
    )
    assert decide(Gate(max_latency_ms=5), new, Latency(1.0, 4.0, 200)).promote
    with pytest.raises(SettingError, match="measure it"):
        decide(Gate(max_latency_ms=5), new)


def test_bad_questions_are_refused() -> None:
    with pytest.raises(SettingError, match="exactly one new task"):
        decide(Gate(), [exam(1, 60, 0.9, 0.0, 0.0, 0)])
    y = np.zeros(3, dtype=np.int64)
    with pytest.raises(DataError, match="3 labels, 3 and 2 answers"):
        ExamAnswers(1, "a", y, y, y[:2], is_new=True)
    for settings in (
        {"min_gain": 2.0},
        {"max_forgetting": 0.0},
        {"confidence": 0.3},
        {"max_latency_ms": 0.0},
        {"known_gain": 0.0},
        {"disagreement": 1.0},
        {"power": 1.0},
    ):
        with pytest.raises(SettingError, match=next(iter(settings))):
            Gate(**settings)  # pyrefly: ignore


def test_small_falls_do_not_add_up_unnoticed() -> None:
    """Each candidate loses 15 of 500 answers more, which is within the bounds of one update."""
    y, new = np.zeros(500, dtype=np.int64), exam(99, 300, 0.2, 0.7, 0.0, seed=1, new=True)
    after = [(np.arange(500) < lost).astype(np.int64) for lost in range(25, 500, 15)]

    def promoted(gate: Gate) -> int:
        for place, (champion, candidate) in enumerate(pairwise(after)):
            learned = None if place == 0 else after[0]
            old = ExamAnswers(1, "first", y, champion, candidate, is_new=False, learned=learned)
            decision = decide(gate, [old, new])
            if not decision.promote:
                assert "since learned" in decision.reasons[0]
                assert decision.evidence[0]["since_learned"] == -15 * (place + 1) / 500
                return place
        return len(after) - 1

    wide = Gate(max_total_forgetting=1.0, max_task_forgetting=1.0, max_class_forgetting=1.0)
    assert promoted(wide) == len(after) - 1, "each by itself would pass"
    assert promoted(Gate()) == promoted(Gate(max_total_forgetting=0.1)) == 2
    assert promoted(Gate(max_total_forgetting=1.0)) == 5, "one task may fall by 0.2"
    assert promoted(replace(wide, max_class_forgetting=0.3)) == 8


def test_the_totals_are_at_least_what_one_update_may_forget() -> None:
    assert Gate(max_forgetting=0.4).total == 0.8
    assert Gate(max_forgetting=0.4).of_a_task == 1.0
    for name in ("max_total_forgetting", "max_task_forgetting", "max_class_forgetting"):
        with pytest.raises(SettingError, match=f"{name} must be in"):
            Gate(max_forgetting=0.1, **{name: 0.05})  # pyrefly: ignore


def test_an_exam_that_a_full_retrain_contradicts_is_retired_where_the_world_may_change() -> None:
    old = [exam(j, 90, 0.95, 0.01, 0.01, seed=j) for j in range(1, 6)]
    changed = exam(7, 90, 0.95, 0.0, 0.35, seed=7)
    new = exam(99, 150, 0.6, 0.4, 0.0, seed=1, new=True)
    exams = [*old, changed, new]
    assert decide(Gate(), exams, exhausted=True).outcome == "rejected", "a person decides"
    assert decide(Gate(), exams, retire=True).outcome == "rejected", "it may have forgotten"
    decision = decide(Gate(), exams, exhausted=True, retire=True)
    assert (decision.outcome, decision.retired) == ("promoted", (7,))
    assert [facts["task"] for facts in decision.evidence] == [1, 2, 3, 4, 5, 7, 99], "the evidence keeps it"
    most = [exam(j, 90, 0.95, 0.0, 0.35, seed=j) for j in range(1, 5)]
    assert decide(Gate(), [*most, *old[:3], new], exhausted=True, retire=True).outcome == "rejected"
