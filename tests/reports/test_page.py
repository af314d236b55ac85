"""The page is complete, self-contained and escaped; its files are whole or not there."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lifelong.errors import DataError, StorageError
from lifelong.evaluation import Cost, Record
from lifelong.reports import write_report
from lifelong.reports.page import file_names

PNG = b"\x89PNG\r\n\x1a\n"
EVIL = "<b>&er"
FACTS = {"stream": "<script>alert(1)</script>", "command": "lifelong run --methods 'ewc,er'"}


def run(method: str, seed: int, level: float) -> Record:
    R = np.array([[0.1, 0.1], [0.9, 0.2], [level, 0.8]])
    return Record(method, {"strength": 0.5}, seed, R, Cost(2.0 + seed, 1.0, 1500, 89610))


class Page(HTMLParser):
    """The elements of a page with their attributes, and the rows of its tables as text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.rows[-1][-1] += data.strip()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    records = [run("finetune", 0, 0.3), run("finetune", 1, 0.3), run("ewc+er", 0, 0.4), run("ewc+er", 1, 0.6)]
    folder = tmp_path_factory.mktemp("reports") / "new" / "folder"
    return write_report(folder / "first.html", f"A & {EVIL}", FACTS, [*records, run(EVIL, 0, 0.5)])


@pytest.fixture(scope="module")
def text(written: list[Path]) -> str:
    return written[0].read_text("utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_and_its_pictures_are_written_and_nothing_else(written: list[Path]) -> None:
    names = ["curves", "heat-b-er", "heat-ewc-er", "heat-finetune", "mean", "transfer"]
    assert sorted(path.name for path in written) == sorted(["first.html", *(f"first-{name}.png" for name in names)])
    assert sorted(written[0].parent.iterdir()) == sorted(written)
    assert written[0].name == "first.html"
    assert all(path.read_bytes().startswith(PNG) for path in written[1:])


def test_the_page_holds_the_same_pictures(page: Page, written: list[Path]) -> None:
    head = "data:image/png;base64,"
    sources = [image["src"] or "" for image in page.all("img")]
    assert all(source.startswith(head) for source in sources)
    pictures = [b64decode(source.removeprefix(head), validate=True) for source in sources]
    assert sorted(pictures) == sorted(path.read_bytes() for path in written[1:])


def test_every_score_and_cost_is_there(page: Page) -> None:
    rows = [row for row in page.rows if row[0] == "ewc+er"]
    # ACC 60 and 70 %, finetune 55 %; BWT −50 and −30; half-width of two values 10 apart: 12.706 · 5 = 63.5
    assert rows[0] == ["ewc+er", "65.0 ± 63.5", "−40.0 ± 127", "10.0 ± 0.0", "40.0 ± 127", "85.0 ± 0.0", "–", "2"]
    assert rows[1][:3] == ["ewc+er", "+10.0 ± 63.5", "0, 1"]
    assert rows[2] == ["ewc+er", "2.5 s ± 6.4 s", "1.0 s ± 0.0 s", "1.5 kB ± 0 B", "89,610", "–", "strength=0.5"]


def test_what_comes_from_outside_is_escaped(page: Page, text: str) -> None:
    assert not page.all("script")
    assert not page.all("b")
    assert "A &amp; &lt;b&gt;&amp;er" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert [row[1] for row in page.rows if row[0] == EVIL] == ["65.0", "+10.0", "2.0 s"]


def test_nothing_is_loaded_from_elsewhere(page: Page, text: str) -> None:
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text)
    assert not {tag for tag, _ in page.elements} & {"link", "script", "iframe", "object", "embed"}
    assert [link["href"] for link in page.all("a")] == ["#meaning"]


def test_the_page_can_be_read_without_eyes(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in page.all("img"))
    assert all(header.get("scope") in ("row", "col") for header in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) == 3


