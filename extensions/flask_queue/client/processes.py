"""`queue.processes`: who is registered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..operations.registration import registered

if TYPE_CHECKING:
    from .client import Client


@dataclass(frozen=True)
class ProcessRecord:
    """A registered process. `kind` is Supervisor, Worker, Dispatcher or Scheduler."""

    id: int
    kind: str
    name: str
    pid: int
    hostname: str
    supervisor_id: int | None
    started_at: datetime
    last_heartbeat_at: datetime
    #: How long ago that was, in seconds of the database's clock.
    silent_for: float
    metadata: dict[str, Any]
    #: It has not been heard of for longer than `QUEUE_ALIVE_THRESHOLD`.
    stale: bool


def list_processes(client: Client) -> list[ProcessRecord]:
    """All registered processes, the oldest first."""
    with client.database.connect() as connection:
        rows = registered(connection)
    threshold = client.settings.alive_threshold
    return [_record(row, threshold) for row in rows]


def _record(row: Any, threshold: float) -> ProcessRecord:
    silent_for = max(0.0, (row.now - row.last_heartbeat_at).total_seconds())
    return ProcessRecord(
        row.id,
        row.kind,
        row.name,
        row.pid,
        row.hostname,
        row.supervisor_id,
        row.started_at,
        row.last_heartbeat_at,
        silent_for,
        row.metadata,
        silent_for > threshold,
    )
