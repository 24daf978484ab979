"""What becomes of jobs and processes when one of them dies without a word: kill -9, os._exit, and their successors."""

from __future__ import annotations

import os
import signal

import pytest

from tests.harness import jobs
from tests.harness.site import Site

#: Two workers that share nothing, so that one can die and the other be watched.
TWO_WORKERS = [
    {"queues": "first", "threads": 3, "polling_interval": 0.05},
    {"queues": "second", "threads": 3, "polling_interval": 0.05},
]


def worker_of(site: Site, key: str) -> int:
    """The pid of the process in which a body began."""
    [pid] = [entry.pid for entry in site.ledger.starts() if entry.key == key]
    return pid


def wait_for_replacement(site: Site, dead: int, *, workers: int = 2) -> None:
    def replaced() -> bool:
        pids = site.worker_pids()
        return len(pids) == workers and dead not in pids

    site.wait_until(replaced, timeout=10, what="the worker to be replaced")


@pytest.mark.behaviour("J1")
def test_a_killed_worker_fails_its_jobs_and_is_replaced(site: Site) -> None:
    site.configure(workers=TWO_WORKERS)
    with site.application():
        doomed = jobs.slow.using(queue="first").enqueue("doomed", 60)
        neighbour = jobs.slow.using(queue="second").enqueue("neighbour", 4)
        done = jobs.noop.using(queue="first").enqueue("done")
        supervisor = site.supervisor(processes=4)
        site.wait_until(lambda: site.ledger.started("doomed") and site.ledger.started("neighbour"))
        site.wait_until(lambda: site.tables.job(done.id).state == "finished")
        dead = worker_of(site, "doomed")
        site.kill(dead)
        wait_for_replacement(site, dead)

        site.wait_until(lambda: site.tables.job(doomed.id).state == "failed", what="the job of the killed worker to fail")
        jobs.noop.using(queue="first").enqueue("after")
        site.wait_for_states(finished=3, failed=1)
    [attempt] = site.tables.attempts(doomed.id)
    assert attempt.error_class.endswith("ProcessExitError")
    assert "signal 9" in attempt.message
    assert site.tables.job(neighbour.id).state == "finished"
    assert supervisor.process.poll() is None
    site.assert_invariants()


@pytest.mark.behaviour("J1")
def test_a_worker_told_to_stop_finishes_its_job_and_is_replaced(site: Site) -> None:
    site.configure(workers=TWO_WORKERS)
    with site.application():
        jobs.slow.using(queue="first").enqueue("running", 1)
        site.supervisor(processes=4)
        site.wait_until(lambda: site.ledger.started("running"))
        stopped = worker_of(site, "running")
        os.kill(stopped, signal.SIGTERM)
        wait_for_replacement(site, stopped)
        jobs.noop.using(queue="first").enqueue("after")
        site.wait_for_states(finished=2)
    site.assert_invariants()


@pytest.mark.behaviour("J1", "E10")
def test_a_job_that_takes_its_process_along_fails_with_its_mates(site: Site) -> None:
    site.configure(workers=TWO_WORKERS)
    with site.application():
        mate = jobs.slow.using(queue="first").enqueue("mate", 60)
        neighbour = jobs.slow.using(queue="second").enqueue("neighbour", 3)
        site.supervisor(processes=4)
        site.wait_until(lambda: site.ledger.started("mate") and site.ledger.started("neighbour"))
        dead = worker_of(site, "mate")
        culprit = jobs.exiting.using(queue="first").enqueue("culprit")
        wait_for_replacement(site, dead)
        site.wait_for_states(failed=2, finished=1)
    for handle in (mate, culprit):
        [attempt] = site.tables.attempts(handle.id)
        assert attempt.error_class.endswith("ProcessExitError")
        assert "exited with status 1" in attempt.message
    assert site.tables.job(neighbour.id).state == "finished"
    site.assert_invariants()


