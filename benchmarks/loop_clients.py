"""Clients of a server that may die at any moment, and an exact account of what they were told.

What was sent has one of three ends: acknowledged (a status of success came), refused (no connection, or a status that
says no: certainly not stored by this attempt), or unknown (the connection broke, or nobody answered in time: stored
once or not at all, and only sending it again tells).
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate

__all__ = ["AT", "Account", "Caller", "Crowd", "LostError", "RefusedError", "examples"]

AT = "/v1/projects/digits"
#: nobody there; and what an operator is told who asks at the wrong moment: too little feedback, or an update under way
EXPECTED = (0, 400, 409)


class RefusedError(Exception):
    """Nobody listens (`status` 0), or the answer was no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status


class LostError(Exception):
    """It was sent, and whether it was heard is unknown; `timed_out`: nobody answered in time, else the line broke."""

    def __init__(self, timed_out: bool) -> None:
        super().__init__("timed out" if timed_out else "the connection broke")
        self.timed_out = timed_out


class Caller:
    """One kept-alive connection to a server."""

    def __init__(self, url: str, key: str, timeout: float = 10.0) -> None:
        self.url = url
        self._line = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=timeout)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """What the answer's JSON (or of NDJSON the list) says. Raises: `RefusedError`, `LostError`."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        try:
            if self._line.sock is None:
                self._line.connect()
        except OSError as error:
            raise RefusedError(0, str(error)) from error
        try:
            self._line.request(method, path, data, self._headers | headers)
            answer = self._line.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._line.close()
            raise LostError(isinstance(error, TimeoutError)) from error
        if answer.status >= 400:
            raise RefusedError(answer.status, told[:2000].decode(errors="replace"))
        lines = answer.headers.get_content_type() == "application/x-ndjson"
        return [json.loads(line) for line in told.splitlines()] if lines else json.loads(told)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._line.close()


def examples() -> list[dict[str, Any]]:
    """Digits turned by 90 degrees, as bodies of feedback without keys."""
    source = digits()
    x = rotate(source.train_x[500:1000], 90).tolist()
    return [{"x": each, "label": int(label)} for each, label in zip(x, source.train_y[500:1000], strict=True)]


@dataclass
class Account:
    """What clients know: bodies of feedback by key, and moves of the champion by revision."""

    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)
    unknown: dict[str, dict[str, Any]] = field(default_factory=dict)
    moves: dict[int, str] = field(default_factory=dict)
    refused: int = 0
    timed_out: int = 0
    broken: int = 0
    answered: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Account) -> None:
        """Take over what `other` knows."""
        self.acknowledged |= other.acknowledged
        self.unknown |= other.unknown
        self.moves |= other.moves
        self.wrong += other.wrong
        for name in ("refused", "timed_out", "broken", "answered"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def note(self, error: RefusedError | LostError) -> None:
        """Count what went wrong."""
        if isinstance(error, RefusedError):
            self.refused += 1
            if error.status not in EXPECTED:
                self.wrong.append(str(error))
        elif error.timed_out:
            self.timed_out += 1
        else:
            self.broken += 1

    def send(self, caller: Caller, bodies: list[dict[str, Any]]) -> int:
        """Send feedback, one body alone and several as lines, and write down what became of it; how many were known."""
        keyed = {str(body["key"]): body for body in bodies}
        try:
            if len(bodies) == 1:
                results = [caller.ask("POST", f"{AT}/feedback", bodies[0])]
            else:
                lines = b"\n".join(json.dumps(body).encode() for body in bodies)
                results = caller.ask("POST", f"{AT}/feedback:batch", lines)
        except RefusedError as error:
            self.note(error)
            return 0
        except LostError as error:
            self.note(error)
            self.unknown |= keyed
            return 0
        self.acknowledged |= keyed
        for body, told in zip(bodies, results, strict=True):
            if "error" in told:
                self.wrong.append(f"{body['key']}: {told['error']}")
        return sum(bool(told.get("duplicate")) for told in results)


class Crowd:
    """Clients on a server, until it dies: some send feedback, one asks for predictions, one moves the champion."""

    def __init__(self, url: str, key: str, name: str, bodies: list[dict[str, Any]], senders: int = 3) -> None:
        self._url, self._key, self._name, self._bodies = url, key, name, bodies
        self.moved = threading.Event()  # the champion was moved, and that was acknowledged
        self._stop = threading.Event()
        works = [*(self._feed for _ in range(senders)), self._predict, self._operate]
        self._accounts = [Account() for _ in works]
        self._threads = [
            threading.Thread(target=self._run, args=(work, place, account), daemon=True)
            for place, (work, account) in enumerate(zip(works, self._accounts, strict=True))
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> Account:
        """Wait for all, and return what they were told."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        whole = Account()
        for account in self._accounts:
            whole.add(account)
        return whole

    def _run(self, work: Any, place: int, account: Account) -> None:
        with Caller(self._url, self._key) as caller:
            work(caller, place, account, random.Random(f"{self._name} {place}"))

    def _feed(self, caller: Caller, place: int, account: Account, chance: random.Random) -> None:
        number = 0
        while not self._stop.is_set():
            count = chance.choice((1, 1, 1, 20))
            many = []
            for _ in range(count):
                number += 1
                many.append({**chance.choice(self._bodies), "key": f"{self._name}-{place}-{number}"})
            account.send(caller, many)
            time.sleep(0.002)

    def _predict(self, caller: Caller, place: int, account: Account, chance: random.Random) -> None:
        while not self._stop.is_set():
            x = chance.choice(self._bodies)["x"]
            tensor = {"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [x]}
            try:
                answer = caller.ask("POST", "/v2/models/digits/infer", {"inputs": [tensor]})
                account.answered += 1
                ids = next(each["data"] for each in answer["outputs"] if each["name"] == "prediction_id")
            except (RefusedError, LostError) as error:
                account.note(error)
            else:
                key = f"{self._name}-{place}-{ids[0]}"
                account.send(caller, [{"key": key, "prediction_id": ids[0], "label": chance.randrange(10)}])
            time.sleep(0.002)

    def _operate(self, caller: Caller, place: int, account: Account, chance: random.Random) -> None:
        while not self._stop.is_set():
            try:
                what = caller.ask("GET", AT)
                numbers = [row["number"] for row in caller.ask("GET", f"{AT}/versions")]
                if what["active"] is None and what["feedback"]["accepted"] >= 80 and chance.random() < 0.7:
                    caller.ask("POST", f"{AT}/updates", {"key": f"{self._name}-{chance.random()}"})
                elif chance.random() < 0.4:
                    version = chance.choice(numbers)
                    action = chance.choice((f"{AT}/versions/{version}:promote", f"{AT}:rollback"))
                    body = {"reason": self._name} | ({"version": str(version)} if action.endswith(":rollback") else {})
                    alias = caller.ask("POST", action, body)
                    account.moves[alias["revision"]] = alias["version"]
                    if alias["revision"] > what["champion"]["revision"]:
                        self.moved.set()
            except (RefusedError, LostError) as error:
                account.note(error)
            time.sleep(0.01)
