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
from ..models.seek import along, by_id


@dataclass(frozen=True)
class Listing:
    """One list.

    :param slug: its place in the address
    :param order: the columns they are sorted by, "-" for downwards; ends in the id, so that no two pages share a row
    :param empty: what an empty list is, in words
    :param advice: what would stand in it
    :param indexed: the filters that an index answers; others look at rows
    """

    state: State
    slug: str
    title: str
    order: tuple[str, ...]
    empty: str
    advice: str
    indexed: frozenset[str] = frozenset()

    @property
    def rows(self) -> ColumnElement[bool]:
        """Which jobs belong to it."""
        return along(self.state)

    @property
    def endpoint(self) -> str:
        return self.slug.replace("-", "_")

    @property
    def order_columns(self) -> tuple[str, ...]:
        return tuple(name.removeprefix("-") for name in self.order)

    def sorted_by(self, source: FromClause) -> list[ColumnElement[Any]]:
        """The order, as an ORDER BY of whatever has these columns."""
        if self.order == ("id",):
            return [by_id(self.state, source.c.id)]
        return [source.c[name.removeprefix("-")].desc() if name.startswith("-") else source.c[name] for name in self.order]


_LISTINGS = (
    Listing(
        State.FAILED,
        "failed",
        "Failed",
        ("-id",),
        "Nothing has failed",
        "Jobs that raise an error wait here until somebody retries or discards them.",
    ),
    Listing(
        State.CLAIMED,
        "in-progress",
        "In progress",
        ("id",),
        "No job is running",
        "Jobs appear here while a worker runs them.",
    ),
    Listing(
        State.READY,
        "ready",
        "Ready",
        ("priority", "id"),
        "No job is waiting",
        "Jobs wait here until a worker is free.",
        frozenset({"queue"}),
    ),
    Listing(
        State.SCHEDULED,
        "scheduled",
        "Scheduled",
        ("scheduled_at", "priority", "id"),
        "Nothing is planned",
        "Jobs that were enqueued for later wait here, and so do retries until their turn comes.",
    ),
    Listing(
        State.BLOCKED,
        "blocked",
        "Blocked",
        ("id",),
        "No job is blocked",
        "Jobs wait here while others hold all slots of their concurrency key.",
    ),
    Listing(
        State.FINISHED,
        "finished",
        "Finished",
        ("-finished_at", "-id"),
        "No finished jobs",
        "Jobs appear here when they are done, until they are cleared.",
        frozenset({"finished_after", "finished_before"}),
    ),
)

LISTINGS: Mapping[State, Listing] = {listing.state: listing for listing in _LISTINGS}
BY_SLUG: Mapping[str, Listing] = {listing.slug: listing for listing in _LISTINGS}
