"""What a concurrency rule may say, and which key a call falls under."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_queue import Concurrency
from flask_queue.errors import ConcurrencyKeyError, ConfigurationError
from flask_queue.jobs.concurrency import KEY_LENGTH, Limit, storable_key


class Model:
    """Stands for an instance of a mapped class."""

    def __init__(self, number: int) -> None:
        self.number = number


def reference(value: object) -> tuple[str, list[object]] | None:
    return ("shop.models:Order", [value.number]) if isinstance(value, Model) else None


def limit(rule: Concurrency, *args: Any) -> Limit | None:
    return rule.limit("job", args, {}, default_duration=180, reference=reference)


@pytest.mark.behaviour("F25")
@pytest.mark.parametrize(
    "wrong",
    [
        {"on_conflict": "wait"},
        {"to": 0},
        {"to": True},
        {"to": "1"},
        {"duration": 0},
        {"duration": timedelta(seconds=-1)},
        {"duration": timedelta.max},
        {"duration": float("inf")},
        {"duration": float("nan")},
        {"duration": True},
        {"duration": "5 minutes"},
        {"key": "x"},
        {"group": ""},
        {"group": " "},
        {"group": 3},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_where_it_is_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Concurrency(**wrong)


@pytest.mark.behaviour("F2")
@pytest.mark.parametrize(
    ("rule", "args", "key"),
    [
        (Concurrency(key=lambda order: order), (Model(7),), "job/Order/7"),
        (Concurrency(key=lambda order: order, group="Shipping"), (Model(7),), "Shipping/Order/7"),
        (Concurrency(key=lambda a, b: (a, b)), ("a/b", "c"), "job/a\\/b/c"),
        (Concurrency(key=lambda number: number), (3,), "job/3"),
        (Concurrency(), (3,), "job"),
    ],
)
def test_a_key_names_the_job_and_what_the_call_is_about(rule: Concurrency, args: tuple[Any, ...], key: str) -> None:
    found = limit(rule, *args)
    assert found is not None
    assert found == Limit(key, 1, 180, "block")


@pytest.mark.behaviour("F24")
def test_no_key_is_no_limit_and_a_broken_key_function_says_so() -> None:
    assert limit(Concurrency(key=lambda order: None), 1) is None
    with pytest.raises(ConcurrencyKeyError, match=r"job.*ZeroDivisionError"):
        limit(Concurrency(key=lambda number: 1 / number), 0)


@given(st.text(), st.text())
def test_different_keys_never_meet(one: str, other: str) -> None:
    """Whatever a database trims, folds or shortens."""
    assert (storable_key(one) == storable_key(other)) == (one == other)
    assert len(storable_key(one)) <= KEY_LENGTH
    assert storable_key(one) == storable_key(one).strip()
