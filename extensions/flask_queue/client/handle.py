"""A job's handle: what `enqueue` returns, and what `queue.jobs` finds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ..database import AnyRow
from ..errors import InvalidTransition, QueueError
from ..jobs.definition import CallOptions, JobDefinition
from ..models.attempt import attempts
from ..models.job import State, jobs
from ..operations.discard import discard_many
from ..operations.retry import retry_many, run_now
from ..operations.unblock import unblock

if TYPE_CHECKING:
    from .client import Client

#: Row ids are 64-bit integers.
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Attempt:
    """One failed run of a job."""

    number: int
    error_class: str
    message: str
    traceback: str
    started_at: datetime | None
    failed_at: datetime
    process_name: str | None


class JobHandle:
    """A job. Its columns are read when they are first asked for; `refresh()` reads them again; `status` is always fresh."""

    # The parts of the call lie here: an object of their own would double what the garbage collector has to look at when
    # many are built, and that takes longer than to write them.
    __slots__ = ("_client", "_row", "_was_read", "call_args", "call_kwargs", "definition", "enqueued", "id", "options")

    def __init__(
        self,
        definition: JobDefinition[Any, Any] | None = None,
        options: CallOptions | None = None,
        *,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        #: The row's id; None until it is enqueued, and for a job that a concurrency rule discarded.
        self.id: int | None = None
        #: Whether this call has put a row into the queue.
        self.enqueued = False
        #: What is called, and how it is enqueued; None for a job that was read from the database.
        self.definition = definition
        self.options = options
        self.call_args = args
        #: None rather than an empty dict, which would be one more thing to collect.
        self.call_kwargs = kwargs or None
        self._client: Client | None = None
        self._row: AnyRow | None = None
        self._was_read = False

    @classmethod
    def of_row(cls, client: Client, row: AnyRow) -> JobHandle:
        """The handle of a row that has just been read."""
        handle = cls().bind(client)
        handle.stored(row.id)
        handle._row, handle._was_read = row, True
        return handle

    @classmethod
    def of_id(cls, client: Client, job_id: int) -> JobHandle:
        """The handle of a row that is known by its id alone."""
        handle = cls().bind(client)
        handle.stored(job_id)
        return handle

    def bind(self, client: Client) -> JobHandle:
        """Say whose job this is."""
        self._client = client
        return self

    def stored(self, job_id: int | None) -> None:
        """Say under which id the job was written, or that a concurrency rule discarded it."""
        self.id = job_id
        self.enqueued = job_id is not None

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} {self.definition.name}>" if self.definition else f"<JobHandle {self.id}>"

    # --- reading ----------------------------------------------------------------------------------

    @property
    def status(self) -> str | None:
        """The job's state now: one of scheduled, ready, blocked, claimed, finished, failed; None once its row is gone."""
        self.refresh()
        return None if self._row is None else str(self._row.state)

    def refresh(self) -> JobHandle:
        """Read the job's row again."""
        client = self._client
        self._row, self._was_read = None, True
        if client is not None and self.id is not None and abs(self.id) <= LARGEST_ID:
            with client.database.connect() as connection:
                self._row = connection.execute(select(jobs).where(jobs.c.id == self.id)).first()
        return self

    def exists(self) -> bool:
        """Whether the row was there when it was last read."""
        return self._read() is not None

    def _read(self) -> AnyRow | None:
        if not self._was_read:
            self.refresh()
        return self._row

    def _column(self, name: str) -> Any:
        row = self._read()
        return None if row is None else getattr(row, name)

    @property
    def state(self) -> str | None:
        """The job's state when it was last read."""
        return self._column("state")  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        """The registered name of the job."""
        return self.definition.name if self.definition else self._column("name")

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self.options.queue if self.options else self._column("queue_name")

    @property
    def priority(self) -> int:
        """Smaller runs first."""
        return self.options.priority if self.options else self._column("priority")

    @property
    def arguments(self) -> str:
        """The arguments as they are stored: JSON text."""
        return self._column("arguments")  # type: ignore[no-any-return]

    @property
    def scheduled_at(self) -> datetime | None:
        """When it is, or was, due."""
        return self._column("scheduled_at")  # type: ignore[no-any-return]

    @property
    def created_at(self) -> datetime | None:
        """When it was enqueued."""
        return self._column("created_at")  # type: ignore[no-any-return]

    @property
    def claimed_at(self) -> datetime | None:
        """When its latest run began."""
        return self._column("claimed_at")  # type: ignore[no-any-return]

    @property
    def finished_at(self) -> datetime | None:
        """When it finished."""
        return self._column("finished_at")  # type: ignore[no-any-return]

    @property
    def process_id(self) -> int | None:
        """The id of the process that runs it."""
        return self._column("process_id")  # type: ignore[no-any-return]

    @property
    def attempt_count(self) -> int:
        """How many attempts have failed since it was enqueued or last retried by hand."""
        return self._column("attempts") or 0

    @property
    def concurrency_key(self) -> str | None:
        """The key under which its concurrency is limited."""
        return self._column("concurrency_key")  # type: ignore[no-any-return]

    @property
    def expires_at(self) -> datetime | None:
        """Until when it holds the slot of its key."""
        return self._column("expires_at")  # type: ignore[no-any-return]

    @property
    def errors(self) -> list[Attempt]:
        """The attempts that failed, the oldest first.

        :raises QueueError: when it is not in the queue.
        """
        columns = [attempts.c[name] for name in Attempt.__dataclass_fields__]
        statement = select(*columns).where(attempts.c.job_id == self.id).order_by(attempts.c.id)
        with self._bound.database.connect() as connection:
            return [Attempt(*row) for row in connection.execute(statement)]

    @property
    def error(self) -> Attempt | None:
        """The latest attempt that failed."""
        failed = self.errors
        return failed[-1] if failed else None

    # --- acting -----------------------------------------------------------------------------------

    @property
    def _bound(self) -> Client:
        if self._client is None or self.id is None:
            raise QueueError(
                "This job is not in the queue: it was not enqueued, or not yet, or a concurrency rule discarded it."
            )
        return self._client

    def retry(self) -> JobHandle:
        """Run a failed job again: it keeps its row and id, and its attempts count from none.

        :raises InvalidTransition: when it is not failed; nothing is changed.
        :raises QueueError: when it is not in the queue.
        """
        client = self._bound
        if not client.transact(lambda connection: retry_many(connection, self._this, client.definitions, limit=1)):
            self._refuse("retried", "failed jobs", {State.FAILED})
        client.events.emit("retry", job_id=self.id)
        return self.refresh()

    def discard(self) -> JobHandle:
        """Delete the job.

        :raises InvalidTransition: when it is running, or gone; nothing is changed.
        :raises QueueError: when it is not in the queue.
        """
        client = self._bound

        def work(connection: Any) -> list[int]:
            ids, keys = discard_many(connection, self._this, limit=1)
            unblock(connection, keys, client.definitions)
            return ids

        if not client.transact(work):
            self._refuse("discarded", "jobs that are not running", set(State) - {State.CLAIMED})
        client.events.emit("discard", job_id=self.id)
        return self.refresh()

    def run_now(self) -> JobHandle:
        """Let a scheduled job run now, within its limit, and a blocked one at once, past its limit.

        One that was scheduled when it was last read, and has been blocked since, stays blocked.

        :raises InvalidTransition: when it is neither; nothing is changed.
        :raises QueueError: when it is not in the queue.
        """
        client = self._bound
        job_id = self.id or 0
        within_limit = self.state == State.SCHEDULED
        is_moved = client.transact(
            lambda connection: run_now(connection, job_id, client.definitions, past_limit=not within_limit)
        )
        if not (is_moved or (within_limit and self.status == State.BLOCKED)):
            self._refuse("run now", "scheduled and blocked jobs", {State.SCHEDULED, State.BLOCKED})
        return self.refresh()

    @property
    def _this(self) -> list[Any]:
        return [jobs.c.id == self.id]

    def _refuse(self, what: str, which: str, states: set[State]) -> None:
        """Say why nothing was changed. A job in one of `states` was only passed over, for another transaction has locked it."""
        status = self.status
        if status is None:
            raise InvalidTransition(f"Job {self.id} does not exist any more.")
        if status in states:
            raise InvalidTransition(f"Somebody else is moving job {self.id} at the moment. Nothing was changed; try again.")
        shown = "in progress (claimed)" if status == State.CLAIMED else status
        raise InvalidTransition(f"Job {self.id} is {shown}; only {which} can be {what}. Nothing was changed.")
