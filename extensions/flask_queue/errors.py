"""Every error that Flask-Queue raises on purpose. The docstring of a class is its default message."""

from __future__ import annotations


class QueueError(Exception):
    """Flask-Queue could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


# --- setting up -----------------------------------------------------------------------------------


class ConfigurationError(QueueError):
    """The configuration of the queue is invalid. Run `flask queue check` to see every problem."""

    def __init__(self, message: str | None = None, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message or ("\n".join(problems) if problems else None))
        self.problems = problems or ((message,) if message else ())


class AlreadyInitialized(QueueError):
    """This application already has a queue. Import that instance instead of making another."""


class NotInitialized(QueueError):
    """This application has no queue. Call `queue.init_app(app, db)` in its factory."""


class NoApplication(QueueError):
    """The queue was used outside an application. Do it inside `with app.app_context():` or during a request."""


class MissingTables(QueueError):
    """The queue's tables are missing. Run `flask db upgrade`, or `flask db -d migrations_queue upgrade` for them alone; where
    there is no folder migrations_queue yet, `flask queue install` before.
    """


class AlreadyRunning(QueueError):
    """A supervisor is already running."""


class SupervisorEnded(QueueError):
    """The queue's supervisor beside this web server was killed or failed, so that the server ends too."""


# --- enqueuing ------------------------------------------------------------------------------------


class EnqueueError(QueueError):
    """The job could not be enqueued; nothing was written."""


class ArgumentError(QueueError):
    """An argument of the job cannot travel through the database."""


class ConcurrencyKeyError(QueueError):
    """The key function of a job's `concurrency` raised an error; nothing was enqueued."""


class InvalidScheduleError(QueueError):
    """Schedule is not a supported recurring schedule."""


# --- running --------------------------------------------------------------------------------------


class UnknownJobError(QueueError):
    """No job of this name is registered. If it was not renamed or removed, import its module in the application's factory."""


class DeserializationError(QueueError):
    """The job's arguments cannot be read back."""


class JobTimeoutError(QueueError):
    """The job ran longer than its `timeout` and was interrupted."""


class ProcessExitError(QueueError):
    """The process that was running this job exited."""


class ProcessPrunedError(QueueError):
    """The process that was running this job was found dead and pruned."""


class ProcessMissingError(QueueError):
    """The process that was running this job no longer exists, or no longer knows of it."""


# --- acting on jobs, queues and recurring tasks ---------------------------------------------------


class InvalidTransition(QueueError):
    """The job is not in a state that allows this; nothing was changed."""


class RecurringTaskExists(QueueError):
    """There is already a recurring task with this key."""


class RecurringTaskNotFound(QueueError):
    """There is no dynamic recurring task with this key."""
