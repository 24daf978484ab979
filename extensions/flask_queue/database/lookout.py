"""A look at the database that is taken again and again, mostly for nothing: it must cost next to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from .engines import IDLE, Database
from .prepared import Prepared

#: SQLite's number for what other connections have written: as long as it stays the same, so does all that can be read.
_VERSION = Prepared(text("PRAGMA data_version"))


class Lookout:
    """Asks one question through a connection that it keeps while it is asked often. For one thread."""

    def __init__(self, database: Database, question: Callable[[Connection], bool]) -> None:
        """Open no connection yet.

        :param question: reads from the database. Its answer depends on nothing else, not even on the time.
        """
        self._database = database
        self._question = question
        self._connection: Connection | None = None
        self._used_at = 0.0
        #: The version of SQLite's file about which the answer is known to be no.
        self._denied: int | None = None

    def ask(self) -> bool:
        """The answer of this moment."""
        if self._database.in_memory:
            with self._database.connect() as connection:
                return self._question(connection)
        try:
            return self._ask(self._kept())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next question takes another one."""
        connection, self._connection, self._denied = self._connection, None, None
        if connection is not None:
            with suppress(SQLAlchemyError):  # it was lost already
                connection.close()

    def _ask(self, connection: Connection) -> bool:
        if self._database.dialect_name != "sqlite":
            return self._question(connection)
        # First, so that what is written meanwhile is asked about again.
        version = int(_VERSION.rows(connection, {})[0][0])
        if version == self._denied:
            return False
        answer = self._question(connection)
        self._denied = None if answer else version
        return answer

    def _kept(self) -> Connection:
        moment = time.monotonic()
        if self._connection is not None and moment - self._used_at >= IDLE and not _lives(self._connection):
            self.close()
        self._used_at = moment
        if self._connection is None:
            self._connection = self._database.engine.connect()
            self._connection.detach()  # who keeps a connection for good must not take one of the few that a pool may have
        return self._connection


def _lives(connection: Connection) -> bool:
    """Whether the server still answers; a restart of it is nobody's error."""
    try:
        connection.dialect.do_ping(connection.connection.dbapi_connection)  # type: ignore[arg-type]
    except Exception:
        return False
    return True
