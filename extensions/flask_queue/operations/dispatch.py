"""Scheduled jobs that are due: into ready or blocked, or gone where their concurrency rule discards them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, literal_column, null, select

from ..database import Prepared, now, now_plus
from ..jobs.definition import JobDefinition
from ..models.job import State, is_scheduled, jobs
from ..models.seek import along
from .moves import those_still, to_state
from .slots import Slots, keys_of, rule_of


class Candidate(NamedTuple):
    """What decides on the way of a job out of scheduled, or out of failed when somebody retries it."""

    id: int
    name: str
    attempts: int
    crashes: int
    concurrency_key: str | None
    concurrency_limit: int | None
    concurrency_duration: float | None


CANDIDATE_COLUMNS = tuple(jobs.c[name] for name in Candidate._fields)
# One order on every host, so that dispatchers do not deadlock; rows that another one holds are passed over.
_DUE = Prepared(
    lambda: (
        select(*CANDIDATE_COLUMNS)
        .where(is_scheduled, jobs.c.scheduled_at <= now())
        .order_by(jobs.c.scheduled_at, jobs.c.priority, jobs.c.id)
        .limit(bindparam("batch_size"))
        .with_for_update(skip_locked=True)
    )
)
_IS_ANY_DUE = Prepared(
    lambda: (
        select(literal_column("1"))
        .where(along(State.SCHEDULED), jobs.c.scheduled_at <= now())
        .order_by(jobs.c.scheduled_at, jobs.c.priority, jobs.c.id)
        .limit(1)
    )
)
_LIMITED = {"expires_at": now_plus(jobs.c.concurrency_duration)}
_PICKED = those_still(State.SCHEDULED)
_TO_READY = to_state(State.READY, _PICKED, {"expires_at": null()})
_TO_READY_LIMITED = to_state(State.READY, _PICKED, _LIMITED)
_TO_BLOCKED = to_state(State.BLOCKED, _PICKED, _LIMITED)
_TO_NOWHERE = Prepared(lambda: delete(jobs).where(_PICKED()))


def anything_due(connection: Connection) -> bool:
    """Whether `dispatch` could find something: a look that locks nothing."""
    return bool(_IS_ANY_DUE.rows(connection, {}))


def dispatch(connection: Connection, definitions: Mapping[str, JobDefinition[Any, Any]], *, batch_size: int) -> int:
    """Move up to `batch_size` due jobs on.

    :return: how many were picked; less than `batch_size` means that nothing more is due.
    """
    rows = [Candidate(*row) for row in _DUE.rows(connection, {"batch_size": batch_size})]
    if rows:
        admit(connection, rows, definitions)
    return len(rows)


def admit(connection: Connection, rows: Sequence[Candidate], definitions: Mapping[str, JobDefinition[Any, Any]]) -> None:
    """Move scheduled jobs, locked by the caller, to where their concurrency rules let them go."""
    slots = Slots(connection, keys_of(rows))
    moves: dict[Prepared, list[int]] = {_TO_READY: [], _TO_READY_LIMITED: [], _TO_BLOCKED: [], _TO_NOWHERE: []}
    for row in rows:
        rule = rule_of(row, definitions)
        if rule is None or row.concurrency_key is None:  # the second goes with the first
            moves[_TO_READY].append(row.id)
        elif slots.take(row.concurrency_key, rule.to):
            moves[_TO_READY_LIMITED].append(row.id)
        else:
            moves[_TO_NOWHERE if rule.discards else _TO_BLOCKED].append(row.id)
    for statement, ids in moves.items():
        if ids:
            statement.count(connection, {"ids": ids})
