"""Processes that live and do nothing: a worker that is stopped, and a whole machine that slept."""

from __future__ import annotations

import os
import signal
import time

import pytest

from flask_queue.supervisors.supervisor import GRACE
from tests.harness import jobs
from tests.harness.site import Site


@pytest.mark.behaviour("J6", "I2")
@pytest.mark.parametrize("how", ["stopped", "hung"])
def test_a_worker_that_was_pruned_and_does_not_end_is_replaced(site: Site, how: str) -> None:
    site.configure(QUEUE_HEARTBEAT_INTERVAL=0.2, QUEUE_ALIVE_THRESHOLD=2)
    with site.application():
        supervisor = site.supervisor()
        [frozen] = site.worker_pids()
        if how == "stopped":
            os.kill(frozen, signal.SIGSTOP)
        else:
            jobs.hanging.enqueue("hanging")
            site.wait_until(lambda: site.ledger.started("hanging"))
        after = jobs.noop.enqueue("after")
        site.wait_until(lambda: site.tables.job(after.id).state == "finished", timeout=20, what="the worker to be replaced")
    assert frozen not in supervisor.pids
    assert f"Worker(pid={frozen}) was taken for dead, does not end and is replaced" in supervisor.output
    assert supervisor.terminate() == 0
    site.assert_invariants()


@pytest.mark.behaviour("J6", "I5")
def test_a_worker_that_ends_as_it_was_taken_for_dead_may_finish_its_jobs(site: Site) -> None:
    site.configure(QUEUE_HEARTBEAT_INTERVAL=0.2, QUEUE_ALIVE_THRESHOLD=1, QUEUE_SHUTDOWN_TIMEOUT=30)
    with site.application():
        jobs.slow.enqueue("running", 10)
        supervisor = site.supervisor()
        site.wait_until(lambda: site.ledger.started("running"))
        [lost] = site.tables.processes("Worker")
        site.tables.forget_process(lost.id)
        site.wait_until(lambda: site.ledger.ended("running"), what="the job to end in its lost worker")
        site.wait_until(lambda: lost.pid not in supervisor.pids)
    assert "was killed" not in supervisor.output
    assert supervisor.terminate() == 0


@pytest.mark.behaviour("I2")
def test_who_slept_together_with_the_supervisor_is_not_taken_for_dead(site: Site) -> None:
    with site.application():
        jobs.slow.enqueue("running", 3 + 4)
        supervisor = site.supervisor()
        site.wait_until(lambda: site.ledger.started("running"))
        before = site.worker_pids()
        supervisor.signal_group(signal.SIGSTOP)
        time.sleep(3 + 1)  # QUEUE_ALIVE_THRESHOLD is 3
        supervisor.signal(signal.SIGCONT)
        time.sleep(1)  # it looks around before the others have had a chance
        supervisor.signal_group(signal.SIGCONT)
        site.wait_for_states(finished=1)
    assert "Pruned" not in supervisor.output
    assert site.worker_pids() == before
    assert supervisor.terminate() == 0
    site.assert_invariants()


@pytest.mark.behaviour("J3")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_stopped_worker_does_not_keep_its_supervisor_from_ending(site: Site, number: signal.Signals) -> None:
    site.configure(QUEUE_SHUTDOWN_TIMEOUT=1)
    with site.application():
        jobs.slow.enqueue("running", 60)
        supervisor = site.supervisor()
        site.wait_until(lambda: site.ledger.started("running"))
        site.wait_for_states(claimed=1)
    [frozen] = site.worker_pids()
    os.kill(frozen, signal.SIGSTOP)
    began = time.monotonic()
    supervisor.signal(number)
    assert supervisor.wait() == 0, supervisor.output
    supervisor.wait_until_all_gone(timeout=1)
    assert time.monotonic() - began < 1 + GRACE + 2
    assert site.tables.states() == {"ready": 1}
    assert site.tables.processes() == []
