"""Method cards: what the docstring of a method says, in its parts, as a table row and as a page."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import fields
from typing import Any, Literal

from lifelong.methods.base import Method

__all__ = ["COLUMNS", "SECTIONS", "card", "chain_card", "index", "page", "row", "section", "sentence"]

SECTIONS = ("Chinese:", "Formula:", "Arguments:", "Stores:", "Reference:", "Deviations:", "Limits:", "Example:")
COLUMNS = ("method", "family", "needs", "stores", "scenarios", "reference")


def card(method: type[Method[Any]]) -> str:
    """The whole card as text: sentence, formula, arguments, what it stores, reference, deviations, example."""
    return inspect.getdoc(method) or ""


def sentence(method: type[Method[Any]], language: Literal["en", "zh"] = "en") -> str:
    """The first sentence of the card; in English where it has none in Chinese.

    >>> from lifelong.methods import Joint
    >>> sentence(Joint, "zh")
    '保留所有任务的全部数据，一起学习：上界。'
    """
    chinese = section(method, "Chinese:") if language == "zh" else ""
    return chinese or " ".join(card(method).split("\n\n", 1)[0].split())


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


def chain_card(names: str) -> str:
    """The card of a chain as in `ewc+er`: whether its methods go together, what they need and store, and their cards.

    Raises: `SettingError` for a method that there is not, and for methods that do not go together.
    """
    from lifelong.methods import build, method_class

    whole = build(names)
    kinds = [method_class(name) for name in names.split("+")]
    scenarios = [name for name in ("task", "domain", "class") if all(name in kind.scenarios for kind in kinds)]
    needs = sorted({need for kind in kinds for need in kind.needs})
    lines = [
        f"{whole.name}: these methods go together; each step takes what all of them say.",
        "",
        f"Scenarios: {', '.join(scenarios) or 'none'}",
        f"Needs: {', '.join(needs) or 'nothing'}",
        "Stores: the sum of",
        *(f"    {kind.name}: {' '.join(section(kind, 'Stores:').split())}" for kind in kinds),
    ]
    for kind in kinds:
        lines += ["", f"--- {kind.name} ---", "", card(kind)]
    return "\n".join(lines)


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
        if title == "Chinese:":
            lines += ["", text]
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
