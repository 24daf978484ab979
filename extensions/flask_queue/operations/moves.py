"""Updates of jobs from one state to another, as the modules of this package word them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, literal_column, update

from ..database import Prepared, is_one_of
from ..models.job import State, jobs
from ..models.seek import is_still

#: Makes a condition; called when its statement is made.
Condition = Callable[[], ColumnElement[bool]]


def to_state(state: State, which: Condition, values: Mapping[str, Any], *, leads: bool = False) -> Prepared:
    """Move the jobs that `which` holds for to `state`.

    :param values: what to set besides.
    :param leads: see `Prepared`.
    """
    target: ColumnElement[str] = literal_column(f"'{state.value}'")
    return Prepared(lambda: update(jobs).where(which()).values(state=target, **values), leads=leads)


def those_still(state: State) -> Condition:
    """The jobs with these `ids`, as long as they are in `state`."""
    return lambda: and_(is_one_of(jobs.c.id, "ids"), is_still(state))
