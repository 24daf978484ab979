"""Events as log lines. What happened is emitted where it happened; how it reads stands here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

from .events import Payload

_logger = logging.getLogger("flask_queue")


class _Marked(logging.LoggerAdapter[logging.Logger]):
    """Marks each line, so that it is told apart in the output of a web server too."""

    def process(self, message: Any, options: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"[FlaskQueue] {message}", options


logger = _Marked(_logger)


class LogSubscriber:
    """Listens to events and writes a line for those that an operator wants to see."""

    def __call__(self, name: str, payload: Payload) -> None:
        word = _WORDINGS.get(name)
        if word is not None:
            word(payload)


def to_standard_output() -> None:
    """Show the lines of `flask queue start` where nobody has configured logging otherwise."""
    if not _logger.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        _logger.addHandler(handler)
    if _logger.level == logging.NOTSET:
        _logger.setLevel(logging.INFO)


def _start_process(payload: Payload) -> None:
    # As text, of which it is known by now whether it is a mapping: of a class that is new to it logging would ask every class
    # that is one, and a forked child copy the pages of them all.
    if logger.isEnabledFor(logging.INFO):
        logger.info("Starting %s", repr(payload["process"]))


def _stop_process(payload: Payload) -> None:
    process, released = payload["process"], payload["released_job_ids"]
    given_back = f", {len(released)} unfinished jobs go back into the queue" if released else ""
    logger.info("Stopped %s(pid=%s)%s", process.kind, process.pid, given_back)


def _upkeep_warning(payload: Payload) -> None:
    logger.warning("%s", payload["text"])


def _process_lost(payload: Payload) -> None:
    process = payload["process"]
    logger.error("%s(pid=%s) ends: %s", process.kind, process.pid, payload["reason"])


def _replace_process(payload: Payload) -> None:
    logger.warning("%s(pid=%s) %s and is replaced", payload["kind"], payload["pid"], payload["how"])


def _start_timeout(payload: Payload) -> None:
    logger.error("%s(pid=%s) has not started within %g s and is replaced", payload["kind"], payload["pid"], payload["timeout"])


def _process_frozen(payload: Payload) -> None:
    logger.error("%s(pid=%s) was taken for dead, does not end and is replaced", payload["kind"], payload["pid"])


def _worker_stuck(payload: Payload) -> None:
    logger.error(
        "Worker(pid=%s) ends and is replaced: jobs %s ran longer than their timeout and cannot be interrupted",
        payload["process"].pid,
        payload["job_ids"],
    )


def _finish(payload: Payload) -> None:
    for ending in payload["endings"]:
        failure = ending.failure
        if failure is None:
            continue
        claim = ending.claim
        line = "Job %s (%s), attempt %s, %s: %s: %s"
        level = logging.ERROR if ending.outcome.name == "FAILED" else logging.WARNING
        facts = (
            claim.job_id,
            claim.name,
            claim.attempts + 1,
            ending.outcome.name.lower(),
            failure.error_class,
            failure.message,
        )
        logger.log(level, line, *facts)
        if level == logging.ERROR:
            logger.debug("%s", failure.traceback)


def _prune_processes(payload: Payload) -> None:
    logger.warning("Pruned %s dead processes: %s", payload["size"], payload["process_ids"])


def _fail_many_claimed(payload: Payload) -> None:
    logger.warning("The process of jobs %s is gone; they were ended as their on_crash says", payload["job_ids"])


def _release_many_claimed(payload: Payload) -> None:
    logger.info("Put %s unfinished jobs back into the queue: %s", payload["size"], payload["job_ids"])


def _enqueue_recurring_task(payload: Payload) -> None:
    facts = (payload["task"], payload["at"].isoformat())
    if "enqueue_error" in payload:
        error = payload["enqueue_error"]
        logger.error("Recurring task %s at %s could not be enqueued: %s: %s", *facts, type(error).__name__, error)
    elif payload.get("skipped"):
        logger.debug("Skipped recurring task %s at %s: another scheduler was first", *facts)
    else:
        logger.debug("Enqueued recurring task %s at %s", *facts)


def _thread_error(payload: Payload) -> None:
    error = payload["error"]
    logger.error("%s: %s", type(error).__name__, error, exc_info=error if logger.isEnabledFor(logging.DEBUG) else None)


def _quietly(line: str, *names: str) -> Callable[[Payload], None]:
    def word(payload: Payload) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(line, *(payload[name] for name in names))

    return word


_WORDINGS: dict[str, Callable[[Payload], Any]] = {
    "start_process": _start_process,
    "stop_process": _stop_process,
    "upkeep_warning": _upkeep_warning,
    "process_lost": _process_lost,
    "replace_process": _replace_process,
    "start_timeout": _start_timeout,
    "process_frozen": _process_frozen,
    "worker_stuck": _worker_stuck,
    "finish": _finish,
    "prune_processes": _prune_processes,
    "fail_many_claimed": _fail_many_claimed,
    "release_many_claimed": _release_many_claimed,
    "enqueue_recurring_task": _enqueue_recurring_task,
    "thread_error": _thread_error,
    "claim": _quietly("Claimed %s", "job_ids"),
    "dispatch_scheduled": _quietly("Dispatched %s scheduled jobs", "size"),
    "release_many_blocked": _quietly("Unblocked %s jobs of %s", "size", "key"),
    "clear_finished": _quietly("Cleared %s finished jobs", "size"),
}
