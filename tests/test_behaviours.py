"""The table of behaviours is complete and current: every number exists, has a test or a reason, and the page shows it."""

from __future__ import annotations

import ast

import pytest

from . import behaviours

LISTED = {behaviour.number for behaviour in behaviours.behaviours()}


def test_every_number_that_a_test_names_exists() -> None:
    unknown = {number: tests for number, tests in behaviours.marks().items() if number not in LISTED}
    assert not unknown


def test_every_behaviour_has_a_test_or_a_reason() -> None:
    missing = sorted(LISTED - behaviours.marks().keys() - behaviours.reasons().keys())
    assert not missing, "mark a test with @pytest.mark.behaviour, or give a reason in behaviours_without_tests.txt"


def test_a_reason_is_only_given_where_there_is_no_test() -> None:
    reasons = behaviours.reasons()
    assert not reasons.keys() & behaviours.marks().keys()
    assert not reasons.keys() - LISTED


def test_the_page_is_current() -> None:
    assert behaviours.PAGE.read_text() == behaviours.page(), "run `make behaviours`"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('@pytest.mark.behaviour("A1", "B2")\ndef test_one(): ...', [("A1", "test_one"), ("B2", "test_one")]),
        ('@pytest.mark.behaviour("A1")\nclass TestIt:\n  @pytest.mark.behaviour("A2")\n  def test_one(self): ...',
         [("A1", "TestIt"), ("A2", "TestIt::test_one")]),
        ('pytestmark = [pytest.mark.behaviour("A1")]', [("A1", "")]),
        ('@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.behaviour("A3"))])\ndef test_it(x): ...',
         [("A3", "test_it")]),
        ('def test_one():\n  "behaviour A1"', []),
    ],
)  # fmt: skip
def test_marks_are_found_wherever_pytest_allows_them(source: str, expected: list[tuple[str, str]]) -> None:
    assert list(behaviours.marks_in(ast.parse(source))) == expected
