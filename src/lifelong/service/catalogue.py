"""What the serving half asks of the rest: projects, who answers for them, learners as bytes, keys, a place for logs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal, Protocol

from lifelong.loop import Project
from lifelong.loop.schema import Inputs

__all__ = ["Blob", "Catalogue", "Champion", "Failure", "Key", "Prediction", "Scope", "Variant"]

Scope = Literal["predict", "feedback", "worker", "admin"]
#: as what a version answered; `named`: it was asked by its id, and is not the champion
Variant = Literal["champion", "canary", "shadow", "named"]


@dataclass(frozen=True)
class Champion:
    """Who answers for a project: the `version`, for `percent` of the keys the `canary`; the `shadow` answers unheard.

    `revision` counts every change of the champion, `traffic` every change of who answers beside it.
    """

    version: str
    revision: int
    canary: str | None = None
    percent: float = 0.0
    shadow: str | None = None
    traffic: int = 0


@dataclass(frozen=True)
class Blob:
    """A version's learner as bytes, and the SHA-256 that they must have."""

    data: bytes = field(repr=False)
    digest: str


@dataclass(frozen=True)
class Key:
    """An API key that holds: its name, what it may do, for which project (None: all), and until when."""

    name: str
    scopes: frozenset[Scope]
    project: str | None = None
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answered input, as it is logged: `x` has the project's input shape, `output` is the index of a class."""

    id: str
    project: str
    version: str
    variant: Variant
    x: Inputs = field(repr=False)
    output: int
    confidence: float
    at: float


@dataclass(frozen=True, slots=True)
class Failure:
    """`count` inputs that a version failed on as `variant`, under the revision `traffic`, since `server` started."""

    project: str
    traffic: int
    version: str
    variant: Variant
    server: str
    count: int


class Catalogue(Protocol):
    """The rows and bytes behind the service.

    Its functions may wait for a disk, and are called from any thread. `log` alone is called in the thread that answers
    requests: it must hand its work on and return.
    """

    def projects(self) -> Sequence[str]:
        """The names of all projects."""
        ...

    def project(self, name: str) -> Project | None:
        """The project of that name."""
        ...

    def champion(self, project: str) -> Champion | None:
        """Who answers for a project; None before its first version."""
        ...

    def past(self, project: str, count: int) -> Sequence[str]:
        """The last `count` versions that were champion before the one that is, the latest first."""
        ...

    def has(self, project: str, version: str) -> bool:
        """Whether the project has a version of that id."""
        ...

    def blob(self, project: str, version: str) -> Blob | None:
        """The learner of a version of that project; None where it has none of that id.

        Raises: `StorageError` where its bytes cannot be read now; `DamagedError` where they are gone or damaged.
        """
        ...

    def withdraw(self, project: str, version: str, reason: str) -> None:
        """Let a version that cannot be loaded be neither canary nor shadow any more."""
        ...

    def check_key(self, secret: str) -> Key | None:
        """The key with this secret, unless it was revoked or has expired."""
        ...

    def log(self, rows: Sequence[Prediction], failures: Sequence[Failure] = ()) -> Future[None]:
        """Store predictions and failures, all or none; the future answers when they are durable.

        What is stored again counts once.
        """
        ...
