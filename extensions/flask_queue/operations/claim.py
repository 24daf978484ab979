"""Move ready jobs to a worker. Two workers never receive the same job."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import product
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Subquery, bindparam, exists, literal_column, select, true

from ..database import HeadsOfLines, Move, Prepared, Step, is_one_of, now
from ..models.job import State, is_ready, jobs
from ..models.pause import pauses
from ..models.process import processes
from ..models.seek import along, is_still
from .marks import Marks, anything_but_before_mark, behind_mark
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
_OF_QUEUE: ColumnElement[str] = bindparam("of_queue", type_=jobs.c.queue_name.type)
_IN_QUEUE = jobs.c.queue_name == _OF_QUEUE
_NOT_PAUSED = jobs.c.queue_name.not_in(select(pauses.c.queue_name))
_VALUES = {"state": literal_column("'claimed'"), "process_id": bindparam("process_id"), "claimed_at": now()}


def _line(*where: ColumnElement[bool]) -> Select[Any]:
    return (
        select(jobs.c.id)
        .where(is_ready, *where, _NOT_PAUSED, _IS_REGISTERED)
        .order_by(jobs.c.priority, jobs.c.id)
        .limit(bindparam("limit"))
    )


def _window(*where: ColumnElement[bool]) -> Subquery:
    """The head of the line: to claim jobs of one kind, no worker looks further."""
    order = (jobs.c.priority, jobs.c.id)
    return select(*order).where(along(State.READY), *where).order_by(*order).limit(WINDOW).subquery("head")


def _one_by_one(head: Subquery, kind: ColumnElement[bool]) -> Select[Any]:
    """Row by row, until there are enough: the planner, who does not know how long the line is, would compare all with all."""
    each = (
        select(jobs.c.id)
        .where(jobs.c.id == head.c.id, is_still(State.READY), kind, _NOT_PAUSED)
        .correlate(head)
        .with_for_update(skip_locked=True)
        .lateral("each")
    )
    return (
        select(each.c.id)
        .select_from(head.join(each, true()))
        .where(_IS_REGISTERED)
        .order_by(head.c.priority, head.c.id)
        .limit(bindparam("limit"))
    )


def _move(of_queue: bool, only: bool | None, marked: bool) -> Move:
    def where() -> list[ColumnElement[bool]]:
        conditions = [_IN_QUEUE] if of_queue else []
        return [*conditions, behind_mark(_OF_QUEUE if of_queue else None)] if marked else conditions

    if only is None:
        index = "ix_queue_jobs_ready_by_queue" if of_queue else "ix_queue_jobs_ready"
        return Move(jobs, lambda: _line(*where()), _VALUES, _COLUMNS, index=index, follows=not of_queue)

    def kind() -> ColumnElement[bool]:
        is_named = is_one_of(jobs.c.name, "names")
        return is_named if only else ~is_named

    def line() -> Select[Any]:
        return _line(jobs.c.id.in_(select(_window(*where()).c.id)), kind())

    return Move(jobs, line, _VALUES, _COLUMNS, locking=lambda: _one_by_one(_window(*where()), kind()))


#: By (one queue rather than all, kind of jobs wanted, behind a mark rather than from the beginning).
_MOVES = {key: _move(*key) for key in product((False, True), (None, True, False), (False, True))}
# Of the order there is to be no index either, of which planners would read all until they have met these few.
_MOVE_PICKED = Move(
    jobs,
    lambda: (
        select(jobs.c.id)
        .where(is_one_of(jobs.c.id, "picked_ids"), is_still(State.READY), _NOT_PAUSED, _IS_REGISTERED)
        .order_by(jobs.c.priority + 0, jobs.c.id + 0)
        .limit(bindparam("limit"))
    ),
    _VALUES,
    _COLUMNS,
)


def _line_of_queue(name: ColumnElement[str], count: ColumnElement[int]) -> Select[Any]:
    of_queue = select(jobs.c.priority, jobs.c.id).where(along(State.READY), jobs.c.queue_name == name)
    return of_queue.order_by(jobs.c.priority, jobs.c.id).limit(count)


_HEADS = HeadsOfLines(_line_of_queue, lock=False)
#: So many more are picked than are wanted, as other workers pick the same.
_SPARE = 20
_PLACE_IN_LINE = itemgetter(Claim._fields.index("priority"), Claim._fields.index("job_id"))


def _first(*where: ColumnElement[bool]) -> Select[Any]:
    # In order, so that no planner reads through the finished jobs in the hope of meeting a ready one soon.
    line: Select[Any] = select(literal_column("1")).where(along(State.READY), _NOT_PAUSED, *where)
    return line.order_by(jobs.c.priority, jobs.c.id).limit(1)


#: By (one queue rather than all, behind a mark).
_ANY_READY = {
    (False, False): Prepared(_first),
    (False, True): Prepared(anything_but_before_mark),
    (True, False): Prepared(lambda: _first(_IN_QUEUE)),
    (True, True): Prepared(lambda: anything_but_before_mark(_OF_QUEUE)),
}


def claim(
    connection: Connection,
    selector: Selector,
    *,
    limit: int,
    process_id: int,
    kinds: Kinds | None = None,
    ahead: Step | None = None,
    around: bool = False,
    marks: Marks | None = None,
) -> list[Claim]:
    """Claim up to `limit` ready jobs for a registered process, in the order in which they are to run.

    Queues come in the order of `selector`; within one, and among all with "*", the smaller priority number first, then the
    older job. A process whose registration is gone gets nothing.

    :param ahead: what to do to other jobs before, whether or not there is anything to claim.
    :param around: go around paused queues. It takes more statements; but else all jobs are read that wait in a paused queue
        before the first one that does not. The outcome is the same.
    :param marks: go on behind them, and move them. They tell whether jobs may have been missed.
    """
    if limit > 0 and selector.takes_all and not around:
        return _claim_from(connection, None, limit, process_id, kinds, marks, ahead)
    if ahead is not None:
        ahead.send(connection)
    if limit <= 0:
        return []
    if selector.takes_all and kinds is None:
        return _claim_around(connection, limit, process_id)
    return _claim_by_queue(connection, selector, limit, process_id, kinds, marks)


def _claim_by_queue(
    connection: Connection, selector: Selector, limit: int, process_id: int, kinds: Kinds | None, marks: Marks | None
) -> list[Claim]:
    if selector.takes_all:  # of one kind: queue by queue, as a window of the whole line may hold nothing but paused ones
        names, may_be_others = unpaused_names(connection), False
    else:
        names, may_be_others = _names(connection, selector, marks)
    claims: list[Claim] = []
    for name in names:
        claims += _claim_from(connection, name, limit - len(claims), process_id, kinds, marks)
        if len(claims) >= limit or (marks is not None and marks.have_missed):  # the rest of this queue comes before the next
            return claims
    if marks is not None and may_be_others:
        marks.miss()
    return claims


def _names(connection: Connection, selector: Selector, marks: Marks | None) -> tuple[list[str], bool]:
    """The queues to claim from, in order, and whether there may be others by now."""
    return marks.names(lambda: selector.names(connection)) if marks is not None else (selector.names(connection), False)


def _claim_from(
    connection: Connection,
    queue_name: str | None,
    limit: int,
    process_id: int,
    kinds: Kinds | None,
    marks: Marks | None,
    ahead: Step | None = None,
) -> list[Claim]:
    place = marks.place(queue_name) if marks is not None else None
    move = _MOVES[queue_name is not None, kinds.only if kinds else None, place is not None]
    parameters: dict[str, Any] = {"limit": limit, "process_id": process_id, **(place or {})}
    if queue_name is not None:
        parameters["of_queue"] = queue_name
    if kinds is not None:
        parameters["names"] = list(kinds.names)
    began = time.monotonic()
    claims = sorted(map(Claim._make, move(connection, parameters, ahead=ahead)), key=_PLACE_IN_LINE)
    if marks is not None:
        if claims and kinds is None:
            marks.move(queue_name, *_PLACE_IN_LINE(claims[-1]))
        if place is None:
            marks.hold(queue_name, time.monotonic() - began)
        elif len(claims) < limit:
            marks.miss()
    return claims


def _claim_around(connection: Connection, limit: int, process_id: int) -> list[Claim]:
    heads = _HEADS.rows(connection, dict.fromkeys(unpaused_names(connection), limit + _SPARE))
    picked = [job_id for _, job_id in sorted(heads)[: limit + _SPARE]]
    if not picked:
        return []
    parameters = {"limit": limit, "process_id": process_id, "picked_ids": picked}
    return sorted(map(Claim._make, _MOVE_PICKED(connection, parameters)), key=_PLACE_IN_LINE)


def anything_ready(connection: Connection, selector: Selector, *, around: bool = False, marks: Marks | None = None) -> bool:
    """Whether a claim could find something: a look that locks nothing, for a worker that polls.

    :param around: see `claim`.
    :param marks: look no further than behind them, as long as they are valid.
    """
    if selector.takes_all and around:
        return bool(unpaused_names(connection))
    if selector.takes_all:
        return _is_ready_in(connection, None, marks)
    names, _ = _names(connection, selector, marks)
    return any(_is_ready_in(connection, name, marks) for name in names)


def _is_ready_in(connection: Connection, queue_name: str | None, marks: Marks | None) -> bool:
    place = marks.place(queue_name) if marks is not None else None
    parameters: dict[str, Any] = {} if queue_name is None else {"of_queue": queue_name}
    began = time.monotonic()
    found = _ANY_READY[queue_name is not None, place is not None].rows(connection, {**parameters, **(place or {})})
    if marks is not None and place is None:
        marks.hold(queue_name, time.monotonic() - began)
    return bool(found)
