"""The life of an update: a pure function from a state and an event to the next state.

    queued ── Claim ──► training ── Examined ──► examined ── Decided ──► promoted | known | rejected | waiting
      ▲                    │  └ Beat keeps the lease                                            │
      └───── Expired ──────┘                                   promoted | rejected ◄── Decided ─┘
    queued, training ── Failed ──► failed        queued, training ── Cancelled ──► cancelled

Every event can come twice (a worker that did not hear the answer sends it again): the second time changes nothing.
An event that came too late, or from a worker that lost its lease, raises `ConflictError`. The attempt is the fencing
number: what a worker says about an earlier attempt is never taken for the present one.

Whether the champion is still `base_version` is not asked here: the swap of the alias finds that out. An update whose
champion is gone is `Decided("rejected")` with that reason, and its lot is free for another update.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lifelong.errors import ConflictError, require

__all__ = [
    "FINAL",
    "Beat",
    "Cancelled",
    "Claim",
    "Decided",
    "Event",
    "Examined",
    "Expired",
    "Failed",
    "State",
    "Update",
    "after",
    "lease_is_over",
]

State = Literal["queued", "training", "examined", "waiting", "promoted", "known", "rejected", "failed", "cancelled"]

FINAL: frozenset[State] = frozenset({"promoted", "known", "rejected", "failed", "cancelled"})


@dataclass(frozen=True)
class Update:
    """One update of a project; the fields are the columns of its row.

    `attempt` counts from 1; `lease_owner` and `lease_until` are set while it trains; `task` is the lot that it learns,
    `candidate` the version that it made. `decision` is what the gate or a person said.
    """

    id: str
    project: str
    base_version: str | None
    created: float
    state: State = "queued"
    trigger_id: str = ""
    trigger: Mapping[str, Any] | None = None
    method: Mapping[str, Any] | None = None
    task: int | None = None
    lease_owner: str | None = None
    lease_until: float | None = None
    attempt: int = 1
    candidate: str | None = None
    progress: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] | None = None
    decision: Mapping[str, Any] | None = None
    updated: float = 0.0


@dataclass(frozen=True)
class Claim:
    """A worker takes the update for `lease` seconds."""

    owner: str
    attempt: int
    lease: float = 60.0


@dataclass(frozen=True)
class Beat:
    """The worker is alive: the lease runs `lease` seconds from now, and this is how far it is."""

    owner: str
    attempt: int
    lease: float = 60.0
    progress: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Examined:
    """The worker made `candidate` and it sat every exam; `evidence` is the row of R and the hashes of the answers."""

    owner: str
    attempt: int
    candidate: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decided:
    """The gate or a person said `promoted` or `rejected`, or the gate leaves it to a person: `waiting`.

    `known`: the gate found nothing to gain, and the champion stays; nobody is asked.
    """

    outcome: Literal["promoted", "known", "rejected", "waiting"]
    decision: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Expired:
    """The lease of `attempt` is over: back to the queue, or failed after `attempts` of them."""

    attempt: int
    lease: float = 60.0
    attempts: int = 3


@dataclass(frozen=True)
class Failed:
    """The worker cannot learn it, and trying again would not help; `reason` says why."""

    owner: str
    attempt: int
    reason: str


@dataclass(frozen=True)
class Cancelled:
    """A person stops it; `reason` says why."""

    reason: str = ""


Event = Claim | Beat | Examined | Decided | Expired | Failed | Cancelled


def after(update: Update, event: Event, now: float) -> Update:
    """The update after `event` at the time `now`; `update` itself where the event was applied before.

    Raises: `ConflictError` where the event does not fit the state: too late, not the owner, another candidate.

    >>> job = Update("u1", "digits", base_version="v1", created=0.0)
    >>> taken = after(job, Claim("worker 1", attempt=1, lease=60), now=10.0)
    >>> taken.state, taken.lease_until, after(taken, Claim("worker 1", attempt=1), now=20.0) == taken
    ('training', 70.0, True)
    >>> after(taken, Claim("worker 2", attempt=1), now=20.0)
    Traceback (most recent call last):
    lifelong.errors.ConflictError: update u1 is training with worker 1: it cannot be claimed by worker 2; take another
    """
    changes: dict[str, Any]
    match event:
        case Claim():
            changes = _claimed(update, event, now)
        case Beat():
            _check_owner(update, event.owner, event.attempt, {"training"}, "go on")
            changes = {"lease_until": now + event.lease, "progress": event.progress}
        case Examined():
            changes = _examined(update, event)
        case Decided():
            changes = _decided(update, event)
        case Expired():
            changes = _expired(update, event, now)
        case Failed():
            changes = _failed(update, event)
        case Cancelled():
            changes = _cancelled(update, event)
    # a clock that was set back must not make a row look older than it was
    return replace(update, **changes, updated=max(update.updated, now)) if changes else update


def lease_is_over(update: Update, lease: float, now: float) -> bool:
    """Whether the worker is taken for dead: its time ran out, or ends later than any lease of `lease` seconds could.

    The second happens when the clock was set back: without it a dead worker would hold the update for that long.
    """
    until = update.lease_until
    return update.state == "training" and until is not None and (now >= until or until - now > lease)


def _claimed(update: Update, event: Claim, now: float) -> dict[str, Any]:
    require(event.lease > 0, f"a lease must be above 0 seconds, got {event.lease}")
    if (update.lease_owner, update.attempt, update.state) == (event.owner, event.attempt, "training"):
        return {}
    if update.state == "training":
        raise ConflictError(
            f"update {update.id} is training with {update.lease_owner}: it cannot be claimed by {event.owner}; "
            "take another"
        )
    _check(update, {"queued"}, "claimed")
    _check_attempt(update, event.attempt)
    return {"state": "training", "lease_owner": event.owner, "lease_until": now + event.lease, "progress": None}


def _examined(update: Update, event: Examined) -> dict[str, Any]:
    later = {"examined", "waiting", "promoted", "known", "rejected"}
    if update.state in later and (update.candidate, update.attempt) == (event.candidate, event.attempt):
        return {}
    _check_owner(update, event.owner, event.attempt, {"training"}, "be examined")
    return {
        "state": "examined",
        "candidate": event.candidate,
        "evidence": event.evidence,
        "lease_owner": None,
        "lease_until": None,
    }


def _decided(update: Update, event: Decided) -> dict[str, Any]:
    if update.state == event.outcome:
        return {}
    _check(update, {"examined", "waiting"}, event.outcome)
    return {"state": event.outcome, "decision": event.decision}


def _expired(update: Update, event: Expired, now: float) -> dict[str, Any]:
    if update.attempt > event.attempt or (update.state == "failed" and update.attempt == event.attempt):
        return {}
    _check(update, {"training"}, "put back")
    _check_attempt(update, event.attempt)
    if not lease_is_over(update, event.lease, now):
        raise ConflictError(f"update {update.id}: the lease of {update.lease_owner} runs until {update.lease_until}")
    freed: dict[str, Any] = {"lease_owner": None, "lease_until": None, "progress": None}
    if event.attempt >= event.attempts:
        reason = f"{event.attempts} workers took it and were not heard of again; the last was {update.lease_owner}"
        return {**freed, "state": "failed", "decision": {"reason": reason}}
    return {**freed, "state": "queued", "attempt": update.attempt + 1}


def _failed(update: Update, event: Failed) -> dict[str, Any]:
    if (update.state, update.attempt) == ("failed", event.attempt) and event.owner == (update.decision or {}).get(
        "worker"
    ):
        return {}
    _check_owner(update, event.owner, event.attempt, {"training"}, "fail")
    decision = {"reason": event.reason, "worker": event.owner}
    return {"state": "failed", "decision": decision, "lease_owner": None, "lease_until": None}


def _cancelled(update: Update, event: Cancelled) -> dict[str, Any]:
    if update.state == "cancelled":
        return {}
    _check(update, {"queued", "training"}, "cancelled")
    return {"state": "cancelled", "decision": {"reason": event.reason}, "lease_owner": None, "lease_until": None}


def _check(update: Update, states: set[str], what: str) -> None:
    if update.state not in states:
        raise ConflictError(f"update {update.id} is {update.state}: it cannot be {what} any more; look at it again")


def _check_attempt(update: Update, attempt: int) -> None:
    if attempt != update.attempt:
        raise ConflictError(f"update {update.id} is at attempt {update.attempt}, this is about attempt {attempt}")


def _check_owner(update: Update, owner: str, attempt: int, states: set[str], what: str) -> None:
    if update.state not in states or (update.lease_owner, update.attempt) != (owner, attempt):
        holder = f" with {update.lease_owner}" if update.lease_owner else ""
        raise ConflictError(
            f"update {update.id} is {update.state}{holder} at attempt {update.attempt}: attempt {attempt} of {owner} "
            f"cannot {what}; stop this work"
        )
