"""uvicorn around the application, with the limits on slow and endless requests that it does not have itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lifelong.errors import StorageError
from lifelong.service.settings import ServeSettings, check_binding

__all__ = ["Patient", "configured", "serving"]

LONGEST_HEAD = 64 * 1024
LEAST_BYTES = 100 * 1024
LINGER = 2.0


class Gathered(asyncio.Transport):
    """A transport that sends what was written in one turn of the event loop at once, and closes politely.

    uvicorn writes the head and the body of an answer apart, which would be two calls of the system and two packets, and
    two wake-ups of the client: together a fifth of what an answer costs.

    Who is answered before all was read (413) is still sending. Were the connection closed, that would be met by a
    reset, which can take the answer with it; so it is read and forgotten for `LINGER` seconds. `unread` tells.
    """

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop, unread: Callable[[], bool]) -> None:
        super().__init__()
        self._inner, self._loop, self._unread = inner, loop, unread
        self._pieces: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(bytes(data))

    def close(self) -> None:
        self._flush()
        if self._unread() and not self._inner.is_closing():
            self._inner.write_eof()
            self._inner.resume_reading()
            self._loop.call_later(LINGER, self._inner.close)
        else:
            self._inner.close()

    def abort(self) -> None:
        self._inner.abort()

    def is_closing(self) -> bool:
        return self._inner.is_closing()

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)

    def _flush(self) -> None:
        data = b"".join(self._pieces)
        self._pieces.clear()
        if data and not self._inner.is_closing():
            self._inner.write(data)


class Patient(HttpToolsProtocol):
    """Closes a connection that lets a request wait: nothing for `patience` seconds, or less than 100 KiB in them.

    Whoever sends a byte now and then (slow loris) holds a connection that long. A head beyond 64 KiB is not read. Time
    in which we do not read because the application has too much already is not the client's.

    `scope["lifelong.ending"]` is an `asyncio.Event` that is set when the server shuts down: a stream without end of its
    own ends then.
    """

    def __init__(self, *args: Any, patience: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = patience
        self._late: asyncio.TimerHandle | None = None
        self._came = 0
        self._in_head = True
        self._head = 0
        self._ending = asyncio.Event()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Gathered(transport, self.loop, lambda: not self._in_head))
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._late is None:
            self._wait()
        self._came += len(data)
        self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > LONGEST_HEAD:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["lifelong.ending"] = self._ending  # type: ignore[typeddict-unknown-key]

    def shutdown(self) -> None:
        self._ending.set()
        super().shutdown()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._head = True, 0
        self._arrived()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._came = 0
        self._late = self.loop.call_later(self._patience, self._look)

    def _look(self) -> None:
        if self.flow.read_paused or self._came >= LEAST_BYTES:
            self._wait()
        else:
            self._late = None
            self.transport.close()

    def _arrived(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def configured(app: ASGIApp, settings: ServeSettings, host: str = "127.0.0.1", port: int = 8000) -> uvicorn.Config:
    """How uvicorn runs `app`; `SettingError` where that would let in anyone at all."""
    check_binding(host, settings)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=partial(Patient, patience=settings.patience),  # pyrefly: ignore
        ws="none",
        limit_concurrency=settings.connections,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=30,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks where a client is
        log_level="warning",
    )


@contextlib.contextmanager
def serving(app: ASGIApp, settings: ServeSettings, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve `app` in another thread while the block runs; its address. Port 0 takes a free one.

    Raises: `StorageError` where the port is taken or the application does not start.
    """
    server = uvicorn.Server(configured(app, settings, host, port))
    listening = bound(host, port)
    thread = threading.Thread(target=server.run, args=([listening],), name="lifelong-serve", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.005)
    try:
        if not server.started:
            raise StorageError("the server did not start; its log says why")
        yield f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def bound(host: str, port: int) -> socket.socket:
    """A socket that waits for clients; `StorageError` where the port is taken."""
    # asyncio turns Nagle's delay (40 ms per answer) off only where the protocol is named
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, proto=socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise StorageError(f"cannot listen on {host} port {port}: {error.strerror}; choose another port") from error
    return listening
