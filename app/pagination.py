"""Long lists, a page at a time.

Not `db.paginate`, which counts all rows for each page: the front page only needs to know whether there is a next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import abort, current_app, request
from sqlalchemy import Select, func, select

from app.extensions import db

LONGEST_NUMBER = 6  # digits; what lies behind is never reached by following links, and only costs the database


@dataclass(frozen=True)
class Page:
    """Some items of a list, and where they stand in it."""

    items: Sequence[Any]
    number: int
    size: int
    has_next: bool

    @property
    def first(self) -> int:
        """The position of the first item, counted from 1."""
        return (self.number - 1) * self.size + 1

    @property
    def has_previous(self) -> bool:
        return self.number > 1


def page_of(query: Select[Any], *, size: str) -> Page:
    """The page of this list that the request asks for; 404 where there is none.

    :param query: All items, in order.
    :param size: The setting that says how many there are on a page.
    """
    number, limit = _number(), current_app.config[size]
    items = db.session.scalars(query.limit(limit + 1).offset((number - 1) * limit)).unique().all()
    if not items and number > 1:
        abort(404)
    return Page(items[:limit], number, limit, has_next=len(items) > limit)


def last_page(query: Select[Any], *, size: str) -> int:
    """The number of the last page of this list, which counts the rows."""
    rows: int = db.session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    limit: int = current_app.config[size]
    return max(1, -(-rows // limit))


def _number() -> int:
    text = request.args.get("page", "1")
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER and int(text) > 0):
        abort(404)
    return int(text)
