"""Recurring tasks as people deal with them: made, looked at, paused, run now and removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Table

from flask_queue import FlaskQueue
from flask_queue.errors import (
    ArgumentError,
    ConfigurationError,
    EnqueueError,
    InvalidScheduleError,
    InvalidTransition,
    QueueError,
    RecurringTaskExists,
    RecurringTaskNotFound,
    UnknownJobError,
)
from flask_queue.jobs.arguments import decode
from flask_queue.models import attempts, jobs, metadata, recurring_tasks
from tests.flask_queue.operations.declared import forget, limited, plain
from tests.harness.databases import connect
from tests.harness.tables import Tables


@pytest.mark.behaviour("H9", "H11")
def test_a_task_keeps_all_that_it_was_made_with(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    made = queue.schedule_recurring_task(
        "task",
        job=job,
        schedule="every day at 9am",
        args=[1],
        queue="mail",
        priority=4,
        description="Does nothing.",
        time_zone="Asia/Tokyo",
        catch_up=timedelta(minutes=5),
    )
    found = queue.recurring_tasks["task"]
    for task in (made, found):
        assert (task.key, task.job_name, task.schedule, task.time_zone) == ("task", "job", "every day at 9am", "Asia/Tokyo")
        assert (task.queue, task.priority, task.description) == ("mail", 4, "Does nothing.")
        assert (task.catch_up, task.static, task.paused, task.last_run_at) == (timedelta(minutes=5), False, False, None)
    assert found.next_run_at is not None
    assert found.next_run_at.astimezone(UTC).hour == 0
    assert found.next_run_at > datetime.now(UTC)


@pytest.mark.behaviour("H11")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("given", "args"),
    [
        (None, ()),
        ((), ()),
        ([], ()),
        ([1, [2]], (1, [2])),
        (("abc", {"user": 2}), ("abc", {"user": 2})),
        ("abc", ("abc",)),
        ("", ("",)),
        (0, (0,)),
        ({"user": 2}, ({"user": 2},)),
        ({1}, ({1},)),
    ],
    ids=repr,
)
def test_arguments_are_one_value_or_a_list(app: Flask, queue: FlaskQueue, given: Any, args: tuple[Any, ...]) -> None:
    queue.job(name="job")(lambda *args: None)
    task = queue.schedule_recurring_task("task", job="job", schedule="every hour", args=given, kwargs=None)
    stored, by_name = decode(task.arguments)
    assert (tuple(stored), by_name) == (args, {})


@pytest.mark.behaviour("H9")
def test_a_key_can_be_had_once(app: Flask, queue: FlaskQueue) -> None:
    plain(queue)
    queue.schedule_recurring_task("task", job="job", schedule="every hour")
    queue.schedule_recurring_task("TASK", job="job", schedule="every hour")
    with pytest.raises(RecurringTaskExists, match="'task'"):
        queue.schedule_recurring_task("task", job="job", schedule="every day")
    assert queue.recurring_tasks["task"].schedule == "every hour"


@pytest.mark.behaviour("H9", "H20")
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"schedule": "tomorrow"}, InvalidScheduleError),
        ({"schedule": "every hour " + " " * 300}, QueueError),
        ({"schedule": 5}, ConfigurationError),
        ({"time_zone": "Mars/Olympus"}, QueueError),
        ({"time_zone": 5}, ConfigurationError),
        ({"job": "unknown"}, UnknownJobError),
        ({"job": ["job"]}, UnknownJobError),
        ({"priority": 2**40}, ConfigurationError),
        ({"queue": "a*"}, ConfigurationError),
        ({"args": [NotImplemented]}, ArgumentError),
        ({"args": NotImplemented}, ArgumentError),
        ({"args": [1, 2, 3]}, ArgumentError),
        ({"kwargs": {"nobody": 1}}, ArgumentError),
        ({"kwargs": [1]}, ConfigurationError),
        ({"kwargs": {1: 2}}, ConfigurationError),
        ({"description": 5}, ConfigurationError),
        ({"description": "a\0b"}, ConfigurationError),
        ({"description": "a\ud800b"}, ConfigurationError),
        ({"catch_up": timedelta(days=61)}, ConfigurationError),
        ({"catch_up": timedelta.max}, ConfigurationError),
        ({"catch_up": float("inf")}, ConfigurationError),
        ({"catch_up": -1}, ConfigurationError),
        ({"catch_up": "a day"}, ConfigurationError),
        ({"key": ""}, ConfigurationError),
        ({"key": "x" * 256}, ConfigurationError),
        ({"key": "a\nb"}, ConfigurationError),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(app: Flask, queue: FlaskQueue, options: dict[str, Any], error: type[QueueError]) -> None:
    plain(queue)
    given: dict[str, Any] = {"key": "task", "job": "job", "schedule": "every hour", **options}
    with pytest.raises(error) as caught:
        queue.schedule_recurring_task(given.pop("key"), **given)
    assert error is not ConfigurationError or next(iter(options)) in str(caught.value)
    assert queue.recurring_tasks.all() == []


@pytest.mark.behaviour("H9")
def test_what_is_not_there_cannot_be_removed(app: Flask, queue: FlaskQueue) -> None:
    plain(queue)
    queue.schedule_recurring_task("task", job="job", schedule="every hour")
    queue.unschedule_recurring_task("task")
    for act in (lambda: queue.unschedule_recurring_task("task"), lambda: queue.recurring_tasks["task"]):
        with pytest.raises(RecurringTaskNotFound, match="'task'"):
            act()
    assert queue.recurring_tasks.get("task") is None


@pytest.mark.behaviour("H30")
def test_a_task_runs_now_beside_its_planned_runs(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    plain(queue, priority=9)
    queue.schedule_recurring_task("task", job="job", schedule="every year", args=[5])
    task = queue.recurring_tasks["task"]
    handle = task.run_now()
    row = tables.job(handle.id)
    assert (row.state, row.priority, queue.describe_arguments(row.arguments)) == ("ready", 9, "5")
    last = queue.recurring_tasks["task"].last_job()
    assert last is not None
    assert last.id == handle.id
    assert queue.recurring_tasks["task"].last_run_at is not None
    queue.unschedule_recurring_task("task")
    with pytest.raises(RecurringTaskNotFound):
        task.run_now()


@pytest.mark.behaviour("H30")
def test_runs_asked_for_at_once_are_all_kept_and_take_no_planned_instant(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    """SQLite's clock counts milliseconds: several fall into each, and every thousandth on an instant of a schedule."""
    plain(queue)
    queue.schedule_recurring_task("task", job="job", schedule="every year")
    task = queue.recurring_tasks["task"]
    handles = [task.run_now() for _ in range(50)]
    runs = tables.runs("task")
    assert sorted(run.job_id for run in runs) == [handle.id for handle in handles]
    assert not any(run.run_at.microsecond % 1000 == 0 for run in runs)


