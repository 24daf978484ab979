"""What the page shows, gathered: from the running Litestream, the files on disk, the replicas and the verifications.

Apart from the views because listing a replica may be a slow call over the network: each listing is kept for a minute
and given up after five seconds, and one replica that hangs does not keep the others waiting.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakKeyDictionary

from ..backups import Backups
from ..commands import SNAPSHOT_LEVEL, LtxFile
from ..control import DaemonDatabase, DaemonInfo
from ..databases import Database
from ..errors import DaemonUnreachable, LitestreamError
from ..outcomes import Verification

LISTING_TIMEOUT = 5.0
LISTING_KEPT_FOR = 60.0


@dataclass(frozen=True)
class Listing:
    """What a replica holds, or why it could not be asked."""

    files: tuple[LtxFile, ...] = ()
    error: str | None = None

    @property
    def snapshots(self) -> list[LtxFile]:
        """The snapshots, newest first."""
        return [file for file in reversed(self.files) if file.level == SNAPSHOT_LEVEL]

    @property
    def restorable_from(self) -> datetime | None:
        """The earliest moment that can be restored: the oldest snapshot's."""
        return self.snapshots[-1].timestamp if self.snapshots else None

    @property
    def restorable_to(self) -> datetime | None:
        """The latest one: the newest file's."""
        return max((file.timestamp for file in self.files), default=None)

    @property
    def size(self) -> int:
        """The bytes the replica takes."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class DatabaseView:
    """One database on the page."""

    name: str
    path: str
    kind: str
    target: str
    same_disk: bool
    size: int | None
    wal_size: int | None
    txid: str | None
    live: DaemonDatabase | None
    listing: Listing
    verification: Verification | None

    @property
    def lag(self) -> float | None:
        """Seconds since the last sync."""
        synced = self.live.last_sync_at if self.live else None
        return (datetime.now(UTC) - synced).total_seconds() if synced else None


@dataclass(frozen=True)
class Overview:
    """The whole page."""

    enabled: bool
    daemon: DaemonInfo | None
    databases: list[DatabaseView]
    restored: list[Path]
    problem: str | None = None
    #: It runs, and no socket is there to ask it.
    unasked: bool = False


def gather(backups: Backups, root: Path) -> Overview:
    """Gather everything the page shows.

    :param root: what paths are shown relative to.
    """
    enabled = backups.settings.enabled
    try:
        listings = _listings(backups)
        daemon, live = _daemon(backups)
        txids = {path: one.get("local_txid") for path, one in backups.commands.status(LISTING_TIMEOUT).items()}
    except (LitestreamError, OSError) as error:  # the latter of a disk that is full, say
        return Overview(enabled, None, [], backups.restored_files(), str(error))
    last = backups.outcomes.all()
    views = [
        _view(one, root, live.get(str(one.path)), txids.get(str(one.path)), listings[one.name], last.get(one.name))
        for one in backups.databases
    ]
    unasked = daemon is None and backups.runs_unasked()
    return Overview(enabled, daemon, views, backups.restored_files(), unasked=unasked)


def _daemon(backups: Backups) -> tuple[DaemonInfo | None, dict[str, DaemonDatabase]]:
    try:
        return backups.control.info(), backups.control.databases()
    except DaemonUnreachable:
        return None, {}


def _view(
    database: Database,
    root: Path,
    live: DaemonDatabase | None,
    txid: str | None,
    listing: Listing,
    verification: Verification | None,
) -> DatabaseView:
    path, replica = database.path, database.replica
    return DatabaseView(
        name=database.name,
        path=str(path.relative_to(root)) if path.is_relative_to(root) else str(path),
        kind=replica.kind if replica else "none",
        target=replica.target if replica else "",
        same_disk=_same_disk(database),
        size=_size(path),
        wal_size=_size(path.with_name(f"{path.name}-wal")),
        txid=txid,
        live=live,
        listing=listing,
        verification=verification,
    )


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def _same_disk(database: Database) -> bool:
    """Whether losing the disk would lose the backup with the database."""
    if database.replica is None or database.replica.kind != "file":
        return False
    target = Path(database.replica.target)
    return database.path.exists() and target.exists() and target.stat().st_dev == database.path.stat().st_dev


# --- listings ---


class Listings:
    """What each replica held when it was last asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Listing]] = {}

    def get(self, backups: Backups, name: str) -> Listing:
        """Return a listing of the last minute, or a new one."""
        with self._lock:
            at, listing = self._kept.get(name, (0.0, Listing()))
        if at and time.monotonic() - at < LISTING_KEPT_FOR:
            return listing
        listing = _ask(backups, name)
        with self._lock:
            self._kept[name] = (time.monotonic(), listing)
        return listing

    def forget(self) -> None:
        """Ask anew next time."""
        with self._lock:
            self._kept.clear()


_kept: WeakKeyDictionary[Backups, Listings] = WeakKeyDictionary()


def listings_of(backups: Backups) -> Listings:
    """Return what is remembered for one application."""
    return _kept.setdefault(backups, Listings())


def _listings(backups: Backups) -> dict[str, Listing]:
    names = [database.name for database in backups.databases]
    _ = backups.commands.executable  # said once for the page, not once for each database
    backups.configuration.write()
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        found = pool.map(lambda name: listings_of(backups).get(backups, name), names)
        return dict(zip(names, found, strict=True))


def _ask(backups: Backups, name: str) -> Listing:
    try:
        return Listing(tuple(backups.ltx(name, timeout=LISTING_TIMEOUT)))
    except (LitestreamError, OSError) as error:
        return Listing(error=str(error))
