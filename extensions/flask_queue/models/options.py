"""What tables and indexes are told for one database only, such as which rows an index holds.

SQLAlchemy takes such options when a table is made, and imports every dialect that they name in order to check them: three
megabytes in each process of an application. So they wait in `info`, until somebody knows which database it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Index, Table

from ..columns import MYSQL

#: InnoDB and utf8mb4 are MySQL's defaults, but not everybody's.
_INNODB = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}


def table_options(**options: Mapping[str, Any]) -> dict[str, Any]:
    """The `info` of a table, with the options of every table.

    :param options: more options, by dialect.
    """
    return {"options": {**dict.fromkeys(MYSQL, _INNODB), **options}}


def index_options(**options: Mapping[str, Any]) -> dict[str, Any]:
    """The `info` of an index.

    :param options: its options, by dialect.
    """
    return {"options": options}


def set_options(item: Table | Index, info: Mapping[str, Any], dialect: str) -> None:
    """Give a table or an index the options for `dialect` that are in `info`."""
    for name, value in info.get("options", {}).get(dialect, {}).items():
        item.dialect_kwargs[f"{dialect}_{name}"] = value
