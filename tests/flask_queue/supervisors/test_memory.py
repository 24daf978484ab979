"""What a supervisor leaves for its children to share."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.database.prepared import Prepared
from tests.flask_queue.operations.by_hand import WorkerByHand
from tests.flask_queue.operations.declared import limited, plain

#: In a process of its own, as what is taken is never given back.
HOLES = """
import ctypes
from flask_queue.supervisors import memory

library = ctypes.CDLL(None)
library.mallinfo2.restype = memory._HeapInfo
library.malloc.restype, library.malloc.argtypes, library.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def holes():
    info = library.mallinfo2()
    return info.fordblks - info.keepcost

pieces = [library.malloc(size) for size in (100, 300, 700, 3000) for _ in range(2000)]
for piece in pieces[::2]:
    library.free(piece)
before = holes()
memory.fill_holes()
print(before, holes())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is nothing to fill elsewhere than with the GNU C library")
def test_what_children_ask_for_comes_from_pages_of_their_own() -> None:
    """From between other things, it would cost each of them a copy of a page."""
    found = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True).stdout
    before, after = map(int, found.split())
    assert before > 3_000_000
    assert after < before / 20


@pytest.mark.databases("sqlite", "postgresql")
def test_children_find_the_statements_of_the_hot_path_written(
    app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy's compiler would touch megabytes in each of them."""
    job, other = plain(queue), limited(queue)
    queue.enqueue_all([*(job.build() for _ in range(5)), *(other.build("key") for _ in range(2))])
    worker = WorkerByHand(queue)
    queue.database.prepare()
    written: list[str] = []
    write = Prepared._prepare

    def noted(prepared: Prepared, dialect: object) -> object:
        written.append(str(prepared.statement))
        return write(prepared, dialect)  # type: ignore[arg-type]

    monkeypatch.setattr(Prepared, "_prepare", noted)
    assert worker.looks()
    worker.finish(*worker.claim(3))
    worker.finish(*worker.claim(3))
    worker.close()
    assert written == []
