"""Method cards: what the docstring of a method says, in its parts."""

from __future__ import annotations

import inspect
from typing import Any

from lifelong.methods.base import Method

__all__ = ["SECTIONS", "card", "sentence"]

SECTIONS = ("Formula:", "Arguments:", "Stores:", "Reference:", "Deviations:", "Example:")


def card(method: type[Method[Any]]) -> str:
    """The whole card as text: sentence, formula, arguments, what it stores, reference, deviations, example."""
    return inspect.getdoc(method) or ""


def sentence(method: type[Method[Any]]) -> str:
    """The first sentence of the card."""
    return card(method).split("\n", 1)[0]
