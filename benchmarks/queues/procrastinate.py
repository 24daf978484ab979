"""Procrastinate on PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import procrastinate
import psycopg

from ..databases import durability
from ..marks import mark
from ..processes import Command
from .base import Queue, url_of_worker

#: For throughput: processes, and tasks at a time in each.
PROCESSES, CONCURRENCY = 2, 3
#: As many connections as tasks, and one more, as its documentation says.
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url_of_worker(), max_size=CONCURRENCY + 1))


async def body(number: int) -> int:
    return mark(number)


job = app.task(name="job")(body)


class Measured(Queue):
    """Procrastinate; finished jobs are kept."""

    def create(self) -> None:
        app.open()
        app.schema_manager.apply_schema()
        self.connection = psycopg.connect(self.url, autocommit=True)

    def enqueue(self, number: int) -> None:
        job.defer(number=number)

    def enqueue_many(self, numbers: range) -> None:
        job.batch_defer(*({"number": number} for number in numbers))

    def workers(self, *, tuned: bool) -> Sequence[Command]:
        if not tuned:
            return [[sys.executable, "-m", "procrastinate", "--app", f"{__name__}.app", "worker"]]
        # Its command writes log lines for each job.
        code = f"from {__name__} import app; app.run_worker(concurrency={CONCURRENCY})"
        return [[sys.executable, "-c", code]] * PROCESSES

    def finished(self) -> int:
        return int(self._scalar("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"))

    def clear(self) -> None:
        self.connection.execute("TRUNCATE procrastinate_jobs CASCADE")

    def durability(self) -> str:
        return durability(self.url, self._scalar)

    def _scalar(self, statement: str) -> Any:
        row = self.connection.execute(statement).fetchone()
        assert row
        return row[0]
