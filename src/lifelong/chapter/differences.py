"""Claims about differences: stated where the 95 % interval excludes 0, and else what was measured instead."""

from __future__ import annotations

import math

from lifelong.chapter.shown import Claim
from lifelong.evaluation import Interval
from lifelong.reports.bilingual import Text
from lifelong.reports.wording import points, with_interval

__all__ = ["apart", "claim_above", "claim_below", "excludes_zero"]


def excludes_zero(difference: Interval) -> bool:
    """Whether the interval excludes 0; never where one seed leaves it unknown.

    >>> excludes_zero(Interval(0.03, 0.02)), excludes_zero(Interval(0.03, 0.05)), excludes_zero(Interval(1.0, math.nan))
    (True, False, False)
    """
    return abs(difference.mean) > difference.ci95


def apart(difference: Interval) -> str:
    """How far apart two things are, in points without a sign.

    >>> apart(Interval(-0.03, 0.02))
    '3.0 ± 2.0'
    """
    return with_interval(Interval(abs(difference.mean), difference.ci95))


def claim_above(difference: Interval, what: Text, text: Text) -> Claim:
    """`text` where `difference`, called `what`, is above 0; it is a difference of fractions, written in points.

    >>> what = Text("joint − finetune", "joint − finetune")
    >>> claim_above(Interval(0.03, 0.05), what, Text("Joint is better.", "joint 更好。")).sentence.en
    'joint − finetune is +3.0 ± 5.0 points here: the interval includes 0, so nothing follows.'
    """
    return Claim(excludes_zero(difference) and difference.mean > 0, text, _otherwise(difference, what))


def claim_below(difference: Interval, what: Text, text: Text) -> Claim:
    """`text` where `difference` is below 0; see `claim_above`.

    >>> what = Text("BWT", "反向迁移 BWT")
    >>> claim_below(Interval(-0.3, 0.05), what, Text("It forgets.", "会遗忘。")).holds
    True
    """
    return Claim(excludes_zero(difference) and difference.mean < 0, text, _otherwise(difference, what))


def _otherwise(difference: Interval, what: Text) -> Text:
    measured = with_interval(difference, points)
    en, zh = f"{what.en} is {measured} points here: ", f"本次运行中，{what.zh}为 {measured} 个百分点："
    if math.isnan(difference.ci95):
        return Text(
            f"{en}one seed has no interval, so nothing follows.", f"{zh}只有一个随机种子，没有置信区间，不能下结论。"
        )
    if not excludes_zero(difference):
        return Text(f"{en}the interval includes 0, so nothing follows.", f"{zh}置信区间包含 0，不能下结论。")
    return Text(f"{en}the opposite of what was expected.", f"{zh}与预期相反。")
