"""A few processes that do jobs one after another, and tell how each goes.

They end with this process, however it ends, and hear no Ctrl-C of their own. This room must never
know what a job is about.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol, TypeVar

from .stopping import Stop

__all__ = ["Job", "work_off"]

Result_co = TypeVar("Result_co", covariant=True)
AnyJob = TypeVar("AnyJob", bound="Job[Any]")

GLANCE = 0.1
"""Seconds after which a stop is noticed."""


class Job(Protocol[Result_co]):
    """What can be pickled, and done in another process; it tells in words how far it is."""

    def __call__(self, tell: Callable[[str], object]) -> Result_co:
        """Do it."""
        ...

    def ended(self) -> Result_co:
        """What is to be said if the process that did it is gone."""
        ...


def work_off(
    lines: Sequence[deque[AnyJob]],
    stop: Stop,
    news: Callable[[AnyJob, str], object],
) -> Iterator[tuple[AnyJob, Any]]:
    """Do jobs in other processes; each result as it comes, until all are done or a stop is asked.

    Args:
        lines: for each process, the jobs that it takes from; processes may share one.
        stop: who may ask for a stop.
        news: told what a job tells.
    """
    with stop.asks(lambda: None), _processes(len(lines)) as ends:
        waiting = dict(zip(ends, lines, strict=True))
        busy: dict[Connection, AnyJob] = {}
        while stop.code is None:
            for end in [end for end in waiting if end not in busy and waiting[end]]:
                busy[end] = waiting[end].popleft()
                end.send(busy[end])
            if not busy:
                return
            for ready in wait([*busy], GLANCE):
                assert isinstance(ready, Connection)
                try:
                    done, said = ready.recv()
                except (EOFError, OSError):  # the process is gone
                    del waiting[ready]
                    done, said = True, busy[ready].ended()
                if done:
                    yield busy.pop(ready), said
                else:
                    news(busy[ready], said)


@contextmanager
def _processes(count: int) -> Iterator[list[Connection]]:
    """So many processes, as this end of the pipe to each."""
    context = multiprocessing.get_context("spawn")
    processes: list[SpawnProcess] = []
    ends: list[Connection] = []
    try:
        with _deaf():
            for _ in range(count):
                ours, theirs = context.Pipe()
                ends.append(ours)
                with theirs:
                    process = context.Process(target=_serve, args=(theirs,), daemon=True)
                    process.start()
                processes.append(process)
        yield ends
    finally:
        for end in ends:
            end.close()
        for process in processes:
            process.kill()
            process.join()
            process.close()


@contextmanager
def _deaf() -> Iterator[None]:
    """Whoever is started meanwhile hears no Ctrl-C from its first instant on; we do, afterwards."""
    if (mask := getattr(signal, "pthread_sigmask", None)) is None:  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start, which comes with the first process, unmasks
    before = mask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        mask(signal.SIG_SETMASK, before)


def _serve(end: Connection) -> None:
    """Do jobs until nobody gives any."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable()  # what a lifecycle logs under fire is no news
    with suppress(EOFError, OSError):
        while True:
            job: Job[object] = end.recv()
            end.send((True, job(lambda text: end.send((False, text)))))
