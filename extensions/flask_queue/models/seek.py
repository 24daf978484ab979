"""The way into the index of one state, so that conditions on its next columns say where to begin reading, and where to end.

PostgreSQL leaves out `state = 'ready'` where a partial index implies it. What is left does not start with the first column of
the index (state, queue, …), so that one entry after the other is held against it, to the end of the index.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, literal_column

from ..columns import MYSQL
from ..database import is_searched_for
from .job import State, is_in_line, jobs


def along(state: State, rows: FromClause = jobs) -> ColumnElement[bool]:
    """The jobs of a state, by its index: said once for the planner, who chooses it, and once for the search in it.

    :param rows: the table, or an alias of it.
    """
    is_of_it = rows.c.state == literal_column(f"'{state.value}'", jobs.c.state.type)
    found = and_(is_of_it, is_searched_for(rows.c.state, state.value))
    return and_(found, is_in_line) if state is State.BLOCKED else found


def is_still(state: State) -> ColumnElement[bool]:
    """What is asked of jobs that are known by their ids.

    Of an expression there is no index, so that no planner takes the way by all jobs of the state, which it believes to be few
    when it has not counted them for a minute.
    """
    return jobs.c.state + "" == state.value


def by_id(state: State, number: ColumnElement[int]) -> ColumnElement[int]:
    """What sorts the jobs of a state by their ids, where the state's own index does not.

    The primary key has this order, too, and planners would walk along it, past millions of jobs in other states, in the hope of
    meeting these soon. Of an expression there is no index. Failed jobs have one of their own in this order.
    """
    return number if state is State.FAILED else number + 0


def not_along_the_primary_key(statement: Select[Any]) -> Select[Any]:
    """The same for MySQL and MariaDB, where the index of failed jobs, as none is partial, has the jobs of all states by id."""
    for dialect in MYSQL:
        statement = statement.with_hint(jobs, "USE INDEX (ix_queue_jobs_failed)", dialect)
    return statement
