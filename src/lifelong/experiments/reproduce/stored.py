"""Results of reproductions on disk: one JSON file per part, with the command that makes it again."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

import lifelong
from lifelong.errors import StorageError
from lifelong.evaluation import Record
from lifelong.experiments.experiment import Experiment
from lifelong.experiments.reproduce.compare import Compared, beside, compare
from lifelong.experiments.reproduce.table import Part, Table
from lifelong.store import read_json, write_json

__all__ = ["Stored", "read_all", "store"]


@dataclass(frozen=True)
class Stored:
    """What one part of a table found; `seconds` of training and evaluation of all its runs, one core each.

    `settings` are all that its runs were made with but their seeds; None in files of before they were kept.
    """

    table: str
    command: str
    date: str
    version: str
    seconds: float
    cells: list[Compared]
    settings: dict[str, Any] | None = None


def store(folder: Path, table: Table, part: Part, records: Sequence[Record]) -> Stored:
    """Write what `records` say of `part` to `folder/TABLE/PART.json`."""
    chosen = f"--methods {shlex.quote(part.label)} --rows {shlex.quote(part.row)} --seeds {len(records)}"
    found = Stored(
        table=table.name,
        command=f"lifelong reproduce {table.name} {chosen}",
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        version=lifelong.__version__,
        seconds=sum(record.cost.train_seconds + record.cost.eval_seconds for record in records),
        cells=compare(part, records),
        settings=_settings(part),
    )
    write_json(folder / table.name / f"{part.folder}.json", msgspec.to_builtins(found))
    return found


def read_all(folder: Path, table: Table) -> list[Stored]:
    """What is stored of `table`, in its own order, beside what the table says now; nothing of other settings."""
    found = []
    for part in table.parts:
        file = folder / table.name / f"{part.folder}.json"
        if file.exists():
            try:
                stored = msgspec.convert(read_json(file), Stored)
            except msgspec.ValidationError as error:
                raise StorageError(f"{file} is damaged: {error}; remove it and run its command again") from error
            if stored.settings is not None and _experiment(stored.settings) != _experiment(_settings(part)):
                continue
            cells = {cell.measure: cell for cell in part.cells}
            found.append(replace(stored, cells=[beside(cells.get(ours.measure), ours) for ours in stored.cells]))
    return found


def _settings(part: Part) -> dict[str, Any]:
    """What the runs of a part are made with, as it is read back from a file."""
    plain = msgspec.to_builtins(replace(part.experiment, seeds=(0,), data_dir=None, note=""))
    read: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(plain))
    return {name: value for name, value in read.items() if name not in ("seeds", "data_dir", "note")}


def _experiment(settings: dict[str, Any]) -> Experiment:
    """The experiment of stored settings: what experiments have in addition by now is at its default. What methods have
    in addition is not, as they learn otherwise.
    """
    return msgspec.convert({**settings, "seeds": [0]}, Experiment)
