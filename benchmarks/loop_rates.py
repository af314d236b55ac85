"""How fast a server is: predictions, feedback in three ways, and predictions while the champion is swapped.

Clients are asyncio protocols on uvloop in this process, each with one connection that asks again as soon as it is
answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import json
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import orjson
import uvloop
from loop_clients import AT, Caller, examples
from loop_server import Servers, ready

__all__ = ["Rate", "rates", "swaps"]

INFER = "/v2/models/digits/infer"


@dataclass
class Rate:
    """Seconds that each answer took, and how many came with which status."""

    name: str
    seconds: float = 0.0
    taken: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    each: int = 1

    @property
    def failed(self) -> int:
        """Answers that were none, or not of success."""
        return sum(count for status, count in self.statuses.items() if status not in (200, 201))

    def part(self, fraction: float) -> float:
        """Milliseconds within which so many were answered."""
        return 1e3 * sorted(self.taken)[min(len(self.taken) - 1, int(len(self.taken) * fraction))]

    def told(self) -> str:
        """A line."""
        rate = self.each * len(self.taken) / self.seconds
        return f"{self.name:44} {rate:8.0f}/s {self.part(0.5):8.2f} ms {self.part(0.99):8.2f} ms {self.failed:6}"


class Asker(asyncio.Protocol):
    """One connection that sends what `more` gives until it gives nothing."""

    def __init__(self, more: Callable[[], bytes | None], rate: Rate, done: asyncio.Future[None]) -> None:
        self._more, self._rate, self._done = more, rate, done
        self._answer = b""
        self._start = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # that of uvloop only does as one
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._rate.statuses[0] += 1
            self._done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not found or len(body) < int(length):
            return
        self._rate.taken.append(time.perf_counter() - self._start)
        self._rate.statuses[int(head[9:12])] += 1
        self._ask()

    def _ask(self) -> None:
        request = self._more()
        if request is None:
            self._done.set_result(None)
            self._transport.close()
            return
        self._start, self._answer = time.perf_counter(), b""
        self._transport.write(request)


async def load(url: str, rate: Rate, more: Callable[[], bytes | None], connections: int) -> Rate:
    """Ask on so many connections; `more` is shared by them."""
    gc.freeze()  # a look through all of torch would be counted as the server's
    loop, (host, _, port) = asyncio.get_running_loop(), urllib.parse.urlsplit(url).netloc.partition(":")
    done: list[asyncio.Future[None]] = [loop.create_future() for _ in range(connections)]
    start = time.perf_counter()
    for each in done:
        await loop.create_connection(lambda each=each: Asker(more, rate, each), host, int(port))
    await asyncio.gather(*done)
    rate.seconds = time.perf_counter() - start
    return rate


def request(url: str, key: str, path: str, body: bytes) -> bytes:
    """The bytes of a POST."""
    head = f"POST {path} HTTP/1.1\r\nHost: {urllib.parse.urlsplit(url).netloc}\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def until(seconds: float, bodies: Iterator[bytes]) -> Callable[[], bytes | None]:
    """The next of `bodies` until so much time has gone."""
    end = time.perf_counter() + seconds
    return lambda: next(bodies) if time.perf_counter() < end else None


def questions(url: str, key: str) -> Iterator[bytes]:
    """The same prediction again and again."""
    tensor = {"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [examples()[0]["x"]]}
    made = request(url, key, INFER, orjson.dumps({"inputs": [tensor]}))
    while True:
        yield made


def labels(url: str, key: str, name: str, per: int = 1) -> Iterator[bytes]:
    """Feedback with the input itself, each with a key of its own; `per` at once, as lines."""
    known, number = examples(), 0
    while True:
        lines: list[bytes] = []
        for _ in range(per):
            number += 1
            lines.append(orjson.dumps({**known[number % len(known)], "key": f"{name}-{number}"}))
        yield request(url, key, f"{AT}/feedback" + (":batch" if per > 1 else ""), b"\n".join(lines))


def rates(servers: Servers, key: str, seconds: float) -> list[Rate]:
    """Start a server and measure: predictions, feedback one by one, and feedback as lines."""
    start = time.perf_counter()
    server = ready(servers, servers.fork(), start)
    url, found = server.url, list[Rate]()
    uvloop.run(load(url, Rate(""), until(1.0, questions(url, key)), 16))
    for name, connections, bodies, per in (
        ("predictions, 16 connections", 16, questions(url, key), 1),
        ("feedback, one client", 1, labels(url, key, "one"), 1),
        ("feedback, 64 clients", 64, labels(url, key, "many"), 1),
        ("feedback, one client, 1000 lines at once", 1, labels(url, key, "lines", 1000), 1000),
        ("feedback, 4 clients, 1000 lines at once", 4, labels(url, key, "more lines", 1000), 1000),
    ):
        found.append(uvloop.run(load(url, Rate(name, each=per), until(seconds, bodies), connections)))
    with Caller(url, key) as caller:
        counts = caller.ask("GET", AT)["feedback"]
    sent = sum(rate.each * (rate.statuses[200] + rate.statuses[201]) for rate in found[1:])
    assert sum(counts.values()) == sent, f"{sent} were acknowledged, stored are {counts}"
    servers.end(server.pid)
    return found


def swaps(servers: Servers, key: str, count: int, connections: int = 8) -> tuple[Rate, Rate]:
    """Predictions without and with `count` moves of the champion, who is one of three versions in turn."""
    start = time.perf_counter()
    server = ready(servers, servers.fork(), start)
    url = server.url
    uvloop.run(load(url, Rate(""), until(1.0, questions(url, key)), connections))
    steady = uvloop.run(load(url, Rate("predictions, steady"), until(5.0, questions(url, key)), connections))
    swapping = Rate(f"predictions, {count} swaps")
    uvloop.run(swapped(url, key, count, swapping, connections))
    servers.end(server.pid)
    return steady, swapping


async def swapped(url: str, key: str, count: int, rate: Rate, connections: int) -> None:
    """Load until `count` swaps are done, one every 50 ms."""
    over = False
    bodies = questions(url, key)
    asking = asyncio.create_task(load(url, rate, lambda: None if over else next(bodies), connections))
    await asyncio.to_thread(move, url, key, count)
    over = True
    await asking


def move(url: str, key: str, count: int) -> None:
    """Promote version 2, then 3, then 1, and so on."""
    line = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with contextlib.closing(line):
        for number in range(count):
            line.request("POST", f"{AT}/versions/{(number + 1) % 3 + 1}:promote", b"{}", headers)
            answer = line.getresponse()
            told = json.loads(answer.read())
            assert answer.status == 200, told
            assert told["revision"] == number + 2, told
            time.sleep(0.05)
