"""How often the gate is wrong, by simulation: candidates just at a margin, and candidates as good as the champion.

    python benchmarks/gate.py [--lives 100000] [--check 300]

For each number of old tasks, `--lives` candidates are drawn and judged: of each kind one that breaks exactly one
condition by exactly its margin (it must pass with 1 − confidence at most), and one that is exactly as good as the
champion (it should pass with `gate.power` at least; beside it what `lifelong.loop.power` states). The simulation judges
by counts; of each kind `--check` candidates are judged by `decide` as well, and must be judged alike. The exit code is
1 where a statement of the gate does not hold.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifelong.loop.gate import Disagreement, ExamAnswers, Gate, decide
from lifelong.loop.paired import critical_score, score
from lifelong.loop.power import power

CLASSES, FIRST, LOT = 10, 300, 45
TASKS = (1, 10, 30, 100)
RATE = 0.05


@dataclass(frozen=True)
class Kind:
    """Candidates of one kind: for each (task, class) the probabilities that an answer is gained and lost."""

    name: str
    gained_TK: np.ndarray[Any, Any]
    lost_TK: np.ndarray[Any, Any]


def sizes(tasks: int) -> np.ndarray[Any, Any]:
    """Examples of each task and class (T, K): a first exam and small ones of lots, the classes in turn."""
    cells = np.zeros((tasks, CLASSES), dtype=np.int64)
    for task in range(tasks):
        n, start = (FIRST, 0) if task == 0 else (LOT, task)
        np.add.at(cells[task], (start + np.arange(n)) % CLASSES, 1)
    return cells


def kinds(gate: Gate, n_TK: np.ndarray[Any, Any], seen: Disagreement) -> list[Kind]:
    """An equally good candidate, and one at each margin."""
    equal = np.full(n_TK.shape, seen.step / 2)
    tasks, examples = len(n_TK), n_TK.sum()
    share = (n_TK.sum(1) / examples)[-1]
    of_task = gate.shown(gate.of_a_task, int(n_TK[-1].sum()), tasks, seen.since)
    of_class = gate.shown(gate.of_a_class, int(n_TK[:, 3].sum()), CLASSES, seen.since)
    task, each = np.zeros(n_TK.shape), np.zeros(n_TK.shape)
    task[-1], each[:, 3] = of_task, of_class
    every = np.full(n_TK.shape, gate.max_forgetting)
    made = [Kind("as good as the champion", equal, equal), Kind("the mean falls by its margin", equal, equal + every)]
    if share * of_task < gate.max_forgetting or tasks == 1:
        made.append(Kind(f"one task falls by its margin {of_task:g}", equal, equal + task))
    made.append(Kind(f"one class falls by its margin {of_class:g}", equal, equal + each))
    return made


def passes(
    gate: Gate, n_TK: np.ndarray[Any, Any], b: np.ndarray[Any, Any], c: np.ndarray[Any, Any], seen: Disagreement
) -> np.ndarray[Any, Any]:
    """Whether the candidates with the counts `b` and `c` (lives, T, K) forget nothing; step and since are the same."""
    level = gate.level()

    def above(axis: int, n: np.ndarray[Any, Any], margin: float, tests: int) -> np.ndarray[Any, Any]:
        ok = np.ones(len(b), dtype=bool)
        gained, lost = b.sum(axis), c.sum(axis)
        for place, count in enumerate(n):
            asked = gate.shown(margin, int(count), tests, seen.since)
            if asked < 1:
                reached = score(gained[:, place], lost[:, place], int(count), -asked)
                ok &= reached >= critical_score(int(count), -asked, level)
        return ok

    n = int(n_TK.sum())
    mean = score(b.sum((1, 2)), c.sum((1, 2)), n, -gate.max_forgetting)
    ok = mean >= critical_score(n, -gate.max_forgetting, level)
    ok &= above(2, n_TK.sum(1), gate.of_a_task, len(n_TK))
    return ok & above(1, n_TK.sum(0), gate.of_a_class, CLASSES)


def by_decide(
    gate: Gate, n_TK: np.ndarray[Any, Any], b_TK: np.ndarray[Any, Any], c_TK: np.ndarray[Any, Any], seen: Disagreement
) -> bool:
    """The same candidate judged by the gate itself."""
    new = np.arange(200) % CLASSES
    exams = [ExamAnswers(10**6, "new", new, (new + 1) % CLASSES, new, is_new=True)]
    for task, (n_K, b_K, c_K) in enumerate(zip(n_TK, b_TK, c_TK, strict=True), start=1):
        y = np.repeat(np.arange(CLASSES), n_K)
        place = np.concatenate([np.arange(n) for n in n_K])
        wrong = (y + 1) % CLASSES
        champion = np.where(place < np.repeat(b_K, n_K), wrong, y)
        lost = (place >= np.repeat(b_K, n_K)) & (place < np.repeat(b_K + c_K, n_K))
        exams.append(ExamAnswers(task, "old", y, champion, np.where(lost, wrong, y), is_new=False))
    return decide(gate, exams, disagreement=seen).promote


def main() -> int:
    """Simulate, and print what was promised beside what came."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lives", type=int, default=100_000)
    parser.add_argument("--check", type=int, default=300)
    options = parser.parse_args()
    gate, broken = Gate(), 0
    print(f"{'tasks':>5} {'candidate':44} {'passes':>8} {'promised':>12}")
    for tasks in TASKS:
        n_TK, seen = sizes(tasks), Disagreement(RATE, RATE)
        for kind in kinds(gate, n_TK, seen):
            generator, passed, left = np.random.default_rng([tasks, len(kind.name)]), 0, options.lives
            agree = checked = 0
            while left > 0:
                lives = min(left, 2_000_000 // n_TK.size)
                left -= lives
                b = generator.binomial(n_TK, kind.gained_TK, size=(lives, *n_TK.shape))
                c = generator.binomial(n_TK - b, np.minimum(1.0, kind.lost_TK / (1 - kind.gained_TK)))
                ok = passes(gate, n_TK, b, c, seen)
                passed += int(ok.sum())
                for life in range(min(lives, options.check - checked)):
                    agree += by_decide(gate, n_TK, b[life], c[life], seen) == bool(ok[life])
                    checked += 1
            rate = passed / options.lives
            equal = kind.name.startswith("as good")
            promised = power(gate, list(n_TK.sum(1)), CLASSES, seen) if equal else 1 - gate.confidence
            error = 3 * (promised * (1 - promised) / options.lives) ** 0.5
            holds = (
                rate >= max(promised - error, gate.power) if equal else rate <= promised + error
            ) and agree == checked
            broken += not holds
            sign = "≥" if equal else "≤"
            text = (
                f"{sign} {promised:.4f}"
                + ("" if holds else "  BROKEN")
                + ("" if agree == checked else f" {agree}/{checked}")
            )
            print(f"{tasks:5} {kind.name:44} {rate:8.4f} {text:>12}", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
