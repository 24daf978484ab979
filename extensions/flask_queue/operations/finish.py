"""How a claim ends: finished, failed, or back in line for another attempt.

Every ending asks for its owner: a worker that lost its claim changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, literal_column, null, update

from ..database import Prepared, Step, is_one_of, now, now_plus
from ..jobs.definition import JobDefinition
from ..models.job import State, jobs
from ..models.seek import is_still
from .claim import Claim
from .failure import Failure, record
from .slots import Slots, rule_of

_OWNED = (is_still(State.CLAIMED), jobs.c.process_id == bindparam("owner_id"))
_ONE = (jobs.c.id == bindparam("job_id"), *_OWNED)
_UNOWNED = {"process_id": null(), "expires_at": null()}


def _many() -> tuple[ColumnElement[bool], ...]:
    return (is_one_of(jobs.c.id, "ids"), *_OWNED)


_FINISH = Prepared(
    lambda: update(jobs).where(*_many()).values(state=literal_column("'finished'"), finished_at=now(), **_UNOWNED), leads=True
)
_FORGET = Prepared(lambda: delete(jobs).where(*_many()), leads=True)


def _move_one(state: str, **values: Any) -> Prepared:
    target: ColumnElement[str] = literal_column(f"'{state}'")
    return Prepared(lambda: update(jobs).where(*_ONE).values(state=target, attempts=jobs.c.attempts + 1, **values))


_FAIL = _move_one("failed", **_UNOWNED)
_LATER = _move_one("scheduled", scheduled_at=now_plus(bindparam("wait")), **_UNOWNED)


def _again(state: str, **values: Any) -> Prepared:
    return _move_one(state, process_id=null(), scheduled_at=now(), **values)


_AT_ONCE = _again("ready", expires_at=null())
_AT_ONCE_LIMITED = _again("ready", expires_at=now_plus(jobs.c.concurrency_duration))
_BLOCKED = _again("blocked", expires_at=now_plus(jobs.c.concurrency_duration))


def finishing(claims: Sequence[Claim], *, preserve: bool) -> Step:
    """Moves jobs of one process, one at least, from claimed to finished, or deletes them where finished jobs are not kept.

    It changes as many rows as this process still owns.
    """
    ids = [claim.job_id for claim in claims]
    return Step(_FINISH if preserve else _FORGET, {"ids": ids, "owner_id": claims[0].process_id})


def fail(connection: Connection, claim: Claim, failure: Failure, *, process_name: str | None) -> bool:
    """Move a claimed job to failed and keep the attempt, if this claim still owns it."""
    return _end_attempt(connection, _FAIL, claim, failure, process_name)


def discard_failed(connection: Connection, claim: Claim, *, preserve: bool) -> bool:
    """End a job whose error its definition tells to discard: finished, with no failure kept."""
    return finishing([claim], preserve=preserve).take(connection) == 1


def retry_later(connection: Connection, claim: Claim, failure: Failure, wait: float, *, process_name: str | None) -> bool:
    """Move a claimed job to scheduled, `wait` seconds from now, and keep the attempt. Its slot is free meanwhile."""
    return _end_attempt(connection, _LATER, claim, failure, process_name, {"wait": wait})


def retry_at_once(
    connection: Connection,
    claim: Claim,
    failure: Failure,
    definitions: Mapping[str, JobDefinition[Any, Any]],
    *,
    process_name: str | None,
) -> bool:
    """Move a claimed job back to ready and keep the attempt; to blocked when others have taken its key meanwhile."""
    return _end_attempt(connection, place_in_line(connection, claim, definitions), claim, failure, process_name)


def place_in_line(connection: Connection, claim: Claim, definitions: Mapping[str, JobDefinition[Any, Any]]) -> Prepared:
    """Where a claimed job goes that is to run again at once. The slot that its own run holds is not in its way."""
    rule = rule_of(claim, definitions)
    if rule is None or claim.concurrency_key is None:
        return _AT_ONCE
    slots = Slots(connection, {claim.concurrency_key}, except_id=claim.job_id)
    return _AT_ONCE_LIMITED if slots.take(claim.concurrency_key, rule.to) else _BLOCKED


def _end_attempt(
    connection: Connection,
    statement: Prepared,
    claim: Claim,
    failure: Failure,
    process_name: str | None,
    more: Mapping[str, Any] | None = None,
) -> bool:
    if statement.count(connection, {"job_id": claim.job_id, "owner_id": claim.process_id, **(more or {})}) != 1:
        return False
    record(connection, [claim.job_id], failure, process_id=claim.process_id, process_name=process_name)
    return True
