"""How cost grows with the number of rows: claiming, ending, enqueuing and looking at the overview, from 1,000 rows on.

The queue's own operations run in this process, so that what is timed is the database's work and not a worker's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from flask_login import LoginManager
from sqlalchemy import ColumnElement, func, literal_column, select

from flask_queue.database import now_plus
from flask_queue.models import Kind, jobs
from flask_queue.models.job import is_ready
from flask_queue.operations import registration
from flask_queue.operations.claim import Claim, claim
from flask_queue.operations.dispatch import dispatch
from flask_queue.operations.finish import finishing
from flask_queue.operations.selectors import Selector

from . import databases
from .cases import CASES, LIMITED, LIMITED_NAME, OURS
from .compare import Progress, Results, compare
from .figures import Sizes, percentile
from .queues.ours import db, make_app, plain, queue

QUEUES = [f"{kind}-{number:02}" for kind in ("mail", "report", "sync", "import", "push") for number in range(10)]
PAUSED = [name for name in QUEUES if name.endswith("-09")]
SELECTOR = Selector.parse(["mail*", "report*", "sync*", "import*", "push*"])
#: How many jobs a claim takes, and how many a dispatcher moves at a time.
CLAIMED, DISPATCHED = 10, 500
#: What is called before anything is timed: statements are compiled, pages are read.
WARM_UP = 5


@dataclass(frozen=True)
class Scale:
    """How far to go."""

    rows: tuple[int, ...]
    enqueued: int = 200
    claims: int = 100
    pages: int = 10
    scheduled: int = 100_000
    drain: Sizes = field(default_factory=lambda: Sizes(drain_seconds=20))
    repetitions: int = 3


FULL = Scale((1_000, 10_000, 100_000, 1_000_000))
SMALL = Scale((1_000, 2_000), 20, 20, 2, 1_000, Sizes(drain=200, patience=0), 1)


@dataclass
class Growth:
    """What was measured: for each database, operation and number of rows p50 and p99 in milliseconds, and the rest."""

    machine: dict[str, str]
    #: By database, operation ("claim", …), number of rows.
    operations: dict[str, dict[str, dict[int, list[float]]]] = field(default_factory=dict)
    #: Seconds to make so many due jobs ready, by database.
    dispatch: dict[str, dict[str, float]] = field(default_factory=dict)
    #: Jobs a second of each repetition without and with a limit, by database and case.
    limited: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def note(self, database: str, operation: str, rows: int, calls: Sequence[float]) -> None:
        """Keep what is typical and what is not."""
        of_operation = self.operations.setdefault(database, {}).setdefault(operation, {})
        of_operation[rows] = [percentile(calls, 50), percentile(calls, 99)]


def grow(names: Sequence[str], scale: Scale, growth: Growth, folder: Path, progress: Progress) -> None:
    """Measure on each kind of database."""
    for name in names:
        with databases.fresh(name, folder) as url:
            table = Table(url)
            for rows in scale.rows:
                progress(f"{name}: filling up to {rows:,} ready and {rows:,} finished jobs")
                table.fill(rows)
                progress(f"{name}: enqueuing, claiming, looking, with {rows:,}")
                for operation, calls in table.measure(scale).items():
                    growth.note(name, operation, rows, calls)
            progress(f"{name}: dispatching {scale.scheduled:,} due jobs")
            growth.dispatch[name] = {"jobs": scale.scheduled, "seconds": table.dispatch(scale.scheduled)}
            table.close()
    compare_limited(names, scale, growth, folder, progress)


class Table:
    """A table of jobs that gets longer and longer, and a worker on it."""

    def __init__(self, url: str) -> None:
        self.app = make_app(url)
        self.context = self.app.app_context()
        self.context.push()
        db.create_all()
        let_everybody_in(self.app)
        for name in PAUSED:
            queue.queues[name].pause()
        self.of_process = queue.database.private()  # the sessions of processes are told how to plan
        self.worker_id = queue.database.transact(
            lambda connection: registration.register(
                connection, Kind.WORKER, "growth", pid=os.getpid(), hostname="here", metadata={}, supervisor_id=None
            )
        )

    def close(self) -> None:
        """Close all connections, so that the database can be dropped."""
        self.of_process.dispose()
        queue.database.dispose()
        for engine in db.engines.values():
            engine.dispose()
        self.context.pop()

    def fill(self, rows: int) -> None:
        """Bring the table to `rows` ready jobs, and as many finished ones that ended in the course of the last day."""
        if not self._count("ready"):
            queue.enqueue_all([plain.using(queue=name).build(0) for _ in range(10) for name in QUEUES])
        while missing := rows - self._count("ready"):  # each time twice as many
            self._copy(missing)
        ended_at = now_plus(-(jobs.c.id % 86_400))
        self._copy(rows - self._count("finished"), state=literal_column("'finished'"), finished_at=ended_at)
        self._analyze()

    def _count(self, state: str) -> int:
        with queue.database.connect() as connection:
            rows = select(func.count()).select_from(jobs).where(jobs.c.state == state)
            return int(connection.execute(rows).scalar_one())

    def _copy(self, limit: int, **changes: ColumnElement[Any]) -> None:
        """Add copies of up to so many ready jobs, changed."""
        columns = {column.name: column for column in jobs.c if column.name != "id"}
        rows = select(*(columns | changes).values()).where(is_ready).order_by(jobs.c.id).limit(max(limit, 0))
        queue.database.transact(lambda connection: connection.execute(jobs.insert().from_select(list(columns), rows)))

    def _analyze(self) -> None:
        """What autovacuum does on PostgreSQL within minutes, and MariaDB by itself."""
        statements = {"postgresql": "VACUUM (ANALYZE) queue_jobs", "mysql": "ANALYZE TABLE queue_jobs"}
        statement = statements.get(queue.database.dialect_name)
        if statement:
            with queue.database.connect() as connection:
                connection.exec_driver_sql(statement).close()

    def measure(self, scale: Scale) -> dict[str, list[float]]:
        """How long each call took, in milliseconds, by operation."""
        claimed: list[Claim] = []
        return {
            "enqueue": timed(scale.enqueued, lambda: plain.using(queue="push-01").enqueue(0)),
            "claim": timed(scale.claims, lambda: claimed.extend(self.claim())),
            "finish": timed(scale.claims, lambda: self.finish([claimed.pop() for _ in range(CLAIMED)])),
            "overview": timed(scale.pages, self.overview),
        }

    def claim(self) -> list[Claim]:
        """Take the next jobs, as a worker does in one transaction."""
        return self.of_process.transact(
            lambda connection: claim(connection, SELECTOR, limit=CLAIMED, process_id=self.worker_id)
        )

    def finish(self, claims: Sequence[Claim]) -> None:
        """Write down that they are through."""
        self.of_process.transact(lambda connection: finishing(claims, preserve=True).take(connection))

    def overview(self) -> None:
        """The first page of the dashboard, from request to response."""
        response = self.app.test_client().get("/jobs/")
        assert response.status_code == 200, response.status

    def dispatch(self, due: int) -> float:
        """Seconds in which a dispatcher makes `due` jobs ready that were scheduled."""
        self._copy(due, state=literal_column("'scheduled'"), scheduled_at=now_plus(-60))
        self._analyze()
        began = time.perf_counter()
        while self.of_process.transact(lambda connection: dispatch(connection, {}, batch_size=DISPATCHED)) == DISPATCHED:
            pass
        return time.perf_counter() - began


def timed(times: int, call: Callable[[], object]) -> list[float]:
    """How long each call takes, in milliseconds, without the first few."""
    took = []
    for _ in range(WARM_UP + times):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1000)
    return took[WARM_UP:]


class Admin:
    """Whoever asks."""

    is_authenticated = is_admin = True


def let_everybody_in(app: Flask) -> None:
    """Show the dashboard without a login, in this process and to nobody else."""
    LoginManager(app).request_loader(lambda request: Admin())


def compare_limited(names: Sequence[str], scale: Scale, growth: Growth, folder: Path, progress: Progress) -> None:
    """How fast workers drain jobs of 1,000 concurrency keys, one at a time of each, beside jobs without any."""
    cases = [case for case in (*CASES, *LIMITED) if case.name in (OURS, LIMITED_NAME) and case.database in names]
    results = Results(repetitions=scale.repetitions, sizes=scale.drain.as_dict())
    compare(cases, ["drain"], scale.drain, results, folder, progress)
    growth.errors += results.errors
    for row in results.rows:
        name, _, database = row["case"].partition(" on ")
        growth.limited.setdefault(database, {}).setdefault(name, []).append(row["values"]["rate"])
