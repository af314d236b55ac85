"""The catalogue over the store: rows in its database, learners among its blobs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import astuple

import msgspec
import orjson

from lifelong.loop import Project
from lifelong.loop.engine.traffic import cleared
from lifelong.loop.project import from_json
from lifelong.service.catalogue import Blob, Champion, Failure, Key, Prediction, Scope
from lifelong.store import aliases, keys, predictions, projects, review, traffic, versions
from lifelong.store.blobs import Blobs
from lifelong.store.database import Connection, Store
from lifelong.store.errors import AccessError, NotFoundError
from lifelong.store.failures import Failure as Told
from lifelong.store.failures import put_many
from lifelong.store.review import Judge

__all__ = ["StoredCatalogue"]


class StoredCatalogue:
    """Reads what is served from `store` and `blobs`, and logs predictions there.

    The alias `champion` and the project's traffic say who answers. `judge` decides about feedback that waited for its
    prediction.
    """

    def __init__(
        self, store: Store, blobs: Blobs, judge: Judge | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._store, self._blobs, self._judge, self._clock = store, blobs, judge, clock
        self._parsed: dict[str, tuple[str, Project]] = {}  # name → its text and what it means: it is asked for often

    def projects(self) -> Sequence[str]:
        """The names of all projects."""
        return [row.name for row in self._store.read(projects.listed)]

    def project(self, name: str) -> Project | None:
        """The project of that name; `SettingError` where what is stored is no project."""
        try:
            row = self._store.read(lambda connection: projects.get(connection, name))
        except NotFoundError:
            return None
        text = json.dumps(row.config)
        known = self._parsed.get(name)
        if known is None or known[0] != text:
            known = self._parsed[name] = (text, from_json(text, f"project {name!r}"))
        return known[1]

    def champion(self, project: str) -> Champion | None:
        """Who answers for a project."""
        first, beside = self._store.read(
            lambda connection: (aliases.get(connection, project), traffic.get(connection, project))  # one snapshot
        )
        meant = self.project(project)
        if first is None or meant is None:
            return None
        return Champion(first.version, first.revision, beside.canary, beside.percent, beside.shadow, beside.revision)

    def past(self, project: str, count: int) -> Sequence[str]:
        """The last `count` versions that were champion before the one that is, the latest first."""
        return self._store.read(lambda connection: aliases.past(connection, project, count))

    def has(self, project: str, version: str) -> bool:
        """Whether the project has a version of that id."""
        return self._version(project, version) is not None

    def blob(self, project: str, version: str) -> Blob | None:
        """The bytes of a version of that project."""
        row = self._version(project, version)
        return None if row is None else Blob(self._blobs.get(row.blob), row.blob)

    def withdraw(self, project: str, version: str, reason: str) -> None:
        """Take a version out of the traffic, with the reason in the audit."""
        now = self._clock()
        self._store.write(
            lambda connection: cleared(connection, project, version, now=now, actor="server", reason=reason)
        ).result()

    def check_key(self, secret: str) -> Key | None:
        """The key with this secret; keys are for all projects."""
        for scope in keys.SCOPES:
            try:
                row = self._store.read(
                    lambda connection, scope=scope: keys.check(connection, secret, scope, now=self._clock())
                )
            except AccessError as error:
                if not error.known:
                    return None
                continue
            return Key(row.name, msgspec.convert(row.scopes, frozenset[Scope]), expires=row.expires)
        return None

    def log(self, rows: Sequence[Prediction], failures: Sequence[Failure] = ()) -> Future[None]:
        """Store predictions, join the feedback that came before them, and store failures."""

        def work(connection: Connection) -> None:
            review.log(connection, as_rows(rows), self._judge)
            put_many(connection, [Told(*astuple(each)) for each in failures])

        return self._store.write(work)

    def _version(self, project: str, version: str) -> versions.Version | None:
        try:
            row = self._store.read(lambda connection: versions.get(connection, version))
        except NotFoundError:
            return None
        return row if row.project == project else None


def as_rows(logged: Sequence[Prediction]) -> list[predictions.Prediction]:
    """Predictions as rows of the store; their inputs become JSON in as few digits as float32 needs."""
    return [
        predictions.Prediction(
            each.id,
            each.project,
            each.version,
            each.variant,
            msgspec.Raw(orjson.dumps(each.x, option=orjson.OPT_SERIALIZE_NUMPY)),
            each.output,
            each.confidence,
            each.at,
        )
        for each in logged
    ]