def test_a_page_in_chinese_has_the_same_numbers_and_no_english_words(tmp_path: Path, page: Page) -> None:
    records = [run("finetune", 0, 0.3), run("finetune", 1, 0.3), run("ewc+er", 0, 0.4), run("ewc+er", 1, 0.6)]
    facts = {"stream": "rotated-digits", "seeds": "0, 1"}
    text = write_report(tmp_path, "报告", facts, [*records, run(EVIL, 0, 0.5)], "zh")[0].read_text("utf-8")
    chinese = Page(text)
    assert chinese.all("html") == [{"lang": "zh-CN"}]
    assert [row for row in chinese.rows if row[0] == "ewc+er"] == [row for row in page.rows if row[0] == "ewc+er"]
    assert "<dt>数据流</dt><dd>rotated-digits</dd>" in text
    body = re.sub(r"<style>.*?</style>|<[^>]*>|&[a-z#0-9]+;", " ", text, flags=re.DOTALL)
    words = set(re.findall("[a-z]{3,}", body))
    assert words <= {"finetune", "ewc", "rotated", "digits", "strength", "max"}
    alts = [image["alt"] or "" for image in chinese.all("img")]
    assert all(re.search("[一-鿿]", alt) for alt in alts)


def test_the_command_is_shown_once_as_text(text: str) -> None:
    assert text.count("lifelong run --methods &#39;ewc,er&#39;") == 1
    assert "How to run this again" in text


def test_one_run_of_one_task_into_a_folder(tmp_path: Path) -> None:
    record = Record("er", {}, 0, np.array([[0.0], [1.0]]), Cost(0.0, 0.0, 0, 0))
    paths = write_report(tmp_path, "one", {}, [record])
    page = Page(paths[0].read_text("utf-8"))
    assert paths[0] == tmp_path / "report.html"
    assert page.rows[1] == ["er", "100.0", "–", "–", "–", "100.0", "–", "1"]
    assert "How to run this again" not in paths[0].read_text("utf-8")
    assert "Paired differences" not in paths[0].read_text("utf-8")


def test_a_place_that_cannot_be_written_is_named_and_left_alone(tmp_path: Path) -> None:
    blocked = tmp_path / "taken"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=r"cannot write .*taken.*choose another place"):
        write_report(blocked / "report.html", "x", {}, [run("er", 0, 0.5)])
    assert list(tmp_path.iterdir()) == [blocked]
    assert blocked.read_text() == "a file where the folder should be"


def test_a_page_that_cannot_be_replaced_leaves_no_temporary_files(tmp_path: Path) -> None:
    (tmp_path / "report.html" / "inside").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot write .*report\.html"):
        write_report(tmp_path / "report.html", "x", {}, [run("er", 0, 0.5)])
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def test_no_runs_no_report(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one finished run"):
        write_report(tmp_path, "x", {}, [])
    assert not list(tmp_path.iterdir())


def test_file_names_are_safe_and_different() -> None:
    methods = ["ewc+er", "ewc/er", "EWC ER", "../..", "", "naïve", "x" * 300, "er\n"]
    names = file_names(methods)
    assert list(names) == methods
    assert len(set(names.values())) == len(methods)
    assert all(re.fullmatch("[a-z0-9][a-z0-9-]{0,63}", name) for name in names.values())


def test_without_the_extra_the_terminal_works_and_the_page_says_what_to_install() -> None:
    code = """
import sys
sys.modules["matplotlib"] = sys.modules["jinja2"] = None
from lifelong.errors import SettingError
from lifelong.reports import summary_table
for name in ("write_report", "heat_map"):
    try:
        exec(f"from lifelong.reports import {name}")
    except SettingError as error:
        assert str(error) == "reports need matplotlib and jinja2: pip install 'lifelong[report]'", error
    else:
        raise AssertionError(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_importing_reports_loads_no_drawing() -> None:
    code = "import sys, lifelong.reports, lifelong.reports.terminal; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
