"""Named events of the queue, and the hooks in the lives of its processes. Facts are emitted here and worded in log.py.

This module knows nothing of the rest.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

Payload = dict[str, Any]
Listener = Callable[[str, Payload], None]
Hook = TypeVar("Hook", bound=Callable[..., Any])
ErrorHandler = Callable[[BaseException], Any]


class Events:
    """Tells its listeners what happened: `listener(name, payload)`, in the thread where it happened."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Listener:
        """Call `listener` for every event from now on."""
        self._listeners.append(listener)
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        """Stop calling `listener`."""
        self._listeners.remove(listener)

    def emit(self, name: str, /, **payload: Any) -> None:
        """Say that `name` happened. A listener that raises stops nothing."""
        for listener in self._listeners:
            try:
                listener(name, payload)
            except Exception as error:
                # Told to the others; a listener that breaks on that too is left alone.
                if name != "thread_error":
                    self.emit("thread_error", error=error, handled=False)

    @contextmanager
    def instrument(self, name: str, /, **payload: Any) -> Iterator[Payload]:
        """Emit `name` at the end of the block, with how long it took (`duration`, seconds) and its `error`, if any.

        The block may add facts to the dictionary that it is given.
        """
        started = time.perf_counter()
        try:
            yield payload
        except BaseException as error:
            payload["error"] = error
            raise
        finally:
            payload["duration"] = time.perf_counter() - started
            self.emit(name, **payload)


class HasHooks(Protocol):
    """Whatever hooks can be given to."""

    hooks: Hooks


class HookPoint:
    """A decorator, as an attribute of whatever has hooks: the function is called with the process at this point of its life."""

    def __init__(self, event: str) -> None:
        self._event = event

    def __get__(self, owner: HasHooks, kind: type) -> Callable[[Hook], Hook]:
        return lambda hook: owner.hooks.add(self._event, hook)


class Hooks:
    """Functions that users want called at points in a process's life, by event name, in the order they were given."""

    def __init__(self) -> None:
        self._hooks: dict[str, list[Callable[[Any], Any]]] = defaultdict(list)
        self.error_handlers: list[ErrorHandler] = []

    def add(self, event: str, hook: Hook) -> Hook:
        """Call `hook(process)` whenever `event` happens."""
        self._hooks[event].append(hook)
        return hook

    def of(self, event: str) -> tuple[Callable[[Any], Any], ...]:
        """The hooks of `event`."""
        return tuple(self._hooks[event])
