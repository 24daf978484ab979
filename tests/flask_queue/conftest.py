"""Fixtures of the tests of the queue's heart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.tables import Tables

from .relay import Relay


@pytest.fixture
def tables(database_url: str) -> Tables:
    """The queue's tables, read past the code under test."""
    return Tables(database_url)


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    """An open way to the database server that the test can close."""
    made = Relay(database_url)
    made.open()
    yield made
    made.close()
