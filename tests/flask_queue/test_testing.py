"""Help for tests of applications, where theirs do not show it."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest
from flask import Flask, current_app

from flask_queue import FlaskQueue, testing
from flask_queue.errors import NotInitialized


@pytest.mark.behaviour("D1")
@pytest.mark.databases("sqlite")
def test_coroutines_run_inline_also_those_that_do_not_look_like_any(app: Flask, queue: FlaskQueue) -> None:
    ran: list[str] = []

    async def function(name: str) -> None:
        await asyncio.sleep(0)
        ran.append(name)

    @functools.wraps(function)
    def wrapped(*args: Any) -> Any:
        return function(*args)

    with testing.inline():
        queue.job(name="plain")(function).enqueue("plain")
        queue.job(name="wrapped")(wrapped).enqueue("wrapped")
    assert ran == ["plain", "wrapped"]


@pytest.mark.behaviour("D1")
def test_coroutines_run_where_an_event_loop_runs_already(app: Flask, queue: FlaskQueue) -> None:
    """A view's, or that of an asynchronous test."""
    ran: list[str] = []

    @queue.job
    async def job(name: str) -> None:
        await asyncio.sleep(0)
        ran.append(f"{name} in {current_app.name}")

    async def test() -> int:
        with testing.inline():
            job.enqueue("inline")
        job.enqueue("drained")
        return testing.drain()

    assert asyncio.run(test()) == 1
    assert ran == [f"inline in {app.name}", f"drained in {app.name}"]


@pytest.mark.behaviour("A1")
@pytest.mark.databases("sqlite")
def test_arguments_may_be_called_what_our_own_are(app: Flask, queue: FlaskQueue) -> None:
    ran: list[Any] = []

    @queue.job
    def notify(**arguments: Any) -> None:
        ran.append(arguments)

    arguments = {"job": 1, "self": 2, "args": 3, "kwargs": 4, "queue": 5}
    notify(**arguments)
    notify.enqueue(**arguments)
    testing.assert_enqueued(notify, **arguments)
    queue.enqueue_all([notify.build(**arguments)])
    assert testing.drain() == 2
    assert ran == [arguments] * 3


def test_an_application_without_a_queue_is_told() -> None:
    with Flask("without_queue").app_context(), pytest.raises(NotInitialized, match="This application has no queue"):
        testing.drain()
