"""What `@queue.job` makes of a function: still callable, and able to be enqueued, now or with other options."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, TypeVar

from ..config import values
from ..errors import ConfigurationError, EnqueueError, QueueError
from .concurrency import Concurrency
from .functions import are_same, default_name, is_generator
from .retries import Retry

if TYPE_CHECKING:
    from ..client.handle import JobHandle

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_QUEUE = "default"
DEFAULT_PRIORITY = 0


class Publisher(Protocol):
    """Whoever can bring a call of a job to the queue: the extension."""

    def prepare(
        self, definition: JobDefinition[Any, Any], options: CallOptions, *, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> JobHandle: ...

    def publish(self, handle: JobHandle) -> JobHandle: ...


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How one call of a job is enqueued."""

    queue: str
    priority: int
    #: Seconds from now.
    wait: float | None = None
    at: datetime | None = None
    #: None leaves it to `QUEUE_AFTER_COMMIT`.
    after_commit: bool | None = None
    transactional: bool = False

    def changed(
        self,
        *,
        wait: timedelta | float | None = None,
        at: datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        after_commit: bool | None = None,
        transactional: bool | None = None,
    ) -> CallOptions:
        """These options with what is given in place of theirs.

        :raises EnqueueError: for a value that no job can have.
        """
        if wait is not None and at is not None:
            raise EnqueueError("using(): give either `wait` or `at`, not both.")
        check_commit(after_commit, transactional, EnqueueError)
        return CallOptions(
            queue=self.queue if queue is None else queue_name(queue, EnqueueError),
            priority=self.priority if priority is None else priority_number(priority, EnqueueError),
            wait=_seconds(wait) if wait is not None else None if at is not None else self.wait,
            at=_instant(at) if at is not None else None if wait is not None else self.at,
            after_commit=self.after_commit if after_commit is None else after_commit,
            transactional=self.transactional and not after_commit if transactional is None else transactional,
        )


@dataclass(frozen=True)
class JobRules:
    """What becomes of a job when it runs. See `FlaskQueue.job`, which documents each."""

    retry: tuple[Retry, ...] = ()
    discard_on: tuple[type[BaseException], ...] = ()
    concurrency: Concurrency | None = None
    timeout: float | None = None
    on_crash: Literal["fail", "retry", "discard"] = "fail"

    def __post_init__(self) -> None:
        if not all(isinstance(rule, Retry) for rule in self.retry):
            raise ConfigurationError(f"retry={self.retry!r}: a Retry(…), or several of them.")
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in self.discard_on):
            raise ConfigurationError(f"discard_on={self.discard_on!r}: exception classes.")
        if self.concurrency is not None and not isinstance(self.concurrency, Concurrency):
            raise ConfigurationError(f"concurrency={self.concurrency!r}: a Concurrency(…) or None.")
        if self.timeout is not None and not _is_length(self.timeout):
            raise ConfigurationError(f"timeout={self.timeout!r}: seconds, more than 0, or None.")
        if self.on_crash not in ("fail", "retry", "discard"):
            raise ConfigurationError(f'on_crash={self.on_crash!r}: allowed are "fail", "retry" and "discard".')


def _is_length(seconds: object) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < math.inf


