"""A few processes that do jobs one after another, and tell how each goes.

They end with this process, however it ends, and hear no Ctrl-C and no SIGTERM of their own: who
sends these to a whole group of processes means us. This room must never know what a job is about.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol, TypeVar

from ...cli.stopping import Stop

__all__ = ["Job", "work_off"]

Result_co = TypeVar("Result_co", covariant=True)
AnyJob = TypeVar("AnyJob", bound="Job[Any]")

GLANCE = 0.1
"""Seconds after which a stop is noticed."""

DEAF_TO = (signal.SIGINT, signal.SIGTERM)

DEATH = 5.0
"""Seconds that a process has for ending when it has hung up; it takes milliseconds."""

GARBAGE = (50_000, 20, 100)
"""Objects and rounds before garbage is collected: jobs make millions that nothing refers to any
more, and with Python's own numbers a fifth of their time goes into looking for cycles."""


class Job(Protocol[Result_co]):
    """What can be pickled, and done in another process; it tells in words how far it is."""

    def __call__(self, tell: Callable[[str], object]) -> Result_co:
        """Do it."""
        ...

    def undone(self, why: str) -> Result_co:
        """What is to be said if it was not done to its end."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Worker:
    """A process, and our end of the pipe to it."""

    process: SpawnProcess
    end: Connection

    def death(self) -> str:
        """How it ended, in words; it has hung up."""
        self.process.join(DEATH)
        code = self.process.exitcode
        if code is None or code >= 0:
            return "its process ended" + (f" with exit code {code}" if code else "")
        return f"its process died: signal {-code}"


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
    with stop.asks(lambda: None), _processes(len(lines)) as workers:
        waiting = dict(zip(workers, lines, strict=True))
        busy: dict[Connection, tuple[Worker, AnyJob]] = {}
        while stop.code is None:
            for worker in [worker for worker in waiting if worker.end not in busy]:
                if waiting[worker]:
                    busy[worker.end] = worker, waiting[worker].popleft()
                    with suppress(OSError):  # it is gone, as its end of the pipe says, too
                        worker.end.send(busy[worker.end][1])
            if not busy:
                break
            for ready in wait([*busy], GLANCE):
                assert isinstance(ready, Connection)
                worker, job = busy[ready]
                try:
                    done, said = ready.recv()
                except (EOFError, OSError):
                    del waiting[worker]
                    done, said = True, job.undone(worker.death())
                if done:
                    del busy[ready]
                    yield job, said
                else:
                    news(job, said)
    if stop.code is None:
        for job in (job for line in lines for job in _drain(line)):
            yield job, job.undone("no process was left for it")


def _drain(line: deque[AnyJob]) -> Iterator[AnyJob]:
    """Take what is left in a line, which others may share."""
    while line:
        yield line.popleft()


@contextmanager
def _processes(count: int) -> Iterator[list[Worker]]:
    """So many processes."""
    context = multiprocessing.get_context("spawn")
    workers: list[Worker] = []
    try:
        with _deaf():
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs,), daemon=True)
                workers.append(Worker(process, ours))
                with theirs:
                    process.start()
        yield workers
    finally:
        for worker in workers:
            worker.end.close()
        for worker in workers:
            if worker.process.pid is not None:
                worker.process.kill()
                worker.process.join()
            worker.process.close()


@contextmanager
def _deaf() -> Iterator[None]:
    """Whoever is started meanwhile hears no signal from its first instant on; we do, afterwards."""
    if (mask := getattr(signal, "pthread_sigmask", None)) is None:  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start, which comes with the first process, unmasks
    before = mask(signal.SIG_BLOCK, DEAF_TO)
    try:
        yield
    finally:
        mask(signal.SIG_SETMASK, before)


def _serve(end: Connection) -> None:
    """Do jobs until nobody gives any."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    logging.disable()  # what a lifecycle logs under fire is no news
    with suppress(EOFError, OSError):
        while True:
            job: Job[object] = end.recv()
            end.send((True, job(lambda text: end.send((False, text)))))


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, whatever is being done here.

    A job that blocks would never see that nobody is at the other end of the pipe.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
