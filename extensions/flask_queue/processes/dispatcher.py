"""Moves scheduled jobs on when they are due, and looks after blocked ones now and then."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from ..config import DispatcherOptions
from ..models.process import Kind
from ..operations.dispatch import anything_due, dispatch
from ..operations.unblock import blocked_keys, unblock
from .registered import Process
from .runtime import Runtime


class Dispatcher(Process):
    """Scheduled → ready. Any number of dispatchers may run; they pass over each other's rows."""

    kind = Kind.DISPATCHER

    def __init__(self, runtime: Runtime, options: DispatcherOptions) -> None:
        super().__init__(runtime)
        self.polling_interval = options.polling_interval
        self.batch_size = options.batch_size
        self.concurrency_maintenance = options.concurrency_maintenance
        self.concurrency_maintenance_interval = options.concurrency_maintenance_interval
        self._maintained_at = float("-inf")
        self._last_key = ""

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "polling_interval": self.polling_interval,
            "batch_size": self.batch_size,
            "concurrency_maintenance_interval": self.concurrency_maintenance_interval,
        }

    def poll(self) -> float:
        if self.concurrency_maintenance and self._is_maintenance_due():
            self._maintain_concurrency()
        if self._anything_due():
            while not self.stopping and self.dispatch() >= self.batch_size:
                pass
        return self.polling_interval

    def _anything_due(self) -> bool:
        """Mostly there is nothing, and to find that out takes no transaction, which would keep other writers from SQLite."""
        with self.runtime.database.connect() as connection:
            return anything_due(connection)

    def dispatch(self) -> int:
        """Move one batch of due jobs on; how many there were."""
        size = self.runtime.database.transact(
            lambda connection: dispatch(connection, self.runtime.definitions, batch_size=self.batch_size)
        )
        if size:
            self.runtime.client.announcer.announce()
            self.runtime.client.announcer.notify_others()
            self.runtime.events.emit("dispatch_scheduled", batch_size=self.batch_size, size=size)
        return size

    def _is_maintenance_due(self) -> bool:
        return time.monotonic() - self._maintained_at >= self.concurrency_maintenance_interval

    def _maintain_concurrency(self) -> None:
        """Let in who was forgotten: a process died between an ending and the next job, a slot expired, a limit changed."""
        self._last_key = ""
        while not self.stopping and self._maintain_batch():
            pass
        self._maintained_at = time.monotonic()  # not before: one that fails is due again at once

    def _maintain_batch(self) -> bool:
        database, definitions = self.runtime.database, self.runtime.definitions
        with database.connect() as connection:
            keys = blocked_keys(connection, after=self._last_key, limit=self.batch_size)
        for key in keys:
            size = database.transact(partial(unblock, keys=[key], definitions=definitions, at_most=1))
            if size:
                self.runtime.client.announcer.announce()
                self.runtime.events.emit("release_many_blocked", limit=self.batch_size, size=size, key=key)
        self._last_key = keys[-1] if keys else ""
        return len(keys) == self.batch_size
