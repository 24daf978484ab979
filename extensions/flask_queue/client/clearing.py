"""Delete finished jobs that have been kept long enough, in short transactions."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from ..config.values import LARGEST, Refused, duration
from ..errors import ConfigurationError
from ..globals import running_job
from ..operations.clear import clear_finished as clear_batch
from ..operations.clear import clear_keys

if TYPE_CHECKING:
    from .client import Client


def clear_finished(
    client: Client, older_than: timedelta | float | None, *, name: str | None, batch_size: int, pause: float
) -> int:
    """See `FlaskQueue.clear_finished`. Inside a job it stops early when its worker is told to stop."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= LARGEST:
        raise ConfigurationError(f"batch_size={batch_size!r}: a whole number from 1 to {LARGEST}.")
    seconds = client.settings.clear_finished_jobs_after if older_than is None else _seconds(older_than)
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


def _seconds(older_than: object) -> float:
    try:
        return float(duration(zero=True)(older_than))
    except Refused as refused:
        raise ConfigurationError(f"older_than={older_than!r}: {refused}.") from None


def _is_stopping() -> bool:
    job = running_job.get()
    return job is not None and job.is_stopping()
