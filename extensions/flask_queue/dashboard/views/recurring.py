"""Recurring tasks: when they ran and will run, running one now, pausing, resuming and removing one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flask import redirect, url_for
from flask.typing import ResponseReturnValue

from ...current import current_queue
from ...errors import QueueError
from ..addresses import way_back
from ..notices import done, not_found, refused
from ..queries.counts import counts
from ..queries.recurring import runs_of
from ..rendering import render

if TYPE_CHECKING:
    from ...client import RecurringTaskHandle

SHOWN_RUNS = 50


@dataclass(frozen=True)
class TaskLine:
    """A task with what has to be worked out.

    :param problem: why it will not run, in words
    """

    task: RecurringTaskHandle
    next_run_at: datetime | None
    problem: str | None

    @classmethod
    def of(cls, task: RecurringTaskHandle) -> TaskLine:
        """The line of a task. One that cannot be understood any more is shown with the reason."""
        try:
            next_run_at = task.next_run_at
        except QueueError as error:
            return cls(task, None, str(error))
        known = task.job_name in current_queue().definitions
        return cls(task, next_run_at, None if known else f"No job {task.job_name} is registered.")


def index() -> ResponseReturnValue:
    """All recurring tasks by key."""
    queue = current_queue()
    lines = [TaskLine.of(task) for task in queue.recurring_tasks]
    with queue.database.connect() as connection:
        sizes = counts(connection)
    return render("recurring.html", sizes, lines=lines)


def show(key: str) -> ResponseReturnValue:
    """One recurring task and its last runs."""
    queue = current_queue()
    task = queue.recurring_tasks.get(key)
    if task is None:
        return not_found("Recurring task", key, ".recurring")
    with queue.database.connect() as connection:
        runs = runs_of(connection, key, SHOWN_RUNS)
        sizes = counts(connection)
    return render("recurring_task.html", sizes, line=TaskLine.of(task), task=task, runs=runs, shown_runs=SHOWN_RUNS)


def run(key: str) -> ResponseReturnValue:
    """Enqueue a job of a task at once, beside its planned runs."""
    return _act(key, lambda task: task.run_now(), lambda job: f"Enqueued job {job.id} of recurring task “{key}”.")


def pause(key: str) -> ResponseReturnValue:
    """Let a task enqueue nothing until it is resumed."""
    return _act(key, lambda task: task.pause(), lambda _: f"Recurring task “{key}” is paused.")


def resume(key: str) -> ResponseReturnValue:
    """Let a task enqueue again, from its next instant on."""
    return _act(key, lambda task: task.resume(), lambda _: f"Recurring task “{key}” will run again.")


def unschedule(key: str) -> ResponseReturnValue:
    """Remove a task that was added at run time."""
    remove = current_queue().unschedule_recurring_task
    return _act(key, lambda task: remove(task.key), lambda _: f"Recurring task “{key}” was removed.")


def _act(key: str, verb: Callable[[RecurringTaskHandle], object], wording: Callable[[Any], str]) -> ResponseReturnValue:
    """Do something to a task, and say so in words made of what it returned."""
    task = current_queue().recurring_tasks.get(key)
    if task is None:
        return not_found("Recurring task", key, ".recurring")
    try:
        done(wording(verb(task)))
    except QueueError as error:
        refused(str(error))
    return redirect(way_back(url_for(".recurring")))
