"""The first rows of each of several lines, such as those that wait for the same key.

Elsewhere this is called the top N of each group; PostgreSQL has LATERAL for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, Integer, Select, Text, bindparam, cast, column, func, select, true

from .prepared import PlainRow, Prepared


class HeadsOfLines:
    """PostgreSQL takes one statement for all lines.

    :param line: makes the query for one line: conditions, order and limit, of its key and how many rows are wanted.
    :param lock: lock the rows, and pass over those that others have locked.
    """

    def __init__(self, line: Callable[[ColumnElement[str], ColumnElement[int]], Select[Any]], *, lock: bool) -> None:
        def of(key: ColumnElement[str], count: ColumnElement[int]) -> Select[Any]:
            return line(key, count).with_for_update(skip_locked=True) if lock else line(key, count)

        self._of_one = Prepared(
            lambda: of(bindparam("key", type_=Text), bindparam("count", type_=Integer)), written_for="sqlite"
        )

        def of_all() -> Select[Any]:
            arrays = (cast(bindparam("keys"), ARRAY(Text)), cast(bindparam("counts"), ARRAY(Integer)))
            wanted = (
                func.unnest(*arrays).table_valued(column("key", Text), column("count", Integer), name="wanted").render_derived()
            )
            each = of(wanted.c.key, wanted.c.count).lateral("each")
            return select(each).select_from(wanted).join(each, true())

        self._of_all = Prepared(of_all, written_for="postgresql")

    def rows(self, connection: Connection, wanted: Mapping[str, int]) -> list[PlainRow]:
        """The first rows of each line.

        :param wanted: how many at most, by key.
        """
        if wanted and connection.dialect.name == "postgresql":
            return self._of_all.rows(connection, {"keys": list(wanted), "counts": list(wanted.values())})
        return [row for key, count in wanted.items() for row in self._of_one.rows(connection, {"key": key, "count": count})]
