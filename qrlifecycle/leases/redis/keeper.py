"""The keeper, as one process sees it: each script as a call, within a time limit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from ...errors import LeaseLost, LeaseTakenOver
from ..base import ASKED, Holder, WhenHeld
from .client import KeeperClient, KeeperConnection, in_text
from .scripts import ACQUIRE, ASK, BEGIN, FIND, RENEW, UPDATE, Script

__all__ = ["Answer", "Hint", "Keeper", "Times", "Word", "kind_of", "read_hint"]

MOST_AT_ONCE = 16
"""Acquisitions under way at a time. Thousands that wait for an answer would delay all others."""

SAID_AT_ONCE = 500
"""Leases that a beginning says in one script: 3 ms of the keeper's time. When it comes back empty,
a hundred processes say ten thousand each. In one script apiece those would take 7 s, most of them
would be given up after `Times.timeout`, though they are still carried out, and be said again."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds; `RedisLeases` says what each means."""

    ttl: float
    renew_every: float
    timeout: float
    drift: float
    slack: float
    close_within: float

    @property
    def kept(self) -> float:
        """For how long after a renewal was *sent* a process may hold what it holds.

        The server counts from a later moment. What is left after this is for closing, for a server
        whose clock is faster than ours, and for an event loop that is late.
        """
        return self.ttl * (1 - self.drift) - self.slack - self.close_within


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to who would have a lease."""

    word: str
    """held, taken, superseded, wait, grace, no session."""
    token: int = 0
    seconds: float = 0.0
    """After which it may be another answer."""
    machine: str = ""
    """Whose holder is waited for."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What was said to this process: leave, free, superseded."""

    word: str
    key: str
    holder: str
    by: str | None = None
    """The machine that takes over; empty where somebody asked the holder to leave. None where that
    is not said."""

    def taken_over(self) -> LeaseTakenOver:
        """What it means to who holds the lease, or waits for it."""
        if self.by is None:
            return LeaseTakenOver()
        return LeaseTakenOver(f"machine {self.by!r} took the lease over" if self.by else ASKED)


@dataclass(frozen=True, slots=True)
class Word:
    """What this process says of a lease, without waiting: confirm, release; or that it ends."""

    word: str
    key: str
    holder: str


