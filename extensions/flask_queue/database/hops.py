"""The different values of a column, found by hops along an index: a million rows of one value cost no more than one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Integer, Select, bindparam, func, select
from sqlalchemy.types import TypeEngine

from .prepared import Prepared

_Seek: TypeAlias = Callable[[ColumnElement[str]], Select[Any]]


class Hops:
    """One statement on SQLite and PostgreSQL. MySQL and MariaDB find a place in an index only where it is a constant, so that
    they take a statement for each value.

    :param at_least: makes the query for the first value that is not before a place. Its column is called `value`.
    :param after: makes the query for the first value behind a place.
    :param kind: the type of the column.
    """

    def __init__(self, at_least: _Seek, after: _Seek, kind: TypeEngine[str]) -> None:
        prefix = bindparam("prefix", type_=kind)
        self._first = Prepared(at_least(prefix))
        self._next = Prepared(after(bindparam("place", type_=kind)))
        begin = at_least(prefix).subquery("begin")
        found = select(begin.c.value).cte("found", recursive=True)
        following = after(found.c.value).correlate(found).scalar_subquery()
        fits = func.substr(found.c.value, 1, bindparam("length", type_=Integer)) == prefix
        found = found.union_all(select(following).where(found.c.value.is_not(None), fits))
        self._all = Prepared(select(found.c.value).where(found.c.value.is_not(None)))

    def values(self, connection: Connection, prefix: str) -> list[str]:
        """All values that begin with `prefix`, sorted."""
        if connection.dialect.name in ("mysql", "mariadb"):
            return list(self._one_by_one(connection, prefix))
        rows = self._all.rows(connection, {"prefix": prefix, "length": len(prefix)})
        return [value for (value,) in rows if value.startswith(prefix)]  # the last one no longer does

    def _one_by_one(self, connection: Connection, prefix: str) -> Iterator[str]:
        rows = self._first.rows(connection, {"prefix": prefix})
        while rows and rows[0][0].startswith(prefix):
            yield rows[0][0]
            rows = self._next.rows(connection, {"place": rows[0][0]})
