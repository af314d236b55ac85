"""The named streams: what each transformation does to the data, and that no part leaks into another."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from lifelong.errors import DataError, SettingError
from lifelong.streams import NAMES, Stream, settings_for, stream
from lifelong.streams.catalogue import sentence
from lifelong.streams.sources import FILES, load, read_idx
from lifelong.streams.transforms import rotate
from lifelong.types import Scenario

DIGITS = [name for name in NAMES if name.endswith("-digits")]


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("scenario", ["task", "domain", "class"])
def test_every_stream_keeps_its_promises(name: str, scenario: str) -> None:
    """By registration alone: parts of equal kind, labels in the task's classes, the same at every call."""
    one, two = stream(name, scenario=scenario), stream(name, scenario=scenario)
    assert len(sentence(name)) > 20
    seen: set[int] = set()
    for task, twin in zip(one, two, strict=True):
        assert task.validation is not None
        for part, again in ((task.train, twin.train), (task.validation, twin.validation), (task.test, twin.test)):
            part.check(task.name)
            assert tuple(part.x.shape[1:]) == one.space.input_shape
            assert set(part.y.tolist()) <= set(task.classes)
            assert torch.equal(part.x, again.x)
            assert torch.equal(part.y, again.y)
            assert 0 <= float(part.x.min()) <= float(part.x.max()) <= 1
        assert len(task.validation) == pytest.approx(len(task.train) / 9, abs=2)
        if scenario != "domain":
            assert not seen & set(task.classes), "tasks have their own classes"
        seen |= set(task.classes)
    assert seen == set(range(one.space.classes or 0))


@pytest.mark.parametrize("name", DIGITS)
def test_no_example_is_in_two_parts(name: str) -> None:
    plain = load("digits")
    rows = {tuple(x.flatten().tolist()) for x in plain.train_x}
    assert not rows & {tuple(x.flatten().tolist()) for x in plain.test_x}
    task = stream(name, **({"noise": 0.0} if name.startswith("noisy") else {})).task(1)
    assert task.validation is not None
    train, held = ({tuple(x.flatten().tolist()) for x in part.x} for part in (task.train, task.validation))
    assert not train & held


def test_digits_are_real_and_balanced() -> None:
    source = load("digits")
    assert len(source.train_y) + len(source.test_y) == 1797
    counts = source.test_y.bincount()
    assert int(counts.max()) - int(counts.min()) <= 2


