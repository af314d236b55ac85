"""Streams of one's own data: nothing lost, nothing leaked, every fault told with its place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from lifelong.errors import DataError, SettingError
from lifelong.streams.from_data import data_of
from lifelong.streams.images import from_folder
from lifelong.streams.split import split, split_by_class
from lifelong.types import Examples, Scenario, as_examples


class Listed(Dataset[object]):
    """A map-style data set of the items that it is given."""

    def __init__(self, *items: object) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> object:
        return self.items[index]


class Endless(IterableDataset[object]):
    """A data set without a length."""

    def __iter__(self) -> Iterator[object]:
        return iter(())


def read(data: object, place: str) -> Examples:
    """All of `data`, however it is read."""
    return as_examples(data_of(data, place))


X, Y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1, 0])
X_ARRAY, Y_ARRAY = X.numpy(), Y.numpy()
READ_ONLY = np.array([[1.0, 2.0], [3.0, 4.0]])
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        [X_ARRAY, Y_ARRAY],
        (X.half().requires_grad_(), Y.double()),
        (X.bfloat16(), Y.half()),
        (X.T.contiguous().T, Y.bool()),
        (X_ARRAY.astype(">f8"), Y_ARRAY.astype(">i2")),
        (X_ARRAY.astype(np.longdouble)[::-1][::-1], Y_ARRAY.astype(np.uint64)),
        (READ_ONLY, Y_ARRAY.astype(np.int8)),
        (X.int(), Y_ARRAY == 1),
        TensorDataset(X, Y),
        Listed((X[0], 1), (X[1], 0)),
        Listed((X_ARRAY[0], np.int64(1)), [X_ARRAY[1], Y[1]]),
        Examples(X, Y, 7),
    ],
)
def test_the_same_data_in_any_dress_gives_the_same_examples(data: object) -> None:
    examples = read(data, "here")
    assert examples.x.dtype == torch.float32
    assert examples.x.is_contiguous()
    assert not examples.x.requires_grad
    assert examples.x.tolist() == X.tolist()
    assert examples.y.dtype == torch.int64
    assert examples.y.tolist() == [1, 0]
    assert examples.task == 0


def test_bytes_become_0_to_1_and_other_numbers_stay() -> None:
    values = [[0, 51, 255]]
    for data in (torch.tensor(values, dtype=torch.uint8), np.array(values, dtype=np.uint8)):
        before = data.tolist()
        assert torch.allclose(read((data, Y[:1]), "here").x, torch.tensor([[0, 0.2, 1]]))
        assert data.tolist() == before
    assert read((np.array(values, dtype=np.uint16), Y[:1]), "here").x.tolist() == values


def test_pictures_of_a_dataset_get_their_channels_first() -> None:
    red = Image.new("RGB", (3, 2), (255, 0, 51))
    x = read(Listed((red, 0)), "here").x
    assert x.shape == (1, 3, 2, 3)
    assert torch.allclose(x[0, :, 0, 0], torch.tensor([1, 0, 0.2]))
    assert read(Listed((red.convert("L"), 0)), "here").x.shape == (1, 1, 2, 3)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (X, "expected a pair .* got Tensor"),
        ((X, Y, Y), "tuple of 3"),
        ({"x": X}, "got dict"),
        (([[1.0]], Y), "x: expected a dense torch tensor or numpy array .* got list"),
        ((X.to(torch.complex64), Y), "real numbers, got Tensor of torch.complex64"),
        ((X.to_sparse(), Y), "dense"),
        ((np.array([["a"], ["b"]]), Y), "got ndarray of <U1"),
        ((X, np.array([1, None])), "y: .* ndarray of object"),
        ((X, torch.eye(2)), r"got \(2, 2\); for one-hot labels use y.argmax\(1\)"),
        ((X, Y[:, None]), r"use y\[:, 0\]"),
        ((Y, Y), r"x\[:, None\]"),
        ((X[:, :0], Y), "at least one feature"),
        ((X, Y[:1]), "one target per example"),
        ((X[:0], Y[:0]), "here is empty"),
        ((X, Y + 0.5), "whole numbers, got 1.5 at row 0"),
        ((X, torch.tensor([0, torch.nan])), "whole numbers, got nan at row 1"),
        ((X, np.array([0, 1e300])), "whole numbers"),
        ((X, -Y), "0 or more, got -1"),
        ((X.log() - torch.inf, Y), "NaN or infinity, first at row 0"),
        ((X_ARRAY.astype(float) * 1e300, Y), "NaN or infinity"),
        (Listed(), "here is empty"),
        (Listed((X[0], 1), X[1]), "row 1: expected .x, y., got Tensor"),
        (Listed((X[0], 1), (X, 1)), r"x of one shape, got \(2,\) at row 0 and \(2, 2\) at row 1"),
        (Listed(("text", 1)), "x of row 0: .* got str"),
        (Listed((X[0], "cat")), "y of row 0"),
        (Endless(), "Endless without a length"),
        (TensorDataset(X), "tuple of 1"),
    ],
)
def test_data_that_does_not_fit_is_refused_with_its_reason(data: object, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(data, "here")


def labelled(labels: list[int]) -> tuple[Tensor, Tensor]:
    """Examples that are numbered: x[i] = i."""
    return torch.arange(float(len(labels)))[:, None], torch.tensor(labels)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=80),
    per_task=st.sampled_from([1, 2, 3, 6]),
    scenario=st.sampled_from(["task", "domain", "class"]),
    order=st.permutations([0, 3, 4, 7, 8, 11]),
    validation=st.floats(0, 0.9),
    seed=st.integers(0, 2**31),
)
def test_every_example_is_in_one_place_with_its_output(
    labels: list[int], per_task: int, scenario: Scenario, order: list[int], validation: float, seed: int
) -> None:
    known = sorted(order)
    x, y = labelled(known + [known[label] for label in labels])
    settings_ = {"classes_per_task": per_task, "scenario": scenario, "order": order, "validation": validation}
    stream = split_by_class((x, y), (x, y), seed=seed, **settings_)  # type: ignore[arg-type]
    again = split_by_class((x, y), (x, y), seed=seed, **settings_)  # type: ignore[arg-type]
    seen: list[int] = []
    tested: list[int] = []
    for task, twin in zip(stream, again, strict=True):
        group = order[(task.number - 1) * per_task : task.number * per_task]
        base = 0 if scenario == "domain" else (task.number - 1) * per_task
        assert task.classes == tuple(range(base, base + per_task))
        assert task.train.x.tolist() == twin.train.x.tolist()
        for part in (task.train, task.validation, task.test):
            for number, output in [] if part is None else zip(part.x[:, 0].long(), part.y.tolist(), strict=True):
                assert group[output - base] == int(y[number])
        learned = [part.x[:, 0].long().tolist() for part in (task.train, task.validation) if part is not None]
        seen += [number for part in learned for number in part]
        tested += task.test.x[:, 0].long().tolist()
        count = int(torch.isin(y, torch.tensor(group)).sum())
        assert len(learned[0]) == count - min(count - 1, round(count * validation))
    assert sorted(seen) == sorted(tested) == list(range(len(y)))
    assert stream.space.classes == (per_task if scenario == "domain" else 6)
    assert stream.space.input_shape == (1,)


def test_split_by_class_names_tasks_and_the_seed_matters() -> None:
    data = labelled([3, 1, 5, 9] * 20)
    stream, other = (split_by_class(data, data, seed=seed, validation=0.1) for seed in (0, 1))
    assert [task.name for task in stream] == ["classes 1, 3", "classes 5, 9"]
    assert stream.task(1).train.x.tolist() != other.task(1).train.x.tolist()
    assert split_by_class(data, data, classes_per_task=1).task(4).name == "class 9"


def test_labels_may_be_huge() -> None:
    data = labelled([10**15, 7, 10**15, 7])
    (task,) = split_by_class(data, data, validation=0)
    assert (task.name, task.train.y.tolist()) == (f"classes 7, {10**15}", [1, 0, 1, 0])


@pytest.mark.parametrize(
    ("error", "told", "changes"),
    [
        (SettingError, "4 classes cannot be shared out evenly with classes_per_task=3", {"classes_per_task": 3}),
        (SettingError, "1 or more, got 0", {"classes_per_task": 0}),
        (SettingError, r"order of \[0, 1, 2, 3\], got \[0, 1, 2\]", {"order": [0, 1, 2]}),
        (SettingError, "validation must be a fraction", {"validation": 1.0}),
        (SettingError, "scenario must be one of", {"scenario": "classes"}),
        (DataError, "test part has no example of class 3", {"test": labelled([0, 1, 2])}),
        (DataError, "training part has no example of class 4, 5", {"test": labelled([0, 1, 2, 3, 4, 5])}),
        (DataError, "inputs of one shape", {"test": (torch.zeros(4, 2), torch.arange(4))}),
    ],
)
def test_split_by_class_refuses(error: type[Exception], told: str, changes: dict[str, object]) -> None:
    data = labelled([0, 1, 2, 3])
    with pytest.raises(error, match=told):
        split_by_class(**{"train": data, "test": data} | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "groups"),
    [("at least one class", []), ("at least one class", [[0], []]), ("one group only", [[0, 1], [1]]),
     ("one size, got sizes", [[0, 1], [2]])],
)  # fmt: skip
def test_split_refuses_groups(told: str, groups: list[list[int]]) -> None:
    data = labelled([0, 1, 2])
    with pytest.raises(SettingError, match=told):
        split("s", Examples(*data, 0), Examples(*data, 0), groups, "domain", 0, 0)


def test_split_leaves_other_classes_out() -> None:
    data = Examples(*labelled([0, 1, 2, 1]), 0)
    (task,) = split("s", data, data, [[1]], "class", 0, 0)
    assert task.train.x.tolist() == [[1], [3]]
    assert task.test.y.tolist() == [0, 0]


def paint(path: Path, red: int = 0, size: tuple[int, int] = (4, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (red, 0, 255)).save(path)


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Four classes of five pictures, each with its own red: 10 · class + picture."""
    for number, animal in enumerate(("ant", "bee", "cat", "dog")):
        for picture in range(5):
            paint(tmp_path / "zoo" / animal / f"{picture}.png", 10 * number + picture)
    return tmp_path / "zoo"


