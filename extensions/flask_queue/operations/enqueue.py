"""New jobs: into ready, scheduled or blocked. One at a time in one statement, or many with few statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, String, bindparam, case, literal_column, select

from ..database import Insertion, insert_many, notify, now, now_plus
from ..jobs.concurrency import Limit
from ..models.job import State, jobs
from .slots import Slots


class NewJob(NamedTuple):
    """A job about to be written. `wait` (seconds) and `at` exclude each other; neither means now."""

    queue_name: str
    name: str
    arguments: str
    priority: int
    wait: float | None = None
    at: datetime | None = None
    limit: Limit | None = None


def _insert(state: Any, scheduled_at: Any, *, announce: bool = False, **more: Any) -> Insertion:
    values = {
        "queue_name": bindparam("queue_name"),
        "name": bindparam("name"),
        "arguments": bindparam("arguments"),
        "priority": bindparam("priority"),
        "state": state,
        "scheduled_at": scheduled_at,
        "created_at": now(),
    }
    return Insertion(jobs, values | more, announce=announce)


_LIMIT: dict[str, Any] = {
    "concurrency_key": bindparam("concurrency_key"),
    "concurrency_limit": bindparam("concurrency_limit"),
    "concurrency_duration": bindparam("concurrency_duration"),
}
_AT = bindparam("at", type_=jobs.c.scheduled_at.type)
_READY = literal_column("'ready'", String)
_SCHEDULED = literal_column("'scheduled'", String)

_INSERT_NOW = _insert(_READY, now(), announce=True)
_INSERT_LATER = _insert(_SCHEDULED, now_plus(bindparam("wait")))
# Whether an instant is past is for the database's clock to say.
_INSERT_AT = _insert(case((now() >= _AT, _READY), else_=_SCHEDULED), _AT)
_INSERT_LIMITED = _insert(
    bindparam("state"), now(), announce=True, expires_at=now_plus(bindparam("concurrency_duration")), **_LIMIT
)
_INSERT_LIMITED_LATER = _insert(_SCHEDULED, now_plus(bindparam("wait")), **_LIMIT)
_INSERT_LIMITED_AT = _insert(_SCHEDULED, _AT, **_LIMIT)
_CLOCK = select(now())


def is_single(job: NewJob) -> bool:
    """Whether `enqueue` takes one statement, so that it needs no transaction around it."""
    return job.limit is None


def enqueue(connection: Connection, job: NewJob) -> int | None:
    """Write `job` as ready, scheduled or blocked, and tell the workers of other hosts.

    :return: the row's id, or None when its concurrency rule discards it.
    """
    values: dict[str, Any] = {
        "queue_name": job.queue_name,
        "name": job.name,
        "arguments": job.arguments,
        "priority": job.priority,
    }
    if job.limit is not None:
        return _enqueue_limited(connection, job, job.limit, values)
    if job.at is not None:
        return _INSERT_AT(connection, {**values, "at": job.at})
    if job.wait is not None and job.wait > 0:
        return _INSERT_LATER(connection, {**values, "wait": job.wait})
    return _INSERT_NOW(connection, values)


def _enqueue_limited(connection: Connection, job: NewJob, limit: Limit, values: dict[str, Any]) -> int | None:
    values |= {
        "concurrency_key": limit.key,
        "concurrency_limit": limit.to,
        "concurrency_duration": limit.duration,
    }
    # Whether there is a slot is asked when the job is due.
    if job.wait is not None and job.wait > 0:
        return _INSERT_LIMITED_LATER(connection, {**values, "wait": job.wait})
    if job.at is not None and job.at > database_time(connection):
        return _INSERT_LIMITED_AT(connection, {**values, "at": job.at})
    free = Slots(connection, {limit.key}).take(limit.key, limit.to)
    if not free and limit.on_conflict == "discard":
        return None
    return _INSERT_LIMITED(connection, {**values, "state": (State.READY if free else State.BLOCKED).value})


def database_time(connection: Connection) -> datetime:
    """What the database's clock says now."""
    moment = connection.execute(_CLOCK).scalar_one()
    assert isinstance(moment, datetime)
    return moment


def enqueue_many(connection: Connection, many: Sequence[NewJob]) -> list[int | None]:
    """Write all of `many`, in order, with a number of statements that does not grow with them but for chunks.

    :return: for each job its row's id, or None when its concurrency rule discards it; ids grow in the order of `many`.
    """
    moment = database_time(connection)
    due_limits = [job.limit for job in many if job.limit is not None and _due_at(job, moment) <= moment]
    slots = Slots(connection, {limit.key for limit in due_limits})
    rows = [_row(job, moment, slots) for job in many]
    ids = iter(insert_many(connection, _COLUMNS, [row for row in rows if row is not None]))
    notify(connection)
    return [None if row is None else next(ids) for row in rows]


_COLUMNS = (
    jobs.c.queue_name,
    jobs.c.name,
    jobs.c.arguments,
    jobs.c.priority,
    jobs.c.state,
    jobs.c.scheduled_at,
    jobs.c.created_at,
    jobs.c.concurrency_key,
    jobs.c.concurrency_limit,
    jobs.c.concurrency_duration,
    jobs.c.expires_at,
)
_UNLIMITED = (None, None, None, None)


def _due_at(job: NewJob, moment: datetime) -> datetime:
    if job.at is not None:
        return job.at.astimezone(UTC)
    return moment + timedelta(seconds=job.wait) if job.wait is not None and job.wait > 0 else moment


def _row(job: NewJob, moment: datetime, slots: Slots) -> tuple[Any, ...] | None:
    """The values of `_COLUMNS`, or None when the job's concurrency rule discards it."""
    due_at = _due_at(job, moment)
    due = due_at <= moment
    limit = job.limit
    if limit is None:
        return (*job[:4], "ready" if due else "scheduled", due_at, moment, *_UNLIMITED)
    state = State.READY if due else State.SCHEDULED
    if due and not slots.take(limit.key, limit.to):
        if limit.on_conflict == "discard":
            return None
        state = State.BLOCKED
    expires_at = moment + timedelta(seconds=limit.duration) if due else None
    return (*job[:4], state.value, due_at, moment, limit.key, limit.to, limit.duration, expires_at)
