"""What an experiment found: matrices, scores, tables and the report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lifelong.errors import SettingError, unknown_name
from lifelong.evaluation import Array, Record, by_method
from lifelong.evaluation.summary import summarise
from lifelong.methods import Method
from lifelong.types import Scenario

if TYPE_CHECKING:
    import pandas

__all__ = ["Results", "oracle_facts"]


def oracle_facts(methods: Iterable[Method[Any]], scenario: Scenario) -> dict[str, str]:
    """What a reader must know of methods that are told the task of what they answer where the scenario denies it.

    >>> from lifelong.methods import EWC, Independent
    >>> oracle_facts([EWC(), Independent()], "class")
    {'oracle': 'independent (told the task at test, which the scenario class denies to all others)'}
    >>> oracle_facts([EWC(), Independent()], "task")
    {}
    """
    told = [method.name for method in methods if "task number at test" in method.needs and scenario != "task"]
    denied = f"(told the task at test, which the scenario {scenario} denies to all others)"
    return {"oracle": f"{', '.join(told)} {denied}"} if told else {}


@dataclass(frozen=True)
class Results:
    """The records of an experiment; `results["ewc"]` are those of one method.

    `stream` describes the stream in plain values, `facts` the whole experiment in words.
    """

    stream: dict[str, Any]
    facts: dict[str, str]
    records: tuple[Record, ...]

    @property
    def methods(self) -> list[str]:
        """The methods that have at least one finished run."""
        return list(by_method(list(self.records)))

    def __getitem__(self, method: str) -> Results:
        if method not in self.methods:
            raise unknown_name("method in these results", method, self.methods)
        return Results(self.stream, self.facts, tuple(r for r in self.records if r.method == method))

    @property
    def matrix(self) -> Array:
        """R of every seed, (seeds, T + 1, T), of the one method that these results hold."""
        if len(self.methods) != 1:
            raise SettingError(f"these results hold {self.methods}; choose one: results[{self.methods[0]!r}].matrix")
        return np.stack([record.matrix for record in by_method(list(self.records))[self.methods[0]]])

    @property
    def scores(self) -> dict[str, dict[str, Any]]:
        """Per method the summary over seeds: `scores["ewc"]["acc"]["mean"]`."""
        return {summary.method: summary.to_json() for summary in summarise(list(self.records))}

    def to_frame(self) -> pandas.DataFrame:
        """One row per run: method, seed, scores, costs. Needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise SettingError("to_frame needs pandas: pip install 'lifelong[frame]'") from error
        rows = [{"method": r.method, "seed": r.seed, **r.scores, **vars(r.cost)} for r in self.records]
        return pandas.DataFrame(rows)

    def report(self, path: str | Path, title: str = "Learning without forgetting") -> list[Path]:
        """Write the HTML page and its pictures; returns all files. Needs the extra `report`."""
        from lifelong.reports import write_report

        return write_report(Path(path), title, self.facts, list(self.records))

    def to_json(self) -> dict[str, Any]:
        """One object with the stream, every run and the summary, as `lifelong run --json` prints it."""
        return {
            "stream": self.stream,
            **({"note": self.facts["hyper-parameters"]} if "hyper-parameters" in self.facts else {}),
            "runs": [record.to_json() for record in self.records],
            "summary": [summary.to_json() for summary in summarise(list(self.records))],
        }
