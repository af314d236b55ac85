"""The matrix R over versions, as a table."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE
from rich.table import Table

__all__ = ["life_table"]


def life_table(life: dict[str, Any], champion: int | None, most: int = 12) -> Table:
    """Rows are versions, columns tasks, cells percent; a star marks the champion by its number.

    Of more than `most` tasks the first ones and the last ones are shown.
    """
    numbers = life["tasks"]
    places = [*range(len(numbers))]
    if len(places) > most:
        places = [*places[: most // 3], *places[-(most - most // 3) :]]
    table = Table("", box=SIMPLE, padding=(0, 0, 0, 1))
    for place in places:
        table.add_column(str(numbers[place]), justify="right", no_wrap=True)
    for version, row in zip(life["versions"], life["matrix"], strict=True):
        mark = "*" if version["number"] == champion else ""
        cells = ("" if row[place] is None else f"{100 * row[place]:.0f}" for place in places)
        table.add_row(f"{version['number']}{mark}", *cells)
    return table
