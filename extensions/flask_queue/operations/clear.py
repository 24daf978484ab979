"""What has been kept long enough: finished jobs, runs of recurring tasks, locks of concurrency keys. A batch at a time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Select, bindparam, delete, select

from ..database import is_one_of, now_plus
from ..models.concurrency_key import concurrency_keys
from ..models.job import is_finished, jobs
from ..models.recurring_run import recurring_runs
from .discard import delete_locked

_AGO = now_plus(-bindparam("seconds"))
_OLD = (
    select(jobs.c.id)
    .where(is_finished, jobs.c.finished_at <= _AGO)
    .order_by(jobs.c.finished_at, jobs.c.id)
    .limit(bindparam("batch_size"))
    .with_for_update(skip_locked=True)
)


def _oldest(column: Column[Any], *, by: Column[Any]) -> Select[Any]:
    """Of the rows whose `by` is long enough ago, a batch of the oldest that nobody holds."""
    return select(column).where(by < _AGO).order_by(by).limit(bindparam("batch_size")).with_for_update(skip_locked=True)


_OLD_RUNS = _oldest(recurring_runs.c.id, by=recurring_runs.c.run_at)
_DELETE_RUNS = delete(recurring_runs).where(is_one_of(recurring_runs.c.id, "ids"))
# Whether a job of the key still waits does not matter: who needs the row next makes it anew. Nobody waits for who holds it.
_OLD_KEYS = _oldest(concurrency_keys.c.key, by=concurrency_keys.c.used_at)
# One by one: of a list MySQL reads the whole table, where that is small, and waits for whatever it meets there.
_DELETE_KEY = delete(concurrency_keys).where(concurrency_keys.c.key == bindparam("old_key"))


def clear_finished(connection: Connection, *, older_than: float, name: str | None, batch_size: int) -> int:
    """Delete up to `batch_size` jobs that finished at least `older_than` seconds ago, the oldest first.

    :param name: jobs of this name only.
    :return: how many were deleted.
    """
    statement = _OLD.where(jobs.c.name == name) if name is not None else _OLD
    ids = connection.execute(statement, {"seconds": older_than, "batch_size": batch_size}).scalars().all()
    delete_locked(connection, ids)
    return len(ids)


def clear_runs(connection: Connection, *, older_than: float, batch_size: int) -> int:
    """Delete up to `batch_size` runs of recurring tasks that are older than `older_than` seconds."""
    ids = connection.execute(_OLD_RUNS, {"seconds": older_than, "batch_size": batch_size}).scalars().all()
    if ids:
        connection.execute(_DELETE_RUNS, {"ids": ids})
    return len(ids)


def clear_keys(connection: Connection, *, older_than: float, batch_size: int) -> int:
    """Delete up to `batch_size` lock rows of concurrency keys that nobody has used for `older_than` seconds."""
    keys = connection.execute(_OLD_KEYS, {"seconds": older_than, "batch_size": batch_size}).scalars().all()
    if keys:
        connection.execute(_DELETE_KEY, [{"old_key": key} for key in keys])
    return len(keys)
