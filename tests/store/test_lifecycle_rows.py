"""Tasks, versions, aliases, updates and firings as rows: repeated safely, swapped only when nobody was faster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Connection, update

from lifelong.errors import ConflictError
from lifelong.store import aliases, audit, firings, projects, tables, tasks, updates, versions
from lifelong.store.database import Store
from lifelong.store.errors import NotFoundError
from lifelong.store.versions import NewVersion, Version

from .conftest import Place


def content(blob: str, parent: str | None = None, project: str = "digits", **more: Any) -> NewVersion:
    values = {"project": project, "parent": parent, "blob": blob, "settings": {"lr": 0.1}, "task": 1, "exam_row": [0.9]}
    return NewVersion(**values | more)


def line(connection: Connection, length: int = 3) -> list[Version]:
    """Versions, each the parent of the next."""
    made: list[Version] = []
    for number in range(length):
        made.append(versions.add(connection, content(f"b{number}", made[-1].id if made else None), now=2.0))
    return made


def test_projects(connection: Connection) -> None:
    assert projects.add(connection, projects.Project("digits", {"method": "ewc"}, 9.0)).created == 1.0
    with pytest.raises(ConflictError, match="another config"):
        projects.add(connection, projects.Project("digits", {"method": "gem"}, 1.0))
    assert projects.configure(connection, "digits", {"method": "gem"}).config == {"method": "gem"}
    for act in (projects.get, lambda connection, name: projects.configure(connection, name, {})):
        with pytest.raises(NotFoundError, match="unknown project 'x'; known: digits, other"):
            act(connection, "x")


def test_tasks(connection: Connection) -> None:
    row = tasks.Task("digits", 1, "upright", [0, 1], {"ids": ["f-1"], "cursor": 7}, "aa", "bb", 2.0)
    assert tasks.add(connection, row) == row
    late = tasks.Task("digits", 1, "upright", (0, 1), {"cursor": 7, "ids": ["f-1"]}, "aa", "bb", 9.0)
    assert tasks.add(connection, late) == row
    with pytest.raises(ConflictError, match="another task 1, 'upright'"):
        tasks.add(connection, tasks.Task("digits", 1, "upright", [0, 1], {}, "aa", "bb", 2.0))
    assert tasks.listed(connection, "digits") == [row]
    tasks.add(connection, tasks.Task("digits", 2, "turned", [0, 1], {}, "aa", "bb", 2.0))
    assert (tasks.numbers(connection, "digits"), tasks.numbers(connection, "other")) == ((1, 2), ())
    with pytest.raises(NotFoundError, match="has no task 3; it has 2"):
        tasks.get(connection, "digits", 3)


def test_a_version_is_its_content(connection: Connection) -> None:
    first, second, third = line(connection)
    assert [each.number for each in (first, second, third)] == [1, 2, 3]
    assert first.id == versions.version_id(content("b0")) != versions.version_id(content("b0", task=2))
    assert versions.add(connection, content("b0", exam_row=(0.9,)), now=9.0, update_id="u-9") == first
    assert versions.lineage(connection, third.id) == [first, second, third]
    assert versions.lineage(connection, first.id) == [first]
    assert versions.listed(connection, "digits") == [first, second, third]
    assert versions.add(connection, content("b0", project="other"), now=2.0).number == 1


def test_what_a_version_needs(connection: Connection) -> None:
    (first,) = line(connection, 1)
    for act in (versions.get, versions.lineage):
        with pytest.raises(NotFoundError, match="no version 'x'"):
            act(connection, "x")
    with pytest.raises(NotFoundError, match="unknown project 'x'"):
        versions.add(connection, content("b", project="x"), now=2.0)
    with pytest.raises(NotFoundError, match="no version 'nobody'"):
        versions.add(connection, content("b", parent="nobody"), now=2.0)
    with pytest.raises(NotFoundError, match="is not a version of project 'other'"):
        versions.add(connection, content("b", parent=first.id, project="other"), now=2.0)
    connection.execute(update(tables.version).values(blob="changed by hand"))
    with pytest.raises(ConflictError, match="content of another hash"):
        versions.add(connection, content("b0"), now=2.0)


def move(connection: Connection, expected: int, version: str, project: str = "digits") -> aliases.Alias:
    return aliases.move(
        connection, project, expected_revision=expected, version=version, actor="ann", reason="better", now=3.0
    )


def test_the_champion_moves_with_a_trace(connection: Connection) -> None:
    first, second, _ = line(connection)
    assert aliases.get(connection, "digits") is None
    assert move(connection, 0, first.id) == aliases.Alias("digits", "champion", first.id, 1)
    assert move(connection, 1, second.id).revision == 2
    trace = aliases.moves(connection, "digits")
    assert [(each.revision, each.version, each.previous) for each in trace] == [
        (1, first.id, None),
        (2, second.id, first.id),
    ]
    told = audit.listed(connection, project="digits")
    assert [(each.action, each.actor, each.detail["revision"]) for each in told] == [
        ("promote", "ann", 1),
        ("promote", "ann", 2),
    ]
    assert audit.verify(connection) == []


def test_a_lost_race_names_the_revision_and_changes_nothing(connection: Connection) -> None:
    first, second, _ = line(connection)
    with pytest.raises(ConflictError, match="is not given yet, expected revision 1"):
        move(connection, 1, first.id)
    move(connection, 0, first.id)
    for expected in (0, 2):
        with pytest.raises(ConflictError, match=f"at revision 1 .*{first.id[:12]}.*expected revision {expected}"):
            move(connection, expected, second.id)
    with pytest.raises(NotFoundError, match="is not one of project 'other'"):
        move(connection, 0, first.id, "other")
    assert len(aliases.moves(connection, "digits")) == len(audit.listed(connection)) == 1


def test_of_many_who_promote_at_once_one_wins(place: Place, store: Store) -> None:
    made = store.write(lambda connection: line(connection, 9)).result(timeout=30)
    store.write(lambda connection: move(connection, 0, made[0].id)).result(timeout=30)
    other = place.open() if place.database else store
    futures = [
        (store, other)[number % 2].write(lambda connection, version=version: move(connection, 1, version.id))
        for number, version in enumerate(made[1:])
    ]
    failures = [future.exception(timeout=30) for future in futures]
    other.close()
    assert sum(failure is None for failure in failures) == 1
    assert all(failure is None or isinstance(failure, ConflictError) for failure in failures)
    winner = made[1 + failures.index(None)]
    with place.open() as again:
        now = again.read(lambda connection: aliases.get(connection, "digits"))
        trace = again.read(lambda connection: aliases.moves(connection, "digits"))
        assert again.read(audit.verify) == []
    assert now == aliases.Alias("digits", "champion", winner.id, 2)
    assert [each.version for each in trace] == [made[0].id, winner.id]


def queue(connection: Connection, trigger: str, now: float = 10.0) -> updates.Update:
    return updates.enqueue(connection, "digits", trigger, trigger={"kind": "amount"}, base_version=None, now=now)


def claim(connection: Connection, owner: str, lease: float = 5.0) -> updates.Update | None:
    """The oldest queued update, leased to `owner` at 20."""
    row = updates.oldest_queued(connection)
    return None if row is None else updates.lease_to(connection, row.id, owner, now=20.0, lease=lease)


def test_one_firing_makes_one_update(connection: Connection) -> None:
    first = queue(connection, "t1")
    assert (first.state, first.attempt, first.trigger) == ("queued", 1, {"kind": "amount"})
    assert queue(connection, "t1", now=99.0) == first
    firings.add(connection, firings.Firing("t1", "digits", "amount", {"count": 100}, 10.0))
    assert firings.add(connection, firings.Firing("t1", "digits", "amount", {}, 11.0)).at == 10.0
    assert firings.link(connection, "t1", first.id).update_id == first.id
    assert [row.evidence for row in firings.listed(connection, "digits")] == [{"count": 100}]
    with pytest.raises(NotFoundError, match="no firing 'x'"):
        firings.get(connection, "x")


def test_an_update_from_claim_to_decision(connection: Connection) -> None:
    (version,) = line(connection, 1)
    old, new = queue(connection, "t1", 10.0), queue(connection, "t2", 11.0)
    assert updates.held(connection, "w1") is None
    claimed = claim(connection, "w1")
    assert claimed is not None
    assert updates.held(connection, "w1") == claimed
    with pytest.raises(ConflictError, match="is training, leased by w1; expected queued, leased by nobody"):
        updates.lease_to(connection, claimed.id, "w2", now=20.0, lease=5.0)
    assert (claimed.id, claimed.state, claimed.lease_owner, claimed.lease_until) == (old.id, "training", "w1", 25.0)
    second = claim(connection, "w2")
    assert second is not None
    assert second.id == new.id
    assert claim(connection, "w3") is None
    beat = updates.heartbeat(connection, old.id, "w1", now=24.0, lease=5.0, progress={"step": 3})
    assert (beat.lease_until, beat.progress) == (29.0, {"step": 3})
    assert updates.heartbeat(connection, old.id, "w1", now=25.0, lease=5.0).progress == {"step": 3}
    with pytest.raises(ConflictError, match="is training, leased by w1; expected training, leased by w2"):
        updates.heartbeat(connection, old.id, "w2", now=24.0, lease=5.0)
    done = updates.change(
        connection, old.id, expected="training", owner="w1", to="examined", now=30.0, task=2, candidate=version.id,
        evidence={"row": [0.9]},
    )  # fmt: skip
    assert (done.state, done.lease_owner, done.lease_until, done.task, done.candidate) == (
        "examined",
        None,
        None,
        2,
        version.id,
    )
    end = updates.change(
        connection, old.id, expected="examined", owner=None, to="promoted", now=31.0, decision={"by": "gate"}
    )
    assert (end.state, end.evidence, end.decision, end.updated) == ("promoted", {"row": [0.9]}, {"by": "gate"}, 31.0)
    with pytest.raises(ConflictError, match="is promoted, leased by nobody; expected examined"):
        updates.change(connection, old.id, expected="examined", owner=None, to="rejected", now=32.0)
    assert [row.id for row in updates.listed(connection, "digits")] == [new.id, old.id]


def test_a_lease_that_ran_out_goes_back_and_after_some_trials_fails(connection: Connection) -> None:
    row = queue(connection, "t1")
    for attempt in (1, 2, 3):
        claimed = claim(connection, f"w{attempt}")
        assert claimed is not None
        assert claimed.attempt == attempt
        assert updates.expire(connection, now=25.0, most_attempts=3) == []
        (expired,) = updates.expire(connection, now=25.1, most_attempts=3)
        assert expired.state == ("queued" if attempt < 3 else "failed")
        with pytest.raises(ConflictError, match="leased by nobody"):
            updates.heartbeat(connection, row.id, f"w{attempt}", now=26.0, lease=5.0)
    assert "3 workers took it and none finished; the last was w3" in updates.get(connection, row.id).decision["reason"]


def test_an_update_is_cancelled_before_it_is_examined(connection: Connection) -> None:
    queued, training = queue(connection, "t1", 10.0), queue(connection, "t0", 9.0)
    claim(connection, "w")
    for row in (queued, training):
        assert updates.cancel(connection, row.id, now=21.0, decision={"by": "ann"}).state == "cancelled"
        with pytest.raises(ConflictError, match=r"is cancelled.*expected queued or training"):
            updates.cancel(connection, row.id, now=21.0, decision={})
    with pytest.raises(ConflictError, match="is cancelled"):
        updates.heartbeat(connection, training.id, "w", now=22.0, lease=5.0)
    with pytest.raises(NotFoundError, match="no update 'x'"):
        updates.cancel(connection, "x", now=21.0, decision={})


def test_workers_who_race_get_different_updates(place: Place, store: Store) -> None:
    made = [store.write(lambda connection, n=n: queue(connection, f"t{n}", n)).result(timeout=30) for n in range(12)]
    other = place.open() if place.database else store

    def work(number: int) -> list[str]:
        won: list[str] = []
        server = (store, other)[number % 2]
        while (
            row := server.write(lambda connection: claim(connection, f"w{number}-{len(won)}", lease=9.0)).result(
                timeout=30
            )
        ) is not None:
            won.append(row.id)
        return won

    with ThreadPoolExecutor(4) as pool:
        won = [row_id for each in pool.map(work, range(4)) for row_id in each]
    other.close()
    assert sorted(won) == sorted(row.id for row in made)


def test_versions_of_two_servers_have_different_numbers(place: Place, store: Store) -> None:
    other = place.open() if place.database else store
    futures = [
        (store, other)[number % 2].write(
            lambda connection, number=number: versions.add(connection, content(f"b{number}"), now=2.0)
        )
        for number in range(20)
    ]
    numbers = sorted(future.result(timeout=30).number for future in futures)
    other.close()
    assert numbers == list(range(1, 21))
    assert all(after - before == 1 for before, after in pairwise(numbers))
