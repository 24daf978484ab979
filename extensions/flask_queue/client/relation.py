"""`queue.jobs`: the jobs in one state, narrowed down by conditions, and what can be done to all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select

from ..config.values import checked, integer
from ..database import contains
from ..errors import InvalidTransition, QueueError
from ..models.job import State, jobs
from ..models.seek import along, by_id, not_along_the_primary_key
from ..operations.discard import discard_many
from ..operations.retry import retry_many
from ..operations.unblock import unblock
from .handle import LARGEST_ID, JobHandle

if TYPE_CHECKING:
    from .client import Client

#: How many jobs one transaction of a bulk action moves.
BULK_SIZE = 1000
#: How many concurrency keys one transaction locks.
KEYS_AT_ONCE = 50

#: In which order the jobs of a state are listed: what comes next first; what is over, the latest first.
_ORDERS: dict[State, tuple[ColumnElement[Any], ...]] = {
    State.SCHEDULED: (jobs.c.scheduled_at, jobs.c.priority, jobs.c.id),
    State.READY: (jobs.c.priority, jobs.c.id),
    State.FINISHED: (jobs.c.finished_at.desc(), jobs.c.id.desc()),
}


def _in_order(state: State | None, statement: Select[Any]) -> Select[Any]:
    if state is None:
        return statement.order_by(jobs.c.id)
    if state in _ORDERS:
        return statement.order_by(*_ORDERS[state])
    return not_along_the_primary_key(statement).order_by(by_id(state, jobs.c.id))


def _count(name: str, value: object) -> int:
    # SQLite takes a negative one for none at all, others raise when the jobs are read.
    return int(checked(name, value, integer(0, LARGEST_ID), QueueError))


class Jobs:
    """The jobs of a queue, by state: `.scheduled`, `.ready`, `.blocked`, `.claimed`, `.finished`, `.failed`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, job_id: int) -> JobHandle | None:
        """The job with this id, or None."""
        if not isinstance(job_id, int) or isinstance(job_id, bool) or abs(job_id) > LARGEST_ID:
            return None
        handle = JobHandle.of_id(self._client, job_id)
        return handle if handle.exists() else None

    @property
    def all_states(self) -> JobRelation:
        """Jobs in whatever state."""
        return JobRelation(self._client, None)

    def in_state(self, state: State | str) -> JobRelation:
        """Jobs in the state of this name.

        :raises ValueError: when there is no such state.
        """
        return JobRelation(self._client, State(state))

    @property
    def scheduled(self) -> JobRelation:
        """Jobs that are not due yet."""
        return self.in_state(State.SCHEDULED)

    @property
    def ready(self) -> JobRelation:
        """Jobs that wait for a worker."""
        return self.in_state(State.READY)

    @property
    def blocked(self) -> JobRelation:
        """Jobs that wait for a slot of their concurrency key."""
        return self.in_state(State.BLOCKED)

    @property
    def claimed(self) -> JobRelation:
        """Jobs that are running."""
        return self.in_state(State.CLAIMED)

    @property
    def finished(self) -> JobRelation:
        """Jobs that are done."""
        return self.in_state(State.FINISHED)

    @property
    def failed(self) -> JobRelation:
        """Jobs that failed for good, until somebody retries or discards them."""
        return self.in_state(State.FAILED)


