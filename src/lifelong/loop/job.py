"""What a worker is given and what it hands in, as plain values and bytes: no database is needed to learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors

from lifelong.errors import StorageError
from lifelong.loop.gate import Answers
from lifelong.training import Learner
from lifelong.training.preview import preview
from lifelong.types import Task

__all__ = ["HOPELESS", "Job", "Learned", "Part", "answers_of", "confidences", "pack_answers"]

#: the exit code of a training process that says why its update cannot be learned: trying again would not help
HOPELESS = 3


@dataclass(frozen=True)
class Part:
    """A task by the blobs of its two parts."""

    number: int
    name: str
    classes: list[int]
    train: str
    exam: str


@dataclass(frozen=True)
class Learned:
    """Where the answers of the version that learned a task are: the answers of `who` in the blob `answers`."""

    answers: str
    who: Literal["champion", "candidate"]


@dataclass(frozen=True)
class Job:
    """All that a worker must know, as plain values: `champion` is a blob, `exams` include that of the new `task`.

    `learned`, `beside`: see `engine.exams.Exams`.
    """

    update: str
    owner: str
    attempt: int
    project: dict[str, Any]
    method: dict[str, Any] | None
    champion: str
    task: int
    exams: list[Part]
    learned: dict[int, Learned] = field(default_factory=dict)
    beside: list[int] = field(default_factory=list)


def pack_answers(
    candidate: Learner,
    exams: Sequence[Task],
    given: Mapping[int, Answers],
    champion: Mapping[int, Answers] | None = None,
) -> bytes:
    """All answers as a safetensors file, with the candidate's confidence in each of its own."""
    arrays = {f"candidate {number}": array.astype(np.int64) for number, array in given.items()}
    arrays |= {f"champion {number}": array.astype(np.int64) for number, array in (champion or {}).items()}
    sure: list[NDArray[np.float32]] = []
    with torch.no_grad():
        for task in exams:
            logits_NC = candidate._answers(preview(candidate, task), task.test.x, task.number)
            sure.append(torch.softmax(logits_NC, 1).amax(1).float().cpu().numpy())
    return to_safetensors({**arrays, "confidence": np.concatenate(sure)})


def answers_of(data: bytes) -> dict[str, dict[int, Answers]]:
    """`champion` and `candidate` → task number → answers. Raises: `StorageError` for other bytes."""
    found: dict[str, dict[int, Answers]] = {"champion": {}, "candidate": {}}
    for name, array in _arrays(data).items():
        who, _, number = name.partition(" ")
        if who in found and number.isdecimal():
            found[who][int(number)] = np.asarray(array, dtype=np.int64)
    return found


def confidences(data: bytes) -> list[NDArray[np.float64]]:
    """The candidate's confidences at each exam, from the bytes of `pack_answers`; none where there are no answers."""
    answers = answers_of(data)["candidate"]
    sizes = [len(answers[number]) for number in sorted(answers)]
    whole = np.asarray(_arrays(data).get("confidence", ()), dtype=np.float64)
    return np.split(whole, np.cumsum(sizes)[:-1]) if len(whole) == sum(sizes) > 0 else [whole]


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        return from_safetensors(data)
    except SafetensorError as error:
        raise StorageError(f"these {len(data)} bytes hold no answers to exams: {error}") from error
