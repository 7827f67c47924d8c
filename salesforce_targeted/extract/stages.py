"""Whose turn it is: resources of one extraction that depend on one another without being piped.

dlt polls resources in rounds; a resource that yields None says "not yet" and is asked again in the
next round. So a resource that needs what others find waits for their stages to end. With
``parallelize()`` dlt polls from threads: one stage then works at a time, for they share who was
named, what is held, and one connection. (A stage's calls are on the way side by side anyway.)
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Lock
from typing import Any, ParamSpec, Protocol

P = ParamSpec("P")


class Shared(Protocol):
    """What stages share, and the lock that whoever is at work on it holds."""

    lock: Lock


def one_at_a_time(stage: Callable[P, Iterator[Any]]) -> Callable[P, Iterator[Any]]:
    """Let a stage work only while no other one does; it has a parameter ``runs``, the Shared."""
    signature = inspect.signature(stage)

    @functools.wraps(stage)
    def alone(*args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
        shared: Shared = signature.bind(*args, **kwargs).arguments["runs"]
        with closing(stage(*args, **kwargs)) as items:  # type: ignore[type-var]
            while True:
                with shared.lock:
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                yield item

    return alone


class Stages:
    """The stages of one extraction."""

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._promised: set[str] = set()
        self._ended: set[str] = set()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Mark a stage as begun, and as ended however it ends."""
        self._begun.add(name)
        self._promised.discard(name)
        self._ended.discard(name)
        try:
            yield
        finally:
            self._ended.add(name)

    def has_begun(self, name: str) -> bool:
        """Whether a stage was begun; a second beginning means another extraction."""
        return name in self._begun and name not in self._promised

    def promise(self, name: str) -> None:
        """Say that a stage will be run, before its first turn comes."""
        self._begun.add(name)
        self._promised.add(name)

    def break_promises(self) -> None:
        """Let nobody wait for stages that may never begin; one that does is as good as before."""
        self._ended |= self._promised

    def after(self, *names: str) -> Iterator[None]:
        """Yield None until those of the stages that take part in this run have ended."""
        while any(name in self._begun and name not in self._ended for name in names):
            yield None

    @property
    def all_ended(self) -> bool:
        """Whether no stage is under way or promised."""
        return self._begun == self._ended
