"""When a scheduler enqueues what: the grid of a schedule against the database's clock, which the test sets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from flask_queue import Concurrency, FlaskQueue
from flask_queue.config import MOST_CATCH_UP_DAYS, SchedulerOptions
from flask_queue.jobs.schedules import Schedule
from flask_queue.models import recurring_tasks
from flask_queue.processes.scheduler import KEEP_RUNS, MOST_CATCH_UPS, Scheduler, _instants
from tests.flask_queue.operations.declared import limited, plain
from tests.flask_queue.relay import Relay
from tests.harness.tables import Tables
from tests.harness.waiting import eventually

NOON = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)


class SchedulerAt(Scheduler):
    """A scheduler whose database says what time it is when the test says so."""

    moment = NOON

    def _now(self) -> datetime:
        return self.moment

    def at(self, moment: datetime) -> float:
        """Look at the tasks at this instant; for how long it would sleep then."""
        self.moment = moment
        return self.poll()


@contextmanager
def registered(scheduler: Scheduler) -> Iterator[Any]:
    with scheduler.registered():
        yield scheduler


@pytest.fixture
def add(app: Flask, queue: FlaskQueue) -> Callable[..., None]:
    """Add a recurring task, as if long ago."""
    plain(queue)

    def add(key: str, schedule: str, *, since: datetime = NOON - timedelta(days=9), **options: Any) -> None:
        queue.schedule_recurring_task(key, job=options.pop("job", "job"), schedule=schedule, **options)
        set_start(queue, key, since)

    return add


def set_start(queue: FlaskQueue, key: str, moment: datetime) -> None:
    with queue.database.begin() as connection:
        row = recurring_tasks.c.key == key
        connection.execute(update(recurring_tasks).where(row).values(effective_at=moment))


def scheduler(queue: FlaskQueue, moment: datetime = NOON, **options: Any) -> SchedulerAt:
    made = SchedulerAt(queue.runtime(), SchedulerOptions(dynamic_tasks_enabled=True, **options))
    made.moment = moment
    return made


def instants(tables: Tables, key: str = "task") -> list[datetime]:
    return [row.run_at for row in tables.runs(key)]


def minutes(*numbers: float) -> list[datetime]:
    return [NOON + timedelta(minutes=number) for number in numbers]


@pytest.mark.behaviour("H2", "H3")
def test_a_tick_is_the_instant_on_the_grid(add: Callable[..., None], queue: FlaskQueue, tables: Tables) -> None:
    add("task", "every minute")
    with registered(scheduler(queue)) as one:
        one.at(NOON + timedelta(seconds=12.3))
        assert instants(tables) == []
        one.at(NOON + timedelta(seconds=60.004))
        one.at(NOON + timedelta(seconds=60.3))
        one.at(NOON + timedelta(seconds=121))
    assert instants(tables) == minutes(1, 2)
    # The ids may stand the other way round: on a slow machine the second tick does not wait for the first.
    assert {row.job_id for row in tables.runs("task")} == {row.id for row in tables.jobs()}


@pytest.mark.behaviour("H3")
def test_a_look_just_before_an_instant_does_not_enqueue_it_twice(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables
) -> None:
    add("task", "every minute")
    with registered(scheduler(queue, NOON + timedelta(seconds=30))) as one:
        wait = one.at(NOON + timedelta(seconds=59.997))
        assert 0 <= wait < 0.01
        assert instants(tables) == []
        one.at(NOON + timedelta(seconds=60))
        one.at(NOON + timedelta(seconds=59.999))  # the clock was set back a little
        one.at(NOON + timedelta(seconds=60.001))
    assert instants(tables) == minutes(1)


@pytest.mark.behaviour("H3")
def test_it_sleeps_until_the_next_instant_or_look(add: Callable[..., None], queue: FlaskQueue) -> None:
    add("task", "every minute")
    with registered(scheduler(queue, polling_interval=5)) as one:
        assert one.at(NOON + timedelta(seconds=58)) == pytest.approx(2)
        assert one.at(NOON + timedelta(seconds=10)) == 5


@pytest.mark.behaviour("H2", "H4", "H5")
def test_two_schedulers_enqueue_each_tick_once(add: Callable[..., None], queue: FlaskQueue, tables: Tables) -> None:
    """Also when jobs are gone before the slower one comes."""
    skipped: list[Any] = []
    queue.events.subscribe(
        lambda name, payload: skipped.append(payload.get("skipped")) if name == "enqueue_recurring_task" else None
    )
    add("task", "every minute")
    with registered(scheduler(queue)) as one, registered(scheduler(queue)) as two:
        for number in range(1, 4):
            one.at(NOON + timedelta(minutes=number))
            queue.work()
            queue.clear_finished(0)
            two.at(NOON + timedelta(minutes=number, seconds=0.5))
    assert instants(tables) == minutes(1, 2, 3)
    assert skipped == [False, True] * 3
    assert not tables.jobs()


@pytest.mark.behaviour("H14")
def test_what_was_missed_is_skipped(add: Callable[..., None], queue: FlaskQueue, tables: Tables) -> None:
    add("task", "every minute")
    with registered(scheduler(queue)) as one:
        one.at(NOON)
    with registered(scheduler(queue, NOON + timedelta(minutes=5.5))) as one:
        one.at(NOON + timedelta(minutes=5.5))
        assert instants(tables) == []
        one.at(NOON + timedelta(minutes=6))
    assert instants(tables) == minutes(6)


@pytest.mark.behaviour("H14")
def test_what_was_missed_within_the_window_is_made_up_for_once(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables
) -> None:
    add("task", "every minute", catch_up=timedelta(minutes=5))
    late = NOON + timedelta(minutes=20.5)
    for _ in range(3):
        with registered(scheduler(queue, late)) as one:
            one.at(late)
    assert instants(tables) == minutes(16, 17, 18, 19, 20)
    assert len(tables.jobs()) == 5


@pytest.mark.behaviour("H14")
def test_a_task_never_fires_for_an_instant_before_it_was_added(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables
) -> None:
    add("task", "every minute", catch_up=timedelta(hours=1), since=NOON + timedelta(minutes=2.5))
    with registered(scheduler(queue, NOON + timedelta(minutes=5.1))) as one:
        one.at(NOON + timedelta(minutes=5.1))
    assert instants(tables) == minutes(3, 4, 5)


@pytest.mark.behaviour("H15")
def test_a_scheduler_that_stood_still_fires_once_and_is_on_time_again(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables
) -> None:
    add("task", "every minute")
    add("seconds", "every second")
    with registered(scheduler(queue)) as one:
        one.at(NOON + timedelta(seconds=1))
        one.at(NOON + timedelta(minutes=7.5))
        one.at(NOON + timedelta(minutes=8))
    assert instants(tables) == minutes(7, 8)
    assert len(instants(tables, "seconds")) == 3


@pytest.mark.behaviour("H15")
@pytest.mark.databases("sqlite")
def test_a_very_long_sleep_costs_little(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[datetime] = []
    next_after = Schedule.next_after

    def counted(schedule: Schedule, moment: datetime) -> datetime:
        steps.append(moment)
        return next_after(schedule, moment)

    add("task", "every second", catch_up=20, since=NOON)
    with registered(scheduler(queue)) as one:
        one.at(NOON)
        monkeypatch.setattr(Schedule, "next_after", counted)
        one.at(NOON + timedelta(days=200))
    assert len(steps) < 10_000
    assert len(instants(tables)) in (20, 21)


@pytest.mark.behaviour("H14")
@pytest.mark.databases("sqlite")
def test_of_very_many_missed_the_latest_are_made_up_for(add: Callable[..., None], queue: FlaskQueue, tables: Tables) -> None:
    step = timedelta(minutes=10)
    add("task", "every 10 minutes", catch_up=timedelta(days=20), since=NOON - timedelta(days=30))
    with registered(scheduler(queue)) as one:
        one.at(NOON)
        one.drain()  # it does not wait for so many to be enqueued before it looks at the next ticks
    assert instants(tables) == [NOON - step * back for back in reversed(range(1000))]


@pytest.mark.behaviour("H12", "H14")
def test_no_tick_is_made_up_for_whose_run_may_have_been_forgotten() -> None:
    assert KEEP_RUNS > MOST_CATCH_UP_DAYS * 86400


@pytest.mark.behaviour("H14")
@given(st.lists(st.integers(0, 5000), min_size=1, unique=True), st.integers(0, 5000))
def test_the_latest_instants_are_found_wherever_they_lie(minutes_of_instants: list[int], until: int) -> None:
    times = sorted(NOON + timedelta(minutes=minute) for minute in minutes_of_instants)
    never = NOON + timedelta(days=9000)

    class Uneven:
        def next_after(self, moment: datetime) -> datetime:
            return next((one for one in times if one > moment), never)

        occurrences = Schedule.occurrences

    moment = NOON + timedelta(minutes=until)
    found = _instants(Uneven(), times[0], moment)  # type: ignore[arg-type]
    assert found == [one for one in times if one <= moment][-MOST_CATCH_UPS:]


@pytest.mark.behaviour("H12")
def test_a_tick_that_fails_is_reported_once_and_stops_nothing(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables, errors: list[BaseException]
) -> None:
    facts: list[dict[str, Any]] = []
    queue.events.subscribe(lambda name, payload: facts.append(payload) if name == "enqueue_recurring_task" else None)

    @queue.job(name="moody")
    def moody(number: int) -> None: ...

    add("a", "every minute", job="moody", args=[1])
    add("b", "every minute")
    definition = queue.definitions._by_name.pop("moody")
    with registered(scheduler(queue)) as one:
        one.at(NOON + timedelta(minutes=1))
        assert instants(tables, "a") == []
        assert instants(tables, "b") == minutes(1)
        queue.definitions.add(definition)
        one.at(NOON + timedelta(minutes=2))
    assert instants(tables, "a") == minutes(2)
    assert instants(tables, "b") == minutes(1, 2)
    [error] = errors
    assert "moody" in str(error)
    [failed] = [fact for fact in facts if "enqueue_error" in fact]
    assert (failed["task"], failed["at"], failed["enqueue_error"]) == ("a", NOON + timedelta(minutes=1), error)


@pytest.mark.behaviour("H12")
@pytest.mark.databases("postgresql", "mariadb")
def test_a_tick_that_meets_an_outage_is_enqueued_afterwards(
    relay: Relay,
    make_app: Callable[..., Flask],
    add: Callable[..., None],
    queue: FlaskQueue,
    tables: Tables,
    errors: list[BaseException],
) -> None:
    """The latest alone, unless its task makes up for all."""
    with make_app(SQLALCHEMY_BINDS={"queue": relay.url}).app_context():
        add("task", "every minute")
        add("patient", "every minute", catch_up=timedelta(minutes=30))
        with registered(scheduler(queue, polling_interval=3600)) as one:
            one.at(NOON + timedelta(seconds=1))
            before = len(instants(tables, "patient"))
            relay.close()
            one.at(NOON + timedelta(minutes=1))
            eventually(lambda: len(errors) == 2)
            one.at(NOON + timedelta(minutes=2))
            eventually(lambda: len(errors) == 2 + 3)
            relay.open()
            one.at(NOON + timedelta(minutes=2, seconds=5))
            one.at(NOON + timedelta(minutes=2, seconds=10))
            eventually(lambda: len(instants(tables, "patient")) == before + 2 and instants(tables))
        assert instants(tables) == minutes(2)
        assert instants(tables, "patient")[-2:] == minutes(1, 2)


@pytest.mark.behaviour("H13")
def test_a_tick_that_a_rule_discards_is_no_error(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables, errors: list[BaseException]
) -> None:
    job = limited(queue, on_conflict="discard")
    holder = job.enqueue("a")
    add("task", "every minute", job="limited", args=["a"])
    with registered(scheduler(queue)) as one:
        one.at(NOON + timedelta(minutes=1))
        assert (len(tables.jobs()), instants(tables)) == (1, [])
        holder.discard()
        one.at(NOON + timedelta(minutes=2))
    assert instants(tables) == minutes(2)
    assert errors == []


@pytest.mark.behaviour("P5")
def test_it_does_not_tell_what_is_filtered(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    @queue.job(name="reset")
    def reset(user: int, token: str, *, password: str) -> None: ...

    options = {"args": [7, "hunter2"], "kwargs": {"password": "hunter2"}}
    queue.schedule_recurring_task("task", job="reset", schedule="every minute", **options)
    with registered(scheduler(queue)):
        [row] = tables.processes("Scheduler")
    assert row.metadata["recurring_schedule"]["task"]["arguments"] == "7, [FILTERED], password=[FILTERED]"


@pytest.mark.behaviour("H9", "H10")
def test_tasks_come_and_go_while_it_runs(add: Callable[..., None], queue: FlaskQueue, tables: Tables) -> None:
    with registered(scheduler(queue, polling_interval=5)) as one:
        add("task", "every minute")
        one.at(NOON + timedelta(seconds=3))
        assert one.task_keys == []
        one.at(NOON + timedelta(seconds=5))
        assert one.task_keys == ["task"]
        [row] = tables.processes("Scheduler")
        assert row.metadata["recurring_schedule"]["task"] == {"schedule": "every minute", "class": "job", "arguments": ""}

        queue.unschedule_recurring_task("task")
        add("task", "every 30 seconds", since=NOON + timedelta(seconds=6))
        one.at(NOON + timedelta(seconds=11))
        one.at(NOON + timedelta(seconds=30))
        queue.unschedule_recurring_task("task")
        one.at(NOON + timedelta(seconds=60))
    assert instants(tables) == minutes(0.5)
    assert tables.processes("Scheduler") == []


@pytest.mark.behaviour("H9", "H14")
def test_an_instant_between_two_looks_at_the_tasks_is_not_missed(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables
) -> None:
    """The scheduler was there all the time; it just did not know of the task yet."""
    with registered(scheduler(queue, NOON + timedelta(seconds=57), polling_interval=5)) as one:
        one.at(NOON + timedelta(seconds=57))
        add("task", "every minute", since=NOON + timedelta(seconds=58))
        one.at(NOON + timedelta(seconds=62))
    assert instants(tables) == minutes(1)


@pytest.mark.behaviour("H9")
def test_dynamic_tasks_are_left_alone_where_they_are_not_enabled(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables
) -> None:
    add("task", "every minute")
    one = SchedulerAt(queue.runtime(), SchedulerOptions())
    with registered(one):
        one.at(NOON + timedelta(minutes=1))
    assert instants(tables) == []


@pytest.mark.behaviour("H31")
def test_a_paused_task_enqueues_nothing_and_makes_up_for_nothing(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables
) -> None:
    add("task", "every minute", catch_up=600)
    with registered(scheduler(queue, polling_interval=1)) as one:
        one.at(NOON)
        before = instants(tables)
        queue.recurring_tasks["task"].pause()
        one.at(NOON + timedelta(minutes=2))
        assert instants(tables) == before
        queue.recurring_tasks["task"].resume()
        set_start(queue, "task", NOON + timedelta(minutes=2.5))
        one.at(NOON + timedelta(minutes=3))
    assert instants(tables) == before + minutes(3)


@pytest.mark.behaviour("H30")
def test_run_now_takes_no_planned_run_away(add: Callable[..., None], queue: FlaskQueue, tables: Tables) -> None:
    add("task", "every minute", args=[7], queue="mail", priority=4)
    handle = queue.recurring_tasks["task"].run_now()
    row = tables.job(handle.id)
    assert (row.queue_name, row.priority, queue.describe_arguments(row.arguments)) == ("mail", 4, "7")
    with registered(scheduler(queue)) as one:
        one.at(NOON + timedelta(minutes=1))
    assert len(tables.jobs()) == len(instants(tables)) == 2
    assert minutes(1)[0] in instants(tables)


@pytest.mark.behaviour("H20")
def test_a_schedule_that_another_version_wrote_stops_no_other_task(
    add: Callable[..., None], queue: FlaskQueue, tables: Tables, errors: list[BaseException]
) -> None:
    add("a", "every minute")
    add("b", "every minute")
    with queue.database.begin() as connection:
        connection.execute(update(recurring_tasks).where(recurring_tasks.c.key == "a").values(schedule="when it suits"))
    with registered(scheduler(queue)) as one:
        one.at(NOON)
        one.at(NOON + timedelta(minutes=1))
    assert instants(tables, "b") == minutes(1)
    assert errors


@pytest.mark.behaviour("H6")
def test_old_runs_are_cleared_now_and_then(add: Callable[..., None], queue: FlaskQueue, tables: Tables) -> None:
    """All of them, also of a task that has thousands in an hour."""
    add("task", "every year")
    with queue.database.begin() as connection:
        text = "INSERT INTO queue_recurring_runs (task_key, run_at, created_at) VALUES "
        rows = [f"('task', '2001-01-01 0{n // 3600}:{n // 60 % 60:02}:{n % 60:02}.000000', '2001-01-01')" for n in range(1200)]
        connection.exec_driver_sql(text + ", ".join(rows))
    with registered(scheduler(queue)) as one:
        one.at(NOON)
    assert instants(tables) == []


@pytest.mark.behaviour("H1", "H2")
def test_every_second_by_the_real_clock(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    plain(queue)
    queue.schedule_recurring_task("task", job="job", schedule="every second")
    one = Scheduler(queue.runtime(), SchedulerOptions(dynamic_tasks_enabled=True))
    until = time.monotonic() + 2.2
    with registered(one):
        while time.monotonic() < until:
            one.nap(one.poll())
    found = instants(tables)
    assert len(found) in (2, 3)
    assert all(moment.microsecond == 0 for moment in found)
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(seconds=1)}
    late = [row.created_at - row.run_at for row in tables.runs("task")]
    assert max(late) < timedelta(seconds=0.8)


@pytest.mark.behaviour("H29")
def test_a_slow_key_function_holds_up_no_other_task(queue: FlaskQueue, add: Callable[..., None], tables: Tables) -> None:
    go = threading.Event()

    @queue.job(name="slow", concurrency=Concurrency(key=lambda: go.wait(20)))
    def slow() -> None:
        pass

    add("a", "every minute", job="slow")
    for number in range(9):
        add(f"b{number}", "every minute")
    with registered(scheduler(queue)) as one:
        one.at(NOON + timedelta(minutes=1))
        eventually(lambda: [instants(tables, f"b{number}") for number in range(9)] == [minutes(1)] * 9)
        one.at(NOON + timedelta(minutes=2))
        eventually(lambda: instants(tables, "b8") == minutes(1, 2))
        assert instants(tables, "a") == []
        go.set()
        one.drain()
    assert instants(tables, "a") == minutes(1, 2)


@pytest.mark.behaviour("H29")
def test_a_hundred_tasks_of_one_instant_are_enqueued_at_one_look(queue: FlaskQueue, add: Callable[..., None]) -> None:
    for number in range(100):
        add(f"task {number:02}", "every minute")
    with registered(SchedulerAt(queue.runtime(), SchedulerOptions(dynamic_tasks_enabled=True))) as scheduler:
        scheduler.at(NOON)
        scheduler.at(NOON + timedelta(minutes=1))
    assert {task.last_run_at for task in queue.recurring_tasks} == {NOON + timedelta(minutes=1)}
    assert queue.jobs.ready.count() == 100
