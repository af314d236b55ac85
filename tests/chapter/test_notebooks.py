"""The notebooks: the same bytes each time, the same code in both languages, and each runs from top to bottom."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from nbformat import from_dict, validate

from lifelong.__main__ import main
from lifelong.chapter.notebooks import NAMES, cells_of, notebooks, write_notebooks
from lifelong.chapter.notebooks.execute import executed
from lifelong.chapter.notebooks.source import notebook, read_cells, to_json
from lifelong.errors import LifelongError, SettingError, StorageError


def code_of(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def shape(source: str) -> str:
    """The syntax tree of a cell without the text of its strings."""
    tree = ast.parse(source.replace("%matplotlib inline", ""))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_code_and_texts_of_their_own(name: str) -> None:
    english, chinese = (notebook(name, cells_of(name), language)["cells"] for language in ("en", "zh"))
    assert [cell["id"] for cell in english] == [cell["id"] for cell in chinese]
    for en, zh in zip(english, chinese, strict=True):
        assert en["metadata"] == zh["metadata"]
        assert not re.search("[«»]", en["source"] + zh["source"])
        if en["cell_type"] == "code":
            assert shape(en["source"]) == shape(zh["source"])
            assert not re.search("[一-鿿]", en["source"])
        else:
            assert re.search("[一-鿿]", zh["source"])
            assert not re.search("[一-鿿]", en["source"])
            assert (
                en["source"].count("<details>") == zh["source"].count("<details>") == zh["source"].count("</details>")
            )


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_asks_for_predictions_and_hides_answers(name: str) -> None:
    cells = notebook(name, cells_of(name), "en")["cells"]
    asked = {
        n
        for c in cells
        if "prediction" in c["metadata"].get("tags", ())
        for n in re.findall(r"prediction_\d", c["source"])
    }
    revealed = {n for c in cells for n in re.findall(r"reveal\((prediction_\d),", c["source"])}
    assert asked
    assert asked == revealed
    assert any(cell["metadata"].get("jupyter", {}).get("source_hidden") for cell in cells)


def test_the_same_bytes_come_each_time_and_nothing_is_stored_beside_the_source() -> None:
    once, again = notebooks(), notebooks()
    assert list(once) == [f"{language}/{name}.ipynb" for language in ("en", "zh") for name in NAMES]
    for file, content in once.items():
        assert to_json(content) == to_json(again[file])
        validate(from_dict(content))
        assert all(not cell["outputs"] for cell in content["cells"] if cell["cell_type"] == "code")


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_in_a_minute_and_shows_pictures_and_what_was_predicted(name: str) -> None:
    content = notebook(name, cells_of(name), "en")
    for cell in content["cells"]:
        if "prediction" in cell["metadata"].get("tags", ()):
            cell["source"] = cell["source"].replace("= None", "= 50")
    cells = [cell for cell in executed(content, timeout=60)["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    said = "".join(output["text"] for output in outputs if output.get("name") == "stdout")
    assert said.count("your prediction: 50.0   measured: ") == sum(c["source"].count("reveal(p") for c in cells[1:])
    assert "✗" not in said
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2


def test_a_cell_that_fails_is_an_error_with_its_message() -> None:
    with pytest.raises(LifelongError, match="ZeroDivisionError: division by zero"):
        executed(notebook("x", read_cells("```python\n1 / 0\n```"), "en"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("<!-- en -->\nhello\n", "expected zh at the end"),
        ("<!-- en -->\nhello\n```python\n1\n```\n", "expected zh and not code"),
        ("<!-- zh -->\n你好\n", "expected en or code and not zh"),
        ("hello\n", "first"),
        ("```python secret\n1\n```\n", "prediction, solution, got secret"),
        ("```python\n1\n", "expected end at the end"),
        ("```python\n1\n```\nhello\n", "text in 'end'"),
    ],
)
def test_mistakes_in_a_source_are_told(source: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read_cells(source)


def test_the_command_writes_a_folder_per_language_and_no_work_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "course"
    assert code_of("notebooks", str(out), "--language", "zh") == 0
    assert sorted(path.name for path in (out / "zh").iterdir()) == [f"{name}.ipynb" for name in NAMES]
    assert not (out / "en").exists()
    file = out / "zh" / f"{NAMES[-1]}.ipynb"
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    content["cells"][0]["source"] = "mine"
    file.write_text(json.dumps(content), "utf-8")
    assert code_of("notebooks", str(out)) == 2
    assert "may hold somebody's answers" in " ".join(capsys.readouterr().err.split())
    assert "mine" in file.read_text("utf-8")
    assert not (out / "en").exists(), "nothing is written where one file may not be"
    file.unlink()
    assert code_of("notebooks", str(out)) == 0
    assert len(list(out.rglob("*.ipynb"))) == 2 * len(NAMES)
    assert code_of("notebooks", str(out), "--run") == 2, "what runs for a minute is refused before"
    assert "is there already" in capsys.readouterr().err


def test_a_language_that_does_not_exist_and_a_folder_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of("notebooks", str(tmp_path / "out"), "--language", "fr") == 2
    assert "en or zh" in capsys.readouterr().err
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(StorageError, match="cannot write"):
        write_notebooks(tmp_path / "letter", notebooks(("en",)))
