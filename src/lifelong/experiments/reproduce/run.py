"""Run the parts of a table: all runs of all parts share one pool of workers, and what is finished is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from lifelong.errors import require, unknown_name
from lifelong.evaluation import Record
from lifelong.experiments.folder import Folder
from lifelong.experiments.pool import Answer, cores, run_parallel
from lifelong.experiments.reproduce.table import Part, Table
from lifelong.experiments.resources import check_fit
from lifelong.experiments.single import Event

__all__ = ["run_table"]


def run_table(
    table: Table,
    out: Path,
    *,
    methods: Sequence[str] = (),
    rows: Sequence[str] = (),
    seeds: int | None = None,
    jobs: int | None = None,
    data_dir: str | None = None,
    on_event: Callable[[str, Event], None] | None = None,
    on_record: Callable[[str, Record], None] | None = None,
) -> list[tuple[Part, list[Record]]]:
    """Run what is not finished yet under `out`; returns every chosen part with its records.

    Arguments: `methods` and `rows` choose parts by label and by the beginning of the row, none chooses all; `seeds` so
        many instead of the table's own; `jobs` runs at a time, default one per core.

    Raises: `SettingError` for names that the table does not have; the error of the runs that failed, after all others.
    """
    chosen = _chosen(table, methods, rows)
    count = seeds or table.seeds
    processes = jobs or cores()
    found: dict[str, list[Record]] = {part.folder: [] for part in chosen}
    lines: list[dict[str, Any]] = []
    for part in chosen:
        experiment = replace(part.experiment, seeds=tuple(range(count)), data_dir=data_dir)
        check_fit(experiment, experiment.stream_for(0), processes)
        folder = Folder(out / table.name / part.folder)
        folder.claim(experiment)
        for seed in experiment.seeds:
            record = folder.finished(experiment.methods[0].title, seed)
            if record is not None:
                found[part.folder].append(record)
                continue
            place = str(folder.path.resolve())
            plain = msgspec.to_builtins(experiment)
            name = f"{part.folder} with seed {seed}"
            job = {"name": name, "experiment": plain, "method": 0, "seed": seed, "out": place, "checkpoint_every": None}
            lines.append({**job, "tag": part.folder})
    lines.sort(key=lambda line: line["seed"])  # all parts once before any twice

    def hear(answer: Answer) -> None:
        tag = answer["tag"]
        if "record" in answer:
            record = Record.from_json(answer["record"])
            found[tag].append(record)
            if on_record is not None:
                on_record(tag, record)
        elif on_event is not None:
            on_event(tag, Event(**answer["event"]))

    failures = run_parallel(lines, processes, 1, hear) if lines else []
    if failures:
        raise failures[0]
    return [(part, sorted(found[part.folder], key=lambda record: record.seed)) for part in chosen]


def _chosen(table: Table, methods: Sequence[str], rows: Sequence[str]) -> list[Part]:
    labels = {part.label for part in table.parts}
    for method in methods:
        if method not in labels:
            raise unknown_name(f"method in the table {table.name}", method, labels)
    chosen = [
        part
        for part in table.parts
        if (not methods or part.label in methods) and (not rows or part.row.startswith(tuple(rows)))
    ]
    require(bool(chosen), f"no part of {table.name} has such a row: it has {sorted({p.row for p in table.parts})}")
    return chosen
