"""Runs a claimed job in the application's context, and says how it ended. It touches no table of the queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple

from ..errors import JobTimeoutError, UnknownJobError
from ..globals import RunningJob, running_job
from ..jobs import arguments
from ..jobs.definition import JobDefinition, JobRules
from ..jobs.functions import complete
from ..jobs.retries import first_match
from ..operations.claim import Claim
from ..operations.failure import Failure
from .runtime import Runtime


class Interruption(KeyboardInterrupt):
    """Raised in a running job by whoever runs it and has to end at once. The job has no ending then, and is given back."""


class Outcome(Enum):
    """How a run of a job ended."""

    FINISHED = auto()
    FAILED = auto()
    RETRIED = auto()
    DISCARDED = auto()


class Ending(NamedTuple):
    """A claim and its outcome, to be written down."""

    claim: Claim
    outcome: Outcome
    failure: Failure | None = None
    #: Seconds until the next attempt.
    wait: float = 0.0


class Performer:
    """Performs jobs one after the other, from any number of threads and tasks."""

    def __init__(self, runtime: Runtime, is_stopping: Callable[[], bool]) -> None:
        self._runtime = runtime
        self._is_stopping = is_stopping

    def definition(self, claim: Claim) -> JobDefinition[Any, Any] | None:
        """The registered job of a claim."""
        return self._runtime.definitions.get(claim.name)

    def perform(self, claim: Claim) -> Ending:
        """Run the job. Whatever it raises becomes an ending; nothing is raised but an interruption."""
        definition = self.definition(claim)
        if definition is None:
            return self.ending_of(claim, _unknown(claim))
        done = False
        try:
            with self._runtime.job_context():
                args, kwargs = self._arguments(claim)
                token = running_job.set(self._running(claim))
                try:
                    complete(definition.function(*args, **kwargs))
                    done = True
                finally:
                    running_job.reset(token)
        except BaseException as error:
            if not done:
                return self.ending_of(claim, error)
            self._runtime.handle_thread_error(error)  # the job itself is through; tearing its context down failed
        return Ending(claim, Outcome.FINISHED)

    async def perform_async(self, claim: Claim, is_given_up: Callable[[], bool]) -> Ending:
        """Run a coroutine job in the current task. Whatever it raises becomes an ending.

        :param is_given_up: whether whoever runs the job has cancelled it: then `CancelledError` is raised. A job may also
            cancel its own task, which is a failure like any other.
        """
        definition = self.definition(claim)
        assert definition is not None
        done = False
        try:
            with self._runtime.job_context():
                args, kwargs = self._arguments(claim)
                running_job.set(self._running(claim))  # the task has a context of its own
                await self._bounded(definition, args, kwargs)
                done = True
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and is_given_up():
                raise
            if not done:
                return self.ending_of(claim, error)
            self._runtime.handle_thread_error(error)
        return Ending(claim, Outcome.FINISHED)

    @staticmethod
    async def _bounded(definition: JobDefinition[Any, Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        seconds = definition.rules.timeout
        if seconds is None:
            await definition.function(*args, **kwargs)
            return
        try:
            async with asyncio.timeout(seconds) as limit:
                await definition.function(*args, **kwargs)
        except TimeoutError as error:
            if limit.expired():
                raise timeout_error(seconds) from error
            raise

    def _arguments(self, claim: Claim) -> tuple[list[Any], dict[str, Any]]:
        return arguments.decode(claim.arguments, references=self._runtime.client.references)

    def _running(self, claim: Claim) -> RunningJob:
        return RunningJob(claim.job_id, claim.name, claim.queue_name, claim.attempts + 1, self._is_stopping)

    def ending_of(self, claim: Claim, error: BaseException) -> Ending:
        """What a job's rules make of its error: another attempt, the end of the matter, or a failure."""
        if isinstance(error, Interruption):
            raise error
        definition = self.definition(claim)
        rules = definition.rules if definition else None
        if rules and isinstance(error, rules.discard_on):
            return Ending(claim, Outcome.DISCARDED, Failure.of(error))
        try:
            wait = _wait(rules, error, claim.attempts + 1)
        except BaseException as broken:  # a `wait` function of the user's; its traceback shows the job's error too
            error, wait = broken, None
        if wait is not None:
            return Ending(claim, Outcome.RETRIED, Failure.of(error), wait)
        self._report(error)
        return Ending(claim, Outcome.FAILED, Failure.of(error))

    def _report(self, error: BaseException) -> None:
        try:
            self._runtime.report(error)
        except Exception as broken:
            self._runtime.handle_thread_error(broken)


def _wait(rules: JobRules | None, error: BaseException, attempt: int) -> float | None:
    """For how long to wait after this attempt; None when it was the last one."""
    rule = first_match(rules.retry, error) if rules else None
    return rule.wait_after(attempt) if rule is not None and rule.allows(attempt) else None


def _unknown(claim: Claim) -> UnknownJobError:
    return UnknownJobError(
        f"No job is registered as {claim.name!r}. If it was not renamed or removed, import its module in the application's "
        "factory: a worker runs what is registered when the application has been made."
    )


def timeout_error(seconds: float) -> JobTimeoutError:
    """The error of a job that ran longer than it may."""
    return JobTimeoutError(f"The job ran longer than its timeout of {seconds:g} s and was interrupted.")


def deadline_after(definition: JobDefinition[Any, Any] | None) -> float | None:
    """When a thread that begins a job now is to be interrupted, on the monotonic clock."""
    seconds = definition.rules.timeout if definition else None
    return None if seconds is None else time.monotonic() + seconds
