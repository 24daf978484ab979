"""The queue's migrations: up, down and up again on every database, and the same tables as `db.create_all()` makes."""

from __future__ import annotations

import filecmp
import logging
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import Migrate, check, downgrade, migrate, upgrade
from flask_sqlalchemy import SQLAlchemy

import flask_queue
from flask_queue import models

from ..harness.databases import connect

ROOT = Path(__file__).parents[2]
MIGRATIONS = ROOT / "migrations_queue"
INSTALLED = Path(flask_queue.__file__).parent / "install" / "migrations_queue"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Alembic's configuration file sets up logging for a program of its own."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def app_config(empty_database_url: str, tmp_path: Path) -> dict[str, Any]:
    return {
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'primary.sqlite3'}",
        "SQLALCHEMY_BINDS": {"queue": empty_database_url},
        "QUEUE_CONFIG_FILE": None,
        "QUEUE_RECURRING_FILE": None,
    }


@pytest.fixture
def migrating_app(make_app: Callable[..., Flask], db: SQLAlchemy) -> Iterator[Flask]:
    """An application as a stranger has it: with `Migrate(app, db)` and nothing more."""
    app = make_app()
    Migrate(app, db)
    with app.app_context():
        yield app


def tables_of(url: str) -> set[str]:
    with connect(url) as connection:
        return set(sa.inspect(connection).get_table_names())


def up(revision: str = "head") -> None:
    upgrade(str(MIGRATIONS), revision)


def down(revision: str = "base") -> None:
    downgrade(str(MIGRATIONS), revision)


def test_up_and_down_to_base_and_up_again(migrating_app: Flask, empty_database_url: str) -> None:
    ours = {*models.metadata.tables, "queue_alembic_version"}
    up()
    assert tables_of(empty_database_url) == ours
    down()
    assert tables_of(empty_database_url) == {"queue_alembic_version"}
    up()
    assert tables_of(empty_database_url) == ours


def upgrade_with_the_others(url: str, everybody: Barrier) -> None:
    """In a process of its own, as Alembic is set up for one upgrade in each."""
    app = Flask("deployed")
    app.config |= {"SQLALCHEMY_DATABASE_URI": "sqlite://", "SQLALCHEMY_BINDS": {"queue": url}}
    db = SQLAlchemy(app)
    flask_queue.FlaskQueue(app, db)
    Migrate(app, db)
    with app.app_context():
        everybody.wait()
        up()


def test_several_machines_may_upgrade_at_once(empty_database_url: str) -> None:
    processes = multiprocessing.get_context("spawn")
    everybody = processes.Barrier(4, timeout=60)
    upgrades = [processes.Process(target=upgrade_with_the_others, args=(empty_database_url, everybody)) for _ in range(4)]
    for process in upgrades:
        process.start()
    for process in upgrades:
        process.join()
    assert [process.exitcode for process in upgrades] == [0, 0, 0, 0]
    assert tables_of(empty_database_url) == {*models.metadata.tables, "queue_alembic_version"}


NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    pass
"""


def up_to_next(folder: Path, statements: str) -> None:
    """Run an upgrade that somebody may write one day."""
    copy = shutil.copytree(MIGRATIONS, folder / "migrations_queue", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "versions" / "0002_next.py").write_text(NEXT_REVISION.format(upgrade=statements))
    upgrade(str(copy))


@pytest.mark.databases("sqlite", "postgresql")
def test_an_upgrade_that_fails_halfway_changes_nothing(migrating_app: Flask, empty_database_url: str, tmp_path: Path) -> None:
    up()
    with pytest.raises(ZeroDivisionError):
        up_to_next(tmp_path, 'op.create_table("queue_extra", sa.Column("id", sa.Integer)); 1 / 0')
    assert "queue_extra" not in tables_of(empty_database_url)


@pytest.mark.databases("sqlite")
def test_an_upgrade_that_copies_a_table_keeps_what_refers_to_it(
    migrating_app: Flask, queue: Any, empty_database_url: str, tmp_path: Path
) -> None:
    @queue.job(name="fails")
    def fails() -> None:
        raise ZeroDivisionError

    up()
    fails.enqueue()
    queue.work()
    up_to_next(tmp_path, 'with op.batch_alter_table("queue_jobs", recreate="always"): pass')
    with connect(empty_database_url) as connection:
        assert len(connection.execute(sa.select(models.attempts)).all()) == 1
    with migrating_app.extensions["sqlalchemy"].engines["queue"].connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


def test_nothing_is_left_to_migrate(migrating_app: Flask) -> None:
    up()
    check(str(MIGRATIONS))


def test_a_difference_is_found(migrating_app: Flask, empty_database_url: str) -> None:
    up()
    with connect(empty_database_url) as connection:
        connection.execute(sa.text("ALTER TABLE queue_pauses ADD COLUMN strange INTEGER"))
    with pytest.raises(SystemExit):
        check(str(MIGRATIONS))


def test_the_migrations_make_what_create_all_makes(
    migrating_app: Flask, db: SQLAlchemy, empty_database_url: str, database_name: str
) -> None:
    up()
    migrated = description_of(empty_database_url, database_name)
    down()
    db.create_all("queue")
    created = description_of(empty_database_url, database_name)
    assert created == migrated
    assert len(created) > 20


def test_jobs_enqueued_before_a_second_upgrade_are_kept(migrating_app: Flask, queue: Any) -> None:
    @queue.job(name="kept")
    def kept() -> None: ...

    up()
    handle = kept.enqueue()
    up()
    assert queue.jobs.get(handle.id).status == "ready"


def test_the_queue_shares_the_primary_database_without_touching_anything_there(
    make_app: Callable[..., Flask], db: SQLAlchemy, empty_database_url: str
) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=empty_database_url, SQLALCHEMY_BINDS={}, QUEUE_BIND_KEY=None)
    Migrate(app, db)
    tickets = sa.Table("queue_tickets", db.metadata, sa.Column("id", sa.Integer, primary_key=True))
    with app.app_context():
        with db.engine.begin() as connection:
            tickets.create(connection)
            connection.execute(tickets.insert().values(id=7))
            connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            connection.execute(sa.text("INSERT INTO alembic_version VALUES ('of the application')"))
        up()
        check(str(MIGRATIONS))
        down()
        up()
        with db.engine.connect() as connection:
            assert connection.execute(sa.select(tickets.c.id)).scalars().all() == [7]
            assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [
                "of the application"
            ]
    assert {"queue_tickets", "queue_jobs", "queue_alembic_version"} <= tables_of(empty_database_url)


def test_the_applications_own_autogenerate_leaves_the_queues_version_table_alone(
    make_app: Callable[..., Flask], db: SQLAlchemy, empty_database_url: str
) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=empty_database_url, SQLALCHEMY_BINDS={}, QUEUE_BIND_KEY=None)
    with app.app_context():
        Migrate(app, db)
        up()
        with db.engine.connect() as connection:
            differences = compare_metadata(MigrationContext.configure(connection), db.metadata)
    assert differences == []


@pytest.mark.databases("postgresql")
def test_on_postgresql_the_jobs_table_is_vacuumed_early(migrating_app: Flask, empty_database_url: str) -> None:
    up()
    with connect(empty_database_url) as connection:
        options = connection.execute(sa.text("SELECT reloptions FROM pg_class WHERE relname = 'queue_jobs'")).scalar_one()
    assert set(options) == {
        "fillfactor=80",
        "autovacuum_vacuum_scale_factor=0.01",
        "autovacuum_vacuum_threshold=1000",
        "autovacuum_analyze_scale_factor=0.05",
    }


def test_statements_can_be_printed_for_somebody_else_to_run(migrating_app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    upgrade(str(MIGRATIONS), "head", sql=True)
    printed = capsys.readouterr().out
    assert "CREATE TABLE queue_jobs" in printed
    assert "INSERT INTO queue_alembic_version (version_num) VALUES ('0001')" in printed


def test_tables_that_create_all_made_are_told_with_what_to_do(
    migrating_app: Flask, db: SQLAlchemy, capsys: pytest.CaptureFixture[str]
) -> None:
    db.create_all("queue")
    with pytest.raises(SystemExit):
        up()
    said = capsys.readouterr().err
    assert "flask db -d migrations_queue stamp head" in said
    assert "Traceback" not in said


@pytest.mark.databases("sqlite")
def test_a_revision_without_changes_is_not_written(migrating_app: Flask, tmp_path: Path) -> None:
    copy = shutil.copytree(MIGRATIONS, tmp_path / "migrations_queue", ignore=shutil.ignore_patterns("__pycache__"))
    upgrade(str(copy))
    migrate(str(copy), "nothing")
    assert [file.name for file in (copy / "versions").glob("*.py")] == ["0001_create_the_queue.py"]


@pytest.mark.databases("sqlite")
def test_an_application_without_a_queue_is_told(empty_database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    app = Flask("without_queue")
    app.config["SQLALCHEMY_DATABASE_URI"] = empty_database_url
    db = SQLAlchemy(app)
    Migrate(app, db)
    with app.app_context(), pytest.raises(SystemExit):
        up()
    assert "This application has no queue" in capsys.readouterr().err


def test_a_database_that_does_not_answer_is_one_sentence(
    make_app: Callable[..., Flask], db: SQLAlchemy, capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app(SQLALCHEMY_BINDS={"queue": "sqlite:////nowhere/at/all.sqlite3"})
    Migrate(app, db)
    with app.app_context(), pytest.raises(SystemExit):
        up()
    said = capsys.readouterr().err
    assert "sqlite:////nowhere/at/all.sqlite3 says: unable to open database file." in said
    assert "Traceback" not in said


def test_the_projects_own_migrations_are_those_that_install_writes() -> None:
    names = sorted(str(file.relative_to(INSTALLED)) for file in files_below(INSTALLED))
    assert sorted(str(file.relative_to(MIGRATIONS)) for file in files_below(MIGRATIONS)) == names
    assert filecmp.cmpfiles(INSTALLED, MIGRATIONS, names, shallow=False) == (names, [], [])


def files_below(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]


# --- a database's own words for what is in it -----------------------------------------------------

_SQLITE = "SELECT name, sql FROM sqlite_master WHERE name LIKE '%queue%' AND name NOT LIKE '%alembic%'"
_POSTGRESQL = (
    "SELECT 'column ' || table_name || '.' || column_name, concat_ws(' ', data_type, character_maximum_length, is_nullable,"
    " column_default) FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'queue_alembic_version'",
    "SELECT 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE '%alembic%'",
    "SELECT 'constraint ' || conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
    " AND conname NOT LIKE '%alembic%'",
    "SELECT 'options ' || relname, reloptions::text FROM pg_class WHERE relname LIKE 'queue%' AND relkind = 'r'"
    " AND relname NOT LIKE '%alembic%'",
)


def description_of(url: str, database_name: str) -> set[tuple[str, str]]:
    with connect(url) as connection:
        if database_name == "sqlite":
            found = [normalised(row) for row in connection.execute(sa.text(_SQLITE))]
        elif database_name == "postgresql":
            found = [(row[0], str(row[1])) for query in _POSTGRESQL for row in connection.execute(sa.text(query))]
        else:
            names = [name for name in sa.inspect(connection).get_table_names() if name in models.metadata.tables]
            shown = [connection.execute(sa.text(f"SHOW CREATE TABLE {name}")).one() for name in names]
            found = [(name, line.strip(" ,")) for name, statement in shown for line in statement.splitlines()]
    return set(found)


def normalised(row: Any) -> tuple[str, str]:
    """Parts of a statement in an order of their own: constraints may stand in another one."""
    name, statement = row
    parts = sorted(part.strip() for part in (statement or "").replace("\n", " ").replace("\t", " ").split(","))
    return name, ", ".join(" ".join(part.split()) for part in parts)


@pytest.mark.databases("mariadb")
@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_tables_are_told_what_they_need_by_either_name_of_the_database(
    make_app: Callable[..., Flask], db: SQLAlchemy, empty_database_url: str, name: str
) -> None:
    """MariaDB's address may begin with `mysql+` or with `mariadb+`, which are two dialects to SQLAlchemy."""
    url = sa.make_url(empty_database_url).set(drivername=f"{name}+pymysql").render_as_string(hide_password=False)
    with make_app(SQLALCHEMY_BINDS={"queue": url}).app_context():
        db.create_all()
        with db.engines["queue"].connect() as connection:
            assert connection.dialect.name == name
            found = connection.execute(
                sa.text("SELECT table_name, table_collation FROM information_schema.tables WHERE table_schema = DATABASE()")
            )
            assert {table for table, collation in found if collation == "utf8mb4_bin"} == set(models.metadata.tables)
