"""Statements that wait for company: they are run in order, and all or none of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, bindparam, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from flask_queue import FlaskQueue
from flask_queue.database import Prepared, is_lost_connection, now
from flask_queue.database.driver import waiting_on
from flask_queue.models import pauses

PAUSE = Prepared(lambda: pauses.insert().values(queue_name=bindparam("name"), paused_at=now()))
BREAK = Prepared(lambda: pauses.insert().values(queue_name=literal_column("NULL"), paused_at=now()))
COUNT = select(func.count()).select_from(pauses)
COUNTED = Prepared(lambda: COUNT)

WAYS: dict[str, Callable[[Connection], Any]] = {
    "ours": lambda connection: COUNTED.rows(connection, {})[0][0],
    "SQLAlchemy's": lambda connection: connection.execute(COUNT).scalar_one(),
    "the driver's": lambda connection: connection.exec_driver_sql("SELECT count(*) FROM queue_pauses").scalar_one(),
}


def paused(queue: FlaskQueue) -> int:
    with queue.database.connect() as connection:
        return int(WAYS["ours"](connection))


@pytest.mark.parametrize("way", WAYS)
def test_the_next_statement_sees_what_was_sent(app: Flask, queue: FlaskQueue, way: str) -> None:
    with queue.database.begin() as connection:
        PAUSE.send(connection, {"name": "a"})
        PAUSE.send(connection, {"name": "b"})
        assert WAYS[way](connection) == 2


def test_what_was_sent_last_is_committed(app: Flask, queue: FlaskQueue) -> None:
    with queue.database.begin() as connection:
        PAUSE.send(connection, {"name": "a"})
    assert paused(queue) == 1


def test_outside_of_a_transaction_nothing_waits(app: Flask, queue: FlaskQueue) -> None:
    with queue.database.begin():
        pass
    with queue.database.connect() as connection:
        PAUSE.send(connection, {"name": "a"})
        assert paused(queue) == 1  # on another connection


@pytest.mark.parametrize("way", WAYS)
def test_the_next_statement_raises_what_went_wrong(app: Flask, queue: FlaskQueue, way: str) -> None:
    def work(connection: Connection) -> None:
        PAUSE.send(connection, {"name": "a"})
        BREAK.send(connection, {})
        WAYS[way](connection)

    with pytest.raises(DBAPIError, match=r"(?i)null"):
        queue.database.transact(work)
    assert paused(queue) == 0
    test_what_was_sent_last_is_committed(app, queue)  # the connection is as good as before


def test_whoever_commits_hears_what_went_wrong(app: Flask, queue: FlaskQueue) -> None:
    def work(connection: Connection) -> None:
        PAUSE.send(connection, {"name": "a"})
        BREAK.send(connection, {})

    with pytest.raises(DBAPIError, match=r"(?i)null") as raised:
        queue.database.transact(work)
    assert "INSERT INTO queue_pauses" in str(raised.value.statement)
    assert paused(queue) == 0


@pytest.mark.parametrize("way", [*WAYS, None])
def test_a_block_that_raises_takes_back_what_was_sent(app: Flask, queue: FlaskQueue, way: str | None) -> None:
    def work(connection: Connection) -> None:
        PAUSE.send(connection, {"name": "a"})
        if way is not None:
            WAYS[way](connection)
            PAUSE.send(connection, {"name": "b"})
        raise LookupError

    with pytest.raises(LookupError):
        queue.database.transact(work)
    assert paused(queue) == 0


@pytest.mark.databases("postgresql")
def test_a_block_that_raises_does_not_begin_what_was_sent(app: Flask, queue: FlaskQueue) -> None:
    """It could have to wait for others, only to be taken back."""

    database = queue.database

    def fail() -> None:
        with suppress(LookupError), database.begin() as connection:
            PAUSE.send(connection, {"name": "a"})
            raise LookupError

    failing = Thread(target=fail)
    with database.begin() as other:
        other.execute(text("LOCK TABLE queue_pauses"))
        failing.start()
        failing.join(timeout=5)
        assert not failing.is_alive()


@pytest.mark.databases("postgresql")
def test_a_connection_that_cannot_leave_its_pipeline_is_lost(app: Flask, queue: FlaskQueue) -> None:
    """A server that hangs up leaves one behind now and then, and COPY always."""

    def work(connection: Connection) -> None:
        Prepared(lambda: text("COPY queue_pauses TO STDOUT")).send(connection, {})
        COUNTED.rows(connection, {})

    with pytest.raises(DBAPIError) as raised:
        queue.database.transact(work)
    assert is_lost_connection(raised.value)
    assert paused(queue) == 0


@pytest.mark.databases("postgresql")
def test_something_waits_on_postgresql(app: Flask, queue: FlaskQueue) -> None:
    """Else the others prove little."""
    with queue.database.begin() as connection:
        PAUSE.send(connection, {"name": "a"})
        assert len(waiting_on(connection) or ()) == 2  # BEGIN is the first
        COUNTED.rows(connection, {})
        assert waiting_on(connection) == []
    assert waiting_on(connection) is None
