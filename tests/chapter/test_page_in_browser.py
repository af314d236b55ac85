"""The chapter's page in a real Chromium without a window: language, contents, print, narrow screens, moving parts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lifelong.chapter.moving import digits_turning, gradients_to_drag, loss_maps, matrices_growing
from lifelong.chapter.page import Section, write_chapter, write_pictures
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.methods.projection import project
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import blank

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if BROWSER is None:
    pytest.skip("no browser is found: install chromium (Debian: apt-get install chromium)", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

R = np.array([[0.1, 0.1, np.nan], [0.9, 0.2, 0.1], [0.6, 0.8, 0.3], [0.4, 0.7, 0.95]])
FIELD = np.linspace(-2, 2, 9)
SEEN = Text("Look at the picture.", "请看图。")


def wide(language: Language) -> Any:
    figure = blank(11, 3)
    for axes in figure.subplots(1, 3):
        axes.plot([0, 1], [0, 1])
        axes.set_title(Text("accuracy", "准确率").of(language))
    return figure


def section(name: str, title: Text, figures: tuple[str, ...], *moving: Any) -> Section:
    grid = Grid(
        Text("All numbers", "全部数字"), [Text("method", "方法"), "%"], [["gem, γ = 0", "90.0"], ["er", "91.5"]]
    )
    claims = (Claim(True, Text("It holds.", "成立。"), SEEN), Claim(False, SEEN, Text("It fails.", "不成立。")))
    shown = Shown((grid,), (Picture("line", SEEN, wide),), (Text("Shortened.", "已缩短。"),), claims, moving)
    return Section(name, title, SEEN, shown, figures, {"part": {"R": [1.0, 2.5]}})


def sections() -> list[Section]:
    bowl = np.add.outer((FIELD - 1) ** 2, FIELD**2) + 0.1
    drawn = {
        "across": FIELD.tolist(),
        "up": FIELD.tolist(),
        "losses": [bowl.tolist(), bowl.T.tolist()],
        "first": [[-1.5, -1.5], [0.0, 1.0]],
        "joint": [0.5, 0.5],
    }
    ends = [{"losses": [2.0 - place, 0.1 + place], "accuracies": [0.5, 0.75]} for place in range(2)]
    walks = {"strengths": [0.0, 4.0], "ways": [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.25, 1.5]]], "ends": ends}
    images = np.random.default_rng(0).integers(0, 256, (2, 100, 28, 28)).tolist()
    followed = [[1] * 95 + [0] * 5, [1] * 60 + [0] * 40]
    classes = np.full((3, 3, 2), 0.9)
    classes[2, 0] = [0.8, 0.2]
    life = Text("permuted", "置换")
    return [
        section(
            "forgetting",
            Text("Forgetting", "遗忘"),
            ("16.3", "16.4"),
            digits_turning("line", {"images": images, "followed": followed, "every": 5}),
        ),
        section(
            "matrix",
            Text("The table R", "评估表 R"),
            ("16.4", "16.9"),
            matrices_growing("line", {life: R}, {life: classes}),
        ),
        section("landscape", Text("Loss maps", "损失图"), ("16.10",), loss_maps("line", drawn, walks)),
        section(
            "gem",
            Text("GEM", "GEM"),
            ("16.12",),
            gradients_to_drag("line", {Text("one", "一"): ([1.0, -0.7], [[0.3, 1.1], [-0.6, 0.9]])}),
        ),
    ]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("chapter")
    for each in sections():
        write_pictures(folder, each.name, each.shown.pictures)
    page, *_ = write_chapter(folder, sections(), "lifelong chapter --all")
    return page.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=BROWSER, chromium_sandbox=os.geteuid() != 0)
        yield started
        started.close()


def _is_fault(said: Any) -> bool:
    """Whether a message is one; reading pixels, as tests do, gives a hint on speed."""
    return said.type in ("error", "warning") and not said.text.startswith("Canvas2D")


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page on which nothing may go wrong, and which may ask for nothing else."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    faults: list[str] = []
    context.on("console", lambda said: faults.append(said.text) if _is_fault(said) else None)
    context.on("weberror", lambda fault: faults.append(str(fault.error)))
    context.on("request", lambda request: None if request.url.startswith("file:") else faults.append(request.url))
    yield context.new_page()
    context.close()
    assert faults == []


def test_the_language_is_that_of_the_address_and_stays_in_it(page: Any, address: str) -> None:
    page.goto(f"{address}?lang=zh")
    assert page.locator("h1").inner_text() == "终身学习：用实验说话"
    page.locator("#contents").get_by_role("link", name="评估表").click()
    assert page.url.endswith("?lang=zh#matrix")
    page.get_by_role("button", name="English").click()
    assert page.locator("h1").inner_text() == "Lifelong learning, by experiment"
    assert page.url.endswith("?lang=en#matrix")
    page.goto(address)
    assert page.evaluate("document.documentElement.lang") == "en", "that of the browser"


def test_the_contents_stay_on_the_screen_and_lead_to_the_sections(page: Any, address: str) -> None:
    page.goto(f"{address}?lang=en")
    link = page.locator("#contents").get_by_role("link", name="GEM")
    assert "16.12" in link.inner_text()
    link.click()
    assert 0 <= page.locator("#gem").bounding_box()["y"] < 200
    playwright.expect(link).to_have_attribute("aria-current", "true")
    playwright.expect(link).to_be_in_viewport()
    page.goto(f"{address}?lang=en#16.9")
    assert 0 <= page.locator("#matrix h2").bounding_box()["y"] < 200, "a figure of the book is an anchor"
    assert (
        page.evaluate("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size")
        == page.locator("[id]").count()
    )


def test_numbers_can_be_downloaded(page: Any, address: str) -> None:
    page.goto(f"{address}?lang=en")
    with page.expect_download() as started:
        page.locator("#gem").get_by_role("link", name="JSON").click()
    assert started.value.suggested_filename == "gem.json"
    assert json.loads(Path(started.value.path()).read_text("utf-8")) == {"part": {"R": [1.0, 2.5]}}
    page.locator("#gem details:visible summary").click()
    with page.expect_download() as started:
        page.locator("#gem details:visible").get_by_role("link", name="CSV").click()
    text = Path(started.value.path()).read_text("utf-8-sig")
    assert text.splitlines() == ["method,%", '"gem, γ = 0",90.0', "er,91.5"]
    with page.expect_download() as started:
        page.locator("#gem figure").get_by_role("button", name="SVG").click()
    assert Path(started.value.path()).read_text("utf-8").startswith("<svg")


def test_tables_are_open_in_print_and_closed_after(page: Any, address: str) -> None:
    page.goto(f"{address}?lang=en")
    assert page.locator("table:visible").count() == 2, "those of the moving parts"
    page.emulate_media(media="print")
    playwright.expect(page.locator("details.table table:visible")).to_have_count(4)
    for hidden in ("#contents", ".moving", ".top", "#place"):
        assert page.locator(f"{hidden}:visible").count() == 0
    page.emulate_media(media="screen")
    playwright.expect(page.locator("details[open]")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_does_not_scroll_sideways(page: Any, address: str, width: int, language: str) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{address}?lang={language}")
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    drawing = page.locator("#gem .drawing:visible").first
    assert (drawing.evaluate("e => e.scrollWidth > e.clientWidth")) == (width == 390), "it scrolls inside its frame"
    assert (
        page.locator("th[scope=row]:visible", has_text="gem, γ = 0").first.evaluate(
            "e => getComputedStyle(e).whiteSpace"
        )
        == "nowrap"
    )
    if width == 390:
        assert page.locator("#contents").is_hidden()
        page.locator("#menu").click()
        page.locator("#contents a:visible").first.click()
        assert page.locator("#contents").is_hidden()


def test_a_dark_page_draws_light_lines(page: Any, address: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}?lang=en")
    letters = page.locator("#gem .drawing svg text:visible").first
    assert letters.evaluate("e => getComputedStyle(e).fill") == "rgb(232, 232, 230)"
    page.emulate_media(color_scheme="light")
    assert letters.evaluate("e => getComputedStyle(e).fill") == "rgb(27, 27, 27)"


def test_the_projector_shows_one_slide_after_the_other(page: Any, address: str) -> None:
    page.goto(f"{address}?lang=en#gem")
    page.keyboard.press("p")
    shown = page.locator("main .slide:visible")
    playwright.expect(shown).to_have_count(1)
    assert page.locator("section:visible").get_attribute("id") == "gem"
    before = shown.inner_text()
    page.keyboard.press("ArrowRight")
    playwright.expect(shown).to_have_count(1)
    assert shown.inner_text() != before
    page.keyboard.press("End")
    assert page.locator("section:visible").get_attribute("id") == "errata"
    page.keyboard.press("Escape")
    assert page.locator("section:visible").count() == 5


def test_the_slider_moves_the_path(page: Any, address: str) -> None:
    page.goto(f"{address}?lang=en")
    part = page.locator("#landscape .moving")
    way = part.locator("path.way").first
    assert way.get_attribute("d") == "M120.0 60.0L180.0 120.0"
    part.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    assert way.get_attribute("d") == "M120.0 60.0L135.0 30.0"
    assert "λ = 4: at θ* task 1 has loss 1.00 and accuracy 50.0 %" in part.locator(".said").inner_text()
    pixel = "e => [...e.getContext('2d').getImageData(e.width / 2, e.height / 4, 1, 1).data]"
    red, _, blue, opaque = part.locator("canvas").first.evaluate(pixel)
    assert blue > red, "the valley is blue"
    assert opaque == 255


def test_digits_turn_red(page: Any, address: str) -> None:
    page.goto(f"{address}?lang=en")
    part = page.locator("#forgetting .moving")
    red = """e => { const d = e.getContext("2d").getImageData(0, 0, e.width, e.height).data;
                    let count = 0;
                    for (let i = 0; i < d.length; i += 4) count += d[i + 3] > 0 && d[i] - d[i + 2] > 20;
                    return count }"""
    before = part.locator("canvas").evaluate(red)
    part.get_by_role("slider").focus()
    page.keyboard.press("End")
    assert (before, part.locator("canvas").evaluate(red)) == (5 * 28 * 28, 40 * 28 * 28)
    assert "After 5 steps on task 2: 40 of 100 wrong (5 before the first step)" in part.locator(".said").inner_text()


def test_r_grows_and_a_cell_tells_what_was_lost(page: Any, address: str) -> None:
    page.goto(f"{address}?lang=en")
    part = page.locator("#matrix .moving")
    assert part.locator("td button:visible").count() == 12
    part.get_by_role("slider").focus()
    page.keyboard.press("Home")
    assert part.locator("td button:visible").count() == 3
    part.get_by_role("button", name="Play").click()
    playwright.expect(part.locator("td button:visible")).to_have_count(12)
    part.get_by_role("button", name="R 3, 1").click()
    assert part.locator(".said").inner_text() == (
        "R(3, 1) = 40.0 %: accuracy on task 1 after learning tasks 1 to 3. 50.0 points less than just after it was "
        "learned: forgetting. Digits that lost most: 1 (−70), 0 (−10)."
    )
    part.get_by_role("button", name="R 0, 3").click()
    assert "not measured" in part.locator(".said").inner_text()


def test_vectors_are_dragged_and_moved_by_keys(page: Any, address: str) -> None:
    page.goto(f"{address}?lang=en")
    part = page.locator("#gem .moving")
    part.scroll_into_view_if_needed()
    grip = part.locator(".handle", has_text="g").last.locator("circle").last  # g lies above the others
    box = grip.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    frame = part.locator("svg").bounding_box()
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] * 0.1, steps=3)
    page.mouse.up()
    assert "No conflict" in part.inner_text()
    for _ in range(25):
        page.keyboard.press("ArrowRight")
    for _ in range(25):
        page.keyboard.press("ArrowDown")
    assert "conflict" in part.inner_text()
    assert "No conflict" not in part.inner_text()


def test_the_script_projects_as_the_method_does(page: Any, address: str) -> None:
    luck = torch.Generator().manual_seed(0)
    vectors = torch.randn(500, 3, 2, generator=luck, dtype=torch.float64)
    vectors[:40, 2] = -2 * vectors[:40, 1]  # opposite, parallel, and no past gradients at all
    vectors[40:80, 2] = 3 * vectors[40:80, 1]
    vectors[80:120, 2] = 0
    page.goto(address)
    drawn = page.evaluate("cases => cases.map(([g, ...past]) => lifelong.project(g, past))", vectors.tolist())
    right = torch.stack([project(g, past) for g, past in zip(vectors[:, 0], vectors[:, 1:], strict=True)])
    torch.testing.assert_close(torch.tensor(drawn, dtype=torch.float64), right, rtol=0, atol=1e-6)


def test_without_its_script_pictures_and_tables_are_there(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("figure svg:visible").count() == 4
    assert page.locator(".needs-script:visible").count() == 0
    page.locator("#contents").get_by_role("link", name="GEM").click()
    page.locator("#gem details:visible summary").click()
    assert page.locator("#gem table:visible").count() == 1
    context.close()


def test_the_page_prints(page: Any, address: str, tmp_path: Path) -> None:
    page.goto(address)
    assert page.pdf(path=tmp_path / "page.pdf", format="A4").startswith(b"%PDF")
