"""The doorway to the database: engines, transactions, retries, the database's clock, and whatever differs between
SQLite, PostgreSQL and MariaDB/MySQL. No other module asks which database it is talking to.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Row,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    event,
    func,
    inspect,
    literal,
    select,
    text,
    update,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import Pool, SingletonThreadPool, StaticPool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .columns import UTCDateTime

T = TypeVar("T")
#: A row of any columns.
AnyRow: TypeAlias = Row[*tuple[Any, ...]]

#: How long a writer waits for another one before the database reports it as busy, in seconds.
BUSY_TIMEOUT = 5
#: How often a transaction that met a busy or deadlocked database is begun again.
RETRIES = 5

_SQLITE_PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT * 1000}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
)
_MYSQL_TRANSIENT = {1205, 1213}  # lock wait timeout, deadlock
_POSTGRESQL_TRANSIENT = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available


class _Now(FunctionElement[datetime]):
    """The database's clock, UTC, with fractions of a second; the same instant throughout one statement."""

    type = UTCDateTime()
    inherit_cache = True


class _NowPlus(FunctionElement[datetime]):
    """The database's clock, so many seconds later."""

    type = UTCDateTime()
    inherit_cache = True


def now() -> ColumnElement[datetime]:
    """The database's clock as an expression. Hosts whose clocks differ agree on it."""
    return _Now()


def now_plus(seconds: float | ColumnElement[Any]) -> ColumnElement[datetime]:
    """The database's clock in `seconds` seconds (negative: ago), as an expression."""
    return _NowPlus(seconds if isinstance(seconds, ColumnElement) else literal(float(seconds)))


_SQLITE_FORMAT = "'%Y-%m-%d %H:%M:%f000', 'now'"


