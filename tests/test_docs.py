"""The pages of docs say what the code does: those of the methods, and where the defaults come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
from defaults import REST, SEARCHES
from typer.testing import CliRunner

from lifelong.cli.app import app
from lifelong.experiments.experiment import defaults_for
from lifelong.methods import METHODS
from lifelong.methods.card import index, page

FOLDER = Path(__file__).parents[1] / "docs" / "methods"


@pytest.mark.parametrize("name", METHODS)
def test_the_page_of_a_method_is_up_to_date(name: str) -> None:
    assert (FOLDER / f"{name}.md").read_text() == page(METHODS[name]), "run: lifelong methods --write docs/methods"


def test_the_table_of_methods_is_up_to_date() -> None:
    assert (FOLDER / "README.md").read_text() == index(list(METHODS.values())), (
        "run: lifelong methods --write docs/methods"
    )
    assert {path.stem for path in FOLDER.glob("*.md")} == {*METHODS, "README"}


def test_the_command_writes_these_pages(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["methods", "--write", str(tmp_path / "pages")])
    assert done.exit_code == 0, done.output
    written = {path.name: path.read_text() for path in (tmp_path / "pages").iterdir()}
    assert written == {path.name: path.read_text() for path in FOLDER.iterdir()}


DEFAULTS = FOLDER.parent / "defaults.md"


def chosen() -> Iterator[tuple[str, str, float | str]]:
    """Method, setting and value of every search on the page."""
    for line in DEFAULTS.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 2 and "lifelong tune" in line:
            for part in cells[2].split(", "):
                setting, value = part.replace("`", "").split()
                number = value.replace(".", "").isdigit()
                yield cells[1], setting.rpartition(".")[2], float(value) if number else value


def test_defaults_are_the_values_that_were_chosen_rounded() -> None:
    found = list(chosen())
    assert {method for method, _, _ in found} == set(SEARCHES)
    for method, setting, value in found:
        owner = SimpleNamespace(**defaults_for("permuted-digits")) if method == "joint" else METHODS[method]()
        if isinstance(value, str):
            assert getattr(owner, setting) == value, (method, setting, value)
            continue
        near = [value * (1 + shift) for shift in (-0.005, 0, 0.005)]  # the page itself has three digits
        rounded = {float(f"{one:.{digits}g}") for one in near for digits in (1, 2)}
        assert getattr(owner, setting) in {value, *rounded}, (method, setting, value)


def test_what_was_not_searched_is_told() -> None:
    assert DEFAULTS.read_text().endswith(REST)
    told = REST.replace(",", " ").replace(".", " ").split()
    assert not [name for name in METHODS if name not in SEARCHES and name not in told]
    for line in REST.splitlines():
        if line.startswith("| ") and "`" in line:
            method, setting = (cell.strip(" `") for cell in line.strip("|").split("|"))
            assert setting in {field.name for field in fields(METHODS[method])}
            assert f"{method}.{setting}=" not in " ".join(SEARCHES.get(method, ()))
