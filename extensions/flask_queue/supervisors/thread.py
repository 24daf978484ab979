"""Children as threads of this process: less memory, for small servers. One that crashes takes all with it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from ..config import Configuration
from ..processes.registered import Process
from ..processes.runtime import Runtime
from .pidfile import Pidfile
from .roles import Role
from .supervisor import Supervisor


@dataclass(eq=False)
class _Child:
    role: Role
    process: Process
    thread: threading.Thread


class ThreadSupervisor(Supervisor):
    """Runs every process in a thread."""

    mode = "thread"

    def __init__(self, runtime: Runtime, configuration: Configuration, roles: list[Role], pidfile: Pidfile) -> None:
        super().__init__(runtime, configuration, roles, pidfile)
        self._children: list[_Child] = []

    def make_child(self, role: Role) -> Process:
        return role.build(self.runtime.private())

    def start_child(self, role: Role, process: Process) -> None:
        thread = threading.Thread(target=self._live, args=(process,), name=process.name, daemon=True)
        thread.start()
        self._children.append(_Child(role, process, thread))

    def _live(self, process: Process) -> None:
        try:
            process.run(supervisor_id=self.id)
        except BaseException as error:
            self.runtime.handle_thread_error(error)
        finally:
            process.runtime.database.dispose()
            self._alarm.wake()

    def watch(self) -> None:
        for child in [child for child in self._children if not child.thread.is_alive()]:
            self._children.remove(child)
            if not self.stopping:
                self.runtime.events.emit("replace_process", pid=self.pid, kind=child.role.kind, how="ended")
                self.vacate(child.role)

    def end_children(self) -> None:
        asked_to_quit = self.quitting
        self._tell_all()
        deadline = time.monotonic() + self.end_timeout()
        while any(child.thread.is_alive() for child in self._children) and time.monotonic() < deadline:
            self._alarm.nap(0.1)
            self.attempt(self.beat_if_due)
            if self.quitting and not asked_to_quit:
                asked_to_quit = True
                self._tell_all()
                deadline = time.monotonic() + self.end_timeout()

    def _tell_all(self) -> None:
        for child in self._children:
            if self.quitting:
                child.process.quit()
            else:
                child.process.stop()
