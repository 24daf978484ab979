"""A connection at hand: what is asked of the database often, and by one at a time mostly, need not go through a pool each time.

To take a connection out of SQLAlchemy's pool and to put it back takes longer than many a statement of ours, above all where
the processor has done something else in between.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Engine, NullPool

#: A connection that was used less long ago, in seconds, is taken to be alive.
IDLE = 1.0


class _Spare(NamedTuple):
    connection: Connection
    used_at: float
    pid: int


class Kept:
    """Gives out connections of an engine, to each of its users one alone. The first of them it keeps; others are the pool's.

    What is kept belongs to no pool, so that it takes none of the few connections that a pool may have. It gets as old as the
    pool's may (`pool_recycle`), and there is none where connections are not to be pooled.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        #: The one that is kept, whoever has it, in which process, and since when.
        self._own: Connection | None = None
        self._own_pid = 0
        self._own_since = 0.0
        #: The same while nobody has it.
        self._spare: deque[_Spare] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """A connection for the length of the block."""
        connection = self._take()
        try:
            yield connection
        except BaseException:
            self._clean(connection)
            raise
        self._give_back(connection)

    def close(self) -> None:
        """Close the one that is kept, unless somebody has it."""
        with suppress(IndexError):
            self._drop(self._spare.pop())

    def _take(self) -> Connection:
        try:
            spare = self._spare.pop()
        except IndexError:
            return self.engine.connect()
        if self._is_fit(spare):
            return spare.connection
        self._drop(spare)
        return self.engine.connect()

    def _is_fit(self, spare: _Spare) -> bool:
        moment = time.monotonic()
        lifetime: float = getattr(self.engine.pool, "_recycle", -1)
        if spare.pid != os.getpid() or 0 <= lifetime < moment - self._own_since:
            return False
        # A restart of the server is nobody's error.
        return moment - spare.used_at < IDLE or lives(self.engine.dialect, spare.connection.connection.dbapi_connection)

    def _clean(self, connection: Connection) -> None:
        """Give back one in which something went wrong. The pool sees to its own."""
        try:
            if connection is self._own and not connection.invalidated:
                self.engine.dialect.do_rollback(connection.connection)
        except Exception:
            self._drop(_Spare(connection, 0.0, os.getpid()))
        else:
            self._give_back(connection)

    def _give_back(self, connection: Connection) -> None:
        if connection.invalidated:
            self._drop(_Spare(connection, 0.0, os.getpid()))
            return
        if connection.in_transaction():  # so SQLAlchemy calls what a statement of its own leaves behind
            connection.rollback()
        if connection is self._own or self._make_own(connection):
            if not connection.connection.is_detached:  # it is new, or was opened anew in the place of one that was lost
                connection.detach()
            self._spare.append(_Spare(connection, time.monotonic(), os.getpid()))
        else:
            connection.close()

    def _make_own(self, connection: Connection) -> bool:
        with self._lock:
            if isinstance(self.engine.pool, NullPool) or (self._own is not None and self._own_pid == os.getpid()):
                return False
            if self._own is not None:  # a parent's, which was in use at the fork
                _inherited.append(_Spare(self._own, 0.0, self._own_pid))
            self._own, self._own_pid, self._own_since = connection, os.getpid(), time.monotonic()
            return True

    def _drop(self, spare: _Spare) -> None:
        connection = spare.connection
        if connection is self._own:
            self._own = None
        if spare.pid != os.getpid():
            _inherited.append(spare)
            return
        with suppress(Exception):  # it was lost already; SQLAlchemy would write of that at length
            if not connection.invalidated:
                connection.connection.dbapi_connection.close()  # type: ignore[union-attr]
        with suppress(Exception):
            connection.invalidate()
            connection.close()


#: A parent's connections. One that is collected would be closed.
_inherited: list[_Spare] = []


def lives(dialect: Dialect, connection: Any) -> bool:
    """Whether the server still answers on a driver's connection. SQLite has none that could have gone."""
    try:
        return dialect.name == "sqlite" or dialect.do_ping(connection)
    except Exception:
        return False
