"""Jobs from enqueue to their end, run by real processes: `flask queue start` on one side, the application on the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.harness import jobs
from tests.harness.extensions import queue
from tests.harness.site import Site
from tests.harness.waiting import never


@pytest.mark.behaviour("D1", "D2", "E1", "E3")
def test_jobs_run_and_end_as_they_should(site: Site) -> None:
    with site.application():
        finished = [jobs.noop.enqueue("noop"), jobs.awaiting.enqueue("awaiting"), jobs.discarded.enqueue("discarded")]
        recovered = jobs.failing_once.enqueue("failing once")
        failed = jobs.failing.enqueue("failing", message="on purpose")
        exhausted = jobs.failing_always.enqueue("failing always")
        site.supervisor()
        site.wait_for_states(finished=4, failed=2)

        assert {handle.refresh().status for handle in [*finished, recovered]} == {"finished"}
        assert {handle.refresh().status for handle in [failed, exhausted]} == {"failed"}
    assert site.ledger.starts_of_each() == {
        "noop": 1,
        "awaiting": 1,
        "discarded": 1,
        "failing once": 2,
        "failing": 1,
        "failing always": 3,
    }
    [attempt] = site.tables.attempts(failed.id)
    assert (attempt.error_class, attempt.message) == ("tests.harness.jobs.JobFailure", "on purpose")
    assert "jobs.py" in attempt.traceback
    assert len(site.tables.attempts(exhausted.id)) == 3
    site.assert_invariants(may_repeat=["failing once", "failing always"])


@pytest.mark.behaviour("E4")
def test_a_failed_job_is_retried_by_hand_and_then_discarded(site: Site) -> None:
    with site.application():
        failed = jobs.failing_always.enqueue("failing always")
        site.supervisor()
        site.wait_for_states(failed=1)
        failed.retry()
        site.wait_until(lambda: site.ledger.starts_of_each()["failing always"] == 6, what="three attempts more")
        site.wait_for_states(failed=1)

        assert queue.jobs.failed.discard_all() == 1
        assert failed.refresh().status is None
    assert site.tables.states() == {}
    assert site.tables.attempts(failed.id) == []
    site.assert_invariants(may_repeat=["failing always"])


@pytest.mark.behaviour("B1", "B2", "B8")
def test_a_scheduled_job_waits_for_its_time_and_not_much_longer(site: Site) -> None:
    site.supervisor()
    with site.application():
        due = datetime.now(UTC) + timedelta(seconds=1.4)
        soon = jobs.noop.using(at=due, queue="mail", priority=8).enqueue("soon")
        later = jobs.noop.using(wait=timedelta(hours=1)).enqueue("later")
    row = site.tables.job(soon.id)
    assert (row.state, row.queue_name, row.priority) == ("scheduled", "mail", 8)

    site.wait_until(lambda: site.ledger.ended("soon"), what="the first job to run")
    [start] = [entry for entry in site.ledger.starts() if entry.key == "soon"]
    assert due.timestamp() <= start.at < due.timestamp() + 2
    site.wait_for_states(finished=1, scheduled=1)
    assert site.tables.job(later.id).state == "scheduled"
    site.assert_invariants()


@pytest.mark.behaviour("C7")
def test_a_paused_queue_rests_until_it_is_resumed(site: Site) -> None:
    site.supervisor()
    with site.application():
        queue.queues["mail"].pause()
        jobs.noop.using(queue="mail").enqueue("paused")
        jobs.noop.enqueue("other")
        site.wait_until(lambda: site.ledger.ended("other"), what="the other queue to be served")
        never(lambda: site.ledger.started("paused"), during=0.5, what="a job of a paused queue started")
        site.wait_for_states(ready=1, finished=1)
        site.assert_invariants(waiting_queues=["mail"])

        queue.queues["mail"].resume()
        site.wait_for_states(finished=2)
    site.assert_invariants()


@pytest.mark.behaviour("H1")
def test_a_recurring_task_is_enqueued_every_second(site: Site) -> None:
    site.configure(scheduler={"dynamic_tasks_enabled": True, "polling_interval": 0.2})
    site.recur({"pulse": {"class": "noop", "args": ["pulse"], "schedule": "every second"}})
    site.supervisor(processes=4)
    site.wait_until(lambda: site.ledger.starts_of_each()["pulse"] >= 3, what="three ticks")

    with site.application():
        queue.schedule_recurring_task("extra", job="noop", args=["extra"], schedule="every second")
        site.wait_until(lambda: site.ledger.started("extra"), what="a task made at run time to tick")
        queue.unschedule_recurring_task("extra")
        assert [task.key for task in queue.recurring_tasks] == ["pulse"]
    runs = site.tables.runs("pulse")
    assert all(run.run_at.microsecond == 0 for run in runs)
    assert len({run.run_at for run in runs}) == len(runs)
    assert {job.id for job in site.tables.jobs()} >= {run.job_id for run in runs}
    site.commands[0].terminate()
    site.assert_invariants(may_repeat=["pulse", "extra"])


@pytest.mark.behaviour("C10", "C13")
@pytest.mark.parametrize("mode", ["fork", "thread"])
def test_a_thousand_jobs_run_once_each(site: Site, mode: str) -> None:
    workers = [{"queues": "*", "threads": 3, "processes": 2, "polling_interval": 0.05}]
    site.configure(workers=workers if mode == "fork" else [*workers, *workers], QUEUE_MODE=mode)
    with site.application():
        assert queue.enqueue_all(jobs.noop.build(str(number)) for number in range(1_000)) == 1_000
    site.supervisor(processes=4)
    site.wait_for_states(finished=1_000, timeout=60)

    assert site.ledger.starts_of_each() == {str(number): 1 for number in range(1_000)}
    assert site.ledger.most_at_once() <= 6
    site.assert_invariants()
    assert site.commands[0].terminate() == 0
    site.assert_invariants()
