"""What both supervisors do: register, watch, beat, rescue, stop. They differ in what a child is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..config import Configuration
from ..database import upkeep_warnings
from ..models.job import jobs
from ..models.process import Kind
from ..operations import registration
from ..processes.registered import Process
from ..processes.runtime import Runtime
from .attention import Attention
from .maintenance import Maintenance
from .pidfile import Pidfile
from .roles import Role
from .signals import trapped
from .tasks import StaticTasks

#: How often a supervisor looks after its children when no signal wakes it, in seconds.
WATCH_INTERVAL = 1.0
#: How much longer than they may take themselves children get to end, in seconds.
GRACE = 2.0
#: How long children get to end when they are told to end at once, in seconds.
QUIT_GRACE = 1.0


class Supervisor(Process):
    """Keeps every role filled until told to stop."""

    kind = Kind.SUPERVISOR

    def __init__(self, runtime: Runtime, configuration: Configuration, roles: list[Role], pidfile: Pidfile) -> None:
        super().__init__(runtime)
        self.configuration = configuration
        self.roles = roles
        self.pidfile = pidfile
        #: Roles without a process, and when to fill them, on the monotonic clock.
        self.vacant: dict[Role, float] = dict.fromkeys(roles, 0.0)
        self.attention = Attention(runtime.settings)
        self._beaten_at = time.monotonic()
        self._maintenance: Maintenance | None = None
        self._tasks = StaticTasks(runtime, configuration)

    @property
    def title(self) -> str:
        return f"{super().title}: {self.mode}, {len(self.roles)} processes"

    @property
    def metadata(self) -> dict[str, Any]:
        return {"mode": self.mode, "processes": len(self.roles)}

    @property
    def mode(self) -> str:
        """What children are: "fork" or "thread"."""
        raise NotImplementedError

    @property
    def maintenance(self) -> Maintenance:
        """Rescue for the jobs of the dead."""
        assert self._maintenance is not None, "the supervisor is not registered yet"
        return self._maintenance

    # --- life -------------------------------------------------------------------------------------

    def supervise(self) -> int:
        """Live until told to stop; returns the exit status."""
        self._alarm.open()  # before children have taken all the descriptors that there may be
        with trapped(self.stop, self.quit, self._alarm.wake), self.registered():
            assert self.id is not None
            self._maintenance = Maintenance(self.runtime, self.id)
            self.call_supervisor_hooks("start")
            self.attempt(self._tasks.synchronize)
            self.attempt(self._warn)
            self.attempt(self.maintenance.run_if_due)  # before there are children: they share what it leaves in memory
            self.work()
            self.call_supervisor_hooks("stop")
            self.end_children()
            self.attempt(lambda: self.maintenance.release_children(but=self.unwritten))
        self.call_supervisor_hooks("exit")
        return 0

    def call_supervisor_hooks(self, event: str) -> None:
        """Hooks of the supervisor have no prefix: `on_start`, `on_stop`, `on_exit`."""
        self.runtime.call_hooks(event, self)

    def _warn(self) -> None:
        with self.runtime.database.connect() as connection:
            for warning in upkeep_warnings(connection, jobs):
                self.runtime.events.emit("upkeep_warning", text=warning)

    def poll(self) -> float:
        self.attention.look()
        self.fill_vacancies()
        self.watch()
        self.attempt(self.beat_if_due)
        self.attempt(self._tasks.synchronize)
        if self.attention.is_full:
            self.attempt(self.maintain)
        return WATCH_INTERVAL

    def maintain(self) -> bool:
        """Do what is due for the dead; whether it was."""
        return self.maintenance.run_if_due()

    def fill_vacancies(self) -> None:
        """Start a process in each role that has none and whose time has come; where that fails, it is tried again later."""
        moment = time.monotonic()
        due = [role for role, when in self.vacant.items() if when <= moment]
        children: dict[Role, Process] = {}
        for role in due:
            del self.vacant[role]
            role.begin()
            with self._vacated_on_error(role):
                children[role] = self.make_child(role)
        if children:
            self.attempt(self.prepare_children)
        for role, process in children.items():
            if self.stopping:
                return
            with self._vacated_on_error(role):
                self.start_child(role, process)

    @contextmanager
    def _vacated_on_error(self, role: Role) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.vacate(role)
            self.runtime.handle_thread_error(error)

    def vacate(self, role: Role) -> None:
        """Note that a role's process is gone."""
        self.vacant[role] = time.monotonic() + role.ended()

    def attempt(self, duty: Callable[[], Any]) -> None:
        """Do a duty; report its error and carry on, so that it is done next time."""
        try:
            duty()
        except Exception as error:
            self.runtime.handle_thread_error(error)

    def beat_if_due(self) -> None:
        """Say that the supervisor is alive, until its last child has ended."""
        if time.monotonic() - self._beaten_at < self.runtime.settings.heartbeat_interval:
            return
        self._beaten_at = time.monotonic()
        process_id = self.id
        assert process_id is not None
        try:
            with self.runtime.database.connect() as connection:
                alive = registration.heartbeat(connection, process_id)
        except Exception:
            self.attention.distract()
            raise
        if not alive:  # somebody took us for dead; our children look up to this id, so that we go on under it
            self.register()

    # --- what a child is --------------------------------------------------------------------------

    def make_child(self, role: Role) -> Process:
        """Make the process that is to be started in `role`."""
        return role.build(self.runtime)

    def prepare_children(self) -> None:
        """Do what is to be done once between making children and starting them."""

    def start_child(self, role: Role, process: Process) -> None:
        """Start a process in `role`, or raise why there is none."""
        raise NotImplementedError

    def watch(self) -> None:
        """Notice which children died, and vacate their roles."""
        raise NotImplementedError

    def any_child_lives(self) -> bool:
        """Whether any child has not ended yet."""
        raise NotImplementedError

    def tell_children_to_end(self) -> None:
        """Ask all children to end, in good order or, if this one is `quitting`, at once."""
        raise NotImplementedError

    # --- ending -----------------------------------------------------------------------------------

    def end_children(self) -> None:
        """Have all children end, until their time is up. Whoever is told to quit meanwhile passes that on."""
        told_to_quit = self.quitting
        self.tell_children_to_end()
        deadline = time.monotonic() + self.end_timeout()
        while self.any_child_lives() and time.monotonic() < deadline:
            self._alarm.nap(min(0.2, max(0.0, deadline - time.monotonic())))
            self.attempt(self.beat_if_due)
            if self.quitting and not told_to_quit:
                told_to_quit = True
                self.tell_children_to_end()
                deadline = time.monotonic() + self.end_timeout()

    def end_timeout(self) -> float:
        """How long children may take to end from now on, in seconds."""
        return QUIT_GRACE if self.quitting else self.runtime.settings.shutdown_timeout + GRACE
