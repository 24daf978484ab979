"""Jobs that wait until the test lets them go on."""

from __future__ import annotations

import threading
from typing import Any

from flask_queue.processes.worker import Worker
from tests.harness.waiting import eventually


class Gate:
    """Jobs that wait here until the test lets them go on."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.inside = 0
        self.most = 0
        self.keys: list[Any] = []
        self._lock = threading.Lock()

    def enter(self, key: Any = None) -> None:
        with self._lock:
            self.keys.append(key)
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            assert self.opened.wait(30)
        finally:
            with self._lock:
                self.inside -= 1


def let_late_endings_through(gate: Gate, process: Worker) -> None:
    """Let jobs go on whose worker has ended, and see their threads out."""
    gate.opened.set()
    eventually(lambda: gate.inside == 0)
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith(process.name)])
    process.runtime.database.dispose()
