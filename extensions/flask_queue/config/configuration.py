"""What to run: the workers, dispatchers, scheduler and recurring tasks that the settings and the two files ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from .files import Findings, Section, read_section
from .options import DispatcherOptions, SchedulerOptions, WorkerOptions
from .recurring import RecurringTask, TaskChecks, is_task, read_tasks
from .values import closest, complaint_of_selector, options_of, read, selectors, unknown_option

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from .settings import Settings

    Options = TypeVar("Options", bound=DataclassInstance)

Only = Literal["work", "dispatch", "schedule"]

SECTIONS = ("workers", "dispatchers", "scheduler")
#: Where Solid Queue kept recurring tasks before they had a file of their own.
OLD_RECURRING_TASKS = "recurring_tasks"


@dataclass(frozen=True)
class Configuration:
    """What to run. One with problems must not run at all."""

    workers: tuple[WorkerOptions, ...] = ()
    dispatchers: tuple[DispatcherOptions, ...] = ()
    schedulers: tuple[SchedulerOptions, ...] = ()
    recurring_tasks: tuple[RecurringTask, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    #: Whether the tasks above are all there are to be. Who only works, or skips recurring tasks, has no say in that.
    owns_recurring_tasks: bool = True


def load(
    settings: Settings,
    *,
    known_job: Callable[[str], bool],
    check_schedule: Callable[[str, str], object],
    check_arguments: Callable[[Sequence[Any], Mapping[str, Any]], object],
    check_call: Callable[[str, Sequence[Any], Mapping[str, Any]], object],
    only: Only | None = None,
    config_file: str | Path | None = None,
    recurring_file: str | Path | None = None,
    skip_recurring: bool | None = None,
    pool_size: int | None = None,
) -> Configuration:
    """Read the files that the settings name. Needs no database, and raises nothing: see `problems` of the result.

    :param known_job: whether a job is registered under a name, or found at an import path
    :param check_schedule: raises a QueueError for a text that is no schedule; its second argument is the zone to take
        where the text names none
    :param check_arguments: raises a QueueError for arguments, by position and by keyword, that cannot be stored
    :param check_call: raises a QueueError for arguments that the job of a name does not take
    :param only: leave out all but the workers, the dispatchers or the scheduler
    :param config_file: instead of the setting; so are `recurring_file` and `skip_recurring`
    :param pool_size: how many connections the application's pool gives, to warn of more threads than that; None for no limit
    """
    settings = settings.overridden(config_file, recurring_file, skip_recurring)
    checks = TaskChecks(known_job, check_schedule, check_arguments, check_call, settings.time_zone)
    findings = Findings()
    section = _queue_section(settings, findings)
    parts = _read_parts(section)
    tasks = () if settings.skip_recurring else _read_all_tasks(settings, section, checks)
    configuration = _only(only, _assemble(parts, tasks))
    if not findings.problems and not (configuration.workers or configuration.dispatchers or configuration.schedulers):
        findings.problems.append(_nothing_to_run(section.file, only))
    if pool_size is not None:
        findings.warnings += _pool_warnings(configuration.workers, pool_size)
    return replace(
        configuration,
        problems=tuple(findings.problems),
        warnings=tuple(findings.warnings),
        owns_recurring_tasks=not settings.skip_recurring and only in (None, "schedule"),
    )


# --- config/queue.yml -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parts:
    """What a section of queue.yml gives; None where it says nothing."""

    workers: tuple[WorkerOptions, ...] | None
    dispatchers: tuple[DispatcherOptions, ...] | None
    scheduler: SchedulerOptions | None


def _queue_section(settings: Settings, findings: Findings) -> Section:
    section = _read_file(settings, settings.config_file, settings.config_file_named, _is_part, findings)
    if section.others:
        findings.warnings.append(
            f"{section.file}: has no section {settings.environment}, only {', '.join(section.others)}. "
            "Falling back to default configuration."
        )
    return section


def _is_part(key: str, value: Any) -> bool:
    return closest(key, SECTIONS) is not None


def _read_parts(section: Section) -> _Parts:
    _complain_of_unknown_parts(section)
    workers = _read_list(WorkerOptions, section, "workers")
    dispatchers = _read_list(DispatcherOptions, section, "dispatchers", (OLD_RECURRING_TASKS,))
    scheduler = _read_list(SchedulerOptions, section, "scheduler")
    for number, worker in enumerate(workers or ()):
        _warn_of_selectors(section, f"workers[{number}].queues", worker)
    return _Parts(workers, dispatchers, scheduler[0] if scheduler else None)


def _complain_of_unknown_parts(section: Section) -> None:
    """A section that knows nothing of ours is left alone; beside what is ours, or close to it, a stranger is an error."""
    ours = any(_is_part(key, None) for key in section.content)
    for key in section.content:
        if key not in SECTIONS:
            (section.problem if ours else section.warning)(key, unknown_option(key, SECTIONS))


def _read_list(kind: type[Options], section: Section, name: str, more: tuple[str, ...] = ()) -> tuple[Options, ...] | None:
    """The entries under a name: a list of mappings, or one mapping."""
    given = section.content.get(name)
    if given is None:
        return None
    listed = given if isinstance(given, list) else [given]
    return tuple(
        _read_options(kind, section, f"{name}[{number}]" if isinstance(given, list) else name, one or {}, more)
        for number, one in enumerate(listed)
    )


def _read_options(kind: type[Options], section: Section, where: str, given: Any, more: tuple[str, ...]) -> Options:
    if not isinstance(given, Mapping):
        section.problem(where, f"must have options such as {options_of(kind)[0]}, not just {given!r}")
        return kind()
    for name in given:
        if name not in (*options_of(kind), *more):
            section.problem(f"{where}.{name}", unknown_option(str(name), options_of(kind)))
    return read(
        kind, given, lambda name, allowed: section.problem(f"{where}.{name}", f"must be {allowed}, not {given[name]!r}")
    )


def _warn_of_selectors(section: Section, where: str, worker: WorkerOptions) -> None:
    for complaint in filter(None, map(complaint_of_selector, selectors(worker.queues))):
        section.warning(where, complaint)


# --- recurring tasks ------------------------------------------------------------------------------


def _read_all_tasks(settings: Settings, section: Section, checks: TaskChecks) -> tuple[RecurringTask, ...]:
    """Those of the recurring file, then those under a dispatcher; no key twice."""
    file = _read_file(settings, settings.recurring_file, settings.recurring_file_named, is_task, section.findings)
    tasks = {task.key: task for task in read_tasks(file, file.content, checks)}
    for where, old in _old_tasks(section):
        for task in read_tasks(section, old, checks, where):
            if task.key in tasks:
                section.problem(f"{where}{task.key}", f"stands in {file.file} too; keep one of them")
            tasks[task.key] = task
    return tuple(tasks.values())


def _old_tasks(section: Section) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    given = section.content.get("dispatchers")
    for number, dispatcher in enumerate(given if isinstance(given, list) else [given]):
        old = dispatcher.get(OLD_RECURRING_TASKS) if isinstance(dispatcher, Mapping) else None
        where = f"dispatchers[{number}].{OLD_RECURRING_TASKS}"
        if isinstance(old, Mapping):
            yield f"{where}.", old
        elif old is not None:
            section.problem(where, f"must have a key for each task, not just {old!r}")


# --- both -----------------------------------------------------------------------------------------


def _read_file(
    settings: Settings,
    path: Path | None,
    named: bool,
    is_entry: Callable[[str, Any], bool],
    findings: Findings,
) -> Section:
    if path is None:
        return Section("the default configuration", findings)
    shown = settings.shown(path)
    if path.exists():
        return read_section(path, shown, settings.environment, is_entry, findings)
    if named:
        findings.problems.append(f"{shown}: does not exist")
    else:
        findings.warnings.append(
            f"provided configuration file '{shown}' does not exist. Falling back to default configuration."
        )
    return Section(shown, findings)


def _assemble(parts: _Parts, tasks: Iterable[RecurringTask]) -> Configuration:
    """Nothing given is one worker and one dispatcher; else only what is given. Recurring tasks get a scheduler always."""
    tasks = tuple(tasks)
    nothing_given = parts == _Parts(None, None, None)
    scheduler = parts.scheduler or SchedulerOptions()
    wanted = scheduler.dynamic_tasks_enabled or any(task.enabled for task in tasks)
    return Configuration(
        workers=(WorkerOptions(),) if nothing_given else parts.workers or (),
        dispatchers=(DispatcherOptions(),) if nothing_given else parts.dispatchers or (),
        schedulers=(scheduler,) if wanted else (),
        recurring_tasks=tasks,
    )


def _only(only: Only | None, configuration: Configuration) -> Configuration:
    return replace(
        configuration,
        workers=configuration.workers if only in (None, "work") else (),
        dispatchers=configuration.dispatchers if only in (None, "dispatch") else (),
        schedulers=configuration.schedulers if only in (None, "schedule") else (),
    )


def _nothing_to_run(file: str, only: Only | None) -> str:
    missing = {
        None: "workers, dispatchers or recurring tasks",
        "work": "workers",
        "dispatch": "dispatchers",
        "schedule": "recurring tasks, or a scheduler with dynamic_tasks_enabled",
    }
    return f"{file}: No processes configured. It needs {missing[only]}."


def _pool_warnings(workers: Iterable[WorkerOptions], pool_size: int) -> list[str]:
    """A job in each thread may hold a connection of the application's pool; two are left for whatever else it does."""
    threads = max((worker.threads for worker in workers), default=0)
    if threads <= pool_size - 2:
        return []
    return [
        f"Flask-Queue is configured to use {threads} threads but the database connection pool is {pool_size}. "
        f"Make it at least {threads + 2}: pool_size in SQLALCHEMY_ENGINE_OPTIONS."
    ]
