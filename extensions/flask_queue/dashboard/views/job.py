"""One job: its page, and what can be done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from ...current import current_queue
from ...errors import QueueError
from ...models import State
from ..addresses import way_back
from ..listings import LISTINGS
from ..notices import done, not_found, refused
from ..queries.counts import counts
from ..queries.jobs import SHOWN_ATTEMPTS, failed_attempts, find_job
from ..rendering import render

if TYPE_CHECKING:
    from ...client import JobHandle

#: The list that a job is looked for in when it is gone.
LISTED_AT = ".failed"


def show(job_id: int) -> ResponseReturnValue:
    """Everything that is known of a job."""
    queue = current_queue()
    with queue.database.connect() as connection:
        job = find_job(connection, job_id)
        if job is None:
            return not_found("Job", job_id, LISTED_AT)
        attempts = failed_attempts(connection, job_id)
        sizes = counts(connection)
    return render(
        "job.html",
        sizes,
        job=job,
        listing=LISTINGS[State(job.state)],
        attempts=attempts,
        shown_attempts=SHOWN_ATTEMPTS,
        is_registered=job.name in queue.definitions,
    )


def retry(job_id: int) -> ResponseReturnValue:
    """Run a failed job again."""
    return _act(job_id, lambda handle: handle.retry(), f"Job {job_id} will run again.")


def discard(job_id: int) -> ResponseReturnValue:
    """Delete a job that is not running."""
    return _act(job_id, lambda handle: handle.discard(), f"Job {job_id} was discarded.")


def run_now(job_id: int) -> ResponseReturnValue:
    """Let a scheduled or blocked job run at once; but not past its limit one that the page shows as scheduled."""

    def verb(handle: JobHandle) -> None:
        if request.form.get("state") == State.SCHEDULED and handle.state == State.BLOCKED:
            raise QueueError(f"Job {job_id} is due by now, and waits for its key. Nothing was changed.")
        handle.run_now()

    return _act(job_id, verb, f"Job {job_id} runs as soon as a worker is free.")


def _act(job_id: int, verb: Callable[[JobHandle], object], sentence: str) -> ResponseReturnValue:
    handle = current_queue().jobs.get(job_id)
    if handle is None:
        return not_found("Job", job_id, LISTED_AT)
    try:
        verb(handle)
    except QueueError as error:
        refused(str(error))
    else:
        done(sentence)
    return redirect(way_back(url_for(LISTED_AT)))
