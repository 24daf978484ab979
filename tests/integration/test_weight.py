"""What `flask queue start` weighs: what its processes do not import."""

from __future__ import annotations

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


def test_a_worker_imports_nothing_of_the_pages_of_the_dashboard(site: Site, tmp_path: Path) -> None:
    site.variables[hooks.MODULES] = str(tmp_path / "modules")
    supervisor = site.supervisor()
    with site.application():
        jobs.noop.enqueue("one")
    site.wait_for_states(finished=1)
    supervisor.terminate()
    imported = set((tmp_path / "modules").read_text().split())
    assert "flask_queue.processes.worker" in imported
    assert not OF_PAGES & imported
