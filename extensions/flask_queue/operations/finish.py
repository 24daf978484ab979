"""How a claim ends: finished, failed, or back in line for another attempt.

Every ending asks for its owner: a worker that lost its claim changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, null

from ..database import Prepared, Step, is_one_of, now, now_plus
from ..jobs.definition import JobDefinition
from ..models.job import State, jobs
from ..models.seek import is_still
from .claim import Claim
from .failure import Failure, record
from .moves import to_state
from .slots import Slots, rule_of

_UNOWNED = {"process_id": null(), "expires_at": null()}
_COUNTED = {"attempts": jobs.c.attempts + 1}


def _owned() -> ColumnElement[bool]:
    return and_(is_still(State.CLAIMED), jobs.c.process_id == bindparam("owner_id"))


def _one() -> ColumnElement[bool]:
    return and_(jobs.c.id == bindparam("job_id"), _owned())


def _many() -> ColumnElement[bool]:
    return and_(is_one_of(jobs.c.id, "ids"), _owned())


_FINISH = to_state(State.FINISHED, _many, {**_UNOWNED, "finished_at": now()}, leads=True)
_FORGET = Prepared(lambda: delete(jobs).where(_many()), leads=True)
_FAIL = to_state(State.FAILED, _one, {**_COUNTED, **_UNOWNED})
_LATER = to_state(State.SCHEDULED, _one, {**_COUNTED, **_UNOWNED, "scheduled_at": now_plus(bindparam("wait"))})


def _again(state: State, expires_at: ColumnElement[Any]) -> Prepared:
    return to_state(state, _one, {**_COUNTED, "process_id": null(), "scheduled_at": now(), "expires_at": expires_at})


_AT_ONCE = _again(State.READY, null())
_AT_ONCE_LIMITED = _again(State.READY, now_plus(jobs.c.concurrency_duration))
_BLOCKED = _again(State.BLOCKED, now_plus(jobs.c.concurrency_duration))


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
