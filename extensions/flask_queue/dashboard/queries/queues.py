"""Queues: how many jobs are ready in each, since when the first of them wait, and whether workers are kept away."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, ScalarSelect, func, select

from ...models import State, jobs, pauses
from ...models.job import is_ready
from ...models.seek import along
from ..formatting import COUNT_CAP
from .counts import capped_count, one

#: How many jobs, newest first, tell whether a queue without waiting jobs has been used.
RECENT_JOBS = 100_000
#: How many of a queue's ready jobs, in the order in which they will run, tell how long the oldest one has waited.
HEAD_OF_QUEUE = 30


@dataclass(frozen=True)
class QueueLine:
    """What is known of a queue.

    :param oldest_id: of its ready jobs, one that has been there for long
    :param waiting_since: since when the longest waiting of its ready jobs has been due
    """

    name: str
    size: int = 0
    oldest_id: int | None = None
    paused: bool = False
    waiting_since: datetime | None = None


def queue_lines(connection: Connection, declared: Collection[str]) -> list[QueueLine]:
    """Every queue that has ready jobs, is paused, or is declared by a job, by name. Two statements, answered by an index."""
    sizes = select(jobs.c.queue_name, func.count(), func.min(jobs.c.id)).where(is_ready).group_by(jobs.c.queue_name)
    lines = {name: QueueLine(name) for name in declared}
    lines |= {row[0]: QueueLine(*row) for row in connection.execute(sizes)}
    for name in connection.execute(select(pauses.c.queue_name)).scalars():
        lines[name] = replace(lines.get(name, QueueLine(name)), paused=True)
    return sorted(lines.values(), key=lambda line: line.name)


def with_waiting(connection: Connection, lines: Sequence[QueueLine]) -> list[QueueLine]:
    """The same queues with the moment since when each has made a job wait, in one statement. For a page of queues, not all."""
    waiting = [line for line in lines if line.oldest_id is not None]
    if not waiting:
        return list(lines)
    columns = [column for line in waiting for column in (_due_in_head(line.name), _due_of(line.oldest_id))]
    row = connection.execute(select(*columns)).one()
    since = {
        line.name: min((due for due in pair if due), default=None)
        for line, pair in zip(waiting, zip(row[::2], row[1::2], strict=True), strict=True)
    }
    return [replace(line, waiting_since=since.get(line.name)) for line in lines]


def _ready_in(name: str) -> ColumnElement[bool]:
    return along(State.READY) & (jobs.c.queue_name == name)


def _due_in_head(name: str) -> ScalarSelect[datetime]:
    own = select(jobs.c.scheduled_at).where(_ready_in(name))
    head = own.order_by(jobs.c.priority, jobs.c.id).limit(HEAD_OF_QUEUE).subquery()
    return select(func.min(head.c.scheduled_at)).scalar_subquery()


def _due_of(job_id: int | None) -> ScalarSelect[datetime]:
    return select(jobs.c.scheduled_at).where(jobs.c.id == job_id).scalar_subquery()


def find_queue(connection: Connection, name: str) -> QueueLine:
    """One queue, in one statement, whether or not there is any job in it."""
    own = select(jobs.c.id).where(_ready_in(name))
    first = own.order_by(jobs.c.priority, jobs.c.id).limit(1).scalar_subquery()
    paused = select(one()).where(pauses.c.queue_name == name).scalar_subquery()
    size, oldest_id, is_paused = connection.execute(select(capped_count(own, COUNT_CAP), first, paused)).one()
    return QueueLine(name, size, oldest_id, is_paused is not None)


def is_recent_queue(connection: Connection, name: str) -> bool:
    """Whether any of the latest jobs was in a queue of this name."""
    recent = jobs.c.id > select(func.max(jobs.c.id) - RECENT_JOBS).scalar_subquery()
    return connection.execute(select(one()).where(recent, jobs.c.queue_name == name).limit(1)).scalar() is not None
