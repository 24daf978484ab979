"""`queue.in_web` at the end of a module, as servers want it that import the application: those that fork, and `flask run`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from tests.harness.process_table import children_of
from tests.harness.site import Site
from tests.harness.waiting import never

pytestmark = [pytest.mark.behaviour("J14"), pytest.mark.databases("sqlite")]

MODULE = """
import atexit
from contextlib import ExitStack

from tests.harness.application import create_app
from tests.harness.extensions import queue

app = create_app()
beside = ExitStack()
beside.enter_context(queue.in_web(app))
atexit.register(beside.close)
"""
#: A server with one worker, which ends at once, in good order.
FORKING = """
import os, signal, sys, time

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
worker = os.fork()
if worker == 0:
    sys.exit()
os.waitpid(worker, 0)
print("the worker has ended", flush=True)
while True:
    time.sleep(1)
"""


def test_a_forked_worker_that_ends_does_not_take_the_queue_along(site: Site) -> None:
    site.configure(QUEUE_IN_WEB=True)
    server = site.command(sys.executable, "-c", MODULE + FORKING)
    server.wait_for_output("the worker has ended")
    site.wait_for_processes(server, 3)
    never(lambda: server.process.poll() is not None, during=2, what="the server has ended")
    assert len(site.tables.processes()) == 3
    assert server.terminate() == 0
    server.wait_until_all_gone(timeout=1)
    assert site.tables.processes() == []


@pytest.mark.parametrize("options", [("--debug", "run"), ("run", "--debug"), ("run", "--reload")], ids=" ".join)
def test_the_queue_is_reloaded_with_the_code(site: Site, options: Sequence[str]) -> None:
    site.configure(QUEUE_IN_WEB=True)
    module = site.write("served.py", MODULE)
    server = site.command(sys.executable, "-m", "flask", "--app", str(module), *options, "--port", "0")
    site.wait_for_processes(server, 3)
    [old] = site.tables.processes("Supervisor")
    assert old.pid not in children_of(server.pid), "the one that watches the files has none"

    def has_ended() -> bool:
        module.write_text(MODULE + "# changed\n")  # again and again, as the queue may be there before anybody watches the file
        return old.pid not in server.pids

    site.wait_until(has_ended, what="the queue to end with the old code")
    site.wait_until(lambda: {row.kind for row in site.tables.processes()} == {"Supervisor", "Dispatcher", "Worker"})
    server.terminate()
    server.wait_until_all_gone()


def test_without_the_reloader_there_is_nobody_else_to_run_the_queue(site: Site) -> None:
    site.configure(QUEUE_IN_WEB=True)
    module = site.write("served.py", MODULE)
    server = site.command(sys.executable, "-m", "flask", "--app", str(module), "--debug", "run", "--no-reload", "--port", "0")
    site.wait_for_processes(server, 3)
    [row] = site.tables.processes("Supervisor")
    assert row.pid in children_of(server.pid)
    server.terminate()
    server.wait_until_all_gone()