@pytest.mark.behaviour("E10")
def test_a_job_that_is_retried_after_a_crash_crashes_three_times_at_most(site: Site) -> None:
    with site.application():
        crashing = jobs.crashing_but_retried.enqueue("crashing")
        site.supervisor()
        site.wait_for_states(failed=1, timeout=40)
    assert site.ledger.starts_of_each() == {"crashing": 3}
    assert len(site.tables.attempts(crashing.id)) == 3
    site.wait_until(lambda: len(site.worker_pids()) == 1 and site.worker_pids()[0] in site.commands[0].pids)
    site.assert_invariants(may_repeat=["crashing"])


@pytest.mark.behaviour("J1")
def test_workers_of_a_killed_supervisor_finish_and_end_by_themselves(site: Site) -> None:
    with site.application():
        jobs.slow.enqueue("running", 1)
        jobs.noop.enqueue("done")
    supervisor = site.supervisor()
    site.wait_until(lambda: site.ledger.started("running") and site.ledger.ended("done"))
    supervisor.signal(signal.SIGKILL)
    supervisor.wait()
    supervisor.wait_until_all_gone(timeout=8)

    assert site.ledger.ended("running")
    assert site.tables.states() == {"finished": 2}
    assert [row.pid for row in site.tables.processes()] == [supervisor.pid]
    site.assert_invariants(left_behind=[supervisor.pid])


@pytest.mark.behaviour("J1", "J11", "K2")
def test_a_successor_takes_over_at_once_from_a_killed_supervisor(site: Site) -> None:
    pidfile = site.directory / "queue.pid"
    site.configure(QUEUE_PIDFILE=str(pidfile))
    with site.application():
        running = [jobs.slow.enqueue(f"running {number}", 2) for number in range(3)]
        first = site.supervisor()
        site.wait_until(lambda: len(site.ledger.starts()) == 3)
        first.signal(signal.SIGKILL)
        first.wait()
        second = site.supervisor()
        assert pidfile.read_text().strip() == str(second.pid)

        jobs.noop.enqueue("new")
        site.wait_until(lambda: site.ledger.ended("new"), what="new work to be done")
        site.wait_for_states(finished=4)
        first.wait_until_all_gone(timeout=8)
        site.wait_until(lambda: len(site.tables.processes()) == 3, timeout=12, what="the dead supervisor's row to be pruned")
    assert {site.tables.job(handle.id).state for handle in running} == {"finished"}
    site.assert_invariants()
    assert second.terminate() == 0
    assert not pidfile.exists()


@pytest.mark.behaviour("J1", "I2", "K1")
def test_jobs_of_killed_threads_are_failed_once_they_are_found_dead(site: Site) -> None:
    site.configure(QUEUE_MODE="thread")
    with site.application():
        jobs.noop.enqueue("done")
        doomed = jobs.slow.enqueue("doomed", 60)
    first = site.supervisor()
    site.wait_until(lambda: site.ledger.started("doomed") and site.ledger.ended("done"))
    site.wait_for_states(finished=1, claimed=1)
    first.signal(signal.SIGKILL)
    first.wait()
    assert site.tables.states() == {"finished": 1, "claimed": 1}

    site.supervisor()
    site.wait_for_states(finished=1, failed=1)
    [attempt] = site.tables.attempts(doomed.id)
    assert attempt.error_class.rsplit(".", 1)[-1] in ("ProcessPrunedError", "ProcessMissingError")
    site.wait_until(lambda: {row.pid for row in site.tables.processes()} == {site.commands[1].pid})
    site.assert_invariants()


@pytest.mark.behaviour("I5")
@pytest.mark.parametrize("kind", ["Worker", "Dispatcher", "Scheduler"])
def test_a_process_whose_row_vanished_ends_and_is_replaced(site: Site, kind: str) -> None:
    site.recur({"yearly": {"class": "noop", "args": ["yearly"], "schedule": "every year"}})
    supervisor = site.supervisor(processes=4)
    [lost] = site.tables.processes(kind)
    site.tables.forget_process(lost.id)

    site.wait_until(
        lambda: [row.pid for row in site.tables.processes(kind) if row.pid != lost.pid],
        what=f"another {kind} to be registered",
    )
    site.wait_until(lambda: lost.pid not in supervisor.pids, what=f"the lost {kind} to end")
    with site.application():
        jobs.noop.enqueue("after")
    site.wait_for_states(finished=1)
    site.assert_invariants()
