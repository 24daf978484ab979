"""A worker's list of queues: what is understood, and which names it stands for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from flask_queue import FlaskQueue
from flask_queue.operations.selectors import Selector, paused_names, ready_names
from tests.harness.databases import connect, create_tables, server_url


@pytest.mark.behaviour("C4", "C9")
@pytest.mark.parametrize(
    ("queues", "entries"),
    [
        (["*"], ("*",)),
        (["a", "*"], ("*",)),
        (["a", "b"], ("a", "b")),
        (["b", "a", "b"], ("b", "a")),
        ([" a ", "b* "], ("a", "b*")),
        (["a,b , c*"], ("a", "b", "c*")),
        (["*a", "b*c", "d**", "e"], ("e",)),
        (["", " "], ()),
        (["a\0", "b\n*", "x" * 256, "y" * 255 + "*", "a b"], ("y" * 255 + "*", "a b")),
    ],
)
def test_entries(queues: list[str], entries: tuple[str, ...]) -> None:
    assert Selector.parse(queues).entries == entries


@pytest.mark.behaviour("C5", "C6", "C7")
def test_names_are_looked_up_where_there_are_prefixes(app: Flask, queue: FlaskQueue) -> None:
    @queue.job(name="job")
    def job() -> None: ...

    for name in ("mail_b", "mail_a", "mail", "main", "ü", "üb", "z"):
        job.using(queue=name).enqueue()
    queue.queues["mail_b"].pause()
    queue.queues["never"].pause()

    with queue.database.connect() as connection:
        assert ready_names(connection) == ["mail", "mail_a", "mail_b", "main", "z", "ü", "üb"]
        assert ready_names(connection, "mail") == ["mail", "mail_a", "mail_b"]
        assert ready_names(connection, "ü") == ["ü", "üb"]
        assert ready_names(connection, "zz") == []
        assert paused_names(connection) == {"mail_b", "never"}
        assert Selector.parse(["z", "mail*", "never", "main"]).names(connection) == ["z", "mail", "mail_a", "main"]


@pytest.mark.behaviour("C5")
@pytest.mark.databases("postgresql")
def test_prefixes_do_not_depend_on_how_the_database_sorts(
    database_name: str, sorted_like_a_phone_book: str, make_app: Callable[..., Flask], queue: FlaskQueue
) -> None:
    """In some languages "a_z" comes behind "ab", so that other names stand between those with one prefix."""
    app = make_app(SQLALCHEMY_BINDS={"queue": sorted_like_a_phone_book})

    @queue.job(name="job")
    def job() -> None: ...

    with app.app_context():
        for name in ("a_b", "ab", "a_z", "aa", "a-b"):
            job.using(queue=name).enqueue()
        with queue.database.connect() as connection:
            assert connection.scalar(text("SELECT 'ab' < 'a_z'")), "the database sorts as we want it to"
            assert ready_names(connection, "a_") == ["a_b", "a_z"]


@pytest.fixture
def sorted_like_a_phone_book() -> Iterator[str]:
    """The address of a PostgreSQL database whose order of text passes over punctuation."""
    server = server_url("postgresql")
    name = f"flask_queue_test_{uuid.uuid4().hex[:12]}"
    options = "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-u-ka-shifted' LOCALE 'C.UTF-8'"
    with connect(server) as connection:
        connection.execute(text(f"CREATE DATABASE {name} {options}"))
    url = server.set(database=name).render_as_string(hide_password=False)
    create_tables(url)
    yield url
    with connect(server) as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
