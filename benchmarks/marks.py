"""When each job body began, as the bodies themselves say: the queue under test is not asked.

A body appends one short record to a file, which takes one system call and no lock. What began twice is there twice.
"""

from __future__ import annotations

import os
import struct
import time
from functools import cache
from pathlib import Path

#: Where the bodies of a process find their file.
VARIABLE = "BENCHMARK_MARKS"
_RECORD = struct.Struct("<id")


@cache
def _file() -> int:
    return os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND)


def mark(number: int) -> int:
    """The body of every measured job: note that job `number` begins now."""
    os.write(_file(), _RECORD.pack(number, time.monotonic()))
    return number


class Marks:
    """What the bodies wrote. All processes of a machine share the clock behind `time.monotonic`."""

    def __init__(self, path: Path) -> None:
        """Make the file, and name it to the processes started from now on."""
        self._path = path
        path.touch()
        os.environ[VARIABLE] = str(path)

    def __len__(self) -> int:
        return self._path.stat().st_size // _RECORD.size

    def records(self, start: int = 0) -> list[tuple[int, float]]:
        """All beginnings from the one with index `start` on: the job's number, and when it was."""
        with self._path.open("rb") as file:
            file.seek(start * _RECORD.size)
            return list(_RECORD.iter_unpack(file.read((len(self) - start) * _RECORD.size)))

    def began(self) -> dict[int, float]:
        """The first beginning of each job."""
        first: dict[int, float] = {}
        for number, at in self.records():
            first[number] = min(at, first.get(number, at))
        return first
