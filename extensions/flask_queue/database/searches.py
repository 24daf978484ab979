"""Conditions that a planner must not draw conclusions from."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ColumnElement, any_, func, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _SearchedFor(FunctionElement[bool]):
    """Equality of a column and a constant; on PostgreSQL the same in other words."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> _SearchedFor:
        return self


def is_searched_for(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """`column = 'value'`, for the search in an index.

    PostgreSQL learns the value when the statement runs, too late to find that the condition goes without saying.
    """
    constant = literal_column(f"'{value}'", column.type)
    return _SearchedFor(column == constant, column == any_(func.array(select(constant).scalar_subquery())))


@compiles(_SearchedFor)
def _elsewhere(element: _SearchedFor, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **kw)


@compiles(_SearchedFor, "postgresql")
def _postgresql(element: _SearchedFor, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[1], **kw)
