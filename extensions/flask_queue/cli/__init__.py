"""`flask queue …`: what somebody at a terminal, or a script, does with a queue.

One module for each family of commands. `group.py` turns what a person did wrong into one sentence, in one place for all.
"""

from __future__ import annotations

from .changes import clear_finished, discard, retry
from .check import check
from .enqueue import enqueue
from .group import QueueGroup, SetupError, setup_errors_shown
from .install import install
from .jobs import list_jobs, show
from .queues import pause, resume
from .recurring import recurring
from .start import start
from .status import status
from .work import work


def make_cli() -> QueueGroup:
    """A group `queue` with all commands, for `app.cli.add_command`."""
    group = QueueGroup("queue", help="Run the queue's processes, look at its jobs, and act on them.")
    commands = (start, work, check, install, status, list_jobs, show, enqueue, retry, discard)
    for command in (*commands, pause, resume, clear_finished, recurring):
        group.add_command(command)
    return group


__all__ = ["QueueGroup", "SetupError", "make_cli", "setup_errors_shown"]
