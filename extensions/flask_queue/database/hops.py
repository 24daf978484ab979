"""The different values of a column, found by hops along an index: a million rows of one value cost no more than one.

Elsewhere this is called a loose index scan, or a skip scan.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Integer, Select, bindparam, func, select

from ..columns import is_mysql
from .prepared import Prepared

#: Whatever begins with a text sorts before that text and this.
LAST_CHARACTER = chr(sys.maxunicode)

_Seek: TypeAlias = Callable[[ColumnElement[str]], Select[Any]]


class Hops:
    """SQLite and PostgreSQL are told to hop. MySQL and MariaDB find a place in an index only where it is a constant, but hop by
    themselves where the different values of its first columns are wanted.

    :param at_least: makes the query for the first value that is not before a place. Its column is called `value`.
    :param after: makes the query for the first value behind a place.
    :param groups: what MySQL and MariaDB are asked: the different first columns of the index, the last of which is the value.
    :param column: the last of these.
    """

    def __init__(self, at_least: _Seek, after: _Seek, groups: Select[Any], column: ColumnElement[str]) -> None:
        prefix = bindparam("prefix", type_=column.type)

        def hop() -> Select[Any]:
            begin = at_least(prefix).subquery("begin")
            found = select(begin.c.value).cte("found", recursive=True)
            following = after(found.c.value).correlate(found).scalar_subquery()
            fits = func.substr(found.c.value, 1, bindparam("length", type_=Integer)) == prefix
            found = found.union_all(select(following).where(found.c.value.is_not(None), fits))
            return select(found.c.value).where(found.c.value.is_not(None))

        self._hop = Prepared(hop)
        last = bindparam("last", type_=column.type)
        self._groups = Prepared(lambda: groups.where(column.between(prefix, last)), written_for="mysql")

    def values(self, connection: Connection, prefix: str) -> list[str]:
        """All values that begin with `prefix`, sorted."""
        if is_mysql(connection.dialect):
            rows = self._groups.rows(connection, {"prefix": prefix, "last": prefix + LAST_CHARACTER})
        else:
            rows = self._hop.rows(connection, {"prefix": prefix, "length": len(prefix)})
        return sorted(row[-1] for row in rows if row[-1].startswith(prefix))  # the last one may no longer do
