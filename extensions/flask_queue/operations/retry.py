"""Failed jobs by hand: back to ready, or to blocked where their key is taken. And jobs that wait: to ready, now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, null, select, update

from ..database import is_one_of, now
from ..jobs.definition import JobDefinition
from ..models.job import State, is_failed, is_scheduled, jobs
from ..models.seek import is_still
from .dispatch import CANDIDATE_COLUMNS, Candidate, admit
from .moves import those_still, to_state

# A retry by hand starts counting anew.
_TO_DUE = to_state(
    State.SCHEDULED,
    those_still(State.FAILED),
    {"attempts": 0, "crashes": 0, "scheduled_at": now(), "finished_at": null(), "expires_at": null()},
)
_DUE_NOW = update(jobs).where(is_one_of(jobs.c.id, "ids"), is_still(State.SCHEDULED)).values(scheduled_at=now())
_LET_IN = to_state(State.READY, those_still(State.BLOCKED), {"expires_at": null()})


def retry_many(
    connection: Connection,
    where: Sequence[ColumnElement[bool]],
    definitions: Mapping[str, JobDefinition[Any, Any]],
    *,
    limit: int,
) -> list[int]:
    """Move up to `limit` failed jobs that match `where` back into line. Jobs that another hand is moving are passed over.

    :return: their ids.
    """
    failed = (
        select(*CANDIDATE_COLUMNS).where(is_failed, *where).order_by(jobs.c.id).limit(limit).with_for_update(skip_locked=True)
    )
    rows = [Candidate(*row) for row in connection.execute(failed)]
    if rows:
        _TO_DUE.count(connection, {"ids": [row.id for row in rows]})
        admit(connection, rows, definitions)
    return [row.id for row in rows]


def run_now(
    connection: Connection, job_id: int, definitions: Mapping[str, JobDefinition[Any, Any]], *, past_limit: bool = True
) -> bool:
    """Let a scheduled or blocked job run at once. A blocked one runs beside the holders of its key, and takes no slot.

    :param past_limit: False leaves a blocked one where it is.
    :return: whether the job was moved.
    """
    row = _locked(connection, job_id, is_scheduled)
    if row is not None:
        connection.execute(_DUE_NOW, {"ids": [job_id]})
        admit(connection, [row], definitions)
        return True
    return past_limit and _LET_IN.count(connection, {"ids": [job_id]}) == 1


def _locked(connection: Connection, job_id: int, state: ColumnElement[bool]) -> Candidate | None:
    row = connection.execute(select(*CANDIDATE_COLUMNS).where(jobs.c.id == job_id, state).with_for_update()).first()
    return None if row is None else Candidate(*row)
