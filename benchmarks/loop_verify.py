"""What must hold of a home, whatever happened to its server: asked over HTTP, and looked up in its files."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from loop_clients import AT, Account, Caller

from lifelong.errors import LifelongError
from lifelong.loop.learning import opened
from lifelong.service.home import open_engine
from lifelong.store import audit, tasks, updates, versions

__all__ = ["Verifier", "at_rest"]

SWAPPED = 5.0  # seconds after which a champion must be in memory


def settled(caller: Caller) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
    """The champion, its history and the versions that answer, of one moment: an update goes on while we ask."""
    end = time.monotonic() + SWAPPED
    while True:
        champion = caller.ask("GET", f"{AT}/aliases/champion")
        history = caller.ask("GET", f"{AT}/aliases/champion/history")
        answering = caller.ask("GET", "/v2/models/digits")["versions"]
        moved = caller.ask("GET", f"{AT}/aliases/champion")["revision"] != champion["revision"]
        if not moved and (champion["version"] in answering or time.monotonic() > end):
            return champion, history, answering
        time.sleep(0.01)


class Verifier:
    """Looks at a server after each of its starts; `faults` is everything that should not be."""

    def __init__(self, home: Path) -> None:
        self._blobs = home / "blobs"
        self._cursor = 0
        self._rows: dict[str, dict[str, Any]] = {}  # key → the row, of all that was ever read
        self._versions: set[str] = set()
        self.revision = 0
        self.faults: list[str] = []

    @property
    def stored(self) -> int:
        """How many labels are stored."""
        return len(self._rows)

    def look(self, caller: Caller, account: Account, whole: bool = False) -> None:
        """Compare what the server holds with what its clients were told; `whole` reads all feedback anew."""
        before = set(self._rows)
        if whole:
            self._rows.clear()
            self._cursor = 0
        self._read(caller)
        if gone := before - set(self._rows):
            self.faults.append(f"{len(gone)} labels were there and are gone")
        self._compare(account)
        self._champion(caller, account)
        found = caller.ask("GET", f"{AT}/audit?verify=true&limit=1")
        self.faults += [f"the audit is broken: {each}" for each in found["breaks"]]
        self._load(caller)

    def _read(self, caller: Caller) -> None:
        while rows := caller.ask("GET", f"{AT}/feedback?limit=1000&after={self._cursor}"):
            self._cursor = rows[-1]["seq"]
            for row in rows:
                if row["key"] in self._rows:
                    self.faults.append(f"{row['key']} is stored twice")
                self._rows[row["key"]] = row

    def _compare(self, account: Account) -> None:
        for key, body in account.acknowledged.items():
            row = self._rows.get(key)
            if row is None:
                self.faults.append(f"{key} was acknowledged and is lost")
            elif (row["label"], row["x"], row["prediction"]) != (
                body["label"],
                body.get("x"),
                body.get("prediction_id"),
            ):
                self.faults.append(f"{key} is stored with other content")

    def _champion(self, caller: Caller, account: Account) -> None:
        champion, history, answering = settled(caller)
        if [move["revision"] for move in history] != list(range(1, champion["revision"] + 1)):
            self.faults.append(f"the history {[move['revision'] for move in history]} is not that of {champion}")
        if [move["previous"] for move in history] != [None, *(move["version"] for move in history[:-1])]:
            self.faults.append("the history is no chain")
        if history[-1]["version"] != champion["version"]:
            self.faults.append("the champion is not where its last move brought it")
        if champion["revision"] < self.revision:
            self.faults.append(f"the champion's revision went back from {self.revision} to {champion['revision']}")
        self.revision = champion["revision"]
        made = {move["revision"]: move["version"] for move in history}
        for revision, version in account.moves.items():
            if made.get(revision) != version:
                self.faults.append(f"the move {revision} to {version[:12]} was acknowledged and is lost")
        if champion["version"] not in answering:
            self.faults.append(f"the champion {champion['version'][:12]} does not answer, but {answering}")

    def _load(self, caller: Caller) -> None:
        for row in caller.ask("GET", f"{AT}/versions"):
            if row["id"] in self._versions:
                continue
            self._versions.add(row["id"])
            try:
                opened((self._blobs / row["blob"]).read_bytes(), row["blob"])
            except (OSError, LifelongError) as error:
                self.faults.append(f"version {row['number']} cannot be loaded: {error}")


def at_rest(home: Path, database: str | None = None) -> list[str]:
    """What is wrong with a home whose server has ended: the audit, every version, every task's and exam's blob."""
    faults: list[str] = []
    with open_engine(home, database) as engine:
        broken, made, lots, rows = engine.read(
            lambda connection: (
                audit.verify(connection),
                versions.listed(connection, "digits"),
                tasks.listed(connection, "digits"),
                updates.listed(connection, "digits", limit=100_000),
            )
        )
        faults += [f"the audit is broken: {each}" for each in broken]
        names = {row.blob for row in made} | {row.exam_row["answers"] for row in made}
        names |= {name for row in lots for name in (row.train_blob, row.exam_blob)}
        for name in names:
            try:
                data = engine.blobs.get(name)
                if sha256(data).hexdigest() != name:
                    faults.append(f"blob {name} holds other bytes")
            except LifelongError as error:
                faults.append(str(error))
    known = {row.id for row in made}
    faults += [
        f"update {row.id} has no candidate" for row in rows if row.state == "promoted" and row.candidate not in known
    ]
    under_way = [row.id for row in rows if row.state in ("queued", "training", "examined", "waiting")]
    if len(under_way) > 1:
        faults.append(f"{len(under_way)} updates are under way at once")
    return faults
