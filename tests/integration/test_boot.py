"""How processes begin: hooks and their order, a child that hangs or dies at once, orphans, and what `ps` shows."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from flask_queue.database import connected, forget_connections
from tests.harness import commands, hooks, jobs
from tests.harness.extensions import queue
from tests.harness.site import Site
from tests.harness.waiting import eventually

SUBREAPER = "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1); os.execv(sys.argv[1], sys.argv[1:])"


@pytest.mark.behaviour("L1")
def test_each_process_has_its_three_hooks_once(site: Site, tmp_path: Path) -> None:
    notes = tmp_path / "hooks"
    site.variables[hooks.NOTES] = str(notes)
    site.configure(workers=[{"queues": ["mail", "low"], "processes": 2}], dispatchers=[{"batch_size": 77}])
    site.recur({"yearly": {"class": "noop", "args": ["x"], "schedule": "every year"}})
    site.supervisor(processes=5).terminate()
    lines = [line.split(maxsplit=3) for line in notes.read_text().splitlines()]
    assert len(lines) == 15
    by_process: dict[str, list[str]] = {}
    for event, _, pid, _ in lines:
        by_process.setdefault(pid, []).append(event)
    assert len(by_process) == 5
    assert all(events == ["start", "stop", "exit"] for events in by_process.values())
    facts = {kind: fact for _, kind, _, fact in lines}
    assert facts == {"Supervisor": "fork", "Worker": "('mail', 'low')", "Dispatcher": "77", "Scheduler": "['yearly']"}


@pytest.mark.databases("sqlite")
def test_a_closed_standard_output_keeps_no_process_from_starting(site: Site) -> None:
    supervisor = site.command("/bin/sh", "-c", 'exec "$@" >&-', "sh", *commands.FLASK, "queue", "start")
    site.wait_for_processes(supervisor, 3)
    with site.application():
        jobs.noop.enqueue("ran")
    site.wait_for_states(finished=1)
    assert supervisor.terminate() == 0
    assert "Traceback" not in supervisor.output


@pytest.mark.behaviour("J6")
def test_a_child_that_hangs_while_it_starts_is_replaced(site: Site, tmp_path: Path) -> None:
    site.variables[hooks.HANG_ONCE] = str(tmp_path / "hung")
    site.configure(QUEUE_START_TIMEOUT=1)
    supervisor = site.start_queue()
    with site.application():
        jobs.noop.enqueue("after")
    site.wait_for_states(finished=1)
    assert "has not started within 1 s" in supervisor.output
    supervisor.terminate()


@pytest.mark.behaviour("J7")
@pytest.mark.databases("sqlite")
def test_a_child_that_dies_at_once_is_not_replaced_in_a_whirl(site: Site) -> None:
    site.variables[hooks.DIE] = "1"
    supervisor = site.start_queue()
    eventually(lambda: supervisor.output.count("exited with status 7") >= 2, timeout=15)
    time.sleep(4)
    deaths = [line for line in supervisor.output.splitlines() if "exited with status 7" in line]
    assert 2 <= len(deaths) <= 7
    assert supervisor.process.poll() is None
    supervisor.signal(signal.SIGTERM)
    assert supervisor.wait() == 0


@pytest.mark.behaviour("J9")
@pytest.mark.databases("sqlite")
@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has subreapers, which adopt orphans as a container's first process"
)
def test_orphans_are_reaped_and_nothing_is_said(site: Site) -> None:
    site.command(sys.executable, "-c", SUBREAPER, *commands.FLASK, "queue", "start")
    with site.application():
        jobs.orphaning.enqueue("parent")
    site.wait_for_states(finished=1)
    (orphan,) = [int(entry.key) for entry in site.ledger.entries() if entry.event == "orphan"]
    eventually(lambda: not Path(f"/proc/{orphan}").exists(), what="the orphan to be reaped")
    with site.application():
        jobs.noop.enqueue("after")
    site.wait_for_states(finished=2)
    assert Counter("replaced" in line for line in site.commands[-1].output.splitlines())[True] == 0


@pytest.mark.behaviour("J10")
def test_a_forked_child_has_connections_of_its_own(site: Site) -> None:
    with site.application() as app:
        queue = app.extensions["queue"]
        jobs.noop.enqueue("parent")
        runtime = queue.runtime()
        pid = os.fork()
        if pid == 0:
            try:
                forget_connections(connected(runtime.engines))
                jobs.noop.enqueue("child")
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        for number in range(3):
            jobs.noop.enqueue(f"parent {number}")
    assert site.tables.states() == {"ready": 5}


@pytest.mark.behaviour("J15")
@pytest.mark.databases("sqlite")
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc here")
def test_a_process_is_called_what_it_does(site: Site) -> None:
    site.configure(workers=[{"queues": ["mail", "low"]}])
    supervisor = site.supervisor()
    titles = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode() for pid in supervisor.pids}
    assert sorted(titles.values()) == [
        "flask-queue dispatcher",
        "flask-queue supervisor: fork, 2 processes",
        "flask-queue worker: mail,low",
    ]
    supervisor.terminate()


@pytest.mark.databases("postgresql")
def test_a_server_that_will_slow_the_queue_down_is_named_at_the_start(site: Site) -> None:
    with site.application(), queue.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE queue_jobs SET (autovacuum_enabled = off)")
    supervisor = site.supervisor()
    assert supervisor.output.count("autovacuum is off for the table queue_jobs") == 1
    supervisor.terminate()
