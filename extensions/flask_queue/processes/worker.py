"""Claims ready jobs and runs them, in threads and on an event loop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from ..config import WorkerOptions
from ..errors import ProcessMissingError
from ..models.process import Kind
from ..operations.claim import Claim
from ..operations.failure import Failure
from ..operations.marks import Marks
from ..operations.recover import fail_unknown
from ..operations.selectors import Selector
from ..operations.unblock import unblock
from ..wakeup import Listener
from .accounts import Accounts
from .coroutines import EventLoop
from .exchange import Exchange, Room
from .performer import Ending, Performer
from .pool import Pool
from .registered import LONGEST_NAP, Process
from .runtime import Runtime

#: Pauses between tries to write endings down while the database is away, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
#: A worker that can hear of all jobs and has had none for `QUIET_AFTER` seconds looks for others no more often than this.
QUIET_AFTER, QUIET_INTERVAL = 10.0, 1.0
#: If it then finds one, and does not hear of it within `LATE_NEWS` seconds, it does not rely on hearing for `DOUBT` seconds.
LATE_NEWS, DOUBT = 0.1, 3600.0
#: How long an ending waits at most for others to be written down with it while there is more to run, in seconds.
ENDING_DELAY = 0.002


class Worker(Process):
    """Ready → claimed → finished or failed. It holds no more jobs than it can run (and `prefetch`)."""

    kind = Kind.WORKER

    def __init__(self, runtime: Runtime, options: WorkerOptions) -> None:
        super().__init__(runtime)
        self.queues = options.queues
        self.threads = options.threads
        self.coroutines = options.coroutines
        self.polling_interval = options.polling_interval
        #: A job never ended: this process has to be replaced by another one.
        self.is_stuck = False
        marks = Marks() if runtime.database.keeps_what_is_gone else None
        self._accounts = Accounts(runtime, Selector.parse(options.queues), self.name, marks=marks)
        performer = Performer(runtime, lambda: self.stopping)
        self._pool = Pool(options.threads, performer, self._thread_done, name=self.name)
        self._exchange = Exchange(
            Room(options.threads + options.prefetch, options.coroutines if self._accounts.async_names else 0),
            is_async=self._accounts.is_async,
            transact=self._accounts.transact,
            hand_out=self._hand_out,
        )
        self._loop = EventLoop(performer, self._hand_in, self._alarm.wake, name=f"{self.name}-loop")
        self._listener = Listener(runtime.database)
        self._pause = _FIRST_PAUSE
        self._looked_at = float("-inf")
        #: When it last had something to do.
        self._busy_at = time.monotonic()
        #: When it found a job of which it has not heard yet, if it did.
        self._unheard_at: float | None = None
        #: Until when not to rely on hearing of jobs.
        self._doubts_until = float("-inf")
        #: The main thread looks after the others every ENDING_DELAY, so that nobody has to wake it.
        self._is_watching = False
        self._settled_before = 0
        #: The main thread sleeps without listening for news of jobs, as there was no room for any.
        self._is_deaf = False

    @property
    def title(self) -> str:
        return f"{super().title}: {','.join(self.queues)}"

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "polling_interval": self.polling_interval,
            "queues": ",".join(self.queues),
            "thread_pool_size": self.threads,
        }

    @property
    def held(self) -> dict[int, Claim]:
        """The jobs that it holds, by id."""
        return self._exchange.held

    @property
    def unwritten(self) -> list[int]:
        return self._exchange.unwritten

    # --- the loop ---------------------------------------------------------------------------------

    def register(self) -> None:
        self._listener.open()  # whoever sees us in the registry can reach us
        super().register()
        self._accounts.process_id = self.id

    def work(self) -> None:
        self._busy_at = time.monotonic()  # only from here on does it find jobs as soon as it hears of them
        self._pool.start()
        super().work()

    def poll(self) -> float:
        self._is_watching = False  # from here on, who leaves something to us wakes us
        has_news = (self._alarm.has_heard or self._unheard_at is not None) and self._listener.drain()
        self._judge_hearing(has_news)
        look = has_news or time.monotonic() - self._looked_at >= self._interval
        are_settling = self._exchange.settled != self._settled_before
        is_moving = self._pool.push() or are_settling
        self._interrupt_late()  # not after jobs were handed out: their threads wait until this one has nothing more to do
        if look or not are_settling:
            self._settle(look=look, peek=look and not has_news)
        self._settled_before = self._exchange.settled
        if self._exchange.failing:
            return self._pause
        if is_moving or self._pool.can_push:
            self._is_watching = True
            return ENDING_DELAY
        if not self._exchange.has_room:
            return LONGEST_NAP
        return max(0.0, self._looked_at + self._interval - time.monotonic())

    @property
    def _interval(self) -> float:
        """How long it is from one look to the next, in seconds."""
        return max(self.polling_interval, QUIET_INTERVAL) if self._is_quiet else self.polling_interval

    @property
    def _is_quiet(self) -> bool:
        moment = time.monotonic()
        return moment - self._busy_at >= QUIET_AFTER and moment >= self._doubts_until and self._listener.hears_all

    def _judge_hearing(self, has_news: bool) -> None:
        """Was a job found a moment before its news came, or will that never come?"""
        if has_news:
            self._unheard_at = None
            self._busy_at = time.monotonic()  # there may be more of which nobody tells at once
        elif self._unheard_at is not None and time.monotonic() - self._unheard_at >= LATE_NEWS:
            self._unheard_at = None
            self._doubts_until = time.monotonic() + DOUBT
            self._listener.renew()
            self._look_again()

    def nap(self, seconds: float, descriptors: Sequence[int] = ()) -> None:
        deadline = self._pool.next_deadline()
        if deadline is not None:
            seconds = min(seconds, max(0.0, deadline - time.monotonic()))
        if self._unheard_at is not None:
            seconds = min(seconds, LATE_NEWS)
        # A full worker is woken by its own threads; news of other jobs would only keep it from sleeping.
        self._is_deaf = not self._exchange.has_room or self._exchange.failing
        super().nap(seconds, descriptors if self._is_deaf else self._listener.descriptors())

    def _settle(self, *, look: bool, peek: bool = False) -> None:
        """
        :param peek: see first whether there is anything to claim: nobody has said so, and a claim takes locks.
        """
        if look:
            self._looked_at = time.monotonic()
        try:
            peek = peek and self._exchange.has_room
            has_more = not peek or self._accounts.anything_ready()
            if peek and has_more and self._is_quiet:
                self._unheard_at = time.monotonic()
            self._exchange.settle(look=look and has_more)
            if not self._exchange.is_settled:
                self._busy_at = time.monotonic()
            self._pause = _FIRST_PAUSE
            if look and self._listener.repair():
                self._look_again()
        except Exception as error:  # endings are kept, and tried again after a pause
            self._busy_at = time.monotonic()  # what it has heard of is still to be found
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self.runtime.handle_thread_error(error)

    def _look_again(self) -> None:
        """For jobs that became ready while it was not listening, which is nobody's fault."""
        self._looked_at, self._busy_at = float("-inf"), time.monotonic()

    def _hand_in(self, ending: Ending) -> None:
        self._exchange.hand_in(ending)
        if self.stopping and self.tell_unwritten is not None:  # before it ends, it may be killed
            self.tell_unwritten([ending.claim.job_id])

    def _thread_done(self, ending: Ending) -> None:
        self._hand_in(ending)
        if not self._pool.has_line and not self._exchange.failing:
            self._settle(look=False)
        if self._pool.has_line and not self._is_watching:
            self._is_watching = True  # over the line, and the endings that are left to who runs the last job of it
            self._alarm.wake()
        if self.stopping or self._exchange.failing or (self._is_deaf and self._exchange.has_room):
            self._alarm.wake()

    def _hand_out(self, claims: Sequence[Claim]) -> None:
        if not self._accounts.async_names:
            self._pool.post(claims)
            return
        coroutines = [claim for claim in claims if self._accounts.is_async(claim)]
        self._pool.post([claim for claim in claims if not self._accounts.is_async(claim)])
        if coroutines:
            self._loop.post(coroutines)

    # --- late, lost and stuck jobs ----------------------------------------------------------------

    def _interrupt_late(self) -> None:
        stuck = self._pool.interrupt_late()
        for ending in stuck:
            self._hand_in(ending)
        if stuck:
            self.is_stuck = True
            self.runtime.events.emit("worker_stuck", process=self, job_ids=[ending.claim.job_id for ending in stuck])
            self._settle(look=False)
            self.stop()

    def beaten(self) -> None:
        """Give up claims whose answer got lost: the database has them for ours, and we do not know of them."""
        assert self.id is not None
        process_id, settings = self.id, self.runtime.settings
        known = self._exchange.held.keys()
        if self.stopping:  # asked after, so that all that is dropped later was known; the end gives back what was lost
            return
        failure = Failure.of(ProcessMissingError("The process that claimed this job never heard of it: the answer was lost."))

        def work(connection: Connection) -> Any:
            lost = fail_unknown(
                connection,
                process_id,
                known,
                failure,
                self.runtime.definitions,
                older_than=settings.alive_threshold,
            )
            unblock(connection, lost.keys, self.runtime.definitions)
            return lost

        lost = self.runtime.client.transact(work, is_news=lambda lost: lost.job_ids)
        if lost.job_ids:
            self.runtime.events.emit("fail_many_claimed", process_ids=[process_id], job_ids=lost.job_ids)

    # --- the end ----------------------------------------------------------------------------------

    def drain(self) -> None:
        """Let running jobs end within the shutdown timeout; `deregister` gives the rest back."""
        self._exchange.close()
        self._exchange.drop(self._pool.close())
        self._listener.close()
        self._settle(look=False)  # what has ended was handed in, however little time is left
        deadline = time.monotonic() + (0 if self.quitting else self.runtime.settings.shutdown_timeout)
        while not self._exchange.is_settled and time.monotonic() < deadline and not self.quitting:
            self._settle(look=False)
            self._interrupt_late()
            wait = self._pause if self._exchange.failing else LONGEST_NAP
            self._alarm.nap(0 if self._exchange.is_settled else min(wait, max(0.0, deadline - time.monotonic())))
        self._loop.cancel()
