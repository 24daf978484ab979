"""What `flask queue start` weighs: what its processes do not import, and what they share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.harness import hooks, jobs
from tests.harness.site import Site

pytestmark = pytest.mark.databases("sqlite")

OF_PAGES = {
    "flask_login",
    "flask_queue.dashboard.access",
    "flask_queue.dashboard.rendering",
    "flask_queue.dashboard.views",
    "flask_wtf",
    "prometheus_client",
    "wtforms",
}
#: The command itself, and what it takes from others.
OF_START = {f"flask_queue.cli.{name}" for name in ("check", "group", "output", "reloader", "start")}


def test_a_worker_imports_nothing_of_the_pages_of_the_dashboard(site: Site, tmp_path: Path) -> None:
    imported = imported_by_worker(site, tmp_path)
    assert "flask_queue.processes.worker" in imported
    assert not OF_PAGES & imported


def test_a_worker_imports_the_dialect_of_its_own_database_only(site: Site, tmp_path: Path) -> None:
    imported = imported_by_worker(site, tmp_path)
    assert "sqlalchemy.dialects.sqlite" in imported
    assert not {"sqlalchemy.dialects.mysql", "sqlalchemy.dialects.postgresql"} & imported


def test_a_worker_imports_no_other_command_and_no_yaml_where_there_is_no_file(site: Site, tmp_path: Path) -> None:
    site.configure(QUEUE_CONFIG_FILE=None, QUEUE_RECURRING_FILE=None)
    imported = imported_by_worker(site, tmp_path)
    assert {name for name in imported if name.startswith("flask_queue.cli.")} == OF_START
    assert "yaml" not in imported


def imported_by_worker(site: Site, tmp_path: Path) -> set[str]:
    site.variables[hooks.MODULES] = str(tmp_path / "modules")
    supervisor = site.supervisor()
    with site.application():
        jobs.noop.enqueue("one")
    site.wait_for_states(finished=1)
    supervisor.terminate()
    return set((tmp_path / "modules").read_text().split())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is shared")
def test_children_share_the_better_part_of_their_memory(site: Site) -> None:
    """A supervisor that collects garbage between two forks touches all that it has, and the kernel copies what was shared."""
    supervisor = site.supervisor()
    with site.application():
        jobs.noop.enqueue("one")
    site.wait_for_states(finished=1)
    for pid in supervisor.children:
        assert memory(pid, "Private_Dirty") < memory(pid, "Shared_Dirty") / 2
    supervisor.terminate()


def memory(pid: int, name: str) -> int:
    """A line of what the kernel knows about the memory of a process, in kB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