class _Enqueueable(Generic[P, R]):
    """What a job definition and a configured call of it have in common: they can be enqueued."""

    _definition: JobDefinition[P, R]
    #: How its calls are enqueued.
    options: CallOptions

    def build(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """A handle of this call that is not enqueued yet: for `queue.enqueue_all`."""
        definition = self._definition
        return definition.publisher.prepare(definition, self.options, args=args, kwargs=kwargs)

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Put this call into the queue.

        :return: the job's handle; `handle.enqueued` is False where a concurrency rule discarded it.
        :raises ArgumentError: when an argument cannot travel; nothing is written.
        :raises ConcurrencyKeyError: when the key function raises; nothing is written.
        :raises EnqueueError: when the database refuses; nothing is written, unless its connection broke in that moment.
        """
        return self._definition.publisher.publish(self.build(*args, **kwargs))

    def using(
        self,
        *,
        wait: timedelta | float | None = None,
        at: datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        after_commit: bool | None = None,
        transactional: bool | None = None,
    ) -> ConfiguredJob[P, R]:
        """The same job with other options, for `.enqueue(…)` or `.build(…)`.

        :param wait: run it so much later: a timedelta or seconds.
        :param at: run it at this instant; naive datetimes are taken as UTC.
        :param queue: the queue's name.
        :param priority: smaller runs first; a 32-bit integer.
        :param after_commit: enqueue when the current transaction of `db.session` commits.
        :param transactional: insert through `db.session`'s own connection; needs `QUEUE_BIND_KEY = None`.
        :raises EnqueueError: for a value that no job can have.
        """
        options = self.options.changed(
            wait=wait, at=at, queue=queue, priority=priority, after_commit=after_commit, transactional=transactional
        )
        return ConfiguredJob(self._definition, options)


class ConfiguredJob(_Enqueueable[P, R]):
    """A job with options of its own, made by `using()`."""

    def __init__(self, definition: JobDefinition[P, R], options: CallOptions) -> None:
        self._definition = definition
        self.options = options

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._definition.name} {self.options}>"


class JobDefinition(_Enqueueable[P, R]):
    """A registered job. Calling it runs the function at once; `enqueue` leaves that to a worker."""

    def __init__(
        self, function: Callable[P, R], publisher: Publisher, *, name: str | None, options: CallOptions, rules: JobRules
    ) -> None:
        if not callable(function):
            raise ConfigurationError(f"@queue.job decorates functions, not {function!r}.")
        if is_generator(function):
            raise ConfigurationError(f"{default_name(function)} has a `yield`: a job that calls it would run nothing.")
        functools.update_wrapper(self, function)  # first, as it takes over whatever attributes the function has
        self.function = function
        self.publisher = publisher
        self.name = values.checked("job", default_name(function) if name is None else name, values.job_name)
        self.rules = rules
        self.is_async = inspect.iscoroutinefunction(function)
        self._definition = self
        self.options = options

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<JobDefinition {self.name}>"

    @property
    def queue(self) -> str:
        """The queue that its jobs go to unless `using` says otherwise."""
        return self.options.queue

    @property
    def priority(self) -> int:
        """The priority of its jobs unless `using` says otherwise; smaller runs first."""
        return self.options.priority


def queue_name(name: object, error: type[QueueError] = ConfigurationError) -> str:
    """`name` without surrounding spaces, if a queue can be called that."""
    return values.checked("queue", name, values.queue_name, error)


def priority_number(priority: object, error: type[QueueError] = ConfigurationError) -> int:
    """`priority`, if a job can have it."""
    return int(values.checked("priority", priority, values.priority, error))


def check_commit(after_commit: object, transactional: object, error: type[QueueError] = ConfigurationError) -> None:
    """Refuse what cannot say when a job is enqueued; None says nothing.

    :raises QueueError: an `error` that says what is allowed.
    """
    for option, given in (("after_commit", after_commit), ("transactional", transactional)):
        if given is not None:
            values.checked(option, given, values.flag, error)
    if after_commit and transactional:
        raise error(
            "Give either after_commit=True or transactional=True: a job is enqueued after the commit, or as a part of it."
        )


def _seconds(wait: object) -> float:
    seconds = wait.total_seconds() if isinstance(wait, timedelta) else wait
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) < 10**10:
        raise EnqueueError(f"wait={wait!r}: a timedelta or seconds.")
    return float(seconds)


def _instant(at: object) -> datetime:
    if not isinstance(at, datetime):
        raise EnqueueError(f"at={at!r}: a datetime; naive ones are taken as UTC.")
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError as overflow:
        raise EnqueueError(f"at={at!r}: outside the years 1 to 9999 in UTC.") from overflow


class Definitions(Mapping[str, JobDefinition[Any, Any]]):
    """The registered jobs by name. Names in the database mean nothing but these."""

    def __init__(self) -> None:
        self._by_name: dict[str, JobDefinition[Any, Any]] = {}

    def __getitem__(self, name: str) -> JobDefinition[Any, Any]:
        return self._by_name[name]

    def __iter__(self) -> Any:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def add(self, definition: JobDefinition[Any, Any]) -> None:
        """Register `definition`; the same function again (a module loaded twice) replaces it, another one is refused."""
        known = self._by_name.get(definition.name)
        named = definition.name != default_name(definition.function)
        if known is not None and not are_same(known.function, definition.function, named=named):
            raise ConfigurationError(
                f"Two jobs are called {definition.name!r}: {default_name(known.function)} and "
                f"{default_name(definition.function)}. Give one of them another `name=`, "
                "or their decorator `functools.wraps`."
            )
        self._by_name[definition.name] = definition

    def find(self, name: str) -> JobDefinition[Any, Any] | None:
        """The job registered as `name`, or else the one that an import path leads to (for names in configuration files).

        :raises ConfigurationError: when a module that is there cannot be imported.
        """
        if name in self._by_name:
            return self._by_name[name]
        module_name, _, attribute = name.rpartition(".")
        if not module_name or module_name.startswith("."):
            return None
        try:
            found = getattr(importlib.import_module(module_name), attribute, None)
        except Exception as error:
            # Another one that is not found is an import in it: the module is there, and broken.
            if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
                return None
            raise ConfigurationError(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
        return found if isinstance(found, JobDefinition) and found.name in self._by_name else self._by_name.get(name)

    def async_names(self) -> list[str]:
        """The names of the jobs that run on the event loop."""
        return [name for name, definition in self._by_name.items() if definition.is_async]


def as_tuple(value: Any) -> tuple[Any, ...]:
    """One thing or several, as a tuple; None is none."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple | list | set | frozenset) else (value,)
