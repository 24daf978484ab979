"""The tasks of the configuration come into the database, whatever is wrong with one of them or with the database at first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.config import RecurringTask
from flask_queue.supervisors.pidfile import Pidfile
from flask_queue.supervisors.thread import ThreadSupervisor
from tests.flask_queue.operations.declared import plain

DAILY = "every day at 9am"


@pytest.fixture
def errors(queue: FlaskQueue) -> list[BaseException]:
    found: list[BaseException] = []
    queue.on_thread_error(found.append)
    return found


def supervise(queue: FlaskQueue, *tasks: RecurringTask, work: Callable[[ThreadSupervisor], None] = lambda _: None) -> None:
    """The life of a supervisor without children, which does `work` between its beginning and its end."""

    class Brief(ThreadSupervisor):
        def work(self) -> None:
            work(self)

    configuration = replace(queue.configuration(), recurring_tasks=tasks)
    Brief(queue.runtime(), configuration, [], Pidfile(None)).supervise()


def poll_twice(supervisor: ThreadSupervisor) -> None:
    supervisor.poll()
    supervisor.poll()


@pytest.mark.behaviour("H7")
def test_one_that_cannot_be_written_is_reported_and_stops_no_other(
    app: Flask, queue: FlaskQueue, errors: list[BaseException]
) -> None:
    plain(queue)
    tasks = [RecurringTask(key, job="job", schedule=DAILY) for key in ("a", "b", "c")]
    tasks[1] = replace(tasks[1], args=(math.nan,))
    supervise(queue, *tasks, work=poll_twice)
    assert [task.key for task in queue.recurring_tasks] == ["a", "c"]
    assert len(errors) == 1, "once, however often it polls"
    assert "Recurring task 'b'" in str(errors[0])


@pytest.mark.behaviour("H7")
def test_one_that_cannot_be_written_keeps_the_row_that_it_had(app: Flask, queue: FlaskQueue) -> None:
    plain(queue)
    task = RecurringTask("a", job="job", schedule=DAILY)
    supervise(queue, task)
    supervise(queue, replace(task, args=(math.nan,)))
    assert [task.key for task in queue.recurring_tasks] == ["a"]
    supervise(queue)
    assert not queue.recurring_tasks.all()


@pytest.mark.behaviour("H7", "J8")
@pytest.mark.databases("sqlite")
def test_what_the_database_refused_at_first_is_done_later(app: Flask, queue: FlaskQueue, errors: list[BaseException]) -> None:
    plain(queue)

    def rename(old: str, new: str) -> None:
        with queue.database.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    def work(supervisor: ThreadSupervisor) -> None:
        supervisor.poll()
        rename("elsewhere", "queue_recurring_tasks")
        supervisor.poll()
        assert [task.key for task in queue.recurring_tasks] == ["a"]

    queue.on_start(lambda supervisor: rename("queue_recurring_tasks", "elsewhere"))
    supervise(queue, RecurringTask("a", job="job", schedule=DAILY), work=work)
    assert ["no such table" in str(error) for error in errors] == [True, True]
