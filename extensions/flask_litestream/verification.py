"""Prove a backup: write a row, let it be replicated, restore the replica elsewhere, and look for the row.

Apart because this is the claim the extension makes. That Litestream runs and reports success proves little: it goes on
saying so while its replica is deleted. Only a restored row does. Whatever happens, the row and the restored copy are
gone afterwards, and every step is bounded in time.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .commands import Commands, Target
from .config import Timeouts
from .control import Control
from .databases import Database
from .errors import (
    CommandFailed,
    CommandTimedOut,
    DaemonUnreachable,
    LitestreamError,
    SyncFailed,
    SyncTimedOut,
)
from .files import private_directory
from .outcomes import Verification

logger = logging.getLogger("flask_litestream")

#: Why a verification can fail, and what each word means.
REASONS = {
    "database_missing": "the database file is not there",
    "database_busy": "no row could be written, because the database stayed locked",
    "daemon_unreachable": "nobody replicates",
    "sync_failed": "Litestream could not bring the replica up to date",
    "sync_timeout": "the replica was not up to date in time",
    "no_space": "there is no room to restore",
    "restore_failed": "the replica cannot be restored",
    "restore_timeout": "the restore did not end in time",
    "integrity": "the restored database is damaged",
    "row_missing": "the restored database is older than the row just written",
    "cannot_run": "the verification itself could not run",
}

TABLE = "_litestream_verification"
RESTORED = "restored.sqlite3"
FOLDER_PREFIX = "verify-"
#: How long an abandoned row or folder (its process was killed) is left alone.
ABANDONED_AFTER = 86_400
#: Seconds to wait for a lock in order to delete the row; the proof stands without it.
DELETE_WAIT = 5.0


class Unproved(Exception):
    """One step did not succeed."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason, self.message = reason, message
        super().__init__(message)


@dataclass
class Steps:
    """What the steps of one verification have found out so far."""

    lag: float | None = None
    sync_duration: float | None = None
    restore_duration: float | None = None
    txid: str | None = None


