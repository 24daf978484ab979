"""Ticks of recurring tasks: each once, whoever comes first; and the tasks themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection

from flask_queue import Concurrency, FlaskQueue
from flask_queue.client.recurring import job_of
from flask_queue.models import recurring_runs
from flask_queue.operations import recurring
from flask_queue.operations.clear import clear_runs
from tests.harness.tables import Tables

from .by_hand import ago
from .declared import plain
from .interleaving import Aside, at_once, times

TICK = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def tick(app: Flask, queue: FlaskQueue) -> Callable[..., tuple[bool, int | None]]:
    """Enqueue the task "task" for an instant."""
    plain(queue)
    queue.schedule_recurring_task("task", job="job", schedule="every minute")

    def tick(instant: datetime = TICK) -> tuple[bool, int | None]:
        return queue.database.transact(lambda connection: _tick(queue, connection, instant))

    return tick


def _tick(queue: FlaskQueue, connection: Connection, instant: datetime) -> tuple[bool, int | None]:
    row = recurring.task(connection, "task")
    assert row is not None
    return recurring.enqueue_tick(connection, "task", instant, job_of(queue.client, row))


@pytest.mark.behaviour("H2", "H4")
def test_a_tick_is_enqueued_once(tick: Callable[..., tuple[bool, int | None]], tables: Tables) -> None:
    first, job_id = tick()
    assert first
    assert tick() == (False, None)
    assert [row.id for row in tables.jobs()] == [job_id]
    [run] = tables.runs("task")
    assert (run.run_at, run.job_id) == (TICK, job_id)
    assert tick(TICK + timedelta(minutes=1))[0]


@pytest.mark.behaviour("H2", "H4")
def test_of_many_schedulers_one_enqueues_a_tick(
    app: Flask, tick: Callable[..., tuple[bool, int | None]], tables: Tables
) -> None:
    for minute in range(6):
        instant = TICK + timedelta(minutes=minute)
        answers = at_once(app, *times(4, lambda instant=instant: tick(instant)))  # type: ignore[misc]
        assert sorted(first for first, _ in answers) == [False, False, False, True]
    assert len(tables.jobs()) == len(tables.runs("task")) == 6


@pytest.mark.behaviour("H4")
def test_who_comes_second_waits_for_the_first_and_tries_when_it_gives_up(
    app: Flask, queue: FlaskQueue, tick: Callable[..., tuple[bool, int | None]], tables: Tables
) -> None:
    with suppress(LookupError), queue.database.begin() as connection:
        assert _tick(queue, connection, TICK)[0]
        second = Aside(app, tick)
        assert second.is_held_up()
        raise LookupError
    assert second.result()[0]
    assert len(tables.jobs()) == len(tables.runs("task")) == 1


@pytest.mark.behaviour("H5")
def test_a_tick_outlives_its_job(queue: FlaskQueue, tick: Callable[..., tuple[bool, int | None]], tables: Tables) -> None:
    """Whether jobs are kept or not."""
    tick()
    queue.work()
    queue.clear_finished(0)
    assert not tables.jobs()
    assert tick() == (False, None)
    assert queue.recurring_tasks["task"].last_job() is None
    assert queue.recurring_tasks["task"].last_run_at == TICK


@pytest.mark.behaviour("H6")
def test_only_old_runs_are_cleared_and_in_batches(
    queue: FlaskQueue, tick: Callable[..., tuple[bool, int | None]], tables: Tables
) -> None:
    tick()
    with queue.database.begin() as connection:
        for days in (89, 91, 92, 93):
            values = {"task_key": "task", "run_at": ago(days * 86_400.0), "created_at": ago(0)}
            connection.execute(recurring_runs.insert().values(**values))

    def clear() -> int:
        return queue.database.transact(lambda connection: clear_runs(connection, older_than=90 * 86_400.0, batch_size=2))

    assert [clear(), clear(), clear()] == [2, 1, 0]
    assert len(tables.runs("task")) == 2


@pytest.mark.behaviour("H13")
def test_a_tick_whose_job_is_discarded_leaves_nothing_and_is_taken_later(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    @queue.job(name="job", concurrency=Concurrency(on_conflict="discard"))
    def job() -> None: ...

    holder = job.enqueue()
    queue.schedule_recurring_task("task", job=job, schedule="every minute")

    def tick() -> tuple[bool, int | None]:
        return queue.database.transact(lambda connection: _tick(queue, connection, TICK))

    assert tick() == (True, None)
    assert not tables.runs("task")
    holder.discard()
    assert tick()[1] is not None


# --- the tasks of the configuration -----------------------------------------------------------------------


def values(key: str, **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "job_name": "job",
        "arguments": "[]",
        "schedule": "every minute",
        "time_zone": "UTC",
        "queue_name": None,
        "priority": None,
        "description": None,
        "catch_up": 0,
        "static": True,
        **changes,
    }


def synchronize(queue: FlaskQueue, *configured: dict[str, Any]) -> None:
    queue.database.transact(lambda connection: recurring.synchronize(connection, configured))


def effective_at(queue: FlaskQueue, key: str) -> datetime:
    with queue.database.connect() as connection:
        row = recurring.task(connection, key)
    assert row is not None
    moment = row.effective_at
    assert isinstance(moment, datetime)
    return moment


@pytest.mark.behaviour("H7", "H8")
def test_static_tasks_become_those_of_the_configuration(app: Flask, queue: FlaskQueue) -> None:
    plain(queue)
    queue.schedule_recurring_task("dynamic", job="job", schedule="every hour")
    synchronize(queue, values("a"), values("b"))
    synchronize(queue, values("b", schedule="every 2 minutes"), values("c"))
    assert [(task.key, task.schedule, task.static) for task in queue.recurring_tasks] == [
        ("b", "every 2 minutes", True),
        ("c", "every minute", True),
        ("dynamic", "every hour", False),
    ]
    with queue.database.begin() as connection:
        connection.exec_driver_sql("UPDATE queue_recurring_tasks SET schedule = 'every year' WHERE static")
    synchronize(queue, values("b"))
    assert [(task.key, task.schedule) for task in queue.recurring_tasks] == [("b", "every minute"), ("dynamic", "every hour")]
    synchronize(queue)
    assert [task.key for task in queue.recurring_tasks] == ["dynamic"]


@pytest.mark.behaviour("H7")
def test_a_task_counts_anew_only_when_its_times_change(app: Flask, queue: FlaskQueue) -> None:
    synchronize(queue, values("a"))
    added = effective_at(queue, "a")
    synchronize(queue, values("a", description="said better", priority=3))
    assert effective_at(queue, "a") == added
    time.sleep(0.002)
    synchronize(queue, values("a", schedule="every hour"))
    retimed = effective_at(queue, "a")
    time.sleep(0.002)  # SQLite's clock tells milliseconds
    assert retimed > added
    synchronize(queue, values("a", schedule="every hour", time_zone="Asia/Tokyo"))
    assert effective_at(queue, "a") > retimed


@pytest.mark.behaviour("H7")
def test_supervisors_that_start_together_do_not_get_in_each_others_way(app: Flask, queue: FlaskQueue) -> None:
    configured = [values(f"task{n}") for n in range(8)]
    at_once(app, *times(4, lambda: synchronize(queue, *configured)))
    assert len(queue.recurring_tasks.all()) == 8


@pytest.mark.behaviour("H9")
def test_only_dynamic_tasks_can_be_removed(app: Flask, queue: FlaskQueue) -> None:
    synchronize(queue, values("static"))
    with queue.database.begin() as connection:
        assert not recurring.remove(connection, "static")
        assert not recurring.remove(connection, "unknown")
        assert recurring.add(connection, values("dynamic", static=False))
        assert not recurring.add(connection, values("dynamic", static=False))
        assert recurring.remove(connection, "dynamic")


@pytest.mark.behaviour("H10")
def test_a_task_that_is_made_again_counts_anew(app: Flask, queue: FlaskQueue) -> None:
    with queue.database.begin() as connection:
        recurring.add(connection, values("task", static=False))
        first = recurring.task(connection, "task")
        recurring.remove(connection, "task")
        recurring.add(connection, values("task", static=False, schedule="every hour"))
        second = recurring.task(connection, "task")
    assert first is not None
    assert second is not None
    assert (second.schedule, second.id) != (first.schedule, first.id)


def test_a_pause_and_its_end(app: Flask, queue: FlaskQueue) -> None:
    synchronize(queue, values("task"))
    with queue.database.begin() as connection:
        before = recurring.task(connection, "task")
        assert recurring.set_paused(connection, "task", True)
        assert not recurring.set_paused(connection, "unknown", True)
        paused = recurring.task(connection, "task")
        assert recurring.set_paused(connection, "task", False)
        resumed = recurring.task(connection, "task")
    assert before is not None
    assert paused is not None
    assert resumed is not None
    assert (before.paused_at, resumed.paused_at) == (None, None)
    assert paused.paused_at is not None
    assert resumed.effective_at >= before.effective_at
