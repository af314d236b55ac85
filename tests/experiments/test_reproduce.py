"""Published tables: protocols that build, comparisons that judge rightly, stored results that make the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lifelong.cli.app import app, main
from lifelong.errors import SettingError
from lifelong.evaluation import Cost, Record
from lifelong.experiments.reproduce import TABLES, Compared, Part, compare, page, read_all, run_table, store, table
from lifelong.experiments.resources import check_fit
from lifelong.store import read_json, write_json
from lifelong.training import Training

ROOT = Path(__file__).parents[2]


def record(rows: list[list[float]], seed: int = 0) -> Record:
    return Record("ewc", {}, seed, np.array(rows), Cost(2.0, 1.0, 0, 10))


def tiny(part: Part) -> Part:
    """The same protocol on embedded digits, a few steps long."""
    stream = part.experiment.stream.replace("mnist", "digits")
    training = replace(part.experiment.training, iterations=3, epochs=1)
    settings = {name: value for name, value in part.experiment.stream_settings.items() if name != "samples"}
    tasks = {"tasks": 2} if "angles" not in settings else {"tasks": 2, "angles": [0.0, 20.0]}
    experiment = replace(
        part.experiment, stream=stream, training=training, stream_settings={**settings, **tasks}, model="mlp:8"
    )
    return replace(part, experiment=experiment)


@pytest.mark.parametrize("name", TABLES)
def test_every_part_of_every_table_builds(name: str) -> None:
    found = table(name)
    folders = [part.folder for part in found.parts]
    assert len(set(folders)) == len(folders)
    for part in found.parts:
        experiment = tiny(part).experiment
        check_fit(experiment, experiment.stream_for(0), 1)
        assert part.experiment.stream_settings["validation"] == 0.0
        assert isinstance(part.experiment.training, Training)


def test_published_values_are_those_of_the_reference_files() -> None:
    """A few cells read off the papers a second time."""
    found = {(p.row, p.label, c.measure): c.published for t in TABLES for p in table(t).parts for c in p.cells}
    assert found["rotated MNIST", "mas", "seen 5"] == 84.22
    assert found["task-incremental", "ewc", "acc"] == 99.06
    assert found["rotated, memory 500", "er", "acc"] == 88.91
    assert found["rotations", "gem", "bwt"] == 5


@pytest.mark.parametrize(
    ("mean", "ci95", "published", "reproduced"),
    [(70.0, None, 71.9, True), (70.0, 0.5, 72.1, False), (70.0, 3.0, 72.5, True), (80.0, None, 60.0, True)],
)
def test_a_cell_is_reproduced_within_two_points_or_the_interval_or_when_better(
    mean: float, ci95: float | None, published: float, reproduced: bool
) -> None:
    assert Compared("r", "m", "acc", mean, ci95, 3, 1.0, published=published).reproduced is reproduced
    assert Compared("r", "m", "acc", mean, ci95, 3, 1.0).reproduced is None


def test_two_intervals_that_meet_are_a_reproduction() -> None:
    cell = Compared("r", "m", "acc", 37.5, 1.7, 3, 1.0, published=40.7, published_ci95=1.6)
    assert cell.reproduced
    assert not replace(cell, published_ci95=1.4).reproduced


def test_measures_are_read_off_the_matrix() -> None:
    found = {part.label: part for part in table("homework").parts}["ewc"]
    rows = [[0.1] * 5] + [[0.5 + 0.1 * (i == j) for j in range(5)] for i in range(5)]
    seen = compare(found, [record(rows)])
    assert [cell.measure for cell in seen] == [f"seen {k}" for k in range(1, 6)]
    assert seen[0].mean == pytest.approx(60.0)
    assert seen[1].mean == pytest.approx(55.0)
    assert seen[0].ci95 is None


def test_a_table_is_run_stored_and_written(tmp_path: Path) -> None:
    small = replace(table("gem"), parts=tuple(tiny(part) for part in table("gem").parts[:2]), seeds=2)
    found = run_table(small, tmp_path / "runs", jobs=2)
    assert [len(records) for _, records in found] == [2, 2]
    again = run_table(small, tmp_path / "runs", jobs=2, on_record=lambda *_: pytest.fail("it was finished"))
    for (_, before), (_, after) in zip(found, again, strict=True):
        assert [np.array_equal(a.matrix, b.matrix) for a, b in zip(before, after, strict=True)] == [True, True]
    for part, records in found:
        store(tmp_path / "results", small, part, records)
    assert [cell.label for stored in read_all(tmp_path / "results", small) for cell in stored.cells] == [
        "finetune", "finetune", "independent",
    ]  # fmt: skip
    assert read_all(tmp_path / "results", table("gem")) == [], "they were made with other settings than it has"
    for file in (tmp_path / "results" / "gem").iterdir():  # as those of before settings were kept
        write_json(file, read_json(file) | {"settings": None})
    text = page(tmp_path / "results")
    assert "lifelong reproduce gem --methods finetune --rows rotations --seeds 2" in text


def test_unknown_methods_and_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="did you mean 'gem'"):
        run_table(table("gem"), tmp_path, methods=["gemm"])
    with pytest.raises(SettingError, match="permutations"):
        run_table(table("gem"), tmp_path, rows=["sideways"])


def test_the_page_of_results_is_up_to_date() -> None:
    assert (ROOT / "docs" / "benchmarks.md").read_text() == page(ROOT / "docs" / "results"), (
        "run: lifelong reproduce --store docs/results --write docs/benchmarks.md"
    )


def test_the_command_names_its_tables_and_writes_the_page(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["reproduce", "homewrok"])
    assert stopped.value.code == 2
    with pytest.raises(SystemExit) as stopped:
        main(["reproduce"])
    assert stopped.value.code == 2
    done = CliRunner().invoke(app, ["reproduce", "--store", str(tmp_path / "none"), "--write", str(tmp_path / "x.md")])
    assert done.exit_code == 0, done.output
    assert "No results are stored yet: `lifelong reproduce homework`" in (tmp_path / "x.md").read_text()
