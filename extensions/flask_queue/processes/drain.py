"""Run what is due until nothing is left, in the caller's own thread: `flask queue work`, and tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import count

from ..config import DispatcherOptions
from ..errors import JobTimeoutError
from ..jobs.functions import run_to_its_end
from ..models.process import Kind
from ..operations.claim import Claim
from ..operations.selectors import Selector
from .accounts import Accounts
from .deadline import Deadline
from .dispatcher import Dispatcher
from .exchange import Room
from .performer import Ending, Interruption, Performer, timeout_error
from .registered import Process
from .runtime import Runtime

_ONE = Room(1, 1)
_NONE = Room(0, 0)
#: For how long, and how often, an ending is tried to be written down while the database is away, in seconds.
_PATIENCE, _PAUSE = 60.0, 0.5


class Drain(Process):
    """A worker for one go. It is registered like any other, so that its claims are recovered when it dies."""

    kind = Kind.WORKER

    def __init__(self, runtime: Runtime, *, limit: int | None, queues: Sequence[str]) -> None:
        super().__init__(runtime)
        self.queues = tuple(queues)
        self.performed = 0
        self._limit = limit
        self._endings: list[Ending] = []
        self._is_performing = False
        self._interrupts = count()
        self._accounts = Accounts(runtime, Selector.parse(queues), self.name)
        self._dispatcher = Dispatcher(runtime, DispatcherOptions())
        self._performer = Performer(runtime, lambda: self.stopping)

    @property
    def metadata(self) -> dict[str, object]:
        return {"queues": ",".join(self.queues), "thread_pool_size": 1, "until_empty": True}

    def register(self) -> None:
        super().register()
        self._accounts.process_id = self.id

    @property
    def unwritten(self) -> list[int]:
        return [ending.claim.job_id for ending in self._endings]

    def interrupt(self) -> None:
        """What INT and TERM do: the first lets the running job end, the second does not."""
        if next(self._interrupts):  # counted, as the second may come while the first is at it
            self.quit()
        else:
            self.stop()

    def quit(self) -> None:
        """End at once. It interrupts the running job, so that it is for signal handlers in the thread of the jobs alone."""
        super().quit()
        if self._is_performing:
            raise Interruption

    def work(self) -> None:
        claims = self._next()
        while claims and not self.stopping:  # told to stop just when they were claimed, it gives them back
            self._endings = [ending for claim in claims if (ending := self._perform(claim)) is not None]
            self.performed += len(self._endings)
            claims = self._next_at_last()

    def _next(self) -> Sequence[Claim]:
        """Write down what has ended, and claim what is due."""
        while True:
            if not self.stopping:
                self._dispatcher.poll()
            claims, _ = self._accounts.transact(self._endings, _NONE if self._is_over() else _ONE)
            self._endings = []
            if claims or self._is_over() or not self._dispatcher.has_more_keys:
                return claims

    def _next_at_last(self) -> Sequence[Claim]:
        """The same, for as long as it takes the database to come back: the job that has run must not be run again."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._next()
            except Exception as error:
                if self.quitting or time.monotonic() > deadline:
                    raise
                self.runtime.handle_thread_error(error)
                self._alarm.nap(_PAUSE)

    def _is_over(self) -> bool:
        return self.stopping or (self._limit is not None and self.performed >= self._limit)

    def _perform(self, claim: Claim) -> Ending | None:
        """Run a job; None when it was interrupted."""
        self._is_performing = True
        try:
            if self.quitting:  # told to just before it could be interrupted
                return None
            if self._accounts.is_async(claim):
                return run_to_its_end(self._perform_async(claim))
            return self._perform_here(claim)
        except Interruption:
            return None
        except asyncio.CancelledError as error:  # Ctrl-C is told by another one: the job has cancelled all tasks that it found
            return self._performer.ending_of(claim, error)
        finally:
            self._is_performing = False

    def _perform_here(self, claim: Claim) -> Ending:
        """Run the job in this thread, and interrupt it when its time is over."""
        definition = self._performer.definition(claim)
        if definition is None or definition.rules.timeout is None:
            return self._performer.perform(claim)
        ending: Ending | None = None
        deadline = Deadline(definition.rules.timeout)
        try:
            deadline.start()
            ending = self._performer.perform(claim)
            deadline.leave()
        except JobTimeoutError:  # it hit between the job and here
            ending = ending or self._performer.ending_of(claim, timeout_error(definition.rules.timeout))
        finally:
            deadline.leave()
        return ending

    async def _perform_async(self, claim: Claim) -> Ending:
        """Run the job in a task of its own, so that what it does to its task is told from what Ctrl-C does to this one."""
        outer = asyncio.current_task()
        assert outer is not None
        endings: list[Ending] = []

        async def perform() -> None:
            endings.append(await self._performer.perform_async(claim, lambda: outer.cancelling() > 0))

        try:
            await asyncio.create_task(perform())
        except asyncio.CancelledError:  # a job that cancels its task, and then ends without awaiting anything, gets here, too
            if not endings:
                raise
        return endings[0]


def drain(runtime: Runtime, *, limit: int | None = None, queues: Sequence[str] = ("*",)) -> int:
    """Run due jobs, and those that become due or unblocked by it, until none is left.

    :param limit: no more than so many.
    :param queues: of these queues, in this order; as for a worker.
    :return: how many were run, whether they finished or failed.
    """
    process = Drain(runtime, limit=limit, queues=queues)
    process.run()
    return process.performed
