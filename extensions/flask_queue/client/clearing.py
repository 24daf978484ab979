"""Delete finished jobs that have been kept long enough, and old locks of concurrency keys, in short transactions."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
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
    pause = checked("pause", pause, duration(zero=True))
    kept = client.settings.clear_finished_jobs_after
    seconds: float = kept if older_than is None else checked("older_than", older_than, duration(zero=True))
    cleared = _in_batches(client, partial(clear_batch, older_than=seconds, name=name), batch_size, pause)
    _in_batches(client, partial(clear_keys, older_than=seconds), batch_size, pause)
    client.events.emit("clear_finished", size=cleared)
    return cleared


def _in_batches(client: Client, batch: Callable[..., int], size: int, pause: float) -> int:
    total = 0
    while True:
        cleared = client.database.transact(partial(batch, batch_size=size))
        total += cleared
        if cleared < size or _is_stopping():
            return total
        time.sleep(pause)


def _is_stopping() -> bool:
    job = running_job.get()
    return job is not None and job.is_stopping()
