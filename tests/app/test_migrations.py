"""`flask db`: both databases under Alembic, on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import create_engine, inspect, text

from app import create_app, migrations
from app.environment import ROOT
from app.extensions import db

from ..harness.databases import Databases

OWN_TABLES = {"users", "posts", "comments", "alembic_version"}


class Site:
    """An application whose two databases are empty, and its commands."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def flask(self, *arguments: str) -> Result:
        return self.app.test_cli_runner().invoke(args=arguments)

    def run(self, *arguments: str) -> str:
        result = self.flask(*arguments)
        assert result.exit_code == 0, f"{arguments}: {result.output}"
        return result.output

    def tables(self, bind: str | None) -> set[str]:
        with self.app.app_context():
            return set(inspect(db.engines[bind]).get_table_names())


@pytest.fixture
def primary_url(database_name: str, all_databases: Databases, tmp_path: Path) -> str:
    return all_databases.without_tables(database_name, tmp_path)


@pytest.fixture
def empty_site(make_app: Callable[..., Flask], primary_url: str, empty_database_url: str) -> Site:
    return Site(make_app(SQLALCHEMY_DATABASE_URI=primary_url, SQLALCHEMY_BINDS_QUEUE=empty_database_url))


@pytest.fixture
def sqlite_site(make_app: Callable[..., Flask]) -> Site:
    """On SQLite alone, for what does not depend on the database."""
    return Site(make_app())


def test_upgrade_brings_both_databases_to_head_and_check_is_clean(empty_site: Site) -> None:
    empty_site.run("db", "upgrade")
    assert empty_site.tables(None) == OWN_TABLES
    assert "queue_jobs" in empty_site.tables("queue")
    assert not empty_site.tables("queue") & OWN_TABLES
    assert empty_site.run("db", "check").count("No new upgrade operations detected.") == 2


def test_down_to_base_and_up_again(empty_site: Site) -> None:
    empty_site.run("db", "upgrade")
    empty_site.run("db", "downgrade", "base")
    assert empty_site.tables(None) == {"alembic_version"}
    assert not {name for name in empty_site.tables("queue") if "version" not in name}
    empty_site.run("db", "upgrade")
    assert empty_site.tables(None) == OWN_TABLES
    assert empty_site.run("db", "check").count("No new upgrade operations detected.") == 2


def test_what_was_written_before_is_there_after_an_upgrade_that_has_nothing_to_do(empty_site: Site) -> None:
    empty_site.run("db", "upgrade")
    empty_site.run("seed", "--users", "2", "--posts", "3", "--comments", "4")
    empty_site.run("db", "upgrade")
    with empty_site.app.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM comments")) == 4


def test_the_seed_and_the_pages_work_on_each_database(empty_site: Site) -> None:
    empty_site.run("db", "upgrade")
    empty_site.run("seed", "--users", "3", "--posts", "5", "--comments", "9")
    client = empty_site.app.test_client()
    for path in ("/", "/newest", "/posts/1", "/users/admin"):
        assert client.get(path).status_code == 200


def upgrade_with_the_others(config: dict[str, Any], everybody: Barrier) -> None:
    """In a process of its own, as Alembic is set up for one upgrade in each."""
    app = create_app(config)
    everybody.wait()
    result = Site(app).flask("db", "upgrade")
    assert result.exit_code == 0, result.output


def test_several_machines_may_upgrade_at_once(app_config: dict[str, Any], empty_site: Site) -> None:
    with empty_site.app.app_context():
        urls = {bind: engine.url.render_as_string(hide_password=False) for bind, engine in db.engines.items()}
    config = app_config | {"SQLALCHEMY_DATABASE_URI": urls[None], "SQLALCHEMY_BINDS_QUEUE": urls["queue"]}
    processes = multiprocessing.get_context("spawn")
    everybody = processes.Barrier(4, timeout=60)
    upgrades = [processes.Process(target=upgrade_with_the_others, args=(config, everybody)) for _ in range(4)]
    for process in upgrades:
        process.start()
    for process in upgrades:
        process.join()
    assert [process.exitcode for process in upgrades] == [0, 0, 0, 0]
    assert empty_site.tables(None) == OWN_TABLES


@pytest.mark.parametrize("folder", ["migrations", "migrations_queue"])
def test_with_d_a_command_works_on_that_folder_alone(sqlite_site: Site, folder: str) -> None:
    sqlite_site.run("db", "-d", folder, "upgrade")
    assert bool(sqlite_site.tables(None)) == (folder == "migrations")
    assert bool(sqlite_site.tables("queue")) == (folder == "migrations_queue")


def test_d_may_also_follow_the_command(sqlite_site: Site) -> None:
    sqlite_site.run("db", "upgrade", "-d", "migrations_queue")
    assert not sqlite_site.tables(None)
    assert sqlite_site.tables("queue")


