"""What the drawing of GEM holds."""

from __future__ import annotations

import numpy as np

from lifelong.reports.arrows import projections
from lifelong.reports.bilingual import Text

PAST = np.array([[0.0, 1.0]])


def test_each_case_has_its_arrows_and_its_shade() -> None:
    alone = np.array([1.0, 0.5]), PAST, np.array([1.0, 0.5])
    against = np.array([1.0, -1.0]), PAST, np.array([1.0, 0.0])
    stopped = np.array([0.0, -1.0]), PAST, np.array([0.0, 0.0])
    titles = [Text("a", "甲"), Text("b", "乙"), Text("c", "丙")]
    figure = projections([alone, against, stopped], titles, "zh")
    names = [[text.get_text() for text in axes.texts if text.get_text()] for axes in figure.axes]
    assert names == [["g₁", "g = g′"], ["g₁", "g", "g′"], ["g₁", "g", "g′"]]
    tips = [tuple(text.xy) for text in figure.axes[1].texts if hasattr(text, "arrow_patch") and text.arrow_patch]
    assert tips == [(0.0, 1.0), (1.0, -1.0), (1.0, 0.0)]
    tips = [tuple(text.xy) for text in figure.axes[2].texts if hasattr(text, "arrow_patch") and text.arrow_patch]
    assert tips == [(0.0, 1.0), (0.0, -1.0)]  # what is zero has no arrow
    shade = np.concatenate([path.vertices for path in figure.axes[1].collections[0].get_paths()])
    assert (shade[:, 1].min(), shade[:, 1].max()) == (0.0, 1.5)
    assert figure.legends[0].get_texts()[-1].get_text() == "旧任务的损失都不上升（一阶近似）"
