"""With which probability a candidate that is exactly as good as the champion passes the gate, now and later.

An equally good candidate gains and loses answers with the same probability, half of the gate's `disagreement` each. It
differs from the version that learned a task more often than from the champion (`Gate.assumed`). The conditions are
positively dependent (an answer that is lost counts against its task, its class and the mean), so the product of their
probabilities is a lower bound of passing them all (association, Esary, Proschan & Walkup 1967).
`benchmarks/gate.py` simulates lives and prints both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from lifelong.errors import SettingError
from lifelong.loop.gate import Disagreement, Gate
from lifelong.loop.paired import pass_probability

__all__ = ["LATER", "check_power", "exam_needed", "power", "power_later"]

#: after so many tasks the power is stated
LATER = (10, 30, 100)
#: no exam has more examples
MOST = 20_000


@lru_cache(maxsize=1024)
def _passing(n: int, fall: float, level: float, disagreement: float) -> float:
    """An exam of n shows a fall of at most `fall`."""
    return 1.0 if fall >= 1 else pass_probability(n, -fall, level, disagreement / 2, disagreement / 2)


def power(gate: Gate, exams: Sequence[int], classes: int, disagreement: Disagreement | None = None) -> float:
    """The probability that an equally good candidate forgets nothing in the eyes of the gate.

    Arguments:
        exams: how many examples of each old task's exam the verdict uses.
        classes: how many classes share them evenly.
        disagreement: None is the gate's own assumption.

    >>> round(power(Gate(), [350], classes=10), 2), round(power(Gate(), [60], classes=10), 2)
    (0.98, 0.21)
    """
    if not exams:
        return 1.0
    level, whole, count = gate.level(), sum(exams), len(exams)
    rate, since = disagreement or gate.assumed
    chance = _passing(whole, gate.max_forgetting, level, rate) * _passing(whole, gate.total, level, since)
    for n in (each if each < 20 else each // 10 * 10 for each in exams):
        chance *= _passing(n, gate.shown(gate.of_a_task, n, count, since), level, since)
    share = max(1, whole // classes)
    return chance * _passing(share, gate.shown(gate.of_a_class, share, classes, since), level, since) ** classes


def power_later(
    gate: Gate, exams: Sequence[int], lot: int, classes: int, disagreement: Disagreement | None = None
) -> dict[int, float]:
    """Number of tasks → `power`, now and after 10, 30 and 100 tasks where every later exam has `lot` examples.

    >>> {tasks: round(value, 2) for tasks, value in power_later(Gate(), [350], 90, classes=10).items()}
    {1: 0.98, 10: 0.99, 30: 0.99, 100: 0.99}
    """
    counts = sorted({max(1, len(exams)), *(count for count in LATER if count > len(exams))})
    sizes = [[*exams, *[lot] * (count - len(exams))][:count] for count in counts]
    return {count: power(gate, each, classes, disagreement) for count, each in zip(counts, sizes, strict=True)}


def exam_needed(gate: Gate, classes: int, tasks: int = 1) -> int:
    """The fewest examples per exam, in tens, with which a candidate passes with the gate's `power` after `tasks`.

    Raises: `SettingError` where 20,000 are too few.
    """
    needed = _fewest(lambda n: power(gate, [n] * tasks, classes) >= gate.power)
    if needed is None:
        raise SettingError(
            f"no exam of up to {MOST:,} examples lets an equally good candidate pass with probability {gate.power:g}; "
            "lower gate.power or gate.disagreement, or raise gate.max_forgetting"
        )
    return needed


def _fewest(passes: Callable[[int], bool]) -> int | None:
    """The least multiple of ten that passes, where all larger ones do; None above `MOST`."""
    high = 10
    while not passes(high):
        high *= 2
        if high > MOST:
            return None
    low = high // 2 // 10 * 10
    while high - low > 10:
        middle = (low + high) // 20 * 10
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def check_power(gate: Gate, exams: Sequence[int], lot: int, classes: int) -> None:
    """Refuse a project in which an equally good candidate would be rejected too often, now or later.

    Raises: `SettingError` with the sizes of exams that would do.
    """
    for count, chance in power_later(gate, exams, lot, classes).items():
        if chance >= gate.power:
            continue
        first = count <= len(exams)
        needed = exam_needed(gate, classes) if first else _lot_needed(gate, exams, classes, count)
        where = "the exam of the first tasks" if first else "the exam of each lot (exam.minimum)"
        raise SettingError(
            f"a candidate exactly as good as the champion would pass the gate with probability {chance:.2f} after "
            f"{count} task(s); expected {gate.power:g} (gate.power) or more: let {where} have {needed} examples for "
            f"the verdict or more, got {sum(exams) if first else lot}; or raise gate.max_forgetting or lower gate.power"
        )


def _lot_needed(gate: Gate, exams: Sequence[int], classes: int, count: int) -> int:
    needed = _fewest(lambda n: power(gate, [*exams, *[n] * (count - len(exams))], classes) >= gate.power)
    return exam_needed(gate, classes, count) if needed is None else needed
