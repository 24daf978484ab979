"""Who holds a concurrency key. A slot is held by a job row itself (ready or claimed, not expired); there is no counter."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from ..database import CommittedRead, Step, is_one_of, lock_keys, now
from ..models.concurrency_key import concurrency_keys
from ..models.job import holds_slot, is_in_line, jobs

if TYPE_CHECKING:
    from ..jobs.definition import JobDefinition

_HOLDS = holds_slot & is_in_line & (jobs.c.expires_at > now())
_HOLDERS = CommittedRead(
    lambda: (
        select(jobs.c.concurrency_key, func.count())
        .where(is_one_of(jobs.c.concurrency_key, "keys"), _HOLDS, jobs.c.id != bindparam("except_id"))
        .group_by(jobs.c.concurrency_key)
    )
)
#: No job has this id.
NOBODY = -1


@dataclass(frozen=True, slots=True)
class Rule:
    """The limit that a job's row falls under as its definition stands today."""

    to: int
    duration: float
    discards: bool


def rule_of(row: Any, definitions: Mapping[str, JobDefinition[Any, Any]]) -> Rule | None:
    """The limit of a job's row: its definition's, so that a deploy can change it; the row's own where that is gone.

    None means that the job is not limited, or no longer.
    """
    if row.concurrency_key is None:
        return None
    definition = definitions.get(row.name)
    if definition is None:
        return Rule(row.concurrency_limit or 1, row.concurrency_duration, False)
    declared = definition.rules.concurrency
    if declared is None:
        return None
    # A job that has run before waits for its turn: its own retry is never eaten.
    discards = declared.on_conflict == "discard" and row.attempts == 0 and row.crashes == 0
    return Rule(declared.to, row.concurrency_duration, discards)


def holders(key: ColumnElement[str]) -> ColumnElement[int]:
    """How many hold slots of a key, as a column of a statement about other jobs."""
    count = select(func.count()).select_from(jobs).where(jobs.c.concurrency_key == key, _HOLDS)
    return count.correlate_except(jobs).scalar_subquery()


class Slots:
    """The free slots of some keys, locked until the transaction ends. Who holds them is counted when somebody wants one."""

    def __init__(
        self, connection: Connection, keys: Collection[str], *, except_id: int = NOBODY, ahead: Step | None = None
    ) -> None:
        """Lock `keys`.

        :param ahead: what to do to other jobs before.
        :param except_id: a job that is not counted: one that moves on must not meet the slot that it holds itself.
        """
        self._connection = connection
        self._keys = list(keys)
        self._except_id = except_id
        self._held: dict[str, int] = {}
        if keys:
            lock_keys(connection, concurrency_keys, keys, ahead=ahead)

    def know(self, key: str, held: int | None) -> None:
        """Learn what a statement has counted since `key` was locked; None where it has not."""
        if held is not None:
            self._held[key] = held

    def free(self, key: str, to: int) -> int:
        """How many of the `to` slots of `key` nobody holds."""
        if key not in self._held:
            rows = _HOLDERS.rows(self._connection, {"keys": self._keys, "except_id": self._except_id})
            self._held = {**dict.fromkeys(self._keys, 0), **dict(rows)}
        return max(0, to - self._held[key])

    def take(self, key: str, to: int) -> bool:
        """Take a slot of `key` for a job that is about to become ready; False when none is free."""
        if self.free(key, to) == 0:
            return False
        self._held[key] += 1
        return True


def keys_of(rows: Iterable[Any]) -> set[str]:
    """The concurrency keys of `rows`."""
    return {row.concurrency_key for row in rows if row.concurrency_key is not None}
