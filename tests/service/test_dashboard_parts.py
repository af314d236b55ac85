"""What the dashboard is made of: the stream of changes, progress in words, drawings, curves and the heat map."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from waiting import joined

from lifelong.errors import DataError
from lifelong.loop.schema import InputSchema
from lifelong.service import dashboard
from lifelong.service.dashboard.curves import curve, interval
from lifelong.service.dashboard.facts import facts
from lifelong.service.dashboard.heat import LEVELS
from lifelong.service.dashboard.live import Stamps, changes
from lifelong.service.dashboard.picture import SIDE, Manner, frame, manner_of, picture, scanned
from lifelong.service.dashboard.views import running
from lifelong.service.home import open_home
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.store import tasks

from .marking import AT, HOSTILE, SCHEMA, Board, marks


def test_the_stream_tells_of_changes(board: Board) -> None:
    board.log_in()
    stamp = re.search(r'data-stamp="(\w+)"', board.client.get(AT).text)
    assert stamp is not None
    with board.client.stream("GET", f"{AT}/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = (line for line in stream.iter_lines() if line.startswith("data: "))
        assert next(told) == f"data: {stamp[1]}", "the page knows this already"
        with httpx.Client(base_url=board.url, headers={"Authorization": f"Bearer {board.secret}"}) as api:
            api.post("/v1/projects/marks/feedback", json={"label": 1, "x": marks(1, 9)[0][0].tolist()})
        assert next(told) != f"data: {stamp[1]}"


def test_the_stream_ends_with_the_server(first_marks: Path, tmp_path: Path) -> None:
    home, settings = shutil.copytree(first_marks, tmp_path / "home"), ServeSettings(keys=False)
    with httpx.Client(timeout=10) as client, open_home(home, settings, start_worker=False) as opened:
        with serving(opened.app, settings) as url:
            stream = client.send(client.build_request("GET", f"{url}{AT}/live"), stream=True)
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event")) == "event: changed"
            began = time.monotonic()
        assert time.monotonic() - began < 5, "it did not wait for the page to go"
        list(lines)
        stream.close()


def test_a_stream_whose_page_goes_is_let_go(first_marks: Path, tmp_path: Path) -> None:
    home, settings = shutil.copytree(first_marks, tmp_path / "home"), ServeSettings(keys=False, connections=4)
    with open_home(home, settings, start_worker=False) as opened, serving(opened.app, settings) as url:
        for _ in range(8):  # twice as many as may be open at once
            with httpx.Client(timeout=10) as client, client.stream("GET", f"{url}{AT}/live") as stream:
                assert stream.status_code == 200
                assert next(stream.iter_lines()).startswith("retry")
            for _ in range(100):
                if httpx.get(f"{url}/ping").status_code == 200:
                    break
                time.sleep(0.02)


def test_a_quiet_stream_says_that_it_is_there() -> None:
    async def told() -> list[bytes]:
        ending = asyncio.Event()

        async def look() -> str:
            return "same"

        stream = changes(look, ending, seconds=0.001)
        found = [await anext(stream) for _ in range(2)]
        asyncio.get_running_loop().call_later(0.05, ending.set)
        return [*found, *[piece async for piece in stream]]

    found = asyncio.run(told())
    assert found[1] == b"event: changed\ndata: same\n\n"
    assert set(found[2:]) <= {b": waiting\n\n"}


def test_many_pages_ask_the_store_once() -> None:
    asked: list[str] = []

    async def look(project: str) -> str:
        asked.append(project)
        await asyncio.sleep(0.01)
        return str(len(asked))

    async def told() -> list[str]:
        stamps = Stamps(look, seconds=60)
        return await asyncio.gather(*(stamps.of("a") for _ in range(20)), stamps.of("b"))

    assert set(asyncio.run(told())) == {"1", "2"}
    assert asked == ["a", "b"]


def test_progress_in_words(board: Board) -> None:
    board.second()
    row = facts(board.engine, "marks").active
    assert row is not None
    told = {}
    for name, state, progress in (
        ("queued", "queued", None),
        ("starting", "training", {"stage": "starting"}),
        ("begins", "training", {"stage": "learning", "step": 0}),
        ("half", "training", {"stage": "learning", "step": 500, "steps": 1000, "loss": 0.5}),
        ("exams", "training", {"stage": "exams", "of": 3}),
    ):
        view = running(type(row)(**{**{f: getattr(row, f) for f in row.__struct_fields__},
                                    "state": state, "progress": progress}))  # fmt: skip
        told[name] = (view["share"], view["told"])
    assert told == {
        "queued": (None, "waits for a worker"),
        "starting": (None, "starting"),
        "begins": (0.0, "begins to learn"),
        "half": (0.5, "learns, step 500 of 1,000, loss 0.5"),
        "exams": (1.0, "sits 3 exams"),
    }


def test_labels_count_as_learned_when_the_champion_learned_them(board: Board) -> None:
    board.log_in()
    rejected = board.second("rejected", by="gate")
    lot = {"train": ["a", "b", "c"], "exam": ["d"], "spare": [], "cursor": 4, "sha256": ""}
    task = tasks.Task("marks", 2, "lot 2", [0, 1], lot, "", "", 5.0)
    board.engine.write(lambda connection: tasks.add(connection, task))
    assert facts(board.engine, "marks").labels_learned == 0
    assert ">0 learned so far" in board.client.get(AT).text.replace(" · ", ">")
    assert board.send(f"{AT}/versions/2/promote", reason="good", revision="1").status_code == 303
    assert board.champion() == rejected
    assert facts(board.engine, "marks").labels_learned == 3


def test_drawings_look_like_what_the_model_knows() -> None:
    x = np.zeros((40, 1, 28, 28), dtype=np.float32)
    x[:, :, 4:24, 10:18] = 1
    schema = InputSchema((1, 28, 28), 0, 1)
    light = manner_of(x, schema)
    dark = manner_of(1 - x, schema)
    assert (light.empty, light.full, round(light.extent, 3)) == (0, 1, 0.714)
    assert (dark.empty, dark.full, round(dark.extent, 3)) == (1, 0, 0.714)
    byte = manner_of(255 * x, InputSchema((28, 28), dtype="uint8"))
    assert (byte.empty, byte.full) == (0, 255)
    assert manner_of(4 * x - 2, InputSchema((28, 28))) == Manner(-2, 2, light.extent), "no range: that of the images"
    assert manner_of(x[:0], schema) == Manner(0, 1)
    ink = np.zeros((SIDE, SIDE), dtype=np.uint8)
    ink[3:43, 3:13] = 255
    drawn = scanned(ink.tobytes(), schema, light)
    rows, columns = np.flatnonzero(drawn[0].max(1) > 0.6), np.flatnonzero(drawn[0].max(0) > 0.6)
    assert (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1) == (20, 4), (
        "the proportions stay: 5 wide, half on each side"
    )
    centre = [float((places * drawn[0]).sum() / drawn.sum()) for places in np.mgrid[:28, :28]]
    assert centre == pytest.approx([13.5, 13.5], abs=0.05)
    assert schema.check(scanned(ink.tobytes(), schema, dark)).shape == (1, 28, 28)
    assert np.allclose(scanned(ink.tobytes(), schema, dark), 1 - drawn)
    whole = scanned(ink.tobytes(), InputSchema((28, 28), dtype="uint8"), byte)
    assert np.array_equal(whole, np.round(whole))
    ink[:] = 255
    full = scanned(ink.tobytes(), SCHEMA, Manner(0, 1, 1.0))
    assert np.allclose(full, 1), "nothing is lost between the lines"
    assert frame(InputSchema((3, 32, 32))) is None
    assert frame(InputSchema((1, 224, 224))) is None
    assert picture([1, 2, 3], InputSchema((3,)), "x") is None
    with pytest.raises(DataError, match="empty"):
        scanned(bytes(SIDE * SIDE), schema, light)


def test_svg_escapes_what_it_tells() -> None:
    told = curve(HOSTILE, [(1, 0.9)], {1}, champion=1, last=1) + interval(HOSTILE, -0.1, 0.0, 0.1, -0.05)
    shown = picture(np.zeros((8, 8)), SCHEMA, HOSTILE)
    assert "<script>" not in f"{told}{shown}"
    assert f"{told}{shown}".count("&lt;script&gt;") == 3


def test_the_heat_map_can_be_read() -> None:
    css = (Path(dashboard.__file__).parent / "static" / "dashboard.css").read_text()
    found = re.findall(r"\.heat-(\d+) \{ background: #(\w{6}); color: #(fff|000); \}", css)
    assert [int(number) for number, _, _ in found] == list(range(LEVELS + 1))

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lights = [light(colour) for _, colour, _ in found]
    assert lights == sorted(lights), "more is lighter, in grey too"
    for own, (_, _, ink) in zip(lights, found, strict=True):
        high, low = sorted([own, light(ink * 2)], reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_logging_in_from_many_threads_keeps_one_book(board: Board) -> None:
    failures: list[int] = []

    def enter() -> None:
        with httpx.Client(base_url=board.url, timeout=10) as client:
            client.post("/login", data={"key": board.secret})
            failures.extend([] if client.get(AT).status_code == 200 else [1])

    threads = [threading.Thread(target=enter, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    joined(threads)
    assert failures == []
