"""Streams of one's own tables: tasks by a column, standardised by task 1, every fault with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lifelong.errors import DataError, SettingError
from lifelong.streams import from_csv


def table(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode("utf-8"))
    return path


def rows(count: int, tail: Callable[[int], str]) -> str:
    return "".join(f"{i},{i % 7}.5,{tail(i)}\n" for i in range(count))


def test_csv_tasks_by_column_in_order_of_appearance(tmp_path: Path) -> None:
    text = "\ufeffn, b,kind,town\n" + rows(60, lambda i: f"{['no', 'yes'][i % 2]},{'zab'[i // 20]}")
    stream = from_csv(table(tmp_path, text), label="kind", task="town", standardize=False, validation=0.25, test=0.2)
    assert [task.name for task in stream] == ["z", "a", "b"]
    assert (stream.scenario, stream.space.classes, stream.space.input_shape) == ("domain", 2, (2,))
    for task in stream:
        parts = [part for part in (task.train, task.validation, task.test) if part is not None]
        assert [len(part) for part in parts] == [12, 4, 4]
        assert task.test.y.tolist().count(0) == 2
        found = sorted(int(n) for part in parts for n in part.x[:, 0])
        assert found == list(range(20 * task.number - 20, 20 * task.number))
        assert all(int(n) % 2 == y for part in parts for n, y in zip(part.x[:, 0], part.y.tolist(), strict=True))


def test_csv_is_standardised_by_the_training_part_of_task_1_only(tmp_path: Path) -> None:
    text = "a,b,c,y\n" + "".join(f"{i * i},{3e9 + i},{0.1 + i // 20},{i // 20}\n" for i in range(60))
    path, settings_ = table(tmp_path, text), {"label": "y", "classes_per_task": 1, "scenario": "class"}
    stream = from_csv(path, **settings_)  # type: ignore[arg-type]
    short = table(tmp_path, "a,y\n" + "".join(f"{i * i},{i // 20}\n" for i in range(60)))
    raw = from_csv(short, standardize=False, **settings_)  # type: ignore[arg-type]
    first = raw.task(1).train.x.double()
    for task, plain in zip(stream, raw, strict=True):
        a = (plain.test.x[:, 0] - first[:, 0].mean()) / first[:, 0].std(correction=0)
        assert torch.allclose(task.test.x[:, 0], a.float(), atol=1e-5)
        assert torch.allclose(task.test.x[:, 2], torch.tensor(float(task.number - 1)), atol=1e-6)  # constant in task 1
    assert stream.task(1).train.x.mean(0)[0].abs() < 1e-6
    assert torch.allclose(stream.task(1).train.x[:, 0].std(correction=0), torch.tensor(1.0))


def test_csv_labels_sort_by_value_and_quoted_cells_span_lines(tmp_path: Path) -> None:
    text = 'y,"long\nname"\n' + "".join(f'"{y}",{y}\n\n' for y in (10, 9, 10, 9))
    (task,) = from_csv(table(tmp_path, text), label="y", standardize=False, test=0.5, validation=0)
    assert task.name == "classes 9, 10"
    assert {int(x): y for x, y in zip(task.train.x[:, 0], task.train.y.tolist(), strict=True)} == {9: 0, 10: 1}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty: expected a header row"),
        ("a,kind\n", "has no rows"),
        ("kind\nx\n", "no feature columns"),
        ("a,kinds\n1,x\n", "no column 'kind'; did you mean 'kinds'. its columns: a, kinds"),
        ("a,kind,kind\n1,x,y\n", "2 columns 'kind'"),
        ("a,kind\n1,x\n\ntwo,y\n", "line 4, column 'a': expected a finite number, got 'two'"),
        ('"a\nb",kind\n1,x\nnan,y\n', r"line 4, column 'a\\nb': expected a finite number, got 'nan'"),
        ("a,kind\n,x\n", "line 2, column 'a': .* got ''"),
        ("a,kind\n1e99,x\n", "got '1e99'"),
        ("a,kind\n1, \n", "line 2, column 'kind': expected a name or number, got nothing"),
        ("a,kind\n1,x\n1,x,2\n", "line 3: expected 2 cells, got 3"),
        ('a,kind\n1,"x\n', "cannot be read"),
        ("a,kind\n1,x\n", "test part has no example of class x"),
    ],
)
def test_csv_faults_name_line_and_column(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        from_csv(table(tmp_path, text), label="kind")


def test_csv_files_and_settings_are_checked(tmp_path: Path) -> None:
    path = table(tmp_path, "a,kind,town\n" + "1,x,z\n1,y,z\n" * 4)
    with pytest.raises(DataError, match=r"none\.csv cannot be read"):
        from_csv(tmp_path / "none.csv", label="kind")
    with pytest.raises(SettingError, match="not both"):
        from_csv(path, label="kind", task="town", classes_per_task=1)
    with pytest.raises(SettingError, match="two columns"):
        from_csv(path, label="kind", task="kind")
    with pytest.raises(SettingError, match="test must be"):
        from_csv(path, label="kind", task="town", test=1.0)
    path.write_bytes(b"a,kind\n1,\xff\n")
    with pytest.raises(DataError, match="UTF-8"):
        from_csv(path, label="kind")


FAR = {
    "seconds since 1970": [1_700_000_000 + i for i in range(100)],
    "milliseconds": [1_700_000_000_000 + 1000 * i for i in range(100)],
    "ids from 2^24": [2**24 + i for i in range(100)],
    "one and a little": [1 + 1e-9 * i for i in range(100)],
    "a few and far": [3e30 + 1e22 * i for i in range(100)],
}


@pytest.mark.parametrize("by", ["label", "column"])
@pytest.mark.parametrize("name", FAR)
def test_a_csv_column_far_from_0_keeps_every_value(tmp_path: Path, name: str, by: str) -> None:
    """float32 has 24 bits: the column is centred in float64 first, and equals the same column without its offset."""
    settings_ = {"task": "t"} if by == "column" else {}
    streams = []
    for values in (FAR[name], list(range(100))):
        text = "n,t,y\n" + "".join(f"{value!r},{i % 2 if by == 'column' else 0},{i % 4 // 2}\n"
                                   for i, value in enumerate(values))  # fmt: skip
        streams.append(from_csv(table(tmp_path, text), label="y", **settings_))  # type: ignore[arg-type]
    far, near = streams
    for task, plain in zip(far, near, strict=True):
        assert len(task.train.x[:, 0].unique()) == len(plain.train.x[:, 0].unique()) > 30
        assert torch.allclose(task.train.x[:, 0], plain.train.x[:, 0], atol=1e-6)
        assert task.train.x.dtype == torch.float32


@pytest.mark.parametrize("name", FAR)
def test_a_csv_column_that_float32_cannot_hold_is_refused_where_it_is_not_standardised(
    tmp_path: Path, name: str
) -> None:
    text = "n,y\n" + "".join(f"{value!r},{i % 2}\n" for i, value in enumerate(FAR[name]))
    with pytest.raises(DataError, match=r"column 'n' goes from .* cannot tell its values apart; use standardize=True"):
        from_csv(table(tmp_path, text), label="y", standardize=False)


def test_csv_constants_large_and_small_become_0(tmp_path: Path) -> None:
    text = "a,b,n,y\n" + "".join(f"1.7e12,0.1,{i},{i % 2}\n" for i in range(30))
    (task,) = from_csv(table(tmp_path, text), label="y")
    assert task.train.x[:, :2].abs().max() == 0


def test_csv_whole_numbers_that_float64_would_merge_are_refused(tmp_path: Path) -> None:
    text = "id,y\n" + "".join(f"{2**60 + i},{i % 2}\n" for i in range(20))
    with pytest.raises(DataError, match=r"column 'id': numbers beyond 2\^53 that differ would become equal"):
        from_csv(table(tmp_path, text), label="y")
    text = "id,y\n" + "".join(f"{2**60 + 2**20 * i},{i % 2}\n" for i in range(20))
    assert len(from_csv(table(tmp_path, text), label="y").task(1).train.x.unique()) == 16


def test_csv_dates_are_named_as_dates(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2, column 'day': .* got '2024-05-01'; turn dates into numbers"):
        from_csv(table(tmp_path, "day,y\n2024-05-01,a\n"), label="y")


def test_csv_labels_name_the_classes(tmp_path: Path) -> None:
    text = "n,t,y\n" + "".join(f"{i},{i // 20},{'ab'[i % 2]}\n" for i in range(40))
    assert from_csv(table(tmp_path, text), label="y").class_names == ("a", "b")
    assert from_csv(table(tmp_path, text), label="y", task="t").class_names == ("a", "b")
