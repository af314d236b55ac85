"""Streams of data sets: any target, dicts of inputs, data that is never read whole, and what they tell of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from lifelong.data import Concat, Lazy
from lifelong.errors import DataError, SettingError
from lifelong.methods import build
from lifelong.streams import Stream, from_folder, split_by_class, stream
from lifelong.streams.stream import cache_test_splits
from lifelong.training import Learner
from lifelong.types import Classes, Examples, Field, Labels, Numbers, Space, Tokens

X = torch.rand(12, 3)
Y = torch.arange(12) % 3


class Counting(Dataset[Any]):
    """Rows (i, i % 3) that count how often they are read."""

    def __init__(self, count: int = 1000, offset: int = 0, say: bool = True) -> None:
        self.count, self.offset, self.rows = count, offset, 0
        if say:
            self.targets = [offset + i % 3 for i in range(count)]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        self.rows += 1
        return torch.tensor([float(index)]), self.offset + index % 3


def test_what_cannot_fit_is_never_read_whole() -> None:
    sets = [Counting(offset=3 * i) for i in range(2)]
    lazy = Stream.from_datasets([(one, one) for one in sets], scenario="class", validation=0.1)
    assert lazy.space == Space((1,), 6, "class")
    assert [task.classes for task in lazy] == [(0, 1, 2), (3, 4, 5)]
    read = sum(one.rows for one in sets)
    assert read <= 8, "one row of each part tells its shape"
    batch = next(lazy.task(2).split("train").batches(torch.tensor([5, 1]), 2))
    assert sum(one.rows for one in sets) == read + 2
    assert (batch.task, batch.y.tolist()) == (2, [3 + int(value) % 3 for value in batch.x])
    assert len(lazy.task(1).split("validation")) == 100


def test_lazy_data_gives_the_bits_of_the_same_data_in_memory(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((40, 2, 3)).astype(np.float32)
    y = np.arange(40) % 4
    disk = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=x.shape)
    disk[:] = x
    for make in (
        lambda x: Stream.from_datasets([((x, y), (x, y))], validation=0.2),
        lambda x: split_by_class((x, y), (x, y), validation=0.2, order=[3, 1, 0, 2]),
        lambda x: split_by_class((x, y), (x, y), repetition=0.7, scenario="task", classes_per_task=1, imbalance=0.5),
        lambda x: Stream.from_datasets([((x, y), (x, y))] * 2, validation=0.2).map(lambda x: x * 2),
    ):
        whole, lazy = make(x), make(disk)
        assert whole.space == lazy.space
        for one, two in zip(whole, lazy, strict=True):
            assert not isinstance(two.split("train"), Examples)
            assert one.classes == two.classes
            for split in ("train", "validation", "test"):
                if one.sizes is not None and one.sizes[split]:
                    a, b = (getattr(task, split) for task in (one, two))
                    assert torch.equal(a.x, b.x)
                    assert torch.equal(a.y, b.y)


def test_labels_that_nobody_tells_are_read_once_and_classes_spare_it() -> None:
    silent = Counting(say=False)
    Stream.from_datasets([(silent, silent)])
    assert 2000 <= silent.rows <= 2010
    silent = Counting(say=False)
    listed = Stream.from_datasets([(silent, silent)], classes=[[0, 1, 2]])
    assert silent.rows <= 4
    assert listed.task(1).classes == (0, 1, 2)
    wrong = Stream.from_datasets([(silent, silent)], classes=[[0, 1]])
    with pytest.raises(
        DataError, match=r"training part of task 1 has labels \[2\] outside the task's classes \[0, 1\]"
    ):
        _ = wrong.task(1).train
    with pytest.raises(SettingError, match="classes of 1 tasks, got 2"):
        Stream.from_datasets([(silent, silent)], classes=[[0], [1]])


@pytest.mark.parametrize(
    ("y", "target", "outputs"),
    [
        (torch.rand(12, 2), Numbers(2), (0, 1)),
        (torch.rand(12), Numbers(1), (0,)),
        ((torch.rand(12, 4) > 0.5).long(), Labels(4), (0, 1, 2, 3)),
        (torch.randint(0, 9, (12, 5)), Tokens(9), ()),
        (Y, Classes(), (0, 1, 2)),
    ],
)
def test_targets_of_any_kind(y: torch.Tensor, target: Any, outputs: tuple[int, ...]) -> None:
    own = Stream.from_datasets([((X, y), (X, y))] * 2, target=target)
    assert own.space.target == (3 if isinstance(target, Classes) else target)
    assert own.task(2).classes == outputs
    assert own.task(1).train.y.dtype == (torch.int64 if isinstance(target, (Tokens, Classes)) else torch.float32)


def test_numbers_in_the_scenario_task_have_outputs_of_their_own() -> None:
    own = Stream.from_datasets([((X, torch.rand(12, 2)),) * 2] * 3, target=Numbers(2), scenario="task")
    assert own.space.target == Numbers(6)
    assert [task.classes for task in own] == [(0, 1), (2, 3), (4, 5)]


def test_a_language_model_reads_tokens() -> None:
    text = torch.randint(0, 9, (12, 5))
    own = Stream.from_datasets([((text, text), (text, text))], target=Tokens(9))
    assert own.space.inputs == Field((5,), vocabulary=9)
    assert own.task(1).train.x.dtype == torch.int64
    assert Stream.from_datasets([((text, Y), (text, Y))]).task(1).train.x.dtype == torch.float32
    said = Stream.from_datasets([((text, Y), (text, Y))], inputs=Field((5,), vocabulary=11))
    assert said.space.vocabulary == 11
    assert said.task(1).train.x.dtype == torch.int64


def test_inputs_by_name() -> None:
    x = {"image": torch.full((12, 1, 2, 2), 51, dtype=torch.uint8), "text": torch.arange(24).view(12, 2)}
    own = Stream.from_datasets([((x, Y), ({**x, "text": x["text"] // 2}, Y))])
    assert own.space.inputs == {"image": Field((1, 2, 2)), "text": Field((2,), vocabulary=24)}
    train = own.task(1).train
    assert torch.allclose(train.x["image"], torch.tensor(0.2))
    assert train.x["text"].dtype == torch.int64
    assert len(own.task(1).test) == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": torch.zeros(11, 2)}, r"test part of task 1: expected one target per example, got tensors of shapes"),
        ({"text": torch.zeros(12, 3)}, r"task 1: expected inputs of one shape"),
        ({"more": torch.zeros(12, 3)}, r"task 1: expected inputs of one shape"),
        ({"image": torch.full((12, 2), torch.nan)}, r"test part of task 1: 12 of 12 inputs of 'image' hold NaN"),
        ({"image": "x"}, r"test part of task 1, x\['image'\]: expected a dense torch tensor .* got str"),
        ({"image": torch.zeros(12)}, r"x\['image'\]: expected x of shape \(N, …\), got \(12,\)"),
    ],
)
def test_faults_of_dicts_have_their_place(change: dict[str, Any], message: str) -> None:
    x = {"image": torch.zeros(12, 2), "text": torch.zeros(12, 2, dtype=torch.int64)}
    with pytest.raises(DataError, match=message):
        Stream.from_datasets([((x, Y), ({**x, **change}, Y))])


def test_tasks_of_different_kinds_say_so_each() -> None:
    text = torch.randint(0, 7, (12, 4))
    pairs = [((X, Y), (X, Y)), ((text, torch.rand(12, 2)),) * 2]
    with pytest.raises(DataError, match=r"task 2: expected one label per example|labels must be whole"):
        Stream.from_datasets(pairs)
    mixed = Stream.from_datasets(pairs, inputs=[Field((3,)), Field((4,), 7)], target=[Classes(), Numbers(2)])
    first, second = Space((3,), 3, "domain"), Space(Field((4,), 7), Numbers(2), "domain")
    assert mixed.space == Space(None, None, "domain", kinds=(first, second))
    twice = mixed.map(lambda x: torch.cat([x, x], 1))
    assert [kind.inputs for kind in twice.space.kinds] == [(6,), Field((8,), 7)]
    assert [task.space for task in twice] == list(twice.space.kinds)
    assert mixed.task(1).space == Space((3,), 3, "domain")
    assert mixed.task(2).space == Space(Field((4,), 7), Numbers(2), "domain")
    assert [task.classes for task in mixed] == [(0, 1, 2), (0, 1)]
    with pytest.raises(SettingError, match="expected target for 2 tasks, got 1"):
        Stream.from_datasets(pairs, target=[Classes()])
    with pytest.raises(DataError, match=r"one shape, got \(3,\), \(4,\); .* inputs=\[Field"):
        Stream.from_datasets([pairs[0], ((text, Y), (text, Y))])


def test_tasks_may_share_classes_where_it_is_said() -> None:
    pairs = [((X, Y), (X, Y)), ((X, Y + 2), (X, Y + 2))]
    with pytest.raises(DataError, match=r"class 2 is in 'task 1' and in 'task 2'.*overlap=True"):
        Stream.from_datasets(pairs, scenario="task")
    shared = Stream.from_datasets(pairs, scenario="class", overlap=True)
    assert ([task.classes for task in shared], shared.space.classes) == ([(0, 1, 2), (2, 3, 4)], 5)
    apart = Stream.from_datasets(pairs, scenario="task", overlap=True)
    assert ([task.classes for task in apart], apart.space.classes) == ([(0, 1, 2), (3, 4, 5)], 6)
    assert apart.task(2).train.y.tolist() == (Y + 3).tolist()


@pytest.mark.parametrize("kind", ["array", "tensor", "memmap"])
def test_values_that_float32_would_merge_are_refused(kind: str, tmp_path: Path) -> None:
    far = np.stack([np.arange(12.0), 1.7e9 + np.arange(12.0)], 1)
    if kind == "memmap":
        np.save(tmp_path / "x.npy", far)
        far = np.load(tmp_path / "x.npy", mmap_mode="r")
    x = torch.from_numpy(far) if kind == "tensor" else far
    with pytest.raises(DataError, match=r"training part of task 1: x\[:, 1\] goes from 1700000000.0 to 1700000011.0"):
        Stream.from_datasets([((x, Y), (x, Y))])
    exact = torch.tensor([[2**30], [2**30 + 256]] * 6)
    assert len(Stream.from_datasets([((exact, Y), (exact, Y))]).task(1).train.x.unique()) == 2


def test_nothing_is_held_out_unless_asked_and_the_stream_tells_its_sizes() -> None:
    own = Stream.from_datasets([((X, Y), (X, Y))])
    assert own.task(1).validation is None
    assert repr(own).splitlines()[1] == "  1 task 1: train 12, validation 0, test 12"
    held = split_by_class((X, Y), (X, Y), classes_per_task=3, validation=0.25)
    assert "train 9, validation 3, test 12" in repr(held)
    assert "<td>9</td><td>3</td><td>12</td>" in held._repr_html_()
    many = stream("permuted-digits", tasks=40)
    assert repr(many).endswith("… 28 more")
    assert "28 more" in many._repr_html_()
    named = Stream.from_datasets([((X, Y), (X, Y))], names=["<b>"])
    assert "<td>&lt;b&gt;</td>" in named._repr_html_()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_folder_is_read_by_batch_with_the_bits_of_memory(tmp_path: Path, workers: int) -> None:
    for number in range(12):
        place = tmp_path / ["cat", "dog"][number % 2]
        place.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (6, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02}.png")
    settings: dict[str, Any] = {"classes_per_task": 1, "size": (4, 4), "validation": 0.2}
    whole = from_folder(tmp_path, lazy=False, **settings)
    lazy = from_folder(tmp_path, lazy=True, workers=workers, **settings)
    assert whole.space == lazy.space
    assert whole.class_names == lazy.class_names == ("cat", "dog")
    for one, two in zip(whole, lazy, strict=True):
        order = torch.randperm(one.size)
        batches = [Examples.cat(list(task.split("train").batches(order, 2))) for task in (one, two)]
        assert torch.equal(batches[0].x, batches[1].x)
        assert torch.equal(batches[0].y, batches[1].y)
    (tmp_path / "dog" / "03.png").write_bytes(b"no image")
    damaged = from_folder(tmp_path, lazy=True, workers=workers, test=0.2, scenario="class", size=(4, 4))
    whole_set = Concat([damaged.task(1).split("train"), damaged.task(1).split("test")])
    with pytest.raises(DataError, match=r"03.png cannot be read as an image"):
        list(whole_set.batches(torch.arange(12), 2))


def test_named_streams_know_what_people_call_their_classes() -> None:
    assert stream("rotated-digits", tasks=2).class_names == tuple("0123456789")
    assert stream("split-digits", scenario="domain").class_names == ()
    assert stream("split-digits", scenario="domain").task(2).class_names == ("2", "3")
    assert len(stream("babi", tasks=1, questions=20).class_names) > 10
    lazy = Lazy(Counting())
    assert Stream.from_datasets([(lazy, lazy)]).class_names == ()
    lazy.dataset.classes = ["ant", "bee", "cat"]
    assert Stream.from_datasets([(lazy, lazy)]).class_names == ("ant", "bee", "cat")
    assert split_by_class(lazy, lazy, classes_per_task=3, order=[2, 0, 1]).task(1).class_names == ("cat", "ant", "bee")


class Ragged(Counting):
    """Row 7 has another shape than row 0."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return torch.zeros(2 if index == 7 else 1), index % 3


