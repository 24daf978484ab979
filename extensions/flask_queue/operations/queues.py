"""Queues by name: how full they are, and whether they are paused. A queue is there as soon as something names it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, bindparam, delete, func, literal_column, select

from ..database import insert_ignoring, is_one_of, now
from ..models.job import State, is_ready, jobs
from ..models.pause import pauses
from ..models.seek import along
from .selectors import paused_names

_PAUSE_OF: Select[Any] = select(literal_column("1")).select_from(pauses).where(pauses.c.queue_name == bindparam("queue_name"))
_RESUME = delete(pauses).where(pauses.c.queue_name == bindparam("queue_name"))
_SIZES = select(jobs.c.queue_name, func.count()).where(is_ready).group_by(jobs.c.queue_name)
_SIZES_OF = _SIZES.where(along(State.READY), is_one_of(jobs.c.queue_name, "names"))
#: How many jobs at an end of a queue tell how long the longest waiting of all has waited.
LOOKED_AT = 500
#: How many queues one statement asks for that.
CHUNK = 50


@dataclass(frozen=True)
class QueueOverview:
    """A queue as a list of queues shows it. `latency` is in seconds."""

    name: str
    size: int = 0
    latency: float = 0.0
    paused: bool = False


def pause(connection: Connection, queue_name: str) -> bool:
    """Keep workers away from a queue; False when it was paused already."""
    return insert_ignoring(connection, pauses, {"queue_name": queue_name, "paused_at": now()})


def resume(connection: Connection, queue_name: str) -> bool:
    """Let workers at a queue again; False when it was not paused."""
    return connection.execute(_RESUME, {"queue_name": queue_name}).rowcount > 0


def is_paused(connection: Connection, queue_name: str) -> bool:
    """Whether a queue is paused."""
    return connection.execute(_PAUSE_OF, {"queue_name": queue_name}).scalar() is not None


def sizes(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """How many jobs of each queue are ready."""
    found = dict.fromkeys(names, 0)
    if found:
        for name, size in connection.execute(_SIZES_OF, {"names": list(found)}):
            found[name] = size
    return found


def latencies(connection: Connection, names: Sequence[str]) -> dict[str, float]:
    """For how many seconds the longest waiting ready job of each queue has been due; 0 where there is none.

    That it is the longest of all is sure of queues with up to 500 jobs. Of a longer one these are asked: the 500 that are next,
    and the first 500 of the least urgent, which wait the longest where more urgent ones keep coming.
    """
    found: dict[str, float] = {}
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        columns = [column for name in chunk for column in _longest_waiting(name)]
        moment, *dues = connection.execute(select(now(), *columns)).one()
        for name, *ends in zip(chunk, dues[::2], dues[1::2], strict=True):
            found[name] = max((max(0.0, (moment - due).total_seconds()) for due in ends if due is not None), default=0.0)
    return found


def _longest_waiting(name: str) -> Iterable[ScalarSelect[Any]]:
    """Since when the longest waiting at each end of a queue has been due."""
    in_queue = along(State.READY) & (jobs.c.queue_name == name)
    least = select(jobs.c.priority).where(in_queue).order_by(jobs.c.priority.desc()).limit(1).correlate(None).scalar_subquery()
    return _first_due(in_queue), _first_due(in_queue & (jobs.c.priority == least))


def _first_due(where: ColumnElement[bool]) -> ScalarSelect[Any]:
    # When it became due, not when it was made: a scheduled job waits from then on.
    line = select(jobs.c.scheduled_at).where(where).order_by(jobs.c.priority, jobs.c.id).limit(LOOKED_AT).subquery()
    return select(func.min(line.c.scheduled_at)).scalar_subquery()


def overview(connection: Connection, declared: Collection[str]) -> list[QueueOverview]:
    """Every queue that has ready jobs, is paused or is declared, by name; without its latency, which takes longer to find."""
    lines = {name: QueueOverview(name) for name in declared}
    lines |= {name: QueueOverview(name, size) for name, size in connection.execute(_SIZES)}
    for name in paused_names(connection):
        lines[name] = replace(lines.get(name, QueueOverview(name)), paused=True)
    return sorted(lines.values(), key=lambda line: line.name)


def with_latencies(connection: Connection, lines: Sequence[QueueOverview]) -> list[QueueOverview]:
    """The same lines with their latencies."""
    found = latencies(connection, [line.name for line in lines if line.size])
    return [replace(line, latency=found.get(line.name, 0.0)) for line in lines]
