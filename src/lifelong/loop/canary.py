"""A candidate answers for a few first: who is among them, and when it is taken back.

The bounds hold however often one looks (confidence sequences): the chance that a candidate no worse than the champion
is *ever* taken back is 1 − confidence at most, although every new request is a new look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import numpy as np

from lifelong.errors import require

__all__ = ["CanarySettings", "Counts", "Verdict", "anytime_bounds", "is_canary", "verdict"]


@dataclass(frozen=True)
class CanarySettings:
    """When a canary is taken back, and when it has been seen enough.

    Arguments:
        percent: of the request keys that it answers.
        confidence: with which it must be shown to be worse to be taken back.
        max_error_rise: of the fraction of failed requests. max_accuracy_loss: on labelled feedback.
        enough: requests after which it is done where nothing is wrong.
    """

    percent: float = 10.0
    confidence: float = 0.95
    max_error_rise: float = 0.0
    max_accuracy_loss: float = 0.0
    enough: int = 500

    def __post_init__(self) -> None:
        require(0 <= self.percent <= 100, f"percent must be in 0 … 100, got {self.percent}")
        require(0.5 < self.confidence < 1, f"confidence must be in 0.5 … 1, got {self.confidence}")
        require(0 <= self.max_error_rise < 1, f"max_error_rise must be in 0 … 1, got {self.max_error_rise}")
        require(0 <= self.max_accuracy_loss < 1, f"max_accuracy_loss must be in 0 … 1, got {self.max_accuracy_loss}")
        require(self.enough >= 1, f"enough must be 1 or more, got {self.enough}")


@dataclass(frozen=True)
class Counts:
    """What one variant did since the canary began: `requests`, `errors` of them, labelled answers and `right` ones."""

    requests: int = 0
    errors: int = 0
    labelled: int = 0
    right: int = 0


@dataclass(frozen=True)
class Verdict:
    """`wait` for more, take it `back`, or `done`: seen enough and nothing found against it."""

    kind: Literal["wait", "back", "done"]
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)


def is_canary(key: str, percent: float, salt: str) -> bool:
    """Whether the canary answers requests with this key: always the same for a key, and still so when percent rises.

    `salt` is the candidate's version, so that it is not always the same few who try.

    >>> [is_canary("user 7", percent, "v2") for percent in (0, 100)]
    [False, True]
    """
    luck = int.from_bytes(sha256(f"{salt}:{key}".encode()).digest()[:7]) / 2**56
    return luck < percent / 100


def verdict(settings: CanarySettings, champion: Counts, canary: Counts) -> Verdict:
    """What the counts say; errors and accuracy each get half of the risk, and so do both variants.

    >>> verdict(CanarySettings(), Counts(requests=5000, errors=5), Counts(requests=500, errors=60)).kind
    'back'
    >>> verdict(CanarySettings(), Counts(requests=5000, errors=5), Counts(requests=500, errors=1)).kind
    'done'
    """
    risk = (1 - settings.confidence) / 4
    questions = (
        ("errors", champion.errors, champion.requests, canary.errors, canary.requests, settings.max_error_rise),
        (
            "wrong answers",
            champion.labelled - champion.right,
            champion.labelled,
            canary.labelled - canary.right,
            canary.labelled,
            settings.max_accuracy_loss,
        ),
    )
    evidence: dict[str, Any] = {}
    for what, old_bad, old, new_bad, new, allowed in questions:
        low, _ = anytime_bounds(new_bad, new, risk)
        _, high = anytime_bounds(old_bad, old, risk)
        evidence[what] = {"canary": [new_bad, new], "champion": [old_bad, old], "at_least": low, "at_most": high}
        if low > high + allowed:
            reason = (
                f"{what}: {new_bad} of {new} with the canary, {old_bad} of {old} with the champion; a rise of more "
                f"than {allowed:g} is shown at {100 * settings.confidence:g} %"
            )
            return Verdict("back", reason, evidence)
    if canary.requests < settings.enough:
        return Verdict("wait", f"{canary.requests} of {settings.enough} requests seen", evidence)
    return Verdict("done", f"{canary.requests} requests seen, and nothing against it", evidence)


def anytime_bounds(hits: int, of: int, risk: float) -> tuple[float, float]:
    """Bounds of a probability after `hits` out of `of`, the lower one ever wrong with `risk` at most, the upper too.

    The p that the mixture of all rates, spread evenly, does not outweigh: p with
    log B(1 + h, 1 + n − h) − h log p − (n − h) log(1 − p) < log 1 / risk.

    >>> low, high = anytime_bounds(10, 100, 0.05)
    >>> low < 0.1 < high
    True

    Reference: Robbins 1970, Statistical methods related to the law of the iterated logarithm (mixture martingales),
    with Ville's inequality.
    """
    from scipy.optimize import brentq  # here, as they are slow to import, and a server should be ready soon
    from scipy.special import betaln, xlog1py, xlogy

    if of == 0:
        return 0.0, 1.0
    rate, limit = hits / of, -np.log(risk)

    def weight(p: float) -> float:
        evidence = betaln(1 + hits, 1 + of - hits) - xlogy(hits, p) - xlog1py(of - hits, -p)
        return float(evidence - limit)

    tiny = 1e-12
    low: Any = 0.0 if hits == 0 or weight(tiny) <= 0 else brentq(weight, tiny, rate)
    high: Any = 1.0 if hits == of or weight(1 - tiny) <= 0 else brentq(weight, rate, 1 - tiny)
    return float(low), float(high)
