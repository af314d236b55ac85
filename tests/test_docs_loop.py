"""The commands of docs/loop.md, as they stand there: bash and curl against a real `lifelong serve`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from loop_clients import AT, Caller, RefusedError, examples
from loop_server import PROJECT, Own, prepare, started
from msgspec.structs import replace as with_changes

from lifelong.loop.engine.intake import Given, Intake
from lifelong.loop.learning import Candidate
from lifelong.service.home import open_engine
from lifelong.store import feedback, review, versions

PAGE = Path(__file__).parents[1] / "docs" / "loop.md"
RUN = re.compile(r"curl |lifelong loop (keys|status|versions|audit) ")
#: what is in the blocks and is not run, and why; other lines set variables, which the test does, or are comments
NOT_RUN = {
    "pip install": "installs from the network",
    "lifelong loop init": "learns for long; tests/service/test_end_to_end.py does it",
    "lifelong serve": "goes on; the server here was started by it",
    "lifelong worker": "goes on; tests/service/test_end_to_end.py does what it does",
}
#: answers that are refused here, and why
REFUSED = {
    "/versions/2:reject": (409, "no version waits for a person"),
    "/examples?task=2": (404, "no update has made a task of feedback here"),
    """:rollback -H "$AUTH" -H 'If-Match""": (409, "the line before went back to version 1, which was made from none"),
}
HEAD = """
set -eu
curl() { command curl --fail-with-body --max-time 60 "$@"; }
lifelong() { "$PYTHON" -c "from lifelong.cli import main; main()" "$@"; }
AUTH="Authorization: Bearer $LIFELONG_KEY"; AT=$URL/v1/projects/digits
"""


def lines(text: str) -> list[str]:
    """The lines of all blocks of bash, continued ones put together."""
    found = re.findall(r"^ *```bash\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in found for line in block.replace("\\\n", " ").splitlines()]


@dataclass(frozen=True)
class Shell:
    """Runs lines of the page in the folder of a home that is served at `url`."""

    home: Path
    url: str
    key: str

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """What the line gives."""
        environment = {**os.environ, "LIFELONG_KEY": self.key, "URL": self.url, "PYTHON": sys.executable}
        return subprocess.run(
            ["bash", "-c", HEAD + line], cwd=self.home.parent, env=environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    def filled(self, caller: Caller, line: str) -> str:
        """The line with what stands in it for a value."""
        x = json.dumps(examples()[0]["x"])
        values = {"http://127.0.0.1:8000": self.url, "[0, 0, …]": json.dumps([0] * 64), "[[[…]]]": x}
        if "prediction_id" in line:
            data = {"inputs": [{"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [0] * 64}]}
            answer = caller.ask("POST", "/v2/models/digits/infer", data)
            values['"prediction_id": "…"'] = f'"prediction_id": "{answer["outputs"][2]["data"][0]}"'
        if "u-…" in line:
            values["u-…"] = caller.ask("GET", f"{AT}/updates")[0]["id"]
        if "f-…" in line:
            values["f-…"] = caller.ask("GET", f"{AT}/quarantine")[0]["id"]
        if "0123456789abcdef" in line:
            made = [each for each in caller.ask("GET", "/v1/keys") if each["name"] == "phone"]
            values["0123456789abcdef"] = made[-1]["id"]
        if "If-Match" in line:
            values['"3"'] = f'"{caller.ask("GET", f"{AT}/aliases/champion")["revision"]}"'
        for name, value in values.items():
            line = line.replace(name, value)
        return line


def free(caller: Caller, name: str) -> None:
    """Let no update be under way, and enough wait for another one."""
    active = caller.ask("GET", AT)["active"]
    if active is not None:
        caller.ask("POST", f"{AT}/updates/{active['id']}:cancel", {})
    labels = [{**body, "key": f"{name} {number}"} for number, body in enumerate(examples()[:120])]
    caller.ask("POST", f"{AT}/feedback:batch", "\n".join(map(json.dumps, labels)).encode())


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A server without a worker over three versions and a label in quarantine; `labels.ndjson` lies beside the home."""
    for needed in ("bash", "curl"):
        if shutil.which(needed) is None:
            pytest.skip(f"needs {needed}")
    home = tmp_path / "home"
    key = prepare(home, second=True)
    with open_engine(home) as engine:
        one = engine.read(lambda connection: versions.listed(connection, "digits"))[0]
        third = Candidate.of(replace(PROJECT, seed=2).new_learner())
        row = with_changes(one.content(), parent=one.id, blob=engine.blobs.put(third.data))
        engine.write(lambda connection: versions.add(connection, row, 6.0))
        Intake(engine).add("digits", Given(key="odd", label=7, x=examples()[0]["x"])).result(timeout=30)
        name = feedback.feedback_id("digits", "odd")
        engine.write(lambda connection: review.quarantine(connection, name, "odd"))
    labels = [{**body, "key": str(number)} for number, body in enumerate(examples()[:120])]
    (tmp_path / "labels.ndjson").write_text("\n".join(map(json.dumps, labels)))
    servers = Own(home, ("--no-worker",))
    server = started(servers)
    try:
        yield Shell(home, server.url, key)
    finally:
        servers.end(server.pid)


def test_lines_are_found() -> None:
    text = "```bash\nexport A=1\ncurl -s b \\\n  -d 1\n# no\n```\n```toml\ncurl\n```\n"
    assert lines(text) == ["export A=1", "curl -s b    -d 1", "# no"]


def test_the_commands_of_the_page_do_what_it_says(shell: Shell) -> None:
    done: list[str] = []
    with Caller(shell.url, shell.key) as caller:
        for number, line in enumerate(lines(PAGE.read_text())):
            if RUN.match(line) is None:
                continue
            if "$AT/updates " in line and "-d" in line:
                free(caller, str(number))
            if "/events" in line:  # they end when it is decided
                caller.ask("POST", f"{AT}/updates/{caller.ask('GET', f'{AT}/updates')[0]['id']}:cancel", {})
            given = shell.run(shell.filled(caller, line))
            refused = next((each for mark, each in REFUSED.items() if mark in line), None)
            if refused is None:
                assert given.returncode == 0, f"{line}\n{given.stdout[-1000:]}\n{given.stderr[-1000:]}"
                assert '"error"' not in given.stdout, f"{line}\n{given.stdout[:1000]}"
            else:
                assert (given.returncode, json.loads(given.stdout)["status"]) == (22, refused[0]), line
            done.append(line)
        with pytest.raises(RefusedError, match="404"):
            caller.ask("GET", f"{AT}/nothing")
    assert len(done) >= 20, "the page has more commands than these"


def test_what_is_not_run_is_known() -> None:
    left = [line for line in lines(PAGE.read_text()) if line.startswith(("pip", "lifelong")) and not RUN.match(line)]
    assert [line for line in left if not any(line.startswith(mark) for mark in NOT_RUN)] == []