class Verifier:
    """Verifies databases with one Litestream.

    :param directory: where the private folders of restored copies are made; it needs room for the largest database.
    """

    def __init__(self, commands: Commands, control: Control, timeouts: Timeouts, directory: Path) -> None:
        self.commands = commands
        self.control = control
        self.timeouts = timeouts
        self.directory = directory

    def verify(self, database: Database) -> Verification:
        """Verify one database. What goes wrong is in the result; nothing is raised for it."""
        started_at, begun, steps = datetime.now(UTC), time.monotonic(), Steps()
        reason, message = None, "A row written just before was found in the restored database."
        try:
            self._prove(database, steps)
        except (Unproved, LitestreamError, OSError, sqlite3.Error) as error:
            reason, message = getattr(error, "reason", "cannot_run"), str(error)
            reason = reason if reason in REASONS else "cannot_run"
        duration = time.monotonic() - begun
        return Verification(database.name, started_at, duration, reason, message, **vars(steps))

    def _prove(self, database: Database, steps: Steps) -> None:
        if not database.path.exists():
            raise Unproved("database_missing", f"There is no file {database.path}.")
        steps.lag = self._lag(database)
        with self._private_folder(database) as folder, written_row(database.path, self.timeouts.verify_wait) as token:
            if self.control.path is None:
                self._restore_until_found(database, folder, token, steps)
            else:
                self._sync(database, steps)
                self._restore(database, folder, steps)
                if not has_row(folder / RESTORED, token):
                    raise Unproved("row_missing", f"{_restored(steps)} does not have the row written just before.")

    def _lag(self, database: Database) -> float | None:
        """Seconds since the last sync, asked before the verification forces one."""
        try:
            seen = self.control.databases().get(str(database.path))
        except DaemonUnreachable:
            return None
        return (datetime.now(UTC) - seen.last_sync_at).total_seconds() if seen and seen.last_sync_at else None

    def _sync(self, database: Database, steps: Steps) -> None:
        begun = time.monotonic()
        try:
            self.control.sync(database.path, self.timeouts.verify_wait)
        except DaemonUnreachable as error:
            raise Unproved("daemon_unreachable", str(error)) from error
        except SyncTimedOut as error:
            raise Unproved("sync_timeout", str(error)) from error
        except SyncFailed as error:
            raise Unproved("sync_failed", str(error)) from error
        steps.sync_duration = time.monotonic() - begun

    def _restore(self, database: Database, folder: Path, steps: Steps) -> None:
        begun = time.monotonic()
        target = Target(folder / RESTORED)
        try:
            summary = self.commands.restore(
                database.path, target, options=("-integrity-check", "quick"), timeout=self.timeouts.restore
            )
        except CommandTimedOut as error:
            raise Unproved("restore_timeout", str(error)) from error
        except CommandFailed as error:
            raise Unproved(_restore_reason(error.reason), error.reason) from error
        steps.restore_duration = time.monotonic() - begun
        steps.txid = summary.get("txid")

    def _restore_until_found(self, database: Database, folder: Path, token: str, steps: Steps) -> None:
        """Without a control socket nobody can be told to sync: restore again until the row has arrived."""
        begun, pause = time.monotonic(), 0.25
        while (problem := self._try_restore(database, folder, token, steps)) is not None:
            if time.monotonic() - begun > self.timeouts.verify_wait:
                raise problem
            time.sleep(pause)
            pause = min(pause * 2, 2.0)
        steps.sync_duration = time.monotonic() - begun

    def _try_restore(self, database: Database, folder: Path, token: str, steps: Steps) -> Unproved | None:
        """Restore once, and return why the row is not there; perhaps only not yet."""
        (folder / RESTORED).unlink(missing_ok=True)
        try:
            self._restore(database, folder, steps)
        except Unproved as problem:
            return problem
        if has_row(folder / RESTORED, token):
            return None
        waited = f"still does not have the row written {self.timeouts.verify_wait:g} s before"
        return Unproved("row_missing", f"{_restored(steps)} {waited}.")

    @contextmanager
    def _private_folder(self, database: Database) -> Iterator[Path]:
        """Give a folder that only this user can read and that is gone afterwards."""
        remove_abandoned(private_directory(self.directory))
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=self.directory))
        try:
            needed, free = database.path.stat().st_size, shutil.disk_usage(folder).free
            if free < needed:
                raise Unproved("no_space", f"{folder.parent} has {free:,} bytes free, and the database has {needed:,}.")
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(directory: Path) -> None:
    """Remove the folders of verifications whose process was killed."""
    for folder in directory.glob(f"{FOLDER_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime > ABANDONED_AFTER:
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            continue


@contextmanager
def written_row(path: Path, wait: float) -> Iterator[str]:
    """Write a row that nobody wrote before, on a connection of our own, and delete it afterwards.

    :param wait: seconds to wait for a writer who holds the database.
    """
    token = uuid.uuid4().hex
    try:
        with closing(_connect(path, wait)) as connection:
            _insert(connection, token)
    except sqlite3.Error as error:
        locked = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        raise Unproved("database_busy" if locked else "cannot_run", f"No row could be written: {error}.") from error
    try:
        yield token
    finally:
        _delete(path, token)


def has_row(path: Path, token: str) -> bool:
    """Tell whether a restored database has the row."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return connection.execute(f"SELECT 1 FROM {TABLE} WHERE token = ?", (token,)).fetchone() is not None
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):  # the table is younger than this copy
            return False
        raise Unproved("integrity", f"The restored database cannot be read: {error}.") from error


def _connect(path: Path, wait: float) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=wait, isolation_level=None)


def _insert(connection: sqlite3.Connection, token: str) -> None:
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {TABLE} (id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, created_at REAL)"
    )
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"DELETE FROM {TABLE} WHERE created_at < ?", (time.time() - ABANDONED_AFTER,))
    connection.execute(f"INSERT INTO {TABLE} (token, created_at) VALUES (?, ?)", (token, time.time()))
    connection.execute("COMMIT")


def _delete(path: Path, token: str) -> None:
    try:
        with closing(_connect(path, DELETE_WAIT)) as connection:
            connection.execute(f"DELETE FROM {TABLE} WHERE token = ?", (token,))
    except sqlite3.Error as error:  # the database is locked or gone; the next verification sweeps the row up
        logger.info("The row of a verification is still in %s: %s", path, error)


def _restore_reason(text: str) -> str:
    return "integrity" if "integrity check" in text else "restore_failed"


def _restored(steps: Steps) -> str:
    return f"The replica was restored to transaction {steps.txid or 'unknown'}, and"
