"""The stream of three skills: its inputs, its words, its bands, and what damaged files say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lifelong.errors import DataError, SettingError
from lifelong.streams import stream
from lifelong.streams.skills import SKILLS_FILE, log_mel, recordings


def test_each_skill_has_inputs_and_answers_of_its_own() -> None:
    skills = stream("skills", validation=0.1)
    speech, images, sentences = skills
    assert [tuple(task.train.x.shape[1:]) for task in skills] == [(1, 20, 32), (1, 28, 28), (12,)]
    assert [len(task.train) + len(task.split("validation")) for task in skills] == [600, 1000, 1200]
    assert [len(task.test) for task in skills] == [180, 1000, 360]
    assert speech.class_names == images.class_names == tuple("0123456789")
    assert len(sentences.class_names) == 12
    assert "weather" in sentences.class_names
    assert speech.train.x.mean().abs() < 0.3
    assert 0.8 < speech.train.x.std() < 1.2
    assert sentences.train.x.dtype == torch.int64


def test_the_order_is_a_setting() -> None:
    assert [task.name for task in stream("skills", order="sentences,speech", tasks=1)] == ["intents of sentences"]
    with pytest.raises(SettingError, match="singing"):
        stream("skills", order=("singing",))


def test_bands_follow_the_pitch_and_the_time() -> None:
    time = np.arange(2048) / 8000
    low, high = (6000 * np.sin(2 * np.pi * pitch * time) for pitch in (300, 3000))
    bands = log_mel(np.concatenate([low, high]).astype(np.int16))
    assert bands.dtype == np.uint8
    assert bands[:, 3].argmax() < 5 < 15 <= bands[:, 25].argmax()


def test_the_embedded_recordings_are_those_of_the_archive(data_root: Path) -> None:
    with np.load(data_root / "spoken-digits" / "fsdd.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    bands, digits = recordings(arrays)
    with np.load(SKILLS_FILE, allow_pickle=False) as embedded:
        rows = arrays["index"] < 3
        assert np.abs(embedded["test_bands"].astype(int) - bands[rows]).max() <= 1  # another processor's rounding
        assert np.array_equal(embedded["test_digit"], digits[rows])


def test_all_recordings_are_read_from_files(data_root: Path) -> None:
    speech = stream("skills", source="files", data_dir=data_root, validation=0.0).task(1)
    assert (len(speech.train), len(speech.test)) == (2700, 300)


def test_a_missing_or_damaged_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"fsdd.npz is missing.*embedded"):
        stream("skills", source="files", data_dir=tmp_path)
    (tmp_path / "fsdd.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"fsdd.npz cannot be read"):
        stream("skills", source="files", data_dir=tmp_path)
