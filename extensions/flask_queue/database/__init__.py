"""The doorway to the database: engines, transactions, retries, the database's clock, and whatever differs between
SQLite, PostgreSQL and MariaDB/MySQL. No other package asks which database it is talking to.
"""

from __future__ import annotations

from .bulk import insert_many
from .clock import now, now_plus
from .database import Database
from .engines import connected, forget_connections, is_session_ours, set_pragmas
from .faults import DatabaseError, is_lost_connection, is_missing_column, is_missing_table, is_outage, is_transient
from .hops import Hops
from .lines import HeadsOfLines
from .lists import is_one_of
from .locks import CommittedRead, committed_or_null, lock_keys
from .lookout import Lookout
from .prepared import Prepared, Step
from .searches import contains, is_searched_for
from .statements import CHANNEL, AnyRow, Insertion, Move, insert_ignoring, notify
from .upkeep import upkeep_warnings

__all__ = [
    "CHANNEL",
    "AnyRow",
    "CommittedRead",
    "Database",
    "DatabaseError",
    "HeadsOfLines",
    "Hops",
    "Insertion",
    "Lookout",
    "Move",
    "Prepared",
    "Step",
    "committed_or_null",
    "connected",
    "contains",
    "forget_connections",
    "insert_ignoring",
    "insert_many",
    "is_lost_connection",
    "is_missing_column",
    "is_missing_table",
    "is_one_of",
    "is_outage",
    "is_searched_for",
    "is_session_ours",
    "is_transient",
    "lock_keys",
    "notify",
    "now",
    "now_plus",
    "set_pragmas",
    "upkeep_warnings",
]
