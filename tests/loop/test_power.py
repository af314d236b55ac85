"""The power of the gate: against simulated candidates, against the fault that it mends, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.errors import SettingError
from lifelong.loop.gate import Disagreement, ExamAnswers, Gate, decide
from lifelong.loop.power import check_power, exam_needed, power, power_later


def simulated(gate: Gate, sizes: list[int], disagreement: float, lives: int) -> float:
    """How often an equally good candidate forgets nothing, by the gate itself."""
    generator, passed = np.random.default_rng(0), 0
    y_new = np.arange(100) % 2
    new = ExamAnswers(99, "new", y_new, 1 - y_new, y_new, is_new=True)
    for _ in range(lives):
        exams = [new]
        for number, n in enumerate(sizes, start=1):
            y, draw = generator.integers(0, 4, size=n), generator.uniform(size=n)
            wrong = (y + 1) % 4
            champion = np.where(draw < disagreement / 2, wrong, y)
            candidate = np.where((draw > disagreement / 2) & (draw < disagreement), wrong, y)
            exams.append(ExamAnswers(number, "old", y, champion, candidate, is_new=False))
        passed += decide(gate, exams).promote
    return passed / lives


@pytest.mark.parametrize(("sizes", "disagreement"), [([150], 0.05), ([230], 0.05), ([230, 45, 45, 45], 0.05)])
def test_power_is_what_simulated_candidates_say(sizes: list[int], disagreement: float) -> None:
    told = power(Gate(), sizes, 4, Disagreement(disagreement, disagreement))
    seen = simulated(Gate(), sizes, disagreement, lives=400)
    assert told <= seen + 3 * (0.25 / 400) ** 0.5, "a lower bound"
    assert told >= seen - 0.08, "and not far below"


def test_power_stays_as_tasks_come() -> None:
    """With one test per task it fell to 0.58 to the power of their number."""
    later = power_later(Gate(), [300], lot=45, classes=10)
    assert list(later) == [1, 10, 30, 100]
    assert min(later.values()) >= 0.9
    assert list(power_later(Gate(), [300] * 12, 45, 10)) == [12, 30, 100]
    assert power(Gate(), [], 10) == 1.0
    noisy = power_later(Gate(), [600], 45, 10, Disagreement(0.1, 0.2))
    assert min(noisy.values()) >= 0.9, "margins follow the disagreement that was seen"


def test_a_project_that_cannot_live_is_refused_with_the_size_that_would_do() -> None:
    needed = exam_needed(Gate(), classes=10)
    check_power(Gate(), [needed], 45, 10)
    with pytest.raises(SettingError, match=rf"let the exam of the first tasks have {needed} examples for the verdict"):
        check_power(Gate(), [60], 45, 10)
    check_power(Gate(power=0.0), [60], 45, 10)
    with pytest.raises(SettingError, match="lower gate"):
        exam_needed(Gate(max_forgetting=0.0001), classes=10)
