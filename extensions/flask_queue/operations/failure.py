"""A failed attempt, as it is kept: the error's class, message and traceback, in a form that every database takes."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from ..database import Prepared, now
from ..models.attempt import attempts
from ..models.job import jobs

#: Longest message and traceback that are kept, in characters. The end of a traceback tells more than its middle.
MESSAGE_LENGTH = 10_000
TRACEBACK_LENGTH = 50_000
TRACEBACK_FRAMES = 100
#: Modules whose errors are known by their name alone.
_PLAIN_MODULES = ("builtins", "flask_queue.errors")


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in one attempt."""

    error_class: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe `error`; never raises, whatever the error's own `__str__` does."""
        return cls(storable(_class_name(error), 255), storable(_message(error), MESSAGE_LENGTH), _traceback(error))


def _class_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ in _PLAIN_MODULES else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as broken:
        return f"<the error's own message could not be read: {type(broken).__name__}>"


def _traceback(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-TRACEBACK_FRAMES)
        return storable("".join(lines), TRACEBACK_LENGTH)
    except BaseException as broken:
        frames = "".join(traceback.format_tb(error.__traceback__, limit=-TRACEBACK_FRAMES))
        return storable(f"{frames}{type(error).__name__}: (unreadable: {type(broken).__name__})", TRACEBACK_LENGTH)


def storable(text: str, length: int) -> str:
    """`text` without what PostgreSQL refuses (NUL, lone surrogates), shortened in the middle to `length` characters."""
    if len(text) > length:
        half = (length - 30) // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"[:length]
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


_ATTEMPT = Prepared(
    lambda: insert(attempts).from_select(
        ["job_id", "number", "process_id", "process_name", "started_at", "failed_at", "error_class", "message", "traceback"],
        select(
            jobs.c.id,
            jobs.c.attempts,
            bindparam("by_process_id", type_=jobs.c.process_id.type),
            bindparam("process_name"),
            jobs.c.claimed_at,
            now(),
            bindparam("error_class"),
            bindparam("message"),
            bindparam("traceback"),
        ).where(jobs.c.id == bindparam("job_id")),
    )
)


def record(
    connection: Connection, job_ids: Sequence[int], failure: Failure, *, process_id: int | None, process_name: str | None
) -> None:
    """Keep `failure` as the latest attempt of each job, whose count of attempts includes it already."""
    values: dict[str, Any] = {
        "by_process_id": process_id,
        "process_name": process_name,
        "error_class": failure.error_class,
        "message": failure.message,
        "traceback": failure.traceback,
    }
    for job_id in job_ids:
        _ATTEMPT.count(connection, {**values, "job_id": job_id})
