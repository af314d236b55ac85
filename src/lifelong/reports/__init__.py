"""Finished runs for people to read: tables in the terminal, figures, and one HTML page.

Everything is imported on first use, so that the terminal tables do without the extra `report` (matplotlib, jinja2).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lifelong.errors import SettingError

if TYPE_CHECKING:
    from lifelong.reports.curves import mean_curve, task_curves
    from lifelong.reports.matrices import heat_map
    from lifelong.reports.page import figures, write_report
    from lifelong.reports.terminal import Fitted, heat_text, paired_table, scores_table, summary_table
    from lifelong.reports.transfer import transfer_scatter

__all__ = [
    "Fitted",
    "figures",
    "heat_map",
    "heat_text",
    "mean_curve",
    "paired_table",
    "scores_table",
    "summary_table",
    "task_curves",
    "transfer_scatter",
    "write_report",
]

_MODULES = {
    "Fitted": "terminal",
    "figures": "page",
    "heat_map": "matrices",
    "heat_text": "terminal",
    "mean_curve": "curves",
    "paired_table": "terminal",
    "scores_table": "terminal",
    "summary_table": "terminal",
    "task_curves": "curves",
    "transfer_scatter": "transfer",
    "write_report": "page",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("matplotlib", "jinja2"):
            raise SettingError("reports need matplotlib and jinja2: pip install 'lifelong[report]'") from error
        raise
    return getattr(module, name)
