"""What the lesson says of known numbers, and the interval of one network on the same examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.forgetting import FORGETTING, chance_interval


def life(task_1: float, change: int, joint: float = 0.91) -> dict[str, Any]:
    """A seed in which `change` of 1000 test examples are lost, and 10 won."""
    after = task_1 - (change - 10) / 1000
    stages = [[0.1, 0.1], [task_1, 0.95], [after, 0.98], [joint, 0.98]]
    pixels = np.zeros((2, 100, 28, 28), dtype=int).tolist()
    return {
        "stages": stages, "lost": change, "won": 10, "tests": 1000,
        "every": 5, "followed": [[1] * 100, [0] * 100], "images": pixels,
    }  # fmt: skip


def shown(changes: list[int], joint: float = 0.91) -> Any:
    values = {f"seed-{seed}": life(0.90 + seed / 1000, change, joint) for seed, change in enumerate(changes)}
    noise = {"tried": [[0.2, 0.95], [0.3, 0.91], [0.4, 0.86]]}
    return FORGETTING.show(Setup(), {**values, "noise": noise})


def test_the_interval_of_paired_answers_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    lost, won, tests = 0.15, 0.05, 500
    draws = generator.multinomial(tests, [lost, won, 1 - lost - won], size=4000)
    spans = [chance_interval(int(down), int(up), tests) for down, up, _ in draws]
    covered = np.mean([abs(span.mean - (won - lost)) <= span.ci95 for span in spans])
    assert covered == pytest.approx(0.95, abs=0.012)


def test_claims_hold_where_every_seed_forgets() -> None:
    lesson = shown([160, 170, 165, 150])
    assert [claim.holds for claim in lesson.claims] == [True] * 5
    assert "15.1 ± 1.4" in lesson.claims[2].sentence.en
    assert "in each of the 4 seeds" in lesson.claims[3].sentence.en
    assert "4 个随机种子个个如此" in lesson.claims[3].sentence.zh


def test_claims_say_where_the_numbers_do_not_bear_them() -> None:
    lesson = shown([10, 60, 12, 8], joint=0.90)
    assert [claim.holds for claim in lesson.claims] == [True, True, False, False, False]
    assert "the interval includes 0" in lesson.claims[2].sentence.en
    assert lesson.claims[3].sentence.en.startswith("In 1 of 4 seeds")
    assert "does not show that the network can do both" in lesson.claims[4].sentence.en


def test_the_largest_noise_that_leaves_nine_of_ten_is_chosen() -> None:
    rows = shown([160] * 5).tables[-1].in_language("en")[2]
    assert rows == [["0.2", "95.0", ""], ["0.3", "91.0", "chosen"], ["0.4", "86.0", ""]]


def test_the_books_numbers_are_compared_on_mnist() -> None:
    values = {f"seed-{seed}": life(0.90, 110 + seed) for seed in range(2)}
    values["noise"] = {"tried": [[0.5, 0.91]]}
    book = FORGETTING.show(Setup("mnist"), values).claims[-1]
    assert book.holds
    assert "90.0 (90), 95.0 (96)" in book.sentence.en
