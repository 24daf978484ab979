"""The connection that is kept at hand: who gets it, and when it is another one."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, NullPool, event, text

from flask_queue import FlaskQueue
from flask_queue.database import Database, kept
from flask_queue.database.kept import IDLE, Kept


@pytest.fixture
def keeper(app: Flask, queue: FlaskQueue) -> Iterator[Kept]:
    keeper = Kept(queue.database.engine)
    yield keeper
    keeper.close()


def used(keeper: Kept) -> Connection:
    with keeper.use() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    return connection


def fail(keeper: Kept, what: Callable[[Connection], object]) -> None:
    """Do something to a connection, and raise."""

    def use() -> None:
        with keeper.use() as connection:
            what(connection)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        use()


def lose(connection: Connection) -> None:
    """As it is when the server went away."""
    connection.connection.dbapi_connection.close()  # type: ignore[union-attr]
    connection.invalidate()


def answers(connection: Any) -> bool:
    """Whether a driver's connection is open."""
    try:
        connection.cursor().execute("SELECT 1")
    except Exception:
        return False
    return True


def test_who_comes_after_another_gets_the_same_connection(queue: FlaskQueue, keeper: Kept) -> None:
    """The pool is asked once."""
    asked: list[None] = []
    event.listen(queue.database.engine, "checkout", lambda *_: asked.append(None))
    assert used(keeper) is used(keeper) is used(keeper)
    assert len(asked) == 1


def test_nobody_shares_a_connection_and_one_is_kept(keeper: Kept) -> None:
    with keeper.use() as one, keeper.use() as another:
        assert one.connection.dbapi_connection is not another.connection.dbapi_connection
    assert (one.closed, another.closed) == (True, False)  # the first to come back stays
    assert used(keeper) is another


def test_others_are_the_pools_however_often_they_meet(queue: FlaskQueue, keeper: Kept) -> None:
    """Nothing is opened or closed for that."""
    with keeper.use(), keeper.use():
        pass
    with keeper.use(), keeper.use():
        pass
    opened: list[None] = []
    event.listen(queue.database.engine, "connect", lambda *_: opened.append(None))
    for _ in range(5):
        with keeper.use() as one, keeper.use() as another:
            assert [each.connection.is_detached for each in (one, another)] == [True, False]
    assert opened == []


def test_it_is_usable_after_something_went_wrong_in_it(keeper: Kept) -> None:
    first = used(keeper)
    fail(keeper, lambda connection: connection.exec_driver_sql("BEGIN"))
    with keeper.use() as connection:
        assert connection is first
        connection.exec_driver_sql("BEGIN")  # there is none open any more
        connection.exec_driver_sql("ROLLBACK")


def test_one_that_was_lost_in_use_is_not_kept(keeper: Kept) -> None:
    first = used(keeper)
    fail(keeper, lose)
    assert first.closed
    assert used(keeper) is not first
    assert used(keeper) is used(keeper)


def test_it_gets_no_older_than_the_pools_may(
    make_app: Callable[..., Flask], queue: FlaskQueue, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_app(SQLALCHEMY_BINDS={"queue": {"url": database_url, "pool_recycle": 100}}).app_context():
        keeper = Kept(queue.database.engine)
        first, start = used(keeper), time.monotonic()
        monkeypatch.setattr("flask_queue.database.kept.time.monotonic", lambda: start + 99)
        assert used(keeper) is first
        monkeypatch.setattr("flask_queue.database.kept.time.monotonic", lambda: start + 101)
        assert used(keeper) is not first
        keeper.close()


def test_nothing_is_kept_where_nothing_is_pooled(make_app: Callable[..., Flask], queue: FlaskQueue, database_url: str) -> None:
    with make_app(SQLALCHEMY_BINDS={"queue": {"url": database_url, "poolclass": NullPool}}).app_context():
        keeper = Kept(queue.database.engine)
        assert used(keeper).closed


def test_it_keeps_no_transaction_open(keeper: Kept) -> None:
    assert not used(keeper).in_transaction()


def test_a_closed_one_is_replaced(keeper: Kept) -> None:
    first = used(keeper)
    keeper.close()
    keeper.close()
    assert first.closed
    assert used(keeper) is not first


@pytest.mark.behaviour("I9")
def test_what_is_kept_takes_no_place_in_a_pool(make_app: Callable[..., Flask], queue: FlaskQueue, database_url: str) -> None:
    bind = {"url": database_url, "pool_size": 1, "max_overflow": 0, "pool_timeout": 1}
    with make_app(SQLALCHEMY_BINDS={"queue": bind}).app_context():
        keeper = Kept(queue.database.engine)
        used(keeper)
        with queue.database.engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        keeper.close()


@pytest.mark.behaviour("J10")
def test_a_forked_child_leaves_its_parents_connection_alone(keeper: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody tells it that it was forked: it may be a web server's."""
    of_parent = used(keeper)
    monkeypatch.setattr(kept, "_inherited", [])
    with monkeypatch.context() as child:
        child.setattr("flask_queue.database.kept.os.getpid", lambda: -1)
        assert used(keeper) is not of_parent
        keeper.close()
        keeper._spare.append(kept._Spare(of_parent, 0.0, 1))
        keeper.close()
    assert not of_parent.closed
    assert of_parent.execute(text("SELECT 1")).scalar() == 1
    of_parent.close()


@pytest.mark.behaviour("J10")
def test_a_forked_child_keeps_one_although_a_thread_of_its_parent_had_the_other(
    keeper: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    used(keeper)
    monkeypatch.setattr(kept, "_inherited", [])
    with keeper.use() as of_parent:
        with monkeypatch.context() as child:
            child.setattr("flask_queue.database.kept.os.getpid", lambda: -1)
            first = used(keeper)
            assert first is not of_parent
            assert used(keeper) is first
            keeper.close()
        keeper._own, keeper._own_pid = of_parent, os.getpid()


@pytest.mark.databases("postgresql", "mariadb")
def test_it_renews_a_connection_that_was_not_used_for_long(keeper: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart of the server meanwhile is nobody's error."""
    broken = used(keeper)
    raw = broken.connection.dbapi_connection
    assert raw is not None
    raw.close()
    later = keeper._spare[0].used_at + IDLE
    monkeypatch.setattr("flask_queue.database.kept.time.monotonic", lambda: later)
    assert used(keeper) is not broken


def test_one_that_was_not_used_for_long_and_lives_is_used_again(keeper: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    first = used(keeper)
    later = keeper._spare[0].used_at + IDLE
    monkeypatch.setattr("flask_queue.database.kept.time.monotonic", lambda: later)
    assert used(keeper) is first


@pytest.mark.parametrize("made_by", ["this process", "its parent"])
def test_what_an_application_that_is_dropped_had_open_is_closed(app: Flask, queue: FlaskQueue, made_by: str) -> None:
    """Else its driver warns of each, and fails the tests of whoever takes warnings seriously."""
    database = Database(queue.database.bind_engine)
    with database.connect() as one, database.connect() as another:  # one is kept, one is the pool's
        opened = [each.connection.dbapi_connection for each in (one, another)]
    if made_by == "its parent":
        database._pid -= 1
    del database, one, another
    gc.collect()
    left = [each for each in opened if each is not None and answers(each)]
    assert len(left) == (2 if made_by == "its parent" else 0)
    for each in left:
        each.close()
