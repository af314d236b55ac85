"""Method cards: what the docstring of a method says, in its parts, as a table row and as a page."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import fields
from typing import Any

from lifelong.methods.base import Method

__all__ = ["COLUMNS", "SECTIONS", "card", "index", "page", "row", "section", "sentence"]

SECTIONS = ("Formula:", "Arguments:", "Stores:", "Reference:", "Deviations:", "Limits:", "Example:")
COLUMNS = ("method", "family", "needs", "stores", "scenarios", "reference")


def card(method: type[Method[Any]]) -> str:
    """The whole card as text: sentence, formula, arguments, what it stores, reference, deviations, example."""
    return inspect.getdoc(method) or ""


def sentence(method: type[Method[Any]]) -> str:
    """The first sentence of the card."""
    return " ".join(card(method).split("\n\n", 1)[0].split())


def section(method: type[Method[Any]], title: str) -> str:
    """What follows one of the `SECTIONS` in the card, its layout kept; empty where there is none.

    >>> from lifelong.methods import Finetune
    >>> section(Finetune, "Stores:")
    'nothing, 0 bytes.'
    """
    pieces = re.split(rf"^({'|'.join(SECTIONS)})", card(method), flags=re.MULTILINE)
    found = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    first, _, rest = found.get(title, "").strip("\n").partition("\n")
    return f"{first.strip()}\n{textwrap.dedent(rest)}".strip()


def row(method: type[Method[Any]]) -> tuple[str, ...]:
    """The method in a table of the `COLUMNS`."""
    stores = re.split(r"[.;](?:\s|$)", " ".join(section(method, "Stores:").split()), maxsplit=1)[0]
    scenarios = "all" if len(method.scenarios) == 3 else ", ".join(method.scenarios)
    return method.name, method.family, ", ".join(method.needs) or "-", stores, scenarios, method.reference


def page(method: type[Method[Any]]) -> str:
    """The card as a page of markdown."""
    _, family, needs, _, scenarios, _ = row(method)
    lines = [
        f"# {method.name}",
        "",
        sentence(method),
        "",
        f"*Family:* {family} · *needs:* {needs} · *scenarios:* {scenarios}",
    ]
    for title in SECTIONS:
        text = section(method, title)
        if not text:
            continue
        lines += ["", f"## {title[:-1]}", ""]
        if title == "Formula:":
            lines += ["```text", text, "```"]
        elif title == "Example:":
            lines += ["```python", text, "```"]
        elif title == "Arguments:":
            defaults = {field.name: field.default for field in fields(method) if field.name != "label"}
            lines += [_argument(line, defaults) for line in text.split("\n")]
        else:
            lines += [text]
    return "\n".join(lines) + "\n"


def _argument(line: str, defaults: dict[str, object]) -> str:
    """A line of the arguments, as an item of a list where it names one."""
    name, colon, rest = line.partition(":")
    return f"* `{name} = {defaults[name]!r}`:{rest}" if colon and name in defaults else line


def index(methods: list[type[Method[Any]]]) -> str:
    """The table of all methods as a page of markdown that links to theirs."""
    lines = [
        "# Methods",
        "",
        "Made from the docstrings by `lifelong methods --write docs/methods`; `lifelong methods NAME` prints one.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
    ]
    for method in methods:
        name, *others = row(method)
        cells = [f"[{name}]({name}.md)", *(text.replace("|", "\\|") for text in others)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
