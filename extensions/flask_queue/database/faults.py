"""What a database's error means: tables that are missing, an outage, or trouble that passes when the work is tried again."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

#: What a database raises, whatever the driver.
DatabaseError = SQLAlchemyError

_MYSQL_TRANSIENT = {1205, 1213}  # lock wait timeout, deadlock
_POSTGRESQL_TRANSIENT = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is tried again at once: busy, deadlocked, not serializable."""
    if not isinstance(error, DBAPIError):
        return False
    original = error.orig
    message = str(original)
    return (
        "database is locked" in message
        or "database table is locked" in message
        or getattr(original, "sqlstate", None) in _POSTGRESQL_TRANSIENT
        or (bool(getattr(original, "args", ())) and original.args[0] in _MYSQL_TRANSIENT)  # type: ignore[union-attr]
    )


def is_lost_connection(error: BaseException) -> bool:
    """Whether the connection broke, so that nobody can tell what became of the transaction."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_missing_table(error: BaseException) -> bool:
    """Whether the database says that a table does not exist."""
    return _says(error, "no such table", sqlstate="42P01", number=1146)


def is_missing_column(error: BaseException) -> bool:
    """Whether the database says that a table lacks a column: it is another version's."""
    return _says(error, "no such column", "has no column named", sqlstate="42703", number=1054)


def _says(error: BaseException, *texts: str, sqlstate: str, number: int) -> bool:
    """Whether a database says one of these: SQLite in words, PostgreSQL by a state, MariaDB and MySQL by a number."""
    original = getattr(error, "orig", None)
    return (
        any(text in str(original) for text in texts)
        or getattr(original, "sqlstate", None) == sqlstate
        or (getattr(original, "args", None) or (None,))[0] == number
    )


def is_outage(error: BaseException) -> bool:
    """Whether the database, rather than the statement, is the trouble: gone, unreachable, restarting, locked."""
    return isinstance(error, OperationalError | InterfaceError) or (is_lost_connection(error) or is_transient(error))
