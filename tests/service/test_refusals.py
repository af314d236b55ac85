"""What the service refuses, on a real server: bad requests, keys, rates, overload, slow and endless clients."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from waiting import joined, until

from lifelong.service.model import Answers, Model

from .asking import INFER, ROWS, Question, bearer


@pytest.mark.parametrize(
    ("path", "content", "status", "message"),
    [
        (INFER, b'{"inputs": [NaN]}', 400, "NaN and Infinity are no JSON: remove or impute them"),
        (INFER, b'{"inputs": [{"name": "input", "shape": [1, 5], "datatype": "FP32", "data": [1, 2, 3, 4, 5]}]}', 400,
         "the batch has the shape [1, 5], expected [N, 6] with N of 1 or more"),
        (INFER, b'{"inputs": [{"name": "input", "shape": [1, 6], "datatype": "FP32", "data": "abc"}]}', 400,
         "expected a list of numbers"),
        ("/v2/models/pain/infer", b"{}", 404, "unknown model 'pain'; the name of a project is expected"),
        ("/v2/models/paint/versions/3/infer", orjson.dumps({"inputs": [{
            "name": "input", "shape": [1, 6], "datatype": "FP32", "data": [0] * 6}]}), 404, "has no version '3'"),
        ("/v2/models/paint/infre", b"{}", 404, "nothing is at this address"),
        ("/v2/models/paint/versions/../../../etc/passwd/infer", b"{}", 404, ""),
        (INFER, b"x" * 2000, 413, "larger than the 1000 bytes that this server takes; send fewer inputs per request"),
    ],
)  # fmt: skip
def test_bad_requests(server: Any, memory: Any, path: str, content: bytes, status: int, message: str) -> None:
    with server(max_body=1000) as client:
        answer = client.post(path, content=content)
        assert answer.status_code == status
        assert message in answer.json()["error"]
        assert client.get(INFER).status_code == 405
    assert memory.logged == []


def test_a_body_of_unknown_length_is_cut_off_while_it_comes(server: Any) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100_000):
            sent += 65536
            yield b"x" * 65536

    with server(max_body=100_000) as client:
        try:
            answer = client.post(INFER, content=endless())
        except (httpx.WriteError, httpx.ReadError):  # closed while we were still writing
            answer = None
        assert answer is None or answer.status_code == 413
        assert sent < 100_000 * 65536
        assert client.get("/ping").status_code == 200


def test_who_sends_too_much_hears_of_it(server: Any) -> None:
    with server(max_body=100_000) as client:
        for _ in range(5):  # a connection that is closed while its client still sends would be reset
            answer = client.post(INFER, content=iter([b"x" * 65536] * 100))
            assert answer.status_code == 413
            assert client.post(INFER, content=b"x" * 5_000_000).status_code == 413


def test_too_many_rows(server: Any, question: Question) -> None:
    with server(max_rows=2) as client:
        answer = client.post(INFER, json=question(ROWS))
        assert answer.status_code == 400
        assert "3 inputs in one request, 2 are taken" in answer.json()["error"]


@pytest.mark.parametrize(
    ("secret", "status", "message"),
    [
        (None, 401, "send the header Authorization: Bearer <key>"),
        ("wrong", 401, "unknown, expired or revoked"),
        ("late", 401, "expired"),
        ("feeder", 403, "may 'feedback', and this needs 'predict'"),
        ("other", 403, "for the project 'sculpture' alone"),
        ("right", 200, ""),
    ],
)
def test_keys(server: Any, memory: Any, question: Question, secret: str | None, status: int, message: str) -> None:
    headers = bearer(secret) if secret else {}
    with server(keys=True) as client:
        for answer in (
            client.post(INFER, json=question(ROWS), headers=headers),
            client.post("/invocations?model=paint", json={"inputs": ROWS}, headers=headers),
            client.get("/v2/models/paint", headers=headers),
            client.get("/v2/models/paint/ready", headers=headers),
        ):
            assert answer.status_code == status
            assert message in answer.json().get("error", "")
        assert client.get("/v2/health/live").status_code == 200
        assert (client.get("/metrics", headers=headers).status_code == 401) == (status == 401)
    assert len(memory.logged) == (6 if status == 200 else 0)


def test_a_key_has_a_rate(server: Any, memory: Any, question: Question) -> None:
    with server(keys=True, rate=0.5, burst=3) as client:
        answers = [client.post(INFER, json=question(ROWS), headers=bearer("right")) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
        assert "'ann' may make 0.5 requests per second" in answers[-1].json()["error"]


def test_all_requests_of_a_key_count(server: Any, memory: Any, question: Question) -> None:
    with server(keys=True, rate=0.001, burst=3) as client:
        paths = ("/v2/models/paint", "/v2/models/paint/ready", "/metrics")
        assert [client.get(path, headers=bearer("right")).status_code for path in paths] == [200] * 3
        assert client.post(INFER, json=question(ROWS), headers=bearer("right")).status_code == 429


def test_overload_is_refused_and_the_rest_answered(
    server: Any, memory: Any, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    answer_now = Model.answer

    def slow(model: Model, x_N: Any, task: int | None = None) -> Answers:
        assert gate.wait(10)
        return answer_now(model, x_N, task)

    with server(max_rows=8, waiting_rows=8, batch_rows=4, inline_ms=0) as client:
        monkeypatch.setattr(Model, "answer", slow)
        answers: list[httpx.Response] = []
        address = f"{client.base_url}{INFER}"

        def post() -> None:
            answers.append(httpx.post(address, json=question(ROWS), timeout=30))

        asks = [threading.Thread(target=post, daemon=True) for _ in range(8)]
        for ask in asks:
            ask.start()
        until(lambda: len(answers), lambda count: count >= 4)  # 3 rows run, 6 wait, and there is no room for more
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.headers["retry-after"] for answer in answers} == {"1"}
        assert client.get("/v2/health/live").status_code == 200
        gate.set()
        joined(asks)
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) == {200, 503}
    assert 2 <= counts[200] <= 4
    assert len(memory.logged) == 3 * counts[200]


def test_the_model_failing_is_500_for_that_request(
    server: Any, memory: Any, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_now = Model.answer

    def moody(model: Model, x_N: Any, task: int | None = None) -> Answers:
        if (x_N == 666).any():
            raise RuntimeError("no")
        return answer_now(model, x_N, task)

    monkeypatch.setattr(Model, "answer", moody)
    with server() as client:
        answer = client.post(INFER, json=question([[666] * 6]))
        assert answer.status_code == 500
        assert "failed on these inputs: RuntimeError: no" in answer.json()["error"]
        assert client.post(INFER, json=question(ROWS)).status_code == 200
        version = memory.rows["paint"].version
        assert client.app.state.metrics.failed.get("paint", version, "champion") == 1


HEAD = b"POST /v2/models/paint/infer HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("start", [b"", HEAD + b"X-Slow:", HEAD + b"Content-Length: 500\r\n\r\n{"])
def test_slow_clients_are_shown_the_door(server: Any, memory: Any, start: bytes) -> None:
    with server(patience=0.3) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port)) as slow:
            slow.settimeout(5)
            slow.sendall(start)
            begin = time.monotonic()
            closed = False
            while not closed and time.monotonic() < begin + 5:
                try:
                    if start:
                        slow.sendall(b"x")
                    slow.settimeout(0.05)
                    closed = slow.recv(100) == b""
                except TimeoutError:
                    continue
                except OSError:
                    closed = True
            assert closed
            assert 0.2 < time.monotonic() - begin < 3
        assert client.get("/ping").status_code == 200


def test_a_connection_stays_open_between_requests(server: Any, question: Question) -> None:
    with server(patience=0.2) as client:
        client.post(INFER, json=question(ROWS))
        before = client._transport._pool.connections[0]
        time.sleep(0.6)
        client.post(INFER, json=question(ROWS))
        assert client._transport._pool.connections == [before]


def test_an_endless_head_is_not_read(server: Any) -> None:
    with server() as client, socket.create_connection((client.base_url.host, client.base_url.port)) as rude:
        rude.sendall(b"GET /ping HTTP/1.1\r\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            rude.sendall(b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(10_000)))
        assert client.get("/ping").status_code == 200
