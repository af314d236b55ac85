"""The matrix R over versions, as a table."""

from __future__ import annotations

from typing import Any

from rich.table import Table

__all__ = ["life_table"]


def life_table(life: dict[str, Any], champion: int | None) -> Table:
    """Rows are versions, columns tasks; a star marks the champion by its number."""
    table = Table("version", *(f"task {number}" for number in life["tasks"]))
    for version, row in zip(life["versions"], life["matrix"], strict=True):
        mark = " *" if version["number"] == champion else ""
        table.add_row(f"{version['number']}{mark}", *("" if value is None else f"{value:.3f}" for value in row))
    return table
