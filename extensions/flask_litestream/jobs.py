"""The jobs of the backups, and everything else this extension knows of `flask_queue`.

Apart because this is the one file that does. Without a queue everything else works; only nobody verifies by himself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import TypeAlias
from weakref import WeakKeyDictionary

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from flask_queue import Concurrency, FlaskQueue, JobHandle
from flask_queue.errors import EnqueueError

from .backups import Backups
from .errors import QueueUnavailable, VerificationFailed
from .moments import moment_text
from .outcomes import Verification

logger = logging.getLogger("flask_litestream")

#: For the extension, whose `init_app` takes one.
Queue: TypeAlias = FlaskQueue

VERIFICATION = "flask_litestream.verification_job"
VERIFY_DATABASE = "flask_litestream.verify_database_job"
RESTORE = "flask_litestream.restore_job"


def verification_job() -> None:
    """Prove the backup of every database, then fail if one could not be proved, naming all of them and why."""
    if not _backups().settings.enabled:
        logger.info("Litestream is switched off here: there is no backup to verify.")
        return
    _raise_for(_backups().verify_all())


def verify_database_job(name: str) -> None:
    """Prove the backup of one database; the page's "Verify now"."""
    _raise_for([_backups().verify(name)])


def restore_job(name: str, timestamp: str | None = None, txid: str | None = None) -> None:
    """Restore one database to a new file; the page's "Restore to a new file"."""
    restored = _backups().restore_to_new_file(name, timestamp=timestamp, txid=txid)
    logger.info("%s was restored to %s.", name, restored.path)


class QueueLink:
    """One queue with the jobs of the backups on it."""

    #: The setting of the queue's dashboard that decides about this extension's page too, unless it has its own.
    access_setting = "QUEUE_AUTHORIZE"

    def __init__(self, queue: FlaskQueue, line: str) -> None:
        self.queue = queue
        one_at_a_time = Concurrency(to=1, group="flask_litestream", duration=timedelta(hours=6))
        self.verification = queue.job(name=VERIFICATION, queue=line, concurrency=one_at_a_time)(verification_job)
        self.verify_database = queue.job(name=VERIFY_DATABASE, queue=line, concurrency=one_at_a_time)(verify_database_job)
        self.restore = queue.job(name=RESTORE, queue=line, concurrency=one_at_a_time)(restore_job)

    def enqueue_verification(self, name: str) -> int | None:
        """Verify one database soon, and return the job's id."""
        return self._enqueued(self.verify_database.using(queue=_backups().settings.verify_queue).build(name))

    def enqueue_restore(self, name: str, timestamp: str | None) -> int | None:
        """Restore one database to a new file soon, and return the job's id."""
        return self._enqueued(self.restore.using(queue=_backups().settings.verify_queue).build(name, timestamp=timestamp))

    def _enqueued(self, handle: JobHandle) -> int | None:
        try:
            return self.queue.publish(handle).id
        except EnqueueError as error:
            raise QueueUnavailable(f"The queue does not answer, so nothing was enqueued: {error}") from error

    def under_way(self) -> int | None:
        """Return how many of these jobs wait or run; None where the queue's database does not answer."""
        states = (self.queue.jobs.ready, self.queue.jobs.blocked, self.queue.jobs.claimed)
        names = (VERIFICATION, VERIFY_DATABASE, RESTORE)
        try:
            return sum(state.where(name=name).count() for state in states for name in names)
        except SQLAlchemyError:
            return None

    def dashboard_url(self) -> str:
        """Return where the queue's dashboard is."""
        return self.queue.settings.url_prefix


def attach(queue: FlaskQueue, line: str, page: str | None) -> QueueLink:
    """Register the jobs on a queue, and show the backups on its dashboard.

    :param line: the name of the queue they wait in.
    :param page: the path of the page, if there is one.
    """
    if queue not in _links:
        _links[queue] = QueueLink(queue, line)
    queue.health_check("litestream", _problems)
    queue.overview_note("Backups", _notes, url=page)
    return _links[queue]


_links: WeakKeyDictionary[FlaskQueue, QueueLink] = WeakKeyDictionary()


def _backups() -> Backups:
    backups: Backups = current_app.extensions["litestream"].backups
    return backups


def _raise_for(results: list[Verification]) -> None:
    bad = [result for result in results if not result.ok]
    if bad:
        whys = "; ".join(f"{result.database} ({result.reason}): {result.message}" for result in bad)
        raise VerificationFailed(f"{len(bad)} of {len(results)} backups could not be proved. {whys}")


def _problems() -> list[str]:
    return _backups().problems() if "litestream" in current_app.extensions else []


def _notes() -> list[tuple[str, str, bool]]:
    """One line for each database: its last verification."""
    if "litestream" not in current_app.extensions:
        return []
    if not _backups().settings.enabled:
        return [("Litestream", "switched off", True)]
    last = _backups().outcomes.all()
    return [_note(database.name, last) for database in _backups().databases]


def _note(name: str, last: Mapping[str, Verification]) -> tuple[str, str, bool]:
    verification = last.get(name)
    if verification is None:
        return name, "not verified yet", False
    if verification.ok:
        return name, f"proved {moment_text(verification.started_at)}", True
    return name, f"FAILED {moment_text(verification.started_at)}: {verification.message}", False
