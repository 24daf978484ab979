"""Hooks of the test application, switched on by environment variables, as only real processes need them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from .extensions import queue

#: A file to which every hook writes a line: event, kind, pid, and a fact that only a whole process knows.
NOTES = "HARNESS_HOOKS"
#: A file: the first worker that starts while it is missing makes it, and then hangs.
HANG_ONCE = "HARNESS_HANG_ONCE"
#: Workers die as soon as they start.
DIE = "HARNESS_DIE"
#: A file: the worker that stops writes the names of the modules that it has imported into it.
MODULES = "HARNESS_MODULES"

EVENTS = ("start", "stop", "exit")


def note(event: str, process: Any) -> None:
    if path := os.environ.get(NOTES):
        facts = getattr(process, "queues", None) or getattr(process, "batch_size", None) or getattr(process, "task_keys", None)
        line = f"{event} {process.kind} {process.pid} {facts or process.mode}\n"
        with open(path, "a", encoding="utf-8") as file:
            file.write(line)


def hooks_of(event: str) -> None:
    for owner in ("", "worker_", "dispatcher_", "scheduler_"):
        getattr(queue, f"on_{owner}{event}")(lambda process: note(event, process))


for name in EVENTS:
    hooks_of(name)


@queue.on_worker_start
def hang_or_die(process: Any) -> None:
    if os.environ.get(DIE):
        os._exit(7)
    path = os.environ.get(HANG_ONCE)
    if path and not Path(path).exists():
        Path(path).touch()
        time.sleep(60)


@queue.on_worker_stop
def list_modules(process: Any) -> None:
    if path := os.environ.get(MODULES):
        Path(path).write_text("\n".join(sys.modules))
