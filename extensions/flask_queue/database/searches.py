"""Conditions that databases word differently: one that a planner must not draw conclusions from, and the search for a text."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Boolean, ColumnElement, and_, any_, func, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# --- a constant in an index -----------------------------------------------------------------------


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


# --- a text in a text -----------------------------------------------------------------------------

#: In characters. A pattern has up to twelve bytes for each, and SQLite takes no more than 50,000.
LONGEST_PATTERN = 4_000


class _Contains(FunctionElement[bool]):
    """That a text stands in a column: as MySQL and MariaDB, PostgreSQL, and SQLite ask for it."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> _Contains:
        return self


def contains(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether `text` stands in `column`, as it is but for capital and small letters. Every row is looked at.

    Of letters beyond ASCII, PostgreSQL knows which belong together by the locale of its database (in "C" none do).
    """
    lower = func.lower(column), func.lower(text)
    return _Contains(func.instr(*lower) > 0, func.strpos(*lower) > 0, _contains_on_sqlite(column, text))


def _contains_on_sqlite(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """SQLite's LIKE, as its lower(), knows ASCII alone. GLOB can be told which other letters are meant, but takes ten times as
    long, so that LIKE looks first, with a wildcard for each of those.
    """
    if len(text) > LONGEST_PATTERN:  # letters beyond ASCII as they are
        return func.instr(func.lower(column), func.lower(text)) > 0
    similar = re.sub(r"[^\x00-\x7f]", "_", re.sub("[/%_]", r"/\g<0>", text))
    is_similar = column.like(f"%{similar}%", escape="/")
    return is_similar if text.isascii() else and_(is_similar, column.op("GLOB", is_comparison=True)(_glob(text)))


def _glob(text: str) -> str:
    return f"*{''.join(map(_either_case, text))}*"


def _either_case(letter: str) -> str:
    cases = {case for case in (letter, letter.lower(), letter.upper()) if len(case) == 1}
    return f"[{''.join(sorted(cases))}]" if len(cases) > 1 or letter in "*?[" else letter


@compiles(_Contains)
def _contains_mysql(element: _Contains, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **kw)


@compiles(_Contains, "postgresql")
def _contains_postgresql(element: _Contains, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[1], **kw)


@compiles(_Contains, "sqlite")
def _contains_sqlite(element: _Contains, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({compiler.process(element.clauses.clauses[2], **kw)})"
