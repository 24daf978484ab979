"""`queue.in_web` at the end of a module, as servers want it that import the application: those that fork, and `flask run`."""

from __future__ import annotations

import sys

import pytest

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
