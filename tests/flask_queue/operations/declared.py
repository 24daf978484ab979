"""Jobs that tests of operations declare on a queue of their own."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from flask_queue import Concurrency, FlaskQueue
from flask_queue.jobs.definition import JobDefinition


def plain(queue: FlaskQueue, name: str = "job", **options: Any) -> JobDefinition[[int], None]:
    """A job that does nothing."""

    @queue.job(name=name, **options)
    def job(number: int = 0) -> None: ...

    return job


def coroutine(queue: FlaskQueue, name: str = "coroutine") -> JobDefinition[[], Coroutine[Any, Any, None]]:
    """A job that does nothing on an event loop."""

    @queue.job(name=name)
    async def job() -> None: ...

    return job


def limited(queue: FlaskQueue, name: str = "limited", *, options: Any = (), **rule: Any) -> JobDefinition[[object], None]:
    """A job whose concurrency key is its argument; `rule` is for `Concurrency`, `options` for the job."""

    @queue.job(name=name, concurrency=Concurrency(key=lambda key: key, **rule), **dict(options))
    def job(key: object) -> None: ...

    return job


def forget(queue: FlaskQueue, name: str) -> None:
    """Let a deploy have removed a job."""
    del queue.definitions._by_name[name]
