"""The queue's connections: pools of their own, transactions, retries, and how each kind of database is opened."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event, inspect, text
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.pool import (
    ConnectionPoolEntry,
    NullPool,
    Pool,
    PoolProxiedConnection,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

from .driver import forget_waiting, gathered, send_waiting
from .faults import is_transient
from .kept import IDLE, Kept, lives
from .prepared import Prepared, prepare_all

T = TypeVar("T")

#: How long a writer waits for another one before the database reports it as busy, in seconds.
BUSY_TIMEOUT = 5
#: How often a transaction that met a busy or deadlocked database is begun again.
RETRIES = 5
_USED_AT = "flask_queue.used_at"
#: The execution option of connections that are set up here, and not by the application.
OURS = "flask_queue_ours"

#: How many jobs are ready changes by a million between two runs of ANALYZE, so that the planner takes the line for short, and
#: sorts it whole. Our statements read in the order of an index. (What has to be sorted is sorted even so, and seems so dear
#: then that it would be compiled.)
_PLANNER = ("enable_sort = off", "jit = off")
#: A process runs the same few statements over and over. Plans without their values are as good, but are taken for a little
#: dearer, so that PostgreSQL would make new ones each time, which takes longer than to carry them out. As one may be made while
#: the table is all but empty, and kept while it grows, it has to go by indexes from the start; and entry by entry, as only who
#: does so marks those of rows that are gone for the next one to pass over.
_PLANNER_OF_PROCESSES = (*_PLANNER, "plan_cache_mode = force_generic_plan", "enable_seqscan = off", "enable_bitmapscan = off")

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


class Database:
    """The queue's database, as the machinery and the public API use it.

    It has pools of its own beside the application's: a job that holds every connection of the application's pool starves
    neither the heartbeat nor the ending of a job, and settings made here leak into no session of the application.
    """

    def __init__(self, engine: Engine, *, quiet: bool = False, planner: Sequence[str] = _PLANNER) -> None:
        """Open no connection yet.

        :param engine: the application's engine of the queue's bind.
        :param quiet: keep this object's statements out of the `sqlalchemy.engine` log.
        :param planner: settings for PostgreSQL's planner.
        """
        self.url = engine.url
        self.dialect_name = "mysql" if engine.dialect.name == "mariadb" else engine.dialect.name
        self.in_memory = isinstance(engine.pool, StaticPool | SingletonThreadPool)
        self.bind_engine = engine
        set_pragmas(engine)
        # In memory another pool would be another, empty database.
        self.engine = engine if self.in_memory else _sibling(engine, quiet, planner)
        self._kept = Kept(self.engine)

    def __repr__(self) -> str:
        return f"<Database {self.url!r}>"

    @property
    def identity(self) -> str:
        """A short name of this database, the same in every process of this host that uses it."""
        url = make_url(self.url)
        place = f"{url.get_backend_name()}|{url.host}|{url.port}|{url.database}"
        return hashlib.sha256(place.encode()).hexdigest()[:16]

    @property
    def can_notify(self) -> bool:
        """Whether it carries messages between hosts."""
        return self.dialect_name == "postgresql"

    @property
    def keeps_what_is_gone(self) -> bool:
        """Whether rows that have moved on stay in its indexes until they are cleaned up."""
        return self.dialect_name == "postgresql"

    @property
    def can_listen(self) -> bool:
        """Whether its driver lets a process wait for such messages together with others."""
        return self.can_notify and make_url(self.url).get_driver_name() == "psycopg"

    # --- transactions -----------------------------------------------------------------------------

    def connect(self) -> AbstractContextManager[Connection]:
        """A connection on which every statement is a transaction of its own: for reading, and for single writes."""
        return self.engine.begin() if self.in_memory else self._kept.use()

    @contextmanager
    def begin(self, *, is_one_move: bool = False) -> Iterator[Connection]:
        """One write transaction: committed at the end of the block, rolled back when it raises.

        :param is_one_move: in it happens at most one `Move` with what goes ahead of it. On PostgreSQL that is one statement,
            which is a transaction by itself.
        """
        with self.connect() as connection:
            is_prepared = is_session_ours(connection.connection)
            if self.in_memory or (is_one_move and is_prepared):
                yield connection
                return
            with gathered(connection) if is_prepared else nullcontext():
                for statement in _BEGIN[self.dialect_name][: 1 if is_prepared else None]:
                    statement.send(connection, {})
                try:
                    yield connection
                    _COMMIT.count(connection, {})
                except BaseException:
                    with suppress(SQLAlchemyError):  # what else happened matters more
                        forget_waiting(connection)
                        _ROLLBACK.count(connection, {})
                    raise

    def transact(self, work: Callable[[Connection], T], *, is_one_move: bool = False) -> T:
        """Do `work` in one write transaction; again from the start where the database was busy or broke a deadlock.

        :param is_one_move: see `begin`.
        """

        def attempt() -> T:
            with self.begin(is_one_move=is_one_move) as connection:
                return work(connection)

        return self.retrying(attempt)

    def alone(self, work: Callable[[Connection], T]) -> T:
        """Do `work`, a single statement, which is a transaction by itself; again where the database was busy."""

        def attempt() -> T:
            with self.connect() as connection:
                return work(connection)

        return self.retrying(attempt)

    def retrying(self, attempt: Callable[[], T]) -> T:
        """Call `attempt`, and again with growing pauses while its error is one that passes by itself."""
        for number in range(RETRIES):
            try:
                return attempt()
            except DBAPIError as error:
                if not is_transient(error):
                    raise
                time.sleep(random.uniform(0.5, 1.5) * 0.01 * 2**number)
        return attempt()

    # --- life -------------------------------------------------------------------------------------

    def private(self, *, quiet: bool = False) -> Database:
        """The same database through connections that nobody else uses: for a process's machinery, for its heartbeat."""
        return self if self.in_memory else Database(self.bind_engine, quiet=quiet, planner=_PLANNER_OF_PROCESSES)

    def prepare(self) -> None:
        """Have the statements of the hot path written now rather than when each is first wanted: before processes fork."""
        prepare_all(self.engine.dialect)

    def dispose(self) -> None:
        """Close every idle connection; the pools open new ones when they are asked."""
        if not self.in_memory:
            self._kept.close()
            self.engine.dispose()

    def forget_connections(self) -> None:
        """In a forked child: drop the parent's connections without closing them under the parent."""
        self._kept.forget()
        forget_connections([self.engine])

    def has_tables(self, names: Sequence[str]) -> bool:
        """Whether all tables called `names` exist."""
        with self.connect() as connection:
            present = set(inspect(connection).get_table_names())
        return present.issuperset(names)


