"""What /v1 answers, for its OpenAPI document: the types of the rows themselves; nothing is checked on the way."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from lifelong.store import audit, firings, traffic, versions
from lifelong.store.aliases import Alias, Move
from lifelong.store.feedback import Feedback
from lifelong.store.lots import Example
from lifelong.store.updates import Update

__all__ = [
    "Alias",
    "Ancestor",
    "Audit",
    "Evaluation",
    "Example",
    "Feedback",
    "Kept",
    "KeyShown",
    "Move",
    "Problem",
    "Project",
    "Reviewed",
    "State",
    "Traffic",
    "TrafficSeen",
    "Triggers",
    "Update",
    "Version",
    "schemas",
    "told",
]

Traffic = traffic.Traffic


class Problem(Struct):
    """An error (RFC 9457); `detail` says what is wrong, and the mend."""

    type: str
    title: str
    status: int
    detail: str


class Champion(Struct):
    """Who answers."""

    version: str
    number: int
    revision: int


class Decision(Struct):
    """What became of an update; `version` is the candidate's number where there was one."""

    update: str
    state: str
    task: int | None
    version: int | None
    reasons: list[str | None]


class Learned(Struct):
    """A task that was learned; `retired` says why its exam counts no more, who said so, and when."""

    number: int
    name: str
    retired: Retired | None


class Retired(Struct):
    """Why an exam counts no more."""

    at: float
    actor: str
    reason: str


class Disagreement(Struct):
    """On which fraction of answers candidates differ: `assumed`, and as `seen` in earlier updates."""

    assumed: float
    seen: dict[str, float] | None


class GatePower(Struct):
    """Number of tasks → the probability that a candidate as good as the champion passes."""

    power: dict[str, float]
    disagreement: Disagreement


class Stalled(Struct):
    """The last updates all failed or were rejected: since when, why, and what would help."""

    updates: list[str]
    since: float
    why: str
    help: str


class LifeVersion(Struct):
    """A row of the matrix R over versions."""

    number: int
    id: str
    parent: str | None
    task: int


class Life(Struct):
    """The matrix R over versions: a row for each version, a column for each task, null where an exam was not sat."""

    versions: list[LifeVersion]
    tasks: list[int]
    matrix: list[list[float | None]]


class Project(Struct):
    """What there is to be seen of a project."""

    project: str
    method: dict[str, Any]
    champion: Champion | None
    feedback: dict[str, int]
    active: Update | None
    decisions: list[Decision]
    gate: GatePower
    stalled: Stalled | None
    tasks: list[Learned]
    life: Life


class Version(versions.Version, frozen=True):
    """A version, and whether it is the champion."""

    champion: bool | UnsetType = UNSET


class Made(Struct):
    """A task that a version added, and its manifest: the feedback it was made of, how far that was read, a hash."""

    number: int
    name: str
    manifest: dict[str, Any]


class Ancestor(versions.Version, frozen=True, kw_only=True):
    """A version in a lineage."""

    learned: list[Made]


class KeyShown(Struct):
    """An API key without what opens; `key`, the text that does, is told once, to who made it."""

    id: str
    name: str
    scopes: list[str]
    created: float
    expires: float | None
    revoked: float | None
    key: str | UnsetType = UNSET


class Reviewed(Struct):
    """What became of one label in a review of many, or what was wrong."""

    id: str
    state: str | UnsetType = UNSET
    error: str | UnsetType = UNSET


class Evaluation(Struct):
    """The exams of a version by task number, and what was decided with what evidence."""

    version: str
    number: int
    accuracy: dict[str, float]
    update: str | None
    state: str | None
    decision: Any


class Triggers(Struct):
    """The project's triggers, and when they fired."""

    triggers: list[dict[str, Any]]
    fired: list[firings.Firing]


class Verdict(Struct):
    """What is shown of the canary."""

    kind: str
    reason: str
    evidence: Any


class TrafficSeen(Traffic, frozen=True, kw_only=True):
    """The traffic, what each version answered since, and the verdict on the canary."""

    answered: list[traffic.Answered]
    verdict: Verdict | None


class Audit(Struct):
    """Entries of the audit; `breaks` and `head` where it was verified."""

    entries: list[audit.Entry]
    breaks: list[audit.Break] | UnsetType = UNSET
    head: list[Any] | UnsetType = UNSET


class State(Struct):
    """The state of an update after a worker's message."""

    state: str


class Kept(Struct):
    """A blob by its SHA-256."""

    name: str


TYPES = (Alias, Ancestor, Audit, Evaluation, Example, Feedback, Kept, KeyShown, Move, Problem, Project, Reviewed, State,
         Traffic, TrafficSeen, Triggers, Update, Version)  # fmt: skip
AT = "#/components/schemas/{name}"


def schemas() -> dict[str, Any]:
    """All types by name, for `components.schemas` of the document."""
    return dict(msgspec.json.schema_components(TYPES, ref_template=AT)[1])


def told(answered: type[Struct], *, many: bool = False, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """How the document tells of an answer of that type, or of a list of them.

    >>> told(Alias)[200]["content"]["application/json"]["schema"]
    {'$ref': '#/components/schemas/Alias'}
    """
    schema: dict[str, Any] = {"$ref": AT.format(name=answered.__name__)}
    if many:
        schema = {"type": "array", "items": schema}
    return {status: {"content": {"application/json": {"schema": schema}}}}
