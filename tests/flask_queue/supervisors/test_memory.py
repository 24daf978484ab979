"""What a supervisor leaves for its children to share."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.sql.compiler import SQLCompiler

from flask_queue import FlaskQueue
from flask_queue.database.kept import lives
from flask_queue.database.prepared import _all as prepared_statements
from flask_queue.errors import ProcessMissingError
from flask_queue.operations import registration
from flask_queue.operations.dispatch import anything_due, dispatch
from flask_queue.operations.failure import Failure
from flask_queue.operations.marks import Marks
from flask_queue.operations.recover import fail_unknown
from flask_queue.operations.unblock import blocked_keys
from flask_queue.supervisors.maintenance import Maintenance
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


#: Says how many heaps there are once some threads have asked for memory.
HEAPS = """
import ctypes, threading
from flask_queue.supervisors import memory

memory.fill_holes()
library = ctypes.CDLL(None)
library.malloc.restype = library.fopen.restype = ctypes.c_void_p
library.malloc_info.argtypes, library.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
barrier = threading.Barrier(4)

def ask():
    barrier.wait()
    library.malloc(100_000)
    barrier.wait()

threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
stream = library.fopen(b"/dev/stdout", b"w")
library.malloc_info(0, stream)
library.fclose(stream)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others have but one heap, or do not say")
@pytest.mark.parametrize(("variables", "one"), [({}, True), ({"MALLOC_ARENA_MAX": "8"}, False)])
def test_threads_of_a_child_share_a_heap_unless_an_operator_says_otherwise(variables: dict[str, str], one: bool) -> None:
    environment = {**os.environ, **variables}
    found = subprocess.run([sys.executable, "-c", HEAPS], capture_output=True, text=True, check=True, env=environment).stdout
    assert (found.count("<heap nr=") == 1) == one


@pytest.mark.databases("sqlite", "postgresql")
def test_children_find_the_statements_of_the_hot_path_written(
    app: Flask, queue: FlaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy's compiler would touch megabytes in each of them."""
    job, other = plain(queue), limited(queue)
    queue.enqueue_all([*(job.build() for _ in range(9)), *(other.build("key") for _ in range(2))])
    job.using(wait=0.001).enqueue()
    failure = Failure.of(ProcessMissingError("never heard of it"))
    for prepared in prepared_statements:  # what other tests have left
        prepared._ready.clear()
        prepared._after.clear()
        prepared._statement = None
    database = queue.database
    database.prepare()
    for prepared in prepared_statements:
        assert bool(prepared._ready) == (prepared.written_for in (None, database.dialect_name)), (
            "no others than are of use here"
        )
        assert prepared._statement is None, "of what SQLAlchemy has written it the text is enough"
    written: list[str] = []
    write = SQLCompiler.__init__

    def noted(compiler: SQLCompiler, dialect: Any, statement: Any, *arguments: Any, **options: Any) -> None:
        write(compiler, dialect, statement, *arguments, **options)
        written.append(str(compiler))

    monkeypatch.setattr(SQLCompiler, "__init__", noted)
    worker = WorkerByHand(queue, marks=Marks() if database.keeps_what_is_gone else None)
    with database.connect() as connection:
        assert lives(database.engine.dialect, connection.connection.dbapi_connection)
        assert registration.heartbeat(connection, worker.id)
        assert fail_unknown(connection, worker.id, [], failure, queue.definitions, older_than=60).job_ids == ()
        assert blocked_keys(connection, limit=2) == ["limited/key"]
        assert anything_due(connection)
        assert dispatch(connection, queue.definitions, batch_size=5) == 1
    Maintenance(queue.runtime(), worker.id).run_if_due()
    assert worker.looks()
    claims = worker.claim(3)
    for _ in range(5):  # limited ones are among them
        claims = worker.finish_and_claim(claims, 3)
    worker.vanish()
    assert written == []
    assert queue.jobs.finished.count() == 12
