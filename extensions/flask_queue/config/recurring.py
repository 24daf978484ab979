"""Recurring tasks as config/recurring.yml has them, or an older queue.yml under a dispatcher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import QueueError
from .files import Section
from .values import (
    Refused,
    boolean,
    closest,
    duration,
    long_text,
    option,
    options_of,
    queue_name,
    read,
    task_key,
    text,
    unknown_option,
    written_priority,
)

#: Beside the fields of a task: Solid Queue's word for the job, and its arguments.
_OTHER_OPTIONS = ("class", "args")
#: One of these makes a mapping a task, and not a section with tasks.
_MARKS = ("class", "job", "command", "schedule")
#: Longest that missed ticks are made up for. Runs are kept for longer, as a tick whose run is forgotten would come again.
MOST_CATCH_UP_DAYS = 60


@dataclass(frozen=True)
class RecurringTask:
    """What to enqueue, and when."""

    key: str
    #: The registered name of a job, or its import path.
    job: str = option("", text)
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    schedule: str = option("", text)
    queue: str | None = option(None, queue_name)
    priority: int | None = option(None, written_priority)
    description: str | None = option(None, long_text)
    time_zone: str | None = option(None, text)
    #: Seconds of missed ticks to make up for after an outage.
    catch_up: float = option(0.0, duration(zero=True, days=MOST_CATCH_UP_DAYS))
    enabled: bool = option(True, boolean)


@dataclass(frozen=True)
class TaskChecks:
    """What only the layers above can tell about a task."""

    #: Whether a job of this name, or at this import path, exists; raises a QueueError when that path cannot be imported.
    known_job: Callable[[str], bool]
    #: Raises a QueueError for a schedule, in a zone, that is none.
    check_schedule: Callable[[str, str], object]
    #: Raises a QueueError for arguments, by position and by keyword, that cannot be stored.
    check_arguments: Callable[[Sequence[Any], Mapping[str, Any]], object]
    #: Raises a QueueError for arguments that the job of a name does not take.
    check_call: Callable[[str, Sequence[Any], Mapping[str, Any]], object]
    time_zone: str


def is_task(key: str, value: Any) -> bool:
    """Whether an entry of a file is a task rather than the section of an environment."""
    return isinstance(value, Mapping) and any(mark in value and not isinstance(value[mark], Mapping) for mark in _MARKS)


def read_tasks(section: Section, content: Mapping[Any, Any], checks: TaskChecks, where: str = "") -> Iterator[RecurringTask]:
    """The tasks in a mapping of keys to options. Empty entries, and entries without a schedule, are no tasks.

    :param where: what stands before the key in messages
    """
    for key, options in content.items():
        name = f"{where}{key}"
        if options is None or (isinstance(options, Mapping) and not options):
            continue
        if not isinstance(options, Mapping):
            section.problem(name, f"must have options such as job and schedule, not just {options!r}")
        elif options.get("schedule") is None:
            _pass_over(section, name, options)
        elif task := _read_task(section, str(key), name, options, checks):
            yield task


def _pass_over(section: Section, name: str, options: Mapping[str, Any]) -> None:
    """Leave out an entry without a schedule, unless it has one that is misspelt."""
    slips = [str(option) for option in options if closest(str(option), ["schedule"])]
    for slip in slips:
        section.problem(name, f"{slip}: {unknown_option(slip, ['schedule'])}")
    if not slips:
        section.warning(name, "has no schedule and is ignored")


def _read_task(section: Section, key: str, name: str, options: Mapping[str, Any], checks: TaskChecks) -> RecurringTask | None:
    before = len(section.findings.problems)
    args, kwargs = split_arguments(options.get("args"))
    given = {**options, "job": options.get("job") or options.get("class")}
    task = read(
        RecurringTask,
        given,
        lambda attribute, allowed: section.problem(name, f"{attribute} must be {allowed}, not {given[attribute]!r}"),
        key=key,
        args=args,
        kwargs=kwargs,
    )
    for complaint in _complaints(task, options, checks):
        section.problem(name, complaint)
    return task if len(section.findings.problems) == before else None


def _complaints(task: RecurringTask, options: Mapping[str, Any], checks: TaskChecks) -> Iterator[str]:
    try:
        task_key(task.key)
    except Refused as refused:
        yield f"the key must be {refused}"
    if "command" in options:
        yield "commands are not run, for text is not evaluated; name a job with `job:` or `class:`"
    elif options.get("job") is not None and options.get("class") is not None:
        yield "job and class mean the same; keep one of them"
    elif task.job:
        yield from _job_complaints(task, checks)
    elif options.get("job") is None and options.get("class") is None:
        yield "either job or class must be present"
    known = (*options_of(RecurringTask), *_OTHER_OPTIONS)
    for name in options:
        if name not in (*known, "command"):
            yield f"{name}: {unknown_option(str(name), known)}"
    if task.schedule:
        yield from _raised(lambda: checks.check_schedule(task.schedule, task.time_zone or checks.time_zone))
    yield from _raised(lambda: checks.check_arguments(task.args, task.kwargs))


def _job_complaints(task: RecurringTask, checks: TaskChecks) -> Iterator[str]:
    try:
        if checks.known_job(task.job):
            checks.check_call(task.job, task.args, task.kwargs)
        else:
            yield f"Class name doesn't correspond to an existing class: no job is registered as {task.job!r} or found there"
    except QueueError as error:
        yield str(error)


def _raised(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except QueueError as error:
        yield str(error)


def split_arguments(given: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """One value, or a list of them; a mapping at the end of it has the arguments by keyword."""
    if given is None:
        return (), {}
    args = tuple(given) if isinstance(given, list | tuple) else (given,)
    if args and isinstance(args[-1], Mapping) and all(isinstance(key, str) for key in args[-1]):
        return args[:-1], dict(args[-1])
    return args, {}
