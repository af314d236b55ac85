"""A clock that goes back: no lease is stolen by that, and none lasts for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from lifelong.errors import ConflictError
from lifelong.store import updates, versions

LEASE = 30.0
Run = Callable[[Callable[[Connection], Any]], Any]


@pytest.fixture
def leased(run: Run) -> updates.Update:
    """An update that `w1` took at 1000."""

    def work(connection: Connection) -> updates.Update:
        content = versions.NewVersion(project="digits", parent=None, blob="b", settings={}, task=1, exam_row={})
        base = versions.add(connection, content, 1000.0).id
        row = updates.enqueue(connection, "digits", "t", trigger={}, base_version=base, now=1000.0)
        return updates.lease_to(connection, row.id, "w1", now=1000.0, lease=LEASE)

    taken: updates.Update = run(work)
    return taken


def expired(run: Run, now: float) -> list[updates.Update]:
    rows: list[updates.Update] = run(lambda connection: updates.expire(connection, now=now, most_attempts=3))
    return rows


@pytest.mark.parametrize("back", [10.0, 100.0, 86_400.0, 1e9])
def test_a_worker_that_is_dead_loses_its_lease_after_its_usual_time(
    run: Run, leased: updates.Update, back: float
) -> None:
    now = 1000.0 - back
    assert expired(run, now) == [], "it may live"
    assert expired(run, now + LEASE - 1) == []
    (row,) = expired(run, now + LEASE + 6)
    assert (row.id, row.state, row.attempt) == (leased.id, "queued", 2)


@pytest.mark.parametrize("back", [3.0, 100.0, 86_400.0])
def test_a_worker_that_lives_keeps_its_lease(run: Run, leased: updates.Update, back: float) -> None:
    now = 1000.0 - back
    for step in range(200):
        assert expired(run, now + step) == []
        if step % 10 == 9:
            beaten = run(
                lambda connection, at=now + step: updates.heartbeat(connection, leased.id, "w1", now=at, lease=LEASE)
            )
            assert beaten.lease_until == now + step + LEASE


def test_after_it_was_taken_away_the_first_one_is_refused(run: Run, leased: updates.Update) -> None:
    expired(run, 10.0)
    expired(run, 10.0 + LEASE + 1)
    again = run(lambda connection: updates.lease_to(connection, leased.id, "w2", now=50.0, lease=LEASE))
    assert (again.id, again.lease_owner) == (leased.id, "w2")
    with pytest.raises(ConflictError, match="leased by w2"):
        run(lambda connection: updates.heartbeat(connection, leased.id, "w1", now=51.0, lease=LEASE))


def test_servers_whose_clocks_differ_a_little_leave_each_other_alone(run: Run, leased: updates.Update) -> None:
    assert expired(run, 996.0) == []
    row = run(lambda connection: updates.get(connection, leased.id))
    assert row == leased, "nothing is written"
