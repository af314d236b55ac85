"""One line about each stream, and all about its settings."""

from __future__ import annotations

import inspect

from lifelong.errors import unknown_name
from lifelong.streams.catalogue import NAMES
from lifelong.streams.kinds import KINDS

__all__ = ["card", "sentence"]

DATA = {
    "digits": "1,797 real handwritten digits of 8×8 pixels, embedded",
    "mnist": "70,000 handwritten digits of 28×28 pixels",
    "fashion-mnist": "70,000 pictures of clothes of 28×28 pixels",
}


def sentence(name: str) -> str:
    """What the stream is, in one line.

    >>> sentence("split-digits")
    'Every task brings new classes. 1,797 real handwritten digits of 8×8 pixels, embedded.'
    """
    data = name.partition("-")[2]
    return f"{card(name).splitlines()[0]} {DATA[data]}."


def card(name: str) -> str:
    """The card of a stream: its sentence and its settings."""
    if name not in NAMES:
        raise unknown_name("stream", name, NAMES)
    return inspect.getdoc(KINDS[name.partition("-")[0]]) or ""
