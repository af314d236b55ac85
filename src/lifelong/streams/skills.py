"""Three skills, each with inputs of its own: spoken digits, then written digits, then the intents of sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifelong.errors import DataError, require
from lifelong.streams.sources import FIGURES, data_folder, load
from lifelong.streams.stream import Stream
from lifelong.types import Classes, Field, Scenario

__all__ = ["SKILLS_FILE", "Skill", "Skills", "log_mel", "recordings", "word_numbers", "words_of"]

#: the embedded sample, written by scripts/embed_skills.py
SKILLS_FILE = Path(__file__).with_name("skills.npz")

Skill = Literal["speech", "images", "sentences"]

TITLES: dict[Skill, str] = {
    "speech": "spoken digits",
    "images": "written digits",
    "sentences": "intents of sentences",
}
RATE, WINDOW, HOP, BANDS, FRAMES = 8000, 256, 128, 20, 32
WORDS = 12
IMAGES = 100  # of each written digit, to train on

Part = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Skills:
    """Each task is another skill with inputs of its own: speech, then images, then sentences.

    Spoken digits are log-mel bands (1, 20, 32) around 0; written digits images (1, 28, 28) in [0, 1], of which 1,000
    are to train on and 1,000 to test; sentences up to 12 words. Spoken and written digits share the answers 0 … 9; the
    intent of a sentence is one of twelve others.

    Arguments: `order` of the skills; `tasks`, how many of them, or None for all; `scenario` is domain; `source` of the
    speech: `embedded` has 600 recordings to train on and 180 to test, `files` all 3,000 of `spoken-digits/fsdd.npz`, of
    which the official 300 are the test; `validation` fraction of the training part that is held out; `seed` of it.

    Reference: Jackson et al., free-spoken-digit-dataset; LeCun et al. 1998, MNIST; Larson et al. 2019, An Evaluation
    Dataset for Intent Classification and Out-of-Scope Prediction (clinc150).
    """

    tasks: int | None = None
    scenario: Scenario = "domain"
    order: tuple[Skill, ...] = ("speech", "images", "sentences")
    source: Literal["embedded", "files"] = "embedded"
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        known = get_args(Skill)
        require(self.scenario == "domain", f"the scenario must be domain, got {self.scenario!r}; leave it out")
        wrong = [skill for skill in self.order if skill not in known]
        require(not wrong and len(self.order) > 0, f"order takes skills of {', '.join(known)}, got {list(self.order)}")
        require(len(set(self.order)) == len(self.order), f"order takes each skill once, got {list(self.order)}")
        require(
            self.tasks is None or 1 <= self.tasks <= len(self.order),
            f"tasks must be in 1 … {len(self.order)}, the skills in the order, got {self.tasks}",
        )
        require(self.source in ("embedded", "files"), f"source must be embedded or files, got {self.source!r}")

    def build(self, name: str, folder: Path | None = None) -> Stream:
        """The stream; `folder` holds `fsdd.npz` where the source is files (default `$LIFELONG_DATA/spoken-digits`).

        Raises: `DataError` for a file that is missing or not in the format.
        """
        skills = self.order[: self.tasks]
        sample = _embedded()
        speech = sample.speech
        if self.source == "files" and "speech" in skills:
            speech = _recorded(data_folder("spoken-digits", folder) / "fsdd.npz")
        digits = load("mnist-4k")
        parts: dict[Skill, tuple[Part, Part]] = {
            "speech": speech,
            "images": (_first(digits.train_x, digits.train_y, IMAGES), (digits.test_x, digits.test_y)),
            "sentences": sample.sentences,
        }
        inputs: dict[Skill, Field] = {
            "speech": Field((1, BANDS, FRAMES)),
            "images": Field(digits.shape),
            "sentences": Field((WORDS,), vocabulary=len(sample.words) + 2),
        }
        answers: dict[Skill, tuple[str, ...]] = {"speech": FIGURES, "images": FIGURES, "sentences": sample.intents}
        stream = Stream.from_datasets(
            [parts[skill] for skill in skills],
            target=[Classes(len(answers[skill])) for skill in skills],
            inputs=[inputs[skill] for skill in skills],
            names=[TITLES[skill] for skill in skills],
            validation=self.validation,
            seed=self.seed,
            name=name,
        )
        tasks = (replace(task, class_names=answers[skill]) for task, skill in zip(stream.tasks, skills, strict=True))
        return replace(stream, tasks=tuple(tasks))


def log_mel(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """The log-mel bands of a recording at 8 kHz as bytes (20, 32): 0 is 80 dB below its loudest band or less.

    Hann windows of 256 samples, 128 apart; of a longer recording the first 32 windows, a shorter one is followed by
    silence. The bands are triangles evenly spaced on the mel scale m = 2595 log₁₀(1 + f / 700) from 0 to 4 kHz.

    Args:
        samples: (N,) of one recording.

    Example:
        >>> tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(2000) / 8000)).astype(np.int16)
        >>> bands = log_mel(tone)
        >>> bands.shape, int(bands[:, 5].argmax()), int(bands.max()), int(bands[:, -1].max())
        ((20, 32), 9, 255, 0)

    Reference: Davis & Mermelstein 1980, Comparison of parametric representations, for bands on the mel scale.
    """
    length = HOP * (FRAMES - 1) + WINDOW
    sound = np.zeros(length)
    sound[: min(len(samples), length)] = samples[:length]
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    level = 10 * np.log10(np.maximum(power @ _mel_filters().T, 1e-3))
    scaled = np.clip((level - level.max() + 80) / 80, 0, 1)
    return np.rint(255 * scaled).astype(np.uint8).T


def _mel_filters() -> NDArray[np.float64]:
    """Triangles (bands, bins of a window's spectrum), each 1 at its centre and 0 at its neighbours'."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    bins = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


def recordings(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Bands (N, 20, 32) and labels (N,) of all recordings of `fsdd.npz`: `samples` end to end, `lengths`, `label`."""
    ends = np.cumsum(arrays["lengths"])
    sounds = np.split(arrays["samples"], ends[:-1].astype(np.int64))
    return np.stack([log_mel(sound.astype(np.int16)) for sound in sounds]), arrays["label"].astype(np.uint8)


def words_of(sentences: Iterable[str], least: int = 2) -> tuple[str, ...]:
    """The words that occur `least` times or more, in alphabetical order.

    >>> words_of(["pay my bill", "my bill"])
    ('bill', 'my')
    """
    counts = Counter(word for sentence in sentences for word in sentence.split())
    return tuple(sorted(word for word, count in counts.items() if count >= least))


def word_numbers(sentences: Sequence[str], words: Sequence[str]) -> Tensor:
    """The first 12 words of each sentence as numbers (N, 12): 0 is no word, 1 an unknown one.

    >>> word_numbers(["pay my bill"], ["bill", "my"])[0].tolist()
    [1, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    """
    number = {word: place for place, word in enumerate(words, start=2)}
    rows = [[number.get(word, 1) for word in sentence.split()[:WORDS]] for sentence in sentences]
    return torch.tensor([row + [0] * (WORDS - len(row)) for row in rows], dtype=torch.int64)


@dataclass(frozen=True)
class _Sample:
    """What is embedded: training and test parts of two skills, the words of the sentences, and their intents."""

    speech: tuple[Part, Part]
    sentences: tuple[Part, Part]
    words: tuple[str, ...]
    intents: tuple[str, ...]


@lru_cache(maxsize=1)
def _embedded() -> _Sample:
    with np.load(SKILLS_FILE, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    lines = {part: bytes(arrays[f"{part}_text"]).decode().splitlines() for part in ("train", "test")}
    words = words_of(lines["train"])
    speech: list[Part] = []
    text: list[Part] = []
    for part in ("train", "test"):
        digits, labels = (torch.from_numpy(arrays[f"{part}_{name}"]).long() for name in ("digit", "intent"))
        speech.append((_bands(arrays[f"{part}_bands"]), digits))
        text.append((word_numbers(lines[part], words), labels))
    intents = tuple(bytes(arrays["intents"]).decode().splitlines())
    return _Sample((speech[0], speech[1]), (text[0], text[1]), words, intents)


@lru_cache(maxsize=1)
def _recorded(path: Path) -> tuple[Part, Part]:
    """The training and the official test part of all recordings."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("samples", "lengths", "label", "index")}
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is missing: expected the archive of spoken digits; leave source at embedded"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be read: {error}; expected samples, lengths, label and index") from error
    bands, labels = recordings(arrays)
    test = arrays["index"] < 5
    train, exam = ((_bands(bands[rows]), torch.from_numpy(labels[rows]).long()) for rows in (~test, test))
    return train, exam


def _first(x: Tensor, y: Tensor, per_class: int) -> Part:
    """The first `per_class` examples of each class, in their order."""
    rows = torch.cat([torch.nonzero(y == label)[:per_class, 0] for label in y.unique().tolist()]).sort().values
    return x[rows], y[rows]


def _bands(bands: NDArray[np.uint8]) -> Tensor:
    """Bands with a mean near 0 and a deviation near 1: a network learns them far slower where they are all positive."""
    return torch.from_numpy(bands).float().div_(255).sub_(0.5).div_(0.3).unsqueeze_(1)
