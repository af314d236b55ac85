"""Numbers as people read them: percents, seconds, bytes; a dash where nothing was measured."""

from __future__ import annotations

import math
from collections.abc import Callable

from lifelong.evaluation import Interval

__all__ = ["DASH", "count", "number", "percent", "points", "seconds", "share", "size", "with_interval"]

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def percent(fraction: float) -> str:
    """A fraction in percent without the sign %; one decimal, or none above 100 (a wide interval).

    >>> percent(0.9126), percent(-0.0313), percent(-0.0001), percent(1.271), percent(float("nan"))
    ('91.3', '−3.1', '0.0', '127', '–')
    """
    if math.isnan(fraction):
        return DASH
    text = f"{100 * fraction:.1f}" if abs(fraction) <= 1 else f"{100 * fraction:.0f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def number(value: float) -> str:
    """A score that is no percentage, to three digits.

    >>> number(0.91234), number(1234.5), number(-0.5), number(float("nan"))
    ('0.912', '1.23e+03', '−0.5', '–')
    """
    return DASH if math.isnan(value) else f"{value:.3g}".replace("-", MINUS, 1) if value < 0 else f"{value:.3g}"


def points(fraction: float) -> str:
    """A difference in percentage points, with its sign.

    >>> points(0.021), points(-0.021)
    ('+2.1', '−2.1')
    """
    text = percent(fraction)
    return text if text[0] in (DASH, MINUS) or text == "0.0" else f"+{text}"


def with_interval(value: Interval, write: Callable[[float], str] = percent, sign: str = " ± ") -> str:
    """`mean ± ci95`, each as `write` puts it; the mean alone where there is no interval (one seed).

    >>> with_interval(Interval(0.9, 0.0123)), with_interval(Interval(0.9, float("nan")))
    ('90.0 ± 1.2', '90.0')
    """
    return write(value.mean) if math.isnan(value.ci95) else write(value.mean) + sign + write(value.ci95).lstrip("+")


def share(value: Interval) -> str:
    """A mean of fractions with its interval in percent, which is cut at 0 and 100.

    >>> share(Interval(0.9, 0.012)), share(Interval(0.98, 0.05)), share(Interval(0.9, float("nan")))
    ('90.0 ± 1.2', '98.0 (93.0 … 100.0)', '90.0')
    """
    low, high = value.mean - value.ci95, value.mean + value.ci95
    if math.isnan(value.ci95) or (low >= 0 and high <= 1):
        return with_interval(value)
    return f"{percent(value.mean)} ({percent(max(low, 0.0))} … {percent(min(high, 1.0))})"


def seconds(value: float) -> str:
    """A duration in at most seven characters.

    >>> seconds(0.034), seconds(7.25), seconds(312.0), seconds(8000.0)
    ('34 ms', '7.2 s', '5.2 min', '2.2 h')
    """
    if math.isnan(value):
        return DASH
    if 0 < value < 0.9995:
        return f"{1000 * value:.0f} ms"
    for unit, length in (("s", 1), ("min", 60)):
        if value < 99.5 * length:
            return _short(value / length, unit)
    return _short(value / 3600, "h")


def size(value: float) -> str:
    """A number of bytes, in decimal units.

    >>> size(0), size(999), size(1500), size(2.5e9)
    ('0 B', '999 B', '1.5 kB', '2.5 GB')
    """
    if math.isnan(value):
        return DASH
    if value < 999.5:
        return f"{value:.0f} B"
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return _short(value, unit)
    return _short(value / 1000, "TB")


def count(value: int) -> str:
    """A number of things, to three digits or so.

    >>> count(850), count(7850), count(89610), count(11_200_000)
    ('850', '7.8 k', '89.6 k', '11.2 M')
    """
    if value < 1000:
        return str(value)
    for unit, thousand in (("k", 1e3), ("M", 1e6)):
        if value < 999.95 * thousand:
            return f"{value / thousand:.1f} {unit}"
    return f"{value / 1e9:.1f} G"


def _short(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
