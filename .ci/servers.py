"""Print shell lines that set TEST_POSTGRESQL_URL and TEST_MARIADB_URL to servers that answer on this machine.

What is set already is left alone, and a server that does not answer is not named: its tests are then skipped, or fail
with REQUIRE_ALL=1.
"""

from __future__ import annotations

import getpass
import os
import shlex
from collections.abc import Iterator

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError


def candidates() -> dict[str, list[str]]:
    """Where a server usually is, for whom it usually is."""
    user = getpass.getuser()
    return {
        "TEST_POSTGRESQL_URL": [
            f"postgresql+psycopg://{user}@127.0.0.1:5432/postgres",
            "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
            "postgresql+psycopg://postgres:postgres@127.0.0.1:5432/postgres",
        ],
        "TEST_MARIADB_URL": [
            "mysql+pymysql://root@127.0.0.1:3306/",
            "mysql+pymysql://root:root@127.0.0.1:3306/",
        ],
    }


def answers(url: str) -> bool:
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 3})
    try:
        with engine.connect():
            return True
    except SQLAlchemyError:
        return False


def lines() -> Iterator[str]:
    for variable, urls in candidates().items():
        found = os.environ.get(variable) or next(filter(answers, urls), None)
        if found:
            yield f"export {variable}={shlex.quote(found)}"


if __name__ == "__main__":
    print("\n".join(lines()))
