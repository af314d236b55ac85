"""What is wrong is refused with the right status and a sentence that says the mend, and nothing of it is stored."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loop_clients import AT, Caller, examples
from loop_server import Forked, started

from lifelong.service.home import open_engine
from lifelong.store import keys

X = examples()[0]["x"]
INFER = "/v2/models/digits/infer"
NAN = json.dumps(X).replace("0.0", "NaN", 1)
BIG = b" " * (8 * 2**20 + 1)


class Raw:
    """Sends anything at all, and tells status and body; `keys` by what is wrong with them."""

    def __init__(self, url: str, secrets: dict[str, str]) -> None:
        self.url, self.keys = url, secrets

    def ask(self, method: str, path: str, body: object, key: str = "right") -> tuple[int, bytes]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        secret = self.keys.get(key, key)
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"} | headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def stored(self) -> Any:
        """Everything that a bad request could have changed."""
        with Caller(self.url, self.keys["right"]) as caller:
            status = caller.ask("GET", AT)
            trail = caller.ask("GET", f"{AT}/audit?verify=true")
            waiting = caller.ask("GET", f"{AT}/feedback")
            return status, trail, waiting, caller.ask("GET", f"{AT}/versions")


@pytest.fixture(scope="module")
def raw(
    prepared: tuple[Path, str], forking: subprocess.Popen[bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Raw]:
    home = Path(shutil.copytree(prepared[0], tmp_path_factory.mktemp("bad") / "home"))
    secrets = {"right": prepared[1], "none": "", "wrong": "lifelong_0123456789abcdef_" + 64 * "0"}
    with open_engine(home) as engine:
        for name, scopes, expires in (
            ("expired", ["admin"], 2.0), ("revoked", ["admin"], None), ("predicts", ["predict"], None),
            ("feeds", ["feedback"], None),
        ):  # fmt: skip
            secret, row = engine.write(
                lambda connection, name=name, scopes=scopes, expires=expires: keys.create(
                    connection, name, scopes, now=1.0, expires=expires
                )
            )
            secrets[name] = secret
            if name == "revoked":
                engine.write(lambda connection, row=row: keys.revoke(connection, row.id, now=2.0))
    servers = Forked(home, forking, {"worker": False})
    server = started(servers)
    yield Raw(server.url, secrets)
    servers.end(server.pid)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [X], **changes}]}


FEEDBACK = f"{AT}/feedback"
GOOD = {"label": 1, "x": X}

TABLE: list[tuple[str, str, object, int, str]] = [
    # predictions
    ("POST", INFER, tensor(shape=[1, 1, 7, 8], data=[0] * 56), 400, "expected [N, 1, 8, 8]"),
    ("POST", INFER, tensor(data=[0] * 63), 400, "make them agree"),
    ("POST", INFER, tensor(data=["a"] * 64), 400, "found text; send numbers without quotes"),
    ("POST", INFER, tensor(datatype="BYTES"), 400, "got 'BYTES'"),
    ("POST", INFER, json.dumps(tensor()).replace("0.0", "NaN", 1).encode(), 400, "NaN and Infinity are no JSON"),
    ("POST", INFER, b"{", 400, "the body is no JSON: unexpected end"),
    ("POST", INFER, b"", 400, "the body is no JSON: Input is a zero-length"),
    ("POST", INFER, {"inputs": []}, 400, "expected one tensor"),
    ("POST", INFER, BIG, 413, "send fewer"),
    ("POST", "/v2/models/nothing/infer", tensor(), 404, "unknown model 'nothing'"),
    ("POST", "/v2/models/digits/versions/nothing/infer", tensor(), 404, "versions are named by their id"),
    # one label
    ("POST", FEEDBACK, {**GOOD, "x": X[0]}, 400, "shape [8, 8], expected [1, 8, 8]"),
    ("POST", FEEDBACK, {**GOOD, "x": "a"}, 422, "Expected `array | null` - at `$.x`"),
    ("POST", FEEDBACK, {**GOOD, "x": [[["a"] * 8] * 8]}, 400, "expected numbers; send bare numbers"),
    ("POST", FEEDBACK, f'{{"label": 1, "x": {NAN}}}'.encode(), 422, "JSON is malformed: invalid character (byte 21)"),
    ("POST", FEEDBACK, {**GOOD, "label": 10}, 400, "unknown class '10'"),
    ("POST", FEEDBACK, {**GOOD, "label": "seven"}, 400, "unknown class"),
    ("POST", FEEDBACK, {**GOOD, "label": 1.5}, 422, "got `float` - at `$.label`"),
    ("POST", FEEDBACK, {**GOOD, "label": None}, 422, "got `null` - at `$.label`"),
    ("POST", FEEDBACK, {"label": 1}, 400, "prediction_id or bring x"),
    ("POST", FEEDBACK, {**GOOD, "lable": 1}, 422, "unknown field `lable`"),
    ("POST", FEEDBACK, {**GOOD, "key": "k" * 201}, 400, "1 to 200 printable characters, got 201"),
    ("POST", FEEDBACK, {**GOOD, "key": "a\nb"}, 400, "printable characters, got 3"),
    ("POST", FEEDBACK, {**GOOD, "supersedes": "f-0"}, 404, "not stored"),
    ("POST", FEEDBACK, b"{", 422, "not one label as JSON: Input data was truncated"),
    ("POST", FEEDBACK, b"", 422, "not one label as JSON: Input data was truncated"),
    ("POST", FEEDBACK, BIG, 413, "send fewer"),
    ("POST", "/v1/projects/nothing/feedback", GOOD, 404, "unknown project 'nothing'; known: digits"),
    # many
    ("POST", f"{FEEDBACK}:batch", BIG, 413, "send fewer"),
    ("POST", "/v1/projects/nothing/feedback:batch", GOOD, 404, "unknown project"),
    # the rest
    ("POST", f"{AT}/updates", {"task": 99}, 404, "has learned task 99"),
    ("POST", f"{AT}/updates", {"method": {"name": "ewcc"}}, 400, "did you mean 'ewc'?"),
    ("POST", f"{AT}/updates", {}, 400, "wait for about 67 examples"),
    ("GET", f"{AT}/updates/u-0", b"", 404, "list of updates"),
    ("POST", f"{AT}/updates/u-0:cancel", {}, 404, "list of updates"),
    ("GET", f"{AT}/versions/99", b"", 404, "it has the numbers 1 … 2"),
    ("POST", f"{AT}/versions/99:promote", {}, 404, "numbers 1 … 2"),
    ("POST", f"{AT}/versions/2:reject", {}, 409, "does not wait"),
    ("POST", f"{AT}:rollback", {"version": "99"}, 404, "numbers 1 … 2"),
    ("POST", f"{AT}:rollback", {}, 409, "made from none"),
    ("PUT", f"{AT}/aliases/champion", {"version": "2"}, 428, "If-Match"),
    ("POST", f"{AT}/quarantine/f-0:accept", {}, 404, "no feedback 'f-0'"),
    ("GET", f"{AT}/feedback?limit=0", b"", 422, "query.limit: Input should be greater than or equal to 1"),
    ("GET", f"{AT}/feedback?after=-1", b"", 422, "query.after: Input should be greater than or equal to 0"),
    ("GET", "/v1/projects/nothing", b"", 404, "known: digits"),
    ("GET", "/v1/nothing", b"", 404, "nothing is at this address; /v1/openapi.json"),
    ("DELETE", FEEDBACK, b"", 405, "does not take this method; /v1/openapi.json"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    TABLE,
    ids=[f"{number}-{row[1]}" for number, row in enumerate(TABLE)],
)
def test_it_is_refused(raw: Raw, method: str, path: str, body: object, status: int, message: str) -> None:
    before = raw.stored()
    found, answer = raw.ask(method, path, body)
    assert found == status, answer
    said = json.loads(answer)
    assert message in said["detail" if path.startswith("/v1") else "error"], said
    assert raw.stored() == before


LINES: list[tuple[bytes, str]] = [
    (b"{", "line 1: Input data was truncated"),
    (b"[]", "line 2: Expected `object`, got `array`"),
    (b"1", "line 3: Expected `object`, got `int`"),
    (b'{"label": 1}', "should name a prediction_id or bring x"),
    (f'{{"label": 1, "x": {NAN}}}'.encode(), "line 5: JSON is malformed: invalid character"),
    (b"\xff\xfe", "line 6: JSON is malformed: invalid character"),
    (json.dumps({**GOOD, "x": X[0]}).encode(), "shape [8, 8], expected [1, 8, 8]"),
    (json.dumps({**GOOD, "label": 10}).encode(), "unknown class '10'"),
    (json.dumps({**GOOD, "who": 1}).encode(), "line 9: Object contains unknown field `who`"),
]


def test_every_bad_line_says_so_and_none_is_stored(raw: Raw) -> None:
    before = raw.stored()
    status, answer = raw.ask("POST", f"{FEEDBACK}:batch", b"\n".join(line for line, _ in LINES))
    results = [json.loads(line)["error"] for line in answer.splitlines()]
    assert (status, len(results)) == (200, len(LINES))
    for told, (_, message) in zip(results, LINES, strict=True):
        assert message in told
    assert raw.stored() == before


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        *((key, path, 401) for key in ("none", "wrong", "expired", "revoked", "ä") for path in (INFER, FEEDBACK)),
        ("predicts", FEEDBACK, 403), ("feeds", INFER, 403), ("feeds", f"{AT}/versions/2:promote", 403),
        ("predicts", f"{AT}/updates", 403), ("feeds", "/v1/work:claim", 403),
    ],
)  # fmt: skip
def test_keys(raw: Raw, key: str, path: str, status: int) -> None:
    before = raw.stored()
    body = {"owner": "w"} if path.endswith("claim") else tensor() if path == INFER else GOOD if path == FEEDBACK else {}
    if key == "ä":
        raw.keys["ä"] = "l\xe4"
    found, answer = raw.ask("POST", path, body, key)
    assert found == status, answer
    if status == 403:
        scope = {INFER: "predict", FEEDBACK: "feedback", "/v1/work:claim": "worker"}.get(path, "admin")
        message = f"and this needs {scope!r}; ask for another"
    else:
        message = "send the header Authorization: Bearer <key>" if key == "none" else "revoked; ask an administrator"
    assert message in json.loads(answer)["error" if path == INFER else "detail"]
    assert raw.stored() == before
