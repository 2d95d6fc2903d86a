"""Processes forked for one piece of work each: their limits, their last word, how they ended."""

from __future__ import annotations

import mmap
import os
import resource
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import NoReturn, Self

__all__ = ["Forks", "Slate", "Verdict", "Work", "limit", "nowhere"]

MOST_MEMORY = 3 * 2**29
"""Bytes of address space for a mutant that collects without end."""


class Verdict(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    """A test failed."""
    TIMED_OUT = "timed out"
    """It went on for so long that it never ends."""
    SURVIVED = "survived"


class Slate:
    """Where a forked process writes a word down that its parent reads, however it ends."""

    SIZE = 2**20
    LENGTH = 4
    """Bytes that say how many follow."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, self.SIZE)

    def write(self, word: str) -> None:
        """Put a word in place of the one before."""
        text = word.encode()
        self._shared[: self.LENGTH + len(text)] = len(text).to_bytes(self.LENGTH, "big") + text

    def read(self) -> str:
        """The last word; empty if there was none."""
        length = int.from_bytes(self._shared[: self.LENGTH], "big")
        return self._shared[self.LENGTH : self.LENGTH + length].decode(errors="replace")

    def close(self) -> None:
        """Give the memory back."""
        self._shared.close()


Work = Callable[[Slate], bool]
"""What a process is for; says whether all was well."""

Ended = Callable[[Verdict, str], object]
"""Is told how a process ended, and its last word."""


def limit(cpu: float, clock: float) -> None:
    """Let this process be killed in so many seconds of its own, or on the clock."""
    signal.setitimer(signal.ITIMER_PROF, cpu)
    signal.setitimer(signal.ITIMER_REAL, clock)


def nowhere(*descriptors: int) -> None:
    """Let descriptors lead nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


class Forks:
    """So many processes at a time; leaving waits for all of them, or kills them after an error.

    Args:
        jobs: how many.
        loud: whether what they print is seen.
    """

    def __init__(self, jobs: int, *, loud: bool = False) -> None:
        self._jobs = jobs
        self._loud = loud
        self._running: dict[int, tuple[Slate, Ended]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            while kind is None and self._running:
                self._wait()
        finally:
            for pid in self._running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                _kill_group(pid)
                os.waitpid(pid, 0)

    def begin(self, work: Work, ended: Ended) -> None:
        """Fork a process for a piece of work, as soon as there is room for one."""
        if len(self._running) == self._jobs:
            self._wait()
        slate = Slate()
        if (pid := os.fork()) == 0:
            _do(work, slate, loud=self._loud)
        self._running[pid] = slate, ended

    def _wait(self) -> None:
        pid, status = os.wait()
        if pid not in self._running:
            return
        slate, ended = self._running.pop(pid)
        _kill_group(pid)
        word = slate.read()
        slate.close()
        ended(_verdict_of(status), word)


def _do(work: Work, slate: Slate, *, loud: bool) -> NoReturn:
    code = 1
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        nowhere(*((0,) if loud else (0, 1, 2)))
        code = 0 if work(slate) else 1
    except BaseException:  # whatever it is, somebody has noticed
        traceback.print_exc()
    finally:
        os._exit(code)


def _kill_group(pid: int) -> None:
    """Kill what a process has started and left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _verdict_of(status: int) -> Verdict:
    """What the end of a process says, as `os.wait` gives it."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGALRM, signal.SIGPROF}:
        return Verdict.TIMED_OUT
    return Verdict.SURVIVED if status == 0 else Verdict.KILLED
