"""Failures: servers add up, what is told twice counts once, and another revision of the traffic begins at nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lifelong.store import failures, predictions, traffic
from lifelong.store.failures import Failure
from lifelong.store.predictions import Prediction
from lifelong.store.traffic import Answered, Traffic

from .conftest import Place, two_projects

Run = Callable[[Callable[[Any], Any]], Any]


def failed(server: str, count: int, revision: int = 1) -> Failure:
    return Failure("digits", revision, "v2", "canary", server, count)


def test_servers_add_up_and_a_sum_told_again_counts_once(run: Run) -> None:
    for rows in ([failed("a", 3), failed("b", 4)], [failed("a", 3)], [failed("a", 5)], []):
        run(lambda connection, rows=rows: failures.put_many(connection, rows))
    assert run(lambda connection: failures.counted(connection, "digits", 1)) == {("v2", "canary"): 9}
    assert run(lambda connection: failures.counted(connection, "other", 1)) == {}


def test_what_failed_before_is_not_held_against_it(run: Run) -> None:
    run(lambda connection: failures.put_many(connection, [failed("a", 300, 1), failed("a", 2, 3)]))
    answer = Prediction("p", "digits", "v2", "canary", [0.0], 1, 0.9, 50.0)
    run(lambda connection: predictions.add_many(connection, [answer]))
    now = Traffic("digits", "v2", 10.0, None, since=40.0, revision=3)
    assert run(lambda connection: traffic.answered(connection, now)) == [Answered("v2", "canary", 3, 2, 0, 0)]
    later = Traffic("digits", "v2", 10.0, None, since=60.0, revision=4)
    assert run(lambda connection: traffic.answered(connection, later)) == []


def test_a_restart_loses_none(place: Place) -> None:
    for server in ("before", "after"):
        with place.open() as store:
            if server == "before":
                store.write(two_projects).result(30)
            store.write(lambda connection, server=server: failures.put_many(connection, [failed(server, 2)])).result(30)
    with place.open() as store:
        assert store.read(lambda connection: failures.counted(connection, "digits", 1)) == {("v2", "canary"): 4}
