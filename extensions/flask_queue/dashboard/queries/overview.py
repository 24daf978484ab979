"""What the overview shows: what ended lately, and which errors the failed jobs have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy import ColumnElement, Connection, Integer, case, func, literal_column, select, true

from ...models import State, attempts, jobs
from ...models.job import is_failed
from ...models.seek import along
from .lists import last_error

#: How many of the newest failures are grouped by their error.
GROUPED_LIMIT = 10_000
#: How many of the latest endings the chart counts.
THROUGHPUT_CAP = 200_000


@dataclass(frozen=True)
class Slice:
    """What ended between two moments."""

    start: datetime
    end: datetime
    finished: int
    failed: int


def throughput(connection: Connection, moments: Sequence[datetime]) -> list[Slice]:
    """What finished and what failed between each two moments, in two statements; of each the latest, up to a cap.

    :param moments: in order
    """
    finished = _sizes(connection, jobs.c.finished_at, along(State.FINISHED), moments)
    failed = _sizes(connection, attempts.c.failed_at, true(), moments)
    return [Slice(*pair, finished.get(number, 0), failed.get(number, 0)) for number, pair in enumerate(pairwise(moments))]


def _sizes(
    connection: Connection, at: ColumnElement[datetime], rows: ColumnElement[bool], moments: Sequence[datetime]
) -> dict[int, int]:
    """How many rows have their moment in each slice, by the slice's number. One walk along an index, whatever their number."""
    number = _slice_of(at, moments, 0, len(moments) - 1).label("number")
    within = select(number).where(rows, at >= moments[0], at < moments[-1])
    latest = within.order_by(at.desc()).limit(THROUGHPUT_CAP + 1).subquery()
    sizes = select(latest.c.number, func.count()).group_by(latest.c.number)
    return {row[0]: row[1] for row in connection.execute(sizes)}


def _slice_of(at: ColumnElement[datetime], moments: Sequence[datetime], low: int, high: int) -> ColumnElement[int]:
    """The number of the slice that a moment is in, found by halving."""
    if high - low == 1:
        return literal_column(str(low), Integer)
    middle = (low + high) // 2
    earlier, later = _slice_of(at, moments, low, middle), _slice_of(at, moments, middle, high)
    return case((at < moments[middle], earlier), else_=later)


@dataclass(frozen=True)
class ErrorGroup:
    """Failed jobs whose last error is of one class."""

    error_class: str
    size: int
    last_failed_at: datetime


def errors_by_class(connection: Connection, limit: int) -> list[ErrorGroup]:
    """The errors of the newest failed jobs, the most frequent first."""
    newest = select(jobs.c.id).where(is_failed).order_by(jobs.c.id.desc()).limit(GROUPED_LIMIT).subquery("newest")
    last = [last_error(newest.c.id, column).label(column.name) for column in (attempts.c.error_class, attempts.c.failed_at)]
    errors = select(*last).select_from(newest).subquery("errors")
    size = func.count().label("size")
    statement = (
        select(errors.c.error_class, size, func.max(errors.c.failed_at))
        .where(errors.c.error_class.is_not(None))
        .group_by(errors.c.error_class)
        .order_by(size.desc(), errors.c.error_class)
        .limit(limit)
    )
    return [ErrorGroup(*row) for row in connection.execute(statement)]
