"""The event loop of a worker, in a thread of its own: coroutine jobs, many at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from ..operations.claim import Claim
from .performer import Ending, Performer


class EventLoop:
    """Runs coroutine jobs as tasks. It starts with the first one, as most workers never have any, and ends once cancelled."""

    def __init__(self, performer: Performer, hand_in: Callable[[Ending], None], call: Callable[[], None], *, name: str) -> None:
        """
        :param hand_in: takes each ending, in the loop's thread; it must not block.
        :param call: calls somebody to see to what was handed in.
        """
        self._performer = performer
        self._hand_in = hand_in
        self._call = call
        self._is_calling = False
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()
        self._runs = False
        self._is_cancelled = False
        # The loop itself keeps weak references only.
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, claims: Sequence[Claim]) -> None:
        """Start a task for each of `claims`."""
        with self._starting:  # two threads may claim the first ones at once
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
            self._loop.call_soon_threadsafe(self._start, claims)  # they wait until it runs, should no thread be had now
            if not self._runs:
                threading.Thread(target=self._live, args=(self._loop,), name=self._name, daemon=True).start()
                self._runs = True

    @staticmethod
    def _live(loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop):  # which tidies up what jobs have left in it, and closes it
            loop.run_forever()  # not until some task of ours ends: a job may cancel all tasks that it finds

    def _start(self, claims: Sequence[Claim]) -> None:
        assert self._loop is not None
        if self._is_cancelled:  # they were claimed just before, and are given back
            return
        for claim in claims:
            self._tasks.add(self._loop.create_task(self._run(claim)))

    async def _run(self, claim: Claim) -> None:
        try:
            self._hand_in(await self._performer.perform_async(claim, lambda: self._is_cancelled))
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.discard(task)
            self._end_if_through()
        if not self._is_calling:  # when the others that are as far as this one are through, too
            assert self._loop is not None
            self._is_calling = True
            self._loop.call_soon(self._call_once)

    def _call_once(self) -> None:
        self._is_calling = False
        self._call()

    def cancel(self) -> None:
        """Cancel what still runs: its jobs go back into the queue."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel_all)

    def _cancel_all(self) -> None:
        self._is_cancelled = True
        for task in self._tasks:
            task.cancel()
        self._end_if_through()

    def _end_if_through(self) -> None:
        if self._loop is not None and self._is_cancelled and not self._tasks:
            self._loop.stop()
