"""A look at the database that is taken again and again, mostly for nothing: it must cost next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from sqlalchemy import Connection, text

from .database import Database
from .prepared import Prepared

#: SQLite's number for what other connections than this one have written.
_VERSION = Prepared(lambda: text("PRAGMA data_version"), written_for="sqlite")
#: As long as it stays the same, so does all that can be read through the connection in it.
_State: TypeAlias = tuple[Connection, int, int]


class Lookout:
    """Asks one question. For one thread."""

    def __init__(self, database: Database, question: Callable[[Connection], bool]) -> None:
        """Open no connection yet.

        :param question: reads from the database. Its answer depends on nothing else, not even on the time.
        """
        self._database = database
        self._question = question
        #: The state of SQLite's file in which the answer is known to be no.
        self._denied: _State | None = None

    def ask(self) -> bool:
        """The answer of this moment."""
        with self._database.connect() as connection:
            if self._database.dialect_name != "sqlite" or self._database.in_memory:
                return self._question(connection)
            state = _state(connection)  # first, so that what is written meanwhile is asked about again
            if state == self._denied:
                return False
            answer = self._question(connection)
            self._denied = None if answer else state
            return answer


def _state(connection: Connection) -> _State:
    driver: Any = connection.connection.dbapi_connection
    return connection, int(_VERSION.rows(connection, {})[0][0]), driver.total_changes  # by others, and by itself
