"""Every method by its name as the registry knows it, with what makes one slow set small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifelong import methods
from lifelong.methods import Method

__all__ = ["build"]

#: an eigendecomposition of width × width ends each task
SMALL: dict[str, dict[str, Any]] = {"ranpac": {"width": 100}}


def build(label: str, settings: Mapping[str, Any] | None = None) -> Method[Any]:
    """Like `lifelong.methods.build`."""
    return methods.build(label, {**SMALL.get(label, {}), **(settings or {})})
