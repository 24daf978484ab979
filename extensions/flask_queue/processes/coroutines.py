"""The event loop of a worker, in a thread of its own: coroutine jobs, many at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from ..operations.claim import Claim
from .performer import Ending, Performer


class EventLoop:
    """Runs coroutine jobs as tasks. It starts with the first one: most workers never have any."""

    def __init__(self, performer: Performer, done: Callable[[Ending], None], *, name: str) -> None:
        """
        :param done: called with each ending, in the loop's thread; it must not block.
        """
        self._performer = performer
        self._done = done
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, claims: Sequence[Claim]) -> None:
        """Start a task for each of `claims`."""
        with self._starting:  # two threads may claim the first ones at once
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True).start()
        self._loop.call_soon_threadsafe(self._start, claims)

    def _start(self, claims: Sequence[Claim]) -> None:
        assert self._loop is not None
        for claim in claims:
            task = self._loop.create_task(self._run(claim))
            self._tasks.add(task)  # the loop itself keeps weak references only
            task.add_done_callback(self._tasks.discard)

    async def _run(self, claim: Claim) -> None:
        self._done(await self._performer.perform_async(claim))

    def cancel(self) -> None:
        """Cancel what still runs: its jobs go back into the queue."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel_all)

    def _cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()