_inherited: list[Pool] = []


def forget_connections(engines: Sequence[Engine]) -> None:
    """In a forked child: drop the connections that engines inherited, without closing them."""
    for engine in engines:
        if not isinstance(engine.pool, StaticPool | SingletonThreadPool) and not _is_empty(engine.pool):
            _inherited.append(engine.pool)  # a collected SQLite connection would be closed
            engine.dispose(close=False)


def _is_empty(pool: Pool) -> bool:
    """Whether no connection of it is open. To renew it even so, a child would copy what it shares with its parent."""
    return isinstance(pool, NullPool) or (isinstance(pool, QueuePool) and pool.checkedin() + pool.checkedout() == 0)


def _sibling(engine: Engine, quiet: bool, planner: Sequence[str]) -> Engine:
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
#: How a transaction begins; what comes second is for sessions that others use too, and is gone when it ends.
_BEGIN = {
    # The write lock at once: a reader that turns writer fails without waiting.
    "sqlite": (Prepared(text("BEGIN IMMEDIATE")),),
    "postgresql": (
        Prepared(text("BEGIN ISOLATION LEVEL READ COMMITTED")),
        *(Prepared(text(f"SET LOCAL {setting}")) for setting in _PLANNER),
    ),
    "mysql": (Prepared(text("BEGIN")),),
}
_COMMIT = Prepared(text("COMMIT"))
_ROLLBACK = Prepared(text("ROLLBACK"))
