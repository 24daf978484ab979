"""A look at the database that is taken again and again, mostly for nothing: it must cost next to nothing."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text

from .database import Database
from .kept import Kept
from .prepared import Prepared

#: SQLite's number for what other connections have written: as long as it stays the same, so does all that can be read.
_VERSION = Prepared(lambda: text("PRAGMA data_version"), only="sqlite")


class Lookout:
    """Asks one question through a connection of its own. For one thread."""

    def __init__(self, database: Database, question: Callable[[Connection], bool]) -> None:
        """Open no connection yet.

        :param question: reads from the database. Its answer depends on nothing else, not even on the time.
        """
        self._database = database
        self._question = question
        self._kept = Kept(database.engine)
        #: The connection and the version of SQLite's file about which the answer is known to be no.
        self._denied: tuple[Connection, int] | None = None

    def ask(self) -> bool:
        """The answer of this moment."""
        if self._database.in_memory:
            with self._database.connect() as connection:
                return self._question(connection)
        with self._kept.use() as connection:
            return self._ask(connection)

    def close(self) -> None:
        """Close the connection; the next question takes another one."""
        self._denied = None
        self._kept.close()

    def _ask(self, connection: Connection) -> bool:
        if self._database.dialect_name != "sqlite":
            return self._question(connection)
        # First, so that what is written meanwhile is asked about again.
        version = (connection, int(_VERSION.rows(connection, {})[0][0]))
        if version == self._denied:
            return False
        answer = self._question(connection)
        self._denied = None if answer else version
        return answer
