"""Whether the queue does its work: what an operator would want to be woken for, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..database import DatabaseError
from ..models.process import Kind
from ..operations.queues import latencies, sizes
from ..operations.selectors import unpaused_names
from .processes import ProcessRecord, list_processes
from .recurring import RecurringTasks

if TYPE_CHECKING:
    from .client import Client

#: A queue whose oldest ready job has waited longer than this is in trouble, in seconds.
LATENCY_LIMIT = 300.0


@dataclass(frozen=True)
class Note:
    """Something that another extension shows on the overview: (label, value, whether it is fine) for each line."""

    label: str
    lines: Callable[[], Iterable[tuple[str, str, bool]]]
    url: str | None = None


def problems(client: Client, checks: Mapping[str, Callable[[], Iterable[str]]]) -> list[str]:
    """All that is wrong; nothing when all is well. `checks` are those of other extensions, by name."""
    try:
        found = [*_process_problems(client), *_queue_problems(client)]
    except DatabaseError as error:
        return [f"The queue's database does not answer: {type(error).__name__}."]
    for name, check in checks.items():
        try:
            found += check()
        except Exception as error:
            found.append(f"The check of {name} raised {type(error).__name__}: {error}")
    return found


def _process_problems(client: Client) -> list[str]:
    alive = [process for process in list_processes(client) if not process.stale]
    if not alive:
        return ["No process of the queue is running: start `flask queue start`."]
    found = [f"No {kind.value.lower()} is running." for kind in (Kind.WORKER, Kind.DISPATCHER) if not _any(alive, kind)]
    if not _any(alive, Kind.SCHEDULER) and RecurringTasks(client).all():
        found.append("No scheduler is running, so that recurring tasks are not enqueued.")
    return found


def _any(processes: list[ProcessRecord], kind: Kind) -> bool:
    return any(process.kind == kind for process in processes)


def _queue_problems(client: Client) -> list[str]:
    """Only what is late is counted: who asks for the health of a queue with a million jobs asks every few seconds."""
    with client.database.connect() as connection:
        waits = latencies(connection, unpaused_names(connection))
        late = {name: wait for name, wait in waits.items() if wait > LATENCY_LIMIT}
        counted = sizes(connection, late)
    return [_late(name, counted[name], wait) for name, wait in late.items()]


def _late(name: str, size: int, wait: float) -> str:
    return f"The oldest of {size} ready jobs in queue {name!r} has been waiting for {wait:.0f} s."
