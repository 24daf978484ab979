"""What the overview shows: what ended lately, and which errors the failed jobs have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy import ColumnElement, Connection, ScalarSelect, func, select, true

from ...models import attempts, jobs
from ...models.job import is_failed, is_finished
from .counts import capped_count, one
from .lists import last_error

#: How many of the newest failures are grouped by their error.
GROUPED_LIMIT = 10_000


@dataclass(frozen=True)
class Slice:
    """What ended between two moments."""

    start: datetime
    end: datetime
    finished: int
    failed: int


#: More than this in one slice is drawn as this much.
SLICE_CAP = 50_000


def throughput(connection: Connection, moments: Sequence[datetime]) -> list[Slice]:
    """What finished and what failed between each two moments, in one statement."""
    pairs = list(pairwise(moments))
    finished = [_within(is_finished, jobs.c.finished_at, pair) for pair in pairs]
    failed = [_within(true(), attempts.c.failed_at, pair) for pair in pairs]
    numbers = connection.execute(select(*finished, *failed)).one()
    columns = zip(pairs, numbers[: len(pairs)], numbers[len(pairs) :], strict=True)
    return [Slice(start, end, *sizes) for (start, end), *sizes in columns]


def _within(rows: ColumnElement[bool], at: ColumnElement[datetime], pair: tuple[datetime, datetime]) -> ScalarSelect[int]:
    return capped_count(select(one()).where(rows, at >= pair[0], at < pair[1]), SLICE_CAP - 1)


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
