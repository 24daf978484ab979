"""Concurrency limits across processes: what the ledger saw overlap, whatever the queue believes."""

from __future__ import annotations

import pytest

from tests.harness import jobs
from tests.harness.extensions import queue
from tests.harness.site import Site

THREE_PROCESSES = [{"queues": "*", "threads": 2, "processes": 3, "polling_interval": 0.05}]


@pytest.mark.behaviour("F3", "F4", "F5")
def test_no_more_run_at_once_than_the_limit_and_all_run(site: Site) -> None:
    site.configure(workers=THREE_PROCESSES)
    with site.application():
        queue.enqueue_all(
            [
                *(jobs.limited.build("one", 0.05) for _ in range(11)),
                *(jobs.limited_to_three.build("three", 0.15) for _ in range(8)),
                *(jobs.limited_and_failing.build("failing") for _ in range(4)),
                *(jobs.limited.using(wait=0.3).build("later", 0.05) for _ in range(6)),
            ]
        )
        assert site.tables.states() == {"ready": 1 + 3 + 1, "blocked": 10 + 5 + 3, "scheduled": 6}
    site.supervisor(processes=5)
    site.wait_for_states(finished=25, failed=4, timeout=60)

    assert site.ledger.most_at_once("one") == 1
    assert site.ledger.most_at_once("three") == 3
    assert site.ledger.most_at_once("failing") == 1
    assert site.ledger.most_at_once("later") == 1
    site.assert_invariants(may_repeat=["one", "three", "failing", "later"])
    assert set(site.ledger.starts_of_each_job().values()) == {1}


@pytest.mark.behaviour("F6")
def test_a_conflict_that_discards_leaves_no_job(site: Site) -> None:
    with site.application():
        first = jobs.only_one.enqueue("only", 0.2)
        second = jobs.only_one.enqueue("only", 0.2)
        assert (first.enqueued, second.enqueued, second.id) == (True, False, None)
        site.supervisor()
        site.wait_for_states(finished=1)
        assert jobs.only_one.enqueue("only").enqueued
        site.wait_for_states(finished=2)
    site.assert_invariants(may_repeat=["only"])


@pytest.mark.behaviour("F13", "F5")
def test_the_slot_of_a_killed_worker_goes_to_the_next(site: Site) -> None:
    with site.application():
        doomed = jobs.limited.enqueue("key", 60)
        waiting = jobs.limited.enqueue("key", 0)
    site.supervisor()
    site.wait_until(lambda: site.ledger.started("key"))
    assert site.tables.job(waiting.id).state == "blocked"
    site.kill(site.worker_pids()[0])

    site.wait_for_states(failed=1, finished=1, timeout=20)
    assert site.tables.job(doomed.id).state == "failed"
    site.wait_until(lambda: set(site.worker_pids()) <= site.commands[0].pids, what="the dead worker's row to go")
    site.assert_invariants(may_repeat=["key"])
    assert set(site.ledger.starts_of_each_job().values()) == {1}
