"""What an operator can set about serving, and the one thing that is refused."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from lifelong.errors import SettingError, require

__all__ = ["ServeSettings", "check_binding", "is_loopback"]


@dataclass(frozen=True)
class ServeSettings:
    """Limits and manners of the service.

    Arguments:
        keys: whether requests need an API key.
        durable: answer only when the prediction is stored; else it is stored soon after the answer.
        max_body: bytes of a request's body.
        max_rows: inputs in one request.
        max_lines: labels in one `feedback:batch`.
        batch_rows: inputs that are run together.
        waiting_rows: inputs that may wait for their turn; beyond that requests are refused with 503.
        rate, burst: requests per second that one key may make for long, and at once. None is no limit.
        keep_asked: versions kept in memory because someone asked them by name; `Project.keep` is about rollbacks.
        inline_ms: a batch that is expected to take no longer runs without a change of threads.
        poll_seconds: how often changes by other servers are looked for.
        patience: seconds in which a request must have come in whole.
        connections: how many may be open at once.
        webhook: an http address that is told when a project stalls; None tells nobody.

    Raises: `SettingError` for values out of range.
    """

    keys: bool = True
    durable: bool = False
    max_body: int = 8 * 2**20
    max_rows: int = 1024
    max_lines: int = 10_000
    batch_rows: int = 256
    waiting_rows: int = 4096
    rate: float | None = 1000.0
    burst: int = 2000
    keep_asked: int = 4
    inline_ms: float = 2.0
    poll_seconds: float = 2.0
    patience: float = 10.0
    connections: int = 1000
    webhook: str | None = None

    def __post_init__(self) -> None:
        for name in ("max_body", "max_rows", "max_lines", "batch_rows", "burst", "connections"):
            require(getattr(self, name) >= 1, f"{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("keep_asked", "inline_ms"):
            require(getattr(self, name) >= 0, f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("poll_seconds", "patience"):
            require(getattr(self, name) > 0, f"{name} must be above 0, got {getattr(self, name)}")
        require(
            self.webhook is None or self.webhook.startswith(("http://", "https://")),
            f"webhook must be an address that begins with http:// or https://, got {self.webhook!r}",
        )
        require(self.rate is None or self.rate > 0, f"rate must be above 0, or None for no limit, got {self.rate}")
        require(
            self.waiting_rows >= self.max_rows,
            f"waiting_rows must have room for one request of max_rows {self.max_rows}, got {self.waiting_rows}",
        )


def check_binding(host: str, settings: ServeSettings) -> None:
    """Refuse to be reachable from other machines by anyone at all.

    >>> check_binding("127.0.0.1", ServeSettings(keys=False))
    >>> check_binding("0.0.0.0", ServeSettings(keys=False))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    lifelong.errors.SettingError: listening on '0.0.0.0' lets other machines in, and no key is asked for; ...
    """
    if not settings.keys and not is_loopback(host):
        raise SettingError(
            f"listening on {host!r} lets other machines in, and no key is asked for; listen on 127.0.0.1, or ask for "
            "API keys"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
