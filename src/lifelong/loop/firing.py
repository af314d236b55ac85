"""Which triggers fire: a pure function of what is known, with the evidence of each firing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lifelong.loop.drift import Calibrated, calibrate
from lifelong.loop.triggers import (
    AccuracyFall,
    AllOf,
    Amount,
    AnyOf,
    ByHand,
    ConfidenceDrift,
    Every,
    InputDrift,
    Trigger,
)

__all__ = ["Facts", "Firing", "fired", "warm_up"]


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known when triggers are asked.

    Arguments:
        waiting: accepted examples that no lot holds yet. seconds: since the last update ended.
        outcomes: of the labelled answers, oldest first, whether the champion was right. accuracy: what it was before.
        inputs, confidences: the latest ones, oldest first, inputs as `drift.features` (N, D). references: what they
            are compared with, by trigger, as `warm_up` makes them.
        asked_by: who asked for an update.
    """

    waiting: int = 0
    seconds: float = 0.0
    outcomes: Sequence[bool] = ()
    accuracy: float | None = None
    inputs: object = ()
    confidences: object = ()
    references: Mapping[Trigger, Calibrated] = field(default_factory=dict)
    asked_by: str | None = None


@dataclass(frozen=True)
class Firing:
    """A trigger that fired, with its evidence as plain values."""

    kind: str
    evidence: dict[str, Any]


def fired(trigger: Trigger, facts: Facts) -> Firing | None:
    """The firing of `trigger`, or None.

    >>> fired(AllOf((Amount(10), Every(60))), Facts(waiting=12, seconds=61)).evidence
    {'of': [{'kind': 'amount', 'waiting': 12, 'n': 10}, {'kind': 'every', 'seconds': 61, 'every': 60}]}
    >>> fired(Amount(10), Facts(waiting=9)) is None
    True
    """
    evidence = _evidence(trigger, facts)
    return None if evidence is None else Firing(trigger.kind, evidence)


def warm_up(
    triggers: Iterable[Trigger], inputs: object, confidences: object, seed: int = 0
) -> dict[Trigger, Calibrated]:
    """The references of all drift triggers among `triggers` and inside them, for `Facts.references`.

    Arguments: `inputs` (M, D) as `drift.features` and `confidences` (M,) of a time in which all was well.
    Raises: `DataError` where there are fewer than two windows of them.
    """
    found: dict[Trigger, Calibrated] = {}
    for trigger in triggers:
        if isinstance(trigger, (AnyOf, AllOf)):
            found |= warm_up(trigger.triggers, inputs, confidences, seed)
        elif isinstance(trigger, (InputDrift, ConfidenceDrift)):
            values = inputs if isinstance(trigger, InputDrift) else confidences
            found[trigger] = calibrate(values, trigger.window, trigger.false_alarm, seed)
    return found


def _evidence(trigger: Trigger, facts: Facts) -> dict[str, Any] | None:
    match trigger:
        case Amount(n):
            return {"waiting": facts.waiting, "n": n} if facts.waiting >= n else None
        case Every(seconds):
            due = facts.seconds >= seconds and facts.waiting > 0
            return {"seconds": facts.seconds, "every": seconds} if due else None
        case AccuracyFall():
            return _accuracy_fall(trigger, facts)
        case InputDrift():
            return _drift(trigger, facts.references.get(trigger), facts.inputs)
        case ConfidenceDrift():
            return _drift(trigger, facts.references.get(trigger), facts.confidences)
        case ByHand():
            return {"asked_by": facts.asked_by} if facts.asked_by is not None else None
        case AnyOf(triggers) | AllOf(triggers):
            found = [firing for part in triggers if (firing := fired(part, facts)) is not None]
            enough = len(found) == len(triggers) if isinstance(trigger, AllOf) else len(found) > 0
            return {"of": [{"kind": firing.kind, **firing.evidence} for firing in found]} if enough else None


def _accuracy_fall(trigger: AccuracyFall, facts: Facts) -> dict[str, Any] | None:
    from scipy.stats import binom  # here, as it is slow to import, and a server should be ready soon

    last = np.asarray(facts.outcomes[-trigger.window :], dtype=bool)
    if facts.accuracy is None or len(last) < trigger.window:
        return None
    right = int(last.sum())
    p = float(binom.cdf(right, len(last), max(0.0, facts.accuracy - trigger.fall)))
    if p > 1 - trigger.confidence:
        return None
    return {"right": right, "of": len(last), "before": facts.accuracy, "fall": trigger.fall, "p": p}


def _drift(
    trigger: InputDrift | ConfidenceDrift, reference: Calibrated | None, values: object
) -> dict[str, Any] | None:
    exceeded = reference.exceeded(values) if reference is not None else None
    if exceeded is None:
        return None
    ratio, worst = exceeded
    return {"distance": ratio, "feature": worst, "window": trigger.window, "false_alarm": trigger.false_alarm}
