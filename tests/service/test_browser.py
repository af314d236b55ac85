"""The dashboard in a real Chromium without a window: draw, correct, update, see the new version promoted, go back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from lifelong.loop.engine import Engine
from lifelong.loop.engine.begin import begin
from lifelong.loop.gate import Gate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, MethodChoice, Project
from lifelong.loop.quarantine import Rules
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import ByHand
from lifelong.service.home import Home, first_key, open_engine, open_home
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.store import predictions
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate
from lifelong.training import Training
from lifelong.types import Task

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if BROWSER is None:
    pytest.skip("no browser is found: install chromium (Debian: apt-get install chromium)", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

PATIENCE = 120_000  # milliseconds; a busy machine starts a process slowly
AT = "/projects/digits"
PROJECT = Project(
    "digits",
    InputSchema((1, 8, 8), 0, 1),
    tuple("0123456789"),
    learner=LearnerSettings("mlp:64", training=Training(epochs=15, lr=0.1)),
    method=MethodChoice("er", {"capacity": 500, "replay_batch": 64}),
    gate=Gate(power=0.0, max_forgetting=0.15),
    triggers=(ByHand(),),
    rules=Rules(outlier=0, suspicion=0, conflicts=False),
    exam=ExamSettings(0.3, minimum=40),
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Home, str, str]]:
    """A home that has learned upright digits, served; its address, and its admin key."""
    source, settings = digits(), ServeSettings()
    first = Task.of(1, train=(source.train_x[:700], source.train_y[:700]), test=(source.test_x, source.test_y))
    with open_engine(tmp_path / "home") as engine:
        begin(engine, PROJECT, [first], actor="a test")
    with open_home(tmp_path / "home", settings) as opened, serving(opened.app, settings) as url:
        secret = first_key(opened.engine)
        assert secret is not None
        yield opened, url, secret


@pytest.fixture
def context(home: tuple[Home, str, str]) -> Iterator[Any]:
    """A browser that notes what went wrong on its pages, and every address that it asked for."""
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, chromium_sandbox=os.geteuid() != 0)
        made = browser.new_context(base_url=home[1], viewport={"width": 1280, "height": 900})
        made.set_default_timeout(PATIENCE)
        made.faults, made.asked = [], set()
        made.on("console", lambda said: made.faults.append(said.text) if said.type in ("error", "warning") else None)
        made.on("weberror", lambda fault: made.faults.append(str(fault.error)))
        made.on("request", lambda request: made.asked.add(request.url))
        yield made
        browser.close()


def draw(page: Any, *strokes: list[tuple[float, float]]) -> None:
    """Draw with the mouse; places are fractions of the sheet."""
    box = page.locator("#sheet").bounding_box()
    for first, *others in strokes:
        page.mouse.move(box["x"] + first[0] * box["width"], box["y"] + first[1] * box["height"])
        page.mouse.down()
        for x, y in others:
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
        page.mouse.up()


def predicted(page: Any) -> str:
    """Ask for a prediction of what is drawn; the class that came."""
    before = page.locator("#answer code").all_inner_texts()
    page.get_by_role("button", name="Predict").click()
    page.wait_for_function("before => { const id = document.querySelector('#answer code')?.textContent;"
                           " return id && id !== before }", arg=before[0] if before else "")  # fmt: skip
    return str(page.locator(".best").inner_text())


def send_the_rest(engine: Engine, url: str, secret: str, prediction: str, label: str) -> None:
    """By the API: rotated digits, and what was drawn again and again with some noise, labelled as on the page."""
    source, luck = digits(), torch.Generator().manual_seed(0)
    x, y = rotate(source.train_x[700:920], 90), source.train_y[700:920]
    drawn = torch.tensor(engine.read(lambda connection: predictions.get(connection, prediction)).x)
    noisy = (drawn + 0.05 * torch.randn(40, 1, 8, 8, generator=luck)).clamp(0, 1)
    examples = [*zip(x.tolist(), y.tolist(), strict=True), *((each, int(label)) for each in noisy.tolist())]
    lines = "\n".join(json.dumps({"x": each, "label": own, "source": "users"}) for each, own in examples)
    answer = httpx.post(
        f"{url}/v1/projects/digits/feedback:batch",
        content=lines,
        headers={"Authorization": f"Bearer {secret}"},
        timeout=30,
    )
    assert "error" not in answer.text


def test_a_person_teaches_the_model_by_hand(home: tuple[Home, str, str], context: Any, tmp_path: Path) -> None:
    opened, url, secret = home
    life = context.new_page()
    life.goto("/")
    life.get_by_label("API key").fill(secret)
    life.get_by_role("button", name="Log in").click()
    life.wait_for_url(f"**{AT}")
    champion = life.locator("#champion .big")
    assert champion.inner_text() == "version 1"
    assert life.get_by_role("button", name="Learn what waits").is_disabled()
    life.locator("#live.is-on").wait_for()
    life.evaluate("window.same = true")

    sheet = context.new_page()
    sheet.goto(f"{AT}/try")
    sheet.evaluate("window.same = true")
    draw(sheet, [(0.2, 0.2), (0.8, 0.8)], [(0.8, 0.2), (0.2, 0.8)], [(0.2, 0.5), (0.8, 0.5)])
    said = predicted(sheet)
    prediction = sheet.locator("#answer code").inner_text()
    assert sheet.locator(".shares tr").count() == 10
    meant = "4" if said != "4" else "3"
    sheet.locator(".labels").get_by_role("button", name=meant, exact=True).click()
    assert f"“{meant}” is stored" in sheet.locator("#said .said").inner_text()
    playwright.expect(life.locator("#feedback .big")).to_contain_text("1 label")

    send_the_rest(opened.engine, url, secret, prediction, meant)
    playwright.expect(life.locator("#feedback .big")).to_contain_text("261 labels")
    life.get_by_role("button", name="Learn what waits").click()
    life.wait_for_url("**said=asked")
    life.evaluate("window.same = true")
    playwright.expect(champion).to_have_text("version 2", timeout=PATIENCE)
    playwright.expect(life.locator(".heat tbody tr")).to_have_count(2)
    playwright.expect(life.locator("#decisions .decision").first).to_contain_text("promoted")
    assert life.evaluate("window.same"), "without loading the page again"
    life.screenshot(path=tmp_path / "home.png", full_page=True)

    playwright.expect(sheet.locator("#who")).to_contain_text("Version 2 answers")
    assert predicted(sheet) == meant, "it has learned what was drawn"
    assert "by version 2" in sheet.locator("#answer").inner_text()

    champion.get_by_role("link").click()
    life.get_by_role("heading", name="Version 2").wait_for()
    assert life.locator(".decision tbody tr").count() == 12, "the evidence of two exams and ten classes"
    life.get_by_text("Roll back…").click()
    yes = life.get_by_role("button", name="Roll back to version 1")
    yes.click()
    assert life.url.endswith("/versions/2"), "nothing is done without a reason"
    life.get_by_label("Reason").fill("the old one was <b>better</b>")
    stamp = str(life.locator("body").get_attribute("data-stamp"))
    example = {"x": digits().train_x[0].tolist(), "label": 1}
    httpx.post(f"{url}/v1{AT}/feedback", json=example, headers={"Authorization": f"Bearer {secret}"}).raise_for_status()
    playwright.expect(life.locator("body")).not_to_have_attribute("data-stamp", stamp)
    life.wait_for_timeout(300)
    assert "<b>better</b>" in life.get_by_label("Reason").input_value(), "what somebody writes is not taken away"
    yes.click()
    life.wait_for_url("**said=rolled-back")
    assert champion.inner_text() == "version 1"
    assert "“the old one was <b>better</b>”" in life.locator("#champion").inner_text()
    playwright.expect(sheet.locator("#who")).to_contain_text("Version 1 answers")
    assert sheet.evaluate("window.same")
    assert context.faults == []
    assert {address.split("/")[2] for address in context.asked} == {url.split("/")[2]}, (
        "nothing is loaded from elsewhere"
    )


def test_a_narrow_screen_with_touch(home: tuple[Home, str, str], context: Any) -> None:
    _, _, secret = home
    small = context.browser.new_context(
        base_url=home[1], viewport={"width": 380, "height": 760}, has_touch=True, is_mobile=True, color_scheme="dark"
    )
    page = small.new_page()
    page.goto("/login")
    page.get_by_label("API key").fill(secret)
    page.get_by_role("button", name="Log in").click()
    for path in (AT, f"{AT}/versions/1", f"{AT}/quarantine", f"{AT}/try"):
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, f"{path} is {wide} too wide"
    box = page.locator("#sheet").bounding_box()
    touch = small.new_cdp_session(page)
    for kind, share in (("touchStart", 0.3), ("touchMove", 0.5), ("touchMove", 0.7)):
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + share * box["height"]}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert predicted(page) in PROJECT.classes
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Predict").click()
    page.get_by_role("alert").get_by_text("draw something first").wait_for()
    small.close()


def test_it_can_be_read_without_its_script(home: tuple[Home, str, str], context: Any) -> None:
    plain = context.browser.new_context(base_url=home[1], java_script_enabled=False)
    page = plain.new_page()
    page.goto("/")
    page.get_by_label("API key").fill(home[2])
    page.get_by_role("button", name="Log in").click()
    assert page.locator("#champion .big").inner_text() == "version 1"
    assert page.locator(".heat td").first.inner_text() != ""
    page.goto(f"{AT}/try")
    assert "Drawing needs JavaScript" in page.content()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    plain.close()