@dataclass(frozen=True)
class JobRelation:
    """Jobs that meet some conditions. Nothing is read until it is asked for."""

    _client: Client
    _state: State | None
    _conditions: tuple[ColumnElement[bool], ...] = ()
    _limit: int | None = None
    _offset: int = 0

    def where(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        finished_after: datetime | None = None,
        finished_before: datetime | None = None,
        search: str | None = None,
    ) -> JobRelation:
        """Only those of a queue, of a job name, finished within a time.

        :param search: a text in their arguments as they are stored, in capital or small letters.
        """
        conditions: list[ColumnElement[bool]] = []
        if queue is not None:
            conditions.append(jobs.c.queue_name == queue)
        if name is not None:
            conditions.append(jobs.c.name == name)
        if finished_after is not None:
            conditions.append(jobs.c.finished_at >= finished_after)
        if finished_before is not None:
            conditions.append(jobs.c.finished_at <= finished_before)
        if search:
            conditions.append(contains(jobs.c.arguments, search))
        return replace(self, _conditions=(*self._conditions, *conditions))

    def limit(self, count: int) -> JobRelation:
        """At most `count` of them, in the order of `all`; actions take the same ones.

        :raises QueueError: when `count` is no whole number from 0 on; so do `offset` and `count`.
        """
        return replace(self, _limit=_count("limit", count))

    def offset(self, count: int) -> JobRelation:
        """Without the first `count` of them, in the order of `all`."""
        return replace(self, _offset=_count("offset", count))

    # --- reading ----------------------------------------------------------------------------------

    def all(self) -> list[JobHandle]:
        """Their handles: scheduled ones by due time, ready ones in the order they will run, finished ones latest first."""
        statement = self._page(_in_order(self._state, select(jobs).where(*self._where)))
        with self._client.database.connect() as connection:
            return [JobHandle.of_row(self._client, row) for row in connection.execute(statement)]

    def __iter__(self) -> Iterator[JobHandle]:
        return iter(self.all())

    def first(self) -> JobHandle | None:
        """The first of them, or None."""
        found = self.limit(1).all()
        return found[0] if found else None

    def count(self, cap: int | None = None) -> int:
        """How many they are; no more than `cap`, where it is given, so that a big table costs no more than that."""
        if cap is not None:
            _count("cap", cap)
        limits = [limit for limit in (cap, self._limit) if limit is not None]
        if not limits and not self._offset:
            statement = select(func.count()).select_from(jobs).where(*self._where)
        else:
            page: Select[Any] = select(literal_column("1")).select_from(jobs).where(*self._where)
            page = page.limit(min(limits) if limits else LARGEST_ID).offset(self._offset)
            statement = select(func.count()).select_from(page.subquery())
        with self._client.database.connect() as connection:
            return int(connection.execute(statement).scalar_one())

    @property
    def _where(self) -> tuple[ColumnElement[bool], ...]:
        return self._conditions if self._state is None else (along(self._state), *self._conditions)

    def _page(self, statement: Select[Any]) -> Select[Any]:
        if self._limit is None and not self._offset:
            return statement
        return statement.limit(LARGEST_ID if self._limit is None else self._limit).offset(self._offset)

    # --- acting -----------------------------------------------------------------------------------

    def retry_all(self) -> int:
        """Retry the failed ones among them, a batch in each transaction.

        :return: how many were moved; those that somebody else was moving are not counted.
        :raises InvalidTransition: when these are jobs in another state.
        """
        if self._state not in (None, State.FAILED):
            raise InvalidTransition(f"Only failed jobs can be retried, not {self._state} ones.")

        def batch(connection: Connection, where: list[ColumnElement[bool]], size: int) -> list[int]:
            return retry_many(connection, where, self._client.definitions, limit=size)

        moved = self._in_batches(batch)
        self._client.events.emit("retry_all", size=moved)
        return moved

    def discard_all(self) -> int:
        """Delete them, a batch in each transaction, and let the next jobs of their concurrency keys in.

        :return: how many were deleted; those that somebody else was moving are not counted.
        :raises InvalidTransition: when these are running jobs.
        """
        if self._state == State.CLAIMED:
            raise InvalidTransition("Jobs that are running cannot be discarded. Nothing was changed.")

        freed: set[str] = set()

        def batch(connection: Connection, where: list[ColumnElement[bool]], size: int) -> list[int]:
            ids, keys = discard_many(connection, where, limit=size)
            freed.update(keys)
            return ids

        try:
            moved = self._in_batches(batch)
        finally:  # not earlier: who is let in must not be discarded with those whose slots it got
            self._unblock(sorted(freed))
        self._client.events.emit("discard_all", size=moved)
        return moved

    def _unblock(self, keys: Sequence[str]) -> None:
        """Let the next jobs of these keys in, some keys at a time: their lines stand still meanwhile."""
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[start : start + KEYS_AT_ONCE]
            self._client.transact(partial(unblock, keys=some, definitions=self._client.definitions))

    def _in_batches(self, batch: Any) -> int:
        if self._limit is not None or self._offset:
            return self._in_batches_of_listed(batch)
        moved, last_id = 0, -LARGEST_ID
        while ids := self._client.transact(partial(batch, where=[*self._where, jobs.c.id > last_id], size=BULK_SIZE)):
            moved, last_id = moved + len(ids), max(ids)
        return moved

    def _in_batches_of_listed(self, batch: Any) -> int:
        """The same for a part of the list: for those that `all` returns."""
        statement = self._page(_in_order(self._state, select(jobs.c.id).where(*self._where)))
        with self._client.database.connect() as connection:
            listed = list(connection.execute(statement).scalars())
        moved = 0
        for start in range(0, len(listed), BULK_SIZE):
            some = listed[start : start + BULK_SIZE]
            moved += len(self._client.transact(partial(batch, where=[*self._where, jobs.c.id.in_(some)], size=len(some))))
        return moved
