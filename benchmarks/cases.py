"""What is compared: a queue on a database. Another queue is a module in queues/ and a line here."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field

from .queues.base import Queue, tell_workers

OURS = "flask-queue"
ASYNC = "flask-queue async"
RAW = "raw"


@dataclass(frozen=True)
class Case:
    """A queue on a kind of database."""

    name: str
    database: str
    #: In queues/, with a class `Measured`.
    module: str
    #: What has to be installed for it.
    packages: tuple[str, ...] = ("flask_queue",)
    options: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> str:
        return f"{self.name} on {self.database}"

    @property
    def is_peer(self) -> bool:
        return self.name not in (OURS, ASYNC, RAW)

    @property
    def installed(self) -> bool:
        return all(importlib.util.find_spec(package) for package in self.packages)

    def open(self, url: str) -> Queue:
        """The queue on an empty database, ready to be filled."""
        tell_workers(url, self.options)
        module = importlib.import_module(f"{__package__}.queues.{self.module}")
        queue: Queue = module.Measured(url, self.options)
        queue.create()
        return queue


CASES = (
    Case(OURS, "sqlite", "ours"),
    Case(ASYNC, "sqlite", "ours", options={"job": "async"}),
    Case(RAW, "sqlite", "raw"),
    Case("huey", "sqlite", "huey", ("huey",)),
    Case("huey fsync", "sqlite", "huey", ("huey",), {"fsync": "yes"}),
    Case(OURS, "postgresql", "ours"),
    Case(ASYNC, "postgresql", "ours", options={"job": "async"}),
    Case(RAW, "postgresql", "raw"),
    Case("huey", "postgresql", "huey", ("huey",)),
    Case("procrastinate", "postgresql", "procrastinate", ("procrastinate",)),
    Case("pgqueuer", "postgresql", "pgqueuer", ("pgqueuer", "asyncpg")),
    Case("rq", "redis", "rq", ("rq",)),
    Case("celery", "redis", "celery", ("celery", "redis")),
)

#: For growth only.
LIMITED_NAME = "flask-queue limited"
LIMITED = tuple(Case(LIMITED_NAME, database, "ours", options={"job": "limited"}) for database in ("sqlite", "postgresql"))


def named(key: str) -> Case:
    """The case with this key."""
    return next(case for case in (*CASES, *LIMITED) if case.key == key)