def reds(*parts: Examples | None) -> list[int]:
    return sorted(int(red) for part in parts if part is not None for red in (part.x[:, 0, 0, 0] * 255).round())


def test_folder_becomes_a_stream_with_every_image_in_one_place(zoo: Path) -> None:
    (zoo / ".hidden").mkdir()
    (zoo / "ant" / ".secret.png").write_bytes(b"")
    (zoo / "ant" / "notes.txt").write_text("no image")
    stream = from_folder(zoo, classes_per_task=2, validation=0.25)
    assert [task.name for task in stream] == ["classes ant, bee", "classes cat, dog"]
    assert stream.name == "zoo"
    assert stream.space.input_shape == (3, 3, 4)
    task = stream.task(2)
    assert reds(task.train, task.validation, task.test) == [20, 21, 22, 23, 24, 30, 31, 32, 33, 34]
    assert (len(task.train), len(task.test)) == (6, 2)
    assert task.classes == (2, 3)
    assert ((task.test.x[:, 0, 0, 0] * 255).round() // 10).tolist() == task.test.y.tolist()
    assert task.train.x.dtype == torch.float32
    assert torch.unique(task.train.x[:, 2]).tolist() == [1.0]
    again = from_folder(zoo, classes_per_task=2, validation=0.25)
    assert torch.equal(again.task(2).test.x, task.test.x)


def test_folder_without_classes_per_task_is_one_task(zoo: Path) -> None:
    (task,) = from_folder(str(zoo), gray=True, size=(2, 6))
    assert task.classes == (0, 1, 2, 3)
    assert task.test.x.shape == (4, 1, 2, 6)


def test_folder_with_train_and_test_keeps_them_apart(tmp_path: Path) -> None:
    for name in ("9", "10"):
        paint(tmp_path / "train" / name / "a.png", 1)
        paint(tmp_path / "test" / name / "a.BMP", 200)
    stream = from_folder(tmp_path, classes_per_task=1)
    assert [task.name for task in stream] == ["class 9", "class 10"]
    assert [(reds(task.train), reds(task.test)) for task in stream] == [([1], [200])] * 2
    paint(tmp_path / "test" / "11" / "a.png")
    with pytest.raises(DataError, match="same classes; only one has: 11"):
        from_folder(tmp_path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_8_bit_mode_becomes_three_channels(tmp_path: Path, mode: str) -> None:
    for number in range(2):
        image = Image.new("RGB", (4, 3), "white").convert(mode)
        (tmp_path / "a").mkdir(exist_ok=True)
        image.save(tmp_path / "a" / f"{number}.{'tif' if mode == 'CMYK' else 'png'}")
    x = from_folder(tmp_path).task(1).test.x
    assert x.shape == (1, 3, 3, 4)
    assert x.min() == 1


def corrupt(zoo: Path) -> None:
    whole = (zoo / "bee" / "1.png").read_bytes()
    (zoo / "bee" / "1.png").write_bytes(whole[: len(whole) // 2])


def deepen(zoo: Path) -> None:
    Image.fromarray(np.full((3, 4), 40_000, dtype=np.uint16)).save(zoo / "bee" / "1.png")


@pytest.mark.parametrize(
    ("told", "harm"),
    [
        (r"bee.1\.png cannot be read as an image", corrupt),
        (r"bee.1\.png cannot be read as an image", lambda zoo: (zoo / "bee" / "1.png").write_bytes(b"")),
        (r"0\.png is 3 by 4 .*1\.png is 9 by 8; pass size=\(3, 4\)", lambda zoo: paint(zoo / "bee/1.png", 0, (8, 9))),
        (r"1\.png has pixels of mode I;16, more than 8 bits", deepen),
        ("class folder .*eel has no images", lambda zoo: (zoo / "eel").mkdir()),
    ],
)
def test_folder_faults_name_the_file(zoo: Path, told: str, harm: Callable[[Path], object]) -> None:
    harm(zoo)
    with pytest.raises(DataError, match=told):
        from_folder(zoo)


def test_folder_settings_and_places_are_checked(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no class folders"):
        from_folder(zoo / "ant")
    with pytest.raises(DataError, match="is no folder"):
        from_folder(zoo / "none")
    with pytest.raises(SettingError, match="size must be"):
        from_folder(zoo, size=(0, 3))
    with pytest.raises(SettingError, match="test must be a fraction"):
        from_folder(zoo, test=0.0)
    with pytest.raises(SettingError, match="4 classes"):
        from_folder(zoo, classes_per_task=3)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(SettingError, match=r"pip install 'lifelong\[images\]'"):
        from_folder(zoo)
