"""`flask queue start`, as far as it refuses to: nothing is half started."""

from __future__ import annotations

import pytest

from ...harness.site import Site

pytestmark = pytest.mark.databases("sqlite")


def assert_nothing_started(site: Site) -> None:
    assert site.tables.processes() == []


@pytest.mark.behaviour("J13")
def test_an_invalid_configuration_starts_nothing(site: Site) -> None:
    site.write("queue.yml", "workers: [{thread: 3}]\n")
    site.recur({"never": {"job": "noop", "schedule": "tomorrow"}})
    result = site.flask("queue", "start")
    assert result.returncode == 1
    assert "workers[0].thread: unknown option, did you mean threads?" in result.stderr
    assert "never: Schedule is not a supported recurring schedule" in result.stderr
    assert "Traceback" not in result.stderr
    assert_nothing_started(site)


@pytest.mark.behaviour("J13")
def test_nothing_to_run_starts_nothing(site: Site) -> None:
    result = site.flask("queue", "start", "--only-schedule")
    assert result.returncode == 1
    assert "No processes configured" in result.stderr
    assert_nothing_started(site)


@pytest.mark.behaviour("N2")
def test_the_mode_is_fork_or_thread(site: Site) -> None:
    result = site.flask("queue", "start", "--mode", "async")
    assert result.returncode == 2
    assert "'fork', 'thread'" in result.stderr
    assert_nothing_started(site)


@pytest.mark.behaviour("N2")
def test_the_mode_that_is_set_holds_unless_an_option_says_otherwise(site: Site) -> None:
    site.configure(QUEUE_MODE="thread")
    supervisor = site.supervisor()
    assert {row.pid for row in site.tables.processes()} == {supervisor.pid}
    supervisor.terminate()
    supervisor = site.supervisor("--mode", "fork")
    assert len({row.pid for row in site.tables.processes()}) == 3
    supervisor.terminate()
