"""A few processes that do jobs one after another, and report how far they are.

They end with this process, however it ends, and ignore Ctrl-C and SIGTERM: a signal to a whole
group of processes is handled by this one.
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

__all__ = ["Job", "work_off"]

Result_co = TypeVar("Result_co", covariant=True)
AnyJob = TypeVar("AnyJob", bound="Job[Any]")

STOP_CHECK_INTERVAL = 0.1
"""Seconds after which a stop is noticed."""

IGNORED = (signal.SIGINT, signal.SIGTERM)

ENDING = 5.0
"""Seconds for a process to end after it closed its pipe; it takes milliseconds."""

GARBAGE = (50_000, 20, 100)
"""Thresholds of the garbage collector. Jobs make millions of short-lived objects; with Python's
defaults they spend a fifth of their time looking for cycles."""


class Job(Protocol[Result_co]):
    """It can be pickled, and done in another process; it reports in words how far it is."""

    def __call__(self, report: Callable[[str], object]) -> Result_co:
        """Do it."""
        ...

    def undone(self, why: str) -> Result_co:
        """The result if it was not done to its end."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Worker:
    """A process, and our end of the pipe to it."""

    process: SpawnProcess
    end: Connection

    def death(self) -> str:
        """How it ended, in words; its pipe is closed."""
        self.process.join(ENDING)
        code = self.process.exitcode
        if code is None or code >= 0:
            return "its process ended" + (f" with exit code {code}" if code else "")
        return f"its process died: signal {-code}"


def work_off(
    queues: Sequence[deque[AnyJob]],
    stopped: Callable[[], bool],
    news: Callable[[AnyJob, str], object],
) -> Iterator[tuple[AnyJob, Any]]:
    """Do jobs in other processes; yield each result as it comes, until all are done, or a stop.

    Args:
        queues: for each process, the jobs that it takes from; processes may share a queue.
        stopped: whether to stop; called about ten times in a second.
        news: called with what a job reports about its progress.
    """
    with _processes(len(queues)) as workers:
        waiting = dict(zip(workers, queues, strict=True))
        busy: dict[Connection, tuple[Worker, AnyJob]] = {}
        while not stopped():
            for worker in [worker for worker in waiting if worker.end not in busy]:
                if waiting[worker]:
                    busy[worker.end] = worker, waiting[worker].popleft()
                    with suppress(OSError):  # it has ended; its end of the pipe reports that, too
                        worker.end.send(busy[worker.end][1])
            if not busy:
                break
            for ready in wait([*busy], STOP_CHECK_INTERVAL):
                assert isinstance(ready, Connection)
                worker, job = busy[ready]
                try:
                    done, message = ready.recv()
                except (EOFError, OSError):
                    del waiting[worker]
                    done, message = True, job.undone(worker.death())
                if done:
                    del busy[ready]
                    yield job, message
                else:
                    news(job, message)
    if not stopped():
        for job in (job for queue in queues for job in _drain(queue)):
            yield job, job.undone("no process was left for it")


def _drain(queue: deque[AnyJob]) -> Iterator[AnyJob]:
    """Take what is left in a queue, which others may share."""
    while queue:
        yield queue.popleft()


@contextmanager
def _processes(count: int) -> Iterator[list[Worker]]:
    """A number of processes."""
    context = multiprocessing.get_context("spawn")
    workers: list[Worker] = []
    try:
        with _signals_blocked():
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
def _signals_blocked() -> Iterator[None]:
    """Processes that are started meanwhile get no signal from the start; we do, afterwards."""
    if (mask := getattr(signal, "pthread_sigmask", None)) is None:  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # started with the first process, it would unblock them
    before = mask(signal.SIG_BLOCK, IGNORED)
    try:
        yield
    finally:
        mask(signal.SIG_SETMASK, before)


def _serve(end: Connection) -> None:
    """Do jobs until the pipe is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    logging.disable()  # the log of tested lifecycles is of no interest
    with suppress(EOFError, OSError):
        while True:
            job: Job[object] = end.recv()
            end.send((True, job(lambda text: end.send((False, text)))))


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, whatever it is doing.

    A job that blocks would never notice that the pipe is closed.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
