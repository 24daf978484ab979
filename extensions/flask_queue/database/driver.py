"""Statements as the driver runs them: at once, or together with the next one.

Each answer that is waited for is a way to the server and back. Of many statements nobody needs to know more than that they
are run: BEGIN, a lock, the ending of a job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

#: Parameters in the form that the driver wants.
Values: TypeAlias = Sequence[Any] | Mapping[str, Any]

#: Databases whose drivers run the statements.
DIRECT = ("sqlite", "postgresql")
#: What waits to be run, in the `info` of a driver's connection.
_WAITING = "flask_queue.waiting"


def run(connection: Connection, text: str, values: Any, outcome: Callable[[Any], Any]) -> Any:
    """Have the driver execute `text`, in the transaction that `connection` is in.

    :param outcome: what is wanted of the cursor afterwards.
    :raises DBAPIError: as SQLAlchemy does.
    """
    dialect = connection.dialect
    assert dialect.loaded_dbapi is not None
    ahead = _take_waiting(connection)
    cursor: DBAPICursor = connection.connection.cursor()
    try:
        if ahead:
            _run_together(cursor, ahead, text, values)
        else:
            cursor.execute(text, values)
        return outcome(cursor)
    except dialect.loaded_dbapi.Error as error:
        driver = connection.connection.dbapi_connection
        lost = dialect.is_disconnect(error, driver, cursor) or _is_left_open(driver)
        if lost:
            connection.invalidate(error)
        said = "; ".join([*(earlier for earlier, _ in ahead), text])  # any of them may be what failed
        raise DBAPIError.instance(
            said, values, error, dialect.loaded_dbapi.Error, connection_invalidated=lost, dialect=dialect
        ) from error
    finally:
        cursor.close()


def _take_waiting(connection: Connection) -> Sequence[tuple[str, Values]]:
    """What waits; whatever becomes of it, it is not run twice."""
    waiting = waiting_on(connection)
    if not waiting:
        return ()
    taken = waiting[:]
    waiting.clear()
    return taken


def _run_together(cursor: Any, ahead: Sequence[tuple[str, Values]], text: str, values: Values) -> None:
    """Run statements in order, without awaiting the outcome of one before sending the next."""
    with cursor.connection.pipeline():
        for earlier in ahead:
            cursor.connection.cursor().execute(*earlier)
        cursor.execute(text, values)


def _is_left_open(driver: Any) -> bool:
    """Whether psycopg could not leave its pipeline, as it has not noticed yet that the server hung up. It runs nothing else."""
    return bool(getattr(getattr(driver, "info", None), "pipeline_status", False))


@contextmanager
def gathered(connection: Connection) -> Iterator[None]:
    """In this block what is sent waits for the next statement, and both travel in one message, where the driver can (psycopg).

    Each is run when the one before it is through, and sees what that has done. What still waits at the end is forgotten.
    """
    pipeline = getattr(connection.dialect.loaded_dbapi, "Pipeline", None)
    if pipeline is None or not pipeline.is_supported() or takes_detour(connection):
        yield
        return
    info = connection.connection.info
    info[_WAITING] = []
    try:
        yield
    finally:
        info.pop(_WAITING, None)


def forget_waiting(connection: Connection) -> None:
    """Never run what waits."""
    _take_waiting(connection)


def send_waiting(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> tuple[str, Any]:
    """For SQLAlchemy's event `before_cursor_execute`: what waits comes before what SQLAlchemy runs."""
    waiting = waiting_on(connection)
    if waiting:
        run(connection, *waiting.pop(), row_count)
    return statement, parameters


def waiting_on(connection: Connection) -> list[tuple[str, Values]] | None:
    """What waits to be run, in order; None where nothing is to wait."""
    if connection.dialect.name != "postgresql":
        return None
    return connection.connection.info.get(_WAITING)


def all_rows(cursor: Any) -> Any:
    """Outcome: what it returned."""
    return cursor.fetchall()


def row_count(cursor: Any) -> Any:
    """Outcome: how many rows it changed."""
    return cursor.rowcount


def last_id(cursor: Any) -> Any:
    """Outcome: the id of the row that it inserted."""
    return cursor.lastrowid


def takes_detour(connection: Connection) -> bool:
    """Whether SQLAlchemy has to run the statements, because somebody watches it, or because the driver does not take them."""
    engine = connection.engine
    watchers = engine.dispatch.before_cursor_execute
    return (
        connection.dialect.name not in DIRECT
        or engine.logger.isEnabledFor(logging.INFO)
        or bool(engine.dispatch.after_cursor_execute)
        or (bool(watchers) and any(watcher is not send_waiting for watcher in watchers))
    )
