"""The queue's own engines: how each kind of database is opened, and how its sessions are set up."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import (
    ConnectionPoolEntry,
    NullPool,
    Pool,
    PoolProxiedConnection,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

from .driver import send_waiting
from .kept import IDLE, lives

#: How long a writer waits for another one before the database reports it as busy, in seconds.
BUSY_TIMEOUT = 5
_USED_AT = "flask_queue.used_at"
#: The execution option of connections that are set up here, and not by the application.
OURS = "flask_queue_ours"

#: How many jobs are ready changes by a million between two runs of ANALYZE, so that the planner takes the line for short, and
#: sorts it whole. Our statements read in the order of an index. (What has to be sorted is sorted even so, and seems so dear
#: then that it would be compiled.)
PLANNER = ("enable_sort = off", "jit = off")
#: A process runs the same few statements over and over. Plans without their values are as good, but are taken for a little
#: dearer, so that PostgreSQL would make new ones each time, which takes longer than to carry them out. As one may be made while
#: the table is all but empty, and kept while it grows, it has to go by indexes from the start; and entry by entry, as only who
#: does so marks those of rows that are gone for the next one to pass over.
PLANNER_OF_PROCESSES = (*PLANNER, "plan_cache_mode = force_generic_plan", "enable_seqscan = off", "enable_bitmapscan = off")

_SQLITE_PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT * 1000}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
)


def set_pragmas(engine: Engine) -> None:
    """Open SQLite as a server needs it: WAL, synchronous NORMAL, a busy timeout, foreign keys. Nothing elsewhere."""
    if engine.dialect.name == "sqlite" and not event.contains(engine, "connect", _run_pragmas):
        event.listen(engine, "connect", _run_pragmas)


def _run_pragmas(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


_inherited: list[Pool] = []


def connected(engines: Sequence[Engine]) -> list[Engine]:
    """Those of `engines` whose pools have connections that a forked child must not use.

    Best asked before the fork: a child that looked would copy what it shares with its parent.
    """
    return [engine for engine in engines if not is_in_memory(engine) and not _is_empty(engine.pool)]


def forget_connections(engines: Sequence[Engine]) -> None:
    """In a forked child: drop the connections that engines inherited, without closing them."""
    for engine in engines:
        _inherited.append(engine.pool)  # a collected SQLite connection would be closed
        engine.dispose(close=False)


def is_in_memory(engine: Engine) -> bool:
    """Whether a connection is the database: another one would be another, empty database."""
    return isinstance(engine.pool, StaticPool | SingletonThreadPool)


def _is_empty(pool: Pool) -> bool:
    return isinstance(pool, NullPool) or (isinstance(pool, QueuePool) and pool.checkedin() + pool.checkedout() == 0)


def sibling_of(engine: Engine, quiet: bool, planner: Sequence[str]) -> Engine:
    """An engine with the same driver, URL and connect listeners, and a pool of its own, on which we begin transactions."""
    pool = engine.pool.recreate()
    dialect = engine.dialect
    event.listen(pool, "connect", lambda connection, record: _set_up(dialect, planner, connection, record))
    if dialect.name != "sqlite":
        event.listen(pool, "checkin", _note_use)
        event.listen(pool, "checkout", lambda connection, record, fairy: _renew_if_broken(dialect, connection, record))
    options = {**engine.get_execution_options(), OURS: True}
    if quiet:
        sibling = Engine(pool, dialect, engine.url, logging_name="flask_queue", execution_options=options)
        logging.getLogger("sqlalchemy.engine.Engine.flask_queue").setLevel(logging.WARNING)
    else:
        sibling = Engine(pool, dialect, engine.url, echo=engine.echo, execution_options=options)
    if dialect.name == "postgresql":
        event.listen(sibling, "before_cursor_execute", send_waiting, retval=True)
    return sibling


def _note_use(connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _renew_if_broken(dialect: Dialect, connection: Any, record: ConnectionPoolEntry) -> None:
    """Ask a connection that has been idle whether it lives, so that a restart of the server is nobody's error."""
    used_at = record.info.get(_USED_AT)
    if used_at is None or time.monotonic() - used_at < IDLE:
        return
    if not lives(dialect, connection):
        raise InvalidatePoolError  # the pool opens a new one, and forgets the others of this age


def _set_up(dialect: Dialect, planner: Sequence[str], connection: Any, record: ConnectionPoolEntry) -> None:
    """Have the driver begin no transactions: we do."""
    if dialect.name == "sqlite":
        connection.isolation_level = None
        return
    # Slots are counted after their key was locked, and must be counted as they are then. (MySQL's REPEATABLE READ looks
    # at an older snapshot, and locks gaps besides.)
    if dialect.name != "postgresql":
        dialect.set_isolation_level(connection, "READ COMMITTED")
    dialect.set_isolation_level(connection, "AUTOCOMMIT")
    if dialect.name == "postgresql":
        _set_up_session(planner, connection, record)


def _set_up_session(planner: Sequence[str], connection: Any, record: ConnectionPoolEntry) -> None:
    """Tell a session of PostgreSQL's how to plan; but leave nothing behind in one that others get after each transaction."""
    if _is_direct(connection):
        with connection.cursor() as cursor:
            cursor.execute(f"SET {'; SET '.join(planner)}")
        record.info[_IS_PREPARED] = True
    elif hasattr(connection, "prepare_threshold"):
        connection.prepare_threshold = None  # psycopg would prepare statements that are run often


def is_session_ours(connection: PoolProxiedConnection) -> bool:
    """Whether a session of PostgreSQL's may be told anything for longer than a transaction."""
    return bool(connection.info.get(_IS_PREPARED))


def _is_direct(connection: Any) -> bool:
    """Whether the session is ours alone: a pooler such as PgBouncer tells its clients another pid than the server's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return bool(getattr(getattr(connection, "info", None), "backend_pid", None) == pid)


#: A session of PostgreSQL's has been told how to plan our statements, once and for all.
_IS_PREPARED = "flask_queue.is_prepared"
