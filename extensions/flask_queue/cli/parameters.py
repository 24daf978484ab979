"""What several commands take: lengths of time, moments, filters, and the names of queues and jobs, which have to exist."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ..config.values import LARGEST, Refused, closest, duration
from ..errors import QueueError
from ..models import State

if TYPE_CHECKING:
    from ..client import JobHandle, JobRelation
    from ..extension import FlaskQueue

Command = Callable[..., Any]

STATES = [state.value for state in State]
#: How many jobs at most: a number that every database takes.
COUNT = click.IntRange(min=1, max=LARGEST)


def length_of_time(value: str) -> float:
    """Seconds, or words as "5 minutes"."""
    try:
        return float(duration(zero=True)(value))
    except Refused as refused:
        raise click.BadParameter(f"{value!r} must be {refused}.") from refused


def moment(value: str) -> datetime:
    """A date and time in ISO 8601. Without a zone it is UTC."""
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f'{value!r} must be a date and time such as "2030-01-31 09:00" or "2030-01-31T09:00+01:00".'
        ) from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def check_queue(queue: FlaskQueue, name: str | None) -> None:
    """Refuse a queue that nobody knows: it is most likely misspelt."""
    if name is None or name in (known := known_queues(queue)):
        return
    if not queue.jobs.all_states.where(queue=name).count(cap=1):
        raise QueueError(unknown("queue", name, known))


def known_queues(queue: FlaskQueue) -> set[str]:
    """Queues that have ready jobs, are paused, are named by a job, or are some worker's by its whole name."""
    configured = {name for worker in queue.configuration().workers for name in worker.queues if "*" not in name}
    return {one.name for one in queue.queues} | configured


def check_job_name(queue: FlaskQueue, name: str | None) -> None:
    """Refuse a job name that is neither registered nor in the database."""
    if name is None or name in queue.definitions:
        return
    if not queue.jobs.all_states.where(name=name).count(cap=1):
        raise QueueError(unknown("job name", name, queue.definitions))


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """A complaint about a name, with the most likely one, or all there are."""
    meant = closest(name, known)
    advice = f"Did you mean {meant!r}?" if meant else f"There are: {', '.join(sorted(known)) or 'none'}."
    return f"There is no {kind} {name!r}. {advice}"


def find_job(queue: FlaskQueue, job_id: int) -> JobHandle:
    """The job with an id.

    :raises QueueError: when there is none
    """
    job = queue.jobs.get(job_id)
    if job is None:
        raise QueueError(f"There is no job {job_id}. It may have been discarded, or cleared after it finished.")
    return job


def filters(command: Command) -> Command:
    """The options that choose among jobs."""
    command = click.option("--name", metavar="JOB", help="Only jobs of this name.")(command)
    return click.option("--queue", "queue_name", metavar="QUEUE", help="Only jobs of this queue.")(command)


def filtered(queue: FlaskQueue, state: str | None, queue_name: str | None, name: str | None) -> JobRelation:
    """The jobs that those options mean."""
    check_queue(queue, queue_name)
    check_job_name(queue, name)
    relation = queue.jobs.in_state(state) if state else queue.jobs.all_states
    return relation.where(queue=queue_name, name=name)
