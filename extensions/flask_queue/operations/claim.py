"""Move ready jobs to a worker. Two workers never receive the same job."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, literal_column, select, true

from ..database import HeadsOfLines, Move, Prepared, Step, is_one_of, now
from ..models.job import State, is_ready, jobs
from ..models.pause import pauses
from ..models.process import processes
from ..models.seek import along
from .selectors import Selector, unpaused_names

#: How far down the line a worker looks for jobs of one kind when the other kind has no room, in rows.
WINDOW = 1000


class Claim(NamedTuple):
    """What a worker holds: a job, as long as `process_id` owns it."""

    job_id: int
    process_id: int
    name: str
    queue_name: str
    arguments: str
    priority: int
    attempts: int
    crashes: int
    concurrency_key: str | None
    concurrency_limit: int | None
    concurrency_duration: float | None


@dataclass(frozen=True, slots=True)
class Kinds:
    """Only jobs with these names, or all but these."""

    names: tuple[str, ...]
    only: bool


_COLUMNS = (
    jobs.c.id,
    jobs.c.process_id,
    jobs.c.name,
    jobs.c.queue_name,
    jobs.c.arguments,
    jobs.c.priority,
    jobs.c.attempts,
    jobs.c.crashes,
    jobs.c.concurrency_key,
    jobs.c.concurrency_limit,
    jobs.c.concurrency_duration,
)
_IS_REGISTERED = exists(literal_column("1")).where(processes.c.id == bindparam("process_id")).correlate(None)
_IN_QUEUE = jobs.c.queue_name == bindparam("of_queue")
_NOT_PAUSED = jobs.c.queue_name.not_in(select(pauses.c.queue_name))
_VALUES = {"state": literal_column("'claimed'"), "process_id": bindparam("process_id"), "claimed_at": now()}


def _line(*where: ColumnElement[bool]) -> Select[Any]:
    return (
        select(jobs.c.id)
        .where(is_ready, *where, _NOT_PAUSED, _IS_REGISTERED)
        .order_by(jobs.c.priority, jobs.c.id)
        .limit(bindparam("limit"))
    )


def _window(kind: ColumnElement[bool], *where: ColumnElement[bool]) -> Move:
    """Claims the first jobs of one kind in the line, looking no further than a window of it."""
    order = (jobs.c.priority, jobs.c.id)
    head = select(*order).where(is_ready, *where).order_by(*order).limit(WINDOW).subquery("head")
    line = _line(jobs.c.id.in_(select(head.c.id)), kind, *where)
    # Row by row, until there are enough: the planner, who does not know how long the line is, would compare all with all.
    each = (
        select(jobs.c.id)
        .where(jobs.c.id == head.c.id, is_ready, kind, _NOT_PAUSED)
        .correlate(head)
        .with_for_update(skip_locked=True)
        .lateral("each")
    )
    one_by_one = (
        select(each.c.id)
        .select_from(head.join(each, true()))
        .where(_IS_REGISTERED)
        .order_by(head.c.priority, head.c.id)
        .limit(bindparam("limit"))
    )
    return Move(jobs, line, _VALUES, _COLUMNS, locking=one_by_one)


_ONLY = is_one_of(jobs.c.name, "names")
_EXCEPT = ~is_one_of(jobs.c.name, "names")
#: By (one queue rather than all, kind of jobs wanted).
_MOVES = {
    (False, None): Move(jobs, _line(), _VALUES, _COLUMNS, index="ix_queue_jobs_ready"),
    (True, None): Move(jobs, _line(_IN_QUEUE), _VALUES, _COLUMNS, index="ix_queue_jobs_ready_by_queue"),
    (False, True): _window(_ONLY),
    (True, True): _window(_ONLY, _IN_QUEUE),
    (False, False): _window(_EXCEPT),
    (True, False): _window(_EXCEPT, _IN_QUEUE),
}
# These are few and known by their ids. Of expressions there is no index: planners would read that of the ready jobs from its
# beginning, to meet these few in order.
_PICKED = (
    select(jobs.c.id)
    .where(is_one_of(jobs.c.id, "picked_ids"), jobs.c.state + "" == State.READY.value, _NOT_PAUSED, _IS_REGISTERED)
    .order_by(jobs.c.priority + 0, jobs.c.id + 0)
    .limit(bindparam("limit"))
)
_MOVE_PICKED = Move(jobs, _PICKED, _VALUES, _COLUMNS)


def _line_of_queue(name: ColumnElement[str], count: ColumnElement[int]) -> Select[Any]:
    of_queue = select(jobs.c.priority, jobs.c.id).where(along(State.READY), jobs.c.queue_name == name)
    return of_queue.order_by(jobs.c.priority, jobs.c.id).limit(count)


_HEADS = HeadsOfLines(_line_of_queue, lock=False)
#: So many more are picked than are wanted, as other workers pick the same.
_SPARE = 20
_PLACE_IN_LINE = itemgetter(Claim._fields.index("priority"), Claim._fields.index("job_id"))
# In order, so that no planner reads through the finished jobs in the hope of meeting a ready one soon.
_FIRST: Select[Any] = (
    select(literal_column("1")).where(along(State.READY), _NOT_PAUSED).order_by(jobs.c.priority, jobs.c.id).limit(1)
)
_ANY_READY = Prepared(_FIRST)
_ANY_READY_IN = Prepared(_FIRST.where(_IN_QUEUE))


def claim(
    connection: Connection,
    selector: Selector,
    *,
    limit: int,
    process_id: int,
    kinds: Kinds | None = None,
    ahead: Step | None = None,
    around: bool = False,
) -> list[Claim]:
    """Claim up to `limit` ready jobs for a registered process, in the order in which they are to run.

    Queues come in the order of `selector`; within one, and among all with "*", the smaller priority number first, then the
    older job. A process whose registration is gone gets nothing.

    :param ahead: what to do to other jobs before, whether or not there is anything to claim.
    :param around: go around paused queues. It takes more statements; but else all jobs are read that wait in a paused queue
        before the first one that does not. The outcome is the same.
    """
    if limit > 0 and selector.takes_all and not (around and kinds is None):
        return _claim_from(connection, None, limit, process_id, kinds, ahead)
    if ahead is not None:
        ahead.take(connection)
    if limit > 0 and selector.takes_all:
        return _claim_around(connection, limit, process_id)
    claims: list[Claim] = []
    for name in selector.names(connection) if limit > 0 else ():
        claims += _claim_from(connection, name, limit - len(claims), process_id, kinds)
        if len(claims) >= limit:
            break
    return claims


def _claim_from(
    connection: Connection,
    queue_name: str | None,
    limit: int,
    process_id: int,
    kinds: Kinds | None,
    ahead: Step | None = None,
) -> list[Claim]:
    move = _MOVES[queue_name is not None, kinds.only if kinds else None]
    parameters: dict[str, Any] = {"limit": limit, "process_id": process_id}
    if queue_name is not None:
        parameters["of_queue"] = queue_name
    if kinds is not None:
        parameters["names"] = list(kinds.names)
    return sorted(map(Claim._make, move(connection, parameters, ahead=ahead)), key=_PLACE_IN_LINE)


def _claim_around(connection: Connection, limit: int, process_id: int) -> list[Claim]:
    heads = _HEADS.rows(connection, dict.fromkeys(unpaused_names(connection), limit + _SPARE))
    picked = [job_id for _, job_id in sorted(heads)[: limit + _SPARE]]
    if not picked:
        return []
    parameters = {"limit": limit, "process_id": process_id, "picked_ids": picked}
    return sorted(map(Claim._make, _MOVE_PICKED(connection, parameters)), key=_PLACE_IN_LINE)


def anything_ready(connection: Connection, selector: Selector, *, around: bool = False) -> bool:
    """Whether a claim could find something: a look that locks nothing, for a worker that polls.

    :param around: see `claim`.
    """
    if selector.takes_all and around:
        return bool(unpaused_names(connection))
    if selector.takes_all:
        return bool(_ANY_READY.rows(connection, {}))
    return any(_ANY_READY_IN.rows(connection, {"of_queue": name}) for name in selector.names(connection))
