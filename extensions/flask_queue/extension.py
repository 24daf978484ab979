"""`FlaskQueue`: what an application creates and calls. Wiring only; the work is done below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from . import config, models
from .cli import make_cli, only_watches_files, setup_errors_shown
from .client import Client, JobHandle, Jobs, ProcessRecord, Queues, RecurringTaskHandle, RecurringTasks, list_processes
from .client.clearing import clear_finished
from .client.health import Note, problems
from .config import Configuration, Settings
from .dashboard import create_blueprint
from .database import Database
from .errors import AlreadyInitialized, ConfigurationError, MissingTables
from .jobs import arguments
from .jobs.definition import JobDefinition
from .jobs.schedules import Schedule
from .log import LogSubscriber, to_standard_output
from .processes.drain import drain
from .processes.runtime import Runtime
from .registry import Registry
from .setup import AppState, current_state, make_runtime, make_state, pool_size
from .supervisors.web import beside

#: The job that every queue has: `flask_queue.clear_finished_jobs` in config/recurring.yml.
CLEAR_FINISHED_JOBS = "flask_queue.clear_finished_jobs"


class FlaskQueue(Registry):
    """Background jobs in the application's own SQL database.

    Jobs and hooks are registered on the extension; everything else belongs to the application of the current context.
    """

    def __init__(self, app: Flask | None = None, db: SQLAlchemy | None = None) -> None:
        super().__init__()
        self._states: WeakKeyDictionary[Flask, AppState] = WeakKeyDictionary()
        self.job(name=CLEAR_FINISHED_JOBS)(self._clear_finished_jobs)
        self.events.subscribe(LogSubscriber())
        if app is not None:
            if db is None:
                raise ConfigurationError("FlaskQueue(app): pass the Flask-SQLAlchemy extension too: FlaskQueue(app, db).")
            self.init_app(app, db)

    def init_app(self, app: Flask, db: SQLAlchemy) -> None:
        """Give `app` this queue: the tables, the `flask queue` commands, and the dashboard at `QUEUE_URL_PREFIX`.

        :param db: the application's Flask-SQLAlchemy extension, with `db.init_app(app)` called already.
        :raises ConfigurationError: naming every `QUEUE_…` setting that is wrong.
        :raises AlreadyInitialized: when the application has a queue.
        """
        if "queue" in app.extensions:
            raise AlreadyInitialized
        with setup_errors_shown():
            state = make_state(self, app, db)
        self._states[app] = state
        app.extensions["queue"] = self
        app.cli.add_command(make_cli())
        app.register_blueprint(create_blueprint(state.client.settings.url_prefix))

    # --- enqueuing --------------------------------------------------------------------------------

    def publish(self, handle: JobHandle) -> JobHandle:
        """Enqueue a prepared call. One that is in the queue already is left as it is.

        :raises ArgumentError: when an argument cannot travel.
        :raises ConcurrencyKeyError: when the key function raises.
        :raises EnqueueError: when the database refuses.
        """
        return self.client.publish(handle)

    def enqueue_all(self, handles: Iterable[JobHandle]) -> int:
        """Enqueue calls made with `build`, one handle for each job, in one transaction, all or none.

        :return: how many were enqueued; each handle has its id afterwards, or None where a concurrency rule discarded it.
        :raises QueueError: what `enqueue` raises, for any of them; or an `EnqueueError` when one is given twice.
        """
        return self.client.enqueue_all(handles)

    # --- the queue of the current application -----------------------------------------------------

    @property
    def _state(self) -> AppState:
        return current_state(self._states)

    @property
    def client(self) -> Client:
        """Everything that belongs to the current application's queue. All that follows asks for it.

        :raises NoApplication: outside of an application's context.
        :raises NotInitialized: when the application has no queue.
        """
        return self._state.client

    @property
    def settings(self) -> Settings:
        """The `QUEUE_…` settings."""
        return self.client.settings

    @property
    def database(self) -> Database:
        """The queue's database."""
        return self.client.database

    @property
    def jobs(self) -> Jobs:
        """Jobs by state, and by id."""
        return Jobs(self.client)

    @property
    def queues(self) -> Queues:
        """Queues by name."""
        return Queues(self.client)

    @property
    def processes(self) -> list[ProcessRecord]:
        """The registered processes."""
        return list_processes(self.client)

    @property
    def recurring_tasks(self) -> RecurringTasks:
        """Recurring tasks by key."""
        return RecurringTasks(self.client)

    def schedule_recurring_task(
        self,
        key: str,
        *,
        job: str | JobDefinition[Any, Any],
        schedule: str,
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
        queue: str | None = None,
        priority: int | None = None,
        description: str | None = None,
        time_zone: str | None = None,
        catch_up: timedelta | float = 0,
    ) -> RecurringTaskHandle:
        """Add a recurring task at run time. Schedulers with `dynamic_tasks_enabled` pick it up within their polling interval.

        :param key: names the task.
        :param job: a registered job, or its name.
        :param schedule: cron, or a phrase such as "every 10 minutes" or "every day at 9am Europe/Berlin".
        :param args: the job's arguments: a list or tuple of them, or the only one; None is none.
        :param kwargs: its arguments by name.
        :param catch_up: ticks missed during an outage are made up for when they are no older (60 days at most); 0 skips them.
        :raises RecurringTaskExists: when the key is taken.
        :raises UnknownJobError: when no such job is registered.
        :raises ArgumentError: when an argument cannot travel, or the job does not take it.
        :raises InvalidScheduleError: when the schedule is not understood.
        :raises ConfigurationError: for an option that no task can have.
        """
        return self.recurring_tasks.schedule(
            key,
            job=job,
            schedule=schedule,
            args=args,
            kwargs=kwargs,
            queue=queue,
            priority=priority,
            description=description,
            time_zone=time_zone,
            catch_up=catch_up,
        )

    def unschedule_recurring_task(self, key: str) -> None:
        """Remove a task that was added at run time.

        :raises RecurringTaskNotFound: when there is none, or it comes from the configuration.
        """
        self.recurring_tasks.unschedule(key)

    def clear_finished(
        self,
        older_than: timedelta | float | None = None,
        *,
        name: str | None = None,
        batch_size: int = 500,
        pause: float = 0.0,
    ) -> int:
        """Delete jobs that finished long enough ago.

        :param older_than: for how long at least: a timedelta or seconds; by default `QUEUE_CLEAR_FINISHED_JOBS_AFTER`.
        :param name: jobs of this name only.
        :param batch_size: rows of one transaction, at least 1.
        :param pause: seconds between two transactions.
        :return: how many were deleted.
        :raises ConfigurationError: for an age, a pause or a batch size that cannot be; nothing is deleted.
        """
        return clear_finished(self.client, older_than, name=name, batch_size=batch_size, pause=pause)

    def _clear_finished_jobs(self) -> None:
        """Delete what finished longer ago than `QUEUE_CLEAR_FINISHED_JOBS_AFTER`; meant for config/recurring.yml."""
        self.clear_finished(pause=0.3)

    def describe_arguments(self, text: str, job_name: str = "") -> str:
        """A job's stored arguments for people to read, with what `QUEUE_FILTER_ARGUMENTS` names hidden.

        :param job_name: their job, which says what positional ones are called; of an unknown one those are shown.
        """
        return self.client.describe_arguments(text, job_name)

    def work(self, *, limit: int | None = None, queues: Sequence[str] = ("*",)) -> int:
        """Run what is due until nothing is left, in this process; what `flask queue work` does.

        :return: how many jobs were run.
        :raises sqlalchemy.exc.SQLAlchemyError: when the database refuses, or stays away after a job for a minute.
        """
        return drain(self.runtime(), limit=limit, queues=queues)

    # --- configuration and health -----------------------------------------------------------------

    def configuration(
        self,
        *,
        only: Literal["work", "dispatch", "schedule"] | None = None,
        config_file: str | Path | None = None,
        recurring_file: str | Path | None = None,
        skip_recurring: bool | None = None,
    ) -> Configuration:
        """What to run, from `config/queue.yml` and `config/recurring.yml`. Needs no database; look at its `problems`."""
        return config.load(
            self.settings,
            known_job=lambda name: self.find_definition(name) is not None,
            check_schedule=Schedule.parse,
            check_arguments=arguments.encode,
            check_call=self.check_call,
            only=only,
            config_file=config_file,
            recurring_file=recurring_file,
            skip_recurring=skip_recurring,
            pool_size=pool_size(self.database),
        )

    def check_tables(self) -> None:
        """:raises MissingTables: when the queue's tables are not there."""
        if not self.database.has_tables([table.name for table in models.metadata.sorted_tables]):
            raise MissingTables

    def health(self) -> list[str]:
        """What is wrong with the queue, in sentences; nothing when it is healthy."""
        return problems(self.client, self._state.health_checks)

    def health_check(self, name: str, check: Callable[[], Iterable[str]]) -> None:
        """Have `check`, called in an application's context, add its problems to `health`. For applications that exist now."""
        for state in self._states.values():
            state.health_checks[name] = check

    def overview_note(self, label: str, note: Callable[[], Iterable[tuple[str, str, bool]]], url: str | None = None) -> None:
        """Show something of another extension on the dashboard's overview: `note` gives (label, value, whether it is fine).

        :param url: where there is more. A path such as "/backups" is one of the application's, wherever that is mounted.
        """
        for state in self._states.values():
            state.notes[label] = Note(label, note, url)

    def overview_notes(self) -> list[Note]:
        """What other extensions show on the overview."""
        return list(self._state.notes.values())

    # --- processes --------------------------------------------------------------------------------

    def runtime(self) -> Runtime:
        """What the processes of the current application's queue are handed."""
        return make_runtime(self, self._state)

    @contextmanager
    def in_web(self, app: Flask, *, mode: Literal["fork", "thread"] | None = None) -> Iterator[None]:
        """Run the queue's processes beside a web server for the length of the block, where `QUEUE_IN_WEB` is true.

        Enter it in the main thread of the server's program, before it starts others. The two live and die together: when the
        supervisor ends, the program gets SIGTERM. Of several servers on one host, or a reloader and its child, one runs it.

        :raises ConfigurationError: for an invalid configuration, before anything was started.
        :raises MissingTables: when the queue's tables are not there.
        :raises SupervisorEnded: at the end of the block, when the supervisor was killed or failed.
        """
        with app.app_context():
            if not self.settings.in_web or only_watches_files():
                runtime = None
            else:
                runtime, configuration = self.runtime(), self.configuration()
                self.check_tables()
        if runtime is None:
            yield
            return
        if configuration.problems:
            raise ConfigurationError(problems=configuration.problems)
        to_standard_output()
        with beside(runtime, configuration, mode=mode):
            yield
