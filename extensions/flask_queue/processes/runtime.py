"""What a process is handed: one application's queue, and the few things that only the application can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine

from ..client import Client
from ..config import Settings
from ..database import Database
from ..events import Events, Hooks
from ..jobs.definition import Definitions


@dataclass(frozen=True)
class Runtime:
    """Everything around a process.

    :param job_context: entered around each job: the application's context, with a fresh session.
    :param report: told of every error that failed a job for good.
    :param engines: all that may have connections open, which a forked child must not use; see `connected`.
    :param pulse: the database through connections for a process's heartbeat alone, where they are made beforehand.
    """

    client: Client
    hooks: Hooks
    job_context: Callable[[], AbstractContextManager[Any]]
    report: Callable[[BaseException], None]
    engines: Sequence[Engine]
    pulse: Database | None = None

    @property
    def settings(self) -> Settings:
        return self.client.settings

    @property
    def database(self) -> Database:
        return self.client.database

    @property
    def definitions(self) -> Definitions:
        return self.client.definitions

    @property
    def events(self) -> Events:
        return self.client.events

    def private(self) -> Runtime:
        """The same through database connections of its own, for one process."""
        database, pulse = (self.database.private(quiet=self.settings.silence_polling) for _ in range(2))
        return replace(self, client=replace(self.client, database=database, interceptor=None), pulse=pulse)

    def call_hooks(self, event: str, process: object) -> None:
        """Call the user's hooks for `event`. One that raises is reported, and stops nothing."""
        for hook in self.hooks.of(event):
            try:
                hook(process)
            except Exception as error:
                self.handle_thread_error(error)

    def handle_thread_error(self, error: BaseException) -> None:
        """Report an error of the machinery, never one of a job, once."""
        self.events.emit("thread_error", error=error, handled=bool(self.hooks.error_handlers))
        for handler in self.hooks.error_handlers:
            try:
                handler(error)
            except Exception as broken:
                self.events.emit("thread_error", error=broken, handled=False)
