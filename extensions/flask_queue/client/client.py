"""One application's queue: its database, its registered jobs, and the way of a job into the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from ..config import Settings
from ..database import Database, is_lost_connection, is_missing_table, notify
from ..errors import EnqueueError, MissingTables, QueueError
from ..events import Events
from ..jobs import arguments
from ..jobs.definition import CallOptions, Definitions
from ..operations.enqueue import NewJob, enqueue, enqueue_many, is_delay, is_single
from ..wakeup import Announcer
from .batch import Batch
from .handle import JobHandle
from .references import MappedReferences
from .transactions import on_commit

T = TypeVar("T")

#: How much of a call, in characters, an error shows.
SHOWN_CALL = 200
_DOUBT = " The connection broke, so that nobody can tell whether the job was written."


class Interceptor(Protocol):
    """Takes jobs in place of the database, as tests want it: whatever it gets is not written."""

    def __call__(self, client: Client, handle: JobHandle, job: NewJob) -> None: ...


@dataclass(eq=False)
class Client:
    """What belongs together for one application.

    :param session: gives `db.session` of the application, for `after_commit`, `transactional` and mapped arguments.
    :param single_database: the queue's tables stand in the application's primary database.
    """

    database: Database
    settings: Settings
    definitions: Definitions
    events: Events
    session: Callable[[], Session]
    references: MappedReferences
    single_database: bool
    interceptor: Interceptor | None = None
    announcer: Announcer = field(init=False)

    def __post_init__(self) -> None:
        self.announcer = Announcer(self.database)

    def describe_arguments(self, text: str, job_name: str) -> str:
        """Stored arguments of a job for people to read, with what `QUEUE_FILTER_ARGUMENTS` names hidden."""
        definition = self.definitions.get(job_name)
        names = arguments.positional_names(definition.function) if definition is not None else ()
        return arguments.describe(text, self.settings.filter_arguments, names)

    # --- enqueuing --------------------------------------------------------------------------------

    def publish(self, handle: JobHandle) -> JobHandle:
        """Enqueue a prepared call as its options say. One that is in the queue already is left as it is.

        :raises QueueError: what `new_job` raises; an `EnqueueError` when the database refuses.
        """
        job = self.new_job(handle.bind(self))
        options = handle.options
        assert options is not None
        if handle.enqueued:
            return handle
        if self.interceptor is not None:
            self.interceptor(self, handle, job)
        elif options.transactional:
            self._insert_in_session(handle, job)
        elif self._waits_for_commit(options.after_commit):
            on_commit(self.session(), lambda: self._insert_unless_enqueued(handle, job))
        else:
            self._insert(handle, job)
        return handle

    def _waits_for_commit(self, after_commit: bool | None) -> bool:
        wanted = self.settings.after_commit if after_commit is None else after_commit
        return wanted and self.session().in_transaction()

    def new_job(self, handle: JobHandle) -> NewJob:
        """A prepared call as it will be written.

        :raises ArgumentError: when an argument cannot travel.
        :raises ConcurrencyKeyError: when the key function raises.
        :raises QueueError: when it was read from the database.
        """
        definition, options = handle.definition, handle.options
        if definition is None or options is None:
            raise QueueError(f"{handle!r} was read from the database; it cannot be enqueued again. Use retry().")
        concurrency = definition.rules.concurrency
        return NewJob(
            options.queue,
            definition.name,
            arguments.encode(handle.call_args, handle.call_kwargs, references=self.references),
            options.priority,
            options.wait,
            options.at,
            concurrency.limit(
                definition.name,
                handle.call_args,
                handle.call_kwargs or {},
                default_duration=self.settings.concurrency_duration,
                reference=self.references.refer,
            )
            if concurrency is not None
            else None,
        )

    def _insert_unless_enqueued(self, handle: JobHandle, job: NewJob) -> None:
        if not handle.enqueued:  # the same handle may have been given to another call of the transaction
            self._insert(handle, job)

    def _insert(self, handle: JobHandle, job: NewJob) -> None:
        self._refuse_to_wait_for_ourselves()
        write = self.database.alone if is_single(job) else self.database.transact
        handle.stored(self.enqueuing(lambda: write(lambda connection: enqueue(connection, job))))
        self._tell(handle, job)

    def _tell(self, handle: JobHandle, job: NewJob) -> None:
        if handle.enqueued and not is_delay(job.wait):
            self.announcer.announce()
        self.events.emit("enqueue", job_id=handle.id, name=job.name, queue=job.queue_name)

    def _insert_in_session(self, handle: JobHandle, job: NewJob) -> None:
        session = self._shared_session()
        handle.stored(self.enqueuing(lambda: enqueue(session.connection(), job)))
        on_commit(session, lambda: self._tell(handle, job), otherwise=lambda: handle.stored(None))

    def _shared_session(self) -> Session:
        if not self.single_database:
            raise EnqueueError(
                "transactional=True needs the queue's tables in the primary database (QUEUE_BIND_KEY = None); "
                "with two databases use after_commit=True."
            )
        return self.session()

    # --- enqueuing many ---------------------------------------------------------------------------

    def enqueue_all(self, handles: Iterable[JobHandle]) -> int:
        """Enqueue many prepared calls, all or none; each in the transaction that its options ask for.

        :return: how many were enqueued, or will be by the commit that they wait for; those that a concurrency rule discarded
            are not counted.
        :raises EnqueueError: when a handle is given twice. It would lead to the second of two jobs only.
        """
        batches: dict[Callable[[Batch], int], Batch] = {}
        options: CallOptions | None = None
        try:
            for handle in handles:
                if handle.enqueued:
                    continue
                job = self.new_job(handle.bind(self))
                if handle.options is not options:  # mostly they are those of one job
                    options = handle.options
                    assert options is not None
                    batch = batches.setdefault(self._way_of(options), Batch())
                batch.handles.append(handle)
                batch.jobs.append(job)
        except AttributeError as error:  # to look at each of them would take longer
            if error.name != "enqueued" or isinstance(error.obj, JobHandle):
                raise
            raise EnqueueError(f"enqueue_all() takes handles made with `build`, not {error.obj!r}.") from None
        self._refuse_twice([handle for batch in batches.values() for handle in batch.handles])
        # What can be refused goes first, what only waits last.
        order = (self._intercept_many, self._insert_many_in_session, self._insert_many, self._insert_many_on_commit)
        return sum(way(batches[way]) for way in order if way in batches)

    def _refuse_twice(self, handles: Sequence[JobHandle]) -> None:
        if len(set(handles)) == len(handles):  # to look closer at each would take several times as long
            return
        [(handle, _)] = Counter(handles).most_common(1)
        job = self.new_job(handle)
        call = f"{job.name}({self.describe_arguments(job.arguments, job.name)})"
        shown = call if len(call) <= SHOWN_CALL else f"{call[:SHOWN_CALL]}…"
        raise EnqueueError(
            f"enqueue_all() was given the same handle more than once: {shown}. A handle is that of one job: `build` one "
            "for each. Nothing was written."
        )

    def _way_of(self, options: CallOptions) -> Callable[[Batch], int]:
        if self.interceptor is not None:
            return self._intercept_many
        if options.transactional:
            return self._insert_many_in_session
        return self._insert_many_on_commit if self._waits_for_commit(options.after_commit) else self._insert_many

    def _intercept_many(self, batch: Batch) -> int:
        assert self.interceptor is not None
        for handle, job in zip(batch.handles, batch.jobs, strict=True):
            self.interceptor(self, handle, job)
        return sum(handle.enqueued for handle in batch.handles)

    def _insert_many(self, batch: Batch) -> int:
        self._refuse_to_wait_for_ourselves()
        ids = self.enqueuing(lambda: self.database.transact(lambda connection: enqueue_many(connection, batch.jobs)))
        self._tell_many(batch, ids)
        return batch.stored(ids)

    def _insert_many_on_commit(self, batch: Batch) -> int:
        on_commit(self.session(), lambda: self._insert_many(batch.left()))
        return len(batch.handles)

    def _insert_many_in_session(self, batch: Batch) -> int:
        session = self._shared_session()
        ids = self.enqueuing(lambda: enqueue_many(session.connection(), batch.jobs))
        on_commit(session, lambda: self._tell_many(batch, ids), otherwise=batch.forget)
        return batch.stored(ids)

    def _tell_many(self, batch: Batch, ids: Sequence[int | None]) -> None:
        if not all(map(is_delay, batch.jobs.column("wait"))):
            self.announcer.announce()
        self.events.emit("enqueue_all", job_ids=ids, size=sum(job_id is not None for job_id in ids))

    # --- errors -----------------------------------------------------------------------------------

    def _refuse_to_wait_for_ourselves(self) -> None:
        """
        :raises EnqueueError: when `db.session` has written to the one SQLite file that is also the queue's. It holds the lock
            that our own transaction would wait for, and keeps it for as long as we wait.
        """
        if self.single_database and self.database.has_one_writer and _has_written(self.session()):
            raise EnqueueError(
                "The current transaction of db.session has written to this SQLite database, and keeps everybody else from "
                "writing until it ends: enqueue with transactional=True, as a part of it, or with after_commit=True."
            )

    def enqueuing(self, work: Callable[[], T]) -> T:
        """Do `work`, in which a job is enqueued.

        :raises EnqueueError: when the database refuses.
        """
        try:
            return work()
        except (DBAPIError, PoolTimeoutError) as error:
            advice = f" {MissingTables()}" if is_missing_table(error) else _DOUBT if is_lost_connection(error) else ""
            original = getattr(error, "orig", None) or error
            raise EnqueueError(f"{type(error).__name__}: {original}{advice}") from error
        except SQLAlchemyError as error:
            raise EnqueueError(f"{type(error).__name__}: {error}") from error

    # --- acting -----------------------------------------------------------------------------------

    def transact(
        self,
        work: Callable[[Connection], T],
        *,
        is_news: Callable[[T], object] = bool,
        is_one_move: bool = False,
    ) -> T:
        """Do `work` in one transaction, and tell the workers when jobs may have become ready by it.

        :param is_news: whether that may be so, asked of what `work` returns: by default whatever is not empty is news.
        :param is_one_move: see `Database.begin`. Then there must be no news.
        """

        def announced(connection: Connection) -> T:
            result = work(connection)
            if is_news(result):
                assert not is_one_move, "NOTIFY would be a transaction of its own"
                notify(connection)
            return result

        result = self.database.transact(announced, is_one_move=is_one_move)
        if is_news(result):
            self.announcer.announce()
        return result


def _has_written(session: Session) -> bool:
    """Whether a session is in a transaction of SQLite's that has written. (One that has read is not `in_transaction` there.)"""
    try:
        return session.in_transaction() and bool(getattr(session.connection().connection, "in_transaction", False))
    except SQLAlchemyError:  # it has failed, and holds nothing any more
        return False
