"""Naps that end early when they should."""

from __future__ import annotations

import gc
import os
import threading
import time

from flask_queue.processes.interruptible import Interruptible


def test_a_nap_lasts_as_long_as_it_is_told() -> None:
    alarm, started = Interruptible(), time.monotonic()
    assert not alarm.nap(0.05)
    assert 0.045 <= time.monotonic() - started < 2
    assert not alarm.nap(-1)


def test_it_can_be_woken_from_another_thread() -> None:
    alarm, started = Interruptible(), time.monotonic()
    threading.Timer(0.05, alarm.wake).start()
    assert alarm.nap(20)
    assert time.monotonic() - started < 10


def test_a_call_that_came_too_early_ends_the_next_nap_and_only_that() -> None:
    alarm = Interruptible()
    for _ in range(100_000):
        alarm.wake()
    assert alarm.nap(20)
    assert not alarm.nap(0)


def test_news_on_a_descriptor_end_a_nap() -> None:
    alarm = Interruptible()
    reader, writer = os.pipe()
    os.write(writer, b"x")
    assert alarm.nap(20, [reader])
    assert not alarm.nap(0), "not watched any more"
    os.close(reader)
    os.close(writer)


def test_it_gives_its_descriptors_back_when_nobody_can_wake_it_any_more() -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    alarms = [Interruptible() for _ in range(10)]
    assert len(os.listdir("/proc/self/fd")) == before, "who makes it need not be who sleeps"
    for alarm in alarms:
        alarm.nap(0)
    assert len(os.listdir("/proc/self/fd")) == before + 20
    del alarms, alarm
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_it_does_not_mind_somebody_who_closes_every_descriptor() -> None:
    """As a job does that makes a daemon of itself. A complaint would fail this test."""
    alarm = Interruptible()
    alarm.open()
    for end in (alarm._reader, alarm._writer):
        os.close(end)
    del alarm
    gc.collect()
