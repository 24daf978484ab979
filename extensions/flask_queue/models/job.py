"""The one table of jobs. The state of a job is a column; operations/ holds every arrow between states."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Column, ColumnElement, Double, Index, Integer, String, Table, literal_column

from ..columns import Identifier, LongText, Name, UTCDateTime
from .base import metadata
from .options import index_options, table_options


class State(StrEnum):
    """Where a job is in its life."""

    SCHEDULED = "scheduled"
    READY = "ready"
    BLOCKED = "blocked"
    CLAIMED = "claimed"
    FINISHED = "finished"
    FAILED = "failed"


# A row changes its state a few times, so leave room for its new versions on the page, and clean up after them often: dead
# versions at the head of the ready index are what slows a queue down on PostgreSQL.
_STORAGE = {
    "fillfactor": 80,
    "autovacuum_vacuum_scale_factor": 0.01,
    "autovacuum_vacuum_threshold": 1000,
    "autovacuum_analyze_scale_factor": 0.05,
}

jobs = Table(
    "queue_jobs",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("queue_name", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("arguments", LongText, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("scheduled_at", UTCDateTime, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("claimed_at", UTCDateTime),
    Column("finished_at", UTCDateTime),
    # Who runs it. No foreign key: a claim must stay visible when its process's row is gone, and starting up must not
    # touch millions of finished rows.
    Column("process_id", Identifier),
    # Attempts begun since the last manual retry, and how many of them ended with the death of their process.
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("crashes", Integer, nullable=False, server_default="0"),
    # A limited job keeps its rule, so that it can be unblocked when its definition is gone.
    Column("concurrency_key", Name),
    Column("concurrency_limit", Integer),
    Column("concurrency_duration", Double),
    # Until when a ready or claimed job holds its slot; for a blocked one, when it is given up as forgotten.
    Column("expires_at", UTCDateTime),
    # Row ids are never used again: a handle, or the late ending of a deleted job, must not meet a stranger.
    info=table_options(sqlite={"autoincrement": True}, postgresql={"with": _STORAGE}),
)


def _is(*states: State) -> ColumnElement[bool]:
    """The state as a literal: with a bound parameter no database dares to use a partial index."""
    literals: list[ColumnElement[str]] = [literal_column(f"'{state.value}'", String) for state in states]
    return jobs.c.state == literals[0] if len(literals) == 1 else jobs.c.state.in_(literals)


is_scheduled = _is(State.SCHEDULED)
is_ready = _is(State.READY)
is_blocked = _is(State.BLOCKED)
is_claimed = _is(State.CLAIMED)
is_finished = _is(State.FINISHED)
is_failed = _is(State.FAILED)
#: A limited job holds a slot of its key, until it expires.
#: In the index of keys these come behind the blocked ones, of which there may be many: PostgreSQL, if it has not counted them,
#: would rather read them than search for two states.
holds_slot = _is(State.READY, State.CLAIMED) & (jobs.c.state > literal_column(f"'{State.BLOCKED.value}'", String))
#: States in which a limited job stands in line for its key or holds a slot of it.
#: The cheaper question first: SQLite asks it of every row that is written.
is_in_line = jobs.c.concurrency_key.is_not(None) & _is(State.READY, State.CLAIMED, State.BLOCKED)


def _index(name: str, *columns: str, where: ColumnElement[bool]) -> None:
    """An index of some states only. MySQL has no partial indexes, so the state stands in it as a column too."""
    partly = {"where": where}
    info = index_options(sqlite=partly, postgresql=partly)
    Index(f"ix_queue_jobs_{name}", *(jobs.c[column] for column in columns), info=info)


_index("ready", "state", "priority", "id", where=is_ready)
_index("ready_by_queue", "state", "queue_name", "priority", "id", where=is_ready)
_index("scheduled", "state", "scheduled_at", "priority", "id", where=is_scheduled)
_index("claimed", "state", "process_id", where=is_claimed)
_index("failed", "state", "id", where=is_failed)
_index("finished", "state", "finished_at", "id", where=is_finished)
_index("concurrency_key", "concurrency_key", "state", "priority", "id", where=is_in_line)
