"""Results in the terminal: a table of scores, a table of paired differences, and R as a small heat map.

Made for 80 columns: a narrower terminal gets the first columns and is told which are left out, as no number is cut.
Where there is no colour the numbers still say everything.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, replace
from textwrap import wrap

import numpy as np
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from lifelong.evaluation import Array, Interval, Record, score_title
from lifelong.evaluation.summary import UNKNOWN, compare, reference_method, summarise
from lifelong.reports.wording import DASH, count, number, points, seconds, size, with_interval

__all__ = ["Fitted", "heat_text", "paired_table", "scores_table", "summary_table"]

# five anchors of the colour map cividis, dark = 0 % to light = 100 %, readable with every kind of colour vision
CIVIDIS = np.array([[0, 34, 78], [67, 78, 108], [125, 124, 120], [188, 174, 108], [254, 232, 56]])
MOST_TASKS = 12
LONGEST_NAME = 12


@dataclass(frozen=True)
class Fitted:
    """A table that leaves out its last columns where the terminal is too narrow for their longest words."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.update(max_width=1000)

        def least(column: Column) -> int:
            """The width of the longest word, or of the longest line where lines are not to be broken."""
            sizes = [Measurement.get(console, wide, cell) for cell in (column.header, *column.cells)]
            return max(size.maximum if column.no_wrap else size.minimum for size in sizes)

        columns = self.table.columns
        for room in range(len(columns), 0, -1):
            part = copy(self.table)
            part.columns = [
                replace(column, _index=index, min_width=least(column)) for index, column in enumerate(columns[:room])
            ]
            if room < len(columns):
                names = ", ".join(_plain(column.header) for column in columns[room:])
                before = f"{_plain(self.table.caption)}; " if self.table.caption else ""
                part.caption = f"{before}left out here, for want of room: {names}"
            if room == 1 or Measurement.get(console, wide, part).minimum <= options.max_width:
                yield part
                return


def _plain(text: object) -> str:
    return text.plain if isinstance(text, Text) else str(text)


def summary_table(records: list[Record]) -> Table:
    """One row per method: scores in percent as mean ± 95 % interval over seeds, then the mean costs.

    Takes finished runs of one stream; methods may have different seeds. "–" means not measured.
    """
    table = _table(
        f"percent of {_scores(records)}, mean ±95 % interval over seeds; forg: forgetting; learn: each task just after "
        "learning it; intr: intransigence, how far that lies below joint training"
    )
    for heading in ("ACC", "BWT", "FWT", "forg", "learn", "intr"):
        table.add_column(heading, justify="right")
    for heading in ("train", "stored", "params"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = summarise(records)
    fills = any(not math.isnan(row.capacity_used.mean) for row in rows)  # some method has a network that fills up
    if fills:
        table.add_column("used", justify="right", no_wrap=True)
        table.caption = f"{table.caption}; used: percent of the shared weights that past tasks hold"
    for row in rows:
        scores = (row.acc, row.bwt, row.fwt, row.forgetting, row.learning_acc, row.intransigence)
        costs = (seconds(row.train_seconds.mean), size(row.stored_bytes.mean), count(row.parameters))
        costs += (with_interval(row.capacity_used, sign=" ±"),) if fills else ()
        table.add_row(_name(row.method), *(with_interval(score, sign=" ±") for score in scores), *costs)
    return table


def scores_table(records: list[Record]) -> Table:
    """Every score at the end, the mean over the tests of all tasks, and the prequential one where it was measured.

    Plain numbers, mean ± 95 % interval over seeds.
    """
    rows = summarise(records)
    names = list(dict.fromkeys(name for row in rows for name in row.final_scores))
    table = _table("every score after the last task, mean over all tests; plain numbers ±95 % interval over seeds")
    tested = any(not math.isnan(row.prequential.mean) for row in rows)
    for heading in [*map(score_title, names), *(["prequential"] if tested else [])]:
        table.add_column(heading, justify="right")
    for row in rows:
        values = [row.final_scores.get(name, UNKNOWN) for name in names] + ([row.prequential] if tested else [])
        table.add_row(_name(row.method), *(with_interval(value, number, " ±") for value in values))
    return table


def paired_table(records: list[Record], against: str | None = None) -> Table:
    """ACC of every method minus ACC of `against` in percentage points, over the seeds that both finished.

    `against` is `finetune` unless given, or the first method where there is no finetune. Raises `SettingError` where
    `against` has no runs.
    """
    against = reference_method(records) if against is None else against
    table = _table("percentage points, paired by seed; intervals are not corrected for the number of methods")
    table.add_column(Text(f"ACC minus {against}"), justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("seeds", justify="right")
    for row in compare(records, against):
        table.add_row(_name(row.method), with_interval(row.acc, points), _range(row.acc), str(len(row.seeds)))
    return table


def heat_text(matrix_mean: Array, title: str) -> Text:
    """R (T + 1, T), fractions or NaN, as coloured cells of whole percents; the diagonal is bold and underlined.

    Row i is "after task i", row 0 the random initialisation. Above 12 tasks, 12 evenly chosen ones are shown.

    >>> print(heat_text(np.array([[0.1, 0.12], [1.0, 0.2], [0.7, np.nan]]), "ewc").plain)
    ewc
    after    1   2
        0   10  12
        1  100  20
        2   70   –
    """
    tasks = matrix_mean.shape[-1]
    shown = sorted({round(task) for task in np.linspace(1, tasks, min(tasks, MOST_TASKS))})
    text = Text(no_wrap=True)
    text.append(f"{title}\n", "bold")
    text.append("after " + "".join(f"{task:>4}" for task in shown))
    for row in (0, *shown):
        text.append(f"\n{row:>5} ")
        for task in shown:
            value = float(matrix_mean[row, task - 1])
            text.append(f"{_whole(value):>4}", _cell(value) + Style(bold=row == task, underline=row == task))
    return text


def _table(caption: str) -> Table:
    look = box.SIMPLE_HEAD
    table = Table(box=look, show_edge=False, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    table.add_column("method", no_wrap=True)  # where space is short, the scores break before ±, the names do not
    return table


def _name(method: str) -> Text:
    return Text("\n".join(wrap(method, LONGEST_NAME)))


def _range(value: Interval) -> str:
    if math.isnan(value.ci95):
        return DASH
    return f"{points(value.mean - value.ci95)} … {points(value.mean + value.ci95)}"


def _whole(fraction: float) -> str:
    return DASH if math.isnan(fraction) else f"{100 * fraction:.0f}"


def _cell(fraction: float) -> Style:
    if math.isnan(fraction):
        return Style(dim=True)
    places = np.linspace(0, 1, len(CIVIDIS))
    red, green, blue = (round(float(np.interp(fraction, places, channel))) for channel in CIVIDIS.T)
    ink = "black" if fraction > 0.5 else "white"
    return Style(color=ink, bgcolor=f"rgb({red},{green},{blue})")


def _scores(records: list[Record]) -> str:
    return ", ".join(dict.fromkeys(score_title(record.score) for record in records))
