"""The lists of jobs, a page at a time: unfiltered along an index, filtered within the head of the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, ScalarSelect, Select, func, select

from ...database import AnyRow, contains
from ...models import State, attempts, jobs, processes
from ...models.job import is_claimed
from ...models.seek import not_along_the_primary_key
from ..filters import Filters, only
from ..formatting import COUNT_CAP
from ..listings import Listing
from .counts import Size, capped_count

#: How many rows at the head of a list a filter without an index looks at.
SCAN_LIMIT = 100_000
#: Longer arguments are shown on the job's own page only.
SHOWN_ARGUMENTS = 4_000
SHOWN_MESSAGE = 500


def count_matching(connection: Connection, listing: Listing, filters: Filters) -> Size:
    """How many jobs of a list pass the filters, as far as `listed` looks."""
    return Size(connection.execute(select(capped_count(_matching(listing, filters), COUNT_CAP))).scalar_one())


def listed(connection: Connection, listing: Listing, filters: Filters, *, limit: int, offset: int = 0) -> Sequence[AnyRow]:
    """One page of a list: `job_columns`, for failed jobs with the last error, for running ones with their process."""
    found = _matching(listing, filters)
    page = found.order_by(*listing.sorted_by(_source(found))).limit(limit).offset(offset).subquery("page")
    source: FromClause = jobs.join(page, page.c.id == jobs.c.id)
    columns = list(_job_columns())
    if listing.state is State.FAILED:
        columns += _error_columns(jobs.c.id)
    if listing.state is State.CLAIMED:
        source = source.outerjoin(processes, processes.c.id == jobs.c.process_id)
        columns += [processes.c.name.label("process_name"), processes.c.kind.label("process_kind")]
    return connection.execute(select(*columns).select_from(source).order_by(*listing.sorted_by(jobs))).all()


def matching_ids(connection: Connection, listing: Listing, filters: Filters, limit: int) -> list[int]:
    """The ids of the first jobs of a list that pass the filters."""
    found = _matching(listing, filters)
    statement = found.order_by(*listing.sorted_by(_source(found))).limit(limit)
    return [row.id for row in connection.execute(statement)]


def running_on(connection: Connection, process_id: int, limit: int) -> Sequence[AnyRow]:
    """The jobs that a process has claimed."""
    own = is_claimed & (jobs.c.process_id == process_id)
    return connection.execute(select(*_job_columns()).where(own).order_by(jobs.c.id).limit(limit)).all()


def running_sizes(connection: Connection) -> dict[int, int]:
    """How many jobs each process has claimed, by its id."""
    statement = select(jobs.c.process_id, func.count()).where(is_claimed).group_by(jobs.c.process_id)
    return {row[0]: row[1] for row in connection.execute(statement)}


def _job_columns() -> tuple[ColumnElement[Any], ...]:
    """What lists show of a job. Arguments of any length would make a page of any length."""
    short = func.length(jobs.c.arguments) <= SHOWN_ARGUMENTS
    arguments = func.substr(jobs.c.arguments, 1, SHOWN_ARGUMENTS)
    columns = [column for column in jobs.c if column is not jobs.c.arguments]
    return (*columns, arguments.label("arguments"), short.label("is_whole"))


def _error_columns(job_id: ColumnElement[int]) -> list[ColumnElement[Any]]:
    """What lists show of the last error of a job."""
    message = func.substr(attempts.c.message, 1, SHOWN_MESSAGE)
    columns = {"error_class": attempts.c.error_class, "error_message": message, "failed_at": attempts.c.failed_at}
    return [last_error(job_id, column).label(name) for name, column in columns.items()]


def last_error(job_id: ColumnElement[int], column: ColumnElement[Any]) -> ScalarSelect[Any]:
    """A column of a job's newest failed attempt. A subquery for each row is one look into an index, in any plan."""
    newest_first = select(column).where(attempts.c.job_id == job_id).order_by(attempts.c.id.desc())
    return newest_first.limit(1).scalar_subquery()


def _matching(listing: Listing, filters: Filters) -> Select[Any]:
    """The jobs of a list that pass the filters, in no order: their ids and what the list is sorted by."""
    indexed = _conditions(jobs, only(filters.values, listing.indexed))
    scanned = {name: value for name, value in filters.values.items() if name not in listing.indexed}
    whole = _all_of(listing).where(*indexed)
    if not scanned:
        return whole
    head = whole.order_by(*listing.sorted_by(jobs)).limit(SCAN_LIMIT).subquery("head")
    return select(*head.c).where(*_looked_up(head, scanned))


def _all_of(listing: Listing) -> Select[Any]:
    columns = dict.fromkeys(("id", *listing.order_columns))
    statement = select(*(jobs.c[name] for name in columns)).where(listing.rows)
    return not_along_the_primary_key(statement) if listing.order_columns == ("id",) else statement


def _looked_up(head: FromClause, values: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Conditions on rows found by their id. As subqueries, which no planner turns into a scan of the table."""
    looked = jobs.alias("looked")
    row = select(looked.c.id).where(looked.c.id == head.c.id, *_conditions(looked, values)).correlate(head)
    found: list[ColumnElement[bool]] = [row.scalar_subquery().is_not(None)]
    if "error_class" in values:
        found.append(last_error(head.c.id, attempts.c.error_class) == values["error_class"])
    return found


def _source(statement: Select[Any]) -> FromClause:
    """What a statement selects from."""
    [source] = statement.get_final_froms()
    return source


def _conditions(source: FromClause, values: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Conditions on the row of a job; those of `queue.jobs.….where(…)` for the same values."""
    tests: Mapping[str, Any] = {
        "queue": source.c.queue_name.__eq__,
        "name": source.c.name.__eq__,
        "finished_after": source.c.finished_at.__ge__,
        "finished_before": source.c.finished_at.__le__,
        "search": partial(contains, source.c.arguments),
    }
    return [tests[name](value) for name, value in values.items() if name in tests]