@pytest.mark.behaviour("H30")
def test_a_task_that_cannot_run_now_says_why(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    limited(queue, on_conflict="discard").enqueue("a")
    plain(queue)
    queue.schedule_recurring_task("busy", job="limited", schedule="every year", args=["a"])
    queue.schedule_recurring_task("orphan", job="job", schedule="every year")
    forget(queue, "job")
    with pytest.raises(InvalidTransition, match="another one holds its slot"):
        queue.recurring_tasks["busy"].run_now()
    with pytest.raises(UnknownJobError, match="'orphan'"):
        queue.recurring_tasks["orphan"].run_now()
    assert len(tables.jobs()) == 1
    assert not tables.runs("busy")


@pytest.mark.behaviour("H30")
@pytest.mark.parametrize("missing", [[recurring_tasks], [attempts, jobs]], ids=["the task", "the place for its job"])
def test_a_task_that_the_database_does_not_run_now_is_an_enqueue_error(
    app: Flask, queue: FlaskQueue, database_url: str, missing: list[Table]
) -> None:
    plain(queue)
    task = queue.schedule_recurring_task("task", job="job", schedule="every year")
    with connect(database_url) as connection:
        metadata.drop_all(connection, missing)
    with pytest.raises(EnqueueError, match="flask db upgrade"):
        task.run_now()


@pytest.mark.behaviour("H31")
def test_a_paused_task_says_so(app: Flask, queue: FlaskQueue) -> None:
    plain(queue)
    task = queue.schedule_recurring_task("task", job="job", schedule="every hour")
    task.pause()
    assert queue.recurring_tasks["task"].paused
    assert queue.recurring_tasks["task"].next_run_at is None
    queue.recurring_tasks["task"].resume()
    assert queue.recurring_tasks["task"].next_run_at is not None
    queue.unschedule_recurring_task("task")
    with pytest.raises(RecurringTaskNotFound):
        task.pause()


def test_all_tasks_are_read_in_a_fixed_number_of_statements(app: Flask, queue: FlaskQueue) -> None:
    from tests.flask_queue.operations.plans import statements_of

    plain(queue)
    for n in range(8):
        queue.schedule_recurring_task(f"task{n}", job="job", schedule="every hour").run_now()
    with statements_of(queue.database) as statements:
        tasks = queue.recurring_tasks.all()
    assert [task.key for task in tasks] == [f"task{n}" for n in range(8)]
    assert all(task.last_run_at for task in tasks)
    assert len(statements) == 3
