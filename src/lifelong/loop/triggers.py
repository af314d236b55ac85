"""When a project learns anew: triggers as values; `firing` asks them.

| kind | fires when |
|---|---|
| `amount` | so many accepted examples wait |
| `every` | so many seconds went by since the last update, and at least one example waits |
| `accuracy-fall` | the answers that users labelled are shown to be wrong more often than before |
| `input-drift`, `confidence-drift` | inputs, or the champion's confidence, come from elsewhere than before |
| `by-hand` | a person asked |
| `any`, `all` | one of several, every one of several |

Three of them look at a window: the last so many answers, or labels, of the champion. Each window is looked at once, and
the next begins where it ended, so that `false_alarm` and 1 − `confidence` are the chances with which *a window* fires
where nothing has changed: of a hundred windows of an input drift with `false_alarm` 0.01 about one fires for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from lifelong.errors import SettingError, require, unknown_name
from lifelong.loop.plain import read

__all__ = [
    "KINDS",
    "AccuracyFall",
    "AllOf",
    "Amount",
    "AnyOf",
    "ByHand",
    "ConfidenceDrift",
    "Every",
    "InputDrift",
    "Trigger",
    "Windowed",
    "leaves",
    "trigger_from",
]


@dataclass(frozen=True)
class Amount:
    """`n` accepted examples or more wait to be learned."""

    n: int
    kind: ClassVar[str] = "amount"

    def __post_init__(self) -> None:
        require(self.n >= 1, f"amount.n must be 1 or more, got {self.n}")


@dataclass(frozen=True)
class Every:
    """`seconds` went by since the last update."""

    seconds: float
    kind: ClassVar[str] = "every"

    def __post_init__(self) -> None:
        require(self.seconds > 0, f"every.seconds must be above 0, got {self.seconds}")


@dataclass(frozen=True)
class AccuracyFall:
    """Of the last `window` labelled answers so few are right that an accuracy of `fall` below what it was is ruled out.

    Exact: fires where P(Binomial(window, reference − fall) ≤ right) ≤ 1 − confidence. The reference should be measured
    in the same way as the outcomes: users who only send corrections make every champion look bad.
    """

    window: int = 100
    fall: float = 0.05
    confidence: float = 0.99
    kind: ClassVar[str] = "accuracy-fall"

    def __post_init__(self) -> None:
        require(self.window >= 2, f"accuracy-fall.window must be 2 or more, got {self.window}")
        require(0 <= self.fall < 1, f"accuracy-fall.fall must be a fraction in 0 … 1, got {self.fall}")
        require(0.5 < self.confidence < 1, f"accuracy-fall.confidence must be in 0.5 … 1, got {self.confidence}")


@dataclass(frozen=True)
class InputDrift:
    """The last `window` inputs come from elsewhere than the reference; see `drift`."""

    window: int = 100
    false_alarm: float = 0.01
    kind: ClassVar[str] = "input-drift"

    def __post_init__(self) -> None:
        _check_drift(self.kind, self.window, self.false_alarm)


@dataclass(frozen=True)
class ConfidenceDrift:
    """The champion's confidence in its last `window` answers comes from elsewhere than before; needs no label."""

    window: int = 100
    false_alarm: float = 0.01
    kind: ClassVar[str] = "confidence-drift"

    def __post_init__(self) -> None:
        _check_drift(self.kind, self.window, self.false_alarm)


@dataclass(frozen=True)
class ByHand:
    """A person asked for an update."""

    kind: ClassVar[str] = "by-hand"


@dataclass(frozen=True)
class AnyOf:
    """One of `triggers` fires."""

    triggers: tuple[Trigger, ...]
    kind: ClassVar[str] = "any"

    def __post_init__(self) -> None:
        require(len(self.triggers) > 0, "any needs at least one trigger")


@dataclass(frozen=True)
class AllOf:
    """Every one of `triggers` fires."""

    triggers: tuple[Trigger, ...]
    kind: ClassVar[str] = "all"

    def __post_init__(self) -> None:
        require(len(self.triggers) > 0, "all needs at least one trigger")


#: those that look at a window
Windowed = AccuracyFall | InputDrift | ConfidenceDrift
Trigger = Amount | Every | Windowed | ByHand | AnyOf | AllOf

KINDS: dict[str, type[Trigger]] = {
    kind.kind: kind for kind in (Amount, Every, AccuracyFall, InputDrift, ConfidenceDrift, ByHand, AnyOf, AllOf)
}


def trigger_from(data: object, place: str = "trigger") -> Trigger:
    """The trigger that plain data describes: `{"kind": "amount", "n": 50}`.

    Raises: `SettingError` for an unknown kind or setting, with the nearest known one.

    >>> trigger_from({"kind": "any", "triggers": [{"kind": "by-hand"}, {"kind": "every", "seconds": 3600}]})
    AnyOf(triggers=(ByHand(), Every(seconds=3600.0)))
    """
    if not isinstance(data, Mapping) or "kind" not in data:
        raise SettingError(f'{place}: expected an object with a kind, as {{"kind": "amount", "n": 50}}, got {data!r}')
    rest = {name: value for name, value in data.items() if name != "kind"}
    kind = KINDS.get(str(data["kind"]))
    if kind is None:
        raise unknown_name(f"trigger in {place}:", str(data["kind"]), KINDS)
    if kind not in (AnyOf, AllOf):
        return read(kind, rest, place)
    inner = rest.pop("triggers", [])
    require(isinstance(inner, list), f"{place}.triggers: expected a list of triggers, got {inner!r}")
    parts = tuple(trigger_from(item, f"{place}.triggers[{index}]") for index, item in enumerate(inner))
    return read(kind, rest, place, triggers=parts)


def leaves(triggers: Iterable[Trigger]) -> Iterator[Trigger]:
    """Every trigger among `triggers`, and inside their `any` and `all`, that is neither of these.

    >>> [trigger.kind for trigger in leaves([AllOf((Amount(300), AnyOf((InputDrift(), ByHand()))))])]
    ['amount', 'input-drift', 'by-hand']
    """
    for trigger in triggers:
        if isinstance(trigger, (AnyOf, AllOf)):
            yield from leaves(trigger.triggers)
        else:
            yield trigger


def _check_drift(kind: str, window: int, false_alarm: float) -> None:
    require(window >= 10, f"{kind}.window must be 10 or more, got {window}")
    require(0 < false_alarm < 0.5, f"{kind}.false_alarm must be a probability in 0 … 0.5, got {false_alarm}")
