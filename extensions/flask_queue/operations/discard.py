"""Jobs that are to be forgotten: from any state but claimed to nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select

from ..database import Prepared, is_one_of
from ..models.attempt import attempts
from ..models.job import is_claimed, jobs
from .slots import keys_of

_DELETE_ATTEMPTS = Prepared(lambda: delete(attempts).where(is_one_of(attempts.c.job_id, "ids")))
# They are locked by now, so that asking for their state again would only tempt MySQL to another index, and to wait on its way.
_DELETE = Prepared(lambda: delete(jobs).where(is_one_of(jobs.c.id, "ids")))


def discard_many(connection: Connection, where: Sequence[ColumnElement[bool]], *, limit: int) -> tuple[list[int], set[str]]:
    """Delete up to `limit` jobs that match `where` and that nobody runs. Rows that another hand is moving are passed over.

    :return: their ids, and the concurrency keys in whose lines they stood: the caller lets the next jobs in.
    """
    rows: Sequence[Any] = connection.execute(
        select(jobs.c.id, jobs.c.concurrency_key)
        .where(~is_claimed, *where)
        .order_by(jobs.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    ids = [row.id for row in rows]
    delete_locked(connection, ids)
    return ids, keys_of(rows)


def delete_locked(connection: Connection, ids: Sequence[int]) -> None:
    """Delete jobs, whose rows the caller has locked, with their attempts."""
    if ids:
        _DELETE_ATTEMPTS.count(connection, {"ids": ids})
        _DELETE.count(connection, {"ids": ids})