def test_a_row_of_another_shape_is_refused_alone_in_its_batch_too() -> None:
    part = Stream.from_datasets([(Ragged(), Ragged())]).task(1).split("train")
    with pytest.raises(DataError, match=r"training part of task 1: expected inputs of shape \(1,\), got \(2,\)"):
        part.at(torch.tensor([7]))


def test_classes_of_tasks_that_differ_are_each_tasks_own() -> None:
    pairs = [((X, Y), (X, Y)), ((X[:, :2], Y % 2), (X[:, :2], Y % 2))]
    mixed = Stream.from_datasets(pairs, inputs=[Field((3,)), Field((2,))])
    assert [task.classes for task in mixed] == [(0, 1, 2), (0, 1)]
    assert [task.space.target for task in mixed if task.space is not None] == [3, 2]


def test_test_splits_are_cached_within_their_limit() -> None:
    own = Stream.from_datasets([((X, Y), (X, Y))] * 3).map(lambda x: x + 1)
    size = own.task(1).test.nbytes
    cached = cache_test_splits(own, limit=2 * size)
    assert [task.test.x is task.test.x for task in cached] == [True, True, False]
    lazy = cache_test_splits(Stream.from_datasets([(Counting(), Counting())]))
    assert lazy.task(1).split("test") is not lazy.task(1).split("test")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("method", ["finetune", "er"])
def test_a_learner_learns_the_same_bits_from_disk(method: str, workers: int, tmp_path: Path) -> None:
    digits = stream("split-digits", tasks=2)
    parts = [(task.train, task.test) for task in digits]
    disk = []
    for number, pair in enumerate(parts):
        for part, examples in zip(("train", "test"), pair, strict=True):
            np.save(tmp_path / f"{number}{part}.npy", examples.x.numpy())
        x, z = (np.load(tmp_path / f"{number}{part}.npy", mmap_mode="r") for part in ("train", "test"))
        disk.append((Lazy((x, pair[0].y), workers=workers), Lazy((z, pair[1].y))))
    weights = []
    for datasets in ([((a.x, a.y), (b.x, b.y)) for a, b in parts], disk):
        own = Stream.from_datasets(datasets, scenario="class", validation=0.1)
        learner = Learner("mlp:16", build(method), own.space, epochs=2)
        for task in own:
            learner.learn(task)
        weights.append((learner.flat.theta_P.clone(), learner.evaluate(own)))
    assert torch.equal(weights[0][0], weights[1][0])
    assert weights[0][1] == weights[1][1]
