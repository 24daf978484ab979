"""`flask litestream …`: the backups from the command line, by database name, with Litestream's exit codes.

Apart because only this package knows click. Each command finds, calls one verb of `Backups` and says what came of it.
"""

from . import replication, restores, settings, state
from .group import litestream_cli

__all__ = ["litestream_cli", "replication", "restores", "settings", "state"]
