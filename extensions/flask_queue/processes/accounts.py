"""What a worker does to the database: endings and new claims, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from ..database import Lookout, Step, is_lost_connection, is_transient, lock_keys
from ..models.concurrency_key import concurrency_keys
from ..operations.claim import Claim, Kinds, anything_ready, claim
from ..operations.finish import discard_failed, fail, finishing, retry_at_once, retry_later
from ..operations.marks import Marks
from ..operations.selectors import Selector, paused_names
from ..operations.unblock import unblock
from .exchange import Room
from .performer import Ending, Outcome
from .runtime import Runtime

#: How long it is taken for granted whether any queue is paused, in seconds.
PAUSES_TTL = 2.0
#: A worker of all queues comes back for what it has let in and has no room for. It tells others of that no more often than
#: this, in seconds: where most jobs are limited, news of each would cost more than they do.
TELLING_INTERVAL = 0.1


class _Moved(NamedTuple):
    """What a transaction has claimed, and whether others are to be told of jobs that it has made ready and not claimed."""

    claims: list[Claim]
    is_news: bool


class Accounts:
    """The claims and endings of one registered process."""

    def __init__(self, runtime: Runtime, selector: Selector, process_name: str, *, marks: Marks | None = None) -> None:
        """
        :param marks: go on in the line where the last claim ended.
        """
        self._runtime = runtime
        self._selector = selector
        self._marks = marks
        self._lookout = Lookout(runtime.database, self._look)
        #: Whether any queue was paused, when somebody asked last.
        self._anything_paused = False
        self._asked_at = float("-inf")
        #: When it last told others of jobs.
        self._told_at = float("-inf")
        self._process_name = process_name
        #: The registration of the process, once it has one.
        self.process_id: int | None = None
        #: The names of the jobs that run on an event loop.
        self.async_names = frozenset(runtime.definitions.async_names())
        #: There were such jobs among the last that were claimed of any kind: most workers see jobs of one kind for long.
        self._coroutines_in_sight = False

    def is_async(self, claim: Claim) -> bool:
        """Whether a claimed job runs on an event loop."""
        return claim.name in self.async_names

    def anything_ready(self) -> bool:
        """Whether a claim could find something: a look that locks nothing."""
        return self._lookout.ask()

    def _look(self, connection: Connection) -> bool:
        if self._must_ask:
            self._ask_for_pauses(connection)
        return anything_ready(connection, self._selector, around=self._anything_paused, marks=self._marks)

    @property
    def _must_ask(self) -> bool:
        return self._selector.takes_all and time.monotonic() - self._asked_at >= PAUSES_TTL

    def _ask_for_pauses(self, connection: Connection) -> None:
        """What is known may be old: it decides how a claim goes about its work, not what it may take."""
        self._anything_paused = bool(paused_names(connection))
        self._asked_at = time.monotonic()

    def transact(self, endings: Sequence[Ending], room: Room) -> tuple[Sequence[Claim], bool]:
        """Write `endings` down, let the next jobs of their concurrency keys in, and claim what fits into `room`.

        :return: what was claimed, and whether there may be more to claim at once.
        """
        if room and self._must_ask:
            with self._runtime.database.connect() as connection:
                self._ask_for_pauses(connection)
        if self._marks is not None:
            self._marks.have_missed = False
        is_plain = all(map(_is_plain, endings))
        has_room_for_both = bool(self.async_names) and room.threads > 0 and room.coroutines > 0
        once = not (has_room_for_both and self._coroutines_in_sight)
        is_one_move = is_plain and once and self._selector.takes_all and not self._anything_paused
        try:
            claims, is_news = self._runtime.client.transact(
                lambda connection: self._end_and_claim(connection, endings, room, once),
                is_news=lambda moved: moved.is_news,
                is_one_move=is_one_move,
            )
        except Exception as error:
            if is_transient(error) or is_lost_connection(error) or not endings:
                raise
            # What failed may be the next jobs' doing. It must not undo the endings of those that are through. (Where the
            # database is away this raises too.)
            self._runtime.client.transact(lambda connection: self._end(connection, endings))
            self._runtime.handle_thread_error(error)
            claims, is_news = [], False
        if is_news:
            self._told_at = time.monotonic()
        self._tell(endings, claims)
        have_missed = self._marks is not None and self._marks.have_missed
        return claims, have_missed or (has_room_for_both and self._has_left_out(claims, room, once))

    def _end_and_claim(self, connection: Connection, endings: Sequence[Ending], room: Room, once: bool) -> _Moved:
        keys = {ending.claim.concurrency_key for ending in endings if ending.claim.concurrency_key is not None}
        if keys and any(ending.outcome is Outcome.RETRIED for ending in endings):
            # All in one order, before a retry takes its own: two workers could wait for each other.
            lock_keys(connection, concurrency_keys, keys)
        ready = self._end_unfinished(connection, endings)
        finished = self._finishing(endings)
        if keys:
            ready += unblock(connection, keys, self._runtime.definitions, ahead=finished)
        claims = self._claim(connection, room, once, None if keys else finished)
        comes_back = bool(room) and self._selector.takes_all
        may_tell = not comes_back or time.monotonic() - self._told_at >= TELLING_INTERVAL
        return _Moved(claims, may_tell and not {claim.job_id for claim in claims}.issuperset(ready))

    def _finishing(self, endings: Sequence[Ending]) -> Step | None:
        claims = [ending.claim for ending in endings if ending.outcome is Outcome.FINISHED]
        return finishing(claims, preserve=self._runtime.settings.preserve_finished_jobs) if claims else None

    def _end(self, connection: Connection, endings: Sequence[Ending]) -> list[int]:
        finished = self._finishing(endings)
        if finished is not None:
            finished.take(connection)
        return self._end_unfinished(connection, endings)

    def _end_unfinished(self, connection: Connection, endings: Sequence[Ending]) -> list[int]:
        """Write down what has not finished, and return the ids of the jobs that are to run again at once."""
        for ending in endings:
            if ending.outcome is not Outcome.FINISHED:
                self._end_one(connection, ending, self._runtime.settings.preserve_finished_jobs)
        return [ending.claim.job_id for ending in endings if ending.outcome is Outcome.RETRIED and ending.wait <= 0]

    def _end_one(self, connection: Connection, ending: Ending, preserve: bool) -> None:
        failure = ending.failure
        assert failure is not None
        if ending.outcome is Outcome.DISCARDED:
            discard_failed(connection, ending.claim, preserve=preserve)
        elif ending.outcome is Outcome.FAILED:
            fail(connection, ending.claim, failure, process_name=self._process_name)
        elif ending.wait > 0:
            retry_later(connection, ending.claim, failure, ending.wait, process_name=self._process_name)
        else:
            retry_at_once(connection, ending.claim, failure, self._runtime.definitions, process_name=self._process_name)

    def _claim(self, connection: Connection, room: Room, once: bool, ahead: Step | None = None) -> list[Claim]:
        """Claim for threads and coroutines; with `once` in one go, which may leave out coroutines that there is room for."""
        if not self.async_names:
            return self._claim_some(connection, room.threads, None, ahead)
        kinds = tuple(sorted(self.async_names))
        if room.threads > 0 and room.coroutines > 0:
            claims = self._claim_some(connection, min(room.threads, room.coroutines), None, ahead)
            coroutines = sum(self.is_async(claim) for claim in claims)
            self._coroutines_in_sight = coroutines > 0
            if once or not coroutines:
                return claims
            return claims + self._claim_some(connection, room.coroutines - coroutines, Kinds(kinds, only=True))
        if room.threads > 0:
            return self._claim_some(connection, room.threads, Kinds(kinds, only=False), ahead)
        return self._claim_some(connection, room.coroutines, Kinds(kinds, only=True), ahead)

    def _has_left_out(self, claims: Sequence[Claim], room: Room, once: bool) -> bool:
        """Whether a claim for both kinds may have found no more only because of the smaller room."""
        if self._coroutines_in_sight:
            return once
        return len(claims) == min(room.threads, room.coroutines) < room.threads

    def _claim_some(self, connection: Connection, limit: int, kinds: Kinds | None, ahead: Step | None = None) -> list[Claim]:
        assert self.process_id is not None
        return claim(
            connection,
            self._selector,
            limit=limit,
            process_id=self.process_id,
            kinds=kinds,
            ahead=ahead,
            around=self._anything_paused,
            marks=self._marks,
        )

    def _tell(self, endings: Sequence[Ending], claims: Sequence[Claim]) -> None:
        events = self._runtime.events
        if endings:
            events.emit("finish", process_id=self.process_id, endings=endings)
        if claims:
            events.emit("claim", process_id=self.process_id, job_ids=[claim.job_id for claim in claims], size=len(claims))


def _is_plain(ending: Ending) -> bool:
    """Whether to write an ending down takes no more than to finish the job."""
    return ending.outcome is Outcome.FINISHED and ending.claim.concurrency_key is None
