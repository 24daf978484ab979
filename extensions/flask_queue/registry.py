"""What is registered on a `FlaskQueue` before there is an application: jobs, and hooks in the lives of processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, ParamSpec, TypeVar, overload

from .client import JobHandle
from .errors import ArgumentError
from .events import Events, HookPoint, Hooks
from .jobs.concurrency import Concurrency
from .jobs.definition import (
    DEFAULT_PRIORITY,
    DEFAULT_QUEUE,
    CallOptions,
    Definitions,
    JobDefinition,
    JobRules,
    as_tuple,
    check_commit,
    priority_number,
    queue_name,
)
from .jobs.functions import complaint_of_call
from .jobs.retries import Retry

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Registry:
    """Jobs by name, events and hooks. Nothing here belongs to one application."""

    #: Makes the handle of a call that is not enqueued yet.
    prepare = JobHandle

    def __init__(self) -> None:
        #: The registered jobs by name.
        self.definitions = Definitions()
        #: Named events of the machinery; see `docs/operations.md`.
        self.events = Events()
        self.hooks = Hooks()

    @overload
    def job(self, function: Callable[P, R], /) -> JobDefinition[P, R]: ...

    @overload
    def job(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: int = DEFAULT_PRIORITY,
        retry: Retry | Sequence[Retry] = (),
        discard_on: type[BaseException] | Sequence[type[BaseException]] = (),
        concurrency: Concurrency | None = None,
        timeout: float | timedelta | None = None,
        on_crash: Literal["fail", "retry", "discard"] = "fail",
        after_commit: bool | None = None,
        transactional: bool = False,
    ) -> Callable[[Callable[P, R]], JobDefinition[P, R]]: ...

    def job(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: int = DEFAULT_PRIORITY,
        retry: Retry | Sequence[Retry] = (),
        discard_on: type[BaseException] | Sequence[type[BaseException]] = (),
        concurrency: Concurrency | None = None,
        timeout: float | timedelta | None = None,
        on_crash: Literal["fail", "retry", "discard"] = "fail",
        after_commit: bool | None = None,
        transactional: bool = False,
    ) -> Any:
        """Make a function a job: `@queue.job`, or `@queue.job(queue="mailers", …)`. It can still be called as before.

        :param name: how the job is called in the database; by default module and qualified name. Keep it when you rename.
        :param queue: the queue that its jobs go to.
        :param priority: smaller runs first; a 32-bit integer.
        :param retry: which errors lead to another attempt, how often and when; of several rules the first that matches wins.
        :param discard_on: errors that end the job without a failure.
        :param concurrency: how many jobs with the same key run at once.
        :param timeout: seconds, or a timedelta, after which a run is interrupted and failed with `JobTimeoutError`.
        :param on_crash: what becomes of the job when its process dies: "fail" it, "retry" it (no more than three times), or
            "discard" it.
        :param after_commit: enqueue when the current transaction of `db.session` commits; by default `QUEUE_AFTER_COMMIT`.
        :param transactional: insert through `db.session`'s own connection; needs `QUEUE_BIND_KEY = None`.
        :raises ConfigurationError: for an option that no job can have, or a name that is taken.
        """
        rules = JobRules(
            retry=as_tuple(retry),
            discard_on=as_tuple(discard_on),
            concurrency=concurrency,
            timeout=timeout.total_seconds() if isinstance(timeout, timedelta) else timeout,
            on_crash=on_crash,
        )
        check_commit(after_commit, transactional)
        options = CallOptions(
            queue_name(queue), priority_number(priority), after_commit=after_commit, transactional=transactional
        )

        def define(function: Callable[P, R]) -> JobDefinition[P, R]:
            definition = JobDefinition(function, self, name=name, options=options, rules=rules)
            self.definitions.add(definition)
            return definition

        return define if function is None else define(function)

    def find_definition(self, name: str) -> JobDefinition[Any, Any] | None:
        """The job of a registered name or an import path."""
        return self.definitions.find(name)

    def check_call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that the job of a registered name or an import path does not take.

        :raises ArgumentError: saying what does not fit; not where that cannot be told.
        """
        definition = self.find_definition(name)
        if definition is not None and (complaint := complaint_of_call(definition.function, args, kwargs)):
            raise ArgumentError(complaint)

    def publish(self, handle: JobHandle) -> JobHandle:
        """Enqueue a prepared call."""
        raise NotImplementedError

    def on_thread_error(self, handler: F) -> F:
        """Call `handler(exception)` for every error of the machinery; never for one of a job. A decorator."""
        self.hooks.error_handlers.append(handler)
        return handler

    on_start = HookPoint("start")
    on_stop = HookPoint("stop")
    on_exit = HookPoint("exit")
    on_worker_start = HookPoint("worker_start")
    on_worker_stop = HookPoint("worker_stop")
    on_worker_exit = HookPoint("worker_exit")
    on_dispatcher_start = HookPoint("dispatcher_start")
    on_dispatcher_stop = HookPoint("dispatcher_stop")
    on_dispatcher_exit = HookPoint("dispatcher_exit")
    on_scheduler_start = HookPoint("scheduler_start")
    on_scheduler_stop = HookPoint("scheduler_stop")
    on_scheduler_exit = HookPoint("scheduler_exit")
