"""Commands run in this process, on the application of the test, as somebody at a terminal would type them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from click.testing import Result
from flask import Flask

from flask_queue import FlaskQueue

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    """`run("pause", "mail")` is `flask queue pause mail`. What is raised beside exits is raised in the test."""

    def invoke(*arguments: str, input: str | None = None) -> Result:
        return app.test_cli_runner().invoke(args=["queue", *arguments], input=input, catch_exceptions=False)

    return invoke


@pytest.fixture
def jobs(queue: FlaskQueue) -> SimpleNamespace:
    """Jobs to act on: `add` in the queue default, `welcome` in mail, `broken` in default, which fails."""

    @queue.job(name="add")
    def add(a: int, b: int = 0) -> int:
        return a + b

    @queue.job(name="welcome", queue="mail", priority=10)
    def welcome(user_id: int, password: str = "") -> None: ...

    @queue.job(name="broken")
    def broken(message: str = "on purpose") -> None:
        raise ValueError(message)

    return SimpleNamespace(add=add, welcome=welcome, broken=broken)


@pytest.fixture
def failed(app: Flask, queue: FlaskQueue, jobs: SimpleNamespace) -> list[int]:
    """The ids of three failed jobs."""
    handles = [jobs.broken.enqueue(f"failure {number}") for number in range(3)]
    queue.work()
    return [handle.id for handle in handles]
