"""What the picture of memory holds."""

from __future__ import annotations

import numpy as np

from lifelong.reports.memories import memory_curves


def test_bytes_are_written_as_people_read_them() -> None:
    axes = memory_curves([1, 10, 100], {"ewc": [2e5, 2e5, 2e5], "gem": [1e5, 1e6, 1e7]}, "zh").axes[0]
    assert {text.get_text(): text.xy for text in axes.texts} == {"ewc": (100, 2e5), "gem": (100, 1e7)}
    assert np.asarray(axes.lines[1].get_ydata()).tolist() == [1e5, 1e6, 1e7]
    assert axes.yaxis.get_major_formatter()(1e6, 0) == "1.0 MB"
    assert axes.xaxis.get_major_formatter()(100, 0) == "100"
    assert axes.get_xlabel() == "已学任务数"
