"""Statements on a few rows that databases word differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

from sqlalchemy import Column, Connection, Row, Select, Table, any_, func, select, text, update

from .lists import is_one_of
from .prepared import PlainRow, Prepared, Step

#: A row of any columns.
AnyRow: TypeAlias = Row[*tuple[Any, ...]]


class Move:
    """A conditional update of the rows that `candidates` picks, returning columns of the rows it really moved.

    Rows locked by others are passed over. SQLite and PostgreSQL take one statement, MySQL and MariaDB two.

    :param table: the table whose rows move; its key is the column `id`.
    :param candidates: selects the ids, with conditions, order and limit.
    :param values: what to set.
    :param returning: the columns to return; numbers and text only.
    :param index: the index that has the candidates in their order. MySQL and MariaDB lock every row that they read, and
        whoever sorts reads them all, so that other workers would find none.
    :param locking: selects and locks the same ids, as PostgreSQL had better go about it.
    :param follows: something often goes ahead of it.
    """

    def __init__(
        self,
        table: Table,
        candidates: Select[Any],
        values: dict[str, Any],
        returning: Sequence[Column[Any]],
        *,
        index: str | None = None,
        locking: Select[Any] | None = None,
        follows: bool = False,
    ) -> None:
        # An ARRAY is computed once; with a plain IN the planner may run a limited, locking subquery again and again.
        own = candidates.with_for_update(skip_locked=True, of=table) if locking is None else locking
        picked = any_(func.array(own.scalar_subquery()))
        moved = update(table).where(table.c.id == picked).values(values).returning(*returning)
        self._postgresql = Prepared(moved, follows=follows)
        self._sqlite = Prepared(update(table).where(table.c.id.in_(candidates)).values(values).returning(*returning))
        self._pick = candidates.with_for_update(skip_locked=True, of=table)
        if index is not None:
            for dialect in ("mysql", "mariadb"):
                self._pick = self._pick.with_hint(table, f"FORCE INDEX ({index})", dialect)
        self._set = update(table).where(is_one_of(table.c.id, "moved_ids")).values(values)
        self._get = select(*returning).where(is_one_of(table.c.id, "moved_ids"))

    def __call__(
        self, connection: Connection, parameters: Mapping[str, Any], *, ahead: Step | None = None
    ) -> Sequence[PlainRow]:
        """Move what there is to move, and return its rows in no order.

        :param ahead: what to do to other rows before. On PostgreSQL it becomes a part of the same statement: one message to
            the server, and one commit, instead of four.
        """
        dialect = connection.dialect.name
        if dialect == "postgresql":
            if ahead is None:
                return self._postgresql.rows(connection, parameters)
            return self._postgresql.after(ahead.statement).rows(connection, {**ahead.parameters, **parameters})
        if ahead is not None:
            ahead.send(connection)
        if dialect == "sqlite":
            return self._sqlite.rows(connection, parameters)
        ids = connection.execute(self._pick, parameters).scalars().all()
        if not ids:
            return []
        connection.execute(self._set, {**parameters, "moved_ids": ids})
        return [tuple(row) for row in connection.execute(self._get, {"moved_ids": ids})]


class Insertion:
    """Insert one row.

    :param values: numbers, text, and expressions.
    :param announce: `notify` in the same statement. A NOTIFY of its own would be another commit, as long as the first.
    """

    def __init__(self, table: Table, values: dict[str, Any], *, announce: bool = False) -> None:
        insert = table.insert().values(values)
        returning = insert.returning(table.c.id)
        new = returning.cte("new")
        self._insert = Prepared(insert)
        self._returning = Prepared(select(new.c.id, func.pg_notify(CHANNEL, "")) if announce else returning)

    def __call__(self, connection: Connection, parameters: Mapping[str, Any]) -> int:
        """Insert, and return the row's id."""
        if connection.dialect.name == "postgresql":
            return int(self._returning.rows(connection, parameters)[0][0])
        return self._insert.insert(connection, parameters)


def insert_ignoring(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert `row` unless one with its unique columns exists; whether it was inserted. Aborts no transaction."""
    if connection.dialect.name in ("mysql", "mariadb"):
        statement: Any = table.insert().values(row).prefix_with("IGNORE")
    else:
        own_insert = import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert
        statement = own_insert(table).values(row).on_conflict_do_nothing()
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def notify(connection: Connection) -> None:
    """Tell listeners on other hosts that there are jobs to run, where the database can (PostgreSQL)."""
    if connection.dialect.name == "postgresql":
        _NOTIFY.send(connection, {})


CHANNEL = "flask_queue"
_NOTIFY = Prepared(text(f"NOTIFY {CHANNEL}"))
