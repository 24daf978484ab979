"""The registry: rows that say who lives, by the database's clock."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import text

from flask_queue import FlaskQueue
from flask_queue.models import Kind
from flask_queue.operations import registration
from tests.harness.databases import connect
from tests.harness.tables import Tables

from .by_hand import register, set_heartbeat
from .interleaving import Aside
from .test_enqueue import database_now


@pytest.mark.behaviour("I1")
def test_a_process_is_entered_with_all_that_it_says_of_itself(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    hostname = "Jo\u2019s \U0001f4bb"
    metadata = {"queues": "a,b", "polling_interval": 0.1, "nested": {"ü": [1, None]}}
    with queue.database.begin() as connection:
        process_id = registration.register(
            connection, Kind.WORKER, "worker-1", pid=4711, hostname=hostname, metadata=metadata, supervisor_id=7
        )
    [row] = tables.processes()
    assert (row.id, row.kind, row.name, row.pid, row.hostname) == (
        process_id,
        "Worker",
        "worker-1",
        4711,
        "Jo\u2019s \U0001f4bb",
    )
    assert (row.supervisor_id, row.metadata) == (7, metadata)
    assert row.started_at == row.last_heartbeat_at <= database_now(queue)
    [record] = queue.processes
    assert (record.id, record.kind, record.metadata, record.stale) == (process_id, "Worker", metadata, False)


@pytest.mark.behaviour("I1")
def test_an_id_is_never_used_again(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """A claim names its owner by it."""
    first = register(queue, Kind.WORKER, "one")
    queue.database.transact(lambda connection: registration.deregister(connection, first))
    assert register(queue, Kind.WORKER, "two") != first


@pytest.mark.behaviour("I7")
def test_a_heartbeat_says_whether_the_registration_is_there(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    process_id = register(queue, Kind.WORKER, "one")
    set_heartbeat(queue.database, process_id, 100)
    before = tables.processes()[0].last_heartbeat_at
    with queue.database.connect() as connection:
        assert registration.heartbeat(connection, process_id)
    assert (tables.processes()[0].last_heartbeat_at - before).total_seconds() > 99
    queue.database.transact(lambda connection: registration.deregister(connection, process_id))
    with queue.database.connect() as connection:
        assert not registration.heartbeat(connection, process_id)
    assert not tables.processes()


def dead(queue: FlaskQueue, *, threshold: float = 60, except_id: int = 0, limit: int = 50) -> list[int]:
    with queue.database.begin() as connection:
        rows = registration.lock_dead(connection, threshold=threshold, except_id=except_id, limit=limit)
        return [row.id for row in rows]


@pytest.mark.behaviour("I2", "I4")
def test_the_dead_are_those_not_heard_of_for_longer_than_the_threshold(app: Flask, queue: FlaskQueue) -> None:
    ids = [register(queue, Kind.WORKER, f"w{n}") for n in range(4)]
    for process_id, seconds in zip(ids, (0, 58, 62, 3600), strict=True):
        set_heartbeat(queue.database, process_id, seconds)
    assert dead(queue) == ids[2:]
    assert dead(queue, except_id=ids[3]) == [ids[2]]
    assert dead(queue, limit=1) == [ids[2]]
    assert [record.stale for record in queue.processes] == [False, False, True, True]


@pytest.mark.behaviour("I10")
def test_a_host_whose_clock_is_wrong_prunes_nobody(app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every instant is the database's: none is sent to it."""
    import time
    from datetime import datetime

    register(queue, Kind.WORKER, "alive")
    assert abs((database_now(queue) - datetime.now(tz=database_now(queue).tzinfo)).total_seconds()) < 60
    skewed = time.time() + 600
    monkeypatch.setattr(time, "time", lambda: skewed)
    assert dead(queue, threshold=5) == []
    assert [record.stale for record in queue.processes] == [False]


@pytest.mark.behaviour("I3")
def test_one_that_is_being_pruned_is_left_alone_by_others_and_finds_its_row_gone(
    app: Flask, queue: FlaskQueue, database_url: str
) -> None:
    first, second = register(queue, Kind.WORKER, "one"), register(queue, Kind.WORKER, "two")
    for process_id in (first, second):
        set_heartbeat(queue.database, process_id, 100)
    with queue.database.begin() as connection:
        rows = registration.lock_dead(connection, threshold=60, except_id=0, limit=1)
        assert [row.id for row in rows] == [first]
        others = Aside(app, lambda: dead(queue))
        beat = Aside(app, lambda: _beat(queue, first))
        others.is_held_up()
        assert beat.is_held_up()
        registration.deregister(connection, first)
    assert others.result() == [second]
    assert beat.result() is False


def _beat(queue: FlaskQueue, process_id: int) -> bool:
    return queue.database.retrying(lambda: _beat_once(queue, process_id))


def _beat_once(queue: FlaskQueue, process_id: int) -> bool:
    with queue.database.connect() as connection:
        return registration.heartbeat(connection, process_id)


@pytest.mark.behaviour("I1")
def test_two_processes_cannot_have_one_name(app: Flask, queue: FlaskQueue, database_url: str) -> None:
    register(queue, Kind.WORKER, "one")
    with connect(database_url) as connection:
        names = connection.execute(text("SELECT name FROM queue_processes")).scalars().all()
    assert names == ["one"]
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        register(queue, Kind.WORKER, "one")
    register(queue, Kind.WORKER, "ONE")
