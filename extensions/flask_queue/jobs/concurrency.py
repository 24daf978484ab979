"""Concurrency limits as a user declares them, and the key that a call of a job falls under."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

from ..config.values import LARGEST
from ..errors import ConcurrencyKeyError, ConfigurationError, QueueError

#: Longest key that is stored as it stands, in characters. Longer ones are stored as a digest.
KEY_LENGTH = 180
_DIGEST_MARK = "#sha256:"


class DescribeReference(Protocol):
    """Names an instance of a mapped class: its class and its key, or None for any other value."""

    def __call__(self, value: object, /) -> tuple[str, Sequence[object]] | None: ...


@dataclass(frozen=True, slots=True)
class Limit:
    """The rule that one call of a limited job falls under: at most `to` jobs at once share `key`."""

    key: str
    to: int
    duration: float
    on_conflict: Literal["block", "discard"]


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """At most `to` jobs with the same key run, or stand ready to run, at once, on all machines together.

    :param key: called with the arguments of the job; what it returns names the limit that this call shares with others. `None`
        means that this call is not limited. Without a key function all calls of the job share one limit.
    :param to: how many slots a key has; at least 1.
    :param duration: after so long (timedelta or seconds) a slot is given to the next job although its holder has not ended; it
        guards against holders that hang. Default: `QUEUE_CONCURRENCY_DURATION`.
    :param group: jobs with the same group share their keys; by default the job's name, so that each job has keys of its own.
    :param on_conflict: what becomes of a job whose key has no free slot: "block" lets it wait its turn, "discard" forgets it.
    :raises ConfigurationError: for a value outside these.
    """

    key: Callable[..., object] | None = None
    to: int = 1
    duration: timedelta | float | None = None
    group: str | None = None
    on_conflict: Literal["block", "discard"] = "block"

    def __post_init__(self) -> None:
        if self.key is not None and not callable(self.key):
            raise ConfigurationError(f"Concurrency(key={self.key!r}): the key is a function of the job's arguments.")
        if isinstance(self.to, bool) or not isinstance(self.to, int) or self.to < 1:
            raise ConfigurationError(f"Concurrency(to={self.to!r}): the number of slots is a whole number, at least 1.")
        if self.group is not None and not (isinstance(self.group, str) and self.group.strip()):
            raise ConfigurationError(
                f"Concurrency(group={self.group!r}): the group's name is text, or None for the job's own name."
            )
        if self.on_conflict not in ("block", "discard"):
            raise ConfigurationError(f'Concurrency(on_conflict={self.on_conflict!r}): allowed are "block" and "discard".')
        is_time = isinstance(self.duration, timedelta | int | float) and not isinstance(self.duration, bool)
        # No database counts beyond the year 9999.
        if self.duration is not None and not (is_time and 0 < self._seconds(0) <= LARGEST):
            raise ConfigurationError(
                f"Concurrency(duration={self.duration!r}): a timedelta or seconds, more than 0 and at most {LARGEST}."
            )

    def _seconds(self, default: float) -> float:
        if self.duration is None:
            return default
        return self.duration.total_seconds() if isinstance(self.duration, timedelta) else float(self.duration)

    def limit(
        self,
        job_name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        default_duration: float,
        reference: DescribeReference,
    ) -> Limit | None:
        """The limit that a call falls under, or None when its key is None.

        :raises ConcurrencyKeyError: when the key function raises, or what it returns has no text.
        :raises ArgumentError: when it returns an instance of a mapped class that has no primary key yet.
        """
        group = _escaped(job_name if self.group is None else self.group)
        if self.key is None:
            return Limit(storable_key(group), self.to, self._seconds(default_duration), self.on_conflict)
        try:
            value = self.key(*args, **kwargs)
            text = None if value is None else _text(value, reference)
        except QueueError:
            raise
        except Exception as error:
            raise ConcurrencyKeyError(
                f"The key function of job {job_name!r} raised {type(error).__name__}: {error}. Nothing was enqueued."
            ) from error
        if text is None:
            return None
        return Limit(storable_key(f"{group}/{text}"), self.to, self._seconds(default_duration), self.on_conflict)


def _text(value: object, reference: DescribeReference) -> str:
    """A key value as text: models by class and id, tuples so that ("a/b",) and ("a", "b") differ, the rest as str."""
    if isinstance(value, tuple | list):
        return "/".join(_escaped(_text(part, reference)) for part in value)
    named = reference(value)
    if named is None:
        return str(value)
    name, key = named
    return "/".join([name.rpartition(":")[2].rpartition(".")[2], *map(str, key)])


def _escaped(text: str) -> str:
    """`text` as a part of a key: its slashes are not those between parts."""
    return text.replace("\\", "\\\\").replace("/", "\\/")


def storable_key(key: str) -> str:
    """`key` as it is stored. What a database might shorten, trim, refuse or take for another is stored as a digest."""
    plain = len(key) <= KEY_LENGTH and key.isprintable() and key == key.strip() and _DIGEST_MARK not in key
    if plain:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    start = "".join(character if character.isprintable() else "?" for character in key[:100].strip())
    return f"{start}{_DIGEST_MARK}{digest}"
