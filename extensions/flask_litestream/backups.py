"""The backups of one application: every verb of the extension, by database name.

Apart from the Flask extension so that the page, the commands and the jobs share it, and so that nothing here needs
Flask. It is made from `Settings`; configuration and program are looked at when something first needs them.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from .commands import Commands, LtxFile, Target
from .config import Settings
from .configfile import Configuration, configure
from .control import Control, Synced
from .databases import Database
from .errors import AlreadyRunning, DaemonUnreachable, NotRunnable, UnknownDatabase
from .files import is_locked, private_directory, try_lock
from .outcomes import Outcomes, Verification
from .replicator import Replicator
from .verification import Verifier

logger = logging.getLogger("flask_litestream")


@dataclass(frozen=True)
class Restored:
    """A restored copy of a database."""

    database: str
    path: Path
    txid: str | None
    size: int


class Backups:
    """One application's backups."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.directory = settings.places.directory
        self.lock_path = self.directory / "litestream.lock"
        self.restored_directory = self.directory / "restored"
        self.outcomes = Outcomes(self.directory / "verifications.json")

    @cached_property
    def configuration(self) -> Configuration:
        """What Litestream is run with. :raises ConfigurationError: if something is missing."""
        return configure(self.settings)

    @cached_property
    def commands(self) -> Commands:
        """The litestream program."""
        return Commands(self.configuration, self.settings.places.executable)

    @cached_property
    def control(self) -> Control:
        """The control socket of the running Litestream."""
        return Control(self.configuration.socket)

    @property
    def databases(self) -> tuple[Database, ...]:
        """The databases that are, or would be, replicated."""
        return self.configuration.databases

    def database(self, name: str) -> Database:
        """Return a database by name. :raises UnknownDatabase: if there is none."""
        for database in self.databases:
            if database.name == name:
                return database
        known = ", ".join(database.name for database in self.databases)
        raise UnknownDatabase(f"There is no database called {name}. There are: {known}.")

    def replicator(self) -> Replicator:
        """Return a replicator, ready to start."""
        if not self.settings.enabled:
            raise NotRunnable
        try:
            self.outcomes.watch(datetime.now(UTC))
        except OSError as error:  # whether it can be started all the same, the start itself says
            logger.error("Since when there are backups could not be written down: %s", error)
        return Replicator(self.settings, self.commands, self.lock_path)

    def take_lock(self) -> int:
        """Return the lock that a Litestream of our own making holds. :raises AlreadyRunning: if one runs."""
        handle = try_lock(self.lock_path)
        if handle is None:
            raise AlreadyRunning
        return handle

    def is_running(self) -> bool:
        """Tell whether Litestream runs, as far as this machine can see."""
        try:
            self.control.info()
        except DaemonUnreachable:
            return is_locked(self.lock_path)
        return True

    def runs_unasked(self) -> bool:
        """Tell whether Litestream runs and cannot be asked: a file of the user's own need not enable a control socket."""
        return self.control.path is None and self.is_running()

    def sync(self, name: str, timeout: float | None = None) -> Synced:
        """Bring one replica up to date, waiting LITESTREAM_VERIFY_WAIT or `timeout` seconds."""
        return self.control.sync(self.database(name).path, timeout or self.settings.timeouts.verify_wait)

    def verify(self, name: str) -> Verification:
        """Prove one database's backup, and remember how it ended."""
        verifier = Verifier(self.commands, self.control, self.settings.timeouts, self.directory)
        verification = verifier.verify(self.database(name))
        try:
            return self.outcomes.record(verification)
        except OSError as error:  # a full disk; the other databases are to be verified all the same
            logger.error("The verification of %s could not be written down: %s", name, error)
            return verification

    def verify_all(self, names: Iterable[str] = ()) -> list[Verification]:
        """Prove the backups of the named databases, or of all: each one, whatever became of the others."""
        return [self.verify(name) for name in list(names) or [database.name for database in self.databases]]

    def ltx(self, name: str, level: str = "all", timeout: float = 60.0) -> list[LtxFile]:
        """Return the files of one database's replica."""
        return self.commands.ltx(self.database(name).path, level, timeout)

    def restore_to_new_file(self, name: str, *, timestamp: str | None = None, txid: str | None = None) -> Restored:
        """Restore one database beside the live ones, never over them: into ``restored/`` of LITESTREAM_DIRECTORY.

        The file appears under its name when it is whole.
        """
        database = self.database(name)
        moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        final = private_directory(self.restored_directory) / f"{name}-{moment}.sqlite3"
        partial = final.with_suffix(".partial")
        self._remove_abandoned_restores()
        try:
            target = Target(partial, timestamp, txid)
            summary = self.commands.restore(
                database.path, target, options=("-integrity-check", "quick"), timeout=self.settings.timeouts.restore
            )
            os.replace(partial, final)
        finally:
            for leftover in self.restored_directory.glob(f"{partial.name}*"):
                leftover.unlink(missing_ok=True)
        return Restored(name, final, summary.get("txid"), final.stat().st_size)

    def _remove_abandoned_restores(self) -> None:
        """Remove what a restore left that was killed: nobody lists it, and it is as large as the database."""
        oldest = time.time() - 2 * self.settings.timeouts.restore
        for path in self.restored_directory.glob("*.partial*"):
            if _modified(path) < oldest:
                path.unlink(missing_ok=True)

    def restored_files(self) -> list[Path]:
        """Return the restored copies, newest first."""
        return sorted(self.restored_directory.glob("*.sqlite3"), key=_modified, reverse=True)

    def problems(self) -> list[str]:
        """Say what is wrong with the backups, for a health check; nothing where they are switched off."""
        if not self.settings.enabled:
            return []
        problems = []
        try:
            self.control.info()
        except DaemonUnreachable as error:
            if self.control.path is not None:
                problems.append(str(error))
        for database in self.databases:
            problems.extend(self._problems_of(database.name))
        return problems

    def _problems_of(self, name: str) -> list[str]:
        last = self.outcomes.all().get(name)
        since = last.started_at if last else self.outcomes.watched_since()
        if last and not last.ok:
            return [f"The backup of {name} failed its verification of {last.started_at:%Y-%m-%d %H:%M} UTC: {last.message}"]
        age = (datetime.now(UTC) - since).total_seconds() if since else 0.0
        if age > self.settings.timeouts.verify_max_age:
            return [f"The backup of {name} has not been verified for {age / 3600:.0f} hours. Does the job still run?"]
        return []


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # somebody has just removed it
        return 0.0
