"""config/queue.yml and config/recurring.yml: what is run, and every way of getting them wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flask_queue.config import (
    Configuration,
    DispatcherOptions,
    RecurringTask,
    SchedulerOptions,
    Settings,
    WorkerOptions,
    load,
)
from flask_queue.errors import InvalidScheduleError
from flask_queue.jobs.arguments import encode

DAILY = "{job: mailers.digest, schedule: every day at 9am}"


@dataclass
class Files:
    """The two files of an application in the environment "production"."""

    root: Path

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / "config" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        return path

    def load(
        self,
        queue: str | bytes | None = "",
        recurring: str | bytes | None = "",
        environment: str = "production",
        **options: Any,
    ) -> Configuration:
        for name, content in (("queue.yml", queue), ("recurring.yml", recurring)):
            if content is not None:
                self.write(name, content)
        mapping = {"QUEUE_ENVIRONMENT": environment, **options.pop("settings", {})}
        settings = Settings.from_mapping(mapping, root=self.root)
        checks = {
            "known_job": known_job,
            "check_schedule": check_schedule,
            "check_arguments": encode,
            "check_call": lambda name, args, kwargs: None,
        }
        return load(settings, **{**checks, **options})


def known_job(name: str) -> bool:
    return name in ("mailers.digest", "mailers.welcome")


def check_schedule(text: str, time_zone: str) -> None:
    if text.startswith("tomorrow") or time_zone == "EDT":
        raise InvalidScheduleError


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


# --- what is run ----------------------------------------------------------------------------------


@pytest.mark.behaviour("M1")
@pytest.mark.parametrize(
    "content", ["", "# nothing\n", "{}", "production:\n", "workers:\n", "foo: 1\n", "production: {foo: [1]}\n"]
)
def test_nothing_given_is_one_worker_on_all_queues_and_one_dispatcher(files: Files, content: str) -> None:
    made = files.load(content)
    assert made.problems == ()
    assert made.workers == (WorkerOptions(queues=("*",), threads=3, processes=1, polling_interval=0.1),)
    assert made.dispatchers == (DispatcherOptions(polling_interval=1, batch_size=500),)
    assert made.schedulers == ()


@pytest.mark.behaviour("M1")
@pytest.mark.parametrize(
    ("content", "counts"),
    [
        ("workers: [{}, {}]", (2, 0, 0)),
        ("workers: {threads: 2}", (1, 0, 0)),
        ("dispatchers: [{}]", (0, 1, 0)),
        ("scheduler: {dynamic_tasks_enabled: true}", (0, 0, 1)),
        ("{workers: [{}], dispatchers: [{}], scheduler: {polling_interval: 2}}", (1, 1, 0)),
    ],
)
def test_a_section_that_is_given_runs_alone(files: Files, content: str, counts: tuple[int, int, int]) -> None:
    made = files.load(content)
    assert made.problems == ()
    assert (len(made.workers), len(made.dispatchers), len(made.schedulers)) == counts


@pytest.mark.behaviour("M1")
def test_recurring_tasks_always_get_a_scheduler(files: Files) -> None:
    assert files.load("", f"daily: {DAILY}").schedulers == (SchedulerOptions(polling_interval=5),)
    assert files.load("workers: [{}]", f"daily: {DAILY}").schedulers == (SchedulerOptions(),)


def test_a_disabled_task_alone_needs_no_scheduler(files: Files) -> None:
    made = files.load("", "daily: {job: mailers.digest, schedule: every day, enabled: false}")
    assert [task.enabled for task in made.recurring_tasks] == [False]
    assert made.schedulers == ()


@pytest.mark.behaviour("M2")
def test_defaults_are_filled_for_each_entry_on_its_own(files: Files) -> None:
    made = files.load(
        """
        production:
          dispatchers:
            - {polling_interval: 2, batch_size: 100, concurrency_maintenance_interval: 600, concurrency_maintenance: false}
          workers:
            - {queues: "*", threads: 5, polling_interval: 0.5, coroutines: 7, prefetch: 9}
            - {queues: [real_time, " background* "], processes: 3}
            - {queues: "a, b"}
            -
        """
    )
    assert made.problems == ()
    assert made.dispatchers == (DispatcherOptions(2, 100, False, 600),)
    assert made.workers == (
        WorkerOptions(("*",), 5, 1, 0.5, 7, 9),
        WorkerOptions(("real_time", "background*"), processes=3),
        WorkerOptions(("a", "b")),
        WorkerOptions(),
    )


def test_the_section_of_another_environment_is_not_taken_but_told(files: Files) -> None:
    made = files.load("development: {workers: [{threads: x}]}\ntest: {}")
    assert made.workers == (WorkerOptions(),)
    assert made.problems == ()
    assert made.warnings == (
        "config/queue.yml: has no section production, only development, test. Falling back to default configuration.",
    )


def test_yaml_anchors_outside_the_section_are_no_unknown_options(files: Files) -> None:
    made = files.load("default: &default\n  workers: [{threads: 4}]\nproduction:\n  <<: *default\n")
    assert (made.workers[0].threads, made.problems) == (4, ())


@pytest.mark.parametrize(
    ("only", "kinds"), [("work", (1, 0, 0)), ("dispatch", (0, 1, 0)), ("schedule", (0, 0, 1)), (None, (1, 1, 1))]
)
def test_one_kind_alone_can_be_asked_for(files: Files, only: Any, kinds: tuple[int, int, int]) -> None:
    made = files.load("", f"daily: {DAILY}", only=only)
    assert made.problems == ()
    assert (len(made.workers), len(made.dispatchers), len(made.schedulers)) == kinds


@pytest.mark.behaviour("J13")
@pytest.mark.parametrize(
    ("content", "only", "missing"),
    [
        ("workers: []", None, "workers, dispatchers or recurring tasks"),
        ("scheduler: {}", None, "workers, dispatchers or recurring tasks"),
        ("dispatchers: [{}]", "work", "workers"),
        ("workers: [{}]", "dispatch", "dispatchers"),
        ("", "schedule", "recurring tasks, or a scheduler with dynamic_tasks_enabled"),
    ],
)
def test_nothing_to_run_is_a_problem(files: Files, content: str, only: Any, missing: str) -> None:
    assert files.load(content, only=only).problems == (f"config/queue.yml: No processes configured. It needs {missing}.",)


# --- files that are absent or unreadable ----------------------------------------------------------


@pytest.mark.behaviour("M3")
def test_default_files_that_are_absent_fall_back_with_a_warning(files: Files) -> None:
    made = files.load(None, None)
    assert made.problems == ()
    assert made.workers == (WorkerOptions(),)
    assert made.warnings == (
        "provided configuration file 'config/queue.yml' does not exist. Falling back to default configuration.",
        "provided configuration file 'config/recurring.yml' does not exist. Falling back to default configuration.",
    )


@pytest.mark.behaviour("M3")
def test_a_recurring_file_that_is_skipped_need_not_exist(files: Files) -> None:
    assert files.load("", None, skip_recurring=True).warnings == ()


@pytest.mark.parametrize("named", [{"settings": {"QUEUE_CONFIG_FILE": "jobs.yml"}}, {"config_file": "/nowhere/jobs.yml"}])
def test_a_named_file_that_is_missing_is_an_error(files: Files, named: dict[str, Any]) -> None:
    [problem] = files.load(**named).problems
    assert problem.endswith("jobs.yml: does not exist")


def test_no_files_at_all_is_silent(files: Files) -> None:
    made = files.load(None, None, settings={"QUEUE_CONFIG_FILE": None, "QUEUE_RECURRING_FILE": None})
    assert (made.problems, made.warnings, len(made.workers)) == ((), (), 1)


@pytest.mark.behaviour("M9")
def test_the_option_comes_before_the_setting_and_the_setting_before_the_default(files: Files) -> None:
    files.write("set.yml", "workers: [{threads: 2}]")
    option = files.write("option.yml", "workers: [{threads: 9}]")
    setting = {"QUEUE_CONFIG_FILE": "config/set.yml"}
    assert files.load("workers: [{threads: 1}]").workers[0].threads == 1
    assert files.load(settings=setting).workers[0].threads == 2
    assert files.load(settings=setting, config_file=option).workers[0].threads == 9


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("production:\n  workers: [{\n", "line 3, column 1: not valid YAML"),
        ("production:\n\tworkers: 1", "line 2, column 1: not valid YAML"),
        ("a: 1\na: 2", "a stands here twice"),
        ("? [1]\n: 2", "not valid YAML"),
        ("when: 2024-99-99", "not valid YAML"),
        ("x: !!python/object/apply:os.system [true]", "not valid YAML"),
        (b"\xff\xfe\xfa", "not valid YAML"),
        ("[" * 3000, "not valid YAML"),
        ("- 1\n- 2", "must have sections or options, not just a list"),
        ("just text", "must have sections or options, not just 'just text'"),
        ("production: 5", "production: must have options, not just 5"),
    ],
)
@pytest.mark.parametrize("file", ["queue", "recurring"])
def test_unreadable_yaml_is_one_line_that_names_the_file(files: Files, file: str, content: str | bytes, told: str) -> None:
    [problem] = files.load(**{file: content}).problems
    assert problem.startswith(f"config/{file}.yml: ")
    assert told in problem
    assert "\n" not in problem


def test_a_directory_in_place_of_a_file_is_told(files: Files) -> None:
    (files.root / "config" / "queue.yml").mkdir(parents=True)
    assert files.load(None).problems == ("config/queue.yml: cannot be read: Is a directory",)


# --- options that are wrong -----------------------------------------------------------------------


@pytest.mark.behaviour("M7")
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("workers: [{threads: 0}]", "workers[0].threads: must be a whole number from 1 to 10000, not 0"),
        ("workers: [{}, {threads: -1}]", "workers[1].threads: must be a whole number from 1 to 10000, not -1"),
        ("workers: {threads: x}", "workers.threads: must be a whole number from 1 to 10000, not 'x'"),
        ("workers: [{threads: 1.5}]", "workers[0].threads: must be a whole number from 1 to 10000, not 1.5"),
        ("workers: [{threads: true}]", "workers[0].threads: must be a whole number from 1 to 10000, not True"),
        (
            "workers: [{polling_interval: 0}]",
            'workers[0].polling_interval: must be a number of seconds above 0 (or "5 minutes"), not 0',
        ),
        (
            "workers: [{polling_interval: .inf}]",
            'workers[0].polling_interval: must be a number of seconds above 0 (or "5 minutes"), not inf',
        ),
        ("workers: [{thread: 3}]", "workers[0].thread: unknown option, did you mean threads?"),
        ("workers: [{3: 3}]", "workers[0].3: unknown option; there are queues, threads, processes"),
        ("workers: [{queues: []}]", "workers[0].queues: must be at least one name, not []"),
        (
            "workers: [{queues: [yes]}]",
            "workers[0].queues: must be a name, or a list of names (in quotes, if YAML takes them for something else)",
        ),
        ("workers: [3]", "workers[0]: must have options such as queues, not just 3"),
        ("workers: 3", "workers: must have options such as queues, not just 3"),
        ("dispatchers: [{polling_interval: -1}]", "dispatchers[0].polling_interval: must be a number of seconds above 0"),
        ("dispatchers: [{batchsize: 1}]", "dispatchers[0].batchsize: unknown option, did you mean batch_size?"),
        ("scheduler: {dynamic_tasks: true}", "scheduler.dynamic_tasks: unknown option, did you mean dynamic_tasks_enabled?"),
        ("schedulers: {dynamic_tasks_enabled: true}", "schedulers: unknown option, did you mean scheduler?"),
        ("wokers: [{}]", "wokers: unknown option, did you mean workers?"),
        ("production: {workers: [{}], bogus: 1}", "bogus: unknown option; there are workers, dispatchers, scheduler"),
    ],
)
def test_a_bad_option_is_named_with_what_is_allowed(files: Files, content: str, problem: str) -> None:
    problems = [found for found in files.load(content).problems if "No processes" not in found]
    assert len(problems) == 1
    assert problems[0].startswith(f"config/queue.yml: {problem}")


@pytest.mark.behaviour("M1")
def test_a_section_of_strangers_is_warned_of(files: Files) -> None:
    assert files.load("foo: 1").warnings == (
        "config/queue.yml: foo: unknown option; there are workers, dispatchers, scheduler",
    )


@pytest.mark.behaviour("C9")
def test_a_selector_that_selects_nothing_is_warned_of(files: Files) -> None:
    made = files.load(f'workers: [{{queues: ["*x", "a*b", "mail*", "a,b*,c*d", "bell\\a", {"x" * 255}*, {"y" * 256}]}}]')
    assert made.problems == ()
    assert [warning.split(" is ignored")[0] for warning in made.warnings] == [
        f"config/queue.yml: workers[0].queues: {selector!r}" for selector in ("*x", "a*b", "c*d", "bell\a", "y" * 256)
    ]


@pytest.mark.behaviour("M6")
def test_more_threads_than_connections_is_warned_of(files: Files) -> None:
    content = "workers: [{threads: 2}, {threads: 9}]"
    assert files.load(content, pool_size=11).warnings == ()
    [warning] = files.load(content, pool_size=10).warnings
    assert "configured to use 9 threads but the database connection pool is 10" in warning
    assert files.load(content, pool_size=None).warnings == ()


# --- recurring tasks ------------------------------------------------------------------------------


def test_a_task_has_all_it_says(files: Files) -> None:
    made = files.load(
        recurring="""
        production:
          digest:
            class: mailers.digest
            args: [1, two]
            schedule: every monday at 9am
            queue: mail
            priority: -5
            description: What happened this week
            time_zone: Europe/Paris
            catch_up: 5 minutes
        """
    )
    assert made.problems == ()
    assert made.recurring_tasks == (
        RecurringTask(
            key="digest",
            job="mailers.digest",
            args=(1, "two"),
            schedule="every monday at 9am",
            queue="mail",
            priority=-5,
            description="What happened this week",
            time_zone="Europe/Paris",
            catch_up=300,
        ),
    )


@pytest.mark.behaviour("H11")
@pytest.mark.parametrize(
    ("written", "args", "kwargs"),
    [
        ("42", (42,), {}),
        ("0", (0,), {}),
        ("text", ("text",), {}),
        ("[]", (), {}),
        ("", (), {}),
        ("[1, [2]]", (1, [2]), {}),
        ("[1, {user: 2}]", (1,), {"user": 2}),
        ("{user: 2}", (), {"user": 2}),
        ("[{user: 2}, 1]", ({"user": 2}, 1), {}),
        ("[{1: 2}]", ({1: 2},), {}),
    ],
)
def test_arguments_are_one_value_or_a_list_with_keywords_last(files: Files, written: str, args: Any, kwargs: Any) -> None:
    [task] = files.load(recurring=f"daily: {{job: mailers.digest, schedule: every day, args: {written}}}").recurring_tasks
    assert (task.args, task.kwargs) == (args, kwargs)


@pytest.mark.behaviour("H11")
def test_priority_and_queue_are_the_jobs_own_unless_given(files: Files) -> None:
    [task] = files.load(recurring=f"daily: {DAILY}").recurring_tasks
    assert (task.priority, task.queue, task.catch_up) == (None, None, 0)


@pytest.mark.behaviour("M4")
def test_tasks_of_production_do_not_break_development(files: Files) -> None:
    production_only = "production: {broken: {job: gone, schedule: tomorrow}}"
    made = files.load(recurring=production_only, environment="development")
    assert (made.recurring_tasks, made.problems, made.warnings) == ((), (), ())


@pytest.mark.behaviour("M4")
@pytest.mark.parametrize("entry", ["", "{}", "null"])
def test_an_empty_entry_is_ignored(files: Files, entry: str) -> None:
    made = files.load(recurring=f"production:\n  empty: {entry}\n  daily: {DAILY}\n")
    assert [task.key for task in made.recurring_tasks] == ["daily"]
    assert (made.problems, made.warnings) == ((), ())


@pytest.mark.behaviour("M4")
def test_an_entry_without_a_schedule_is_ignored_with_a_warning(files: Files) -> None:
    made = files.load(recurring=f"lazy: {{job: mailers.digest, of: another library}}\ndaily: {DAILY}\n")
    assert [task.key for task in made.recurring_tasks] == ["daily"]
    assert made.warnings == ("config/recurring.yml: lazy: has no schedule and is ignored",)


@pytest.mark.behaviour("M4", "M5")
def test_an_entry_that_only_misspells_its_schedule_is_not_ignored(files: Files) -> None:
    made = files.load(recurring=f"nightly: {{job: mailers.digest, shedule: every day}}\ndaily: {DAILY}\n")
    assert made.problems == ("config/recurring.yml: nightly: shedule: unknown option, did you mean schedule?",)
    assert made.warnings == ()


@pytest.mark.behaviour("M5")
def test_a_job_is_named_once(files: Files) -> None:
    made = files.load(recurring="both: {job: mailers.digest, class: mailers.welcome, schedule: every day}\n")
    assert made.problems == ("config/recurring.yml: both: job and class mean the same; keep one of them",)


def test_what_stands_beside_the_section_of_the_environment_is_told(files: Files) -> None:
    made = files.load(
        "workers: [{threads: 9}]\nproduction: {workers: [{threads: 2}]}\ndevelopment: {}\n", f"daily: {DAILY}\nproduction:\n"
    )
    assert [worker.threads for worker in made.workers] == [2]
    assert made.warnings == (
        "config/queue.yml: workers: stands beside the section production and is ignored; move it in there",
        "config/recurring.yml: daily: stands beside the section production and is ignored; move it in there",
    )


def test_a_task_may_be_called_like_the_environment(files: Files) -> None:
    made = files.load(recurring=f"production: {DAILY}\n")
    assert [task.key for task in made.recurring_tasks] == ["production"]


@pytest.mark.behaviour("M5")
def test_every_bad_task_is_told(files: Files) -> None:
    made = files.load(
        recurring="""
        gone: {class: mailers.gone, schedule: every day}
        nameless: {schedule: every day}
        never: {job: mailers.digest, schedule: tomorrow}
        summer: {job: mailers.digest, schedule: every day, time_zone: EDT}
        shell: {command: rm -rf /, schedule: every day}
        high: {job: mailers.digest, schedule: every day, priority: 2147483648}
        typo: {job: mailers.digest, schedule: every day, quue: mail}
        late: {job: mailers.digest, schedule: every day, catch_up: sometimes}
        list: [1]
        """
    )
    assert made.problems == (
        "config/recurring.yml: gone: Class name doesn't correspond to an existing class: "
        "no job is registered as 'mailers.gone' or found there",
        "config/recurring.yml: nameless: either job or class must be present",
        "config/recurring.yml: never: Schedule is not a supported recurring schedule.",
        "config/recurring.yml: summer: Schedule is not a supported recurring schedule.",
        "config/recurring.yml: shell: commands are not run, for text is not evaluated; name a job with `job:` or `class:`",
        "config/recurring.yml: high: priority must be a whole number from -2147483648 to 2147483647, not 2147483648",
        "config/recurring.yml: typo: quue: unknown option, did you mean queue?",
        "config/recurring.yml: late: catch_up must be a number of seconds, 0 or more, up to 60 days "
        "(or \"5 minutes\"), not 'sometimes'",
        "config/recurring.yml: list: must have options such as job and schedule, not just [1]",
    )
    assert made.recurring_tasks == ()


@pytest.mark.behaviour("H32")
@pytest.mark.parametrize("beside", ["", "job: mailers.digest, "])
def test_a_command_is_never_run(files: Files, tmp_path: Path, beside: str) -> None:
    witness = tmp_path / "it_ran"
    made = files.load(recurring=f"shell: {{{beside}command: \"open('{witness}', 'w')\", schedule: every second}}")
    assert made.recurring_tasks == ()
    assert made.problems == (
        "config/recurring.yml: shell: commands are not run, for text is not evaluated; name a job with `job:` or `class:`",
    )
    assert not witness.exists()


@pytest.mark.behaviour("A13")
@pytest.mark.parametrize(
    ("value", "is_allowed"), [(2**31 - 1, True), (-(2**31), True), (2**31, False), (1.5, False), ("high", False)]
)
def test_a_priority_is_an_integer_of_32_bits(files: Files, value: object, is_allowed: bool) -> None:
    made = files.load(recurring=f"daily: {{job: mailers.digest, schedule: every day, priority: {value}}}")
    assert (made.problems == ()) is is_allowed


def test_the_zone_of_the_settings_is_for_schedules_that_name_none(files: Files) -> None:
    asked: list[tuple[str, str]] = []
    recurring = f"a: {DAILY}\nb: {{job: mailers.digest, schedule: every hour, time_zone: Asia/Tokyo}}\n"
    check: Callable[[str, str], None] = lambda text, zone: asked.append((text, zone))  # noqa: E731
    files.load(recurring=recurring, settings={"QUEUE_TIME_ZONE": "America/New_York"}, check_schedule=check)
    assert asked == [("every day at 9am", "America/New_York"), ("every hour", "Asia/Tokyo")]


@pytest.mark.behaviour("M8")
def test_recurring_tasks_can_be_skipped(files: Files) -> None:
    broken = "daily: {job: gone, schedule: tomorrow}"
    for made in (
        files.load(recurring=broken, skip_recurring=True),
        files.load(recurring=broken, settings={"QUEUE_SKIP_RECURRING": "true"}),
    ):
        assert (made.recurring_tasks, made.schedulers, made.problems) == ((), (), ())


def test_older_files_have_their_recurring_tasks_under_a_dispatcher(files: Files) -> None:
    made = files.load(f"dispatchers: [{{recurring_tasks: {{old: {DAILY}}}}}]", f"new: {DAILY}")
    assert made.problems == ()
    assert [task.key for task in made.recurring_tasks] == ["new", "old"]
    assert made.schedulers == (SchedulerOptions(),)


def test_a_task_under_a_dispatcher_is_checked_like_any_other(files: Files) -> None:
    content = f"dispatchers: {{recurring_tasks: {{old: {{job: gone, schedule: every day}}, daily: {DAILY}}}}}"
    assert [problem.split(":")[1].strip() for problem in files.load(content, f"daily: {DAILY}").problems] == [
        "dispatchers[0].recurring_tasks.old",
        "dispatchers[0].recurring_tasks.daily",
    ]
    assert "stands in config/recurring.yml too" in files.load(content, f"daily: {DAILY}").problems[1]
