"""What job bodies really did, written outside the queue's database: the queue cannot be its own witness."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One line: a body that began or came to its end."""

    key: str
    event: str
    job_id: int | None
    pid: int
    thread: int
    at: float


class Ledger:
    """An append-only file. Any number of processes may write; a line is one write, so lines never mix."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def write(self, key: str, event: str, job_id: int | None = None) -> None:
        entry = Entry(key, event, job_id, os.getpid(), threading.get_ident(), time.time())
        line = json.dumps(asdict(entry)).encode() + b"\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    @contextmanager
    def running(self, key: str, job_id: int | None = None) -> Iterator[None]:
        """Around a body: its start, and its end unless the process dies in between."""
        self.write(key, "start", job_id)
        try:
            yield
        finally:
            self.write(key, "end", job_id)

    def entries(self) -> list[Entry]:
        if not self.path.exists():
            return []
        return [Entry(**json.loads(line)) for line in self.path.read_text().splitlines()]

    def starts(self) -> list[Entry]:
        return [entry for entry in self.entries() if entry.event == "start"]

    def ends(self) -> list[Entry]:
        return [entry for entry in self.entries() if entry.event == "end"]

    def started(self, key: str) -> bool:
        return any(entry.key == key for entry in self.starts())

    def ended(self, key: str) -> bool:
        return any(entry.key == key for entry in self.ends())

    def starts_of_each(self) -> Counter[str]:
        """How often each key began."""
        return Counter(entry.key for entry in self.starts())

    def starts_of_each_job(self) -> Counter[int]:
        """How often each row of the queue began."""
        return Counter(entry.job_id for entry in self.starts() if entry.job_id is not None)

    def most_at_once(self, *keys: str) -> int:
        """The most bodies of these keys (of all, without any) that ran at the same time. A body without an end counts on."""
        running = most = 0
        for entry in sorted(self.entries(), key=lambda entry: entry.at):
            if keys and entry.key not in keys:
                continue
            running += {"start": 1, "end": -1}.get(entry.event, 0)
            most = max(most, running)
        return most
