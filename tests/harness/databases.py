"""One database for each test, on SQLite, PostgreSQL and MariaDB, with the queue's tables in it and nothing else.

SQLite gets a new file each time. A server gets one database for each run of pytest, under a name nobody else uses; its
tables are emptied before each test and it is dropped at the end. Only the addresses in the environment are used.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL, Connection, MetaData, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from flask_queue import models

from .missing import missing

NAMES = ("sqlite", "postgresql", "mariadb")
VARIABLES = {"postgresql": "TEST_POSTGRESQL_URL", "mariadb": "TEST_MARIADB_URL"}
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}


def with_driver(url: str) -> URL:
    """The address with a driver we have: a bare one would pick a driver that is not installed."""
    parsed = make_url(url)
    return parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))


@contextmanager
def connect(url: str | URL) -> Iterator[Connection]:
    """A connection apart from the code under test. Each statement commits by itself; nothing stays open afterwards."""
    arguments = {"timeout": 30} if make_url(url).get_backend_name() == "sqlite" else {}
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments)
    with engine.connect() as connection:
        yield connection


def create_tables(url: str) -> None:
    with connect(url) as connection:
        tables = MetaData()
        models.register(tables, connection.dialect.name)
        tables.create_all(connection)


def empty_tables(url: str) -> None:
    """Delete every row of the queue. Use it between the examples of a property-based test."""
    with connect(url) as connection:
        for table in reversed(models.metadata.sorted_tables):
            connection.execute(table.delete())


class Databases:
    """The databases of one run of pytest: made when first asked for, dropped at the end."""

    def __init__(self, directory: Path) -> None:
        self.template = directory / "template.sqlite3"
        self.made: dict[str, list[URL]] = {}
        self.shared: dict[str, URL] = {}

    def with_tables(self, name: str, directory: Path) -> str:
        """The address of a database with the queue's tables, all of them empty."""
        if name == "sqlite":
            return self._copy_of_template(directory / "queue.sqlite3")
        if name not in self.shared:
            self.shared[name] = self._create(name)
        url = _address(self.shared[name])
        _disconnect_others(url)
        create_tables(url)
        empty_tables(url)
        return url

    def without_tables(self, name: str, directory: Path) -> str:
        """The address of a database nobody has touched, for tests of migrations."""
        if name == "sqlite":
            return f"sqlite:///{directory / f'empty-{uuid.uuid4().hex[:8]}.sqlite3'}"
        return _address(self._create(name))

    def drop_all(self) -> None:
        for name, urls in self.made.items():
            for url in urls:
                _drop(name, url)

    def _copy_of_template(self, path: Path) -> str:
        if not self.template.exists():
            create_tables(f"sqlite:///{self.template}")
        shutil.copyfile(self.template, path)
        return f"sqlite:///{path}"

    def _create(self, name: str) -> URL:
        server = server_url(name)
        database = f"flask_queue_test_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        with connect(server) as connection:
            connection.execute(text(f"CREATE DATABASE {database}"))
            if name == "postgresql":
                # What a crash of the whole server would lose is not what these tests are about.
                connection.execute(text(f"ALTER DATABASE {database} SET synchronous_commit = off"))
        url = server.set(database=database)
        self.made.setdefault(name, []).append(url)
        return url


def server_url(name: str) -> URL:
    """Where the server is. Without an address the test is skipped, or fails when REQUIRE_ALL=1 asks for everything."""
    variable = VARIABLES[name]
    if address := os.environ.get(variable):
        return with_driver(address)
    missing(f"{variable} is not set, so nothing was tested on {name}")


def _address(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _disconnect_others(url: str) -> None:
    """End what an earlier test left connected: an open transaction of its own would hold up the next test."""
    with connect(url) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
            return
        others = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        for process_id in connection.execute(text(others)).scalars().all():
            with suppress(OperationalError):  # it left by itself in the meantime
                connection.execute(text(f"KILL {process_id}"))


def _drop(name: str, url: URL) -> None:
    force = " WITH (FORCE)" if name == "postgresql" else ""
    with connect(server_url(name)) as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {url.database}{force}"))
