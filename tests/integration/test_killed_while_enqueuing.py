"""A process that is killed while it enqueues: every job that is there is whole, and runs."""

from __future__ import annotations

import random
import sys
import time

import pytest

from tests.harness.site import Site
from tests.harness.waiting import eventually

ENQUEUE = """
from itertools import count
from tests.harness import jobs
from tests.harness.application import create_app
from tests.harness.extensions import queue

with create_app().app_context():
    for number in count():
        jobs.noop.enqueue(f"one {number}")
        jobs.limited.enqueue(f"limited {number % 3}")
        queue.enqueue_all([jobs.noop.build(f"many {number} {part}") for part in range(20)])
"""


@pytest.mark.behaviour("A3", "G3")
def test_there_is_no_half_of_a_job(site: Site) -> None:
    for _ in range(3):
        before = site.tables.states().total()
        command = site.command(sys.executable, "-c", ENQUEUE)
        eventually(lambda before=before: site.tables.states().total() > before)  # type: ignore[misc]
        time.sleep(random.uniform(0, 0.1))
        site.kill(command.process.pid)
        command.wait()
    rows = site.tables.jobs()
    bulks: dict[str, int] = {}
    for row in rows:
        if "many" in row.arguments:
            number = row.arguments.rpartition(" ")[0]
            bulks[number] = bulks.get(number, 0) + 1
    assert all(size % 20 == 0 for size in bulks.values()), "a bulk is all or nothing"
    assert site.flask("queue", "work").returncode == 0
    assert site.tables.states() == {"finished": len(rows)}
    assert set(site.ledger.starts_of_each_job().values()) == {1}
    site.assert_invariants(may_repeat=site.ledger.starts_of_each())
