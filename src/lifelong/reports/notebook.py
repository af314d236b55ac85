"""Results as a table of HTML, for notebooks."""

from __future__ import annotations

from html import escape

from lifelong.evaluation import Record, score_title
from lifelong.evaluation.summary import summarise
from lifelong.reports.wording import with_interval

__all__ = ["results_table"]


def results_table(records: list[Record], facts: dict[str, str]) -> str:
    """One row per method with the scores of R in percent, mean ± 95 % interval over seeds; the facts fold out.

    Example:
        >>> "<table>" in results_table([], {"stream": "permuted-digits"})
        True
    """
    rows = summarise(records) if records else []
    headings = ("method", "ACC", "BWT", "FWT", "forgetting", "learning accuracy", "seeds")
    lines = [f"<tr>{''.join(f'<th>{heading}</th>' for heading in headings)}</tr>"]
    for row in rows:
        scores = (row.acc, row.bwt, row.fwt, row.forgetting, row.learning_acc)
        cells = [escape(row.method), *map(with_interval, scores), str(len(row.seeds))]
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    of = f" of the {escape(score_title(rows[0].score))}" if rows else ""
    said = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    return (
        f"<table><caption>percent{of}, mean ± 95 % interval over seeds</caption>{''.join(lines)}</table>"
        f"<details><summary>settings</summary><dl>{said}</dl></details>"
    )
