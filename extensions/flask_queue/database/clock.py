"""The database's clock as SQL expressions: hosts whose clocks differ agree on it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ..columns import MYSQL, UTCDateTime


class _Now(FunctionElement[datetime]):
    """The database's clock, UTC, with fractions of a second; the same instant throughout one statement."""

    type = UTCDateTime()
    inherit_cache = True


class _NowPlus(FunctionElement[datetime]):
    """The database's clock, so many seconds later."""

    type = UTCDateTime()
    inherit_cache = True


def now() -> ColumnElement[datetime]:
    """The database's clock as an expression. Hosts whose clocks differ agree on it."""
    return _Now()


def now_plus(seconds: float | ColumnElement[Any]) -> ColumnElement[datetime]:
    """The database's clock in `seconds` seconds (negative: ago), as an expression."""
    return _NowPlus(seconds if isinstance(seconds, ColumnElement) else literal(float(seconds)))


_SQLITE_FORMAT = "'%Y-%m-%d %H:%M:%f000', 'now'"


@compiles(_Now, "sqlite")
def _now_sqlite(element: _Now, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime({_SQLITE_FORMAT})"


@compiles(_NowPlus, "sqlite")
def _now_plus_sqlite(element: _NowPlus, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime({_SQLITE_FORMAT}, ({compiler.process(element.clauses, **kw)}) || ' seconds')"


@compiles(_Now, "postgresql")
def _now_postgresql(element: _Now, compiler: SQLCompiler, **kw: Any) -> str:
    return "statement_timestamp()"  # stable, unlike clock_timestamp(), so that indexes are used


@compiles(_NowPlus, "postgresql")
def _now_plus_postgresql(element: _NowPlus, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(statement_timestamp() + ({compiler.process(element.clauses, **kw)}) * interval '1 second')"


@compiles(_Now, *MYSQL)
def _now_mysql(element: _Now, compiler: SQLCompiler, **kw: Any) -> str:
    return "UTC_TIMESTAMP(6)"


@compiles(_NowPlus, *MYSQL)
def _now_plus_mysql(element: _NowPlus, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(UTC_TIMESTAMP(6) + INTERVAL ({compiler.process(element.clauses, **kw)}) SECOND)"
