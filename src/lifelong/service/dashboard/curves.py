"""Small drawings as SVG: the exam of one task over the versions, and an interval beside what is asked of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from markupsafe import Markup, escape

__all__ = ["curve", "interval"]

WIDTH, HEIGHT = 260.0, 96.0
LEFT, RIGHT, TOP, BOTTOM = 26.0, 10.0, 8.0, 18.0


def curve(
    label: str,
    points: Sequence[tuple[int, float]],
    line: Collection[int],
    champion: int,
    last: int,
    low: float = 0.0,
    first: int = 1,
) -> Markup:
    """The accuracy on one task: a line through the versions that led to the champion, rings for all others.

    Arguments: `points` are (version number, accuracy); `line` the numbers that the champion comes from, itself
        included; `first` and `last` the oldest and newest version shown and `low` the least accuracy: the same for all
        drawings of a page, so that they compare.

    >>> text = curve("task 1 <b>", [(1, 0.9), (2, 0.5), (3, 0.8)], {1, 3}, champion=3, last=3)
    >>> "&lt;b&gt;" in text, "<b>" in text, text.count("<circle")
    (True, False, 3)
    """
    wide = WIDTH - LEFT - RIGHT

    def at(number: int, value: float) -> tuple[float, float]:
        x = LEFT + wide * (0.5 if last <= first else (number - first) / (last - first))
        return round(x, 1), round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value) / (1 - low), 1)

    parts = []
    for value in (low, (1 + low) / 2, 1.0):
        y = at(first, value)[1]
        parts.append(_tag("line", x1=LEFT, y1=y, x2=WIDTH - RIGHT, y2=y, cls="grid"))
        parts.append(_text(LEFT - 5, y + 3.5, f"{100 * value:.0f}", "end"))
    for number in sorted({first, last}):
        parts.append(_text(at(number, 1)[0], HEIGHT - 4, f"v{number}", "middle"))
    path = " ".join(f"{x},{y}" for x, y in (at(*point) for point in points if point[0] in line))
    parts.append(_tag("polyline", points=path, cls="curve"))
    for number, value in points:
        x, y = at(number, value)
        kind = "now" if number == champion else "past" if number in line else "other"
        title = Markup("<title>version {}: {:.1f} %</title>").format(number, 100 * value)
        parts.append(_tag("circle", title, cx=x, cy=y, r=4.5 if kind == "now" else 3, cls=f"dot {kind}"))
    told = ", ".join(f"version {number} {100 * value:.1f} %" for number, value in points[-12:])
    return _drawing(WIDTH, HEIGHT, f"Accuracy on {label}: {told}", parts)


def interval(label: str, low: float, middle: float, high: float, asked: float) -> Markup:
    """A difference with its bounds, on a scale around zero, and a dashed line at what is asked of `low`.

    >>> "<svg" in interval("task 1", -0.04, -0.01, 0.02, asked=-0.05)
    True
    """
    reach = max(0.02, *(abs(value) for value in (low, middle, high, asked))) * 1.1
    width, height = 140.0, 22.0

    def at(value: float) -> float:
        return round(width / 2 * (1 + value / reach), 1)

    parts = [
        _tag("line", x1=at(0), y1=2, x2=at(0), y2=height - 2, cls="zero"),
        _tag("line", x1=at(asked), y1=1, x2=at(asked), y2=height - 1, cls="asked"),
        _tag("line", x1=at(low), y1=height / 2, x2=at(high), y2=height / 2, cls=f"range {_verdict(low, asked)}"),
        _tag("circle", cx=at(middle), cy=height / 2, r=3.5, cls=f"dot {_verdict(low, asked)}"),
    ]
    told = f"{label}: {100 * middle:+.1f} points, from {100 * low:+.1f} to {100 * high:+.1f}; asked {100 * asked:+.1f}"
    return _drawing(width, height, told, parts)


def _verdict(low: float, asked: float) -> str:
    return "holds" if low >= asked else "fails"


def _drawing(width: float, height: float, told: str, parts: Sequence[Markup]) -> Markup:
    frame = Markup('<svg viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" role="img" aria-label="{}">{}</svg>')
    return frame.format(width, height, width, height, told, Markup("").join(parts))


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:g}" y="{:g}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _tag(name: str, inside: Markup | str = "", **attributes: object) -> Markup:
    told = " ".join(f'{"class" if key == "cls" else key}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name} {told}>{inside}</{name}>")
