"""From a configuration to running processes: what `flask queue start` does."""

from __future__ import annotations

from ..config import Configuration
from ..errors import ConfigurationError
from ..processes.runtime import Runtime
from ..processes.titles import entitle
from .fork import ForkSupervisor
from .pidfile import Pidfile
from .roles import roles_of
from .supervisor import Supervisor
from .thread import ThreadSupervisor

_SUPERVISORS: dict[str, type[Supervisor]] = {"fork": ForkSupervisor, "thread": ThreadSupervisor}


def start(runtime: Runtime, configuration: Configuration, *, mode: str | None = None, parent_pid: int | None = None) -> int:
    """Run the configured processes until told to stop. Call it in the main thread.

    :param mode: "fork" or "thread"; by default `QUEUE_MODE`.
    :param parent_pid: a process that the supervisor must not outlive.
    :return: the exit status: 0 after a stop in good order.
    :raises ConfigurationError: for an invalid configuration; nothing was started.
    :raises AlreadyRunning: when a live supervisor owns `QUEUE_PIDFILE`.
    """
    if configuration.problems:
        raise ConfigurationError(problems=configuration.problems)
    supervisor = _SUPERVISORS[mode or runtime.settings.mode]
    roles = roles_of(configuration, one_process_each=supervisor is ThreadSupervisor)
    if not roles:
        raise ConfigurationError("No processes configured. Exiting.")
    with Pidfile(runtime.settings.pidfile) as pidfile:
        process = supervisor(runtime, configuration, roles, pidfile)
        process.parent_pid = parent_pid
        entitle(process.title)
        return process.supervise()
