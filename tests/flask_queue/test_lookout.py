"""A question that is asked again and again: its answer is always the present one, whatever it spared the database."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Connection, select

from flask_queue import FlaskQueue
from flask_queue.database import Lookout
from flask_queue.models import jobs
from tests.flask_queue.operations.declared import plain


class Question:
    """Whether there is any job; and how often that was looked up."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, connection: Connection) -> bool:
        self.asked += 1
        return connection.execute(select(jobs.c.id).limit(1)).first() is not None


@pytest.fixture
def question() -> Question:
    return Question()


@pytest.fixture
def lookout(app: Flask, queue: FlaskQueue, question: Question) -> Lookout:
    return Lookout(queue.database, question)


@pytest.mark.parametrize("others", [True, False])
def test_it_sees_at_once_what_was_written(app: Flask, queue: FlaskQueue, question: Question, others: bool) -> None:
    """By others, or through the connection through which it looks: SQLite counts the two apart."""
    job = plain(queue)
    database = queue.database.private() if others else queue.database
    lookout = Lookout(database, question)
    for _ in range(3):
        assert not lookout.ask()
        job.enqueue()
        assert lookout.ask()
        assert lookout.ask()
        queue.jobs.in_state("ready").discard_all()
    database.dispose()


@pytest.mark.databases("sqlite")
def test_it_does_not_ask_again_while_nobody_has_written(queue: FlaskQueue, lookout: Lookout, question: Question) -> None:
    for _ in range(5):
        assert not lookout.ask()
    assert question.asked == 1
    plain(queue).enqueue()
    for _ in range(5):
        assert lookout.ask()  # there is no saying for how long
    assert question.asked == 6


@pytest.mark.databases("sqlite")
def test_what_is_written_during_the_question_is_not_missed(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    found = []

    def asked_before_somebody_writes(connection: Connection) -> bool:
        found.append(connection.execute(select(jobs.c.id).limit(1)).first() is not None)
        if not found[-1]:
            job.enqueue()
        return found[-1]

    lookout = Lookout(queue.database, asked_before_somebody_writes)
    assert not lookout.ask()
    assert lookout.ask()


def test_an_error_costs_one_question(app: Flask, queue: FlaskQueue) -> None:
    answers = iter([True, None, True])

    def broken_once(connection: Connection) -> bool:
        answer = next(answers)
        if answer is None:
            raise ConnectionError
        return answer

    lookout = Lookout(queue.database, broken_once)
    assert lookout.ask()
    with pytest.raises(ConnectionError):
        lookout.ask()
    assert lookout.ask()
