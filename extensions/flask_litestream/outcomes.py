"""Remember how the last verification of each database ended, for the page, the queue's dashboard and health checks.

A JSON file in the instance folder, not a table: the extension has no tables of its own, the file survives a restart,
every process of this machine sees it, and it does not depend on the databases whose backups it judges.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from .files import locked, write_private


@dataclass(frozen=True)
class Verification:
    """How one verification of one database ended.

    :param reason: None if the backup is proved; else one word of `verification.REASONS`.
    :param message: what happened, in a sentence.
    :param duration: seconds from the first step to the last.
    :param lag: how many seconds old the last sync was when the verification began, if Litestream said so.
    :param sync_duration: seconds until the replica was up to date.
    :param restore_duration: seconds the restore took.
    :param txid: the transaction that was restored.
    :param last_success_at: when this database was last proved.
    """

    database: str
    started_at: datetime
    duration: float
    reason: str | None
    message: str
    lag: float | None = None
    sync_duration: float | None = None
    restore_duration: float | None = None
    txid: str | None = None
    last_success_at: datetime | None = None

    @property
    def ok(self) -> bool:
        """Whether the backup is proved."""
        return self.reason is None

    def to_json(self) -> dict[str, Any]:
        """Return it with its times as text."""
        plain = asdict(self) | {"ok": self.ok}
        return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in plain.items()}


class Outcomes:
    """The last verification of each database, in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> dict[str, Verification]:
        """Return the last verifications by database. A file that cannot be read says nothing."""
        return {name: _verification(one) for name, one in self._read()["verifications"].items()}

    def record(self, verification: Verification) -> Verification:
        """Keep a verification in place of the database's last one, and return it with the time of its last success."""
        with self._changing() as state:
            earlier = state["verifications"].get(verification.database) or {}
            success = verification.started_at if verification.ok else _moment(earlier.get("last_success_at"))
            kept = replace(verification, last_success_at=success)
            state["verifications"][verification.database] = kept.to_json()
        return kept

    def watch(self, now: datetime) -> None:
        """Note since when backups are wanted, so that one that is never verified is missed some day."""
        if self.watched_since() is None:
            with self._changing() as state:
                state["since"] = now.isoformat()

    def watched_since(self) -> datetime | None:
        """Return when replication was first started here."""
        return _moment(self._read().get("since"))

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """Read, let the block change, write: one process at a time, and no reader ever sees half of it."""
        with locked(self.path.with_suffix(".lock")):
            state = self._read()
            yield state
            write_private(self.path, json.dumps(state, indent=2) + "\n")

    def _read(self) -> dict[str, Any]:
        try:
            state = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            state = {}
        return {"verifications": {}, **(state if isinstance(state, dict) else {})}


def _verification(kept: Mapping[str, Any]) -> Verification:
    known: dict[str, Any] = {key: kept.get(key) for key in Verification.__dataclass_fields__}
    for key in ("started_at", "last_success_at"):
        known[key] = _moment(known[key])
    return Verification(**known)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
