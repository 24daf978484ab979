"""One job: its row and its failed attempts."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, select

from ...database import AnyRow
from ...models import attempts, jobs, processes
from ...models.job import is_claimed

SHOWN_ATTEMPTS = 25


def find_job(connection: Connection, job_id: int) -> AnyRow | None:
    """A job with all its columns, and the name of the process that runs it."""
    columns = (*jobs.c, processes.c.name.label("process_name"))
    source = jobs.outerjoin(processes, and_(processes.c.id == jobs.c.process_id, is_claimed))
    return connection.execute(select(*columns).select_from(source).where(jobs.c.id == job_id)).one_or_none()


def failed_attempts(connection: Connection, job_id: int) -> Sequence[AnyRow]:
    """The failed attempts of a job, newest first, not more than can be read."""
    own = select(attempts).where(attempts.c.job_id == job_id)
    return connection.execute(own.order_by(attempts.c.id.desc()).limit(SHOWN_ATTEMPTS)).all()
