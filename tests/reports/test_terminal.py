"""What the terminal shows, as text in 80 columns."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console, RenderableType
from rich.style import Style

from lifelong.errors import SettingError
from lifelong.evaluation import Array, Cost, Record
from lifelong.reports import heat_text, paired_table, summary_table


def lines(renderable: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get().splitlines()


def run(method: str, seed: int, R: Array) -> Record:
    return Record(method, {}, seed, R, Cost(75.0 + seed, 1.0, 12_300_000, 11_200_000))


LOW = np.array([[0.1, 0.1], [0.9, 0.2], [0.5, 0.8]])
HIGH = np.array([[0.1, 0.1], [0.9, 0.4], [0.7, 1.0]])
NAMES = ["finetune", "ewc", "er", "joint", "gem", "ewc+er+gem", "ewc+er+gem+si+mas"]


def test_scores_stand_in_percent_with_their_intervals() -> None:
    text = lines(summary_table([run("ewc", 0, LOW), run("ewc", 1, HIGH)]), 120)
    [row] = [line.split() for line in text if line.startswith("ewc")]
    # ACC 65 and 85: mean 75, half-width 12.706 · 14.142 / √2 = 127.1
    assert row[:5] == ["ewc", "75.0", "±127", "−30.0", "±127"]
    assert row[-6:] == ["76", "s", "12", "MB", "11.2", "M"]


def test_seven_methods_fit_80_columns_with_whole_names_and_headings() -> None:
    records = [run(name, seed, R) for name in NAMES for seed, R in enumerate((LOW, HIGH, LOW))]
    text = lines(summary_table(records))
    assert max(map(len, text)) <= 80
    assert text[0].split() == ["method", "ACC", "BWT", "FWT", "forg", "learn", "intr", "train", "stored", "params"]
    starts = {line.split()[0] for line in text if line.strip()}
    assert {"finetune", "ewc+er+gem"} <= starts
    assert "…" not in "".join(text)
    assert "71.7" in "".join(text)


def test_the_capacity_used_has_a_column_where_a_method_uses_it_up() -> None:
    packed = Record("packnet", {}, 0, LOW, Cost(75.0, 1.0, 10, 10, capacity_used=0.375))
    text = lines(summary_table([packed, run("ewc", 0, LOW)]), 120)
    assert text[0].split()[-1] == "used"
    assert [line.split()[-1] for line in text if line.startswith(("packnet", "ewc"))] == ["37.5", "–"]
    assert "used" not in "".join(lines(summary_table([run("ewc", 0, LOW)]), 120))


def test_one_seed_has_no_interval_and_one_task_no_transfer() -> None:
    [row] = [line for line in lines(summary_table([run("er", 0, np.array([[0.1], [1.0]]))])) if line.startswith("er")]
    assert row.split()[:7] == ["er", "100.0", "–", "–", "–", "100.0", "–"]


def test_names_are_not_markup() -> None:
    records = [run("[red]er[/red]", 0, LOW), run("finetune", 0, LOW)]
    assert "[red]er[/red" in "\n".join(lines(summary_table(records), 120))
    assert "[red]er[/red" in "\n".join(lines(paired_table(records, "[red]er[/red]"), 120))


def test_paired_table_shows_difference_interval_and_shared_seeds() -> None:
    records = [run("finetune", 0, LOW), run("finetune", 1, LOW), run("er", 0, HIGH), run("er", 1, HIGH)]
    text = lines(paired_table(records))
    assert "ACC minus finetune" in text[0]
    [row] = [line.split() for line in text if line.startswith("er")]
    assert row == ["er", "+20.0", "±", "0.0", "+20.0", "…", "+20.0", "2"]
    [row] = [line.split() for line in lines(paired_table(records[:3], "er")) if line.startswith("finetune")]
    assert row == ["finetune", "−20.0", "–", "1"]
    with pytest.raises(SettingError, match="unknown method"):
        paired_table(records, "gem")


def test_heat_map_holds_the_percents_in_their_places() -> None:
    text = heat_text(np.array([[0.0, 0.104], [0.996, np.nan], [0.25, 1.0]]), "my [title]").plain.splitlines()
    assert text[0] == "my [title]"
    assert [line.split() for line in text[1:]] == [
        ["after", "1", "2"],
        ["0", "0", "10"],
        ["1", "100", "–"],
        ["2", "25", "100"],
    ]


def test_heat_map_of_a_long_life_shows_twelve_tasks_and_fits() -> None:
    R = np.arange(51 * 50).reshape(51, 50) / (51 * 50)
    text = lines(heat_text(R, "ewc"))
    assert max(map(len, text)) <= 80
    tasks = [int(task) for task in text[1].split()[1:]]
    assert len(tasks) == 12
    assert (tasks[0], tasks[-1]) == (1, 50)
    rows = {int(line.split()[0]): [int(cell) for cell in line.split()[1:]] for line in text[2:]}
    assert list(rows) == [0, *tasks]
    assert rows[50] == [round(100 * R[50, task - 1]) for task in tasks]


def test_cells_are_coloured_and_the_diagonal_underlined() -> None:
    styles = [span.style for span in heat_text(np.array([[0.0], [1.0]]), "er").spans]
    dark = Style(color="white", bgcolor="rgb(0,34,78)", bold=False, underline=False)
    light = Style(color="black", bgcolor="rgb(254,232,56)", bold=True, underline=True)
    assert styles == ["bold", dark, light]
