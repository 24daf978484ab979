"""What the processes do when they are told to stop: TERM, INT and QUIT, once and again, early and late."""

from __future__ import annotations

import signal
import time

import pytest

from flask_queue.supervisors.supervisor import GRACE
from tests.harness import jobs
from tests.harness.commands import Command
from tests.harness.databases import connect
from tests.harness.site import Site

TERM_TO_SUPERVISOR = "TERM to the supervisor"
CTRL_C = "INT to all"
MODES = pytest.mark.parametrize("mode", ["fork", "thread"])


def stop(command: Command, how: str) -> None:
    if how == CTRL_C:
        command.signal_group(signal.SIGINT)
    else:
        command.signal(signal.SIGTERM)


@pytest.mark.behaviour("J1", "J4", "D15")
@pytest.mark.parametrize(
    ("mode", "how"), [("fork", TERM_TO_SUPERVISOR), ("fork", CTRL_C), ("thread", TERM_TO_SUPERVISOR), ("thread", CTRL_C)]
)
def test_running_jobs_finish_and_then_everything_ends(site: Site, mode: str, how: str) -> None:
    site.configure(QUEUE_MODE=mode)
    with site.application():
        jobs.slow.enqueue("running", 1.0)
        jobs.until_stopping.enqueue("listening")
    supervisor = site.supervisor()
    site.wait_until(lambda: site.ledger.started("running") and site.ledger.started("listening"))
    stop(supervisor, how)

    assert supervisor.wait() == 0, supervisor.output
    supervisor.wait_until_all_gone(timeout=1)
    assert site.ledger.ended("running")
    assert [entry.event for entry in site.ledger.entries() if entry.key == "listening"] == ["start", "stopping", "end"]
    assert site.tables.states() == {"finished": 2}
    assert site.tables.processes() == []
    site.assert_invariants()


@pytest.mark.behaviour("J1", "J3", "K5", "F11")
@MODES
def test_a_job_that_does_not_end_in_time_is_ready_again(site: Site, mode: str) -> None:
    site.configure(QUEUE_MODE=mode, QUEUE_SHUTDOWN_TIMEOUT=1)
    with site.application():
        stubborn = jobs.swallowing.enqueue("stubborn", 60)
        limited = jobs.limited.enqueue("limited", 60)
    supervisor = site.supervisor()
    site.wait_until(lambda: site.ledger.started("stubborn") and site.ledger.started("limited"))
    began = time.monotonic()
    supervisor.terminate()
    supervisor.wait_until_all_gone()

    assert time.monotonic() - began < 1 + 5
    assert site.tables.states() == {"ready": 2}
    assert {site.tables.job(handle.id).process_id for handle in (stubborn, limited)} == {None}
    assert site.tables.processes() == []
    site.assert_invariants(waiting_queues=["default"])


@pytest.mark.behaviour("J1", "K4")
@MODES
def test_a_job_that_has_run_is_not_put_back_because_its_ending_could_not_be_written(
    site: Site, mode: str, database_name: str
) -> None:
    """Somebody else has locked it, on SQLite with the whole file: for so long that children are killed over it."""
    site.configure(QUEUE_MODE=mode, QUEUE_SHUTDOWN_TIMEOUT=1, QUEUE_HEARTBEAT_INTERVAL=10, QUEUE_ALIVE_THRESHOLD=30)
    with site.application():
        ran = jobs.slow.enqueue("ran", 1.0)
        running = jobs.slow.enqueue("running", 60)
    supervisor = site.supervisor()
    site.wait_until(lambda: site.ledger.started("ran") and site.ledger.started("running"))
    with connect(site.database_url) as connection:
        if database_name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(f"SELECT id FROM queue_jobs WHERE id = {ran.id} FOR UPDATE")
        site.wait_until(lambda: site.ledger.ended("ran"))
        supervisor.signal(signal.SIGTERM)
        time.sleep(1 + GRACE + 1)
        connection.exec_driver_sql("ROLLBACK")
    supervisor.wait(timeout=40)
    assert site.tables.job(running.id).state == "ready"
    assert site.tables.job(ran.id).state in ("claimed", "finished")
    assert site.tables.processes() == []


