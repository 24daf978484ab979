"""Column types that mean the same on every database.

A dialect of SQLAlchemy's is a megabyte or two of memory in each process, so none is imported but the one in use.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

#: What SQLAlchemy calls MySQL: MariaDB has a name of its own, and differs in nothing that matters here.
MYSQL = ("mysql", "mariadb")
#: SQLite numbers rows by itself only in an INTEGER primary key.
Identifier = BigInteger().with_variant(Integer(), "sqlite")
#: Compared and sorted byte by byte, also where the database's default is a language's ways.
Name = (
    String(255)
    .with_variant(String(255, collation="utf8mb4_bin"), *MYSQL)
    .with_variant(String(255, collation="C"), "postgresql")
)


def is_mysql(dialect: Dialect) -> bool:
    """Whether it is MySQL's or MariaDB's."""
    return dialect.name in MYSQL


class LongText(TypeDecorator[str]):
    """Text of any length: MySQL's TEXT ends at 64 KiB."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if is_mysql(dialect):
            from sqlalchemy.dialects import mysql

            return dialect.type_descriptor(mysql.LONGTEXT(collation="utf8mb4_bin"))
        return super().load_dialect_impl(dialect)


class UTCDateTime(TypeDecorator[datetime]):
    """An instant with microseconds, stored as UTC; goes in and comes out aware. Naive values are taken as UTC."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if is_mysql(dialect):
            from sqlalchemy.dialects import mysql

            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class JSONText(TypeDecorator[dict[str, Any]]):
    """A small JSON object in a text column: MariaDB has no JSON type of its own to compare a schema with."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:
        return None if value is None else json.loads(value)
