"""A run folder: the experiment as TOML, one JSON file per finished run, one checkpoint per unfinished one.

experiment.toml
runs/<method>/seed-<n>.json                   a finished run
runs/<method>/seed-<n>.predictions.npz        its predictions, where they are wanted
runs/<method>/seed-<n>.safetensors            an unfinished one
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from lifelong.errors import StorageError
from lifelong.evaluation import Predictions, Record
from lifelong.experiments.experiment import Experiment, load, to_toml
from lifelong.store import read_json, write_atomically, write_json

__all__ = ["Folder", "file_name"]


class Folder:
    """The files of an experiment under `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def experiment_file(self) -> Path:
        """Where the experiment stands."""
        return self.path / "experiment.toml"

    def claim(self, experiment: Experiment) -> None:
        """Make the folder that of `experiment`; methods and seeds may be added to one that is there.

        Raises: `StorageError` where the folder holds results of other settings, or something else altogether.
        """
        if not self.experiment_file.exists():
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise StorageError(f"{self.path} holds other files and no experiment; choose a new or empty folder")
            write_atomically(self.experiment_file, to_toml(experiment).encode())
            return
        before = load(self.experiment_file)
        known = {method.title: method for method in before.methods}
        for method in experiment.methods:
            if known.setdefault(method.title, method) != method:
                raise StorageError(_other(self.path, _first_difference(known[method.title], method)))
        seeds = tuple(dict.fromkeys([*before.seeds, *experiment.seeds]))
        together = replace(experiment, methods=tuple(known.values()), seeds=seeds)
        if replace(before, methods=together.methods, seeds=together.seeds) != together:
            raise StorageError(_other(self.path, _first_difference(before, experiment)))
        if together != before:
            write_atomically(self.experiment_file, to_toml(together).encode())

    def checkpoint(self, title: str, seed: int) -> Path:
        """Where an unfinished run of the method that is called `title` is kept."""
        return self._file(title, seed, "safetensors")

    def finish(self, record: Record) -> None:
        """Keep the record of a finished run, then drop its checkpoint."""
        if record.predictions:
            buffer = BytesIO()
            arrays = {
                f"task-{task}/{name}": array
                for task, answers in record.predictions.items()
                for name, array in vars(answers).items()
            }
            np.savez_compressed(buffer, allow_pickle=False, **arrays)
            write_atomically(self._file(record.method, record.seed, "predictions.npz"), buffer.getvalue())
        write_json(self._file(record.method, record.seed, "json"), record.to_json())
        self.checkpoint(record.method, record.seed).unlink(missing_ok=True)

    def finished(self, title: str, seed: int) -> Record | None:
        """The record of a finished run, or None."""
        file = self._file(title, seed, "json")
        if not file.exists():
            return None
        try:
            record = Record.from_json(read_json(file))
            file = self._file(title, seed, "predictions.npz")
            return replace(record, predictions=_predictions(file)) if file.exists() else record
        except (KeyError, TypeError, ValueError, OSError, BadZipFile) as error:
            raise StorageError(f"{file} is damaged: {error!r}; remove it to have the run made again") from error

    def _file(self, title: str, seed: int, suffix: str) -> Path:
        return self.path / "runs" / file_name(title) / f"seed-{seed}.{suffix}"


def file_name(title: str) -> str:
    """A name for the folder of a method that is safe on every file system and different for different titles.

    Example:
        >>> file_name("ewc+er"), file_name("ewc:strength=1")
        ('ewc+er', 'ewc-strength-1-32d11aec')
    """
    if re.fullmatch(r"[a-z0-9_][a-z0-9+._-]*", title) and len(title) <= 100:
        return title
    stem = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "method"
    return f"{stem}-{hashlib.sha256(title.encode()).hexdigest()[:8]}"


def _predictions(file: Path) -> dict[int, Predictions]:
    with np.load(file, allow_pickle=False) as arrays:
        tasks = sorted({int(name.partition("/")[0].removeprefix("task-")) for name in arrays.files})
        return {task: Predictions(arrays[f"task-{task}/decision"], arrays[f"task-{task}/y"]) for task in tasks}


def _other(path: Path, difference: str) -> str:
    return f"{path} holds results of other settings ({difference}); choose another --out, or remove it"


def _first_difference(before: object, now: object) -> str:
    for name, old in vars(before).items():
        new = getattr(now, name)
        if old != new and name not in ("methods", "seeds"):
            if hasattr(old, "__dict__"):
                return _first_difference(old, new)
            if isinstance(old, dict) and isinstance(new, dict):
                name = next(key for key in {**old, **new} if old.get(key) != new.get(key))
                old, new = old.get(name), new.get(name)
            return f"{name} was {old!r}, now {new!r}"
    return "the methods differ"
