"""The gate: what it asks for, its evidence, and how often it is wrong in either direction."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest

from lifelong.errors import DataError, SettingError
from lifelong.loop.gate import ExamAnswers, Gate, Latency, answers_hash, decide


def exam(task: int, n: int, champion: float, gained: float, lost: float, seed: int, new: bool = False) -> ExamAnswers:
    """Answers drawn so that the champion is right with `champion`, and each way of differing has its probability."""
    generator = np.random.default_rng([seed, task])
    draw = generator.uniform(size=n)
    right = np.select([draw < gained, draw < gained + lost], [0, 1], generator.uniform(size=n) < champion)
    right_too = np.select([draw < gained, draw < gained + lost], [1, 0], right)
    y = generator.integers(0, 10, size=n)
    return ExamAnswers(task, f"task {task}", y, (y + 1 - right) % 10, (y + 1 - right_too) % 10, is_new=new)


def rate(
    gate: Gate, gained: float, lost: float, old: tuple[tuple[int, float, float], ...] = (), runs: int = 300
) -> float:
    """How often a candidate of these true rates is promoted; `old` holds (n, gained, lost) of old tasks."""
    promoted = 0
    for seed in range(runs):
        exams = [exam(9, 150, 0.6, gained, lost, seed, new=True)]
        exams += [exam(j, n, 0.9, up, down, seed) for j, (n, up, down) in enumerate(old, start=1)]
        promoted += decide(gate, exams).promote
    return promoted / runs


def test_a_candidate_without_the_gain_is_promoted_as_rarely_as_stated() -> None:
    gate = Gate(min_gain=0.05)
    assert rate(gate, 0.15, 0.10) == pytest.approx(0.05, abs=0.025), "its true gain is just min_gain"
    assert rate(gate, 0.10, 0.10) < 0.01
    assert rate(gate, 0.30, 0.05) > 0.97, "one that is clearly better is promoted"


def test_a_candidate_that_forgets_is_promoted_as_rarely_as_stated() -> None:
    gate = Gate(max_forgetting=0.05)
    assert rate(gate, 0.3, 0.0, ((200, 0.02, 0.07),)) == pytest.approx(0.05, abs=0.025), "it falls by just 0.05"
    forgets_one_of_many = ((200, 0.01, 0.01),) * 4 + ((200, 0.02, 0.07),)
    assert rate(gate, 0.3, 0.0, forgets_one_of_many) <= 0.075, "other tasks give it no further chance"
    assert rate(gate, 0.3, 0.0, ((200, 0.01, 0.01),)) > 0.95, "one that does not fall is promoted"


def test_together_small_exams_pass_and_a_single_fall_is_still_found() -> None:
    small = ((25, 0.02, 0.02),) * 12
    assert rate(Gate(), 0.3, 0.0, small, runs=20) == 0.0, "no single one can be shown to be safe"
    together = Gate(proof="together")
    assert rate(together, 0.3, 0.0, small, runs=60) > 0.9
    assert rate(together, 0.3, 0.0, (*small, (60, 0.0, 0.5)), runs=30) == 0.0
    all_fall = ((60, 0.02, 0.07),) * 5
    assert rate(together, 0.3, 0.0, all_fall) == pytest.approx(0.05, abs=0.03)


def test_a_single_shown_fall_is_seldom_a_chance_find() -> None:
    """Every task falls by just what is allowed, each so small that together they are not the reason to reject."""
    gate = Gate(proof="together", max_forgetting=0.1)
    wrong = 0
    for seed in range(300):
        exams = [exam(99, 150, 0.6, 0.4, 0.0, seed, new=True)]
        exams += [exam(j, 60, 0.9, 0.05, 0.15, seed) for j in range(1, 9)]
        wrong += any("shown to have fallen" in reason for reason in decide(gate, exams).reasons)
    assert 0.02 <= wrong / 300 <= 0.1


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
    assert len(decision.reasons) == 2, "all that was asked"


def test_answers_hash_is_of_numbers_not_of_their_layout() -> None:
    narrow = np.array([1, 2, 3], dtype=np.int16)
    assert answers_hash(narrow) == answers_hash(np.array([1, 0, 2, 0, 3, 0])[::2])  # pyrefly: ignore


def test_an_exam_too_small_to_show_anything_says_so() -> None:
    exams = [exam(1, 20, 1.0, 0.0, 0.0, 0), exam(2, 100, 0.2, 0.7, 0.0, 0, new=True)]
    decision = decide(Gate(), exams)
    assert not decision.promote
    assert "no candidate can show that on fewer than 52 examples" in decision.reasons[0]
    assert Gate(max_forgetting=0.02).smallest_exam == 133
    assert Gate(proof="together").smallest_exam == 1


def test_latency_counts() -> None:
    new = [exam(1, 100, 0.2, 0.7, 0.0, 0, new=True)]
    slow = decide(Gate(max_latency_ms=5), new, Latency(median=1.0, p99=7.5, count=200))
    assert not slow.promote
    assert slow.reasons == ("99 of 100 predictions took at most 7.5 ms; allowed are 5 ms",)
    assert decide(Gate(max_latency_ms=5), new, Latency(1.0, 4.0, 200)).promote
    with pytest.raises(SettingError, match="measure it"):
        decide(Gate(max_latency_ms=5), new)


def test_bad_questions_are_refused() -> None:
    with pytest.raises(SettingError, match="exactly one new task"):
        decide(Gate(), [exam(1, 60, 0.9, 0.0, 0.0, 0)])
    y = np.zeros(3, dtype=np.int64)
    with pytest.raises(DataError, match="3 labels, 3 and 2 answers"):
        ExamAnswers(1, "a", y, y, y[:2], is_new=True)
    for settings in ({"min_gain": 2.0}, {"max_forgetting": 0.0}, {"confidence": 0.3}, {"max_latency_ms": 0.0}):
        with pytest.raises(SettingError, match=next(iter(settings))):
            Gate(**settings)  # pyrefly: ignore


def test_the_bootstrap_gate_is_the_same_twice() -> None:
    exams = [exam(1, 80, 0.9, 0.05, 0.05, 3), exam(2, 100, 0.2, 0.7, 0.0, 3, new=True)]
    gate = Gate(test="bootstrap", max_forgetting=0.2)
    assert decide(gate, exams, seed=5) == decide(gate, exams, seed=5)
    assert decide(gate, exams, seed=5).promote


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
                assert "since learned: a fall of at most" in decision.reasons[0]
                assert decision.evidence[0]["since_learned"] == -15 * (place + 1) / 500
                return place
        return len(after) - 1

    assert promoted(Gate(max_total_forgetting=1.0)) == len(after) - 1, "each by itself would pass"
    assert promoted(Gate()) == promoted(Gate(max_total_forgetting=0.15)) == promoted(Gate(proof="together")) == 4
    assert promoted(Gate(max_total_forgetting=0.3)) == 8


def test_a_candidate_that_has_forgotten_in_all_what_is_allowed_is_promoted_as_rarely_as_stated() -> None:
    gate, promoted = Gate(max_forgetting=0.05, max_total_forgetting=0.1), 0
    for seed in range(300):
        drawn = exam(1, 200, 0.9, 0.02, 0.12, seed)  # by just 0.1 below the version that learned it
        old = replace(drawn, learned=drawn.champion, champion=drawn.candidate)
        promoted += decide(gate, [exam(9, 150, 0.6, 0.4, 0.0, seed, new=True), old]).promote
    assert promoted / 300 == pytest.approx(0.05, abs=0.025)


def test_the_total_is_at_least_what_one_update_may_forget() -> None:
    assert Gate(max_forgetting=0.4).total == 1.0
    with pytest.raises(SettingError, match="max_total_forgetting must be in"):
        Gate(max_forgetting=0.1, max_total_forgetting=0.05)
