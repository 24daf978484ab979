"""The group that all commands are in, and what it does about errors: a person's mistake is one sentence and exit status 1.

Whatever else is raised is a mistake of ours, and keeps its traceback.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.utils import import_string

from ..database import is_missing_column, is_missing_table, is_outage, is_transient
from ..errors import ConfigurationError, EnqueueError, MissingTables, QueueError


class LateCommands(UserDict[str, Any]):
    """Commands by their names, given as what to import for each, such as "package.module.function".

    Each is imported when somebody asks for it: a process that serves pages never does, and one that runs jobs needs but one.
    """

    def __getitem__(self, name: str) -> Any:
        command = super().__getitem__(name)
        if isinstance(command, str):
            command = self.data[name] = import_string(command)
        return command


class QueueGroup(AppGroup):
    """Commands in the context of the application. In `--help` they stand in the order in which they were added."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EnqueueError as error:
            raise click.ClickException(_of_database(error.__cause__) or _one_line(error)) from error
        except QueueError as error:
            raise click.ClickException(str(error)) from error
        except (DBAPIError, PoolTimeoutError) as error:
            if sentence := _of_database(error):
                raise click.ClickException(sentence) from error
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


#: What SQLite says of a file that is there, and of no use.
_TROUBLE_OF_FILES = ("disk is full", "file is not a database", "disk image is malformed")


class SetupError(ConfigurationError, click.ClickException):
    """An application cannot be made with these settings; `flask` shows the sentence alone, whatever the command."""

    def __init__(self, error: ConfigurationError) -> None:
        super().__init__(str(error), error.problems)


@contextmanager
def setup_errors_shown() -> Iterator[None]:
    """Let a wrong setting end a command with a sentence. The `queue` group cannot, for its application is not there yet."""
    try:
        yield
    except ConfigurationError as error:
        raise SetupError(error) from error


def _of_database(error: BaseException | None) -> str | None:
    """What to do about a database that does not do as it is told; None if that is nobody's mistake but ours."""
    if error is None:
        return None
    if is_missing_table(error):
        return str(MissingTables())
    said = _one_line(getattr(error, "orig", None) or error).rstrip(".")
    if is_missing_column(error):
        return (
            f"The queue's tables are not those of this version: {said}. Run `flask queue install --update` and "
            "`flask db -d migrations_queue upgrade`."
        )
    if is_transient(error) or any(trouble in said for trouble in _TROUBLE_OF_FILES):
        return f"The queue's database says: {said}."
    if is_outage(error) or isinstance(error, PoolTimeoutError):
        return (
            f"The queue's database does not answer: {said}. Is it running, and are SQLALCHEMY_BINDS and QUEUE_BIND_KEY right?"
        )
    return None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
