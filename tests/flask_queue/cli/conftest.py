"""Commands run in this process, on the application of the test, as somebody at a terminal would type them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    """`run("pause", "mail")` is `flask queue pause mail`. What is raised beside exits is raised in the test."""

    def invoke(*arguments: str, input: str | None = None) -> Result:
        return app.test_cli_runner().invoke(args=["queue", *arguments], input=input, catch_exceptions=False)

    return invoke
