"""Lists that are bound when a statement runs, so that its text, and the plan for it, stay the same."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ..columns import MYSQL


class _OneOf(FunctionElement[bool]):
    """Membership in a list that is bound when the statement runs; the text stays the same however long the list is.

    But on MySQL and MariaDB, which would look at every row: there each value is a parameter.
    """

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> _OneOf:
        return self  # else SQLite and MySQL are asked for `id IN (…) = 1`, for which they use no index


class JSONList(TypeDecorator[list[Any]]):
    """A list on its way to SQLite, which has no arrays."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> str:
        return json.dumps(value)


def is_one_of(column: Column[Any], name: str) -> ColumnElement[bool]:
    """`column` is one of the values bound as the list `name`."""
    listed = func.json_each(bindparam(name, type_=JSONList())).table_valued("value", name="listed")
    array = bindparam(name, type_=ARRAY(column.type))
    return _OneOf(column.in_(select(listed.c.value)), column == any_(array), column.in_(bindparam(name, expanding=True)))


@compiles(_OneOf, "sqlite")
def _one_of_sqlite(element: _OneOf, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **kw)


@compiles(_OneOf, "postgresql")
def _one_of_postgresql(element: _OneOf, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[1], **kw)


@compiles(_OneOf, *MYSQL)
def _one_of_mysql(element: _OneOf, compiler: SQLCompiler, **kw: Any) -> str:
    # Of an empty list SQLAlchemy makes a pair of conditions, and the `= 0` of a negation must not fall on the second one alone.
    return f"({compiler.process(element.clauses.clauses[2], **kw)})"
