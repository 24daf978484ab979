"""huey on SQLite and PostgreSQL. By default it does not wait for SQLite's disk; option `fsync` makes it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

from huey import PostgresHuey, SqliteHuey

from ..databases import durability
from ..marks import mark
from ..processes import Command, script
from .base import Queue, option_of_worker, url_of_worker


def make_huey(url: str) -> Any:
    """The huey of a process."""
    if url.startswith("sqlite"):
        fsync = bool(option_of_worker("fsync"))
        return SqliteHuey("benchmark", filename=url.partition("///")[2], fsync=fsync, create_tables=False)
    return PostgresHuey("benchmark", dsn=url, create_tables=False)


huey = make_huey(url_of_worker())
job = huey.task(name="job")(mark)


class Measured(Queue):
    """huey; its results are kept, its jobs are gone when a worker takes them."""

    ending = signal.SIGINT
    has_bulk = False

    def create(self) -> None:
        huey.storage.initialize_schema()

    def enqueue(self, number: int) -> None:
        job(number)

    def workers(self, *, tuned: bool) -> Sequence[Command]:
        command = [script("huey_consumer"), f"{__name__}.huey"]
        # Without waiting for a disk, two processes only wait for one another.
        several = ["-k", "process", "-w", "2"] if option_of_worker("fsync") or self.url.startswith("postgresql") else []
        return [[*command, "--quiet", *several] if tuned else command]

    def finished(self) -> int:
        return int(huey.result_count())

    def clear(self) -> None:
        huey.flush()

    def durability(self) -> str:
        return durability(self.url, lambda statement: huey.storage.sql(statement, results=True)[0][0])
