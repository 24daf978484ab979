"""How many jobs are in each state. Counting stops at a cap: exact numbers of millions cost time and tell nobody anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, func, literal_column, select

from ...database import now
from ...models import State, jobs
from ..formatting import COUNT_CAP, capped
from ..listings import LISTINGS

#: Where the counting of lists that the page is not about stops.
TAB_CAP = 10_000


@dataclass(frozen=True)
class Size:
    """A number of rows, counted up to a cap."""

    number: int
    cap: int = COUNT_CAP

    def __bool__(self) -> bool:
        return self.number > 0

    def __str__(self) -> str:
        return capped(self.number, self.cap)

    @property
    def reachable(self) -> int:
        """How many of them a list goes through."""
        return min(self.number, self.cap)


@dataclass(frozen=True)
class Counts:
    """How many jobs are in each state, and when that was by the database's clock."""

    now: datetime
    sizes: Mapping[State, Size]

    def __getitem__(self, state: State) -> Size:
        return self.sizes[state]


def counts(connection: Connection, closely: Collection[State] = ()) -> Counts:
    """The sizes of all lists, in one statement.

    :param closely: the states that the page is about; the others are counted only as far as a tab needs it
    """
    caps = {state: COUNT_CAP if state in closely else TAB_CAP for state in LISTINGS}
    columns = [capped_count(select(jobs.c.id).where(listing.rows), caps[state]) for state, listing in LISTINGS.items()]
    row = connection.execute(select(now().label("now"), *columns)).one()
    return Counts(row[0], {state: Size(size, caps[state]) for state, size in zip(LISTINGS, row[1:], strict=True)})


def capped_count(rows: Select[Any], cap: int) -> ScalarSelect[int]:
    """How many rows a statement has, but not more than one beyond the cap."""
    return select(func.count()).select_from(rows.limit(cap + 1).subquery()).scalar_subquery()


def one() -> ColumnElement[int]:
    """A column for statements that only count."""
    return literal_column("1").label("one")
