"""`queue.queues`: pausing, sizes, latencies and clearing, by a queue's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..jobs.definition import queue_name
from ..operations import queues as operations
from ..operations.queues import QueueOverview
from ..operations.selectors import paused_names, ready_names
from .relation import Jobs

if TYPE_CHECKING:
    from .client import Client


class QueueHandle:
    """One queue. It need not have any job."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = queue_name(name)

    def __repr__(self) -> str:
        return f"<QueueHandle {self.name}>"

    @property
    def size(self) -> int:
        """How many of its jobs are ready."""
        with self._client.database.connect() as connection:
            return operations.sizes(connection, [self.name])[self.name]

    @property
    def latency(self) -> float:
        """For how many seconds the longest waiting of its ready jobs has been due; 0 when there is none.

        Of a queue with more than 500 jobs only the next 500 are asked, and the first 500 of the least urgent.
        """
        with self._client.database.connect() as connection:
            return operations.latencies(connection, [self.name])[self.name]

    @property
    def paused(self) -> bool:
        """Whether workers keep away from it."""
        with self._client.database.connect() as connection:
            return operations.is_paused(connection, self.name)

    def pause(self) -> None:
        """Keep workers away from it; what runs already goes on. Pausing twice is pausing once."""
        self._client.database.transact(lambda connection: operations.pause(connection, self.name))
        self._client.events.emit("pause", queue=self.name)

    def resume(self) -> None:
        """Let workers at it again."""
        self._client.transact(lambda connection: operations.resume(connection, self.name))
        self._client.events.emit("resume", queue=self.name)

    def clear(self) -> int:
        """Delete its ready jobs. A job that a worker is claiming survives.

        :return: how many were deleted.
        """
        return Jobs(self._client).ready.where(queue=self.name).discard_all()


class Queues:
    """All queues that are known: with ready jobs, paused, or named by a registered job."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getitem__(self, name: str) -> QueueHandle:
        """The queue of this name.

        :raises ConfigurationError: when no queue can be called that.
        """
        return QueueHandle(self._client, name)

    def __iter__(self) -> Iterator[QueueHandle]:
        return (self[name] for name in self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def names(self) -> list[str]:
        """Their names, sorted."""
        with self._client.database.connect() as connection:
            found = {*ready_names(connection), *paused_names(connection)}
        return sorted(found | self.declared())

    def overview(self) -> list[QueueOverview]:
        """All of them with their figures, by name."""
        with self._client.database.connect() as connection:
            return operations.with_latencies(connection, operations.overview(connection, self.declared()))

    def declared(self) -> set[str]:
        """The names that registered jobs give."""
        return {definition.queue for definition in self._client.definitions.values()}
