"""The claims of every lesson on the values of its default run, which are kept in docs/results/chapter."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from lifelong.chapter import LESSONS, Setup

STORED = Path(__file__).parents[2] / "docs" / "results" / "chapter" / "digits.json.gz"

#: what the default seeds do not bear, and the page therefore denies: how each of these sentences begins
DENIED = {
    "skills": ["ewc keeps only"],
    "babi": ["The old model as a teacher (lwf) keeps"],
    "guards": ["l2: no strength beats both extremes"],
}


@lru_cache(maxsize=1)
def stored() -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = json.loads(gzip.decompress(STORED.read_bytes()))
    return values


def test_every_lesson_is_kept_whole() -> None:
    assert {name: set(parts) for name, parts in stored().items()} == {
        lesson.name: set(lesson.parts(Setup())) for lesson in LESSONS.values()
    }


@pytest.mark.parametrize("name", LESSONS)
def test_the_claims_hold_for_the_default_seeds(name: str) -> None:
    claims = LESSONS[name].show(Setup(), stored()[name]).claims
    assert len(claims) > 0
    denied = [claim.sentence.en for claim in claims if not claim.holds]
    assert len(denied) == len(DENIED.get(name, []))
    assert all(sentence.startswith(begin) for sentence, begin in zip(denied, DENIED.get(name, []), strict=True))


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
