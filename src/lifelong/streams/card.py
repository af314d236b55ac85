"""One line about each stream, and all about its settings."""

from __future__ import annotations

import inspect

from lifelong.streams.catalogue import kind_of

__all__ = ["card", "sentence"]

DATA = {
    "digits": "1,797 real handwritten digits of 8×8 pixels, embedded",
    "mnist": "70,000 handwritten digits of 28×28 pixels",
    "fashion-mnist": "70,000 pictures of clothes of 28×28 pixels",
    "babi": "The bAbI tasks: 1,000 questions each, simulated or from the official files",
}


def sentence(name: str) -> str:
    """What the stream is, in one line.

    >>> sentence("split-digits")
    'Every task brings new classes. 1,797 real handwritten digits of 8×8 pixels, embedded.'
    """
    data = name.partition("-")[2] or name
    return f"{card(name).splitlines()[0]} {DATA[data]}."


def card(name: str) -> str:
    """The card of a stream: its sentence and its settings."""
    return inspect.getdoc(kind_of(name)) or ""
