"""The six lists of jobs: for each state its address, its title, its order, and what the page says when it is empty.

Apart so that "in progress" for claimed, and the order in which a state is read, stand in one place. The orders are those of
the indexes, so that the first page costs the same at ten rows and at a million.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause

from ..models import State
from ..models.job import is_blocked, is_claimed, is_failed, is_finished, is_ready, is_scheduled


@dataclass(frozen=True)
class Listing:
    """One list.

    :param slug: its place in the address
    :param rows: which jobs belong to it
    :param order: the columns they are sorted by, "-" for downwards; ends in the id, so that no two pages share a row
    :param indexed: the filters that an index answers; others look at rows
    """

    state: State
    slug: str
    title: str
    rows: ColumnElement[bool]
    order: tuple[str, ...]
    empty: str
    indexed: frozenset[str] = frozenset()

    @property
    def endpoint(self) -> str:
        return self.slug.replace("-", "_")

    @property
    def order_columns(self) -> tuple[str, ...]:
        return tuple(name.removeprefix("-") for name in self.order)

    def sorted_by(self, source: FromClause) -> list[ColumnElement[Any]]:
        """The order, as an ORDER BY of whatever has these columns."""
        return [source.c[name.removeprefix("-")].desc() if name.startswith("-") else source.c[name] for name in self.order]


_LISTINGS = (
    Listing(
        State.FAILED,
        "failed",
        "Failed",
        is_failed,
        ("-id",),
        "Nothing has failed. Jobs that raise an error wait here until somebody retries or discards them.",
    ),
    Listing(
        State.CLAIMED,
        "in-progress",
        "In progress",
        is_claimed,
        ("id",),
        "No worker is running a job right now.",
    ),
    Listing(
        State.READY,
        "ready",
        "Ready",
        is_ready,
        ("priority", "id"),
        "No job is waiting for a worker.",
        frozenset({"queue"}),
    ),
    Listing(
        State.SCHEDULED,
        "scheduled",
        "Scheduled",
        is_scheduled,
        ("scheduled_at", "priority", "id"),
        "No job is planned for later. Retries that wait for their turn appear here too.",
    ),
    Listing(
        State.BLOCKED,
        "blocked",
        "Blocked",
        is_blocked,
        ("id",),
        "No job waits for a concurrency limit.",
    ),
    Listing(
        State.FINISHED,
        "finished",
        "Finished",
        is_finished,
        ("-finished_at", "-id"),
        "No finished jobs are kept. They appear here after their run, until they are cleared.",
        frozenset({"finished_after", "finished_before"}),
    ),
)

LISTINGS: Mapping[State, Listing] = {listing.state: listing for listing in _LISTINGS}
BY_SLUG: Mapping[str, Listing] = {listing.slug: listing for listing in _LISTINGS}