@compiles(_Now, "sqlite")
def _now_sqlite(element: _Now, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime({_SQLITE_FORMAT})"


@compiles(_NowPlus, "sqlite")
def _now_plus_sqlite(element: _NowPlus, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime({_SQLITE_FORMAT}, ({compiler.process(element.clauses, **kw)}) || ' seconds')"


@compiles(_Now, "postgresql")
def _now_postgresql(element: _Now, compiler: SQLCompiler, **kw: Any) -> str:
    return "statement_timestamp()"  # stable, unlike clock_timestamp(), so that indexes are used


@compiles(_NowPlus, "postgresql")
def _now_plus_postgresql(element: _NowPlus, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(statement_timestamp() + ({compiler.process(element.clauses, **kw)}) * interval '1 second')"


@compiles(_Now, "mysql", "mariadb")
def _now_mysql(element: _Now, compiler: SQLCompiler, **kw: Any) -> str:
    return "UTC_TIMESTAMP(6)"


@compiles(_NowPlus, "mysql", "mariadb")
def _now_plus_mysql(element: _NowPlus, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(UTC_TIMESTAMP(6) + INTERVAL ({compiler.process(element.clauses, **kw)}) SECOND)"


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

    def __init__(self, engine: Engine, *, quiet: bool = False) -> None:
        """Open no connection yet.

        :param engine: the application's engine of the queue's bind.
        :param quiet: keep this object's statements out of the `sqlalchemy.engine` log.
        """
        self.url = engine.url
        self.dialect_name = "mysql" if engine.dialect.name == "mariadb" else engine.dialect.name
        self.in_memory = isinstance(engine.pool, StaticPool | SingletonThreadPool)
        self.bind_engine = engine
        set_pragmas(engine)
        if self.in_memory:  # another pool would be another, empty database
            self.engine = self.autocommit = engine
            return
        self.engine = _sibling(engine, _TRANSACTIONAL[self.dialect_name], quiet)
        self.autocommit = _sibling(engine, _AUTOCOMMIT[self.dialect_name], quiet)
        begin = _BEGIN.get(self.dialect_name)
        if begin is not None:
            event.listen(self.engine, "begin", lambda connection: connection.exec_driver_sql(begin))

    def __repr__(self) -> str:
        return f"<Database {self.url!r}>"

    @property
    def identity(self) -> str:
        """A short name of this database, the same in every process of this host that uses it."""
        url = make_url(self.url)
        place = f"{url.get_backend_name()}|{url.host}|{url.port}|{url.database}"
        return hashlib.sha256(place.encode()).hexdigest()[:16]

    # --- transactions -----------------------------------------------------------------------------

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection on which every statement is a transaction of its own: for reading, and for single writes."""
        if self.in_memory:
            with self.engine.begin() as connection:
                yield connection
        else:
            with self.autocommit.connect() as connection:
                yield connection

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One write transaction: committed at the end of the block, rolled back when it raises."""
        with self.engine.begin() as connection:
            yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one write transaction; again from the start where the database was busy or broke a deadlock."""
        return self.retrying(lambda: self._transact_once(work))

    def _transact_once(self, work: Callable[[Connection], T]) -> T:
        with self.engine.begin() as connection:
            return work(connection)

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
        return self if self.in_memory else Database(self.bind_engine, quiet=quiet)

    def dispose(self) -> None:
        """Close every idle connection; the pools open new ones when they are asked."""
        for engine in self._engines():
            engine.dispose()

    def forget_connections(self) -> None:
        """In a forked child: drop the parent's connections without closing them under the parent."""
        for engine in self._engines():
            _inherited.append(engine.pool)  # a collected SQLite connection would be closed
            engine.dispose(close=False)

    def _engines(self) -> tuple[Engine, ...]:
        return () if self.in_memory else (self.engine, self.autocommit)

    def has_tables(self, names: Sequence[str]) -> bool:
        """Whether all tables called `names` exist."""
        with self.connect() as connection:
            present = set(inspect(connection).get_table_names())
        return present.issuperset(names)


_inherited: list[Pool] = []


def forget_connections(engines: Sequence[Engine]) -> None:
    """In a forked child: drop the connections that an application's engines inherited, without closing them."""
    for engine in engines:
        if not isinstance(engine.pool, StaticPool | SingletonThreadPool):
            _inherited.append(engine.pool)
            engine.dispose(close=False)


def _sibling(engine: Engine, isolation: Callable[[Dialect, Any], None], quiet: bool) -> Engine:
    """An engine with the same driver, URL and connect listeners, and a pool of its own with its own isolation."""
    pool = engine.pool.recreate()
    dialect = engine.dialect
    event.listen(pool, "connect", lambda connection, record: isolation(dialect, connection))
    options = engine.get_execution_options()
    if not quiet:
        return Engine(pool, dialect, engine.url, echo=engine.echo, execution_options=options)
    sibling = Engine(pool, dialect, engine.url, logging_name="flask_queue", execution_options=options)
    logging.getLogger("sqlalchemy.engine.Engine.flask_queue").setLevel(logging.WARNING)
    return sibling


def _manual_begin(dialect: Dialect, connection: Any) -> None:
    connection.isolation_level = None  # sqlite3 begins nothing by itself


def _read_committed(dialect: Dialect, connection: Any) -> None:
    # Slots are counted after their key was locked, and must be counted as they are then. (MySQL's REPEATABLE READ looks
    # at an older snapshot, and locks gaps besides.)
    dialect.set_isolation_level(connection, "READ COMMITTED")


def _autocommit(dialect: Dialect, connection: Any) -> None:
    dialect.set_isolation_level(connection, "AUTOCOMMIT")


#: How a connection is set up, for transactions and for single statements.
_TRANSACTIONAL = {"sqlite": _manual_begin, "postgresql": _autocommit, "mysql": _read_committed}
_AUTOCOMMIT = {"sqlite": _manual_begin, "postgresql": _autocommit, "mysql": _autocommit}
#: How a transaction begins where the driver does not see to it.
_BEGIN = {
    # The write lock at once: a reader that turns writer fails without waiting.
    "sqlite": "BEGIN IMMEDIATE",
    # How many jobs are ready changes by a million between two runs of ANALYZE, so that the planner takes the line for short and
    # sorts it whole. Our statements read in the order of an index. One message, and gone with the transaction: connection
    # poolers see no state of the session.
    "postgresql": (
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; "
        "SET LOCAL enable_seqscan = off"
    ),
}


# --- errors -------------------------------------------------------------------------------------------


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


def is_missing_table(error: BaseException) -> bool:
    """Whether the database says that a table does not exist."""
    original = getattr(error, "orig", None)
    message = str(original)
    return (
        "no such table" in message
        or getattr(original, "sqlstate", None) == "42P01"
        or (bool(getattr(original, "args", ())) and original.args[0] == 1146)  # type: ignore[union-attr]
    )


def is_outage(error: BaseException) -> bool:
    """Whether the database, rather than the statement, is the trouble: gone, unreachable, restarting, locked."""
    return isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and (error.connection_invalidated or is_transient(error))
    )


#: What a database raises, whatever the driver.
DatabaseError = SQLAlchemyError


# --- statements that databases word differently -------------------------------------------------------


class _OneOf(FunctionElement[bool]):
    """Membership in a list that is bound when the statement runs."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> _OneOf:
        return self  # else SQLite and MySQL are asked for `id IN (…) = 1`, for which they use no index


def is_one_of(column: Column[Any], name: str) -> ColumnElement[bool]:
    """`column` is one of the values bound as the list `name`."""
    array = bindparam(name, type_=postgresql.ARRAY(column.type))
    return _OneOf(column.in_(bindparam(name, expanding=True)), column == any_(array))


@compiles(_OneOf)
def _one_of(element: _OneOf, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **kw)


@compiles(_OneOf, "postgresql")
def _one_of_postgresql(element: _OneOf, compiler: SQLCompiler, **kw: Any) -> str:
    """One parameter however many values, so that the text stays the same and the server plans it once."""
    return compiler.process(element.clauses.clauses[1], **kw)


class Move:
    """A conditional update of the rows that `candidates` picks, returning columns of the rows it really moved.

    Rows locked by others are passed over. SQLite and PostgreSQL take one statement, MySQL and MariaDB two.

    :param table: the table whose rows move; its key is the column `id`.
    :param candidates: selects the ids, with conditions, order and limit.
    :param values: what to set.
    :param returning: the columns to return; `id` among them.
    :param index: the index that has the candidates in their order. MySQL and MariaDB lock every row that they read, and
        whoever sorts reads them all, so that other workers would find none.
    """

    def __init__(
        self,
        table: Table,
        candidates: Select[Any],
        values: dict[str, Any],
        returning: Sequence[Column[Any]],
        *,
        index: str | None = None,
    ) -> None:
        locking = candidates.with_for_update(skip_locked=True, of=table)
        # An ARRAY is computed once; with a plain IN the planner may run a limited, locking subquery again and again.
        self._postgresql = (
            update(table).where(table.c.id == any_(func.array(locking.scalar_subquery()))).values(values).returning(*returning)
        )
        self._sqlite = update(table).where(table.c.id.in_(candidates)).values(values).returning(*returning)
        self._pick = locking
        if index is not None:
            for dialect in ("mysql", "mariadb"):
                self._pick = self._pick.with_hint(table, f"FORCE INDEX ({index})", dialect)
        self._set = update(table).where(is_one_of(table.c.id, "moved_ids")).values(values)
        self._get = select(*returning).where(is_one_of(table.c.id, "moved_ids"))

    def __call__(self, connection: Connection, parameters: dict[str, Any]) -> Sequence[AnyRow]:
        """Move what there is to move, and return its rows in no order."""
        dialect = connection.dialect.name
        if dialect == "sqlite":
            return connection.execute(self._sqlite, parameters).all()
        if dialect == "postgresql":
            return connection.execute(self._postgresql, parameters).all()
        ids = connection.execute(self._pick, parameters).scalars().all()
        if not ids:
            return []
        connection.execute(self._set, {**parameters, "moved_ids": ids})
        return connection.execute(self._get, {"moved_ids": ids}).all()


def lock_keys(connection: Connection, table: Table, keys: Collection[str]) -> None:
    """Hold `keys` until the transaction ends: who else wants one of them waits. In one order, so that nobody deadlocks.

    SQLite's write transaction is the lock already. PostgreSQL has advisory locks. MySQL needs rows.

    :param table: where the rows are, with the columns `key` and `used_at`.
    """
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(_ADVISORY_LOCKS, {"keys": sorted(keys)})
    elif dialect != "sqlite":
        connection.execute(_row_locks(table), [{"key": key} for key in sorted(keys)])


_KEYS = func.unnest(cast(bindparam("keys"), postgresql.ARRAY(Text))).table_valued("key", name="locks").render_derived()
_ADVISORY_LOCKS = select(func.count(func.pg_advisory_xact_lock(func.hashtextextended(_KEYS.c.key, 0))))


@cache
def _row_locks(table: Table) -> Insert:
    """Updating takes the exclusive lock at once, where INSERT IGNORE would take a shared one and two could deadlock on it."""
    inserted = mysql.insert(table).values(key=bindparam("key"), used_at=now())
    return inserted.on_duplicate_key_update(used_at=now())


def insert_ignoring(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert `row` unless one with its unique columns exists; whether it was inserted. Aborts no transaction."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        statement: Any = postgresql.insert(table).values(row).on_conflict_do_nothing()
    elif dialect == "sqlite":
        statement = sqlite.insert(table).values(row).on_conflict_do_nothing()
    else:
        statement = mysql.insert(table).values(row).prefix_with("IGNORE")
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def notify(connection: Connection) -> None:
    """Tell listeners on other hosts that there are jobs to run, where the database can (PostgreSQL)."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY)


CHANNEL = "flask_queue"
_NOTIFY = text(f"NOTIFY {CHANNEL}")


class Insertion:
    """Insert one row.

    :param announce: `notify` in the same statement. A NOTIFY of its own would be another commit, as long as the first.
    """

    def __init__(self, table: Table, values: dict[str, Any], *, announce: bool = False) -> None:
        self._insert = table.insert().values(values)
        new = self._insert.returning(table.c.id).cte("new")
        self._announced = select(new.c.id, func.pg_notify(CHANNEL, "")) if announce else None

    def __call__(self, connection: Connection, parameters: dict[str, Any]) -> int:
        """Insert, and return the row's id."""
        if self._announced is not None and connection.dialect.name == "postgresql":
            return int(connection.execute(self._announced, parameters).scalar_one())
        key = connection.execute(self._insert, parameters).inserted_primary_key
        assert key is not None
        return int(key[0])


# --- many rows at once --------------------------------------------------------------------------------

#: Rows of one statement. PostgreSQL and SQLite take them all in one go; MySQL's packet has an end.
_MYSQL_CHUNK = 500
_MYSQL_CHUNK_BYTES = 4_000_000


def insert_many(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert `rows`, which name the same columns, in order.

    :return: their ids, growing in that order.
    """
    if not rows:
        return []
    dialect = connection.dialect.name
    if dialect == "postgresql":
        return _insert_arrays(connection, table, rows)
    if dialect == "sqlite":
        # The write transaction is ours alone, so that the ids follow each other and end with the last one given.
        connection.execute(table.insert(), rows)
        last = int(connection.exec_driver_sql("SELECT last_insert_rowid()").scalar_one())
        return list(range(last - len(rows) + 1, last + 1))
    return [number for chunk in _chunks(rows) for number in _insert_values(connection, table, chunk)]


def _insert_arrays(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> list[int]:
    """One array for each column, so that any number of rows is the same statement with a handful of parameters."""
    columns = [table.c[name] for name in rows[0]]
    arrays = [cast(bindparam(f"a_{column.name}"), postgresql.ARRAY(column.type)) for column in columns]
    unnested = (
        func.unnest(*arrays)
        .table_valued(*(sql_column(column.name, column.type) for column in columns), with_ordinality="n", name="given")
        .render_derived()
    )
    picked = select(*(unnested.c[column.name] for column in columns)).order_by(unnested.c.n)
    statement = postgresql.insert(table).from_select([column.name for column in columns], picked).returning(table.c.id)
    parameters = {f"a_{column.name}": [row[column.name] for row in rows] for column in columns}
    return sorted(connection.execute(statement, parameters).scalars())


def _chunks(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    start = size = 0
    for position, row in enumerate(rows):
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if position - start == _MYSQL_CHUNK or (size > _MYSQL_CHUNK_BYTES and position > start):
            yield rows[start:position]
            start, size = position, 0
    yield rows[start:]


def _insert_values(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> list[int]:
    """One statement for a chunk, put together by hand: it would be compiled anew each time, which takes longer than to run it.

    InnoDB numbers its rows in order, from the first one on.
    """
    dialect = connection.dialect
    columns = [table.c[name] for name in rows[0]]
    names = ", ".join(map(dialect.identifier_preparer.format_column, columns))
    marks = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(rows))
    processors = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in columns]
    values = tuple(
        process(row[column.name]) if process else row[column.name]
        for row in rows
        for column, process in zip(columns, processors, strict=True)
    )
    first = int(connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES {marks}", values).lastrowid)
    step = int(connection.exec_driver_sql("SELECT @@auto_increment_increment").scalar_one())
    return [first + step * position for position in range(len(rows))]
