"""Questions to the service of the tests, and what their answers should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np

from lifelong.loop.learning import Candidate, opened
from lifelong.service.model import Answers, Model

INFER = "/v2/models/paint/infer"
ROWS: list[list[float]] = [[0.5, -1, 0, 2, 0, 1], [1, 1, 1, 1, 1, 1], [-2, 0, 0.25, 0, 1, 0]]
Question = Callable[..., dict[str, Any]]


def tensors(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def expected(candidate: Candidate, rows: list[list[float]]) -> Answers:
    return Model(candidate.id, (), opened(candidate.data)).answer(np.asarray(rows, dtype=np.float32))


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}
