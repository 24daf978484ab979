"""PgQueuer on PostgreSQL, through asyncpg."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pgqueuer
import uvloop
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from ..databases import durability
from ..marks import mark
from ..processes import Command
from .base import Queue, url_of_worker

#: For throughput: processes, and jobs that each takes at a time.
PROCESSES, BATCH = 2, 100


async def body(job: Any) -> None:
    mark(int(job.payload))


@asynccontextmanager
async def manager() -> AsyncIterator[Any]:
    """The worker, as its documentation has one made."""
    connection = await asyncpg.connect(url_of_worker())
    worker = pgqueuer.PgQueuer(AsyncpgDriver(connection))

    worker.entrypoint("job")(body)
    try:
        yield worker
    finally:
        await connection.close()


def work(**options: int) -> None:
    """What its command `pgq run` does."""
    uvloop.run(pgqueuer.run(manager, **options))


class Measured(Queue):
    """PgQueuer; of finished jobs its log is kept."""

    def create(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.connection = self._wait(asyncpg.connect(self.url))
        self.queries = Queries(AsyncpgDriver(self.connection))
        self._wait(self.queries.install())

    def enqueue(self, number: int) -> None:
        self._wait(self.queries.enqueue("job", str(number).encode()))

    def enqueue_many(self, numbers: range) -> None:
        size = len(numbers)
        self._wait(self.queries.enqueue(["job"] * size, [str(number).encode() for number in numbers], [0] * size))

    def workers(self, *, tuned: bool) -> Sequence[Command]:
        options = f"batch_size={BATCH}" if tuned else ""
        command = [sys.executable, "-c", f"from {__name__} import work; work({options})"]
        return [command] * (PROCESSES if tuned else 1)

    def finished(self) -> int:
        return int(self._scalar("SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"))

    def clear(self) -> None:
        self._wait(self.connection.execute("TRUNCATE pgqueuer, pgqueuer_log"))

    def durability(self) -> str:
        return durability(self.url, self._scalar)

    def _scalar(self, statement: str) -> Any:
        return self._wait(self.connection.fetchval(statement))

    def _wait(self, work: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await work

        return self.loop.run_until_complete(wait())
