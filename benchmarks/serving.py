"""Predictions per second over HTTP, and what one costs the server, with clients that ask for one input at a time.

    python benchmarks/serving.py [--seconds 5] [--connections 16] [--model mlp:128,128] [--rounds 3] [--no-store]

The server (handwritten digits of 8×8, no keys, predictions logged to SQLite) and the client are two processes on
loopback; connections are kept alive, and each asks again as soon as it is answered. `cpu` is the server's processor
time per answer, all threads and the kernel's part included, which a busy machine lengthens less than the clock's. The
`floor` is the same request answered by a route that reads its body and says "ok": what uvicorn and Starlette take.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path

import orjson
import torch
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lifelong import Learner, stream
from lifelong.loop import Project
from lifelong.loop.schema import InputSchema
from lifelong.service.app import create_app
from lifelong.service.catalogue import Blob, Champion, Failure, Key, Prediction
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.service.stored import StoredCatalogue
from lifelong.store import projects
from lifelong.store.blobs import FolderBlobs
from lifelong.store.database import Store, open_store


class One:
    """A catalogue of one project with one version, in memory; logs to `store` where there is one."""

    def __init__(self, model: str, store: Store | None) -> None:
        digits = stream("split-digits", scenario="domain", tasks=2)
        self.only = Project("digits", InputSchema((1, 8, 8), low=0, high=1), tuple("0123456789"))
        learner = Learner(model, space=self.only.space, seed=0)
        learner.learn(digits.tasks[0])
        with tempfile.TemporaryDirectory() as folder:
            learner.save(Path(folder) / "learner")
            self.data = (Path(folder) / "learner").read_bytes()
        self.champion_id = hashlib.sha256(self.data).hexdigest()
        self.store = None if store is None else StoredCatalogue(store, FolderBlobs(Path(tempfile.mkdtemp())))
        if store is not None:
            row = projects.Project(self.only.name, {}, 0.0)
            store.write(lambda connection: projects.add(connection, row)).result()

    def projects(self) -> Sequence[str]:
        return [self.only.name]

    def project(self, name: str) -> Project | None:
        return self.only if name == self.only.name else None

    def champion(self, project: str) -> Champion | None:
        return Champion(self.champion_id, 1)

    def past(self, project: str, count: int) -> Sequence[str]:
        return []

    def has(self, project: str, version: str) -> bool:
        return version == self.champion_id

    def withdraw(self, project: str, version: str, reason: str) -> None:
        raise NotImplementedError("nobody answers beside the champion")

    def blob(self, project: str, version: str) -> Blob | None:
        return Blob(self.data, self.champion_id)

    def check_key(self, secret: str) -> Key | None:
        return None

    def log(self, rows: Sequence[Prediction], failures: Sequence[Failure] = ()) -> Future[None]:
        if self.store is not None:
            return self.store.log(rows)
        done: Future[None] = Future()
        done.set_result(None)
        return done


async def floor(request: Request) -> Response:
    """The least that an answer takes."""
    await request.body()
    return Response(b"ok")


def serve(model: str, inline_ms: float, with_store: bool, pipe: Connection) -> None:
    """The server's process: its address, then its processor time whenever asked."""
    torch.set_num_threads(1)
    settings = ServeSettings(keys=False, rate=None, inline_ms=inline_ms)
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(open_store(home)) if with_store else None
        beside = [Route("/floor", floor, methods=["POST"])]
        pipe.send(stack.enter_context(serving(create_app(One(model, store), settings, beside=beside), settings)))
        while pipe.recv():
            times = os.times()
            pipe.send(times.user + times.system)


class Client(asyncio.Protocol):
    """One connection that asks again and again until `end`, and notes how long each answer took."""

    def __init__(self, request: bytes, end: float, taken: list[float], done: asyncio.Future[None]) -> None:
        self.request, self.end, self.taken, self.done = request, end, taken, done
        self.answer = b""
        self.start = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        """Send the request."""
        self.start, self.answer = time.perf_counter(), b""
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, _, body = self.answer.partition(b"\r\n\r\n")
        if len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 10**9):
            return
        now = time.perf_counter()
        assert head.startswith(b"HTTP/1.1 200"), self.answer
        self.taken.append(now - self.start)
        if now < self.end:
            self.ask()
        else:
            self.transport.close()
            self.done.set_result(None)


async def load(url: str, path: str, connections: int, seconds: float) -> list[float]:
    """Seconds that each answer took."""
    loop = asyncio.get_running_loop()
    host, _, port = url.removeprefix("http://").partition(":")
    x = [round(place / 63, 4) for place in range(64)]
    tensor = {"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": x}
    body = orjson.dumps({"inputs": [tensor]})
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    taken: list[float] = []
    end = time.perf_counter() + seconds
    done: list[asyncio.Future[None]] = [loop.create_future() for _ in range(connections)]
    for each in done:
        client = Client(head.encode() + body, end, taken, each)
        await loop.create_connection(lambda client=client: client, host, int(port))
    await asyncio.gather(*done)
    return taken


def main() -> None:
    """Measure, and print a line per round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--model", default="mlp:128,128")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inline-ms", type=float, default=2.0)
    parser.add_argument("--no-store", action="store_true")
    args = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    settings = (args.model, args.inline_ms, not args.no_store, theirs)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=settings)
    server.start()
    url = ours.recv()
    print("              answers/s   p50 ms   p99 ms   cpu µs")
    paths = {"floor": "/floor", "prediction": "/v2/models/digits/infer"}
    for path in paths.values():
        asyncio.run(load(url, path, args.connections, 0.5))
    for _ in range(args.rounds):
        for name, path in paths.items():
            ours.send(True)
            before, start = ours.recv(), time.perf_counter()
            taken = sorted(asyncio.run(load(url, path, args.connections, args.seconds)))
            seconds = time.perf_counter() - start
            ours.send(True)
            cpu = 1e6 * (ours.recv() - before) / len(taken)
            median, slow = (1e3 * taken[int(len(taken) * part)] for part in (0.5, 0.99))
            print(f"{name:12} {len(taken) / seconds:10.0f} {median:8.2f} {slow:8.2f} {cpu:8.0f}")
    ours.send(False)
    server.join()


if __name__ == "__main__":
    main()
