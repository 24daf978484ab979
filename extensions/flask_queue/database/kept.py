"""A connection at hand: what is asked of the database often, and by one at a time mostly, need not go through a pool each time.

To take a connection out of SQLAlchemy's pool and to put it back takes longer than many a statement of ours, above all where
the processor has done something else in between.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.exc import SQLAlchemyError

#: A connection that was used less long ago, in seconds, is taken to be alive.
IDLE = 1.0


class _Spare(NamedTuple):
    connection: Connection
    used_at: float
    pid: int


class Kept:
    """Gives out connections of an engine, and keeps one of those that come back. Whoever has one has it alone."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._spare: deque[_Spare] = deque()

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """A connection for the length of the block. One in which something went wrong is not kept."""
        connection = self._take()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)

    def close(self) -> None:
        """Close the one that is kept, if any."""
        with suppress(IndexError, SQLAlchemyError):  # there is none; or it was lost already
            self._spare.pop().connection.close()

    def forget(self) -> None:
        """In a forked child: drop the parent's connection without closing it under the parent."""
        _inherited.extend(self._spare)
        self._spare.clear()

    def _take(self) -> Connection:
        try:
            spare = self._spare.pop()
        except IndexError:
            return self._engine.connect()
        if spare.pid != os.getpid():
            _inherited.append(spare)
        elif time.monotonic() - spare.used_at < IDLE or self._lives(spare.connection):
            return spare.connection
        else:  # a restart of the server is nobody's error
            with suppress(SQLAlchemyError):
                spare.connection.close()
        return self._engine.connect()

    def _lives(self, connection: Connection) -> bool:
        return lives(self._engine.dialect, connection.connection.dbapi_connection)

    def _give_back(self, connection: Connection) -> None:
        if self._spare or connection.invalidated:
            connection.close()
            return
        if connection.in_transaction():  # so SQLAlchemy calls what a statement of its own leaves behind
            connection.rollback()
        if not connection.connection.is_detached:
            connection.detach()  # who keeps a connection must not take one of the few that a pool may have
        self._spare.append(_Spare(connection, time.monotonic(), os.getpid()))


#: A parent's connections. One that is collected would be closed.
_inherited: list[_Spare] = []


def lives(dialect: Dialect, connection: Any) -> bool:
    """Whether the server still answers on a driver's connection."""
    try:
        return dialect.do_ping(connection)
    except Exception:
        return False
