"""Statements on a few rows that databases word differently."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Insert,
    Row,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    false,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .clock import now
from .engines import OURS

#: A row of any columns.
AnyRow: TypeAlias = Row[*tuple[Any, ...]]


class _OneOf(FunctionElement[bool]):
    """Membership in a list that is bound when the statement runs."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> _OneOf:
        return self  # else SQLite and MySQL are asked for `id IN (…) = 1`, for which they use no index


def is_one_of(column: Column[Any], name: str) -> ColumnElement[bool]:
    """`column` is one of the values bound as the list `name`."""
    array = bindparam(name, type_=postgresql.ARRAY(column.type))
    return _OneOf(column.in_(bindparam(name, expanding=True)), column == any_(array))


@compiles(_OneOf)
def _one_of(element: _OneOf, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **kw)


@compiles(_OneOf, "postgresql")
def _one_of_postgresql(element: _OneOf, compiler: SQLCompiler, **kw: Any) -> str:
    """One parameter however many values, so that the text stays the same and the server plans it once."""
    return compiler.process(element.clauses.clauses[1], **kw)


class Move:
    """A conditional update of the rows that `candidates` picks, returning columns of the rows it really moved.

    Rows locked by others are passed over. SQLite and PostgreSQL take one statement, MySQL and MariaDB two.

    :param table: the table whose rows move; its key is the column `id`.
    :param candidates: selects the ids, with conditions, order and limit.
    :param values: what to set.
    :param returning: the columns to return; `id` among them.
    :param index: the index that has the candidates in their order. MySQL and MariaDB lock every row that they read, and
        whoever sorts reads them all, so that other workers would find none.
    """

    def __init__(
        self,
        table: Table,
        candidates: Select[Any],
        values: dict[str, Any],
        returning: Sequence[Column[Any]],
        *,
        index: str | None = None,
    ) -> None:
        locking = candidates.with_for_update(skip_locked=True, of=table)
        # An ARRAY is computed once; with a plain IN the planner may run a limited, locking subquery again and again.
        self._postgresql = (
            update(table).where(table.c.id == any_(func.array(locking.scalar_subquery()))).values(values).returning(*returning)
        )
        self._sqlite = update(table).where(table.c.id.in_(candidates)).values(values).returning(*returning)
        self._pick = locking
        if index is not None:
            for dialect in ("mysql", "mariadb"):
                self._pick = self._pick.with_hint(table, f"FORCE INDEX ({index})", dialect)
        self._set = update(table).where(is_one_of(table.c.id, "moved_ids")).values(values)
        self._get = select(*returning).where(is_one_of(table.c.id, "moved_ids"))

    def __call__(self, connection: Connection, parameters: dict[str, Any]) -> Sequence[AnyRow]:
        """Move what there is to move, and return its rows in no order."""
        dialect = connection.dialect.name
        if dialect == "sqlite":
            return connection.execute(self._sqlite, parameters).all()
        if dialect == "postgresql":
            return connection.execute(self._postgresql, parameters).all()
        ids = connection.execute(self._pick, parameters).scalars().all()
        if not ids:
            return []
        connection.execute(self._set, {**parameters, "moved_ids": ids})
        return connection.execute(self._get, {"moved_ids": ids}).all()


def lock_keys(connection: Connection, table: Table, keys: Collection[str]) -> None:
    """Hold `keys` until the transaction ends: who else wants one of them waits. In one order, so that nobody deadlocks.

    SQLite's write transaction is the lock already, where it is ours. PostgreSQL has advisory locks. MySQL needs rows.

    :param table: where the rows are, with the columns `key` and `used_at`.
    """
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(_ADVISORY_LOCKS, {"keys": sorted(keys)})
    elif dialect != "sqlite":
        connection.execute(_row_locks(table), [{"key": key} for key in sorted(keys)])
    elif not _is_ours(connection):  # the application's transaction takes the lock when it first writes, if only nothing
        connection.execute(update(table).where(false()).values(used_at=now()))


def as_committed(connection: Connection, statement: Select[Any]) -> Select[Any]:
    """`statement` so that it sees what is committed when it runs.

    The application's transactions on MySQL look at the instant at which they began; only what locks its rows sees them anew.
    """
    if connection.dialect.name in ("mysql", "mariadb") and not _is_ours(connection):
        return statement.with_for_update(read=True)
    return statement


def _is_ours(connection: Connection) -> bool:
    return OURS in connection.get_execution_options()


_KEYS = func.unnest(cast(bindparam("keys"), postgresql.ARRAY(Text))).table_valued("key", name="locks").render_derived()
_ADVISORY_LOCKS = select(func.count(func.pg_advisory_xact_lock(func.hashtextextended(_KEYS.c.key, 0))))


@cache
def _row_locks(table: Table) -> Insert:
    """Updating takes the exclusive lock at once, where INSERT IGNORE would take a shared one and two could deadlock on it."""
    inserted = mysql.insert(table).values(key=bindparam("key"), used_at=now())
    return inserted.on_duplicate_key_update(used_at=now())


def insert_ignoring(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert `row` unless one with its unique columns exists; whether it was inserted. Aborts no transaction."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        statement: Any = postgresql.insert(table).values(row).on_conflict_do_nothing()
    elif dialect == "sqlite":
        statement = sqlite.insert(table).values(row).on_conflict_do_nothing()
    else:
        statement = mysql.insert(table).values(row).prefix_with("IGNORE")
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def notify(connection: Connection) -> None:
    """Tell listeners on other hosts that there are jobs to run, where the database can (PostgreSQL)."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY)


CHANNEL = "flask_queue"
_NOTIFY = text(f"NOTIFY {CHANNEL}")


class Insertion:
    """Insert one row.

    :param announce: `notify` in the same statement. A NOTIFY of its own would be another commit, as long as the first.
    """

    def __init__(self, table: Table, values: dict[str, Any], *, announce: bool = False) -> None:
        self._insert = table.insert().values(values)
        new = self._insert.returning(table.c.id).cte("new")
        self._announced = select(new.c.id, func.pg_notify(CHANNEL, "")) if announce else None

    def __call__(self, connection: Connection, parameters: dict[str, Any]) -> int:
        """Insert, and return the row's id."""
        if self._announced is not None and connection.dialect.name == "postgresql":
            return int(connection.execute(self._announced, parameters).scalar_one())
        key = connection.execute(self._insert, parameters).inserted_primary_key
        assert key is not None
        return int(key[0])
