"""What a database server does, or leaves undone, that makes a queue slower by the hour. No error: it works for now."""

from __future__ import annotations

from sqlalchemy import Connection, Table, text

#: Dead rows that a transaction of this age keeps from being removed are many, in seconds.
_LONG_TRANSACTION = 3600.0

_VACUUM = text("""
    SELECT current_setting('autovacuum')::bool AND current_setting('track_counts')::bool AS on_server,
           coalesce((SELECT option_value::bool FROM pg_options_to_table(reloptions) WHERE option_name = 'autovacuum_enabled'),
                    true) AS on_table
    FROM pg_class WHERE oid = to_regclass(:table)
""")
_OLDEST = text("""
    SELECT pid, extract(epoch FROM now() - xact_start)::float AS age
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_xmin IS NOT NULL AND backend_type = 'client backend'
    AND pid <> pg_backend_pid()
    ORDER BY xact_start LIMIT 1
""")


def upkeep_warnings(connection: Connection, table: Table) -> list[str]:
    """In sentences, what keeps PostgreSQL from removing the row versions that each job leaves behind.

    They lengthen the table, and whoever reads its indexes steps over them. Their removal is described in "Routine Vacuuming" of
    PostgreSQL's documentation.
    """
    if connection.dialect.name != "postgresql":
        return []
    found = []
    vacuum = connection.execute(_VACUUM, {"table": table.name}).one_or_none()
    if vacuum is not None and not vacuum.on_server:
        found.append(
            "PostgreSQL's autovacuum is off, so that the queue becomes slower, and its table longer, with every job: set "
            f"autovacuum and track_counts to on in postgresql.conf and reload it, or have VACUUM {table} run every minute."
        )
    if vacuum is not None and not vacuum.on_table:
        found.append(
            f"autovacuum is off for the table {table}, so that the queue becomes slower, and its table longer, with every job: "
            f"ALTER TABLE {table} RESET (autovacuum_enabled) turns it on."
        )
    oldest = connection.execute(_OLDEST).one_or_none()
    if oldest is not None and oldest.age > _LONG_TRANSACTION:
        found.append(
            f"A transaction has been open for {oldest.age / 3600:.1f} hours in the queue's database (pid {oldest.pid}), "
            "and VACUUM removes nothing that has died since: end it, for example with pg_terminate_backend."
        )
    return found
