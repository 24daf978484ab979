"""Statements on a few rows that databases word differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

from sqlalchemy import Column, ColumnElement, Connection, Executable, Row, Select, Table, any_, case, func, select, text, update

from ..columns import MYSQL, is_mysql
from .lists import is_one_of
from .prepared import PlainRow, Prepared, Step

#: A row of any columns.
AnyRow: TypeAlias = Row[*tuple[Any, ...]]


class Move:
    """A conditional update of the rows that `candidates` picks, returning columns of the rows as they are afterwards.

    Rows locked by others are passed over. PostgreSQL takes one statement. The others take two, so that only a write transaction
    around them keeps anybody else from moving the same rows in between. (SQLite could do with one, but would put the rows into
    tables of its own first: that takes longer, and some hundred kilobytes.)

    :param table: the table whose rows move; its key is the column `id`.
    :param candidates: makes the query for the ids, with conditions, order and limit.
    :param values: what to set: parameters, and expressions that say the same twice, if it is to be returned.
    :param returning: the columns to return, the `id` first; numbers and text only.
    :param index: the index that has the candidates in their order. MySQL and MariaDB lock every row that they read, and
        whoever sorts reads them all, so that other workers would find none.
    :param locking: makes one that also locks the rows, as PostgreSQL had better go about it.
    :param follows: something often goes ahead of it.
    """

    def __init__(
        self,
        table: Table,
        candidates: Callable[[], Select[Any]],
        values: Mapping[str, ColumnElement[Any]],
        returning: Sequence[Column[Any]],
        *,
        index: str | None = None,
        locking: Callable[[], Select[Any]] | None = None,
        follows: bool = False,
    ) -> None:
        def in_one() -> Executable:
            # An ARRAY is computed once; with a plain IN the planner may run a limited, locking subquery again and again.
            own = candidates().with_for_update(skip_locked=True, of=table) if locking is None else locking()
            picked = any_(func.array(own.scalar_subquery()))
            return update(table).where(table.c.id == picked).values(values).returning(*returning)

        def pick() -> Executable:
            columns = [values[column.name].label(column.name) if column.name in values else column for column in returning]
            picked = candidates().with_only_columns(*columns).with_for_update(skip_locked=True, of=table)
            if index is not None:
                for dialect in MYSQL:
                    picked = picked.with_hint(table, f"FORCE INDEX ({index})", dialect)
            return picked

        def move() -> Executable:
            return update(table).where(is_one_of(table.c.id, "moved_ids")).values(values)

        self._in_one = Prepared(in_one, written_for="postgresql", follows=follows)
        self._pick = Prepared(pick, written_for="sqlite")
        self._move = Prepared(move, written_for="sqlite")

    def __call__(
        self, connection: Connection, parameters: Mapping[str, Any], *, ahead: Step | None = None
    ) -> Sequence[PlainRow]:
        """Move what there is to move, and return its rows in no order.

        :param ahead: what to do to other rows before. On PostgreSQL it becomes a part of the same statement: one message to
            the server, and one commit, instead of four.
        """
        if connection.dialect.name == "postgresql":
            if ahead is None:
                return self._in_one.rows(connection, parameters)
            return self._in_one.after(ahead.statement).rows(connection, {**ahead.parameters, **parameters})
        if ahead is not None:
            ahead.send(connection)
        rows = self._pick.rows(connection, parameters)
        if rows:
            self._move.count(connection, {**parameters, "moved_ids": [row[0] for row in rows]})
        return rows


class Insertion:
    """Insert one row.

    :param values: numbers, text, and expressions.
    :param is_news: whether to `notify` in the same statement, asked of the new row. A NOTIFY of its own would be another
        commit, as long as the first.
    """

    def __init__(self, table: Table, values: dict[str, Any], *, is_news: ColumnElement[bool] | None = None) -> None:
        def returning() -> Executable:
            insert = table.insert().values(values).returning(table.c.id)
            if is_news is None:
                return insert
            new = insert.returning(is_news.label("is_news")).cte("new")
            return select(new.c.id, case((new.c.is_news, func.pg_notify(CHANNEL, ""))))

        self._insert = Prepared(lambda: table.insert().values(values), written_for="sqlite")
        self._returning = Prepared(returning, written_for="postgresql")

    def __call__(self, connection: Connection, parameters: Mapping[str, Any]) -> int:
        """Insert, and return the row's id."""
        if connection.dialect.name == "postgresql":
            return int(self._returning.rows(connection, parameters)[0][0])
        return self._insert.insert(connection, parameters)


def insert_ignoring(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert `row` unless one with its unique columns exists; whether it was inserted. Aborts no transaction."""
    if is_mysql(connection.dialect):
        statement: Any = table.insert().values(row).prefix_with("IGNORE")
    else:
        own_insert = import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert
        statement = own_insert(table).values(row).on_conflict_do_nothing()
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def notify(connection: Connection) -> None:
    """Tell all who listen, on whatever host, that there are jobs to run, where the database can (PostgreSQL)."""
    if connection.dialect.name == "postgresql":
        _NOTIFY.send(connection, {})


CHANNEL = "flask_queue"
_NOTIFY = Prepared(lambda: text(f"NOTIFY {CHANNEL}"), written_for="postgresql")
