"""The queue's database: connections, transactions, and another try where it was busy."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..columns import is_mysql
from .driver import forget_waiting, gathered
from .engines import PLANNER, PLANNER_OF_PROCESSES, is_in_memory, is_session_ours, set_pragmas, sibling_of
from .faults import is_transient
from .kept import Kept
from .prepared import Prepared, prepare_all

T = TypeVar("T")

#: How often a transaction that met a busy or deadlocked database is begun again.
RETRIES = 5
_BEGIN = {
    # The write lock at once: a reader that turns writer fails without waiting.
    "sqlite": Prepared(lambda: text("BEGIN IMMEDIATE"), written_for="sqlite"),
    "postgresql": Prepared(lambda: text("BEGIN ISOLATION LEVEL READ COMMITTED"), written_for="postgresql"),
    "mysql": Prepared(lambda: text("BEGIN"), written_for="mysql"),
}
#: What follows in a session that others use too. It is gone when the transaction ends.
_SET_LOCAL = {
    "postgresql": [Prepared(partial(text, f"SET LOCAL {setting}"), written_for="postgresql") for setting in PLANNER],
}
_COMMIT = Prepared(lambda: text("COMMIT"))
_ROLLBACK = Prepared(lambda: text("ROLLBACK"))


class Database:
    """The queue's database, as the machinery and the public API use it.

    It has pools of its own beside the application's: a job that holds every connection of the application's pool starves
    neither the heartbeat nor the ending of a job, and settings made here leak into no session of the application.
    """

    def __init__(self, engine: Engine, *, quiet: bool = False, planner: Sequence[str] = PLANNER) -> None:
        """Open no connection yet.

        :param engine: the application's engine of the queue's bind.
        :param quiet: keep this object's statements out of the `sqlalchemy.engine` log.
        :param planner: settings for PostgreSQL's planner.
        """
        self.url = engine.url
        place = f"{self.url.get_backend_name()}|{self.url.host}|{self.url.port}|{self.url.database}"
        #: A short name of this database, the same in every process of this host that uses it.
        self.identity = hashlib.sha256(place.encode()).hexdigest()[:16]
        self.dialect_name = "mysql" if is_mysql(engine.dialect) else engine.dialect.name
        self.in_memory = is_in_memory(engine)
        self.bind_engine = engine
        set_pragmas(engine)
        self._quiet, self._planner = quiet, planner
        self._made: Kept | None = None
        self._turn = threading.RLock()
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"<Database {self.url!r}>"

    @property
    def engine(self) -> Engine:
        """Our engine of it."""
        return self.bind_engine if self.in_memory else self._kept.engine

    @property
    def _kept(self) -> Kept:
        return self._made or self._make()

    def _make(self) -> Kept:
        """Made when first wanted, so that it has what the application listens for after `init_app`, too."""
        with self._turn:
            if self._made is None:
                self._made = Kept(sibling_of(self.bind_engine, self._quiet, self._planner))
            return self._made

    def __del__(self) -> None:
        # An application that is dropped has nobody else to close what is ours. What a fork has inherited is its parent's.
        with suppress(Exception):  # it may be half made, or the interpreter half gone
            if self._pid == os.getpid():
                self.dispose()

    @property
    def is_of_this_host(self) -> bool:
        """Whether nobody on another host can use it."""
        return self.dialect_name == "sqlite"

    @property
    def has_one_writer(self) -> bool:
        """Whether a transaction that has written keeps all other connections from writing."""
        return self.dialect_name == "sqlite" and not self.in_memory

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
        return self.can_notify and self.url.get_driver_name() == "psycopg"

    # --- transactions -----------------------------------------------------------------------------

    def connect(self) -> AbstractContextManager[Connection]:
        """A connection on which every statement is a transaction of its own: for reading, and for single writes."""
        return self._in_turn() if self.in_memory else self._kept.use()

    @contextmanager
    def _in_turn(self) -> Iterator[Connection]:
        """In memory threads may share one connection: here in turn, but the application's own session asks nobody."""
        with self._turn, self.engine.begin() as connection:
            yield connection

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
                _BEGIN[self.dialect_name].send(connection, {})
                for statement in () if is_prepared else _SET_LOCAL.get(self.dialect_name, ()):
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
        return self if self.in_memory else Database(self.bind_engine, quiet=quiet, planner=PLANNER_OF_PROCESSES)

    def prepare(self) -> None:
        """Have the statements of the hot path written now rather than when each is first wanted: before processes fork."""
        prepare_all(self.bind_engine.dialect)

    def dispose(self) -> None:
        """Close every idle connection; the pools open new ones when they are asked."""
        if self._made:
            self._made.close()
            self._made.engine.dispose()

    def has_tables(self, names: Sequence[str]) -> bool:
        """Whether all tables called `names` exist."""
        with self.connect() as connection:
            present = set(inspect(connection).get_table_names())
        return present.issuperset(names)
