"""The stored results of all tables as one page of markdown."""

from __future__ import annotations

from pathlib import Path

from lifelong.experiments.reproduce.compare import Compared
from lifelong.experiments.reproduce.stored import Stored, read_all
from lifelong.experiments.reproduce.table import Table
from lifelong.experiments.reproduce.tables import TABLES, table

__all__ = ["page", "verdict"]

HEADER = """# Published tables, reproduced

Made from stored results by `lifelong reproduce --store docs/results --write docs/benchmarks.md`. Accuracies and
backward transfer in percent; ours is the mean over seeds ± its 95 % interval. A cell counts as reproduced when ours is
within 2 points of the published mean, or the two intervals meet, or it is better. *recalled* values, and all
published intervals, are unverified leads.
"""


def page(results: Path) -> str:
    """The page; tables without results are named with the command that makes them."""
    return "\n".join([HEADER, *(_section(table(name), results) for name in TABLES)])


def verdict(cell: Compared) -> str:
    """Whether a cell is reproduced, in a word."""
    return {None: "", True: "reproduced", False: "**not reproduced**"}[cell.reproduced]


def _section(of: Table, results: Path) -> str:
    found = read_all(results, of)
    lines = [f"## {of.name}", "", f"{of.source}.", "", f"Protocol: {of.protocol}.", ""]
    if not found:
        return "\n".join([*lines, f"No results are stored yet: `lifelong reproduce {of.name}`.", ""])
    lines.append("| protocol | method | measure | published | ours | difference | | seeds | s a run |")
    lines.append("|---|---|---|---|---|---|---|---|---|")
    lines += [_row(cell) for part in found for cell in part.cells]
    reasons = dict.fromkeys(
        f"* {c.label}: {c.why}." for part in found for c in part.cells if c.why and not c.reproduced
    )
    if reasons:
        lines += ["", "Why cells differ:", "", *reasons]
    lines += [
        "",
        "<details><summary>Commands</summary>",
        "",
        "```text",
        *map(_command, found),
        "```",
        "",
        "</details>",
        "",
    ]
    return "\n".join(lines)


def _row(cell: Compared) -> str:
    spread = "" if cell.published_ci95 is None else f" ± {cell.published_ci95:.2f}"
    published = "" if cell.published is None else f"{cell.published:g}{spread} ({cell.confidence})"
    ours = f"{cell.mean:.2f}" + (f" ± {cell.ci95:.2f}" if cell.ci95 is not None else "")
    difference = "" if cell.difference is None else f"{cell.difference:+.2f}"
    cells = (cell.row, cell.label, cell.measure, published, ours, difference, verdict(cell), str(cell.seeds))
    return f"| {' | '.join(cells)} | {cell.seconds:.0f} |"


def _command(part: Stored) -> str:
    return f"{part.command}    # {part.date}, version {part.version}, {part.seconds:.0f} core seconds"
