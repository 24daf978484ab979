"""One queue: how much waits in it, and whether it has been used of late."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from ...models import State, jobs, pauses
from ...models.seek import along
from ...operations.queues import QueueOverview
from ..formatting import COUNT_CAP
from .counts import capped_count, one

#: How many jobs, newest first, tell whether a queue without waiting jobs has been used.
RECENT_JOBS = 100_000


def find_queue(connection: Connection, name: str) -> QueueOverview:
    """One queue without its latency, in one statement, whether or not there is any job in it."""
    own = select(jobs.c.id).where(along(State.READY), jobs.c.queue_name == name)
    paused = select(one()).where(pauses.c.queue_name == name).scalar_subquery()
    size, is_paused = connection.execute(select(capped_count(own, COUNT_CAP), paused)).one()
    return QueueOverview(name, size, paused=is_paused is not None)


def is_recent_queue(connection: Connection, name: str) -> bool:
    """Whether any of the latest jobs was in a queue of this name."""
    recent = jobs.c.id > select(func.max(jobs.c.id) - RECENT_JOBS).scalar_subquery()
    return connection.execute(select(one()).where(recent, jobs.c.queue_name == name).limit(1)).scalar() is not None
