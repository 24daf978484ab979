"""A small application with two SQLite databases and a real Litestream: what the tests of flask_litestream play on."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_litestream import FlaskLitestream, Verification
from flask_litestream.backups import Backups
from flask_litestream.replicator import Replicator
from flask_queue import FlaskQueue

from ..harness.waiting import eventually

NAMES = ("primary", "queue")
#: The applications that a test has made and still has.
made: WeakKeyDictionary[Flask, SQLAlchemy] = WeakKeyDictionary()


@dataclass
class Stage:
    """An application in a folder of its own.

    :param folder: everything is below it: the databases, Litestream's folder, the replicas.
    :param settings: what `app.config` has besides the defaults.
    """

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    queue: FlaskQueue | None = None
    litestream: FlaskLitestream = field(default_factory=FlaskLitestream)
    db: SQLAlchemy = field(default_factory=SQLAlchemy)
    app: Flask = field(init=False)

    def __post_init__(self) -> None:
        self.app = make_app(self.folder, self.db, self.litestream, self.queue, **self.settings)

    @property
    def backups(self) -> Backups:
        return self.litestream.of(self.app)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.sqlite3"

    def replica(self, name: str) -> Path:
        return self.folder / "backup" / name

    def replica_files(self, name: str, level: str = "*") -> list[Path]:
        """The files of a replica, oldest first, all levels or one."""
        return sorted(self.replica(name).glob(f"ltx/{level}/*.ltx"), key=lambda path: path.name)

    def create(self, *names: str) -> None:
        """Make the databases, each with a table that has one row."""
        for name in names or NAMES:
            with connected(self.path(name)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, text TEXT)")
                connection.execute("INSERT INTO entries (text) VALUES ('the first')")

    def write(self, name: str, text: str = "another") -> None:
        with connected(self.path(name)) as connection:
            connection.execute("INSERT INTO entries (text) VALUES (?)", (text,))

    def rows(self, path: Path) -> list[int]:
        with connected(path) as connection:
            return [row[0] for row in connection.execute("SELECT id FROM entries ORDER BY id")]

    def verify(self, name: str = "primary") -> Verification:
        with self.app.app_context():
            return self.litestream.verify(name)

    def left_behind(self) -> list[str]:
        """What a verification should have removed: private folders, and rows in the databases."""
        left = [str(path) for path in self.backups.directory.glob("verify-*")]
        for name in NAMES:
            if self.path(name).exists():
                with connected(self.path(name)) as connection, contextlib.suppress(sqlite3.OperationalError):
                    left += [row[0] for row in connection.execute("SELECT token FROM _litestream_verification")]
        return left

    @contextmanager
    def running(self) -> Iterator[Replicator]:
        """Replicate during the block."""
        with self.litestream.running(self.app) as replicator:
            assert replicator is not None
            yield replicator

    def wait_until_synced(self, *names: str) -> None:
        for name in names or NAMES:
            self.backups.sync(name)

    def daemon_pid(self) -> int:
        return self.backups.control.info().pid

    def flask(self, *arguments: str) -> Any:
        """Run a `flask litestream` command and return click's result."""
        return self.app.test_cli_runner().invoke(args=["litestream", *arguments])

    def command(self, *arguments: str) -> list[str]:
        """The line of the same in a process of its own, for a command that becomes another program."""
        settings = [f"{key}={value}" for key, value in self.settings.items()]
        return [sys.executable, "-m", "tests.flask_litestream.command", str(self.folder), *settings, "--", *arguments]


def make_app(folder: Path, db: SQLAlchemy, litestream: FlaskLitestream, queue: FlaskQueue | None, **settings: Any) -> Flask:
    app = Flask("stage", instance_path=str(folder))
    app.config.update(
        SECRET_KEY="for tests",
        SQLALCHEMY_DATABASE_URI="sqlite:///primary.sqlite3",
        SQLALCHEMY_BINDS={"queue": "sqlite:///queue.sqlite3"},
        LITESTREAM_ENABLED=True,
        LITESTREAM_REPLICA=str(folder / "backup"),
        LITESTREAM_VERIFY_WAIT=5,
        LITESTREAM_RESTORE_TIMEOUT=10,
        LITESTREAM_STOP_TIMEOUT=2,
        QUEUE_CONFIG_FILE=None,
        QUEUE_RECURRING_FILE=None,
    )
    app.config.update(settings)
    db.init_app(app)
    if queue is not None:
        queue.init_app(app, db)
    litestream.init_app(app, db, queue)
    made[app] = db
    close_engines(app, db)
    return app


def own_file(folder: Path, *lines: str) -> Path:
    """A configuration file of the user's own, in the words of docs/litestream.md."""
    path = folder / "own.yml"
    entries = [
        f'  - {{path: "${{LITESTREAM_DATABASE_{name.upper()}}}", replica: {{path: {folder}/backup/{name}}}}}' for name in NAMES
    ]
    path.write_text("\n".join(['socket: {enabled: true, path: "${LITESTREAM_SOCKET}"}', *lines, "dbs:", *entries, ""]))
    return path


def close_engines(app: Flask, db: SQLAlchemy) -> None:
    """The tests write on connections of their own."""
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that commits each statement and is closed afterwards."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
        yield connection


@contextmanager
def writer(path: Path, per_second: float) -> Iterator[list[int]]:
    """Insert rows at a pace during the block; the list grows by each row's id once it is committed."""
    committed: list[int] = []
    stop = threading.Event()

    def write() -> None:
        with connected(path) as connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            began = time.monotonic()
            while not stop.is_set():
                row = connection.execute("INSERT INTO entries (text) VALUES ('paced')").lastrowid
                assert row is not None
                committed.append(row)
                time.sleep(max(0.0, began + len(committed) / per_second - time.monotonic()))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield committed
    finally:
        stop.set()
        thread.join()


@contextmanager
def process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed, if it still lives, and waited for at the end."""
    started = subprocess.Popen(command, text=True, **options)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait()
        for stream in (started.stdin, started.stdout, started.stderr):
            if stream is not None:
                stream.close()


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie nobody has collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def wait_for_end(pid: int, timeout: float = 5.0) -> None:
    eventually(lambda: has_ended(pid), timeout=timeout, what=f"process {pid} still lives")
