"""Measure one case in this process: `compare` starts it anew for each, so that nothing of another case is left in it.

Reads its task as JSON from the command line, and writes a line of JSON for each step.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import processes
from .cases import named
from .databases import flush
from .figures import Sizes, Values, percentile
from .marks import Marks
from .queues.base import Queue

#: Between two jobs of a stream, and how much it varies, in seconds.
INTERVAL, JITTER = 0.06, 0.01
#: How long workers may take to begin a job.
PATIENCE = 30


@dataclass(frozen=True)
class Task:
    """What to measure. The folder is the current one, and empty."""

    case: str
    url: str
    groups: list[str]
    sizes: Sizes

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        fields = json.loads(text)
        return cls(**{**fields, "sizes": Sizes(**fields["sizes"])})


class NothingHappens(Exception):
    """The workers do not run jobs; the end of their log is in the message."""

    def __init__(self, what: str) -> None:
        log = Path("workers.log").read_text(errors="replace").strip()
        super().__init__(f"{what}; they wrote: {' | '.join(log.splitlines()[-5:])}")


class Measurement:
    """The figures of one queue, one after another; each begins with an empty queue."""

    def __init__(self, queue: Queue, url: str, sizes: Sizes) -> None:
        self.queue = queue
        self.url = url
        self.sizes = sizes
        self._streams = 0

    def has(self, group: str) -> bool:
        """Whether there is anything of the kind to measure."""
        if group == "bulk":
            return self.queue.has_bulk
        if group in ("default-drain", "pickup", "idle", "one-process") and not self.queue.has_defaults:
            return False
        if group == "one-process" and not self.queue.can_be_one_process:
            return False
        return group not in ("idle", "one-process") or processes.CAN_WEIGH

    def measure(self, group: str) -> Values:
        """The values of a group."""
        ways: dict[str, Callable[[], Values]] = {
            "enqueue": self.enqueue,
            "bulk": self.bulk,
            "drain": lambda: self.drain(tuned=True),
            "default-drain": lambda: self.drain(tuned=False),
            "pickup": self.pickup,
            "idle": self.idle,
            "one-process": self.one_process,
        }
        try:
            return ways[group]()
        finally:
            self.queue.clear()

    def enqueue(self) -> Values:
        """One job after another."""
        self._settle()
        calls = []
        for number in range(self.sizes.enqueue):
            began = time.perf_counter()
            self.queue.enqueue(number)
            calls.append((time.perf_counter() - began) * 1000)
        return {
            "rate": len(calls) / sum(calls) * 1000,
            "p50_ms": percentile(calls, 50),
            "p99_ms": percentile(calls, 99),
        }

    def bulk(self) -> Values:
        """All in one call."""
        self._settle()
        began = time.perf_counter()
        self.queue.enqueue_many(range(self.sizes.bulk))
        return {"rate": self.sizes.bulk / (time.perf_counter() - began)}

    def drain(self, *, tuned: bool) -> Values:
        """From the start of the first body until the database says that all are finished, or time is up."""
        size = self.sizes.drain
        self.queue.fill(range(size))
        marks = self._new_marks()
        self._settle()
        with self._workers(tuned=tuned) as workers:
            wait_for(marks, 1, workers)
            first = min(marks.began().values())
            self._wait_for_end(marks, first)
            finished, ended = self.queue.finished(), time.monotonic()
        began = len(marks.began())
        return {"rate": finished / (ended - first), "finished": finished, "repeated": len(marks) - began}

    def _wait_for_end(self, marks: Marks, first: float) -> None:
        """Ask the database only when all have begun, so that asking costs the workers nothing."""
        ends_at = first + self.sizes.drain_seconds
        while len(marks) < self.sizes.drain and time.monotonic() < ends_at:
            time.sleep(0.01)
        while time.monotonic() < ends_at and self.queue.finished() < self.sizes.drain:
            time.sleep(0.005)

    def pickup(self) -> Values:
        """A stream of single jobs to workers that have nothing else to do."""
        return self._pickup(self.queue.workers(tuned=False))

    def one_process(self) -> Values:
        """What workers that are one process take, after the same."""
        return {"pss": self._pickup(self.queue.in_one_process())["pss"]}

    def _pickup(self, commands: Sequence[processes.Command]) -> Values:
        size = self.sizes.pickup
        marks = self._new_marks()
        self._settle()
        with self._running(commands) as workers:
            self._warm_up(marks, size, workers)
            called = self._stream(size)
            wait_for(marks, size + 1, workers)
            pss = processes.pss_megabytes(processes.tree_of(workers))
        began = marks.began()
        delays = [(began[number] - called[number]) * 1000 for number in range(size)]
        return {"delays_ms": delays} | ({"pss": pss} if processes.CAN_WEIGH else {})

    def _stream(self, size: int) -> list[float]:
        """Enqueue at an uneven pace, so as not to meet the workers' own rhythm; gives when each call was made."""
        uneven = random.Random(size)
        called = []
        for number in range(size):
            time.sleep(INTERVAL + uneven.uniform(-JITTER, JITTER))
            called.append(time.monotonic())
            self.queue.enqueue(number)
        return called

    def idle(self) -> Values:
        """What waiting costs."""
        marks = self._new_marks()
        with self._workers(tuned=False) as workers:
            self._warm_up(marks, 0, workers)
            time.sleep(self.sizes.quiet_seconds)
            family = processes.tree_of(workers)
            before, began = processes.cpu_seconds(family), time.monotonic()
            time.sleep(self.sizes.idle_seconds)
            used, passed = processes.cpu_seconds(family) - before, time.monotonic() - began
        return {"cpu": used * 60 / passed}

    def _warm_up(self, marks: Marks, number: int, workers: processes.Workers) -> None:
        self.queue.enqueue(number)
        wait_for(marks, 1, workers)
        time.sleep(0.5)

    def _workers(self, *, tuned: bool) -> AbstractContextManager[processes.Workers]:
        return self._running(self.queue.workers(tuned=tuned))

    def _running(self, commands: Sequence[processes.Command]) -> AbstractContextManager[processes.Workers]:
        return processes.running(commands, Path.cwd(), self.queue.ending)

    def _new_marks(self) -> Marks:
        self._streams += 1
        return Marks(Path.cwd() / f"marks-{self._streams}")

    def _settle(self) -> None:
        """Let no measurement pay for what came before it."""
        flush(self.url)
        gives_up_at = time.monotonic() + self.sizes.patience
        while time.monotonic() < gives_up_at and processes.busy() > 0.15:
            pass


def wait_for(marks: Marks, number: int, workers: processes.Workers) -> None:
    """Wait until so many jobs have begun, but not for ever, nor for the dead."""
    gives_up_at = time.monotonic() + PATIENCE
    while len(marks) < number:
        if all(worker.poll() is not None for worker in workers):
            raise NothingHappens("the workers have ended")
        if time.monotonic() > gives_up_at:
            raise NothingHappens("the workers run no jobs")
        time.sleep(0.005)


def say(**line: Any) -> None:
    """Tell the process that asked."""
    print(json.dumps(line), flush=True)


def main(task: Task) -> None:
    """Measure, group after group. What fails is said, and the others are measured all the same."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    measurement = Measurement(named(task.case).open(task.url), task.url, task.sizes)
    say(durability=measurement.queue.durability())
    for group in filter(measurement.has, task.groups):
        say(doing=group)
        try:
            say(group=group, values=measurement.measure(group))
        except Exception as error:
            say(failed=group, error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(Task.from_json(sys.argv[1]))
