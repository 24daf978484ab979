"""Which rule an error falls under, and how long a job then waits (E11)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_queue.errors import ConfigurationError
from flask_queue.jobs.retries import Retry, first_match

pytestmark = pytest.mark.behaviour("E11")

ATTEMPTS = range(1, 7)


class Highest(Random):
    """Always gives the largest number below 1."""

    def random(self) -> float:
        return math.nextafter(1, 0)


class Lowest(Random):
    def random(self) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("rule", "waits"),
    [
        (Retry(), [3, 18, 83, 258, 627, 1298]),
        (Retry(wait="polynomial"), [3, 18, 83, 258, 627, 1298]),
        (Retry(wait="exponential"), [2, 4, 8, 16, 32, 64]),
        (Retry(wait=0), [0, 0, 0, 0, 0, 0]),
        (Retry(wait=2.5), [2.5] * 6),
        (Retry(wait=timedelta(minutes=1)), [60] * 6),
        (Retry(wait=lambda attempt: attempt * 10), [10, 20, 30, 40, 50, 60]),
        (Retry(wait=lambda attempt: timedelta(hours=attempt)), [3600, 7200, 10800, 14400, 18000, 21600]),
        (Retry(wait="exponential", max_wait=10, jitter=0), [2, 4, 8, 10, 10, 10]),
        (Retry(wait="exponential", max_wait=timedelta(seconds=10), jitter=0), [2, 4, 8, 10, 10, 10]),
        (Retry(wait=timedelta(days=2)), [172_800] * 6),
        (Retry(wait=lambda attempt: -5), [0] * 6),
    ],
)
def test_waits_without_luck(rule: Retry, waits: list[float]) -> None:
    assert [rule.wait_after(attempt, Lowest()) for attempt in ATTEMPTS] == waits


@pytest.mark.parametrize("wait", ["polynomial", "exponential"])
def test_the_curves_are_jittered_by_up_to_15_percent(wait: Any) -> None:
    """E11"""
    rule = Retry(wait=wait)
    least, most = (rule.wait_after(3, random) for random in (Lowest(), Highest()))
    assert most == pytest.approx(least * 1.15)
    waits = {rule.wait_after(3) for _ in range(50)}
    assert len(waits) > 10
    assert all(least <= wait <= most for wait in waits)


@pytest.mark.parametrize("wait", [10, timedelta(seconds=10), lambda _: 10])
def test_a_wait_of_ones_own_is_jittered_only_when_asked(wait: Any) -> None:
    assert {Retry(wait=wait).wait_after(1) for _ in range(50)} == {10}
    assert Retry(wait=wait, jitter=0.5).wait_after(1, Highest()) == pytest.approx(15)


def test_a_seed_makes_jitter_repeatable() -> None:
    assert Retry().wait_after(3, Random(7)) == Retry().wait_after(3, Random(7))


def test_jobs_at_the_cap_do_not_come_back_together() -> None:
    """E11"""
    waits = [Retry().wait_after(50) for _ in range(100)]
    assert max(waits) <= 3600
    assert min(waits) >= 3600 / 1.15 - 1e-6
    assert len(set(waits)) > 50


LENGTHS = st.floats(0, 86_400 * 366) | st.timedeltas(timedelta(0), timedelta(days=366))
ANY_RESULT = st.floats(allow_nan=False) | st.integers(-(10**400), 10**400) | st.timedeltas()


def _constant(value: Any) -> Callable[[int], Any]:
    return lambda _: value


@given(
    wait=st.sampled_from(["polynomial", "exponential"]) | LENGTHS | ANY_RESULT.map(_constant),
    jitter=st.none() | st.floats(0, 1),
    max_wait=st.none() | LENGTHS,
    attempt=st.integers(1, 10**9),
    random=st.sampled_from([Lowest(), Highest(), Random(1)]),
)
def test_a_wait_is_never_negative_and_never_longer_than_the_cap(
    wait: Any, jitter: float | None, max_wait: Any, attempt: int, random: Random
) -> None:
    """E11"""
    rule = Retry(wait=wait, jitter=jitter, max_wait=max_wait)
    cap = max_wait if max_wait is not None else 3600 if isinstance(wait, str) else 366 * 86_400
    seconds = cap.total_seconds() if isinstance(cap, timedelta) else cap
    found = rule.wait_after(attempt, random)
    assert type(found) is float
    assert 0 <= found <= seconds * (1 + 1e-12)


@pytest.mark.parametrize("result", [math.nan, None, "10", True, Fraction(1, 2)])
def test_a_function_that_gives_no_length_of_time_is_told_so(result: Any) -> None:
    with pytest.raises(ConfigurationError, match="Return seconds or a timedelta"):
        Retry(wait=lambda _: result).wait_after(1)


def test_subclasses_of_an_error_match() -> None:
    """E11"""
    rule = Retry(on=(OSError, KeyError))
    assert rule.matches(ConnectionResetError())
    assert rule.matches(KeyError())
    assert not rule.matches(LookupError())
    assert Retry().matches(ValueError())


def test_errors_that_end_a_program_are_matched_only_when_named() -> None:
    assert not Retry().matches(SystemExit())
    assert not Retry().matches(KeyboardInterrupt())
    assert Retry(on=SystemExit).matches(SystemExit())
    assert Retry(on=BaseException).matches(KeyboardInterrupt())


def test_the_first_rule_that_matches_wins() -> None:
    """E11"""
    refused, network, rest = Retry(on=ConnectionRefusedError), Retry(on=ConnectionError), Retry(on=Exception)
    rules = (refused, network, rest)
    assert first_match(rules, ConnectionRefusedError()) is refused
    assert first_match(rules, ConnectionResetError()) is network
    assert first_match(rules, ValueError()) is rest
    assert first_match((rest, network), ConnectionResetError()) is rest
    assert first_match((refused, network), ValueError()) is None
    assert first_match((), ValueError()) is None


def test_attempts_count_the_first_run() -> None:
    """E1"""
    assert [Retry(attempts=3).allows(attempt) for attempt in (1, 2, 3, 4)] == [True, True, False, False]
    assert not Retry(attempts=1).allows(1)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"attempts": 0}, "at least 1"),
        ({"attempts": -1}, "at least 1"),
        ({"on": ()}, "at least one error class"),
        ({"wait": "linear"}, "polynomial"),
        ({"wait": -1}, "from 0 to 366 days"),
        ({"wait": math.nan}, "from 0 to 366 days"),
        ({"wait": math.inf}, "from 0 to 366 days"),
        ({"wait": 10**400}, "from 0 to 366 days"),
        ({"wait": timedelta(seconds=-1)}, "from 0 to 366 days"),
        ({"max_wait": -1}, "from 0 to 366 days"),
        ({"max_wait": math.inf}, "from 0 to 366 days"),
        ({"jitter": -0.1}, "from 0 to 1"),
        ({"jitter": 1.5}, "from 0 to 1"),
        ({"jitter": math.nan}, "from 0 to 1"),
    ],
)
def test_a_value_out_of_bounds_is_refused(options: dict[str, Any], advice: str) -> None:
    with pytest.raises(ConfigurationError, match=advice) as refusal:
        Retry(**options)
    assert next(iter(options)) in str(refusal.value)


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 2.5},
        {"attempts": True},
        {"attempts": "3"},
        {"on": "ValueError"},
        {"on": (ValueError, "KeyError")},
        {"on": ValueError()},
        {"on": int},
        {"on": [ValueError]},
        {"wait": None},
        {"wait": True},
        {"max_wait": "1"},
        {"jitter": "0.1"},
        {"jitter": True},
        {"backoff": 1},
    ],
)
def test_a_value_of_another_kind_is_a_type_error(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(options))):
        Retry(**options)


def test_a_rule_is_frozen() -> None:
    rule = Retry(on=ValueError)
    assert rule.on == (ValueError,)
    assert rule == Retry(on=(ValueError,))
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.attempts = 7  # type: ignore[misc]
