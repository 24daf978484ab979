"""Fixtures of the tests of the queue's heart."""

from __future__ import annotations

import pytest

from tests.harness.tables import Tables


@pytest.fixture
def tables(database_url: str) -> Tables:
    """The queue's tables, read past the code under test."""
    return Tables(database_url)
