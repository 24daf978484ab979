"""Recurring tasks and their ticks. A tick, the pair of a task and an instant, is enqueued once, whoever comes first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from random import randint
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from ..database import AnyRow, Prepared, insert_ignoring, is_one_of, now
from ..models.recurring_run import recurring_runs
from ..models.recurring_task import recurring_tasks
from .enqueue import NewJob, database_time, enqueue

_TASK = recurring_tasks.c.key == bindparam("task_key")
_ALL = select(recurring_tasks).order_by(recurring_tasks.c.key)
_ONE = select(recurring_tasks).where(_TASK)
_RUN = (
    recurring_runs.c.task_key == bindparam("of_task"),
    recurring_runs.c.run_at == bindparam("tick", type_=recurring_runs.c.run_at.type),
)
_LINK = update(recurring_runs).where(*_RUN).values(job_id=bindparam("run_job_id"))
_FORGET = delete(recurring_runs).where(*_RUN)
_LAST = select(recurring_runs.c.task_key, func.max(recurring_runs.c.run_at).label("run_at")).group_by(recurring_runs.c.task_key)
_REMOVE_STATIC = Prepared(
    lambda: delete(recurring_tasks).where(recurring_tasks.c.static.is_(True), ~is_one_of(recurring_tasks.c.key, "kept_keys"))
)

#: What makes a task another one than before, so that its ticks count anew.
_TIMING = ("schedule", "time_zone")


def tasks(connection: Connection) -> Sequence[AnyRow]:
    """All recurring tasks, by key."""
    return connection.execute(_ALL).all()


def task(connection: Connection, key: str) -> AnyRow | None:
    """One recurring task."""
    return connection.execute(_ONE, {"task_key": key}).first()


def add(connection: Connection, values: Mapping[str, Any]) -> bool:
    """Add a task; False when its key is taken. It fires for no instant before now."""
    return insert_ignoring(connection, recurring_tasks, {**values, "effective_at": now(), "created_at": now()})


def remove(connection: Connection, key: str) -> bool:
    """Remove a task that was made at run time; False when there is none of this key."""
    statement = delete(recurring_tasks).where(_TASK, recurring_tasks.c.static.is_(False))
    return connection.execute(statement, {"task_key": key}).rowcount == 1


def synchronize(connection: Connection, configured: Sequence[Mapping[str, Any]], *, keep: Collection[str] = ()) -> None:
    """Make the static tasks those of the configuration: add, change, remove. Dynamic ones are left alone.

    :param keep: keys of further ones that are not to be removed.
    """
    known = {row.key: row for row in tasks(connection)} if configured else {}
    for values in configured:
        row = known.get(values["key"])
        if row is None:
            add(connection, values)
        elif any(getattr(row, name) != value for name, value in values.items()):
            _change(connection, row, values)
    _REMOVE_STATIC.count(connection, {"kept_keys": [*keep, *(values["key"] for values in configured)]})


def _change(connection: Connection, row: AnyRow, values: Mapping[str, Any]) -> None:
    retimed = any(getattr(row, name) != values[name] for name in _TIMING)
    more = {"effective_at": now()} if retimed else {}
    connection.execute(update(recurring_tasks).where(recurring_tasks.c.id == row.id).values(**values, **more))


def set_paused(connection: Connection, key: str, paused: bool) -> bool:
    """Pause or resume a task; False when there is none. What it missed while paused it does not make up for."""
    values = {"paused_at": now()} if paused else {"paused_at": None, "effective_at": now()}
    return connection.execute(update(recurring_tasks).where(_TASK).values(values), {"task_key": key}).rowcount == 1


def enqueue_tick(connection: Connection, key: str, tick: datetime, job: NewJob) -> tuple[bool, int | None]:
    """Enqueue a task's job for one instant, unless that was done already.

    :return: whether this call did it, and the job's id; without one a concurrency rule discarded the job, and the tick
        may be tried again.
    """
    run = {"task_key": key, "run_at": tick, "created_at": now()}
    if not insert_ignoring(connection, recurring_runs, run):
        return False, None
    job_id = enqueue(connection, job)
    if job_id is None:
        connection.execute(_FORGET, {"of_task": key, "tick": tick})
    else:
        connection.execute(_LINK, {"of_task": key, "tick": tick, "run_job_id": job_id})
    return True, job_id


def record_extra_run(connection: Connection, key: str, job_id: int) -> None:
    """Keep a run that somebody asked for by hand, at an instant of its own: between those of others, and of no schedule."""
    recorded = False
    while not recorded:
        moment = database_time(connection)  # SQLite's clock counts milliseconds
        run_at = moment.replace(microsecond=moment.microsecond // 1000 * 1000 + randint(1, 999))
        run = {"task_key": key, "run_at": run_at, "job_id": job_id, "created_at": now()}
        recorded = insert_ignoring(connection, recurring_runs, run)


def last_runs(connection: Connection) -> dict[str, datetime]:
    """The latest instant that each task ran for."""
    return {row.task_key: row.run_at for row in connection.execute(_LAST)}


def last_run(connection: Connection, key: str) -> AnyRow | None:
    """The latest run of one task."""
    return connection.execute(
        select(recurring_runs).where(recurring_runs.c.task_key == key).order_by(recurring_runs.c.run_at.desc()).limit(1)
    ).first()
