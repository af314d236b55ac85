"""The service through a real server on loopback: who answers, and what is stored."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from waiting import joined, until

from lifelong.errors import SettingError, StorageError
from lifelong.loop.learning import Candidate
from lifelong.service.app import create_app
from lifelong.service.model import Answers, Model
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings

from .asking import INFER, ROWS, Question, expected, tensors


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
