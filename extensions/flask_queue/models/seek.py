"""The way into the index of one state, so that conditions on its next columns say where to begin reading, and where to end.

PostgreSQL leaves out `state = 'ready'` where a partial index implies it. What is left does not start with the first column of
the index (state, queue, …), so that one entry after the other is held against it, to the end of the index.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, FromClause, and_, literal_column

from ..database import is_searched_for
from .job import State, jobs


def along(state: State, rows: FromClause = jobs) -> ColumnElement[bool]:
    """The jobs of a state, by its index: said once for the planner, who chooses it, and once for the search in it.

    :param rows: the table, or an alias of it.
    """
    is_of_it = rows.c.state == literal_column(f"'{state.value}'", jobs.c.state.type)
    return and_(is_of_it, is_searched_for(rows.c.state, state.value))
