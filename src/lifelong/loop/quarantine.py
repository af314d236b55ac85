"""Which labelled examples are taken in at once, and which wait until a person or a rule accepts them.

One example is looked at by `judge`, all that a source has sent by `suspects` when a lot is cut. That a champion is sure
of another label is *not* by itself a reason (`contradicts` is off): where inputs drift, it is confidently wrong, and
those corrections are what the loop is for. Instead a source is compared with the others: drift makes all of them
disagree with the champion, a source that flips labels disagrees alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong.errors import DataError, require

__all__ = ["Claim", "Example", "Known", "Normal", "Quarantined", "Rules", "Tally", "conflicts", "judge", "suspects"]


@dataclass(frozen=True)
class Rules:
    """When an example is quarantined.

    Arguments:
        rate, seconds: more than `rate` examples of one source within `seconds`; 0 is no limit.
        sender_rate: more than so many by one API key within `seconds`, whatever sources it names; 0 is no limit, as for
            a key that sends for all users.
        contradicts: the champion gave another label with more than this confidence; 1 never.
        outlier: a simple statistic of the input is outside the range of all but this fraction of known inputs, and
            by far (`Normal.of`); 0 never.
        suspicion: a source disagrees with the champion so much more often than the others that chance does so with
            less than this probability; 0 never. Judged from `least` examples of it and of the others on. It compares
            like with like: where some sources confirm right answers and others only correct wrong ones, set it to 0.
        conflicts: sources disagree about the label of one and the same input; all that they said of it waits. Looked
            at when a lot is cut.
    """

    rate: int = 1000
    seconds: float = 60.0
    contradicts: float = 1.0
    outlier: float = 0.001
    suspicion: float = 1e-4
    least: int = 8
    conflicts: bool = True
    sender_rate: int = 0

    def __post_init__(self) -> None:
        for name in ("rate", "sender_rate"):
            most: int = getattr(self, name)
            require(most >= 0, f"{name} must be 0 or more, got {most}")
        require(self.seconds > 0, f"seconds must be above 0, got {self.seconds}")
        require(self.least >= 1, f"least must be 1 or more, got {self.least}")
        for name in ("contradicts", "outlier", "suspicion"):
            value: float = getattr(self, name)
            require(0 <= value <= 1, f"{name} must be in 0 … 1, got {value}")


@dataclass(frozen=True)
class Tally:
    """Of the labels of a source, or of all others: how many could be compared with an answer, how many differed."""

    judged: int = 0
    differed: int = 0

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.judged - other.judged, self.differed - other.differed)


@dataclass(frozen=True)
class Normal:
    """Which simple statistics inputs usually have: statistic → the range of all but a fraction of known inputs.

    A rotated or shifted picture has usual ones; a blank one, an inverted one, or one on another scale has not.
    """

    ranges: Mapping[str, tuple[float, float]]

    @staticmethod
    def of(x: object, fraction: float) -> Normal:
        """From known inputs (N, …), of which about `fraction` lie outside; `DataError` for fewer than 20.

        Each range is widened by a quarter of the spread of all numbers: the least and the largest of N known values are
        exceeded now and then, and inputs that drift a little are not what is looked for.
        """
        table = _statistics(x)
        count = len(table["mean"])
        if count < 20:
            raise DataError(f"outliers need 20 known inputs or more to be told from, got {count}")
        room = 0.25 * float(np.std(np.asarray(x, dtype=np.float64)))
        tails = (fraction / 2, 1 - fraction / 2)
        limits = {name: np.quantile(values, tails) for name, values in table.items()}
        return Normal({name: (float(low) - room, float(high) + room) for name, (low, high) in limits.items()})

    def usual(self, x: object) -> NDArray[np.bool_]:
        """Which of the inputs (N, …) have all their statistics in range, (N,)."""
        inside = [
            (values >= self.ranges[name][0]) & (values <= self.ranges[name][1])
            for name, values in _statistics(x).items()
        ]
        return np.logical_and.reduce(inside)

    def unusual(self, x: object) -> dict[str, float]:
        """The statistics of the one input `x` that lie outside their range."""
        values = {name: float(value[0]) for name, value in _statistics(np.asarray(x)[None]).items()}
        return {name: value for name, value in values.items() if not _inside(value, self.ranges[name])}


@dataclass(frozen=True)
class Example:
    """One labelled example as it came: `label` a class name or output, `answer` and `confidence` the champion's."""

    x: object
    label: object
    source: str = ""
    answer: int | None = None
    confidence: float | None = None


@dataclass(frozen=True, eq=False)
class Known:
    """What is known beside the example.

    Arguments: `recent` how many the source sent within `Rules.seconds`, `sent` how many its `sender` (an API key) did;
        `source` and `others` their tallies; `normal` what inputs are usually like, None where nobody asks.
    """

    recent: int = 0
    source: Tally = field(default_factory=Tally)
    others: Tally = field(default_factory=Tally)
    normal: Normal | None = None
    sent: int = 0
    sender: str = ""


@dataclass(frozen=True)
class Claim:
    """That a `source` gave this `label` to an `input`, named by a hash of its numbers."""

    input: str
    source: str
    label: int


