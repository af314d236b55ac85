"""Figures as SVG: colours of words and lines are variables, colours of data are not; ids are the figure's own."""

from __future__ import annotations

import re

import numpy as np
from matplotlib import rc_context

from lifelong.reports.canvas import blank
from lifelong.reports.vector import INK, LETTERING, dark, svg, variables


def test_words_and_lines_have_variables() -> None:
    with rc_context({**LETTERING}):
        figure = blank(3, 2)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="black", marker="o", markeredgecolor="white")
        axes.set_title("accuracy")
        drawing = svg(figure, "one")
    assert set(re.findall(r"#[0-9a-f]{6}(?!\))", re.sub(r"var\([^)]*\)", "", drawing))) == set()
    assert {"--c-000000", "--c-1b1b1b", "--c-ffffff"} <= set(variables([drawing]))
    assert ">accuracy</text>" in drawing
    assert re.search(r"<use[^>]*fill: var\(--c-000000, #000000\)", drawing), "black markers, too"


def test_what_is_drawn_over_data_keeps_its_colour() -> None:
    with rc_context({**LETTERING}):
        figure = blank(3, 2)
        axes = figure.subplots()
        axes.imshow(np.eye(2), cmap="cividis")
        axes.text(0, 0, "90", color="black")
        axes.text(1, 1, "10", color="white")
        axes.text(0, 1, "faded", color="#666666")
        drawing = svg(figure, "map")
    assert re.search(r'<text style="(?![^"]*fill)[^"]*"[^>]*>90<', drawing), "black, which SVG need not say"
    assert re.search(r"fill: #ffffff[^>]*>10<", drawing)
    assert re.search(r"fill: var\(--c-666666[^>]*>faded<", drawing)
    assert re.search(rf"fill: var\(--c-1b1b1b, {INK}\)[^>]*>0(\.0)?<", drawing), "the axes change with the page"


def test_filled_contours_are_data_and_one_shade_is_not() -> None:
    ticks = np.linspace(-1, 1, 11)
    grid = np.add.outer(ticks**2, ticks)
    for levels, varies in ((8, False), ([0, np.inf], True)):
        figure = blank(3, 2)
        figure.subplots().contourf(ticks, ticks, grid, levels, **({"colors": ["#009E73"]} if varies else {}))
        assert ("var(--c-009e73" in svg(figure, "map")) is varies


def test_ids_of_two_figures_differ_and_the_same_figure_gives_the_same_text() -> None:
    def drawn(name: str) -> str:
        figure = blank(2, 2)
        figure.subplots().plot([0, 1], marker="o")
        return svg(figure, name)

    one, other = drawn("one"), drawn("other")
    assert one == drawn("one")
    ids, others = (set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, other))
    assert ids
    assert not ids & others
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', one))
    assert {a or b for a, b in used} == ids


def test_dark_colours_can_be_read() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    paper = luminance(dark("#ffffff"))
    for colour in (INK, "#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#777777"):
        assert (luminance(dark(colour)) + 0.05) / (paper + 0.05) > 4.5, colour
