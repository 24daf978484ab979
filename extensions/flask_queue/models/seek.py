"""Conditions that take every database straight to a place in an index of one state.

PostgreSQL leaves out `state = 'ready'` where a partial index implies it, and then reads such an index (state, queue, …) from
its beginning to find a queue. It does not leave out a comparison of rows, which says the same.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, literal, literal_column, tuple_

from .job import State, jobs


def at_least(state: State, column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    """`column >= value` among the jobs of a state, whose index has `column` next."""
    return and_(column >= value, tuple_(jobs.c.state, column) >= _place(state, column, value))


def after(state: State, column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    """`column > value` among the jobs of a state."""
    return and_(column > value, tuple_(jobs.c.state, column) > _place(state, column, value))


def at_most(state: State, column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    """`column <= value` among the jobs of a state."""
    return and_(column <= value, tuple_(jobs.c.state, column) <= _place(state, column, value))


def exactly(state: State, column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    """`column = value` among the jobs of a state."""
    row, place = tuple_(jobs.c.state, column), _place(state, column, value)
    return and_(column == value, row >= place, row <= place)


def _place(state: State, column: ColumnElement[Any], value: Any) -> Any:
    bound = value if isinstance(value, ColumnElement) else literal(value, column.type)
    return tuple_(literal_column(f"'{state.value}'"), bound)