@dataclass(frozen=True)
class Quarantined:
    """Why an example waits: the name of the `rule`, the `reason` in words, and its evidence as plain values."""

    rule: str
    reason: str
    evidence: dict[str, Any]


def judge(rules: Rules, example: Example, label: int, known: Known) -> Quarantined | None:
    """None where the example is accepted, else why not. Shape, type, NaN, range and class were checked before.

    `label` is the example's output index (`Project.output`).

    >>> known = Known(source=Tally(40, 38), others=Tally(200, 12))
    >>> judge(Rules(), Example([0.0], "7", "eve"), 7, known).rule
    'suspect source'
    >>> judge(Rules(), Example([0.0], "7", "bob"), 7, Known(source=Tally(40, 3), others=Tally(200, 12))) is None
    True
    """
    name = example.source or "the source without a name"
    for who, sent, most in ((name, known.recent, rules.rate), (known.sender, known.sent, rules.sender_rate)):
        if 0 < most <= sent:
            evidence: dict[str, Any] = {"recent": sent, "rate": most, "seconds": rules.seconds}
            reason = f"{who} sent {sent} examples within {rules.seconds:g} s, allowed are {most}"
            return Quarantined("rate", reason, evidence)
    if example.answer not in (None, label) and (example.confidence or 0.0) > rules.contradicts:
        reason = f"labelled {label}; the champion says {example.answer} with confidence {example.confidence:.3f}"
        return Quarantined("contradiction", reason, {"answer": example.answer, "confidence": example.confidence})
    if rules.outlier > 0 and known.normal is not None and (unusual := known.normal.unusual(example.x)):
        found = ", ".join(f"{what} {value:.3g}" for what, value in unusual.items())
        usual = ", ".join("{} {:.3g} … {:.3g}".format(what, *known.normal.ranges[what]) for what in unusual)
        return Quarantined("outlier", f"unlike known inputs: {found} (usual: {usual})", {"unusual": unusual})
    return _suspect(rules, name, known.source, known.others)


def conflicts(rules: Rules, claims: Sequence[Claim]) -> dict[int, Quarantined]:
    """By place, the claims about inputs of which sources disagree; a source that corrects itself is no conflict.

    >>> found = conflicts(Rules(), [Claim("ab12", "ann", 7), Claim("cd34", "ann", 1), Claim("ab12", "bob", 1)])
    >>> found[0].reason
    'one and the same input was labelled 7 by ann, 1 by bob'
    >>> sorted(found)
    [0, 2]
    """
    if not rules.conflicts:
        return {}
    told: dict[str, dict[str, int]] = defaultdict(dict)
    for claim in claims:
        told[claim.input][claim.source or "the source without a name"] = claim.label
    verdicts: dict[str, Quarantined] = {}
    for name, labels in told.items():
        if len(set(labels.values())) > 1:
            who = ", ".join(f"{label} by {source}" for source, label in labels.items())
            verdicts[name] = Quarantined("conflict", f"one and the same input was labelled {who}", {"labels": labels})
    return {place: verdicts[claim.input] for place, claim in enumerate(claims) if claim.input in verdicts}


def suspects(rules: Rules, tallies: Mapping[str, Tally]) -> dict[str, Quarantined]:
    """The sources of a lot whose examples should wait, with the reason of each; for the moment a lot is cut.

    The first examples of a source that flips labels are accepted before it can be told from others: this finds them.
    The most suspect source is taken out of the others first, so that one that sends much does not hide itself.

    >>> list(suspects(Rules(), {"ann": Tally(50, 4), "bob": Tally(60, 3), "eve": Tally(50, 47)}))
    ['eve']
    """
    left, found = dict(tallies), dict[str, Quarantined]()
    while left:
        total = Tally(sum(t.judged for t in left.values()), sum(t.differed for t in left.values()))
        named = {name: _suspect(rules, name, tally, total - tally) for name, tally in left.items()}
        judged = {name: verdict for name, verdict in named.items() if verdict is not None}
        if not judged:
            break
        worst = min(judged, key=lambda name: (judged[name].evidence["p"], name))
        found[worst] = judged[worst]
        del left[worst]
    return found


def _suspect(rules: Rules, name: str, source: Tally, others: Tally) -> Quarantined | None:
    if min(source.judged, others.judged) < rules.least:
        return None
    from scipy.stats import binom  # here, as it is slow to import, and a server should be ready soon

    usual = (others.differed + 1) / (others.judged + 2)  # never 0 or 1, however few
    p = float(binom.sf(source.differed - 1, source.judged, usual))
    if p >= rules.suspicion:
        return None
    counts = f"{source.differed} of {source.judged}"
    reason = f"{name} differs from the champion in {counts} labels, others in {others.differed} of {others.judged}"
    return Quarantined("suspect source", reason, {"p": p, "source": vars(source), "others": vars(others)})


def _statistics(x: object) -> dict[str, NDArray[np.float64]]:
    """Mean, spread, least and largest number of each of the inputs (N, …), each (N,)."""
    flat = np.asarray(x, dtype=np.float64)
    flat = flat.reshape(len(flat), -1)
    return {"mean": flat.mean(1), "spread": flat.std(1), "least": flat.min(1), "largest": flat.max(1)}


def _inside(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]