def test_the_folders_are_found_from_everywhere(sqlite_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sqlite_site.run("db", "upgrade")
    sqlite_site.run("db", "-d", "migrations_queue", "check")


@pytest.mark.parametrize("command", ["current", "heads", "history"])
def test_commands_that_show_something_name_the_folder_above_it(sqlite_site: Site, command: str) -> None:
    sqlite_site.run("db", "upgrade")
    output = sqlite_site.run("db", command)
    assert output.index("migrations:") < output.index("a446240c8d92") < output.index("migrations_queue:")


def test_check_looks_at_both_and_fails_when_one_of_them_is_behind(sqlite_site: Site) -> None:
    sqlite_site.run("db", "-d", "migrations_queue", "upgrade")
    result = sqlite_site.flask("db", "check")
    assert result.exit_code == 1
    assert "No new upgrade operations detected." in result.output  # of the second, though the first has failed


def test_a_failed_upgrade_of_the_first_leaves_the_second_alone(sqlite_site: Site) -> None:
    with sqlite_site.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE users (id INTEGER)"))
    assert sqlite_site.flask("db", "upgrade").exit_code != 0
    assert not sqlite_site.tables("queue")


def test_a_named_revision_goes_to_the_folder_that_has_it(sqlite_site: Site) -> None:
    sqlite_site.run("db", "upgrade", "a446240c8d92")
    assert sqlite_site.tables(None) == OWN_TABLES
    assert not sqlite_site.tables("queue")


def test_stamp_writes_down_both_versions_without_making_tables(sqlite_site: Site) -> None:
    sqlite_site.run("db", "stamp", "head")
    assert sqlite_site.tables(None) == {"alembic_version"}
    assert len(sqlite_site.tables("queue")) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["upgrade", "nonsense"], "Neither migrations nor migrations_queue has a revision 'nonsense'."),
        (["upgrade", "--sql"], "Say which: -d migrations or -d migrations_queue."),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(sqlite_site: Site, arguments: list[str], sentence: str) -> None:
    result = sqlite_site.flask("db", *arguments)
    assert result.exit_code == 2
    assert sentence in result.output


@pytest.fixture
def half_away(make_app: Callable[..., Flask]) -> Site:
    """An application whose primary database does not answer."""
    return Site(make_app(SQLALCHEMY_DATABASE_URI="postgresql+psycopg://nobody@127.0.0.1:1/nothing"))


def test_a_database_that_is_away_is_one_sentence(half_away: Site) -> None:
    result = half_away.flask("db", "upgrade")
    assert result.exit_code == 1
    [error] = [line for line in result.output.splitlines() if line.startswith("Error")]
    assert error.startswith("Error: migrations: The database says: connection failed")
    assert error.endswith("It is the one of SQLALCHEMY_DATABASE_URI, or of SQLALCHEMY_BINDS_QUEUE.")
    assert not half_away.tables("queue")


def test_check_looks_at_the_queues_database_though_the_other_is_away(half_away: Site) -> None:
    half_away.run("db", "-d", "migrations_queue", "upgrade")
    result = half_away.flask("db", "check")
    assert result.exit_code == 1
    assert "No new upgrade operations detected." in result.output


def test_tables_that_were_made_without_migrations_are_told_from_others(sqlite_site: Site) -> None:
    with sqlite_site.app.app_context():
        db.create_all()
    result = sqlite_site.flask("db", "upgrade")
    assert result.exit_code == 1
    assert "already exists. If db.create_all() made the tables, say so once: flask db stamp head" in result.output
    sqlite_site.run("db", "stamp", "head")
    sqlite_site.run("db", "check")


def test_tables_of_litestream_and_of_the_queue_are_left_alone(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    site = Site(make_app(QUEUE_BIND_KEY=None))
    site.run("db", "upgrade")
    with site.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE _litestream_seq (id INTEGER)"))
    assert site.tables(None) > OWN_TABLES
    assert site.run("db", "check").count("No new upgrade operations detected.") == 2
    site.run("db", "downgrade", "base")
    site.run("db", "upgrade")


REBUILD = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "b1", "a446240c8d92", None, None


def upgrade():
    with op.batch_alter_table("posts", recreate="always") as batch:
        batch.alter_column("title", type_=sa.String(300))


def downgrade():
    pass
"""


def test_rebuilding_a_table_on_sqlite_keeps_the_rows_that_refer_to_it(sqlite_site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", folder)
    (folder / "versions" / "rebuild.py").write_text(REBUILD)
    sqlite_site.run("db", "-d", str(folder), "upgrade", "a446240c8d92")
    sqlite_site.run("seed", "--users", "2", "--posts", "3", "--comments", "4")
    sqlite_site.run("db", "-d", str(folder), "upgrade")
    with sqlite_site.app.app_context(), db.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM comments")).scalar() == 4
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_flask_migrates_own_group_stays_as_it_is(sqlite_site: Site) -> None:
    from flask_migrate.cli import db as theirs

    ours = sqlite_site.app.cli.commands["db"]
    assert ours is not theirs
    assert theirs.commands["upgrade"] is not ours.commands["upgrade"]  # type: ignore[attr-defined]
    assert ours.commands["merge"] is theirs.commands["merge"]  # type: ignore[attr-defined]


def test_the_folders_are_those_of_the_project() -> None:
    assert [folder.is_dir() for folder in migrations.FOLDERS] == [True, True]


def test_the_revision_makes_what_the_models_say_on_each_database(empty_site: Site, primary_url: str) -> None:
    """`check` compares less than this: constraints by name, and what happens to the rows that refer to a row."""
    empty_site.run("db", "-d", "migrations", "upgrade")
    engine = create_engine(primary_url)
    inspector = inspect(engine)
    for table in (db.metadata.tables[name] for name in OWN_TABLES - {"alembic_version"}):
        made = {constraint["name"] for constraint in inspector.get_check_constraints(table.name)}
        assert {str(c.name) for c in table.constraints if c.__visit_name__ == "check_constraint"} <= made
        for key in inspector.get_foreign_keys(table.name):
            assert key["options"].get("ondelete") == "CASCADE"
    engine.dispose()