def test_a_permutation_is_one_order_of_the_pixels_for_all_parts() -> None:
    plain, permuted = load("digits"), stream("permuted-digits", tasks=2, seed=3, first_plain=True)
    assert torch.equal(permuted.task(1).test.x, plain.test_x)
    after = permuted.task(2).test.x.flatten(1)
    assert not torch.equal(after, plain.test_x.flatten(1))
    assert torch.equal(after.sort(1).values, plain.test_x.flatten(1).sort(1).values)
    probe = torch.arange(64.0).view(1, 1, 8, 8)
    other = stream("permuted-digits", tasks=2, seed=4, first_plain=True)
    assert not torch.equal(other.task(2).test.x, permuted.task(2).test.x)
    assert len(probe.unique()) == 64


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90, 450])
def test_right_angles_move_pixels_exactly(degrees: int) -> None:
    x = torch.rand(3, 1, 7, 7)
    assert torch.equal(rotate(x, degrees), torch.from_numpy(np.rot90(x.numpy(), degrees // 90, axes=(2, 3)).copy()))


@pytest.mark.parametrize(("interpolation", "order"), [("bilinear", 1), ("nearest", 0)])
@pytest.mark.parametrize("degrees", [20, 45, 133.7])
def test_rotation_agrees_with_scipy(degrees: float, interpolation: str, order: int) -> None:
    image = ndimage.gaussian_filter(np.random.default_rng(0).random((15, 15)), 1.5).astype(np.float32)
    ours = rotate(torch.from_numpy(image)[None, None], degrees, interpolation)[0, 0].numpy()  # pyrefly: ignore
    theirs = ndimage.rotate(image, degrees, reshape=False, order=order, mode="grid-constant", cval=0.0)
    inside = np.hypot(*(np.indices((15, 15)) - 7)) < 6
    differing = np.abs(ours - theirs)[inside] > (1e-4 if order else 1e-3)
    assert differing.mean() <= (0 if order else 0.1), "nearest may break ties the other way"


def test_angles_are_listed_even_or_drawn() -> None:
    assert [task.name for task in stream("rotated-digits", tasks=3, angles=[0, 20, 40])] == ["0°", "20°", "40°"]
    assert [task.name for task in stream("rotated-digits", tasks=4)] == ["0°", "45°", "90°", "135°"]
    drawn = [task.name for task in stream("rotated-digits", tasks=3, drawn="all", seed=1)]
    assert drawn == [task.name for task in stream("rotated-digits", tasks=3, drawn="all", seed=1)]
    assert drawn != [task.name for task in stream("rotated-digits", tasks=3, drawn="all", seed=2)]


def test_noise_is_noise_then_clean() -> None:
    plain = load("digits")
    noisy = stream("noisy-digits", noise=0.4)
    assert torch.equal(noisy.task(2).test.x, plain.test_x)
    middle = (plain.test_x > 0.4) & (plain.test_x < 0.6)
    difference = (noisy.task(1).test.x - plain.test_x)[middle]
    assert float(difference.std()) == pytest.approx(0.35, abs=0.06)


def test_split_orders_and_scenarios() -> None:
    by_class = stream("split-digits")
    assert [task.classes for task in by_class] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    drawn = stream("split-digits", drawn=True, seed=1)
    assert [task.name for task in drawn] != [task.name for task in by_class]
    domain = stream("split-digits", scenario="domain")
    assert all(task.classes == (0, 1) for task in domain)
    assert domain.space.classes == 2
    assert len(stream("split-digits", tasks=2)) == 2


def test_a_stream_of_a_thousand_tasks_holds_nothing() -> None:
    long = stream("permuted-digits", tasks=1000)
    assert long.task(1000).test.x.shape == (len(load("digits").test_y), 1, 8, 8)
    assert long.task(7).train.x is not long.task(7).train.x


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("permuted-digit", {}, "did you mean 'permuted-digits'"),
        ("rotated-digits", {"angels": [1]}, "did you mean 'angles'"),
        ("rotated-digits", {"angles": [1.0, 2.0]}, "one per task"),
        ("permuted-digits", {"tasks": 0}, "1 or more"),
        ("permuted-digits", {"tasks": "few"}, "int"),
        ("permuted-digits", {"scenario": "online"}, "online"),
        ("split-digits", {"tasks": 6}, "at most 5 tasks"),
        ("noisy-digits", {"noise": -0.1}, "0 or more"),
        ("permuted-digits", {"validation": 1.5}, "fraction"),
    ],
)
def test_wrong_settings_are_named_with_their_mend(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        stream(name, **settings)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def test_idx_files_are_read_packed_or_not_and_damage_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    with pytest.raises(DataError, match=r"not found.*lifelong data fetch mnist"):
        load.__wrapped__("mnist", tmp_path)
    for part, stem in FILES.items():
        shape, high = ((20, 6, 6), 255) if part.endswith("x") else ((20,), 10)
        data = idx(rng.integers(0, high, shape, dtype=np.uint8))
        if part == "train_x":
            (folder / stem).write_bytes(data)
        else:
            (folder / f"{stem}.gz").write_bytes(gzip.compress(data))
    source = load.__wrapped__("mnist", tmp_path)
    assert source.shape == (1, 6, 6)
    assert torch.equal(source.train_x[:, 0] * 255, torch.from_numpy(read_idx(folder / FILES["train_x"])).float())
    damages = {
        "no IDX file": b"\x89PNG1234",
        "damaged": (folder / FILES["train_x"]).read_bytes()[:-1],
        "cut off": b"\x00\x00\x08\x03\x00",
    }
    for message, data in damages.items():
        (folder / FILES["train_x"]).write_bytes(data)
        with pytest.raises(DataError, match=message):
            load.__wrapped__("mnist", tmp_path)
    (folder / f"{FILES['test_y']}.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(folder / f"{FILES['test_y']}.gz")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_real_files_have_the_published_shape(name: str, mnist_folder: Path) -> None:
    source = load(name, mnist_folder)
    assert source.train_x.shape == (60000, 1, 28, 28)
    assert source.test_x.shape == (10000, 1, 28, 28)
    assert source.train_y.bincount().tolist() == (
        [6000] * 10 if name == "fashion-mnist" else [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    )


def test_the_embedded_sample_is_the_first_of_each_digit(mnist_folder: Path) -> None:
    sample, whole = load("mnist-4k"), load("mnist", mnist_folder)
    for x, y, all_x, all_y, count in (
        (sample.train_x, sample.train_y, whole.train_x, whole.train_y, 300),
        (sample.test_x, sample.test_y, whole.test_x, whole.test_y, 100),
    ):
        assert y.bincount().tolist() == [count] * 10
        for digit in range(10):
            assert torch.equal(x[y == digit], all_x[all_y == digit][:count])


def test_settings_may_be_text() -> None:
    assert settings_for("permuted-digits", {"first_plain": "true", "tasks": "7"}).tasks == 7


@pytest.mark.parametrize("scenario", ["task", "class"])
def test_a_class_in_two_tasks_is_refused(scenario: Scenario) -> None:
    x, y = torch.rand(6, 3), torch.arange(6) % 2
    with pytest.raises(DataError, match=r"class 1 is in 'task 1' and in 'task 2'"):
        Stream.from_datasets([((x, y), (x, y)), ((x, y + 1), (x, y + 1))], scenario=scenario)


def test_drawn_by_steps_angles_rise_each_within_its_own_step() -> None:
    angles = [float(task.name.rstrip("°")) for task in stream("rotated-digits", tasks=6, drawn="steps", seed=3)]
    assert all(30 * place <= angle < 30 * (place + 1) for place, angle in enumerate(angles))
    assert angles != [30.0 * place for place in range(6)]


@pytest.mark.parametrize("name", ["permuted-digits", "rotated-digits"])
def test_every_task_trains_on_its_own_draw_of_samples(name: str) -> None:
    few, full = stream(name, tasks=2, samples=50), stream(name, tasks=2)
    assert [len(task.train) for task in few] == [50, 50]
    assert not torch.equal(few.task(1).train.y, few.task(2).train.y)
    assert torch.equal(few.task(1).train.x, few.task(1).train.x)
    assert len(few.task(1).test) == len(full.task(1).test)
    rows = {tuple(row.tolist()) for row in full.task(1).train.x.flatten(1)}
    assert {tuple(row.tolist()) for row in few.task(1).train.x.flatten(1)} <= rows
