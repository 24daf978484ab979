"""New jobs: into ready, scheduled or blocked. One at a time in one statement, or many with few statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import compress
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, String, bindparam, case, literal_column, select

from ..database import Insertion, insert_many, notify, now, now_plus
from ..jobs.concurrency import Limit
from ..models.job import State, is_ready, jobs
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


class NewJobs:
    """Many jobs about to be written, field by field, as the database takes them.

    Python's garbage collector would look at a tuple for each of them, more than once, which takes longer than to write them.
    """

    def __init__(self, jobs: Iterable[NewJob] = ()) -> None:
        self._values: list[Any] = []
        for job in jobs:
            self.append(job)

    def append(self, job: NewJob) -> None:
        """Add one, as the last."""
        self._values.extend(job)

    def __len__(self) -> int:
        return len(self._values) // _FIELDS

    def __iter__(self) -> Iterator[NewJob]:
        return map(NewJob._make, zip(*[iter(self._values)] * _FIELDS, strict=True))

    def column(self, field: str) -> list[Any]:
        """What all of them have in this field."""
        return self._values[NewJob._fields.index(field) :: _FIELDS]


_FIELDS = len(NewJob._fields)


def _insert(state: Any, scheduled_at: Any, *, is_news: ColumnElement[bool] | None = is_ready, **more: Any) -> Insertion:
    values = {
        "queue_name": bindparam("queue_name"),
        "name": bindparam("name"),
        "arguments": bindparam("arguments"),
        "priority": bindparam("priority"),
        "state": state,
        "scheduled_at": scheduled_at,
        "created_at": now(),
    }
    return Insertion(jobs, values | more, is_news=is_news)


_LIMIT: dict[str, Any] = {
    "concurrency_key": bindparam("concurrency_key"),
    "concurrency_limit": bindparam("concurrency_limit"),
    "concurrency_duration": bindparam("concurrency_duration"),
}
_AT = bindparam("at", type_=jobs.c.scheduled_at.type)
_READY = literal_column("'ready'", String)
_SCHEDULED = literal_column("'scheduled'", String)

_INSERT_NOW = _insert(_READY, now())
_INSERT_LATER = _insert(_SCHEDULED, now_plus(bindparam("wait")), is_news=None)
# Whether an instant is past is for the database's clock to say. From a past one nobody has waited: the job was not there.
_INSERT_AT = _insert(case((now() >= _AT, _READY), else_=_SCHEDULED), case((now() >= _AT, now()), else_=_AT))
_INSERT_LIMITED = _insert(bindparam("state"), now(), expires_at=now_plus(bindparam("concurrency_duration")), **_LIMIT)
_INSERT_LIMITED_LATER = _insert(_SCHEDULED, now_plus(bindparam("wait")), is_news=None, **_LIMIT)
_INSERT_LIMITED_AT = _insert(_SCHEDULED, _AT, is_news=None, **_LIMIT)
_CLOCK = select(now())
_READY_STATE, _SCHEDULED_STATE = State.READY.value, State.SCHEDULED.value


def is_delay(wait: float | None) -> bool:
    """Whether a job with this `wait` is for later."""
    return wait is not None and wait > 0


def is_single(job: NewJob) -> bool:
    """Whether `enqueue` takes one statement, so that it needs no transaction around it."""
    return job.limit is None


def enqueue(connection: Connection, job: NewJob) -> int | None:
    """Write `job` as ready, scheduled or blocked, and `notify` when it is ready.

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
    if is_delay(job.wait):
        return _INSERT_LATER(connection, {**values, "wait": job.wait})
    return _INSERT_NOW(connection, values)


def _enqueue_limited(connection: Connection, job: NewJob, limit: Limit, values: dict[str, Any]) -> int | None:
    values |= {
        "concurrency_key": limit.key,
        "concurrency_limit": limit.to,
        "concurrency_duration": limit.duration,
    }
    # Whether there is a slot is asked when the job is due.
    if is_delay(job.wait):
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


def enqueue_many(connection: Connection, many: NewJobs) -> list[int | None]:
    """Write all of `many`, in order, with a number of statements that does not grow with them but for chunks.

    :return: for each job its row's id, or None when its concurrency rule discards it; ids grow in the order of `many`.
    """
    moment = database_time(connection)
    waits, instants = many.column("wait"), many.column("at")
    due_at = [moment] * len(many)
    if any(waits) or any(instants):
        due_at = [_due_at(wait, at, moment) for wait, at in zip(waits, instants, strict=True)]
    states = [_READY_STATE if at <= moment else _SCHEDULED_STATE for at in due_at]
    columns: dict[str, list[Any]] = {name: many.column(name) for name in ("queue_name", "name", "arguments", "priority")}
    columns |= {"state": states, "scheduled_at": due_at, "created_at": [moment] * len(many)}
    limits = many.column("limit")
    if any(limits):
        columns |= _limited(connection, limits, states, moment)
    kept = [state is not None for state in columns["state"]]
    if not all(kept):
        columns = {name: list(compress(values, kept)) for name, values in columns.items()}
    ids = iter(insert_many(connection, jobs, columns))
    if _READY_STATE in columns["state"]:
        notify(connection)
    return [next(ids) if is_kept else None for is_kept in kept]


def _due_at(wait: float | None, at: datetime | None, moment: datetime) -> datetime:
    if at is not None:
        return max(at.astimezone(UTC), moment)
    return moment + timedelta(seconds=wait) if wait is not None and wait > 0 else moment


def _limited(
    connection: Connection, limits: Sequence[Limit | None], states: Sequence[str], moment: datetime
) -> dict[str, list[Any]]:
    """The columns that say what limits each job, with the states that follow; None for one that is discarded."""
    due = [limit if state == _READY_STATE else None for limit, state in zip(limits, states, strict=True)]
    slots = Slots(connection, {limit.key for limit in due if limit is not None})

    def state_of(limit: Limit | None, state: str) -> str | None:
        if limit is None or slots.take(limit.key, limit.to):
            return state
        return None if limit.on_conflict == "discard" else State.BLOCKED.value

    return {
        "state": [state_of(limit, state) for limit, state in zip(due, states, strict=True)],
        "concurrency_key": [limit and limit.key for limit in limits],
        "concurrency_limit": [limit and limit.to for limit in limits],
        "concurrency_duration": [limit and limit.duration for limit in limits],
        "expires_at": [limit and moment + timedelta(seconds=limit.duration) for limit in due],
    }
