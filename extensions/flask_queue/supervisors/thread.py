"""Children as threads of this process: less memory, for small servers. One that crashes takes all with it."""

from __future__ import annotations

import threading
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

    @property
    def unwritten(self) -> set[int]:
        """Jobs that children have run, and whose endings they are still about to write down."""
        return {job_id for child in self._children for job_id in child.process.unwritten}

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

    def any_child_lives(self) -> bool:
        return any(child.thread.is_alive() for child in self._children)

    def tell_children_to_end(self) -> None:
        for child in self._children:
            if self.quitting:
                child.process.quit()
            else:
                child.process.stop()
