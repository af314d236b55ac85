"""Figures as SVG inside a page: letters are text, and colours are CSS variables that a dark page gives other values.

A colour `#rrggbb` becomes `var(--c-rrggbb, #rrggbb)`, so that the drawing looks alike as a file of its own. Colours of
data (heat maps, loss maps, and what is drawn over them) stay as they are.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable
from io import BytesIO
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree as XML

from matplotlib import rc_context
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

__all__ = ["INK", "dark", "svg", "variables"]

#: colour of words and axes: nearly black, so that it differs from the black of data
INK = "#1b1b1b"
#: settings of matplotlib that letter a figure in it
LETTERING = MappingProxyType(
    dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK
    )
)
PAPER = "#ffffff"
DARK_INK, DARK_PAPER = "#e8e8e6", "#17181a"
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
#: where DejaVu Sans is missing, Verdana has the same widths
FONTS = "'DejaVu Sans', Verdana, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"
SHAPES = ("path", "text", "use", "rect", "circle", "polygon")


def svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element. Its ids begin with `name`; the same figure gives the same text.

    Example:
        >>> figure = Figure(figsize=(1, 1))
        >>> _ = figure.text(0.5, 0.5, "θ", color="#0072B2")
        >>> "var(--c-0072b2, #0072b2)" in svg(figure, "first")
        True
    """
    buffer = BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    root = XML.fromstring(buffer.getvalue())
    _colour(root)
    _name(root, name)
    width, height = (float(root.attrib.pop(side).removesuffix("pt")) * 4 / 3 for side in ("width", "height"))
    root.set("style", f"--width: {width:.0f}px; --height: {height:.0f}px")
    XML.register_namespace("", SVG)
    XML.register_namespace("xlink", XLINK)
    text = XML.tostring(root, encoding="unicode")
    return re.sub(r">\s+<", "><", re.sub(r"(\d\.\d\d)\d+", r"\1", text))


def variables(drawings: Iterable[str]) -> dict[str, str]:
    """The CSS variables of `drawings` and their values on a dark page, in order.

    Example:
        >>> variables(['<path style="stroke: var(--c-1b1b1b, #1b1b1b)"/>'])
        {'--c-1b1b1b': '#e0e0de'}
    """
    colours = {colour for drawing in drawings for colour in re.findall(r"var\(--c-([0-9a-f]{6})", drawing)}
    return {f"--c-{colour}": dark(f"#{colour}") for colour in sorted(colours)}


def dark(colour: str) -> str:
    """The colour on dark paper: a grey as far from the paper as on white, any other one of its hue that is seen well.

    Example:
        >>> dark("#ffffff"), dark("#000000")
        ('#17181a', '#e8e8e6')
        >>> dark("#0072B2")
        '#4dc4ff'
    """
    red, green, blue = to_rgb(colour)
    if max(red, green, blue) - min(red, green, blue) < 0.02:
        pairs = zip(to_rgb(DARK_INK), to_rgb(DARK_PAPER), strict=True)
        return str(to_hex([ink + red * (paper - ink) for ink, paper in pairs]))
    hue, light, full = colorsys.rgb_to_hls(red, green, blue)
    return str(to_hex(colorsys.hls_to_rgb(hue, 1 - light if light > 0.8 else max(light, 1 - light), full)))


def _colour(root: XML.Element) -> None:
    """Replace colours by variables; letters and shapes without a colour, which are black, get one."""
    for part in root:
        for axes in part.iter(f"{{{SVG}}}g"):
            if axes.get("id", "").startswith("axes_"):
                _vary(axes, over_data=_is_map(axes))
        _vary(part, over_data=False)


def _is_map(axes: XML.Element) -> bool:
    """Whether colours in these axes are data: an image, or areas of three colours or more between contours."""
    if axes.find(f".//{{{SVG}}}image") is not None:
        return True
    fills = {
        _style(shape).get("fill")
        for group in axes.iter(f"{{{SVG}}}g")
        if group.get("id", "").startswith(("QuadContourSet", "QuadMesh"))
        for shape in group.iter(f"{{{SVG}}}path")
    }
    return len(fills - {None, "none"}) > 2


def _vary(element: XML.Element, over_data: bool, drawn: bool = True) -> None:
    """`drawn` is false inside definitions, whose fill is that of the place where they are used."""
    kind = element.tag.removeprefix(f"{{{SVG}}}")
    data = over_data and element.get("id", "").startswith(("QuadContourSet", "QuadMesh"))
    if element.get("seen") or data or kind == "clipPath":
        return
    element.set("seen", "yes")
    style = _style(element)
    if kind in SHAPES:
        if not over_data and drawn:
            style.setdefault("fill", "#000000")
        for side in ("fill", "stroke"):
            if style.get(side, "").startswith("#"):
                style[side] = _variable(style[side], kind == "text", over_data)
        if "font-family" in style:
            style["font-family"] = FONTS
        if style:
            element.set("style", "; ".join(f"{key}: {value}" for key, value in style.items()))
    for child in element:
        _vary(child, over_data, drawn and kind != "defs")


def _variable(colour: str, letters: bool, over_data: bool) -> str:
    """The variable of a colour; over data only axes have one, and letters in a grey between black and white."""
    colour = colour.lower()
    red, green, blue = to_rgb(colour)
    grey = red == green == blue and 0 < red < 1
    return f"var(--c-{colour[1:]}, {colour})" if colour == INK or (letters and grey) or not over_data else colour


def _style(element: XML.Element) -> dict[str, str]:
    pairs = (pair.split(":", 1) for pair in element.get("style", "").split(";") if ":" in pair)
    return {key.strip(): value.strip() for key, value in pairs}


def _name(root: XML.Element, name: str) -> None:
    """Begin every id that is referred to with `name`, and drop the others: a page holds many drawings."""
    href = f"{{{XLINK}}}href"
    used: set[str] = set()
    for element in root.iter():
        element.attrib.pop("seen", None)
        changes: dict[str, Any] = {}
        for key, value in element.attrib.items():
            target = re.fullmatch(r"#(.+)|url\(#(.+)\)", value)
            if target:
                used.add(target[1] or target[2])
                changes[key] = value.replace("#", f"#{name}-")
        element.attrib.update(changes)
        if href in element.attrib:  # the plain attribute: shorter, and all browsers know it
            element.set("href", element.attrib.pop(href))
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own in used:
            element.set("id", f"{name}-{own}")
