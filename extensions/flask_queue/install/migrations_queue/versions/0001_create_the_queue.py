"""Create the tables of the queue.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

COLLATION = "utf8mb4_bin"
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": COLLATION}

# SQLite numbers rows by itself only in an INTEGER primary key.
IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation=COLLATION), "mysql", "mariadb")
# Compared and sorted byte by byte, also where the database's default is a language's ways.
NAME = (
    sa.String(255)
    .with_variant(mysql.VARCHAR(255, collation=COLLATION), "mysql", "mariadb")
    .with_variant(sa.String(255, collation="C"), "postgresql")
)
# UTC with microseconds.
INSTANT = (
    sa.DateTime().with_variant(sa.DateTime(timezone=True), "postgresql").with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
)

# A row changes its state a few times, so leave room for its new versions on the page, and clean up after them often: dead
# versions at the head of the ready index are what slows a queue down on PostgreSQL.
STORAGE = {
    "fillfactor": 80,
    "autovacuum_vacuum_scale_factor": 0.01,
    "autovacuum_vacuum_threshold": 1000,
    "autovacuum_analyze_scale_factor": 0.05,
}

IN_LINE = "concurrency_key IS NOT NULL AND state IN ('ready', 'claimed', 'blocked')"


def upgrade() -> None:
    create_jobs()
    create_attempts()
    create_processes()
    create_pauses()
    create_concurrency_keys()
    create_recurring_tasks()
    create_recurring_runs()


def downgrade() -> None:
    for table in (
        "queue_recurring_runs",
        "queue_recurring_tasks",
        "queue_concurrency_keys",
        "queue_pauses",
        "queue_processes",
        "queue_attempts",
        "queue_jobs",
    ):
        op.drop_table(table)


def create_jobs() -> None:
    op.create_table(
        "queue_jobs",
        sa.Column("id", IDENTIFIER, autoincrement=True, nullable=False),
        sa.Column("queue_name", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("arguments", LONG_TEXT, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("scheduled_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("claimed_at", INSTANT),
        sa.Column("finished_at", INSTANT),
        sa.Column("process_id", IDENTIFIER),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("concurrency_key", NAME),
        sa.Column("concurrency_limit", sa.Integer()),
        sa.Column("concurrency_duration", sa.Double()),
        sa.Column("expires_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_queue_jobs"),
        # Row ids are never used again.
        sqlite_autoincrement=True,
        postgresql_with=STORAGE,
        **TABLE,
    )
    index_jobs("ready", ["state", "priority", "id"], where="state = 'ready'")
    index_jobs("ready_by_queue", ["state", "queue_name", "priority", "id"], where="state = 'ready'")
    index_jobs("scheduled", ["state", "scheduled_at", "priority", "id"], where="state = 'scheduled'")
    index_jobs("claimed", ["state", "process_id"], where="state = 'claimed'")
    index_jobs("failed", ["state", "id"], where="state = 'failed'")
    index_jobs("finished", ["state", "finished_at", "id"], where="state = 'finished'")
    index_jobs("concurrency_key", ["concurrency_key", "state", "priority", "id"], where=IN_LINE)


def index_jobs(name: str, columns: list[str], where: str) -> None:
    """An index of some states only; on MariaDB and MySQL, which have no such thing, of all."""
    condition = sa.text(where)
    op.create_index(f"ix_queue_jobs_{name}", "queue_jobs", columns, sqlite_where=condition, postgresql_where=condition)


def create_attempts() -> None:
    op.create_table(
        "queue_attempts",
        sa.Column("id", IDENTIFIER, autoincrement=True, nullable=False),
        sa.Column("job_id", IDENTIFIER, sa.ForeignKey("queue_jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("process_id", IDENTIFIER),
        sa.Column("process_name", sa.String(255)),
        sa.Column("started_at", INSTANT),
        sa.Column("failed_at", INSTANT, nullable=False),
        sa.Column("error_class", NAME, nullable=False),
        sa.Column("message", LONG_TEXT, nullable=False),
        sa.Column("traceback", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_queue_attempts"),
        sqlite_autoincrement=True,
        **TABLE,
    )
    op.create_index("ix_queue_attempts_job_id", "queue_attempts", ["job_id", "id"])
    op.create_index("ix_queue_attempts_failed_at", "queue_attempts", ["failed_at"])


def create_processes() -> None:
    op.create_table(
        "queue_processes",
        sa.Column("id", IDENTIFIER, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("hostname", NAME, nullable=False),
        sa.Column("supervisor_id", IDENTIFIER),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("last_heartbeat_at", INSTANT, nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_queue_processes"),
        sa.UniqueConstraint("name", name="uq_queue_processes_name"),
        sqlite_autoincrement=True,
        **TABLE,
    )
    op.create_index("ix_queue_processes_last_heartbeat_at", "queue_processes", ["last_heartbeat_at"])
    op.create_index("ix_queue_processes_supervisor_id", "queue_processes", ["supervisor_id"])


def create_pauses() -> None:
    op.create_table(
        "queue_pauses",
        sa.Column("queue_name", NAME, nullable=False),
        sa.Column("paused_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("queue_name", name="pk_queue_pauses"),
        **TABLE,
    )


def create_concurrency_keys() -> None:
    op.create_table(
        "queue_concurrency_keys",
        sa.Column("key", NAME, nullable=False),
        sa.Column("used_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_queue_concurrency_keys"),
        **TABLE,
    )
    op.create_index("ix_queue_concurrency_keys_used_at", "queue_concurrency_keys", ["used_at"])


def create_recurring_tasks() -> None:
    op.create_table(
        "queue_recurring_tasks",
        sa.Column("id", IDENTIFIER, autoincrement=True, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("job_name", NAME, nullable=False),
        sa.Column("arguments", LONG_TEXT, nullable=False),
        sa.Column("schedule", sa.String(255), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("queue_name", NAME),
        sa.Column("priority", sa.Integer()),
        sa.Column("description", sa.Text()),
        sa.Column("catch_up", sa.Integer(), server_default="0", nullable=False),
        sa.Column("static", sa.Boolean(), nullable=False),
        sa.Column("paused_at", INSTANT),
        sa.Column("effective_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_queue_recurring_tasks"),
        sa.UniqueConstraint("key", name="uq_queue_recurring_tasks_key"),
        **TABLE,
    )


def create_recurring_runs() -> None:
    op.create_table(
        "queue_recurring_runs",
        sa.Column("id", IDENTIFIER, autoincrement=True, nullable=False),
        sa.Column("task_key", NAME, nullable=False),
        sa.Column("run_at", INSTANT, nullable=False),
        sa.Column("job_id", IDENTIFIER),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_queue_recurring_runs"),
        sa.UniqueConstraint("task_key", "run_at", name="uq_queue_recurring_runs_task_key_run_at"),
        **TABLE,
    )
    op.create_index("ix_queue_recurring_runs_job_id", "queue_recurring_runs", ["job_id"])
    op.create_index("ix_queue_recurring_runs_run_at", "queue_recurring_runs", ["run_at"])
