"""Users who ask over HTTP, one after the other or all the time, and tell what the answer should have been."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from torch import Tensor

from lifelong.errors import StorageError

__all__ = ["Answer", "Crowd", "User", "crowd"]


#: seconds
IDLE = 30.0


@dataclass(frozen=True)
class Answer:
    """What a user was told: the class, by which version, and the name of this prediction."""

    label: str
    version: str
    prediction: str


class User:
    """One connection of somebody with a key."""

    def __init__(self, url: str, key: str, project: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=30)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._project, self._last = project, 0.0

    def ask(self, x: Tensor) -> list[Answer]:
        """Answers to inputs `x` (N, …). Raises: `StorageError` where the server refuses or does not answer."""
        tensor = {"name": "input", "shape": list(x.shape), "datatype": "FP32", "data": x.flatten().tolist()}
        body = json.loads(self._send(f"/v2/models/{self._project}/infer", json.dumps({"inputs": [tensor]})))
        told = {each["name"]: each["data"] for each in body["outputs"]}
        rows = zip(told["label"], told["prediction_id"], strict=True)
        return [Answer(label, body["model_version"], name) for label, name in rows]

    def correct(self, answers: Sequence[Answer], labels: Sequence[int], source: str) -> int:
        """Tell what each answer should have been; how many labels are stored now. Raises: like `ask`."""
        lines = [
            json.dumps({"prediction_id": answer.prediction, "label": label, "key": answer.prediction, "source": source})
            for answer, label in zip(answers, labels, strict=True)
        ]
        told = self._send(f"/v1/projects/{self._project}/feedback:batch", "\n".join(lines)).splitlines()
        return sum("error" not in json.loads(line) for line in told)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _send(self, path: str, body: str) -> bytes:
        if time.monotonic() - self._last > IDLE:
            self._connection.close()  # the server hangs up on who is silent for long; the request opens it again
        self._last = time.monotonic()
        try:
            self._connection.request("POST", path, body.encode(), self._headers)
            answer = self._connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request opens it again
            raise StorageError(f"no answer to {path}: {error!r}") from error
        if answer.status >= 300:
            raise StorageError(f"{path} gave {answer.status}: {data[:200].decode(errors='replace')}")
        return data


@dataclass
class Crowd:
    """Users who ask about `x` (N, …), which may be changed, and what they saw: who answered how often, what failed."""

    x: Tensor
    versions: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> int:
        """How many requests were made."""
        return sum(self.versions.values()) + len(self.failures)


@contextlib.contextmanager
def crowd(x: Tensor, size: int, *place: Any, pause: float = 0.05) -> Iterator[Crowd]:
    """`size` users who ask about one of `x` after the other while the block runs; `place` as for `User`."""
    seen, stop = Crowd(x), threading.Event()

    def ask(start: int) -> None:
        user, number = User(*place), start
        while not stop.wait(pause):
            number, asked = number + 1, seen.x
            try:
                version = user.ask(asked[number % len(asked)][None])[0].version
            except StorageError as error:
                with seen.lock:
                    seen.failures.append(str(error))
                continue
            with seen.lock:
                seen.versions[version] = seen.versions.get(version, 0) + 1
        user.close()

    threads = [threading.Thread(target=ask, args=(start,), daemon=True) for start in range(size)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()
