"""Who comes first: locks on concurrency keys, and reads that see what the holders of such locks have committed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    false,
    func,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ..columns import MYSQL, is_mysql
from .clock import now
from .engines import OURS
from .prepared import PlainRow, Prepared, Step


def lock_keys(connection: Connection, table: Table, keys: Collection[str], *, ahead: Step | None = None) -> None:
    """Hold `keys` from the next statement on until the transaction ends: who else wants one of them waits.

    They are taken in one order, so that nobody deadlocks.

    SQLite's write transaction is the lock already, where it is ours. PostgreSQL has advisory locks. MySQL needs rows.

    :param table: where the rows are, with the columns `key` and `used_at`.
    :param ahead: what to do to other rows then; with PostgreSQL in one message. Not before: whoever enqueues takes the key
        first, too, and looks at the rows of others after it.
    """
    dialect = connection.dialect.name
    if dialect == "postgresql" and ahead is not None:
        _ADVISORY_LOCKS.after(ahead.statement).send(connection, {**ahead.parameters, "locked_keys": sorted(keys)})
        return
    if dialect == "postgresql":
        _ADVISORY_LOCKS.send(connection, {"locked_keys": sorted(keys)})
    elif dialect != "sqlite":
        connection.execute(_row_locks(table), [{"key": key} for key in sorted(keys)])
    elif not _is_ours(connection):  # the application's transaction takes the lock when it first writes, if only nothing
        connection.execute(update(table).where(false()).values(used_at=now()))
    if ahead is not None:
        ahead.take(connection)


class CommittedRead:
    """A read that sees what is committed when it runs.

    The application's transactions on MySQL look at the instant at which they began; only what locks its rows sees them anew.
    """

    def __init__(self, make: Callable[[], Select[Any]]) -> None:
        """
        :param make: makes the query.
        """
        self._plain = Prepared(make)
        self._locking = Prepared(lambda: make().with_for_update(read=True), written_for="mysql")

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[PlainRow]:
        """Run it, and return its rows."""
        is_dated = is_mysql(connection.dialect) and not _is_ours(connection)
        return (self._locking if is_dated else self._plain).rows(connection, parameters)


class _CommittedValue(FunctionElement[Any]):
    inherit_cache = True


def committed_or_null(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """A value that is read beside rows that the statement locks: as it is committed when it runs.

    It is NULL on MySQL and MariaDB, where it could be as old as the transaction although the locked rows are not.
    """
    return _CommittedValue(value)


@compiles(_CommittedValue)
def _as_it_is(element: _CommittedValue, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **kw)


@compiles(_CommittedValue, *MYSQL)
def _null(element: _CommittedValue, compiler: SQLCompiler, **kw: Any) -> str:
    return "NULL"


def _is_ours(connection: Connection) -> bool:
    return OURS in connection.get_execution_options()


def _advisory_locks() -> Select[Any]:
    keys = func.unnest(cast(bindparam("locked_keys"), ARRAY(Text))).table_valued("key", name="locks").render_derived()
    return select(func.count(func.pg_advisory_xact_lock(func.hashtextextended(keys.c.key, 0))))


_ADVISORY_LOCKS = Prepared(_advisory_locks, written_for="postgresql", follows=True)


@cache
def _row_locks(table: Table) -> Insert:
    """Updating takes the exclusive lock at once, where INSERT IGNORE would take a shared one and two could deadlock on it."""
    from sqlalchemy.dialects import mysql  # a megabyte, which is nothing to others

    inserted = mysql.insert(table).values(key=bindparam("key"), used_at=now())
    return inserted.on_duplicate_key_update(used_at=now())
