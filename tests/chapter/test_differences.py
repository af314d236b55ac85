"""A difference is stated where its interval excludes 0, and only there."""

from __future__ import annotations

import math

import pytest

from lifelong.chapter.differences import claim_above, claim_below
from lifelong.chapter.shown import Claim
from lifelong.evaluation import Interval
from lifelong.reports.bilingual import Text

WHAT, TEXT = Text("the gain", "优势"), Text("It gains.", "有优势。")


@pytest.mark.parametrize(
    ("difference", "english", "chinese"),
    [
        (Interval(0.03, 0.02), "It gains.", "有优势。"),
        (Interval(0.03, 0.04), "the gain is +3.0 ± 4.0 points here: the interval includes 0", "置信区间包含 0"),
        (Interval(-0.03, 0.02), "−3.0 ± 2.0 points here: the opposite of what was expected", "与预期相反"),
        (Interval(0.03, math.nan), "the gain is +3.0 points here: one seed has no interval", "只有一个随机种子"),
    ],
)
def test_a_gain_is_stated_where_its_interval_is_above_0(difference: Interval, english: str, chinese: str) -> None:
    above = claim_above(difference, WHAT, TEXT)
    assert english in above.sentence.en
    assert chinese in above.sentence.zh
    below: Claim = claim_below(Interval(-difference.mean, difference.ci95), WHAT, TEXT)
    assert below.holds == above.holds == (english == "It gains.")
