"""The claims of every lesson on the values of its default run and of `--full`, kept in docs/results/chapter."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from lifelong.chapter import LESSONS, Setup

STORED = Path(__file__).parents[2] / "docs" / "results" / "chapter"

#: what the seeds of a run do not bear, and the page therefore denies: how each of these sentences begins
DENIED = {
    "digits": {
        "skills": ["ewc keeps only"],
        "babi": ["The old model as a teacher (lwf) keeps"],
        "guards": ["l2: no strength beats both extremes"],
    },
    "full-digits": {
        "babi": ["In this run task 5 is at", "The old model as a teacher (lwf) keeps"],
        "guards": ["l2: no strength beats both extremes"],
        "gem": ["With a memory of all training examples"],
    },
}


@lru_cache(maxsize=2)
def stored(run: str = "digits") -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = json.loads(gzip.decompress((STORED / f"{run}.json.gz").read_bytes()))
    return values


def setup_of(run: str) -> Setup:
    return Setup(full=run.startswith("full"))


@pytest.mark.parametrize("run", DENIED)
def test_every_lesson_is_kept_whole(run: str) -> None:
    assert {name: set(parts) for name, parts in stored(run).items()} == {
        lesson.name: set(lesson.parts(setup_of(run))) for lesson in LESSONS.values()
    }


@pytest.mark.parametrize("run", DENIED)
@pytest.mark.parametrize("name", LESSONS)
def test_the_claims_hold_for_the_seeds_of_the_run(name: str, run: str) -> None:
    claims = LESSONS[name].show(setup_of(run), stored(run)[name]).claims
    assert len(claims) > 0
    denied = [claim.sentence.en for claim in claims if not claim.holds]
    expected = DENIED[run].get(name, [])
    assert len(denied) == len(expected)
    assert all(sentence.startswith(begin) for sentence, begin in zip(denied, expected, strict=True))


@pytest.mark.parametrize("name", LESSONS)
def test_every_sentence_is_in_both_languages(name: str) -> None:
    lesson = LESSONS[name]
    shown = lesson.show(Setup(), stored()[name])
    texts = [lesson.title, lesson.see, *shown.notes, *(picture.caption for picture in shown.pictures)]
    texts += [text for claim in shown.claims for text in (claim.text, claim.otherwise)]
    for text in texts:
        assert text.en != text.zh
        assert "正确率" not in text.zh, text.zh


def test_a_cheap_lesson_gives_the_values_that_are_kept(tmp_path: Path) -> None:
    """Another processor's rounding may change the last digits, so that accuracies are compared to a hundredth."""
    fresh = LESSONS["skills"].parts(Setup())["independent"](tmp_path)
    kept = stored()["skills"]["independent"]
    for new, old in zip(fresh["runs"], kept["runs"], strict=True):
        assert new["matrix"][-1] == pytest.approx(old["matrix"][-1], abs=0.05)
