"""No queue at all, but what the database itself can do: one table, one connection, the least SQL that is still safe.

A yardstick for the others: nobody who keeps jobs in this database is faster, and what one lacks to it is the price of
everything a queue does besides.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ..databases import durability
from ..marks import mark
from ..processes import Command
from .base import Queue, url_of_worker

#: How many jobs the worker takes and ends in one transaction.
BATCH = 100


class Store(Protocol):
    """The statements, and a connection to run them on. Each method is one transaction."""

    def create(self) -> None: ...
    def insert(self, numbers: Iterable[int]) -> None: ...
    def end_and_claim(self, done: list[int]) -> list[Any]: ...
    def execute(self, statement: str) -> Any: ...


class SQLite:
    """The yardstick for SQLite, opened as Flask-Queue opens it."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(url.partition("///")[2], isolation_level=None, timeout=10)
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")

    def create(self) -> None:
        self._connection.executescript("""
            CREATE TABLE job (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, state TEXT NOT NULL, ended_at REAL);
            CREATE INDEX waiting ON job (id) WHERE state = 'ready'
        """)

    def insert(self, numbers: Iterable[int]) -> None:
        self.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO job (number, state) VALUES (?, 'ready')", ((n,) for n in numbers))
        self.execute("COMMIT")

    def end_and_claim(self, done: list[int]) -> list[Any]:
        self.execute("BEGIN IMMEDIATE")
        end = "UPDATE job SET state = 'finished', ended_at = julianday('now') WHERE id = ?"
        self._connection.executemany(end, ((job_id,) for job_id in done))
        first = f"SELECT id FROM job WHERE state = 'ready' ORDER BY id LIMIT {BATCH}"
        rows = self.execute(f"UPDATE job SET state = 'claimed' WHERE id IN ({first}) RETURNING id, number").fetchall()
        self.execute("COMMIT")
        return list(rows)

    def execute(self, statement: str) -> Any:
        return self._connection.execute(statement)


class PostgreSQL:
    """The yardstick for PostgreSQL, with the server's own settings."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url, autocommit=True)

    def create(self) -> None:
        key = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        self.execute(f"CREATE TABLE job ({key}, number integer NOT NULL, state text NOT NULL, ended_at timestamptz)")
        self.execute("CREATE INDEX waiting ON job (id) WHERE state = 'ready'")

    def insert(self, numbers: Iterable[int]) -> None:
        statement = "INSERT INTO job (number, state) SELECT unnest(%s::integer[]), 'ready'"
        self._connection.execute(statement, (list(numbers),))

    def end_and_claim(self, done: list[int]) -> list[Any]:
        end = "UPDATE job SET state = 'finished', ended_at = now() WHERE id = ANY(%s)"
        first = f"SELECT id FROM job WHERE state = 'ready' ORDER BY id LIMIT {BATCH} FOR UPDATE SKIP LOCKED"
        with self._connection.transaction():
            self._connection.execute(end, (done,))
            claim = f"UPDATE job SET state = 'claimed' WHERE id IN ({first}) RETURNING id, number"
            return list(self._connection.execute(claim).fetchall())

    def execute(self, statement: str) -> Any:
        return self._connection.execute(statement)


def store(url: str) -> Store:
    """The statements for the kind of database behind `url`."""
    return SQLite(url) if url.startswith("sqlite") else PostgreSQL(url)


def work(url: str) -> None:
    """Run all jobs, a batch a transaction."""
    jobs = store(url)
    rows = jobs.end_and_claim([])
    while rows:
        for _, number in rows:
            mark(number)
        rows = jobs.end_and_claim([job_id for job_id, _ in rows])


class Measured(Queue):
    """The database without a queue."""

    has_defaults = False

    def create(self) -> None:
        self.store = store(self.url)
        self.store.create()

    def enqueue(self, number: int) -> None:
        self.store.insert([number])

    def enqueue_many(self, numbers: range) -> None:
        self.store.insert(numbers)

    def workers(self, *, tuned: bool) -> Sequence[Command]:
        return [[sys.executable, "-m", __name__]]

    def finished(self) -> int:
        return int(self._scalar("SELECT count(*) FROM job WHERE state = 'finished'"))

    def clear(self) -> None:
        self.store.execute("DELETE FROM job")

    def durability(self) -> str:
        return durability(self.url, self._scalar)

    def _scalar(self, statement: str) -> Any:
        return self.store.execute(statement).fetchone()[0]


if __name__ == "__main__":
    work(url_of_worker())
