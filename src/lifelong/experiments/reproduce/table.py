"""What a published table is: parts to run, each with the cells that its runs answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lifelong.experiments.experiment import Experiment
from lifelong.experiments.method_spec import MethodSpec
from lifelong.training import Training

__all__ = ["Cell", "Confidence", "Part", "Table", "part"]

#: `code`: read in the authors' repository; `paper`: read in the paper; `recalled`: unverified, a lead and no truth
Confidence = Literal["code", "paper", "recalled"]


@dataclass(frozen=True)
class Cell:
    """One number of a table: `measure` is `acc`, `bwt`, or `seen K` (mean accuracy on tasks 1 … K after task K).

    `published` in percent, with its 95 % interval where its spread over seeds is known; `why` explains a difference
    that is known.
    """

    measure: str
    published: float
    confidence: Confidence
    why: str = ""
    ci95: float | None = None


@dataclass(frozen=True)
class Part:
    """Runs of one method under one protocol: `row` names the protocol, `label` the method as the table calls it."""

    row: str
    label: str
    experiment: Experiment
    cells: tuple[Cell, ...]

    @property
    def folder(self) -> str:
        """The name of its run folder."""
        return f"{self.row}-{self.label}".replace(" ", "-").replace(",", "").replace("/", "-")


@dataclass(frozen=True)
class Table:
    """A published table: where it stands, what its protocol says, and its parts."""

    name: str
    source: str
    protocol: str
    parts: tuple[Part, ...]
    seeds: int


def part(
    row: str,
    label: str,
    method: str,
    settings: dict[str, Any],
    cells: list[Cell],
    *,
    stream: str,
    stream_settings: dict[str, Any],
    model: str,
    training: Training,
    head: Literal["all"] | None = None,
    evaluate: str = "last",
) -> Part:
    """A part whose data has nothing held out, as published protocols train on everything."""
    experiment = Experiment(
        stream=stream,
        methods=(MethodSpec.of(method, settings),),
        seeds=(0,),
        model=model,
        training=training,
        head=head,
        stream_settings={"validation": 0.0, **stream_settings},
        evaluate=evaluate,
    )
    return Part(row, label, experiment, tuple(cells))
