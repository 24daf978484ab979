"""A database of its own for each measurement, gone afterwards; and what it promises about data that it has confirmed."""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, NullPool, create_engine, make_url, text

#: Addresses of servers. SQLite needs none.
VARIABLES = {"postgresql": "TEST_POSTGRESQL_URL", "mariadb": "TEST_MARIADB_URL", "redis": "BENCHMARK_REDIS_URL"}
NAMES = ("sqlite", *VARIABLES)
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mysql+pymysql"}
_REDIS = "redis://127.0.0.1:6379"


def reason_against(name: str) -> str | None:
    """Why nothing can be measured on a kind of database here, or None."""
    if name == "redis":
        return None if _empty_redis() else "no Redis with an empty database answers"
    if name == "sqlite" or os.environ.get(VARIABLES[name]):
        return None
    return f"{VARIABLES[name]} is not set"


@contextmanager
def fresh(name: str, folder: Path) -> Iterator[str]:
    """The address of an empty database, without a driver's name; it is removed at the end."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'queue.sqlite3'}"
    elif name == "redis":
        url = _empty_redis()
        try:
            yield url
        finally:
            _redis(url).flushdb()
    else:
        server = make_url(os.environ[VARIABLES[name]])
        database = f"flask_queue_bench_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        _execute(server, f"CREATE DATABASE {database}")
        try:
            yield server.set(drivername=server.get_backend_name(), database=database).render_as_string(hide_password=False)
        finally:
            _execute(server, f"DROP DATABASE {database}{' WITH (FORCE)' if name == 'postgresql' else ''}")


def with_driver(url: str | URL) -> str:
    """The address with the driver that SQLAlchemy is to use."""
    parsed = make_url(url)
    driver = DRIVERS.get(parsed.get_backend_name(), parsed.drivername)
    return parsed.set(drivername=driver).render_as_string(hide_password=False)


def _execute(server: URL, statement: str) -> None:
    engine = create_engine(with_driver(server), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))


def flush(url: str) -> None:
    """Write out what the database still holds back, so that the next measurement does not pay for the last one."""
    if url.startswith("postgresql"):
        _execute(make_url(url), "CHECKPOINT")
    os.sync()


def durability(url: str, scalar: Callable[[str], object]) -> str:
    """What a confirmed write survives, asked through the connection in use: `scalar` gives the one value of a statement."""
    if url.startswith("sqlite"):
        synchronous = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}[int(str(scalar("PRAGMA synchronous")))]
        return f"journal_mode={scalar('PRAGMA journal_mode')}, synchronous={synchronous}"
    if url.startswith("postgresql"):
        return ", ".join(f"{name}={scalar(f'SHOW {name}')}" for name in ("fsync", "synchronous_commit"))
    return f"innodb_flush_log_at_trx_commit={scalar('SELECT @@innodb_flush_log_at_trx_commit')}"


def redis_durability(url: str) -> str:
    """The same of a Redis server."""
    return ", ".join(f"{name}={_redis(url).config_get(name)[name]}" for name in ("appendonly", "appendfsync"))


def _redis(url: str) -> Any:
    return importlib.import_module("redis").Redis.from_url(url)


def _empty_redis() -> str:
    """A numbered database of the server in which nobody keeps anything, or an empty string."""
    try:
        base = os.environ.get(VARIABLES["redis"], _REDIS).rstrip("/")
        return next((f"{base}/{number}" for number in range(15, 0, -1) if not _redis(f"{base}/{number}").dbsize()), "")
    except Exception:  # not installed, not running, fewer databases: all mean that there is none
        return ""
