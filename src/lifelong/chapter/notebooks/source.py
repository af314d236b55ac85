"""The source of a notebook, one text in two languages, and the notebook that is made of it.

A source is Markdown, with English and Chinese text side by side and code between:

    <!-- en -->
    # Forgetting
    <!-- zh -->
    # 遗忘

    ```python
    print("«task|任务» 1")
    ```

A fence of ```python is a cell of code; within it `«English|中文»` stands for either. After `python` may stand
`prediction` (the student writes a value there) and `solution` (its source is collapsed). Other fences (`~~~`) belong to
the text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from lifelong.errors import require
from lifelong.reports.bilingual import Language, Text

__all__ = ["Cell", "notebook", "read_cells", "to_json"]

#: the mark of a language, an opening fence with its words, and a closing one
MARK = re.compile(r"^(?:<!-- (?P<language>en|zh) -->|```python(?P<words>[ \w]*)|```)$", re.MULTILINE)
WORDS = ("prediction", "solution")


@dataclass(frozen=True)
class Cell:
    """A cell: its text or code in both languages, and for code the words of its fence."""

    kind: str
    source: Text
    words: tuple[str, ...] = ()


def read_cells(source: str) -> tuple[Cell, ...]:
    """The cells of a source.

    Raises:
        SettingError: Text without a language, a language without its twin, an unknown word or an open fence.

    Example:
        >>> [cell.source.zh for cell in read_cells("<!-- en -->\\nTry.\\n<!-- zh -->\\n试。\\n```python\\n1 + 1\\n```")]
        ['试。', '1 + 1']
    """
    marks = list(MARK.finditer(source))
    places = [*(mark.start() for mark in marks), len(source)]
    before = source[: places[0]]
    texts = [source[mark.end() : end].strip("\n") for mark, end in zip(marks, places[1:], strict=True)]
    require(not before.strip(), f"expected <!-- en --> or ```python first, got {before[:60]!r}")
    cells: list[Cell] = []
    expected, english = "", ""
    for mark, text in zip(marks, texts, strict=True):
        name = mark["language"] or ("code" if mark["words"] is not None else "end")
        require(
            name == expected or (not expected and name in ("en", "code")),
            f"expected {expected or 'en or code'} and not {name} before {text[:60]!r}",
        )
        require((text.strip() == "") == (name == "end"), f"text in {name!r}: {text[:60]!r}")
        expected = {"en": "zh", "code": "end"}.get(name, "")
        if name == "en":
            english = text
        elif name == "zh":
            cells.append(Cell("markdown", Text(english, text)))
        elif name == "code":
            words = tuple(mark["words"].split())
            unknown = ", ".join(sorted(set(words) - set(WORDS)))
            require(not unknown, f"a fence may say {', '.join(WORDS)}, got {unknown}")
            cells.append(
                Cell("code", Text(*(re.sub(r"«([^|»]*)\|([^»]*)»", rf"\{side}", text) for side in (1, 2))), words)
            )
    require(not expected, f"expected {expected} at the end")
    return tuple(cells)


def notebook(name: str, cells: tuple[Cell, ...], language: Language) -> dict[str, Any]:
    """A notebook (nbformat 4.5) of `cells` in one language, without outputs; ids follow from `name` and the place.

    Example:
        >>> content = notebook("demo", (Cell("code", Text("1 + 1", "1 + 1"), ("solution",)),), "en")
        >>> content["cells"][0]["id"], content["cells"][0]["metadata"]["jupyter"]
        ('demo-01', {'source_hidden': True})
    """
    return {
        "cells": [
            {
                "cell_type": cell.kind,
                "id": f"{name}-{number:02d}",
                "metadata": _metadata(cell),
                "source": cell.source.of(language),
                **({"execution_count": None, "outputs": []} if cell.kind == "code" else {}),
            }
            for number, cell in enumerate(cells, start=1)
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _metadata(cell: Cell) -> dict[str, Any]:
    hidden = {"jupyter": {"source_hidden": True}} if "solution" in cell.words else {}
    return {**hidden, **({"tags": list(cell.words)} if cell.words else {})}


def to_json(content: dict[str, Any]) -> bytes:
    """The bytes of a notebook file: the same each time."""
    return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