class Keeper:
    """A Redis server.

    Args:
        client: the way to it.
        times: the time to live, and the limit of each call.
        prefix: what all keys and channels begin with.
        process: the name of this process with it.
        machine: what others are told of where a holder is.
    """

    def __init__(
        self, client: KeeperClient, times: Times, prefix: str, process: str, machine: str
    ) -> None:
        self._client = client
        self._times = times
        self._prefix = prefix
        self._process = process
        self._machine = machine
        self._at_once = anyio.CapacityLimiter(MOST_AT_ONCE)
        self._for_renewals: KeeperConnection | None = None
        self._for_all_else: KeeperConnection | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """With two connections: nothing that is said delays a renewal."""
        async with self._client.connection() as one, self._client.connection() as other:
            self._for_renewals, self._for_all_else = one, other
            yield

    async def begin(self, session: str, held: Sequence[tuple[str, str, int]]) -> list[str]:
        """Begin a session, and say once more what is held; the holders that hold it no more.

        Raises:
            LeaseLost: the keeper was not reached, or has forgotten what had been said by then. The
                session is not to be used.
        """
        about, gone = (session, self._process, self._machine), list[str]()
        for start in range(0, len(held) or 1, SAID_AT_ONCE):  # the session begins with nothing, too
            said = [str(word) for one in held[start : start + SAID_AT_ONCE] for word in one]
            which = "more" if start else "first"
            answer = await self._run(self._for_renewals, BEGIN, *about, which, *said)
            if answer is None or answer is False:
                raise LeaseLost("the keeper of the leases has forgotten what it was just told")
            gone += answer
        return gone

    async def renew(self, session: str) -> list[Hint] | None:
        """Let the session live on; who was asked to leave. None if there is no such session."""
        asked = await self._run(self._for_renewals, RENEW, session, self._process)
        if asked is None or asked is False:
            return None
        if isinstance(asked, dict):  # RESP3
            asked = [part for pair in asked.items() for part in pair]
        return [
            Hint("leave", key, holder, by)
            for holder, said in zip(asked[::2], asked[1::2], strict=True)
            for key, _, by in [said.partition("\n")]
        ]

    async def acquire(
        self, session: str, key: str, holder: str, when_held: WhenHeld, *, claimed: bool
    ) -> Answer:
        """Ask for a lease."""
        args = (session, self._process, self._machine, key, holder, when_held, str(int(claimed)))
        async with self._at_once:
            word, *more = await self._run(self._for_all_else, ACQUIRE, *args)
        if word == "held":
            return Answer(word, token=int(more[0]))
        seconds = max(0, int(more[0])) / 1000 if more else 0.0
        return Answer(word, seconds=seconds, machine=more[1] if len(more) > 1 else "")

    async def update(self, words: Iterable[Word]) -> None:
        """Say many words at once, in order."""
        said = [part for one in words for part in (one.word, one.key, one.holder)]
        await self._run(self._for_all_else, UPDATE, *said)

    async def find(self, key: str) -> Holder | None:
        """Who holds a lease.

        Raises:
            LeaseLost: nobody knows, as for all that is asked; or not yet.
        """
        answer = await self._run(self._for_all_else, FIND, key)
        if not _is_held(answer):
            return None
        _, machine, since, token = answer
        return Holder(machine, int(since) / 1000, int(token))

    async def ask(self, key: str) -> bool:
        """Ask its holder to leave; whether there is one.

        Raises:
            LeaseLost: likewise.
        """
        return _is_held(await self._run(self._for_all_else, ASK, key))

    @asynccontextmanager
    async def hints(self) -> AsyncIterator[AsyncIterator[str]]:
        """What is said to this process, until the connection breaks."""
        async with self._client.messages(f"{self._prefix}to:{self._process}") as messages:
            yield messages

    async def _run(self, connection: KeeperConnection | None, script: Script, *args: str) -> Any:
        """Within the time limit.

        Raises:
            LeaseLost: no answer, or an error; the text has its kind, for clients speak of what they
                were sent.
        """
        assert connection is not None, "within connected()"
        ttl = str(int(self._times.ttl * 1000))
        try:
            with anyio.fail_after(self._times.timeout):
                key = f"{self._prefix}server"
                return in_text(await connection.run(script, key, (self._prefix, ttl, *args)))
        except TimeoutError:
            connection.drop()
            kind = f"within {self._times.timeout:g} s"
        except Exception as error:
            kind = f"but with {kind_of(error)}"
        raise LeaseLost(f"the keeper of the leases did not answer {kind}")


def _is_held(answer: Sequence[Any]) -> bool:
    """Whether there is a holder, in an answer to who asked for one.

    Raises:
        LeaseLost: that is not known yet.
    """
    if answer[0] == "grace":
        raise LeaseLost(
            "nobody knows: the keeper has just begun, or lost its data, and for "
            f"{int(answer[1]) / 1000:.1f} s more those who hold a lease may say so"
        )
    return bool(answer[0] == "holder")


def kind_of(error: BaseException) -> str:
    """An error's kind, for a text, and what to do where nobody but a person can.

    Clients' words may hold what they were sent: only the first is looked at, the server's code.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    kind = type(error).__name__
    code = str(error).partition(" ")[0]
    if kind.startswith("Authentication") or code in {"NOAUTH", "WRONGPASS"}:
        return f"{kind} (check the user and the password that the client has)"
    in_script = "ACL failure in script" in str(error)
    if kind in {"AuthorizationError", "NoPermissionError"} or code == "NOPERM" or in_script:
        return f"{kind} (check what its user may do: the commands, the keys and the channels)"
    if kind == "MaxConnectionsError":
        return f"{kind} (its pool is too small: leases take three connections of it)"
    if isinstance(error, RuntimeError):
        return f"{kind} (has the program entered the client, with 'async with'?)"
    if kind in {"ConnectionError", "ConnectionRefusedError"}:
        return f"{kind} (is it up, and at the address that the client has?)"
    return kind


def read_hint(text: str) -> Hint | None:
    """What was published; None if it is nothing of ours."""
    try:
        said: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match said:
        case [str(word), str(key), str(holder)]:
            return Hint(word, key, holder)
        case [str(word), str(key), str(holder), str(by)]:
            return Hint(word, key, holder, by)
    return None
