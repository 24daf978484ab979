"""Blocked jobs whose key has a free slot: into ready."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal_column, select, update

from ..database import is_one_of, now_plus
from ..jobs.definition import JobDefinition
from ..models.job import is_blocked, is_in_line, jobs
from .slots import Slots, rule_of

_LINE = (
    select(
        jobs.c.id,
        jobs.c.name,
        jobs.c.attempts,
        jobs.c.crashes,
        jobs.c.concurrency_key,
        jobs.c.concurrency_limit,
        jobs.c.concurrency_duration,
    )
    .where(jobs.c.concurrency_key == bindparam("key"), is_blocked, is_in_line)
    .order_by(jobs.c.priority, jobs.c.id)
)
# Whoever holds such a row is about to take it out of the line, so it is passed over rather than waited for.
_NEXT = _LINE.limit(bindparam("count")).with_for_update(skip_locked=True)
_FIRST = _LINE.limit(1)
_TO_READY = (
    update(jobs)
    .where(is_one_of(jobs.c.id, "ids"), is_blocked)
    .values(state=literal_column("'ready'"), expires_at=now_plus(jobs.c.concurrency_duration))
)
_FIRST_KEY = select(func.min(jobs.c.concurrency_key)).where(is_blocked, is_in_line)
_NEXT_KEY = _FIRST_KEY.where(jobs.c.concurrency_key > bindparam("after"))


def unblock(
    connection: Connection,
    keys: Collection[str],
    definitions: Mapping[str, JobDefinition[Any, Any]],
    *,
    at_most: int | None = None,
) -> int:
    """Let the next jobs of `keys` in, by priority and age, as far as there are free slots.

    It counts who holds the slots, so that it is always safe to call, however often.

    :param at_most: no more than so many for each key.
    :return: how many became ready.
    """
    # Locked before we look: who is about to block behind the job that has just ended holds the lock, and is not to be seen yet.
    slots = Slots(connection, keys)
    waiting = {key: row for key in sorted(keys) if (row := connection.execute(_FIRST, {"key": key}).first())}
    return sum(_unblock_key(connection, key, row, slots, definitions, at_most) for key, row in waiting.items())


def _unblock_key(
    connection: Connection,
    key: str,
    first: Any,
    slots: Slots,
    definitions: Mapping[str, JobDefinition[Any, Any]],
    at_most: int | None,
) -> int:
    rule = rule_of(first, definitions)
    free = slots.free(key, rule.to) if rule else at_most or 1
    if free == 0:
        return 0
    rows = connection.execute(_NEXT, {"key": key, "count": min(free, at_most or free)}).all()
    ids = [row.id for row in rows if (rule := rule_of(row, definitions)) is None or slots.take(key, rule.to)]
    if ids:
        connection.execute(_TO_READY, {"ids": ids})
    return len(ids)


def blocked_keys(connection: Connection, *, after: str = "", limit: int) -> list[str]:
    """Up to `limit` keys that have blocked jobs, sorted, from the one behind `after` on."""
    keys: list[str] = []
    while len(keys) < limit:
        key = connection.execute(_NEXT_KEY, {"after": keys[-1] if keys else after}).scalar()
        if key is None:
            break
        keys.append(key)
    return keys
