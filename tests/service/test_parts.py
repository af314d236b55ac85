"""Keys, rates, metrics, the log of predictions, and where the server may listen."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from typing import Any

import numpy as np
import pytest
from starlette.requests import Request

from lifelong.errors import SettingError
from lifelong.service.auth import ANYONE, Keys, allow
from lifelong.service.catalogue import Key, Prediction
from lifelong.service.infer import new_ids
from lifelong.service.limits import Buckets
from lifelong.service.metrics import Counter, Metrics
from lifelong.service.prediction_log import PredictionLog, weight
from lifelong.service.problems import ProblemError
from lifelong.service.settings import ServeSettings, check_binding
from lifelong.store.errors import DamagedError


def request(*header: tuple[bytes, bytes]) -> Request:
    return Request({"type": "http", "headers": list(header)})


def bearer(secret: str) -> Request:
    return request((b"authorization", f"Bearer {secret}".encode()))


def test_keys_are_looked_up_while_all_other_threads_wait(memory: Any) -> None:
    go, keys = threading.Event(), Keys(memory, True, lambda: 0.0)

    async def ask() -> str:
        waiting = [asyncio.create_task(asyncio.to_thread(go.wait, 20)) for _ in range(64)]
        await asyncio.sleep(0.05)
        try:
            return (await asyncio.wait_for(keys.holder("right"), 5)).name
        finally:
            go.set()
            await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == "ann"
    keys.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("lifelong-keys")]


def test_keys_are_remembered_for_a_while_and_no_longer(memory: Any) -> None:
    now = [100.0]
    keys = Keys(memory, True, lambda: now[0], seconds=2.0)

    async def main() -> None:
        assert (await keys.of(bearer("right"))).name == "ann"
        now[0] += 1.9
        await keys.of(bearer("right"))
        assert memory.key_lookups == 1
        del memory.keys["right"]  # revoked
        now[0] += 0.2
        with pytest.raises(ProblemError, match="unknown, expired or revoked") as refused:
            await keys.of(bearer("right"))
        assert refused.value.status == 401
        assert refused.value.headers == {"WWW-Authenticate": "Bearer"}

    asyncio.run(main())


def test_a_clock_that_goes_back_makes_no_key_immortal(memory: Any) -> None:
    now = [1000.0]
    keys = Keys(memory, True, lambda: now[0])

    async def main() -> None:
        await keys.of(bearer("right"))
        del memory.keys["right"]
        now[0] = 10.0
        with pytest.raises(ProblemError, match="revoked"):
            await keys.of(bearer("right"))

    asyncio.run(main())


def test_a_key_ends_when_it_expires_also_while_it_is_remembered(memory: Any) -> None:
    now = [0.5]
    keys = Keys(memory, True, lambda: now[0])

    async def main() -> None:
        assert (await keys.of(bearer("late"))).name == "tom"
        now[0] = 1.0
        with pytest.raises(ProblemError, match="expired"):
            await keys.of(bearer("late"))

    asyncio.run(main())


@pytest.mark.parametrize("header", [[], [(b"authorization", b"Basic abc")], [(b"authorization", b"Bearer ")]])
def test_no_key_is_told_how_to_send_one(memory: Any, header: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(ProblemError, match="Authorization: Bearer <key>"):
        asyncio.run(Keys(memory, True, lambda: 0.0).of(request(*header)))
    assert asyncio.run(Keys(memory, False, lambda: 0.0).of(request(*header))) is ANYONE


def test_scopes() -> None:
    allow(Key("root", frozenset({"admin"})), "predict", "paint")
    allow(Key("ann", frozenset({"predict"}), "paint"), "predict", "paint")
    with pytest.raises(ProblemError, match="may 'feedback', and this needs 'predict'"):
        allow(Key("eve", frozenset({"feedback"})), "predict", "paint")
    with pytest.raises(ProblemError, match="for the project 'paint' alone; ask for one for all projects"):
        allow(Key("root", frozenset({"admin"}), "paint"), "admin")


def test_buckets_give_the_rate_for_long_and_the_burst_at_once() -> None:
    now = [0.0]
    buckets = Buckets(rate=10.0, burst=5, clock=lambda: now[0])
    given = 0
    refused: list[ProblemError] = []
    for step in range(1000):  # ten seconds
        now[0] = step / 100
        try:
            buckets.take("ann")
            given += 1
        except ProblemError as error:
            refused.append(error)
    assert given in range(103, 107)
    assert {error.status for error in refused} == {429}
    assert all(int(error.headers["Retry-After"]) >= 1 for error in refused)
    buckets.take("bob")  # has his own


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", ""])
def test_strangers_need_keys(host: str) -> None:
    with pytest.raises(SettingError, match="lets other machines in"):
        check_binding(host, ServeSettings(keys=False))
    check_binding(host, ServeSettings(keys=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    check_binding(host, ServeSettings(keys=False))


@pytest.mark.parametrize(
    "wrong", [{"max_body": 0}, {"rate": 0.0}, {"patience": 0.0}, {"waiting_rows": 5}, {"keep_asked": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        ServeSettings(**wrong)


def test_metrics_are_prometheus_text() -> None:
    metrics = Metrics()
    metrics.requests.add("paint", "200")
    metrics.seconds.add(0.003, "paint")
    line = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+|# (HELP|TYPE) [a-z_]+ .+')
    text = metrics.text()
    assert text.endswith("\n")
    assert all(line.fullmatch(each) for each in text.splitlines())
    assert 'lifelong_requests_total{project="paint",status="200"} 1' in text
    assert 'lifelong_request_seconds_bucket{project="paint",le="0.0025"} 0' in text
    assert 'lifelong_request_seconds_bucket{project="paint",le="0.005"} 1' in text


def test_label_values_are_escaped() -> None:
    odd = Counter("odd", "Odd.", "name")
    odd.add('a"b\\c\nd')
    assert list(odd.lines())[-1] == r'odd{name="a\"b\\c\nd"} 1'


def test_ids_are_unique_and_in_the_order_of_time() -> None:
    ids = [name for second in range(50) for name in new_ids(20, 1.7e9 + second)]
    assert len(set(ids)) == 1000
    assert sorted(ids[::20]) == ids[::20]


def prediction(number: int) -> Prediction:
    return Prediction(str(number), "paint", "v", "champion", np.zeros(6, np.float32), 0, 1.0, 0.0)


def test_the_log_stores_in_batches_and_at_the_end(memory: Any) -> None:
    async def main() -> None:
        log = PredictionLog(memory.log, Metrics(), seconds=0.01)
        for number in range(100):
            log.add([prediction(number)])
        assert memory.logged == []
        await log.close()

    asyncio.run(main())
    assert [each.id for each in memory.logged] == [str(number) for number in range(100)]


def test_the_log_can_be_waited_for(memory: Any) -> None:
    async def main() -> None:
        log = PredictionLog(memory.log, Metrics(), seconds=60)
        log.add([prediction(1), prediction(2)])
        await log.settled()
        assert [each.id for each in memory.logged] == ["1", "2"]
        await log.settled()

    asyncio.run(main())
    assert len(memory.logged) == 2


def test_the_log_counts_what_it_cannot_keep(memory: Any) -> None:
    metrics = Metrics()
    three = weight([prediction(number) for number in range(3)])

    async def main() -> None:
        log = PredictionLog(memory.log, metrics, seconds=0.01, limit=three)
        for number in range(5):
            log.add([prediction(number)])
        await log.settled()
        memory.log_fails = True
        log.add([prediction(6)])
        await log.close()

    asyncio.run(main())
    assert len(memory.logged) == 3
    assert metrics.logged.get() == 3
    assert metrics.unlogged.get() == 3


def test_what_the_store_does_not_take_is_tried_again_in_its_order(memory: Any) -> None:
    metrics = Metrics()

    async def main() -> None:
        log = PredictionLog(memory.log, metrics, seconds=0.01, limit=weight([prediction(0)]) * 4)
        memory.log_fails = True
        log.add([prediction(0)])
        log.fail("paint", 3, "v", "canary", 2)
        await log.settled()
        log.fail("paint", 3, "v", "canary", 1)
        for number in range(1, 6):  # two more than there is room for, beside the one that waits
            log.add([prediction(number)])
        await log.settled()
        assert (memory.logged, memory.failed, metrics.unlogged.get()) == ([], {}, 2)
        memory.log_fails = False
        end = time.monotonic() + 10
        while len(memory.logged) < 4 and time.monotonic() < end:  # nobody asks for it
            await asyncio.sleep(0.01)
        log.add([prediction(7)])
        await log.close()

    asyncio.run(main())
    assert [each.id for each in memory.logged] == ["0", "1", "2", "3", "7"]
    assert [(*key[1:], count) for key, count in memory.failed.items()] == [(3, "v", "canary", 3)]
    assert metrics.unlogged.get() == 2


def test_what_can_never_be_stored_does_not_stop_the_rest(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, log_now = Metrics(), memory.log

    def damaged(rows: Any, failures: Any = ()) -> Any:
        raise DamagedError("the lot that a label is judged by is damaged; restore its blob")

    async def main() -> None:
        log = PredictionLog(lambda rows, failures: memory.log(rows, failures), metrics, seconds=0.01)
        monkeypatch.setattr(memory, "log", damaged)
        log.add([prediction(1)])
        await log.settled()
        monkeypatch.setattr(memory, "log", log_now)
        log.add([prediction(2)])
        await log.close()

    asyncio.run(main())
    assert [each.id for each in memory.logged] == ["2"]
    assert metrics.unlogged.get() == 1
