"""Which triggers fire: pure functions of what is known, with the evidence of each firing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lifelong.loop.drift import Calibrated
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
    Windowed,
)

__all__ = ["Facts", "Firing", "drifted", "fallen", "fired"]


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known when triggers are asked.

    Arguments:
        waiting: accepted examples that no lot holds yet. seconds: since the last update ended.
        found: what the triggers that look at a window found in the last one, see `fallen` and `drifted`.
        asked_by: who asked for an update.
    """

    waiting: int = 0
    seconds: float = 0.0
    found: Mapping[Windowed, dict[str, Any] | None] = field(default_factory=dict)
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


def fallen(trigger: AccuracyFall, outcomes: Sequence[bool], accuracy: float) -> dict[str, Any] | None:
    """That accuracy fell, shown by the last window of `outcomes`; None where it is not shown, or the window not full.

    Arguments: of the labelled answers, oldest first, whether the champion was right; and the `accuracy` before.

    >>> fallen(AccuracyFall(window=20), [True] * 10 + [False] * 10, accuracy=0.9)["right"]
    10
    """
    from scipy.stats import binom  # here, as it is slow to import, and a server should be ready soon

    last = np.asarray(outcomes[-trigger.window :], dtype=bool)
    if len(last) < trigger.window:
        return None
    right = int(last.sum())
    p = float(binom.cdf(right, len(last), max(0.0, accuracy - trigger.fall)))
    if p > 1 - trigger.confidence:
        return None
    return {"right": right, "of": len(last), "before": accuracy, "fall": trigger.fall, "p": p}


def drifted(trigger: InputDrift | ConfidenceDrift, values: object, reference: Calibrated) -> dict[str, Any] | None:
    """That the last window of `values` comes from elsewhere than `reference`, which was calibrated for the trigger.

    None where it does not, or the window is not full. `values`, oldest first, are inputs as `drift.features`, or
    confidences.
    """
    exceeded = reference.exceeded(values)
    if exceeded is None:
        return None
    ratio, worst = exceeded
    return {"distance": ratio, "feature": worst, "window": trigger.window, "false_alarm": trigger.false_alarm}


def _evidence(trigger: Trigger, facts: Facts) -> dict[str, Any] | None:
    match trigger:
        case Amount(n):
            return {"waiting": facts.waiting, "n": n} if facts.waiting >= n else None
        case Every(seconds):
            due = facts.seconds >= seconds and facts.waiting > 0
            return {"seconds": facts.seconds, "every": seconds} if due else None
        case AccuracyFall() | InputDrift() | ConfidenceDrift():
            return facts.found.get(trigger)
        case ByHand():
            return {"asked_by": facts.asked_by} if facts.asked_by is not None else None
        case AnyOf(triggers) | AllOf(triggers):
            found = [firing for part in triggers if (firing := fired(part, facts)) is not None]
            enough = len(found) == len(triggers) if isinstance(trigger, AllOf) else len(found) > 0
            return {"of": [{"kind": firing.kind, **firing.evidence} for firing in found]} if enough else None
