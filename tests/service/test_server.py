"""The service through a real server on loopback: every status, who answers, what is stored."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from waiting import joined, until

from lifelong.errors import SettingError, StorageError
from lifelong.loop.learning import Candidate, opened
from lifelong.service.app import create_app
from lifelong.service.model import Answers, Model
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings

INFER = "/v2/models/paint/infer"
ROWS: list[list[float]] = [[0.5, -1, 0, 2, 0, 1], [1, 1, 1, 1, 1, 1], [-2, 0, 0.25, 0, 1, 0]]
Question = Callable[..., dict[str, Any]]


def tensors(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def expected(candidate: Candidate, rows: list[list[float]]) -> Answers:
    return Model(candidate.id, (), opened(candidate.data)).answer(np.asarray(rows, dtype=np.float32))


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_an_answer_tells_everything(server: Any, memory: Any, candidates: list[Candidate], question: Question) -> None:
    with server() as client:
        answer = client.post(INFER, json=question(ROWS, id="mine"))
        found = tensors(answer)
    body = answer.json()
    assert {key: body[key] for key in ("id", "model_name", "model_version", "parameters")} == {
        "id": "mine",
        "model_name": "paint",
        "model_version": candidates[0].id,
        "parameters": {"variant": "champion"},
    }
    right = expected(candidates[0], ROWS)
    np.testing.assert_allclose(np.reshape(found["probabilities"], (3, 3)), right.probability_NC, atol=1e-6)
    assert found["label"] == [("red", "green", "blue")[output] for output in right.output_N]
    assert [output["shape"] for output in body["outputs"]] == [[3], [3, 3], [3]]
    # after the end of the server everything answered is stored
    assert [logged.id for logged in memory.logged] == found["prediction_id"]
    for logged, row, output, confidence in zip(memory.logged, ROWS, right.output_N, right.confidence_N, strict=True):
        assert (logged.project, logged.version, logged.variant) == ("paint", candidates[0].id, "champion")
        assert logged.x.tolist() == row
        assert logged.output == output
        assert logged.confidence == pytest.approx(confidence, abs=1e-6)
        assert abs(logged.at - time.time()) < 60


def test_only_the_outputs_asked_for_come(server: Any, question: Question) -> None:
    with server() as client:
        assert list(tensors(client.post(INFER, json=question(ROWS, outputs=[{"name": "label"}])))) == ["label"]


def test_any_version_can_be_asked_by_its_id(
    server: Any, memory: Any, candidates: list[Candidate], question: Question
) -> None:
    with server() as client:
        for candidate in candidates:
            answer = client.post(f"/v2/models/paint/versions/{candidate.id}/infer", json=question(ROWS))
            assert answer.json()["model_version"] == candidate.id
            variant = "champion" if candidate is candidates[0] else "named"
            assert answer.json()["parameters"]["variant"] == variant
            right = expected(candidate, ROWS).probability_NC.ravel()
            np.testing.assert_allclose(tensors(answer)["probabilities"], right, atol=1e-6)
    assert [logged.variant for logged in memory.logged] == ["champion"] * 3 + ["named"] * 9


def test_mlflow_gets_predictions(server: Any, memory: Any, candidates: list[Candidate]) -> None:
    right = [("red", "green", "blue")[output] for output in expected(candidates[0], ROWS).output_N]
    with server() as client:
        for body in ({"inputs": ROWS}, {"instances": ROWS}, {"dataframe_split": {"data": ROWS}}):
            assert client.post("/invocations", json=body).json()["predictions"] == right
        memory.known["sculpture"] = replace(memory.known["paint"], name="sculpture")
        memory.add("sculpture", candidates[:1])
        memory.promote("sculpture", candidates[0].id)
        client.app.state.models.refresh("sculpture")
        answer = client.post("/invocations", json={"inputs": ROWS})
        assert (answer.status_code, answer.json()) == (
            400, {"error": "which model? send /invocations?model=…; known: paint, sculpture"}
        )  # fmt: skip
        assert client.post("/invocations?model=sculpture", json={"inputs": ROWS}).json()["predictions"] == right


def test_health_and_metadata(server: Any, memory: Any, candidates: list[Candidate], question: Question) -> None:
    first, second = candidates[0].id, candidates[1].id
    with server() as client:
        assert client.get("/v2").json()["name"] == "lifelong"
        assert client.get("/v2/health/live").json() == {"live": True}
        assert client.get("/v2/health/ready").json() == {"ready": True}
        assert client.get("/ping").status_code == 200
        about = client.get("/v2/models/paint").json()
        assert about["versions"] == [first]
        assert about["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 6]}]
        assert about["outputs"][0]["parameters"] == {"classes": ["red", "green", "blue"]}
        assert client.get("/v2/models/paint/ready").json() == {"name": "paint", "ready": True}
        assert client.get(f"/v2/models/paint/versions/{second}/ready").status_code == 503
        assert client.get(f"/v2/models/paint/versions/{second}").json()["versions"] == [second]
        assert client.get(f"/v2/models/paint/versions/{second}/ready").status_code == 200
        unknown = client.get("/v2/models/paint/versions/nothing/ready")
        assert unknown.status_code == 404
        assert "has no version 'nothing'" in unknown.json()["error"]
        client.post(INFER, json=question(ROWS))
        page = client.get("/metrics")
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert f'lifelong_predictions_total{{project="paint",version="{first}",variant="champion"}} 3' in page.text


def test_a_project_without_a_version_is_told_so(server: Any, memory: Any, question: Question) -> None:
    memory.known["empty"] = replace(memory.known["paint"], name="empty")
    with server() as client:
        answer = client.post("/v2/models/empty/infer", json=question(ROWS))
        assert (answer.status_code, answer.json()) == (
            404, {"error": "project 'empty' has no version that answers yet; promote one"}
        )  # fmt: skip
        assert client.get("/v2/health/ready").status_code == 200


def test_a_damaged_champion_is_503_and_others_go_on(
    server: Any, memory: Any, candidates: list[Candidate], question: Question
) -> None:
    memory.known["broken"] = replace(memory.known["paint"], name="broken")
    memory.blobs["broken", candidates[1].id] = candidates[0].data
    memory.promote("broken", candidates[1].id)
    with server() as client:
        answer = client.post("/v2/models/broken/infer", json=question(ROWS))
        assert answer.status_code == 503
        assert "it is damaged; restore its blob" in answer.json()["error"]
        assert client.get("/v2/health/ready").status_code == 503
        assert client.post(INFER, json=question(ROWS)).status_code == 200
        memory.blobs["broken", candidates[1].id] = candidates[1].data
        client.app.state.models.refresh("broken")
        assert client.post("/v2/models/broken/infer", json=question(ROWS)).status_code == 200
        assert client.get("/v2/health/ready").status_code == 200


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


def test_durable_answers_wait_for_the_store(server: Any, memory: Any, question: Question) -> None:
    with server(durable=True) as client:
        assert client.post(INFER, json=question(ROWS)).status_code == 200
        assert len(memory.logged) == 3
        memory.log_waits = threading.Event()
        with pytest.raises(httpx.ReadTimeout):
            client.post(INFER, json=question(ROWS), timeout=0.2)
        memory.log_waits.set()
        memory.log_fails = True
        answer = client.post(INFER, json=question(ROWS))
        assert (answer.status_code, answer.json()) == (503, {"error": "the disk is full; free some space"})


def test_by_default_answers_do_not_wait_for_the_store(server: Any, memory: Any, question: Question) -> None:
    memory.log_waits = threading.Event()
    with server() as client:
        assert client.post(INFER, json=question(ROWS)).status_code == 200
        assert memory.logged == []
        memory.log_waits.set()
        until(lambda: memory.logged, lambda rows: len(rows) == 3)


def test_a_canary_answers_the_same_clients_every_time(
    server: Any, memory: Any, candidates: list[Candidate], question: Question
) -> None:
    champion, canary = candidates[0].id, candidates[1].id
    memory.promote("paint", champion, canary=canary, percent=30.0)
    with server() as client:
        seen: dict[str, set[str]] = {}
        for key in [f"user {number}" for number in range(60)] * 2:
            answer = client.post(INFER, json=question(ROWS[:1]), headers={"Sticky-Key": key}).json()
            assert answer["parameters"]["variant"] == {champion: "champion", canary: "canary"}[answer["model_version"]]
            seen.setdefault(key, set()).add(answer["model_version"])
        assert all(len(versions) == 1 for versions in seen.values())
        share = sum(canary in versions for versions in seen.values())
        assert 8 <= share <= 29  # of 60 at 30 %: beyond with probability 0.002
        memory.promote("paint", champion)  # taken back
        client.app.state.models.refresh("paint")
        for key in seen:
            answer = client.post(INFER, json=question(ROWS[:1]), headers={"Sticky-Key": key}).json()
            assert answer["model_version"] == champion
    assert {logged.variant for logged in memory.logged} == {"champion", "canary"}


def test_where_the_canary_fails_the_champion_answers(
    server: Any, memory: Any, candidates: list[Candidate], question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, canary = candidates[0].id, candidates[1].id
    memory.promote("paint", champion, canary=canary, percent=100.0)
    answer_now = Model.answer

    def moody(model: Model, x_N: Any, task: int | None = None) -> Answers:
        if model.version == canary and x_N.any():
            raise RuntimeError("no")
        return answer_now(model, x_N, task)

    monkeypatch.setattr(Model, "answer", moody)
    with server() as client:
        answer = client.post(INFER, json=question(ROWS)).json()
        assert (answer["model_version"], answer["parameters"]["variant"]) == (champion, "champion")
        metrics = client.app.state.metrics
        assert metrics.failed.get("paint", canary, "canary") == 3
        assert metrics.rows.get("paint", champion, "champion") == 3


def test_a_shadow_is_compared_and_never_heard(
    server: Any, memory: Any, candidates: list[Candidate], question: Question
) -> None:
    champion, shadow = candidates[0].id, candidates[1].id
    memory.promote("paint", champion, shadow=shadow)
    rows = np.random.default_rng(0).standard_normal((40, 6)).round(3).tolist()
    same = int((expected(candidates[0], rows).output_N == expected(candidates[1], rows).output_N).sum())
    assert 0 < same < 40
    with server() as client:
        metrics = client.app.state.metrics
        answer = client.post(INFER, json=question(rows))
        assert answer.json()["model_version"] == champion
        until(lambda: metrics.rows.get("paint", shadow, "shadow"), lambda rows: rows == 40)
        assert metrics.agreed.get("paint", shadow) == same
        assert metrics.differed.get("paint", shadow) == 40 - same
    shadows = {logged.id: logged for logged in memory.logged if logged.variant == "shadow"}
    right = expected(candidates[1], rows).output_N
    assert [shadows[f"{own}.shadow"].output for own in tensors(answer)["prediction_id"]] == right.tolist()


def test_a_hundred_swaps_under_load(server: Any, memory: Any, candidates: list[Candidate], question: Question) -> None:
    memory.known["paint"] = replace(memory.known["paint"], keep=0)  # so that every swap loads
    rows = np.random.default_rng(1).standard_normal((50, 6)).round(3).tolist()
    right = {candidate.id: expected(candidate, rows) for candidate in candidates}
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    stop = threading.Event()

    def ask(url: str, offset: int) -> None:
        with httpx.Client(base_url=url, timeout=10) as client:
            for number in range(offset, 10**6):
                if stop.is_set():
                    return
                row = number % 50
                answer = client.post(INFER, json=question(rows[row : row + 1]))
                if answer.status_code != 200:
                    wrong.append(answer.text)
                    continue
                version = answer.json()["model_version"]
                found = tensors(answer)
                seen[version] += 1
                if not np.allclose(found["probabilities"], right[version].probability_NC[row], atol=1e-5):
                    wrong.append(f"row {row} of {version}: {found}")

    with server() as client:
        askers = [threading.Thread(target=ask, args=(str(client.base_url), place), daemon=True) for place in range(3)]
        for asker in askers:
            asker.start()
        for swap in range(100):
            memory.promote("paint", candidates[(swap + 1) % 4].id)
            client.app.state.models.refresh("paint")
        stop.set()
        joined(askers)
        assert client.app.state.metrics.swaps.get("paint") == 101
        assert memory.blob_reads == 101, "each swap loads and warms up"
    assert wrong == []
    assert set(seen) == set(right)
    assert sum(seen.values()) >= 100


def test_another_server_s_promotion_is_noticed(
    server: Any, memory: Any, candidates: list[Candidate], question: Question
) -> None:
    with server(poll_seconds=0.02) as client:
        new = candidates[1].id
        memory.promote("paint", new)
        until(lambda: client.post(INFER, json=question(ROWS)).json(), lambda told: told["model_version"] == new)


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


def test_where_and_how_a_server_starts(memory: Any) -> None:
    settings = ServeSettings(keys=False)
    app = create_app(memory, settings)
    with pytest.raises(SettingError, match="lets other machines in"), serving(app, settings, host="0.0.0.0"):
        pass
    with serving(app, settings) as url:
        port = int(url.rpartition(":")[2])
        taken = pytest.raises(StorageError, match=f"cannot listen on 127.0.0.1 port {port}")
        with taken, serving(create_app(memory, settings), settings, port=port):
            pass
    with serving(create_app(memory, settings), settings, host="::1") as url:
        assert url.startswith("http://[::1]:")
        assert httpx.get(f"{url}/ping").status_code == 200
