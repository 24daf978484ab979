"""The threads of a worker. Each performs one job at a time, and can be interrupted when that takes too long."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..errors import JobTimeoutError
from ..operations.claim import Claim
from .deadline import set_async_error
from .performer import Ending, Performer, deadline_after, timeout_error

#: Jobs that take less than this on average, in seconds, are through before another thread is awake.
BRISK = 0.0001
#: How much of the average is the latest job's.
_WEIGHT = 1 / 8
#: A thread that was interrupted gets so long to notice, in seconds: code outside Python does not see an exception coming.
GRACE = 2.0


@dataclass(eq=False)
class _Seat:
    """One thread, and what it is at."""

    ident: int = 0
    #: Its job, if that has a deadline.
    claim: Claim | None = None
    deadline: float | None = None
    interrupted_at: float | None = None
    #: Its job was given up: whatever it still does is not written down, and it takes no other job.
    abandoned: bool = False
    bell: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.bell.acquire()

    def ring(self) -> None:
        """Wake its thread, now or when it next lies down."""
        with contextlib.suppress(RuntimeError):  # it has been rung already
            self.bell.release()


class Pool:
    """A number of threads that take claims from one line.

    They are daemons: a job that never returns cannot keep the process from ending.
    """

    def __init__(self, size: int, performer: Performer, done: Callable[[Ending], None], *, name: str) -> None:
        """
        :param done: called with each ending, in the thread of the job.
        """
        self.size = size
        self._performer = performer
        self._done = done
        self._name = name
        self._line: deque[Claim] = deque()
        self._seats: list[_Seat] = []
        self._idle: list[_Seat] = []
        #: A thread has been woken and has not looked at the line yet.
        self._ringing = False
        #: How long a job takes, in seconds, on average; not brisk until proven.
        self._pace = 4 * BRISK
        #: How many claims were taken out of the line, now and when somebody last asked.
        self._taken = self._taken_before = 0
        self._closed = False
        # Guards a seat's job against being interrupted just when it ends.
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the threads."""
        for _ in range(self.size):
            self._add_thread()

    def _add_thread(self) -> None:
        seat = _Seat()
        self._seats.append(seat)
        threading.Thread(target=self._run, args=(seat,), name=f"{self._name}-{len(self._seats)}", daemon=True).start()

    def post(self, claims: Sequence[Claim]) -> None:
        """Put claims into the line, and wake a thread for them where none is awake, or is awake for long."""
        self._line.extend(claims)
        if not self._is_brisk or len(self._idle) == len(self._seats):
            self._ring()

    def push(self) -> bool:
        """Wake a thread for a line that has not moved since the last call: whoever was to take it is held up by a long job.

        :return: whether to come back soon: the line moves, or a thread is on its way.
        """
        has_moved = self._taken != self._taken_before
        self._taken_before = self._taken
        if has_moved or not self.can_push:
            return has_moved
        self._ring()
        return True

    def close(self) -> list[Claim]:
        """Let threads end with the jobs that they are at.

        :return: the claims that no thread had begun.
        """
        self._closed = True
        left = []
        with contextlib.suppress(IndexError):
            while True:
                left.append(self._line.popleft())
        for seat in list(self._seats):
            seat.ring()
        return left

    @property
    def can_push(self) -> bool:
        """Whether claims wait although a thread is idle."""
        return bool(self._line and self._idle)

    @property
    def has_line(self) -> bool:
        """Whether claims wait for a thread."""
        return bool(self._line)

    # --- in the threads ---------------------------------------------------------------------------

    def _run(self, seat: _Seat) -> None:
        seat.ident = threading.get_ident()
        while not seat.abandoned and (claim := self._next(seat)) is not None:
            began = time.perf_counter()
            ending = self._perform(seat, claim)
            self._pace += (time.perf_counter() - began - self._pace) * _WEIGHT
            if ending is not None:
                self._done(ending)

    def _next(self, seat: _Seat) -> Claim | None:
        """The next claim of the line, as soon as there is one; None when the pool is closed."""
        while True:
            try:
                claim = self._line.popleft()
            except IndexError:
                if self._closed:
                    return None
                self._wait(seat)
            else:
                self._taken += 1
                if self._line and not self._is_brisk:
                    self._ring()
                return claim

    def _wait(self, seat: _Seat) -> None:
        self._idle.append(seat)
        if self._line:  # it came just before we were there to be called
            self._ring()
        seat.bell.acquire()
        self._ringing = False

    @property
    def _is_brisk(self) -> bool:
        """Jobs are so short that one thread is best left alone with them: others would only take turns with it."""
        return self._pace < BRISK

    def _ring(self) -> None:
        """Wake one idle thread, unless one is on its way; that one wakes the next."""
        if self._ringing:
            return
        try:
            seat = self._idle.pop()
        except IndexError:
            return
        self._ringing = True
        seat.ring()

    def _perform(self, seat: _Seat, claim: Claim) -> Ending | None:
        deadline = deadline_after(self._performer.definition(claim))
        if deadline is None:
            return self._performer.perform(claim)
        return self._perform_within(seat, claim, deadline)

    def _perform_within(self, seat: _Seat, claim: Claim, deadline: float) -> Ending | None:
        ending: Ending | None = None
        try:
            seat.claim, seat.deadline = claim, deadline
            ending = self._performer.perform(claim)
            self._leave(seat)
        except JobTimeoutError as late:  # it hit between the job and here
            self._leave(seat)
            ending = ending or self._performer.ending_of(claim, self._timeout_of(claim) or late)
        return None if seat.abandoned else ending

    def _leave(self, seat: _Seat) -> None:
        with self._lock:
            if seat.interrupted_at is not None:
                set_async_error(seat.ident, None)  # it has come too late; the next job must not get it
            seat.claim = seat.deadline = seat.interrupted_at = None

    def _timeout_of(self, claim: Claim) -> JobTimeoutError | None:
        definition = self._performer.definition(claim)
        return timeout_error(definition.rules.timeout) if definition and definition.rules.timeout else None

    # --- from the worker's main thread ------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When somebody has to be looked after next, on the monotonic clock."""
        deadlines = [seat.deadline for seat in list(self._seats) if seat.deadline is not None and not seat.abandoned]
        return min(deadlines, default=None)

    def interrupt_late(self) -> list[Ending]:
        """Interrupt the threads whose jobs have run too long.

        :return: the endings of jobs whose threads did not even notice that: they are stuck, and this process needs replacing.
        """
        moment = time.monotonic()
        return [ending for seat in list(self._seats) if (ending := self._look_after(seat, moment)) is not None]

    def _look_after(self, seat: _Seat, moment: float) -> Ending | None:
        with self._lock:
            claim = seat.claim
            if claim is None or seat.deadline is None or seat.deadline > moment or seat.abandoned:
                return None
            if seat.interrupted_at is None:
                seat.interrupted_at = moment
                seat.deadline = moment + GRACE
                set_async_error(seat.ident, JobTimeoutError)
                return None
            seat.abandoned = True
        return self._performer.ending_of(claim, self._timeout_of(claim) or JobTimeoutError())
