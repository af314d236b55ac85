"""A client of a server, with the standard library alone."""

from __future__ import annotations

import hmac
import http.client
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lifelong.errors import ConflictError, DataError, LifelongError, StorageError, require
from lifelong.store.errors import AccessError, NotFoundError

__all__ = ["VARIABLE", "Server", "lives", "proof"]

#: where a key is looked for
VARIABLE = "LIFELONG_KEY"

ERRORS: dict[int, type[LifelongError]] = {404: NotFoundError, 409: ConflictError, 412: ConflictError}


@dataclass(frozen=True)
class Server:
    """A server, by its address and a key; None for one that asks for none.

    `learn()` lets a server that lives as long as the command learn updates, too.
    Raises: `SettingError` for what is no address.
    """

    url: str
    key: str | None = field(repr=False)
    learn: Callable[[], object] = field(default=lambda: None, repr=False)

    def __post_init__(self) -> None:
        good = self.url.startswith(("http://", "https://"))
        require(good, f"expected the address of a server as in http://127.0.0.1:8000, got {self.url!r}")

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        under: str = "projects/",
        revision: int | None = None,
    ) -> Any:
        """The JSON (of NDJSON a list) that `method` `path` under /v1/projects/ gives; `under` "" is /v1/ itself.

        Arguments: `revision`: that of the champion, where it must be there still (the header If-Match).
        Raises: like `send`.
        """
        content, data = self.send(method, f"{under}{path}", body, kind=kind, revision=revision)
        if content == "application/x-ndjson":
            return [json.loads(line) for line in data.splitlines()]
        return json.loads(data)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        revision: int | None = None,
    ) -> tuple[str, bytes]:
        """The content type and the bytes that `method` `path` under /v1/ gives; a `body` of bytes is sent as it is.

        Arguments: `revision`: see `ask`.
        Raises: the error that the server tells of; `StorageError` where it does not answer.
        """
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        if revision is not None:
            headers["If-Match"] = f'"{revision}"'
        request = urllib.request.Request(f"{self.url}/v1/{path}", data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.headers.get_content_type(), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 401 and self.key is None:
                    message = f"the server at {self.url} asks for a key: give --key, or set {VARIABLE}"
                    raise AccessError(message, known=False) from error
                raise _told(error.code, error.read()) from error
        except (OSError, http.client.HTTPException) as error:
            raise StorageError(f"the server at {self.url} does not answer: {error}") from error


def lives(url: str, token: str) -> bool:
    """Whether the server that knows `token` answers there; another program that listens now does not."""
    opener, nonce = urllib.request.build_opener(urllib.request.ProxyHandler({})), secrets.token_hex(16)
    try:
        with opener.open(f"{url}/v2/health/live?nonce={nonce}", timeout=5) as answer:
            return hmac.compare_digest(str(json.load(answer)["proof"]), proof(token, nonce))
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return False


def proof(token: str, nonce: str) -> str:
    """What shows that one knows `token`, without telling it."""
    return hmac.new(token.encode(), nonce.encode(), "sha256").hexdigest()


def _told(status: int, data: bytes) -> LifelongError:
    try:
        detail = str(json.loads(data)["detail"])
    except (ValueError, KeyError, TypeError):
        detail = data[:200].decode(errors="replace")
    if status in (401, 403):
        return AccessError(detail, known=status == 403)
    return ERRORS.get(status, StorageError if status >= 500 else DataError)(f"{detail} ({status})")
