"""What the lesson on one model per task makes of known numbers."""

from __future__ import annotations

from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.model_per_task import METHODS, MODEL_PER_TASK, SAMPLES


def test_gain_of_sharing_is_the_difference_seed_by_seed() -> None:
    counts = [samples or 1293 for samples in SAMPLES["digits"]]
    gains = {"independent": 0.0, "er": 0.1, "joint": 0.2}
    values = {}
    for method in METHODS:
        for samples, count in zip(SAMPLES["digits"], counts, strict=True):
            runs = [{"samples": count, "acc": 0.5 + gains[method] + 0.1 * seed, "bytes": 4e6} for seed in (0, 1)]
            values[f"{method}-{samples or 'all'}"] = {"runs": runs}
    assert set(values) == set(MODEL_PER_TASK.parts(Setup()))
    shown = MODEL_PER_TASK.show(Setup(), values)
    accuracies, gained, kept = (table.in_language("en") for table in shown.tables)
    assert accuracies[1] == ["examples per task", *(str(count) for count in counts)]
    assert gained[2] == [["joint", *["+20.0 ± 0.0"] * len(counts)], ["er", *["+10.0 ± 0.0"] * len(counts)]]
    assert kept[2][0] == ["independent", *["4.0 MB"] * len(counts)]
    assert len(shown.pictures[0].draw("zh").axes) == 2
