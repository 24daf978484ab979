"""Bring the recurring tasks of the configuration into the database, each by itself: one that cannot be harms no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..client.recurring import static_values
from ..config import Configuration, RecurringTask
from ..database import is_outage
from ..errors import ConfigurationError
from ..operations import recurring
from ..processes.runtime import Runtime


class StaticTasks:
    """What a supervisor has to do once in its life. Who only works or dispatches leaves the tasks alone."""

    def __init__(self, runtime: Runtime, configuration: Configuration) -> None:
        self._runtime = runtime
        tasks = [task for task in configuration.recurring_tasks if task.enabled]
        self._keys = [task.key for task in tasks]
        #: What is still to be done: remove those that the configuration has no more, and write these.
        self._must_remove = configuration.owns_recurring_tasks
        self._unwritten = tasks if configuration.owns_recurring_tasks else []

    def synchronize(self) -> None:
        """Do what is left to do. It raises while the database is away; the next call goes on from there."""
        if self._must_remove:
            self._transact([])
            self._must_remove = False
        while self._unwritten:
            self._write(self._unwritten[0])
            self._unwritten.pop(0)

    def _write(self, task: RecurringTask) -> None:
        """Write one task, or report why that is impossible."""
        client = self._runtime.client
        try:
            definition = client.definitions.find(task.job)
            if definition is not None:
                self._transact([static_values(client, task, definition.name)])
        except Exception as error:
            if is_outage(error):
                raise
            impossible = ConfigurationError(f"Recurring task {task.key!r} is left as it was: {error}")
            impossible.__cause__ = error
            self._runtime.handle_thread_error(impossible)

    def _transact(self, rows: Sequence[dict[str, Any]]) -> None:
        self._runtime.database.transact(lambda connection: recurring.synchronize(connection, rows, keep=self._keys))
