"""Instances of mapped classes as arguments: they travel as a reference and are loaded again when the job runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_queue import Concurrency, FlaskQueue
from flask_queue.errors import ArgumentError
from tests.harness.tables import Tables


@pytest.fixture
def models(db: SQLAlchemy) -> tuple[Any, Any]:
    """Two mapped classes: with a key, and with a key of two parts."""

    class User(db.Model):  # type: ignore[name-defined, misc]
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(50))

    class Seat(db.Model):  # type: ignore[name-defined, misc]
        row = db.Column(db.Integer, primary_key=True)
        letter = db.Column(db.String(5), primary_key=True)

    return User, Seat


@pytest.fixture
def app(models: tuple[Any, Any], make_app: Callable[..., Flask], db: SQLAlchemy) -> Any:
    app = make_app()
    with app.app_context():
        db.create_all(None)
        yield app


@pytest.mark.behaviour("A10", "A8")
def test_an_instance_is_loaded_again_when_the_job_runs(
    app: Flask, db: SQLAlchemy, queue: FlaskQueue, models: tuple[Any, Any]
) -> None:
    User, Seat = models
    seen: list[Any] = []

    @queue.job
    def greet(user: Any, *, seats: Any) -> None:
        seen.append((user.name, [(seat.row, seat.letter) for seat in seats], user in db.session))

    user, seat = User(name="Ada"), Seat(row=12, letter="ü")
    db.session.add_all([user, seat])
    db.session.commit()
    greet.enqueue(user, seats=[seat])
    user.name = "Ada Lovelace"
    db.session.commit()
    queue.work()
    assert seen == [("Ada Lovelace", [(12, "ü")], True)]


@pytest.mark.behaviour("A10")
def test_a_job_about_a_row_that_is_gone_fails_and_says_so(
    app: Flask, db: SQLAlchemy, queue: FlaskQueue, models: tuple[Any, Any], tables: Tables
) -> None:
    User, _ = models

    @queue.job
    def greet(user: Any) -> None: ...

    @queue.job
    def other() -> None: ...

    user = User(name="Ada")
    db.session.add(user)
    db.session.commit()
    handle = greet.enqueue(user)
    other.enqueue()
    db.session.delete(user)
    db.session.commit()
    assert queue.work() == 2
    assert tables.states() == {"failed": 1, "finished": 1}
    assert handle.error is not None
    assert (handle.error.error_class, handle.error.message) == ("DeserializationError", "User 1 does not exist any more.")


@pytest.mark.behaviour("A10", "E3")
def test_a_job_may_declare_that_such_errors_discard_it(
    app: Flask, db: SQLAlchemy, queue: FlaskQueue, models: tuple[Any, Any]
) -> None:
    from flask_queue.errors import DeserializationError

    User, _ = models

    @queue.job(discard_on=DeserializationError)
    def greet(user: Any) -> None: ...

    user = User(name="Ada")
    db.session.add(user)
    db.session.commit()
    handle = greet.enqueue(user)
    db.session.delete(user)
    db.session.commit()
    queue.work()
    assert (handle.status, handle.errors) == ("finished", [])


@pytest.mark.behaviour("A7", "A10")
@pytest.mark.databases("sqlite")
def test_an_instance_without_a_key_is_refused(
    app: Flask, db: SQLAlchemy, queue: FlaskQueue, models: tuple[Any, Any], tables: Tables
) -> None:
    User, _ = models

    @queue.job
    def greet(user: Any) -> None: ...

    @queue.job(concurrency=Concurrency(key=lambda user: user))
    def narrow(user: Any) -> None: ...

    user = User(name="Ada")
    for job in (greet, narrow):
        with pytest.raises(ArgumentError, match="flush or commit"):
            job.enqueue(user)
    assert not tables.jobs()


@pytest.mark.behaviour("F2")
def test_the_key_of_an_instance_is_its_class_and_id(
    app: Flask, db: SQLAlchemy, queue: FlaskQueue, models: tuple[Any, Any], tables: Tables
) -> None:
    User, Seat = models

    @queue.job(name="greet", concurrency=Concurrency(key=lambda one: one))
    def greet(one: Any) -> None: ...

    @queue.job(name="sell", concurrency=Concurrency(key=lambda one: one, group="sales"))
    def sell(one: Any) -> None: ...

    user, seat = User(name="Ada"), Seat(row=12, letter="b")
    db.session.add_all([user, seat])
    db.session.commit()
    for job in (greet, sell):
        job.enqueue(user)
        job.enqueue(seat)
    assert [row.concurrency_key for row in tables.jobs()] == [
        f"greet/User/{user.id}", "greet/Seat/12/b", f"sales/User/{user.id}", "sales/Seat/12/b",
    ]  # fmt: skip


@pytest.mark.behaviour("A10")
@pytest.mark.databases("sqlite")
def test_a_class_that_is_mapped_no_longer_fails_the_job(
    app: Flask, db: SQLAlchemy, queue: FlaskQueue, models: tuple[Any, Any], database_url: str
) -> None:
    from tests.harness.databases import connect

    User, _ = models

    @queue.job
    def greet(user: Any) -> None: ...

    user = User(name="Ada")
    db.session.add(user)
    db.session.commit()
    handle = greet.enqueue(user)
    with connect(database_url) as connection:
        connection.exec_driver_sql("UPDATE queue_jobs SET arguments = replace(arguments, 'User', 'Former')")
    queue.work()
    assert handle.error is not None
    assert handle.error.error_class == "DeserializationError"
    assert "no mapped class" in handle.error.message
