"""Several schedulers, one grid: each instant is enqueued once, whoever is killed."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.harness.site import Site


@pytest.mark.behaviour("H2", "H4", "H5")
@pytest.mark.parametrize("preserve", [True, False])
def test_three_schedulers_enqueue_each_second_once(site: Site, preserve: bool) -> None:
    site.configure(QUEUE_PRESERVE_FINISHED_JOBS=preserve)
    site.recur({"pulse": {"class": "noop", "args": ["pulse"], "schedule": "every second"}})
    supervisors = [site.supervisor(processes=4) for _ in range(2)]
    doomed = site.supervisor("--only-schedule", processes=2)
    site.wait_until(lambda: len(site.tables.runs("pulse")) >= 2, what="two ticks")
    for pid in doomed.pids:
        site.kill(pid)
    seen = len(site.tables.runs("pulse"))
    site.wait_until(lambda: len(site.tables.runs("pulse")) >= seen + 2, what="two ticks more")
    for supervisor in supervisors:
        assert supervisor.terminate() == 0

    moments = [run.run_at for run in site.tables.runs("pulse")]
    steps = {later - earlier for earlier, later in pairwise(moments)}
    assert steps == {timedelta(seconds=1)}
    assert all(moment.microsecond == 0 for moment in moments)
    assert max(site.ledger.starts_of_each_job().values()) == 1
    assert site.ledger.starts_of_each()["pulse"] <= len(moments)
    # The last tick may have come while its worker was stopping already.
    states = site.tables.states()
    assert states["ready"] <= 1
    assert states["finished"] + states["ready"] == (len(moments) if preserve else states["ready"])
    assert not {row.pid for row in site.tables.processes()} & {command.pid for command in supervisors}