@pytest.mark.behaviour("J1")
@MODES
def test_quit_does_not_wait(site: Site, mode: str) -> None:
    site.configure(QUEUE_MODE=mode)
    with site.application():
        jobs.noop.enqueue("done")
        jobs.slow.enqueue("running", 60)
    supervisor = site.supervisor()
    site.wait_until(lambda: site.ledger.ended("done") and site.ledger.started("running"))
    site.wait_for_states(finished=1, claimed=1)
    began = time.monotonic()
    supervisor.signal(signal.SIGQUIT)
    supervisor.wait()
    supervisor.wait_until_all_gone()

    assert time.monotonic() - began < 2 + 1
    assert site.tables.states() == {"finished": 1, "ready": 1}
    assert site.tables.processes() == []
    site.assert_invariants(waiting_queues=["default"])


@pytest.mark.behaviour("J2", "I8")
def test_more_signals_neither_skip_nor_corrupt_the_shutdown(site: Site) -> None:
    """The job outlasts the alive threshold, so it also shows that heartbeats go on until it has ended."""
    site.configure(QUEUE_HEARTBEAT_INTERVAL=0.2, QUEUE_ALIVE_THRESHOLD=1, QUEUE_SHUTDOWN_TIMEOUT=20)
    with site.application():
        jobs.slow.enqueue("running", 2.0)
    supervisor = site.supervisor()
    site.wait_until(lambda: site.ledger.started("running"))
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
        supervisor.signal(number)
        time.sleep(0.1)

    assert supervisor.wait() == 0, supervisor.output
    assert site.tables.states() == {"finished": 1}
    assert site.tables.processes() == []
    site.assert_invariants()


@pytest.mark.behaviour("I8")
@MODES
def test_the_supervisor_beats_until_its_children_have_ended(site: Site, mode: str) -> None:
    """Otherwise one on another host would take it for dead."""
    site.configure(QUEUE_MODE=mode, QUEUE_HEARTBEAT_INTERVAL=0.2, QUEUE_SHUTDOWN_TIMEOUT=60)
    with site.application():
        jobs.slow.enqueue("running", 60)
    supervisor = site.supervisor()
    site.wait_until(lambda: site.ledger.started("running"))
    supervisor.signal(signal.SIGTERM)
    beats: set[object] = set()

    def has_beaten_thrice() -> bool:
        beats.update(row.last_heartbeat_at for row in site.tables.processes("Supervisor"))
        return len(beats) > 3

    site.wait_until(has_beaten_thrice)
    supervisor.signal(signal.SIGQUIT)
    assert supervisor.wait() == 0, supervisor.output


@pytest.mark.behaviour("J5")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("delay", [0.2, 0.5, 0.8, 1.1, 1.4])
def test_term_while_starting_leaves_nothing_running(site: Site, delay: float) -> None:
    with site.application():
        jobs.noop.enqueue("waiting")
    supervisor = site.start_queue()
    time.sleep(delay)
    supervisor.signal(signal.SIGTERM)

    assert supervisor.wait(timeout=5 + 2) in (0, -signal.SIGTERM), supervisor.output
    supervisor.wait_until_all_gone(timeout=2)
    assert site.tables.processes() == []
    assert site.tables.states() in ({"ready": 1}, {"finished": 1})
    site.assert_invariants(waiting_queues=["default"])


@pytest.mark.behaviour("J5")
@pytest.mark.databases("sqlite")
def test_term_right_after_the_first_line_leaves_nothing_running(site: Site) -> None:
    supervisor = site.start_queue()
    supervisor.wait_for_output("Starting")
    supervisor.signal(signal.SIGTERM)

    assert supervisor.wait(timeout=5 + 2) in (0, -signal.SIGTERM), supervisor.output
    supervisor.wait_until_all_gone(timeout=2)
    assert site.tables.processes() == []
