"""Things to do when a session's transaction commits, and to forget when it rolls back, savepoints included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

_KEY = "flask_queue.on_commit"
_Waiting = list[tuple[SessionTransaction, Callable[[], Any]]]


def on_commit(session: Session, action: Callable[[], Any]) -> None:
    """Call `action` once when the transaction that `session` is in has been committed; now, when there is none."""
    transaction = session.get_nested_transaction() or session.get_transaction()
    if transaction is None:
        action()
        return
    if _KEY not in session.info:
        session.info[_KEY] = []
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_soft_rollback", _rolled_back)
    session.info[_KEY].append((transaction, action))


def _committed(session: Session) -> None:
    waiting: _Waiting = session.info[_KEY]
    nested = session.get_nested_transaction()
    if nested is not None:  # a savepoint was released: what it did is its parent's now
        session.info[_KEY] = [(nested.parent if of is nested else of, action) for of, action in waiting]
        return
    session.info[_KEY] = []
    for _, action in waiting:
        action()


def _rolled_back(session: Session, transaction: SessionTransaction) -> None:
    session.info[_KEY] = [(of, action) for of, action in session.info[_KEY] if not _is_within(of, transaction)]


def _is_within(inner: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while inner is not None:
        if inner is outer:
            return True
        inner = inner.parent
    return False
