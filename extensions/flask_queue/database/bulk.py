"""Many rows in few statements, with their ids in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, cast, func, select
from sqlalchemy import column as sql_column
from sqlalchemy.dialects import postgresql

#: Rows of one statement. PostgreSQL and SQLite take them all in one go; MySQL's packet has an end.
_MYSQL_CHUNK = 500
_MYSQL_CHUNK_BYTES = 4_000_000


def insert_many(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert `rows`, which name the same columns, in order.

    :return: their ids, growing in that order.
    """
    if not rows:
        return []
    dialect = connection.dialect.name
    if dialect == "postgresql":
        return _insert_arrays(connection, table, rows)
    if dialect == "sqlite":
        # The write transaction is ours alone, so that the ids follow each other and end with the last one given.
        connection.execute(table.insert(), rows)
        last = int(connection.exec_driver_sql("SELECT last_insert_rowid()").scalar_one())
        return list(range(last - len(rows) + 1, last + 1))
    return [number for chunk in _chunks(rows) for number in _insert_values(connection, table, chunk)]


def _insert_arrays(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> list[int]:
    """One array for each column, so that any number of rows is the same statement with a handful of parameters."""
    columns = [table.c[name] for name in rows[0]]
    arrays = [cast(bindparam(f"a_{column.name}"), postgresql.ARRAY(column.type)) for column in columns]
    unnested = (
        func.unnest(*arrays)
        .table_valued(*(sql_column(column.name, column.type) for column in columns), with_ordinality="n", name="given")
        .render_derived()
    )
    picked = select(*(unnested.c[column.name] for column in columns)).order_by(unnested.c.n)
    statement = postgresql.insert(table).from_select([column.name for column in columns], picked).returning(table.c.id)
    parameters = {f"a_{column.name}": [row[column.name] for row in rows] for column in columns}
    return sorted(connection.execute(statement, parameters).scalars())


def _chunks(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    start = size = 0
    for position, row in enumerate(rows):
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if position - start == _MYSQL_CHUNK or (size > _MYSQL_CHUNK_BYTES and position > start):
            yield rows[start:position]
            start, size = position, 0
    yield rows[start:]


def _insert_values(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> list[int]:
    """One statement for a chunk, put together by hand: it would be compiled anew each time, which takes longer than to run it.

    InnoDB numbers its rows in order, from the first one on.
    """
    dialect = connection.dialect
    columns = [table.c[name] for name in rows[0]]
    names = ", ".join(map(dialect.identifier_preparer.format_column, columns))
    marks = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(rows))
    processors = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in columns]
    values = tuple(
        process(row[column.name]) if process else row[column.name]
        for row in rows
        for column, process in zip(columns, processors, strict=True)
    )
    first = int(connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES {marks}", values).lastrowid)
    step = int(connection.exec_driver_sql("SELECT @@auto_increment_increment").scalar_one())
    return [first + step * position for position in range(len(rows))]
