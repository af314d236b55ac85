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
from xml.etree import ElementTree

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
    root = ElementTree.fromstring(buffer.getvalue())
    _colour(root)
    _name(root, name)
    root.remove(root[0])  # a style sheet that would hold for the whole page
    width = float(root.attrib.pop("width").removesuffix("pt")) * 4 / 3
    del root.attrib["height"]
    root.set("style", f"--width: {width:.0f}px; stroke-linejoin: round; stroke-linecap: butt; font-family: {FONTS}")
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return _short(ElementTree.tostring(root, encoding="unicode"))


def variables(drawings: Iterable[str]) -> dict[str, str]:
    """The CSS variables of `drawings` and their values on a dark page, in order.

    Example:
        >>> variables(['<path style="stroke: var(--c-1b1b1b, #1b1b1b)"/>'])
        {'--c-1b1b1b': '#e8e8e6'}
    """
    colours = {colour for drawing in drawings for colour in re.findall(r"var\(--c-([0-9a-f]{6})", drawing)}
    return {f"--c-{colour}": dark(f"#{colour}") for colour in sorted(colours)}


def dark(colour: str) -> str:
    """The colour on dark paper: a grey as far from the paper as on white, any other one of its hue that is seen well.

    Example:
        >>> dark("#ffffff"), dark("#000000")
        ('#17181a', '#e8e8e6')
        >>> dark("#0072B2")
        '#47b0eb'
    """
    red, green, blue = to_rgb(colour)
    if max(red, green, blue) - min(red, green, blue) < 0.02:
        least = to_rgb(INK)[0]
        share = max(0.0, (red - least) / (1 - least))
        pairs = zip(to_rgb(DARK_INK), to_rgb(DARK_PAPER), strict=True)
        red, green, blue = (ink + share * (paper - ink) for ink, paper in pairs)
        return str(to_hex((red, green, blue)))
    hue, light, full = colorsys.rgb_to_hls(red, green, blue)
    light = 1 - light if light > 0.8 else max(light, 0.6)
    return str(to_hex(colorsys.hls_to_rgb(hue, light, 0.8 * full)))


def _short(text: str) -> str:
    """The same drawing in fewer letters: paths to a tenth of a point, other numbers to a hundredth."""
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)
    text = re.sub(r' d="([^"]+)"', lambda path: f' d="{_short_path(path[1])}"', text)
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    return re.sub(r">\s+<", "><", text)


def _short_path(path: str) -> str:
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", re.sub(r"(\.\d)\d+", r"\1", path))


def _colour(root: ElementTree.Element) -> None:
    """Replace colours by variables; letters and shapes without a colour, which are black, get one."""
    for part in root:
        for axes in part.iter(f"{{{SVG}}}g"):
            if axes.get("id", "").startswith("axes_"):
                _vary(axes, over_data=_is_map(axes))
        _vary(part, over_data=False)


def _is_map(axes: ElementTree.Element) -> bool:
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


def _vary(element: ElementTree.Element, over_data: bool, drawn: bool = True) -> None:
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
        style.pop("font-family", None)  # that of the whole
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


def _style(element: ElementTree.Element) -> dict[str, str]:
    pairs = (pair.split(":", 1) for pair in element.get("style", "").split(";") if ":" in pair)
    return {key.strip(): value.strip() for key, value in pairs}


def _name(root: ElementTree.Element, name: str) -> None:
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
