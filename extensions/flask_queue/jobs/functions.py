"""Of the functions of jobs: what one is called that was given no name, whether two are the same, what one takes and gives."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")


def default_name(function: Callable[..., Any]) -> str:
    """Its module and the name that it has there."""
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def are_same(one: Callable[..., Any], another: Callable[..., Any], *, named: bool) -> bool:
    """Whether two are one function, which may have been made twice: modules are loaded again, factories declare jobs.

    :param named: they were given a name of their own, which tells as much as that of their place.
    """
    if default_name(one) != default_name(another):
        return False
    return named or one is another or (_has_place(one) and _are_alike(one, another))


def _has_place(function: Callable[..., Any]) -> bool:
    """Whether it can be told where it stands; of an instance, or of a partial, no more is known than its class."""
    return hasattr(function, "__qualname__")


def _are_alike(one: Callable[..., Any], another: Callable[..., Any]) -> bool:
    """Whether two of one place are one. All lambdas of a module share their place, and so does all that a decorator makes."""
    if "<" not in one.__qualname__:
        return True
    pairs = zip(_enclosed(one), _enclosed(another), strict=False)
    return getattr(one, "__code__", None) == getattr(another, "__code__", None) and all(
        default_name(inner) == default_name(other)
        for inner, other in pairs
        if inspect.isfunction(inner) and inspect.isfunction(other)
    )


def _enclosed(function: Callable[..., Any]) -> Iterator[Any]:
    """The values that it finds around it; None for one that is not there yet."""
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:
            yield None


def complaint_of_call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """Why a function cannot be called with these arguments; None where it can, or nobody can tell."""
    try:
        # Not what is behind a decorator: that may be given more than the decorator is.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # some that are written in C do not say
        return None
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        return f"The job does not take these arguments: {error}."
    return None


def is_generator(function: Callable[..., Any]) -> bool:
    """Whether a call of it would run nothing, as it has a `yield`."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def complete(given: Any) -> None:
    """See to it that a call has run, by what it gave: a wrapped coroutine function gives a coroutine, which has not begun yet.

    :raises TypeError: for a generator, which has not, either, and which nobody is going to ask for anything.
    """
    if given is None:
        return
    if isinstance(given, Generator | AsyncGenerator):
        raise TypeError(f"The job's function gave a {type(given).__name__}, of which nothing has run: leave out its `yield`.")
    if asyncio.iscoroutine(given):
        run_to_its_end(given)


def run_to_its_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on an event loop of its own; in another thread where one runs in this already, a view's or a test's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(max_workers=1) as beside:
        return beside.submit(copy_context().run, asyncio.run, coroutine).result()
