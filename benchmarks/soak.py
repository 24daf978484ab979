"""A steady stream of jobs for long: whether the queue is as fast at the end, on a table that has grown all the time."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text

from flask_queue.database import Database

from . import databases, processes
from .cases import CASES, OURS
from .compare import Progress
from .figures import percentile
from .marks import Marks
from .measure import wait_for
from .queues.base import Queue
from .queues.ours import queue
from .table import machine_line, markdown

#: How many calls a second enqueue the stream, many jobs at once.
BEAT = 0.1
#: To find the peak, no more jobs than this wait at a time.
BACKLOG = 5_000
_DEAD = text("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'queue_jobs'")


@dataclass(frozen=True)
class Length:
    """For how long, in seconds, and in how many slices the steady part is looked at."""

    steady: float
    warm_up: float = 5.0
    peak: float = 20.0
    slices: int = 10


SHORT = Length(steady=2.0, warm_up=0.2, peak=1.0, slices=2)


@dataclass
class Soak:
    """What was measured, by database: peak and rate in jobs a second, and a line for each slice of time."""

    machine: dict[str, str]
    databases: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def soak(names: Sequence[str], length: Length, soaked: Soak, folder: Path, progress: Progress) -> None:
    """Measure on each kind of database: the peak of enqueuing and running at once, then half of it for long."""
    os.chdir(folder)
    for name in names:
        case = next(case for case in CASES if case.name == OURS and case.database == name)
        with databases.fresh(name, folder) as url:
            opened = case.open(url)
            marks = Marks(folder / f"marks-{name}")
            with processes.running(opened.workers(tuned=True), folder, opened.ending) as workers:
                stream = Stream(opened, marks)
                opened.enqueue_many(stream.numbered(1))
                wait_for(marks, 1, workers)
                progress(f"{name}: looking for the peak")
                stream.peak(length.warm_up)
                peak = stream.peak(length.peak)
                wait_for(marks, stream.enqueued, workers)
                found = soaked.databases[name] = {"peak": peak, "rate": peak / 2, "seconds": length.steady, "slices": []}
                for number in range(1, length.slices + 1):
                    progress(f"{name}: {peak / 2:,.0f} jobs a second, part {number} of {length.slices}")
                    family = processes.tree_of(workers)
                    found["slices"].append(stream.steady(peak / 2, length.steady / length.slices, family))
            queue.database.dispose()


class Stream:
    """Enqueues, and hears from the bodies when they began."""

    def __init__(self, opened: Queue, marks: Marks) -> None:
        self.enqueued = 0
        self._queue = opened
        self._marks = marks
        self._heard = 0
        #: For each call that enqueued jobs which have not all begun: the last of them, and when it was made.
        self._calls: deque[tuple[int, float]] = deque()

    def numbered(self, count: int) -> range:
        """The next so many jobs."""
        self.enqueued += count
        return range(self.enqueued - count, self.enqueued)

    def peak(self, seconds: float) -> float:
        """Jobs a second that begin while as many are enqueued as can be."""
        ends_at, before = time.monotonic() + seconds, len(self._marks)
        while time.monotonic() < ends_at:
            if self.enqueued - len(self._marks) < BACKLOG:
                self._queue.enqueue_many(self.numbered(BACKLOG // 5))
            else:
                time.sleep(0.001)
        return (len(self._marks) - before) / seconds

    def steady(self, rate: float, seconds: float, pids: Sequence[int]) -> dict[str, float]:
        """Enqueue at a rate, and say what became of it."""
        self._delays()  # those of before are not ours
        began = beat = time.monotonic()
        before, cpu = len(self._marks), processes.cpu_seconds(pids)
        while beat - began < seconds:
            self._calls.append((self.enqueued + int(rate * BEAT), time.monotonic()))
            self._queue.enqueue_many(self.numbered(int(rate * BEAT)))
            beat += BEAT
            time.sleep(max(0.0, beat - time.monotonic()))
        run = len(self._marks) - before
        used = processes.cpu_seconds(pids) - cpu
        delays = self._delays()
        return {
            "rate": run / (time.monotonic() - began),
            "p50_ms": percentile(delays, 50),
            "p99_ms": percentile(delays, 99),
            "backlog": self.enqueued - len(self._marks),
            "cpu_us": used / run * 1e6,
            "dead_rows": dead_rows(queue.database),
        }

    def _delays(self) -> list[float]:
        """Milliseconds from the call that enqueued a job to its beginning, of all jobs that were not asked about yet."""
        records = self._marks.records(self._heard)
        self._heard += len(records)
        delays = []
        for number, at in sorted(records):
            while self._calls and self._calls[0][0] <= number:
                self._calls.popleft()
            if self._calls:
                delays.append((at - self._calls[0][1]) * 1000)
        return delays


def dead_rows(database: Database) -> int:
    """The versions of rows that PostgreSQL has still to clean up, by its own estimate; 0 elsewhere."""
    if database.dialect_name != "postgresql":
        return 0
    with database.connect() as connection:
        return int(connection.execute(_DEAD).scalar_one())


def soak_report(soaked: Mapping[str, Any]) -> str:
    """The table, in Markdown: the beginning and the end of each run, and the worst of all its parts, each figure by itself."""
    header = ("", "jobs/s", "pickup p50, ms", "pickup p99, ms", "waiting", "workers' CPU, µs a job", "dead rows")
    body: list[Sequence[str]] = []
    for database, found in soaked["databases"].items():
        slices = found["slices"]
        body.append((f"**{database}**", *[""] * (len(header) - 1)))
        third = max(1, len(slices) // 3)
        for title, some in (("first third", slices[:third]), ("last third", slices[-third:])):
            body.append(_row(title, {key: median(one[key] for one in some) for key in some[0]}))
        worst = {key: (min if key == "rate" else max)(one[key] for one in slices) for key in slices[0]}
        body.append(_row("at worst", worst))
    lines = [
        f"- {database}: {found['rate']:,.0f} jobs/s, half of the {found['peak']:,.0f} that were enqueued and run at once "
        f"at most, for {found['seconds'] / 60:.0f} minutes."
        for database, found in soaked["databases"].items()
    ]
    return "\n".join([markdown(header, body), "", machine_line(soaked), *lines])


def _row(title: str, figures: Mapping[str, float]) -> Sequence[str]:
    rate, p50, p99, waiting, cpu, dead = figures.values()
    return (title, f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{waiting:,.0f}", f"{cpu:.0f}", f"{dead:,.0f}")
