"""The store: durable before it answers, one that fails takes no other with it, a failed COMMIT acknowledges nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine
from waiting import joined

from lifelong.errors import DataError, SettingError, StorageError
from lifelong.store import audit, postgres, projects
from lifelong.store.backend import RacedError
from lifelong.store.database import Store, open_store
from lifelong.store.projects import Project

from ..conftest import Server
from .conftest import Place


def make(name: str) -> Callable[[Connection], Project]:
    return lambda connection: projects.add(connection, Project(name, {}, 2.0))


def names(store: Store) -> list[str]:
    return [row.name for row in store.read(projects.listed)]


@contextmanager
def held(store: Store) -> Iterator[None]:
    """Keep the writing thread busy, so that what is written inside waits and becomes one group."""
    gate, entered = threading.Event(), threading.Event()

    def wait(_: Connection) -> None:
        entered.set()
        gate.wait(30)

    store.write(wait)
    assert entered.wait(30)
    yield
    gate.set()


def test_what_is_answered_is_committed(store: Store) -> None:
    assert store.write(make("new")).result(timeout=30) == Project("new", {}, 2.0)
    assert names(store) == ["digits", "new", "other"]


def test_a_work_that_raises_is_undone_alone(store: Store) -> None:
    def fail(connection: Connection) -> None:
        make("half")(connection)
        raise DataError("no")

    with held(store):
        futures: list[Future[Any]] = [store.write(work) for work in (make("a"), fail, make("b"))]
        clash = store.write(lambda connection: connection.exec_driver_sql("INSERT INTO project VALUES ('a', '{}', 1)"))
        last = store.write(make("c"))
    assert futures[0].result(timeout=30).name == "a"
    with pytest.raises(DataError, match="no"):
        futures[1].result(timeout=30)
    with pytest.raises(StorageError, match="is there already"):
        clash.result(timeout=30)
    assert futures[2].result(timeout=30).name == "b"
    assert last.result(timeout=30).name == "c"
    assert names(store) == ["a", "b", "c", "digits", "other"]


def test_a_commit_that_fails_acknowledges_nothing_and_the_store_goes_on(store: Store) -> None:
    reference = "REFERENCES project (name) DEFERRABLE INITIALLY DEFERRED"
    store.write(lambda connection: connection.exec_driver_sql(f"CREATE TABLE late (project TEXT {reference})")).result(
        timeout=30
    )
    with held(store):
        good = store.write(make("a"))
        bad = store.write(lambda connection: connection.exec_driver_sql("INSERT INTO late VALUES ('nobody')").rowcount)
    for future in (good, bad):
        with pytest.raises(StorageError, match="a row it names is not stored"):
            future.result(timeout=30)
    assert names(store) == ["digits", "other"]
    assert store.write(make("a")).result(timeout=30).name == "a"


def test_a_cancelled_work_is_not_run(store: Store) -> None:
    with held(store):
        future = store.write(make("a"))
        assert future.cancel()
    assert store.write(make("b")).result(timeout=30).name == "b"
    assert "a" not in names(store)


def test_a_lost_race_is_run_again_and_not_for_ever(store: Store) -> None:
    tries: list[int] = []

    def race(connection: Connection, wins_at: int) -> Project:
        tries.append(1)
        row = make(f"try-{len(tries)}")(connection)
        if len(tries) < wins_at:
            raise RacedError
        return row

    assert store.write(lambda connection: race(connection, 3)).result(timeout=30).name == "try-3"
    assert names(store) == ["digits", "other", "try-3"]
    with pytest.raises(StorageError, match="send again"):
        store.write(lambda connection: race(connection, 1000)).result(timeout=30)
    assert len(tries) == 13


def test_closing_finishes_what_waits_and_refuses_more(place: Place) -> None:
    store = place.open()
    with held(store):
        futures = [store.write(make(f"p{number}")) for number in range(50)]
    store.close()
    store.close()
    assert [future.result(timeout=0).name for future in futures] == [f"p{number}" for number in range(50)]
    with pytest.raises(StorageError, match="closed; open the store again"):
        store.write(make("late"))
    with place.open() as again:
        assert len(names(again)) == 50


def test_a_read_sees_one_state_from_beginning_to_end(store: Store) -> None:
    def look(connection: Connection) -> tuple[int, int]:
        before = len(projects.listed(connection))
        store.write(make("meanwhile")).result(timeout=30)
        return before, len(projects.listed(connection))

    assert store.read(look) == (2, 2)
    assert len(names(store)) == 3


def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(StorageError, match=r"readonly|read-only"):
        store.read(make("a"))
    assert names(store) == ["digits", "other"]


def test_many_threads_write_and_read(store: Store) -> None:
    def client(number: int) -> None:
        for each in range(20):
            store.write(make(f"{number}-{each}")).result(timeout=30)
            assert f"{number}-{each}" in names(store)

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(6)]
    for thread in threads:
        thread.start()
    joined(threads)
    assert len(names(store)) == 122


def cut(url: str) -> None:
    """End every other session of the server, as its restart would."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    engine.dispose()


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_a_connection_that_is_cut_acknowledges_nothing_and_is_made_anew(store: Store, postgres: Server) -> None:
    def work(connection: Connection) -> None:
        make("b")(connection)
        cut(postgres.url)

    with held(store):
        futures: list[Future[Any]] = [store.write(make("a")), store.write(work), store.write(make("c"))]
    for future in futures:
        with pytest.raises(StorageError, match=r"connection was lost.*send again"):
            future.result(timeout=30)
    assert names(store) == ["digits", "other"]  # the reading pool mends itself, too
    assert store.write(make("a")).result(timeout=30).name == "a"
    cut(postgres.url)  # while nothing runs: nobody notices
    assert store.write(make("b")).result(timeout=30).name == "b"


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_a_server_that_stops_and_starts(store: Store, postgres: Server) -> None:
    if postgres.handle is None:
        pytest.skip("somebody else runs this PostgreSQL")
    store.write(make("a")).result(timeout=30)
    postgres.handle.stop()
    try:
        for _ in range(2):
            with pytest.raises(StorageError, match="see that the"):
                store.write(make("b")).result(timeout=30)
        with pytest.raises(StorageError, match="see that the"):
            names(store)
    finally:
        postgres.handle.start()
    assert store.write(make("b")).result(timeout=30).name == "b"
    assert names(store) == ["a", "b", "digits", "other"]


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_two_servers_that_deadlock_both_get_through(place: Place, store: Store) -> None:
    def lock(first: str, second: str, mine: threading.Barrier) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            for number, name in enumerate((first, second)):
                projects.configure(connection, name, {"by": first})
                if number == 0 and not mine.broken:
                    try:
                        mine.wait(5)  # the first time, both hold one and want the other
                    except threading.BrokenBarrierError:
                        return
                    finally:
                        mine.abort()

        return work

    barrier = threading.Barrier(2, action=lambda: None)
    with place.open() as other:
        futures = [store.write(lock("digits", "other", barrier)), other.write(lock("other", "digits", barrier))]
        for future in futures:
            future.result(timeout=60)
    assert {str(row.config) for row in store.read(projects.listed)} in ({"{'by': 'digits'}"}, {"{'by': 'other'}"})


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_two_servers_append_to_one_chain(place: Place, store: Store) -> None:
    def tell(by: Store, number: int) -> Future[audit.Entry]:
        detail = {"number": number}
        return by.write(
            lambda connection: audit.append(connection, at=1, project=None, actor="a", action="x", detail=detail)
        )

    with place.open() as other:
        futures = [tell(by, number) for number in range(40) for by in (store, other)]
        assert sorted(future.result(timeout=60).seq for future in futures) == list(range(1, 81))
    assert store.read(audit.verify) == []


@pytest.mark.parametrize("address", ["mysql://localhost/x", "nothing at all", "postgresql+psycopg2://localhost/x"])
def test_another_kind_of_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingError, match=r"should be like postgresql\+psycopg"):
        open_store(tmp_path, address)


def test_a_server_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="see that the") as caught:
        open_store(tmp_path, "postgresql+psycopg://me:secret@127.0.0.1:9/x?connect_timeout=2")
    assert "secret" not in str(caught.value)


def test_a_server_that_is_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PATIENCE", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StorageError, match="timeout"):
            open_store(tmp_path, f"postgresql+psycopg://me:secret@127.0.0.1:{port}/x")
