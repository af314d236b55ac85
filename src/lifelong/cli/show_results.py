"""Results in the terminal: the summary, the differences, and R of every method as a small heat map."""

from __future__ import annotations

from rich.columns import Columns
from rich.console import Console

from lifelong.experiments import Results
from lifelong.reports import Fitted, heat_text, paired_table, scores_table, summary_table

__all__ = ["show_results"]


def show_results(results: Results, console: Console) -> None:
    """Print tables and heat maps."""
    records = list(results.records)
    console.print(Fitted(summary_table(records)))
    for name in ("hyper-parameters", "oracle"):
        if name in results.facts:
            console.print(f"{name}: {results.facts[name]}", highlight=False)
    if any(record.matrices for record in records):
        console.print()
        console.print(Fitted(scores_table(records)))
    if len(results.methods) > 1:
        console.print()
        console.print(Fitted(paired_table(records)))
    console.print()
    maps = [heat_text(results[method].matrix.mean(0), method) for method in results.methods]
    console.print(Columns(maps, padding=(1, 3)))
