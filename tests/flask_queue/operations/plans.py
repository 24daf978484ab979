"""What is sent to the database, and how the database goes about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from flask_queue import FlaskQueue
from flask_queue.database import Database, insert_many
from flask_queue.models import jobs
from flask_queue.operations.enqueue import database_time


@contextmanager
def statements_of(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the database in the block: texts and parameters."""
    found: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: object, *more: object) -> None:
        found.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    yield found
    event.remove(database.engine, "before_cursor_execute", note)


def plan(database: Database, statement: str, parameters: Any) -> list[str]:
    """How the database would go about a statement, as we have told it to plan: its own words in lower case, step by step.

    On PostgreSQL both with these parameters and as a process does.
    """
    with database.connect() as connection:
        how = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
        rows: list[Any] = list(connection.exec_driver_sql(how + statement, parameters))
    if database.dialect_name == "postgresql":
        rows += kept_plan(database, statement, parameters)
    return [" ".join(str(value) for value in row).lower() for row in rows]


def kept_plan(database: Database, statement: str, parameters: Any) -> list[tuple[str]]:
    """How PostgreSQL would go about a statement that a process has prepared: by a plan that serves for any parameters."""
    from psycopg import ClientCursor  # where there is PostgreSQL there is its driver

    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        names.append(found[1])
        return f"${len(names)}"

    prepared = re.sub(r"%\((\w+)\)s", number, statement).replace("%%", "%")
    values = [parameters[name] for name in names]
    types = f"({', '.join(_TYPES.get(type(value), 'unknown') for value in values)})" if names else ""
    marks = f"({', '.join(['%s'] * len(names))})" if names else ""
    of_process = database.private()
    try:
        with of_process.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            with ClientCursor(driver) as cursor:
                cursor.execute(f"PREPARE looked_at {types} AS {prepared}")
                cursor.execute(f"EXPLAIN EXECUTE looked_at {marks}", values)
                return list(cursor.fetchall())
    finally:
        of_process.dispose()


_TYPES = {int: "bigint", float: "double precision"}


def effort(database: Database, statement: str, parameters: Any) -> int:
    """How much the database reads for a statement: pages on PostgreSQL, rows on MariaDB, instructions on SQLite."""
    with database.connect() as connection:
        if connection.dialect.name == "postgresql":
            steps = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters).scalars().all()
            return next(int(found[1]) for step in steps if (found := re.search(r"Buffers: shared hit=(\d+)", step)))
        if connection.dialect.name == "sqlite":
            instructions: list[None] = []
            driver: Any = connection.connection.dbapi_connection
            driver.set_progress_handler(lambda: instructions.append(None), 1)
            connection.exec_driver_sql(statement, parameters).all()
            driver.set_progress_handler(None, 1)
            return len(instructions)
        reads = "SELECT SUM(VARIABLE_VALUE) FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME LIKE 'HANDLER_READ%%'"
        before = connection.exec_driver_sql(reads).scalar_one()
        connection.exec_driver_sql(statement, parameters).all()
        return int(connection.exec_driver_sql(reads).scalar_one() - before)


def entries_read(database: Database) -> int:
    """How many entries of indexes of jobs PostgreSQL has read, dead ones too, on connections that are back in the pool."""
    with database.connect() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()").all()
        read = "SELECT SUM(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'queue_jobs'"
        return int(connection.exec_driver_sql(read).scalar_one())


def fill(queue: FlaskQueue, **states: int) -> None:
    """Add so many jobs in each of these states, in two queues, and let the database know how many there are."""
    names = ("name", "arguments", "scheduled_at", "created_at", "queue_name", "priority", "state")
    with queue.database.begin() as connection:
        moment = database_time(connection)
        rows = [
            ("job", "[]", moment, moment, "mail" if n % 2 else "other", n % 7, state)
            for state, count in states.items()
            for n in range(count)
        ]
        insert_many(connection, jobs, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    analyze(queue)


def analyze(queue: FlaskQueue) -> None:
    """Let the database count its rows, and forget those of earlier tests."""
    with queue.database.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("VACUUM (ANALYZE) queue_jobs")
        elif connection.dialect.name != "sqlite":
            connection.exec_driver_sql("ANALYZE TABLE queue_jobs")
