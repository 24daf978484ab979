"""`flask queue …`: what somebody at a terminal, or a script, does with a queue.

One module for each family of commands. `group.py` turns what a person did wrong into one sentence, in one place for all.
"""

from __future__ import annotations

from .group import LateCommands, QueueGroup, SetupError, setup_errors_shown
from .reloader import only_watches_files

#: Where each command is, in the order of `--help`.
_PLACES = {
    "start": "start.start",
    "work": "work.work",
    "check": "check.check",
    "install": "install.install",
    "status": "status.status",
    "list": "jobs.list_jobs",
    "show": "jobs.show",
    "enqueue": "enqueue.enqueue",
    "retry": "changes.retry",
    "discard": "changes.discard",
    "pause": "queues.pause",
    "resume": "queues.resume",
    "clear-finished": "changes.clear_finished",
    "recurring": "recurring.recurring",
}


def make_cli() -> QueueGroup:
    """A group `queue` with all commands, for `app.cli.add_command`."""
    commands = LateCommands({name: f"{__name__}.{place}" for name, place in _PLACES.items()})
    return QueueGroup("queue", commands, help="Run the queue's processes, look at its jobs, and act on them.")


__all__ = ["QueueGroup", "SetupError", "make_cli", "only_watches_files", "setup_errors_shown"]
