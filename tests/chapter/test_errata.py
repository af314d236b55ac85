"""The errata name the slips of the book in both languages."""

from __future__ import annotations

import re

import pytest

from lifelong.chapter.errata import ERRATA


@pytest.mark.parametrize(
    "words",
    [("16.1", "16.4"), ("R_T,i − R_i,i",), ("GEM", "MMD"), ("2016", "2017"), ("squared", "平方"), ("⟨g′, gₖ⟩ ≥ 0",)],
)
def test_every_slip_is_told_in_both_languages(words: tuple[str, ...]) -> None:
    [slip] = [each for each in ERRATA if all(word in each.en + each.zh for word in words)]
    shared = [word for word in words if not re.search(r"[^\W\d_]{4}|[\u4e00-\u9fff]", word)]
    assert all(word in slip.en and word in slip.zh for word in shared)


def test_chinese_is_chinese_and_english_is_not() -> None:
    for slip in ERRATA:
        assert re.search(r"[\u4e00-\u9fff]", slip.zh)
        assert not re.search(r"[,;:](?=[\u4e00-\u9fff])", slip.zh)  # full-width punctuation
        assert not re.search(r"[\u4e00-\u9fff]", slip.en.replace("平均差", ""))
