"""Talk to a running Litestream over its control socket: HTTP over a Unix socket.

Apart because it is the only place that knows this protocol. Every call is bounded in time by the caller, since
Litestream itself may hold an answer back for minutes while its S3 does not answer.
"""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .errors import DaemonUnreachable, SyncFailed, SyncTimedOut


@dataclass(frozen=True)
class DaemonInfo:
    """The running Litestream."""

    version: str
    pid: int
    uptime_seconds: int
    started_at: str
    database_count: int


@dataclass(frozen=True)
class DaemonDatabase:
    """A database as the running Litestream sees it."""

    path: str
    status: str
    last_sync_at: datetime | None


@dataclass(frozen=True)
class Synced:
    """The end of a sync: the transaction the database is at, and the one the replica is at."""

    txid: int
    replicated_txid: int


class Control:
    """The control socket of one Litestream; None where it has no socket, and then nobody ever answers."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def info(self, timeout: float = 2.0) -> DaemonInfo:
        """Return version, pid and age. :raises DaemonUnreachable: if nobody answers."""
        answer = self._get("/info", timeout)
        return DaemonInfo(
            version=str(answer.get("version", "")),
            pid=int(answer.get("pid", 0)),
            uptime_seconds=int(answer.get("uptime_seconds", 0)),
            started_at=str(answer.get("started_at", "")),
            database_count=int(answer.get("database_count", 0)),
        )

    def databases(self, timeout: float = 2.0) -> dict[str, DaemonDatabase]:
        """Return the databases by path. :raises DaemonUnreachable: if nobody answers."""
        listed = self._get("/list", timeout).get("databases") or []
        return {one["path"]: DaemonDatabase(one["path"], one["status"], _moment(one.get("last_sync_at"))) for one in listed}

    def sync(self, database: Path, timeout: float) -> Synced:
        """Bring the replica up to date and wait for it.

        :raises DaemonUnreachable: if nobody answers.
        :raises SyncFailed: with Litestream's reason.
        :raises SyncTimedOut: after `timeout` seconds.
        """
        body = {"path": str(database), "wait": True, "timeout": max(1, round(timeout))}
        try:
            status, answer = self._request("POST", "/sync", timeout + 1, body)
        except TimeoutError as error:
            raise SyncTimedOut(f"The replica was not up to date after {timeout:g} s.") from error
        if status != 200:
            raise _sync_error(str(answer.get("error", f"HTTP {status}")), timeout)
        return Synced(int(answer["txid"]), int(answer["replicated_txid"]))

    def _get(self, path: str, timeout: float) -> dict[str, Any]:
        try:
            _, answer = self._request("GET", path, timeout)
        except TimeoutError as error:
            raise DaemonUnreachable(f"Litestream did not answer within {timeout:g} s.") from error
        return answer

    def _request(self, method: str, path: str, timeout: float, body: object = None) -> tuple[int, dict[str, Any]]:
        if self.path is None:
            raise DaemonUnreachable("Your Litestream file enables no control socket, so Litestream cannot be asked.")
        connection = _UnixConnection(self.path, timeout)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"{}")
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DaemonUnreachable() from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("litestream", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def _sync_error(reason: str, timeout: float) -> SyncFailed | SyncTimedOut:
    if "deadline exceeded" in reason:
        return SyncTimedOut(f"The replica was not up to date after {timeout:g} s: {reason}")
    return SyncFailed(reason)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
