"""Rules for running a failed job again: which errors, how often, and after how long. Arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random, SystemRandom
from typing import Literal

from ..errors import ConfigurationError

Seconds = float | timedelta
Wait = Literal["polynomial", "exponential"] | Seconds | Callable[[int], Seconds]
Errors = type[BaseException] | tuple[type[BaseException], ...]

_CURVES: dict[str, Callable[[int], int]] = {
    "polynomial": lambda attempt: attempt**4 + 2,
    "exponential": lambda attempt: 2 ** min(attempt, 64),  # long past any cap
}
_CURVE_JITTER = 0.15
_CURVE_CAP = 3600.0
_LONGEST = 366 * 86_400.0

_random = SystemRandom()  # has no state that forked workers would share


@dataclass(frozen=True)
class Retry:
    """Run a job again when it fails with one of these errors.

    :param attempts: how often the job runs in all, the first time included; at least 1.
    :param on: the error class or classes; their subclasses count. Give `BaseException` or `SystemExit` by name to retry those.
    :param wait: how long to wait after the nth failure. "polynomial" is n⁴ + 2 seconds (3 s, 18 s, 83 s, 4 min, 10 min …),
        "exponential" 2ⁿ seconds (2, 4, 8, 16 …). Seconds, a timedelta, or a function of n that gives either, are taken at their
        word.
    :param jitter: the share by which a wait is made longer at random, so that jobs that failed together do not come back
        together: with 0.15, ten seconds are 10 to 11.5. By default 0.15 for the two curves, and none for a wait of your own.
    :param max_wait: no wait is longer than this, jitter included (seconds or a timedelta). By default an hour for the two
        curves, and a year for a wait of your own.
    :raises ConfigurationError: for a value outside these; a TypeError for a value of another kind.
    """

    attempts: int = 5
    on: Errors = (Exception,)
    wait: Wait = "polynomial"
    jitter: float | None = None
    max_wait: Seconds | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", self.on if isinstance(self.on, tuple) else (self.on,))
        self._check_attempts()
        self._check_errors()
        self._check_wait()
        self._check_jitter()
        if self.max_wait is not None:
            _length(self.max_wait, "max_wait")

    def matches(self, error: BaseException) -> bool:
        """Whether this rule is for this error."""
        return isinstance(error, self.on)

    def allows(self, attempt: int) -> bool:
        """Whether there is another attempt after this one, the first being 1."""
        return attempt < self.attempts

    def wait_after(self, attempt: int, random: Random | None = None) -> float:
        """Give the seconds to wait after attempt 1, 2, …: never negative, never more than `max_wait`.

        :param random: where the jitter comes from; give one with a seed to know it beforehand.
        :raises ConfigurationError: if a `wait` function gives something that is no length of time.
        """
        jitter = self._jitter
        longest = self._cap / (1 + jitter)  # so that waits at the cap still differ
        wait = min(self._planned_wait(attempt), longest)
        return wait * (1 + jitter * (random or _random).random()) if jitter else wait

    @property
    def _jitter(self) -> float:
        if self.jitter is not None:
            return self.jitter
        return _CURVE_JITTER if isinstance(self.wait, str) else 0.0

    @property
    def _cap(self) -> float:
        if self.max_wait is not None:
            return _seconds(self.max_wait)
        return _CURVE_CAP if isinstance(self.wait, str) else _LONGEST

    def _planned_wait(self, attempt: int) -> float:
        if isinstance(self.wait, str):
            return float(min(_CURVES[self.wait](attempt), _LONGEST))
        if not callable(self.wait):
            return _seconds(self.wait)
        wait = self.wait(attempt)
        if not _is_seconds(wait) or math.isnan(_seconds(wait)):
            raise ConfigurationError(f"The `wait` function of a Retry gave {wait!r}. Return seconds or a timedelta.")
        return max(0.0, _seconds(wait))

    def _check_attempts(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
            raise TypeError(f"Retry(attempts={self.attempts!r}): give a whole number.")
        if self.attempts < 1:
            raise ConfigurationError(f"Retry(attempts={self.attempts}): the first run counts, so give at least 1.")

    def _check_errors(self) -> None:
        if not self.on:
            raise ConfigurationError("Retry(on=()): name at least one error class.")
        assert isinstance(self.on, tuple)  # `__post_init__` has made it one
        for kind in self.on:
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                raise TypeError(f"Retry(on=…{kind!r}…): give error classes, such as ConnectionError.")

    def _check_wait(self) -> None:
        if isinstance(self.wait, str):
            if self.wait not in _CURVES:
                raise ConfigurationError(
                    f'Retry(wait={self.wait!r}): give "polynomial", "exponential", seconds, a timedelta or a function.'
                )
        elif not callable(self.wait):
            _length(self.wait, "wait")

    def _check_jitter(self) -> None:
        if self.jitter is None:
            return
        if isinstance(self.jitter, bool) or not isinstance(self.jitter, int | float):
            raise TypeError(f"Retry(jitter={self.jitter!r}): give a number from 0 to 1.")
        if not 0 <= self.jitter <= 1:
            raise ConfigurationError(f"Retry(jitter={self.jitter}): give a number from 0 to 1.")


def first_match(rules: Sequence[Retry], error: BaseException) -> Retry | None:
    """Give the rule for this error: the first listed wins."""
    return next((rule for rule in rules if rule.matches(error)), None)


def _length(value: Seconds, name: str) -> None:
    if not _is_seconds(value):
        raise TypeError(f"Retry({name}={value!r}): give seconds or a timedelta.")
    if not 0 <= _seconds(value) <= _LONGEST:
        raise ConfigurationError(f"Retry({name}={value!r}): give a length of time from 0 to 366 days.")


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float | timedelta) and not isinstance(value, bool)


def _seconds(value: Seconds) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(max(min(value, 2 * _LONGEST), -1.0))  # an int may be too large for a float; NaN stays NaN
