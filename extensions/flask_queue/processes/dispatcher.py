"""Moves scheduled jobs on when they are due, and looks after blocked ones now and then."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from ..config import DispatcherOptions
from ..models.process import Kind
from ..operations.dispatch import anything_due, dispatch
from ..operations.unblock import blocked_keys, first_in_lines, may_come_in, unblock
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
        #: Where the look at blocked keys has got to; empty between two rounds.
        self._last_key = ""
        #: There are more of them to look at before this round is over.
        self.has_more_keys = False

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "polling_interval": self.polling_interval,
            "batch_size": self.batch_size,
            "concurrency_maintenance_interval": self.concurrency_maintenance_interval,
        }

    def poll(self) -> float:
        try:
            self._dispatch_due()
        finally:  # after it, as no due job is to wait for that, and whatever became of it
            if self.concurrency_maintenance and self._is_maintenance_due():
                self._maintain_concurrency()
        return self.polling_interval

    def _dispatch_due(self) -> None:
        if self._anything_due():
            while not self.stopping and self.dispatch() >= self.batch_size:
                pass

    def _anything_due(self) -> bool:
        """Mostly there is nothing, and to find that out takes no transaction, which would keep other writers from SQLite."""
        with self.runtime.database.connect() as connection:
            return anything_due(connection)

    def dispatch(self) -> int:
        """Move one batch of due jobs on; how many there were."""
        size = self.runtime.client.transact(
            lambda connection: dispatch(connection, self.runtime.definitions, batch_size=self.batch_size)
        )
        if size:
            self.runtime.events.emit("dispatch_scheduled", batch_size=self.batch_size, size=size)
        return size

    def _is_maintenance_due(self) -> bool:
        return time.monotonic() - self._maintained_at >= self.concurrency_maintenance_interval

    def _maintain_concurrency(self) -> None:
        """Let in who was forgotten: a process died between an ending and the next job, a slot expired, a limit changed.

        One batch of keys at each poll, until the round through all of them is over.
        """
        self.has_more_keys = False
        try:
            self.has_more_keys = self._maintain_batch()
        except Exception as error:
            self.runtime.handle_thread_error(error)
        else:
            if not self.has_more_keys:
                self._last_key, self._maintained_at = "", time.monotonic()

    def _maintain_batch(self) -> bool:
        definitions = self.runtime.definitions
        with self.runtime.database.connect() as connection:
            keys = blocked_keys(connection, after=self._last_key, limit=self.batch_size)
            firsts = first_in_lines(connection, keys)
        for key in keys:
            if self.stopping:
                break
            self._last_key = key  # before: one that fails must not keep the round from those behind it
            if not may_come_in(firsts.get(key), definitions):  # most keys: a transaction for each would be in everybody's way
                continue
            ids = self.runtime.client.transact(partial(unblock, keys=[key], definitions=definitions, at_most=1))
            if ids:
                self.runtime.events.emit("release_many_blocked", size=len(ids), key=key)
        return len(keys) == self.batch_size
