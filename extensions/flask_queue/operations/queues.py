"""Queues by name: how full they are, and whether they are paused. A queue is there as soon as something names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, literal_column, select

from ..database import AnyRow, insert_ignoring, now
from ..models.job import State, is_ready, jobs
from ..models.pause import pauses
from ..models.seek import along

_NAMED = along(State.READY) & (jobs.c.queue_name == bindparam("queue_name"))
_SIZE = select(func.count()).select_from(jobs).where(_NAMED)
# When it became due, not when it was made: a scheduled job waits from then on.
_OLDEST = select(func.min(jobs.c.scheduled_at), now()).where(_NAMED)
_PAUSE_OF: Select[Any] = select(literal_column("1")).select_from(pauses).where(pauses.c.queue_name == bindparam("queue_name"))
_RESUME = delete(pauses).where(pauses.c.queue_name == bindparam("queue_name"))
_OVERVIEW = (
    select(jobs.c.queue_name, func.count(), func.min(jobs.c.scheduled_at), now())
    .where(is_ready)
    .group_by(jobs.c.queue_name)
    .order_by(jobs.c.queue_name)
)


def pause(connection: Connection, queue_name: str) -> bool:
    """Keep workers away from a queue; False when it was paused already."""
    return insert_ignoring(connection, pauses, {"queue_name": queue_name, "paused_at": now()})


def resume(connection: Connection, queue_name: str) -> bool:
    """Let workers at a queue again; False when it was not paused."""
    return connection.execute(_RESUME, {"queue_name": queue_name}).rowcount > 0


def is_paused(connection: Connection, queue_name: str) -> bool:
    """Whether a queue is paused."""
    return connection.execute(_PAUSE_OF, {"queue_name": queue_name}).scalar() is not None


def size(connection: Connection, queue_name: str) -> int:
    """How many jobs of a queue are ready."""
    return int(connection.execute(_SIZE, {"queue_name": queue_name}).scalar_one())


def latency(connection: Connection, queue_name: str) -> float:
    """For how many seconds the longest waiting ready job of a queue has been due; 0 when there is none."""
    oldest, moment = connection.execute(_OLDEST, {"queue_name": queue_name}).one()
    return age(oldest, moment)


def age(oldest: Any, moment: Any) -> float:
    """Seconds between two instants, 0 where there is no older one."""
    return max(0.0, (moment - oldest).total_seconds()) if oldest is not None else 0.0


def overview(connection: Connection) -> Sequence[AnyRow]:
    """(name, ready jobs, oldest due instant, now) of each queue that has ready jobs."""
    return connection.execute(_OVERVIEW).all()
