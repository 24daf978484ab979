"""A registration that disappears under a live process: a supervisor goes on, whoever works for it is replaced."""

from __future__ import annotations

import pytest

from tests.harness import jobs
from tests.harness.site import Site


@pytest.mark.behaviour("J8", "I4")
def test_a_supervisor_whose_registration_is_gone_takes_it_up_again(site: Site) -> None:
    supervisor = site.supervisor()
    (before,) = site.tables.processes("Supervisor")
    site.tables.forget_process(before.id)
    site.wait_until(lambda: [row.id for row in site.tables.processes("Supervisor")] == [before.id])
    with site.application():
        jobs.noop.enqueue("after")
    site.wait_for_states(finished=1)
    supervisor.terminate()
    site.assert_invariants()


@pytest.mark.behaviour("I5")
@pytest.mark.parametrize("kind", ["Worker", "Dispatcher", "Scheduler"])
def test_a_process_whose_registration_is_gone_is_replaced(site: Site, kind: str) -> None:
    site.recur({"yearly": {"class": "noop", "args": ["x"], "schedule": "every year"}})
    supervisor = site.supervisor(processes=4)
    site.wait_until(lambda: len(site.tables.processes(kind)) == 1)
    (before,) = site.tables.processes(kind)
    site.tables.forget_process(before.id)
    site.wait_until(lambda: [row.pid for row in site.tables.processes(kind)] not in ([], [before.pid]))
    with site.application():
        jobs.noop.enqueue("after")
    site.wait_for_states(finished=1)
    supervisor.terminate()
    site.assert_invariants()
