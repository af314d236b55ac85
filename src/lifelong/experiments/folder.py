"""A run folder: the experiment as TOML, one JSON file per finished run, one checkpoint per unfinished one.

experiment.toml
runs/<method>/seed-<n>.json             a finished run
runs/<method>/seed-<n>.safetensors      an unfinished one
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lifelong.errors import StorageError
from lifelong.evaluation import Record
from lifelong.experiments.experiment import Experiment, MethodSpec, load, to_toml
from lifelong.store import read_json, write_atomically, write_json

__all__ = ["Folder"]


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
        known = {method.name: method for method in before.methods}
        for method in experiment.methods:
            if known.setdefault(method.name, method) != method:
                raise StorageError(_other(self.path, _first_difference(known[method.name], method)))
        seeds = tuple(dict.fromkeys([*before.seeds, *experiment.seeds]))
        together = replace(experiment, methods=tuple(known.values()), seeds=seeds)
        if replace(before, methods=together.methods, seeds=together.seeds) != together:
            raise StorageError(_other(self.path, _first_difference(before, experiment)))
        if together != before:
            write_atomically(self.experiment_file, to_toml(together).encode())

    def checkpoint(self, method: MethodSpec, seed: int) -> Path:
        """Where an unfinished run is kept."""
        return self.path / "runs" / method.name / f"seed-{seed}.safetensors"

    def finish(self, record: Record) -> None:
        """Keep the record of a finished run, then drop its checkpoint."""
        write_json(self._record_file(record.method, record.seed), record.to_json())
        self.checkpoint(MethodSpec(record.method), record.seed).unlink(missing_ok=True)

    def finished(self, method: MethodSpec, seed: int) -> Record | None:
        """The record of a finished run, or None."""
        file = self._record_file(method.name, seed)
        if not file.exists():
            return None
        try:
            return Record.from_json(read_json(file))
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{file} is damaged: {error!r}; remove it to have the run made again") from error

    def _record_file(self, method: str, seed: int) -> Path:
        return self.path / "runs" / method / f"seed-{seed}.json"


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
