"""Delete finished jobs that have been kept long enough, in short transactions."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from ..config.values import LARGEST, checked, duration, integer
from ..globals import running_job
from ..operations.clear import clear_finished as clear_batch
from ..operations.clear import clear_keys

if TYPE_CHECKING:
    from .client import Client


def clear_finished(
    client: Client, older_than: timedelta | float | None, *, name: str | None, batch_size: int, pause: float
) -> int:
    """See `FlaskQueue.clear_finished`. Inside a job it stops early when its worker is told to stop."""
    checked("batch_size", batch_size, integer(1, LARGEST))
    kept = client.settings.clear_finished_jobs_after
    seconds: float = kept if older_than is None else checked("older_than", older_than, duration(zero=True))
    cleared = 0
    while True:
        size = client.database.transact(
            lambda connection: clear_batch(connection, older_than=seconds, name=name, batch_size=batch_size)
        )
        cleared += size
        if size < batch_size or _is_stopping():
            break
        time.sleep(pause)
    client.database.transact(lambda connection: clear_keys(connection, older_than=seconds))
    client.events.emit("clear_finished", size=cleared)
    return cleared


def _is_stopping() -> bool:
    job = running_job.get()
    return job is not None and job.is_stopping()
