"""The report: one HTML page that holds everything, pictures too, and the same pictures as files beside it."""

from __future__ import annotations

import logging
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
from matplotlib.figure import Figure

from lifelong.errors import DataError
from lifelong.evaluation import Record, by_method
from lifelong.evaluation.summary import MethodSummary, compare, reference_method, summarise
from lifelong.reports.bilingual import MISSING, Language, Text, lettering, score_name
from lifelong.reports.canvas import Groups, png, spread
from lifelong.reports.curves import mean_curve, task_curves
from lifelong.reports.matrices import heat_map
from lifelong.reports.prequential import prequential_curve
from lifelong.reports.transfer import transfer_scatter
from lifelong.reports.wording import DASH, number, percent, points, seconds, size, with_interval
from lifelong.store.files import write_atomically

__all__ = ["figures", "file_names", "write_report"]

#: what a reader must know of an experiment, in Chinese
FACTS = {
    "stream": "数据流",
    "scenario": "场景",
    "tasks": "任务数",
    "stream settings": "数据流设置",
    "model": "模型",
    "objective": "目标",
    "training": "训练",
    "optimizer": "优化器",
    "evaluation": "评估",
    "seeds": "随机种子",
    "hyper-parameters": "超参数",
    "oracle": "被告知任务的方法",
}


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


def write_report(
    place: str | Path, title: str, facts: dict[str, str], records: list[Record], language: Language = "en"
) -> list[Path]:
    """Write the page and its pictures (PNG) beside it; the paths written, the page first.

    `place` is the page where it ends in .html, else a folder, made where needed, for report.html. `facts` are shown at
    the top as they are; a fact `command` is shown as the way to run it all again. `records` are finished runs of one
    stream. Words and pictures are in `language`; pictures in English where no font has Chinese letters. Each file is
    written whole or not at all, the page last. Raises `DataError` without records,
    `SettingError` where they do not fit together, `StorageError` where a file cannot be written.
    """
    if not records:
        raise DataError("expected at least one finished run to report, got none; let a run finish first")
    page = Path(place) if Path(place).suffix == ".html" else Path(place) / "report.html"
    summaries = summarise(records)
    against = reference_method(records)
    charts = _pictures(records, summaries, language)
    heats = [picture for name, picture in charts.items() if name.startswith("heat-")]
    html = (
        _environment()
        .from_string(files("lifelong.reports").joinpath("page.html.j2").read_text("utf-8"))
        .render(
            title=title,
            zh=language == "zh",
            fact_names=FACTS if language == "zh" else {},
            style=files("lifelong.reports").joinpath("page.css").read_text("utf-8"),
            facts={name: fact for name, fact in facts.items() if name != "command"},
            command=facts.get("command"),
            summaries=summaries,
            against=against,
            differences=compare(records, against),
            charts=charts,
            heats=heats,
            score=score_name(records[0].score, language),
            others=list(summaries[0].final_scores),
            score_title=partial(score_name, language=language),
        )
    )
    paths = [page]
    for picture in charts.values():
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


def figures(records: list[Record], language: Language = "en") -> dict[str, Figure]:
    """The figures of the report in `language` by name: `mean`, `curves`, `transfer`, `prequential` where it was
    measured, then one heat map per method, `heat-NAME`.

    Raises:
        SettingError: There are no records, or they do not fit together.
    """
    groups, score = _groups(records), records[0].score if records else "accuracy"
    found = {
        "mean": mean_curve(groups, language, score),
        "curves": task_curves(groups, language, score),
        "transfer": transfer_scatter(groups, language),
    }
    tested = {
        method: [run.prequential for run in group if run.prequential is not None and run.prequential.examples]
        for method, group in by_method(records).items()
    }
    if any(tested.values()):
        measured = {name: some for name, some in tested.items() if some}
        found["prequential"] = prequential_curve(measured, score, language=language)
    for method, name in file_names([*groups]).items():
        found[f"heat-{name}"] = heat_map(spread(groups[method])[0], method, language, score)
    return found


def _groups(records: list[Record]) -> Groups:
    return {method: np.stack([record.matrix for record in group]) for method, group in by_method(records).items()}


def _pictures(records: list[Record], summaries: list[MethodSummary], language: Language) -> dict[str, Picture]:
    """The figures with what they show in words."""
    groups, score = _groups(records), records[0].score
    what, zh = score_name(score), score_name(score, "zh")
    last = _listing(f"{row.method} {percent(row.acc.mean)} %" for row in summaries)
    transfer = _listing(f"{row.method} {points(row.fwt.mean)} / {points(row.bwt.mean)}" for row in summaries)
    tested = _listing(f"{row.method} {percent(row.prequential.mean)} %" for row in summaries)
    alts = {
        "mean": Text(
            f"Line chart, one line per method: mean {what} on the tasks seen so far. After the last task: {last}.",
            f"折线图，每个方法一条线：已学任务的平均{zh}。学完最后一个任务之后：{last}。",
        ),
        "curves": Text(
            f"Line charts of the {what} on every task over the life, one chart for each of {_listing(groups)}.",
            f"折线图：一生之中每个任务的{zh}，每个方法一幅：{_listing(groups)}。",
        ),
        "transfer": Text(
            f"Scatter plot of forward / backward transfer by method, in percentage points: {transfer}.",
            f"散点图：各方法的正向 / 反向迁移（百分点）：{transfer}。",
        ),
        "prequential": Text(
            f"Line chart of the {what} on each batch before it was learned. Mean over the life: {tested}.",
            f"折线图：每批数据学习之前的{zh}。一生的平均：{tested}。",
        ),
    }
    for method, name in file_names([*groups]).items():
        row = _listing(percent(float(value)) for value in spread(groups[method])[0][-1])
        alts[f"heat-{name}"] = Text(
            f"Heat map of the {what} of {method}. Percent on each task after the last one: {row}.",
            f"热力图：{method} 的{zh}。学完最后一个任务之后各任务的百分比：{row}。",
        )
    with lettering(language) as lettered:
        if lettered != language:
            logging.getLogger(__name__).warning(MISSING)
        drawn = figures(records, lettered)
        return {name: Picture(name, alts[name].of(language), png(figure)) for name, figure in drawn.items()}


def _environment() -> Environment:
    """Jinja that escapes everything, refuses what is missing, and writes numbers as the rest of the package does."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = with_interval
    environment.filters["number"] = partial(with_interval, write=number)
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
