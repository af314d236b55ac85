"""The page of the chapter: whole in one file, in two languages, its pictures lettered without empty boxes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from lifelong.chapter.page import Section, write_chapter, write_pictures
from lifelong.chapter.shown import Grid, Moving, Picture, Shown
from lifelong.errors import SettingError, StorageError
from lifelong.reports import bilingual
from lifelong.reports.bilingual import Language, Text, lettering, readable
from lifelong.reports.canvas import blank

CAPTION = Text("accuracy <on> task", "任务的正确率")


def labelled(language: Language) -> Figure:
    figure = blank(3, 2)
    figure.subplots().set_title(CAPTION.of(language))
    return figure


def section() -> Section:
    grid = Grid(CAPTION, [Text("task", "任务"), "%"], [["1", "90 & 5"]])
    shown = Shown((grid,), (Picture("line", CAPTION, labelled),), (Text("shortened", "缩短了"),))
    return Section("first", Text("First", "第一"), Text("Look.", "请看。"), shown)


@pytest.fixture
def without_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose fonts have no Chinese letters."""
    monkeypatch.setattr(bilingual, "_chinese_family", lambda: None)


@pytest.mark.usefixtures("without_chinese")
def test_where_no_font_has_the_letters_figures_are_in_english() -> None:
    with lettering("zh") as language:
        assert language == "en"
    assert Picture("line", CAPTION, labelled).png("zh") == Picture("line", CAPTION, labelled).png("en")


def test_where_a_font_has_the_letters_none_is_a_box() -> None:
    if readable("zh") == "en":
        pytest.skip("no font with Chinese letters here: pip install 'lifelong[cjk]'")
    # matplotlib warns of a glyph that it draws as a box, and warnings are errors here
    assert Picture("line", CAPTION, labelled).png("zh") != Picture("line", CAPTION, labelled).png("en")


@pytest.mark.usefixtures("without_chinese")
def test_the_page_holds_everything_in_both_languages(tmp_path: Path) -> None:
    drawn = write_pictures(tmp_path, "first", section().shown.pictures)
    page, picture = write_chapter(tmp_path, [section()], "lifelong chapter --all")
    assert drawn == [picture]
    html = page.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert html.count("<svg") == 1
    assert not re.search(r"""<link|<script src|(src|href)=["']?(https?:)?//""", html), (
        "nothing is loaded from elsewhere"
    )
    for word in ("First", "第一", "Look.", "请看。", "shortened", "缩短了", "90 &amp; 5", "accuracy &lt;on&gt; task"):
        assert word in html


@pytest.mark.usefixtures("without_chinese")
def test_a_missing_font_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pictures(tmp_path, "first", section().shown.pictures)
    write_chapter(tmp_path, [section()], "")
    assert [record.message for record in caplog.records] == [bilingual.MISSING]


def test_a_font_that_matplotlib_has_not_listed_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A font installed after matplotlib wrote its list, here one that claims a Chinese family's name."""
    file = tmp_path / "NotoSansCJK-Regular.ttc"
    file.write_bytes(Path(font_manager.findfont("DejaVu Sans")).read_bytes())
    (tmp_path / "wqy-damaged.ttc").write_bytes(b"no font")
    monkeypatch.setattr(bilingual, "FAMILIES", ("DejaVu Sans",))
    monkeypatch.setattr(bilingual, "find_spec", lambda _: None)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / "wqy-damaged.ttc"), str(file)])
    assert bilingual._chinese_family.__wrapped__() == "DejaVu Sans"


@pytest.mark.usefixtures("without_chinese")
def test_the_same_values_give_the_same_page(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_pictures(tmp_path / name, "first", section().shown.pictures)
        write_chapter(tmp_path / name, [section()], "")
    one, other = (sorted((tmp_path / name).rglob("*.*")) for name in ("one", "other"))
    assert [path.name for path in one] == ["index.html", "first-line-en.png", "first-line-en.svg"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_the_working_stands_at_the_left_and_numbers_at_the_right(tmp_path: Path) -> None:
    working = Grid(CAPTION, ["score", "working"], [["ACC", "= 1/2 [60.0 + 80.0]"], ["", "= 70.0"]])
    numbers = Grid(
        CAPTION,
        ["method", "%", "bytes", "loss", "best"],
        [["er", "90.0 ± 1.2", "1.5 MB", "–", "ewc"], ["gem", "−3.0", "12 kB", "11 min", ""]],
    )
    shown = Shown((working, numbers))
    page, *_ = write_chapter(tmp_path, [Section("first", CAPTION, CAPTION, shown)], "")
    cells = re.findall(r"<td([^>]*)>([^<]*)", page.read_text())
    assert {text for kind, text in cells if "words" in kind} == {"= 1/2 [60.0 + 80.0]", "= 70.0", "ewc", ""}


def test_no_line_ends_inside_a_setting(tmp_path: Path) -> None:
    shown = Shown(notes=(Text("gem with γ = 0 keeps 90 % of it", "gem（γ = 0）"),))
    page, *_ = write_chapter(tmp_path, [Section("first", CAPTION, CAPTION, shown)], "")
    assert "gem with γ\u00a0=\u00a00 keeps 90\u00a0% of it" in page.read_text()


def test_a_moving_part_needs_a_script_that_exists() -> None:
    with pytest.raises(SettingError, match="did you mean 'matrix'"):
        Moving("matrx", "line", {})


def test_a_row_that_does_not_fit_its_heads_is_an_error() -> None:
    with pytest.raises(SettingError, match="expected 2 cells"):
        Grid(CAPTION, ["task", "%"], [["1"]])


def test_a_page_needs_something_to_show(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="lifelong chapter NAME"):
        write_chapter(tmp_path, [], "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_pictures(tmp_path / "file", "first", section().shown.pictures)
    assert (tmp_path / "file").read_text() == ""
