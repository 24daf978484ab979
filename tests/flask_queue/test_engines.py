"""How each database is opened, and what a broken connection or a deadlock costs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, NullPool, QueuePool, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from flask_queue import FlaskQueue
from flask_queue.database import lock_keys
from flask_queue.models import concurrency_keys
from flask_queue.setup import pool_size
from tests.flask_queue.operations.declared import plain


@pytest.mark.behaviour("R1")
@pytest.mark.databases("sqlite")
def test_sqlite_is_opened_as_a_server_needs_it(app: Flask, db: SQLAlchemy, queue: FlaskQueue) -> None:
    for engine in (queue.database.engine, db.engines["queue"]):
        with engine.connect() as connection:
            wanted = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 5000}
            assert {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in wanted} == wanted


def test_what_the_application_listens_for_after_init_app_is_heard(app: Flask, db: SQLAlchemy, queue: FlaskQueue) -> None:
    opened: list[None] = []
    event.listen(db.engines["queue"], "connect", lambda connection, record: opened.append(None))
    plain(queue).enqueue()
    assert len(opened) == 1
    private = queue.database.private()
    with private.connect():
        assert len(opened) == 2


@pytest.mark.databases("sqlite")
def test_a_commit_may_be_made_to_survive_a_power_cut(app: Flask, db: SQLAlchemy, queue: FlaskQueue) -> None:
    event.listen(db.engines["queue"], "connect", lambda connection, record: connection.execute("PRAGMA synchronous = FULL"))
    for database in (queue.database, queue.database.private()):
        with database.connect() as connection:
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2


@pytest.mark.behaviour("R1")
@pytest.mark.databases("sqlite")
def test_writers_take_sqlites_lock_at_once_and_readers_never(app: Flask, db: SQLAlchemy, queue: FlaskQueue) -> None:
    job = plain(queue)
    job.enqueue()
    with queue.database.begin():
        with queue.database.connect() as reader:
            assert reader.execute(text("SELECT count(*) FROM queue_jobs")).scalar() == 1
        with db.engines["queue"].connect() as other:
            other.exec_driver_sql("PRAGMA busy_timeout=0")
            with pytest.raises(OperationalError, match="locked"):
                other.exec_driver_sql("BEGIN IMMEDIATE")
            other.exec_driver_sql("PRAGMA busy_timeout=5000")
    with db.engines["queue"].connect() as connection:  # the application's own connections are as it opened them
        assert connection.connection.dbapi_connection.isolation_level == ""  # type: ignore[union-attr]


@pytest.mark.behaviour("R2")
@pytest.mark.databases("mariadb")
def test_mariadb_keeps_names_apart_texts_whole_and_microseconds(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    at = datetime.now(UTC).replace(microsecond=123457) + timedelta(days=1)
    long = "ü\N{GRINNING FACE}" * 100_000
    handle = job.using(at=at, queue="Mail").enqueue(long)
    job.using(queue="mail").enqueue()
    assert handle.scheduled_at == at
    assert long in handle.arguments
    assert [found.queue for found in queue.jobs.all_states.where(queue="mail")] == ["mail"]


@pytest.mark.behaviour("R2")
@pytest.mark.databases("postgresql", "mariadb")
def test_a_deadlock_is_tried_again(app: Flask, queue: FlaskQueue) -> None:
    """Two transactions take two keys in opposite order, at the same time: the database breaks one of them off."""
    meeting = threading.Barrier(2, timeout=10)
    attempts: list[str] = []

    def take(first: str, second: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            attempts.append(first)
            lock_keys(connection, concurrency_keys, [first])
            connection.execute(text("SELECT 1"))  # until then the lock may wait for company
            if len(attempts) <= 2:
                meeting.wait()
            lock_keys(connection, concurrency_keys, [second])

        return work

    threads = [threading.Thread(target=queue.database.transact, args=[take(*pair)]) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(attempts) == 3


@pytest.mark.behaviour("Q5")
@pytest.mark.databases("postgresql", "mariadb")
def test_a_broken_connection_of_the_application_fails_the_job_alone(
    make_app: Callable[..., Flask], db: SQLAlchemy, queue: FlaskQueue, database_url: str
) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=database_url)

    @queue.job(name="broken")
    def broken() -> None:
        own = {"postgresql": "SELECT pg_backend_pid()"}.get(db.engine.dialect.name, "SELECT connection_id()")
        number = db.session.execute(text(own)).scalar()
        kill = {"postgresql": f"SELECT pg_terminate_backend({number})"}.get(db.engine.dialect.name, f"KILL {number}")
        with db.engine.connect() as other:
            other.execute(text(kill))
        db.session.execute(text("SELECT 1"))

    job = plain(queue)
    with app.app_context():
        lost, fine = broken.enqueue(), job.enqueue()
        assert queue.work() == 2
        assert (lost.status, fine.status) == ("failed", "finished")
        assert lost.error is not None
        assert "OperationalError" in lost.error.error_class


@pytest.mark.behaviour("A4")
def test_an_error_that_does_not_pass_is_not_tried_again(app: Flask, queue: FlaskQueue) -> None:
    tries = []

    def work(connection: Connection) -> None:
        tries.append(1)
        connection.execute(text("SELECT nothing FROM nowhere"))

    with pytest.raises(DBAPIError):
        queue.database.transact(work)
    assert tries == [1]


@pytest.mark.behaviour("M6")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"pool_size": 3, "max_overflow": 4}, 7),
        ({"pool_size": 3, "max_overflow": 0}, 3),
        ({"pool_size": 3, "max_overflow": -1}, None),
        ({"pool_size": 0}, None),
        ({"poolclass": NullPool}, None),
    ],
)
def test_a_pool_may_have_no_limit(
    make_app: Callable[..., Flask], queue: FlaskQueue, database_url: str, options: dict[str, object], size: int | None
) -> None:
    with make_app(SQLALCHEMY_BINDS={"queue": {"url": database_url, "poolclass": QueuePool, **options}}).app_context():
        assert pool_size(queue.database) == size
