"""Blocked jobs whose key has a free slot: into ready."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, bindparam, null, select

from ..database import HeadsOfLines, Prepared, Step, committed_or_null, now_plus
from ..jobs.definition import JobDefinition
from ..models.job import State, is_blocked, is_in_line, jobs
from .moves import those_still, to_state
from .slots import Slots, holders, rule_of


class Waiting(NamedTuple):
    """What decides on the admission of a blocked job."""

    id: int
    name: str
    attempts: int
    crashes: int
    concurrency_key: str
    concurrency_limit: int | None
    concurrency_duration: float
    #: How many hold slots of its key, where that is known.
    held: int | None


def _line(key: ColumnElement[str], count: ColumnElement[int], held: ColumnElement[Any]) -> Select[Any]:
    return (
        select(*(jobs.c[name] for name in Waiting._fields[:-1]), held)
        .where(jobs.c.concurrency_key == key, is_blocked, is_in_line)
        .order_by(jobs.c.priority, jobs.c.id)
        .limit(count)
    )


# Whoever holds such a row is about to take it out of the line, so it is passed over rather than waited for.
_HEAD = HeadsOfLines(lambda key, count: _line(key, count, committed_or_null(holders(key))), lock=True)
_FIRST = HeadsOfLines(lambda key, count: _line(key, count, holders(key)), lock=False)
# Whoever is counted beside each row of a line is counted as often as it has rows.
_REST = HeadsOfLines(lambda key, count: _line(key, count, null()), lock=True)
_TO_READY = to_state(State.READY, those_still(State.BLOCKED), {"expires_at": now_plus(jobs.c.concurrency_duration)})
# Not min(): a planner who takes the blocked jobs for few, as he has not counted them yet, would read all of them for it.
_NEXT_KEY = Prepared(
    lambda: (
        select(jobs.c.concurrency_key)
        .where(is_blocked, is_in_line, jobs.c.concurrency_key > bindparam("after"))
        .order_by(jobs.c.concurrency_key)
        .limit(1)
    )
)


def unblock(
    connection: Connection,
    keys: Collection[str],
    definitions: Mapping[str, JobDefinition[Any, Any]],
    *,
    at_most: int | None = None,
    ahead: Step | None = None,
) -> list[int]:
    """Let the next jobs of `keys` in, by priority and age, as far as there are free slots.

    It counts who holds the slots, so that it is always safe to call, however often.

    :param at_most: no more than so many for each key.
    :param ahead: what to do to other jobs before.
    :return: the ids of those that became ready.
    """
    # Locked before we look: who is about to block behind the job that has just ended holds the lock, and is not to be seen yet.
    slots = Slots(connection, keys, ahead=ahead)
    first = _admit(_HEAD.rows(connection, dict.fromkeys(sorted(keys), 1)), connection, slots, definitions)
    # Its definition says how many more may come.
    more = {job.concurrency_key: _room_for_more(job, slots, definitions, at_most) for job in first}
    rest = _admit(_REST.rows(connection, {key: count for key, count in more.items() if count}), connection, slots, definitions)
    return [job.id for job in (*first, *rest)]


def _admit(
    rows: Iterable[Sequence[Any]], connection: Connection, slots: Slots, definitions: Mapping[str, JobDefinition[Any, Any]]
) -> list[Waiting]:
    """Let in as many of these jobs as find a slot."""
    waiting = [Waiting(*row) for row in rows]
    for job in waiting:
        slots.know(job.concurrency_key, job.held)
    admitted = [
        job for job in waiting if (rule := rule_of(job, definitions)) is None or slots.take(job.concurrency_key, rule.to)
    ]
    if admitted:
        _TO_READY.send(connection, {"ids": [job.id for job in admitted]})
    return admitted


def _room_for_more(
    first: Waiting, slots: Slots, definitions: Mapping[str, JobDefinition[Any, Any]], at_most: int | None
) -> int:
    """How many more of a key may come in behind the first. Where there is no limit any more, each lets one in."""
    rule = rule_of(first, definitions)
    free = slots.free(first.concurrency_key, rule.to) if rule else 0
    return free if at_most is None else min(free, at_most - 1)


def blocked_keys(connection: Connection, *, after: str = "", limit: int) -> list[str]:
    """Up to `limit` keys that have blocked jobs, sorted, from the one behind `after` on."""
    keys: list[str] = []
    while len(keys) < limit:
        found = _NEXT_KEY.rows(connection, {"after": keys[-1] if keys else after})
        if not found:
            break
        keys.append(found[0][0])
    return keys


def first_in_lines(connection: Connection, keys: Collection[str]) -> dict[str, Waiting]:
    """The blocked job of each of `keys` that comes next: a look that locks nothing.

    It is to be a transaction by itself: within a longer one, MySQL and MariaDB may count who held a key when that began.
    """
    found = (Waiting(*row) for row in _FIRST.rows(connection, dict.fromkeys(keys, 1)))
    return {first.concurrency_key: first for first in found}


def may_come_in(first: Waiting | None, definitions: Mapping[str, JobDefinition[Any, Any]]) -> bool:
    """Whether the first of a line, if there is one, may find a slot. Where all are taken, who ends next sees to it."""
    if first is None:
        return False
    rule = rule_of(first, definitions)
    return rule is None or first.held is None or first.held < rule.to
