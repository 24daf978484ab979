"""Jobs whose process died, or gave them back: from claimed to failed, finished or ready."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, literal_column, null, select

from ..database import Prepared, now, now_plus
from ..jobs.definition import JobDefinition
from ..models.job import State, is_claimed, jobs
from ..models.process import processes
from ..models.seek import by_id
from .failure import Failure, record
from .moves import Condition, those_still, to_state
from .slots import keys_of

#: How often a job that is to be retried after a crash may take its process down before it is failed.
MAX_CRASHES = 3


class _Claimed(NamedTuple):
    """What decides on the fate of a claimed job."""

    id: int
    name: str
    crashes: int
    concurrency_key: str | None
    process_id: int | None


_CRASHED = {"process_id": null(), "crashes": jobs.c.crashes + 1, "attempts": jobs.c.attempts + 1}
_HELD = those_still(State.CLAIMED)
_RELEASE = to_state(State.READY, _HELD, {"process_id": null(), "claimed_at": null()})
_FAIL = to_state(State.FAILED, _HELD, {**_CRASHED, "expires_at": null()})
_FINISH = to_state(State.FINISHED, _HELD, {**_CRASHED, "finished_at": now(), "expires_at": null()})
# It keeps its place: a slot that it still holds, and its time in line.
_AGAIN = to_state(State.READY, _HELD, _CRASHED)


def _claimed(*where: Condition) -> Prepared:
    def make() -> Select[Any]:
        claimed = select(*(jobs.c[name] for name in _Claimed._fields)).where(is_claimed, *(condition() for condition in where))
        return claimed.order_by(by_id(State.CLAIMED, jobs.c.id)).with_for_update(skip_locked=True, of=jobs)

    return Prepared(make)


def _is_owned() -> ColumnElement[bool]:
    return jobs.c.process_id == bindparam("owner_id")


def _is_old() -> ColumnElement[bool]:
    return jobs.c.claimed_at < now_plus(-bindparam("seconds"))


def _is_orphaned() -> ColumnElement[bool]:
    return jobs.c.process_id.is_(None) | ~exists(literal_column("1")).where(processes.c.id == jobs.c.process_id)


_OWNED = _claimed(_is_owned)
_OWNED_FOR_LONG = _claimed(_is_owned, _is_old)
_ORPHANED = _claimed(_is_orphaned)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of the jobs of a dead process."""

    failed: tuple[int, ...] = ()
    retried: tuple[int, ...] = ()
    discarded: tuple[int, ...] = ()
    keys: frozenset[str] = frozenset()

    @property
    def job_ids(self) -> tuple[int, ...]:
        return (*self.failed, *self.retried, *self.discarded)


def release(connection: Connection, owner_id: int, *, but: Collection[int] = ()) -> list[int]:
    """Give the jobs that a process holds back to ready, with their slots. No attempt is counted.

    :param but: jobs that stay claimed: they have run, and must not run again.
    :return: the ids of those that it still held.
    """
    rows = _locked(connection, _OWNED, owner_id=owner_id)
    ids = [row.id for row in rows if row.id not in but]
    if ids:
        _RELEASE.count(connection, {"ids": ids})
    return ids


def fail_claims(
    connection: Connection,
    owner_id: int,
    failure: Failure,
    definitions: Mapping[str, JobDefinition[Any, Any]],
    *,
    process_name: str | None = None,
) -> Recovered:
    """End the jobs that a dead process held, each as its `on_crash` says."""
    rows = _locked(connection, _OWNED, owner_id=owner_id)
    return _crash(connection, rows, failure, definitions, process_name)


def fail_orphans(connection: Connection, failure: Failure, definitions: Mapping[str, JobDefinition[Any, Any]]) -> Recovered:
    """End the jobs that are claimed by processes which are registered no longer, each as its `on_crash` says."""
    return _crash(connection, _locked(connection, _ORPHANED), failure, definitions, None)


def fail_unknown(
    connection: Connection,
    owner_id: int,
    known: Collection[int],
    failure: Failure,
    definitions: Mapping[str, JobDefinition[Any, Any]],
    *,
    older_than: float,
) -> Recovered:
    """End the jobs that a live process holds without knowing of them: the answer to its claim was lost.

    :param known: the ids of the jobs that it knows of.
    :param older_than: claims younger than so many seconds are left alone: their answer may be under way.
    """
    rows = _locked(connection, _OWNED_FOR_LONG, owner_id=owner_id, seconds=older_than)
    unknown = [row for row in rows if row.id not in known]
    return _crash(connection, unknown, failure, definitions, None)


def _locked(connection: Connection, wanted: Prepared, **parameters: Any) -> list[_Claimed]:
    return [_Claimed(*row) for row in wanted.rows(connection, parameters)]


def _crash(
    connection: Connection,
    rows: Sequence[_Claimed],
    failure: Failure,
    definitions: Mapping[str, JobDefinition[Any, Any]],
    process_name: str | None,
) -> Recovered:
    fates: dict[Prepared, list[int]] = {_FAIL: [], _AGAIN: [], _FINISH: []}
    for row in rows:
        fates[_fate(row, definitions)].append(row.id)
    for statement, ids in fates.items():
        if ids:
            statement.count(connection, {"ids": ids})
    for row in rows:
        record(connection, [row.id], failure, process_id=row.process_id, process_name=process_name)
    return Recovered(tuple(fates[_FAIL]), tuple(fates[_AGAIN]), tuple(fates[_FINISH]), frozenset(keys_of(rows)))


def _fate(row: _Claimed, definitions: Mapping[str, JobDefinition[Any, Any]]) -> Prepared:
    definition = definitions.get(row.name)
    on_crash = definition.rules.on_crash if definition else "fail"
    if on_crash == "discard":
        return _FINISH
    return _AGAIN if on_crash == "retry" and row.crashes + 1 < MAX_CRASHES else _FAIL
