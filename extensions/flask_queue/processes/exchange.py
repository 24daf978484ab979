"""The counter at which endings are handed in and claims are handed out, in one transaction for all who stand there.

This is the hot path. Who ends a job settles accounts for everybody: what else has ended meanwhile is written down with it, and
as many jobs are claimed as there is room for. While one thread is at it, the others only leave their endings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..operations.claim import Claim
from .performer import Ending


@dataclass(frozen=True, slots=True)
class Room:
    """How many more jobs fit into the threads and onto the event loop."""

    threads: int
    coroutines: int

    def __bool__(self) -> bool:
        return self.threads > 0 or self.coroutines > 0


class Exchange:
    """Keeps count of what a worker holds. A job is held from its claim until its ending is committed."""

    def __init__(
        self,
        capacity: Room,
        *,
        is_async: Callable[[Claim], bool],
        transact: Callable[[Sequence[Ending], Room], tuple[Sequence[Claim], bool]],
        hand_out: Callable[[Sequence[Claim]], None],
    ) -> None:
        """
        :param capacity: how many jobs the worker may hold.
        :param transact: writes endings down and claims jobs, in one transaction, and says whether there may be more to claim;
            raises when neither was done.
        :param hand_out: starts claimed jobs.
        """
        self._capacity = capacity
        self._is_async = is_async
        self._transact = transact
        self._hand_out = hand_out
        self._turn = threading.Lock()
        self._endings: list[Ending] = []
        self._held: dict[int, Claim] = {}
        self._held_coroutines = 0
        self._closed = False
        #: Somebody has heard of new jobs and wants a claim even when nothing has ended.
        self._look_wanted = False
        #: The last transaction failed: endings wait for a retry.
        self.failing = False
        #: How many transactions there were.
        self.settled = 0

    # --- what a worker asks -----------------------------------------------------------------------

    @property
    def held(self) -> dict[int, Claim]:
        """The jobs that this worker holds, by id."""
        return dict(self._held)

    @property
    def unwritten(self) -> list[int]:
        """The jobs whose endings wait to be written down."""
        return [ending.claim.job_id for ending in self._endings]

    @property
    def has_room(self) -> bool:
        """Whether another job fits in."""
        return not self._closed and bool(self._room([]))

    @property
    def is_settled(self) -> bool:
        """Whether nothing runs and nothing waits to be written down."""
        return not self._held and not self._endings

    def close(self) -> None:
        """Claim nothing more. Endings are still taken."""
        self._closed = True

    def drop(self, claims: Sequence[Claim]) -> None:
        """Forget claims that were never begun: they go back into the queue with the process's registration."""
        for claim in claims:
            self._held.pop(claim.job_id, None)

    # --- what happens at the counter --------------------------------------------------------------

    def hand_in(self, ending: Ending) -> None:
        """Leave an ending to be written down by whoever settles next."""
        self._endings.append(ending)

    def settle(self, *, look: bool = True) -> None:
        """Write all endings down and claim as many jobs as fit. If somebody is at it already, they will see to ours.

        :param look: claim even when nothing has ended.
        """
        self._look_wanted |= look
        while self._turn.acquire(blocking=False):
            try:
                look, self._look_wanted = self._look_wanted, False
                claims = self._settle_once(look)
            finally:
                self._turn.release()
            if claims:
                self._hand_out(claims)
            # Somebody may have left an ending, or news of jobs, after we looked, and have found our turn not over yet.
            if self.failing or not (self._endings or self._look_wanted):
                return

    def _settle_once(self, look: bool) -> Sequence[Claim]:
        endings = self._endings[:]
        room = Room(0, 0) if self._closed else self._room(endings)
        if not endings and not (look and room):
            self.failing = False  # it was a claim that failed, and nobody wants one now
            return ()
        try:
            claims, may_be_more = self._transact(endings, room)
        except BaseException:
            self.failing = True
            raise
        self.failing = False
        self.settled += 1
        del self._endings[: len(endings)]
        self._forget(endings)
        self._keep(claims)
        self._look_wanted |= may_be_more
        return claims

    def _room(self, endings: Sequence[Ending]) -> Room:
        ending_coroutines = sum(self._is_async(ending.claim) for ending in endings) if self._held_coroutines else 0
        coroutines = self._held_coroutines - ending_coroutines
        threads = len(self._held) - len(endings) - coroutines
        return Room(self._capacity.threads - threads, self._capacity.coroutines - coroutines)

    def _forget(self, endings: Sequence[Ending]) -> None:
        for ending in endings:
            if self._held.pop(ending.claim.job_id, None) is not None and self._is_async(ending.claim):
                self._held_coroutines -= 1

    def _keep(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self._held[claim.job_id] = claim
            self._held_coroutines += self._is_async(claim)
