"""Many rows in few statements, with their ids in order.

Most columns have the same value in all rows of a call. It is sent once; only the others travel as lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import ARRAY, Column, Connection, Executable, Insert, Table, bindparam, cast, column, func, insert, select

from ..columns import is_mysql
from .lists import JSONList
from .prepared import Prepared

#: Rows of one statement on MySQL, whose packet has an end. PostgreSQL and SQLite take them all in one go.
_MYSQL_CHUNK = 500
_MYSQL_CHUNK_BYTES = 4_000_000

_Names: TypeAlias = tuple[str, ...]


def insert_many(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> list[int]:
    """Insert rows, which are given by columns: lists of the same length.

    :return: their ids, growing in that order.
    """
    first = next(iter(columns))
    if not columns[first]:
        return []
    if is_mysql(connection.dialect):
        rows = list(zip(*columns.values(), strict=True))
        targets = [table.c[name] for name in columns]
        return [number for chunk in _chunks(rows) for number in _insert_values(connection, targets, chunk)]
    same: dict[str, Any] = {}
    lists: dict[str, Sequence[Any]] = {}
    for name, values in columns.items():
        if values.count(values[0]) < len(values):
            lists[name] = values
        elif values[0] is not None:
            same[name] = values[0]
    if not lists:
        lists[first] = columns[first]
        same.pop(first, None)
    insert_lists = _insert_json if connection.dialect.name == "sqlite" else _insert_arrays
    return insert_lists(connection, table, same, lists)


def _insert_json(connection: Connection, table: Table, same: dict[str, Any], lists: dict[str, Sequence[Any]]) -> list[int]:
    """SQLite has no arrays, but takes JSON apart."""
    dialect = connection.dialect
    processors = [table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in lists]
    plain = [list(map(process, each)) if process else each for process, each in zip(processors, lists.values(), strict=True)]
    rows = plain[0] if len(plain) == 1 else list(zip(*plain, strict=True))
    # The write transaction is ours alone, so that the ids follow each other and end with the last one given.
    last = _from_json(table, tuple(same), tuple(lists)).insert(connection, {**same, "rows_given": rows})
    return list(range(last - len(rows) + 1, last + 1))


@cache
def _from_json(table: Table, same: _Names, varying: _Names) -> Prepared:
    def make() -> Insert:
        given = func.json_each(bindparam("rows_given", type_=JSONList())).table_valued("key", "value", name="given")
        taken: list[Any] = [given.c.value]
        if len(varying) > 1:
            taken = [func.json_extract(given.c.value, f"$[{position}]") for position in range(len(varying))]
        constants = [bindparam(name, type_=table.c[name].type) for name in same]
        picked = select(*constants, *taken).select_from(given).order_by(given.c.key)
        return insert(table).from_select([*same, *varying], picked, include_defaults=False)

    return Prepared(make, written_for="sqlite")


def _insert_arrays(connection: Connection, table: Table, same: dict[str, Any], lists: dict[str, Sequence[Any]]) -> list[int]:
    parameters = same | {f"all_{name}": list(values) for name, values in lists.items()}
    return sorted(row[0] for row in _from_arrays(table, tuple(same), tuple(lists)).rows(connection, parameters))


@cache
def _from_arrays(table: Table, same: _Names, varying: _Names) -> Prepared:
    def make() -> Executable:
        arrays = [cast(bindparam(f"all_{name}"), ARRAY(table.c[name].type)) for name in varying]
        columns = [column(name, table.c[name].type) for name in varying]
        given = func.unnest(*arrays).table_valued(*columns, with_ordinality="n", name="given").render_derived()
        constants = [cast(bindparam(name, type_=table.c[name].type), table.c[name].type) for name in same]
        picked = select(*constants, *(given.c[name] for name in varying)).order_by(given.c.n)
        return insert(table).from_select([*same, *varying], picked, include_defaults=False).returning(table.c.id)

    return Prepared(make, written_for="postgresql")


def _chunks(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    start = size = 0
    for position, row in enumerate(rows):
        size += sum(len(value) for value in row if isinstance(value, str))
        if position - start == _MYSQL_CHUNK or (size > _MYSQL_CHUNK_BYTES and position > start):
            yield rows[start:position]
            start, size = position, 0
    yield rows[start:]


def _insert_values(connection: Connection, columns: Sequence[Column[Any]], rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """One statement for a chunk, put together by hand: it would be compiled anew each time, which takes longer than to run it.

    InnoDB numbers its rows in order, from the first one on.
    """
    dialect = connection.dialect
    names = ", ".join(map(dialect.identifier_preparer.format_column, columns))
    marks = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(rows))
    processors = [one.type.dialect_impl(dialect).bind_processor(dialect) for one in columns]
    values = tuple(process(value) if process else value for row in rows for value, process in zip(row, processors, strict=True))
    first = int(connection.exec_driver_sql(f"INSERT INTO {columns[0].table} ({names}) VALUES {marks}", values).lastrowid)
    step = int(connection.exec_driver_sql("SELECT @@auto_increment_increment").scalar_one())
    return [first + step * position for position in range(len(rows))]
