"""What an experiment found: matrices, scores, tables and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from lifelong.errors import LifelongError, SettingError, require, unknown_name
from lifelong.evaluation import Array, Predictions, Record, by_method
from lifelong.evaluation.summary import summarise
from lifelong.methods import Method
from lifelong.objectives.metrics import per_class
from lifelong.types import Scenario

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

__all__ = ["Results", "complete", "oracle_facts"]


def oracle_facts(methods: Mapping[str, Method[Any]], scenario: Scenario) -> dict[str, str]:
    """What a reader must know of methods that are told the task of what they answer where the scenario denies it.

    >>> from lifelong.methods import EWC, Independent
    >>> oracle_facts({"ewc": EWC(), "independent": Independent()}, "class")
    {'oracle': 'independent (told the task at test, which the scenario class denies to all others)'}
    >>> oracle_facts({"independent": Independent()}, "task")
    {}
    """
    needing = {title for title, method in methods.items() if "task number at test" in method.needs}
    informed = [title for title in methods if title in needing and scenario != "task"]
    denied = f"(told the task at test, which the scenario {scenario} denies to all others)"
    return {"oracle": f"{', '.join(informed)} {denied}"} if informed else {}


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
        return np.stack([record.matrix for record in self._of_one_method("matrix")])

    @property
    def matrices(self) -> dict[str, Array]:
        """Every score by name, each (seeds, T + 1, T) as R, of the one method that these results hold."""
        records = self._of_one_method("matrices")
        names = dict.fromkeys(name for record in records for name in record.matrices)
        empty = np.full_like(records[0].matrix, np.nan)
        return {name: np.stack([record.matrices.get(name, empty) for record in records]) for name in names}

    @property
    def scores(self) -> dict[str, dict[str, Any]]:
        """Per method the summary over seeds: `scores["ewc"]["acc"]["mean"]`."""
        return {summary.method: summary.to_json() for summary in summarise(list(self.records))}

    @property
    def predictions(self) -> dict[tuple[str, int], Mapping[int, Predictions]]:
        """What the finished learner decided on the test of each task, by (method, seed).

        Raises:
            SettingError: None were kept.
        """
        by_run = {(record.method, record.seed): record.predictions for record in self.records if record.predictions}
        require(bool(by_run), "these results hold no predictions; ask for them with keep_predictions=True")
        return by_run

    @property
    def per_class(self) -> dict[str, dict[int, dict[str, float]]]:
        """Per method and class the precision, recall, F1 and examples of all tests together, the mean over seeds.

        Raises:
            SettingError: No predictions of classes were kept.
        """
        per_seed: dict[str, dict[int, list[dict[str, float]]]] = {}
        for (method, _), tasks in self.predictions.items():
            decision, y = (
                np.concatenate([getattr(task, name) for task in tasks.values()]) for name in ("decision", "y")
            )
            require(y.ndim == 1 and y.dtype.kind == "i", "per_class needs predictions of classes, got other targets")
            for label, values in per_class(torch.from_numpy(decision), torch.from_numpy(y)).items():
                per_seed.setdefault(method, {}).setdefault(label, []).append(values)
        return {
            method: {
                label: {name: float(np.mean([some[name] for some in values])) for name in values[0]}
                for label, values in sorted(labels.items())
            }
            for method, labels in per_seed.items()
        }

    def to_frame(self) -> pandas.DataFrame:
        """One row per run: method, seed, scores of R, the mean of every score at the end, costs. Needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise SettingError("to_frame needs pandas: pip install 'lifelong[frame]'") from error
        rows = [
            {
                "method": r.method,
                "seed": r.seed,
                **r.scores,
                **({} if r.prequential is None else {"prequential": r.prequential.mean_score}),
                **r.final_scores,
                **vars(r.cost),
            }
            for r in self.records
        ]
        return pandas.DataFrame(rows)

    def report(self, path: str | Path, title: str | None = None, language: Literal["en", "zh"] = "en") -> list[Path]:
        """Write the HTML page and its pictures; returns all files. Needs the extra `report`.

        Args:
            path: A file that ends in .html, or a folder.
            title: The heading of the page.
            language: Of the words and the pictures, English or Chinese.

        Raises:
            StorageError: A file cannot be written.
        """
        from lifelong.reports import write_report

        heading = title or ("学新而不忘旧" if language == "zh" else "Learning without forgetting")
        return write_report(Path(path), heading, self.facts, list(self.records), language)

    def plot(self) -> dict[str, Figure]:
        """The figures of the report by name (`mean`, `curves`, `transfer`, heat maps). Needs the extra `report`."""
        from lifelong.reports import figures

        return figures(list(self.records))

    def _repr_html_(self) -> str:
        """The table of scores, for notebooks."""
        from lifelong.reports.notebook import results_table

        return results_table(list(self.records), self.facts)

    def to_json(self) -> dict[str, Any]:
        """One object with the stream, every run and the summary, as `lifelong run --json` prints it."""
        asked = any(record.predictions for record in self.records)
        classes = asked and all(
            p.y.ndim == 1 and p.y.dtype.kind == "i" for r in self.records for p in r.predictions.values()
        )
        return {
            "stream": self.stream,
            **({"note": self.facts["hyper-parameters"]} if "hyper-parameters" in self.facts else {}),
            "runs": [record.to_json() for record in self.records],
            "summary": [summary.to_json() for summary in summarise(list(self.records))],
            **({"per_class": self.per_class} if classes else {}),
        }

    def _of_one_method(self, name: str) -> list[Record]:
        if len(self.methods) != 1:
            raise SettingError(f"these results hold {self.methods}; choose one: results[{self.methods[0]!r}].{name}")
        return by_method(list(self.records))[self.methods[0]]


def complete(results: Results, failures: Sequence[LifelongError]) -> Results:
    """`results` where nothing failed.

    Raises:
        LifelongError: One error for all failures, of the first one's class; its `results` holds what finished.
    """
    if not failures:
        return results
    texts = list(dict.fromkeys(str(failure) for failure in failures))
    error = failures[0]
    if len(failures) > 1:
        error = type(error)(f"{len(failures)} runs failed:\n" + "\n".join(f"- {text}" for text in texts))
    error.results = results
    raise error
