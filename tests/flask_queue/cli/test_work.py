"""`flask queue work`: what is due, then the end."""

from __future__ import annotations

import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest

from flask_queue import FlaskQueue

from ...harness import commands
from ...harness.jobs import awaiting, slow
from ...harness.site import Site
from .conftest import Run


@pytest.mark.behaviour("N5")
def test_what_is_due_is_run_and_counted(run: Run, queue: FlaskQueue, jobs: SimpleNamespace) -> None:
    for number in range(3):
        jobs.add.enqueue(number)
    later = jobs.add.using(wait=600).enqueue(9)
    result = run("work")
    assert (result.exit_code, result.stdout) == (0, "Ran 3 jobs.\n")
    assert queue.jobs.finished.count() == 3
    assert later.status == "scheduled"


def test_nothing_to_do_is_no_error(run: Run, jobs: SimpleNamespace) -> None:
    assert run("work").stdout == "Ran 0 jobs.\n"


def test_failures_leave_the_exit_status_at_0(run: Run, queue: FlaskQueue, jobs: SimpleNamespace) -> None:
    jobs.broken.enqueue()
    result = run("work")
    assert (result.exit_code, result.stdout) == (0, "Ran 1 job.\n")
    assert queue.jobs.failed.count() == 1


def test_no_more_than_the_limit_is_run(run: Run, queue: FlaskQueue, jobs: SimpleNamespace) -> None:
    for number in range(5):
        jobs.add.enqueue(number)
    assert run("work", "--limit", "2").stdout == "Ran 2 jobs.\n"
    assert queue.jobs.ready.count() == 3


def test_only_the_chosen_queues_are_worked_on(run: Run, queue: FlaskQueue, jobs: SimpleNamespace) -> None:
    jobs.add.enqueue(1)
    jobs.welcome.enqueue(1)
    assert run("work", "--queues", "ma*, other").stdout == "Ran 1 job.\n"
    assert [job.name for job in queue.jobs.ready.all()] == ["add"]


@pytest.mark.behaviour("C9")
def test_a_selector_that_selects_nothing_is_warned_of(run: Run, queue: FlaskQueue, jobs: SimpleNamespace) -> None:
    jobs.add.enqueue(1)
    jobs.welcome.enqueue(1)
    result = run("work", "--queues", f"m*il,mail,**,{'x' * 256},other*")
    assert [line.split(" is ignored: ")[0] for line in result.stderr.splitlines()] == [
        f"Warning: --queues: {selector!r}" for selector in ("m*il", "**", "x" * 256)
    ]
    assert (result.exit_code, result.stdout) == (0, "Ran 1 job.\n")
    assert run("work", "--queues", "*").stderr == ""


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("options", [("--limit", "0"), ("--queues", " , ")])
def test_impossible_options_are_refused(run: Run, options: tuple[str, ...]) -> None:
    assert run("work", *options).exit_code == 2


@pytest.mark.behaviour("N3")
def test_it_is_registered_so_that_what_it_held_is_recovered_after_its_death(site: Site) -> None:
    with site.application():
        slow.enqueue("held", 60)
    command = site.command(*commands.FLASK, "queue", "work")
    site.wait_for_states(claimed=1)
    [job] = site.tables.jobs()
    [worker] = site.tables.processes("Worker")
    assert (job.process_id, worker.pid) == (worker.id, command.pid)

    command.signal(signal.SIGKILL)
    command.wait()
    site.supervisor()
    site.wait_for_states(failed=1)
    assert site.ledger.starts_of_each()["held"] == 1


@pytest.mark.behaviour("J1", "J4", "D15")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_finishes_what_runs_and_begins_nothing(site: Site, number: int) -> None:
    with site.application():
        for key in ("first", "second", "third"):
            slow.enqueue(key, 1.0)
    command = site.command(*commands.FLASK, "queue", "work")
    site.wait_until(lambda: site.ledger.started("first"))
    command.signal_group(number)

    assert command.wait() == 0, command.output
    assert command.output == "Ran 1 job.\n"
    assert site.tables.states() == {"finished": 1, "ready": 2}
    site.assert_invariants(waiting_queues=["default"])


@pytest.mark.behaviour("J1", "J2")
@pytest.mark.parametrize("numbers", [[signal.SIGINT, signal.SIGTERM], [signal.SIGQUIT]])
@pytest.mark.parametrize("job", [slow, awaiting], ids=lambda job: job.name)
def test_told_to_end_at_once_it_gives_back_what_runs(site: Site, job: Any, numbers: list[int]) -> None:
    with site.application():
        job.enqueue("running", 60)
    command = site.command(*commands.FLASK, "queue", "work")
    site.wait_until(lambda: site.ledger.started("running"))
    for number in numbers:
        command.signal(number)
        time.sleep(0.3)  # one that comes just when Python is about to go back to sleep is seen at the next one only

    assert command.wait() == 0, command.output
    assert command.output == "Ran 0 jobs.\n"
    [row] = site.tables.jobs()
    assert (row.state, row.attempts, row.process_id) == ("ready", 0, None)
    site.assert_invariants(waiting_queues=["default"])
