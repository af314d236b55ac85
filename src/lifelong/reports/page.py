"""The report: one HTML page that holds everything, pictures too, and the same pictures as files beside it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from lifelong.errors import DataError
from lifelong.evaluation import Record, by_method
from lifelong.evaluation.summary import MethodSummary, compare, reference_method, summarise
from lifelong.reports.canvas import Groups, png, spread
from lifelong.reports.curves import mean_curve, task_curves
from lifelong.reports.matrices import heat_map
from lifelong.reports.transfer import transfer_scatter
from lifelong.reports.wording import DASH, percent, points, seconds, size, with_interval
from lifelong.store.files import write_atomically

__all__ = ["file_names", "write_report"]


@dataclass(frozen=True)
class Picture:
    """One figure of the page: the end of its file name, what it shows in words, and its PNG bytes."""

    name: str
    alt: str
    data: bytes

    @property
    def source(self) -> str:
        """The picture as a data address, so that the page needs no other file."""
        return "data:image/png;base64," + b64encode(self.data).decode()


def write_report(place: str | Path, title: str, facts: dict[str, str], records: list[Record]) -> list[Path]:
    """Write the page and its pictures (PNG) beside it; the paths written, the page first.

    `place` is the page where it ends in .html, else a folder, made where needed, for report.html. `facts` are shown at
    the top as they are; a fact `command` is shown as the way to run it all again. `records` are finished runs of one
    stream. Each file is written whole or not at all, the page last. Raises `DataError` without records,
    `SettingError` where they do not fit together, `StorageError` where a file cannot be written.
    """
    if not records:
        raise DataError("expected at least one finished run to report, got none; let a run finish first")
    page = Path(place) if Path(place).suffix == ".html" else Path(place) / "report.html"
    summaries = summarise(records)
    against = reference_method(records)
    groups = {method: np.stack([record.matrix for record in group]) for method, group in by_method(records).items()}
    charts = _charts(groups, summaries)
    heats = _heats(groups)
    html = (
        _environment()
        .from_string(files("lifelong.reports").joinpath("page.html.j2").read_text("utf-8"))
        .render(
            title=title,
            style=files("lifelong.reports").joinpath("page.css").read_text("utf-8"),
            facts={name: fact for name, fact in facts.items() if name != "command"},
            command=facts.get("command"),
            summaries=summaries,
            against=against,
            differences=compare(records, against),
            charts=charts,
            heats=heats,
        )
    )
    paths = [page]
    for picture in (*charts.values(), *heats):
        paths.append(page.with_name(f"{page.stem}-{picture.name}.png"))
        write_atomically(paths[-1], picture.data)
    write_atomically(page, html.encode())
    return paths


def file_names(methods: list[str]) -> dict[str, str]:
    """A part of a file name for each method, safe on every file system and different for each.

    >>> file_names(["ewc", "ewc+er", "ewc/er"])
    {'ewc': 'ewc', 'ewc+er': 'ewc-er', 'ewc/er': 'ewc-er-2'}
    """
    names: dict[str, str] = {}
    for method in methods:
        stem = re.sub("[^a-z0-9]+", "-", method.lower()).strip("-")[:60] or "method"
        name, number = stem, 1
        while name in names.values():
            number += 1
            name = f"{stem}-{number}"
        names[method] = name
    return names


def _charts(groups: Groups, summaries: list[MethodSummary]) -> dict[str, Picture]:
    """The figures that show all methods at once, by name."""
    last = _listing(f"{row.method} {percent(row.acc.mean)} %" for row in summaries)
    transfer = _listing(f"{row.method} {points(row.fwt.mean)} and {points(row.bwt.mean)}" for row in summaries)
    mean_alt = f"Line chart, one line per method: mean accuracy on the tasks seen so far. After the last task: {last}."
    curves_alt = f"Line charts of the accuracy on every task over the life, one chart for each of {_listing(groups)}."
    transfer_alt = f"Scatter plot of forward and backward transfer by method, in percentage points: {transfer}."
    pictures = (
        Picture("mean", mean_alt, png(mean_curve(groups))),
        Picture("curves", curves_alt, png(task_curves(groups))),
        Picture("transfer", transfer_alt, png(transfer_scatter(groups))),
    )
    return {picture.name: picture for picture in pictures}


def _heats(groups: Groups) -> list[Picture]:
    """One heat map per method, of the mean over its seeds."""
    heats = []
    for method, name in file_names([*groups]).items():
        mean, _ = spread(groups[method])
        last = _listing(percent(float(value)) for value in mean[-1])
        alt = f"Heat map of the accuracies of {method}. Percent on each task after the last one: {last}."
        heats.append(Picture(f"heat-{name}", alt, png(heat_map(mean, method))))
    return heats


def _environment() -> Environment:
    """Jinja that escapes everything, refuses what is missing, and writes numbers as the rest of the package does."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = with_interval
    environment.filters["points"] = partial(with_interval, write=points)
    environment.filters["seconds"] = partial(with_interval, write=seconds)
    environment.filters["size"] = partial(with_interval, write=size)
    environment.filters["listing"] = _listing
    environment.filters["settings"] = _settings
    return environment


def _settings(settings: dict[str, Any]) -> str:
    return _listing(f"{name}={value}" for name, value in settings.items()) or DASH


def _listing(parts: Iterable[object]) -> str:
    return ", ".join(str(part) for part in parts)
