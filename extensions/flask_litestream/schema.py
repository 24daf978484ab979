"""The tables that Litestream and the verification make in a database, kept out of the application's migrations.

Apart because an Alembic ``env.py`` imports it.
"""

from __future__ import annotations

from collections.abc import Mapping


def include_name(name: str | None, type_: str, parent_names: Mapping[str, str | None]) -> bool:
    """Tell Alembic's autogenerate to leave ``_litestream_…`` tables alone: else it would write migrations to drop them.

    Give it to ``context.configure(include_name=...)`` in ``migrations/env.py``.
    """
    return not (type_ == "table" and name is not None and name.startswith("_litestream_"))
