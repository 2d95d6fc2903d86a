"""What the scripts in Lua do at a Redis server, done in memory: the same answers, word for word.

`tests/leases/test_simulated_keeper.py` puts both to the same drawn commands. Time is given with
each command, in seconds; expiry is looked at when something is looked up, as Redis does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from qrlifecycle.leases.redis.scripts import (
    ACQUIRE,
    ASK,
    BEGIN,
    FIND,
    KEPT,
    RENEW,
    UPDATE,
    Script,
)

__all__ = ["InMemoryKeeper", "Record"]


@dataclass(slots=True)
class Record:
    """A lease, as the hash in Redis has it; ``until`` is when the hash expires, in milliseconds."""

    holder: str
    session: str
    process: str
    machine: str
    token: str
    since: int
    until: float = 0
    claim: str | None = None
    claim_process: str | None = None


@dataclass(slots=True)
class Asked:
    """Which holders of a process were asked to leave; until when, in milliseconds."""

    holders: dict[str, str] = field(default_factory=dict)
    until: float = 0


class InMemoryKeeper:
    """A Redis that knows six scripts and nothing else.

    Args:
        publish: told the process and the text of each hint.
    """

    def __init__(self, publish: Callable[[str, str], object]) -> None:
        self._publish = publish
        self.leases: dict[str, Record] = {}
        self.sessions: dict[str, float] = {}
        """Until when each lives, in milliseconds."""
        self.asks: dict[str, Asked] = {}
        self.grace_until: int | None = None
        """In milliseconds; None before it was asked for anything."""
        self.token = 0
        self._now = 0.0
        self._ttl = 0
        self._scripts: dict[Script, Callable[..., Any]] = {
            ACQUIRE: self._acquire, ASK: self._ask, BEGIN: self._begin,
            FIND: self._find, RENEW: self._renew, UPDATE: self._update,
        }  # fmt: skip

    def run(self, script: Script, args: Sequence[str], now: float) -> Any:
        """Run a script at a moment; its answer as a client would give it."""
        self._now = now
        self._ttl = int(args[1])
        return self._scripts[script](*args[2:])

    @property
    def _ms(self) -> int:
        return int(self._now * 1000)

    def _grace(self) -> int:
        if self.grace_until is None:
            self.grace_until = self._ms + self._ttl
        return self.grace_until - self._ms

    def _alive(self, session: str) -> bool:
        return self.sessions.get(session, -1) > self._ms

    def _overtaken(self, session: str, known: str) -> bool:
        return known > session and self._alive(known)

    def _lease(self, key: str) -> Record | None:
        lease = self.leases.get(key)
        if lease is not None and lease.until <= self._ms:
            del self.leases[key]
            return None
        return lease

    def _asked(self, process: str) -> Asked:
        asked = self.asks.get(process)
        return asked if asked is not None and asked.until > self._ms else Asked()

    def _tell(self, process: str, *words: str) -> None:
        self._publish(process, json.dumps(words))

    def _ask_holder(self, process: str, key: str, holder: str, by: str) -> None:
        asked = self.asks[process] = self._asked(process)
        asked.holders[holder] = f"{key}\n{by}"
        asked.until = self._ms + 4 * self._ttl
        self._tell(process, "leave", key, holder, by)

    # The scripts

    def _begin(
        self, session: str, process: str, machine: str, which: str, *said: str
    ) -> list[str] | None:
        self._grace()
        if which != "first" and not self._alive(session):
            return None
        self.sessions[session] = self._ms + self._ttl
        gone = []
        for key, holder, token in _groups(said):
            known = self._lease(key)
            if known is not None and known.holder != holder:
                gone.append(holder)
            elif known is None or not self._overtaken(session, known.session):
                self._say_again(known, key, Record(
                    holder, session, process, machine, token, self._ms
                ))  # fmt: skip
        return gone

    def _say_again(self, known: Record | None, key: str, said: Record) -> None:
        if known is not None:
            said.since, said.claim = known.since, known.claim
            said.claim_process = known.claim_process
        said.until = self._ms + KEPT
        self.leases[key] = said
        self.token = max(self.token, int(said.token))

    def _renew(self, session: str, process: str) -> list[str] | None:
        if not self._alive(session):
            return None
        self.sessions[session] = self._ms + self._ttl
        asked = self._asked(process)
        self.asks.pop(process, None)
        return [word for pair in asked.holders.items() for word in pair]

    def _acquire(self, *said: str) -> list[Any]:
        session, process, machine, key, holder, _, _ = said
        if not self._alive(session):
            return ["no session"]
        if (wait := self._grace()) > 0:
            return ["grace", wait]
        known = self._lease(key)
        if known is not None and known.holder == holder:
            if not self._overtaken(session, known.session):
                known.session, known.process = session, process
            return ["held", known.token]
        if known is not None and self._alive(known.session):
            return self._wait_for(known, *said[1:])
        self.token = max(int(self._now * 1e6), self.token + 1)
        self.leases[key] = Record(
            holder, session, process, machine, str(self.token), self._ms,
            until=self._ms + 2 * self._ttl,
        )  # fmt: skip
        return ["held", str(self.token)]

    def _wait_for(self, known: Record, *said: str) -> list[Any]:
        process, machine, key, holder, mode, claimed = said
        if mode == "reject":
            return ["taken"]
        if known.claim != holder:
            if claimed == "1":
                return ["superseded"]
            if known.claim is not None and known.claim_process is not None:
                self._tell(known.claim_process, "superseded", key, known.claim, machine)
            known.claim, known.claim_process = holder, process
        self._ask_holder(known.process, key, known.holder, machine)
        left = round(self.sessions[known.session] - self._ms)
        return ["wait", left, known.machine]

    def _update(self, *said: str) -> int:
        for word, key, holder in _groups(said):
            if word == "end":
                self.sessions.pop(holder, None)
                self.asks.pop(key, None)
                continue
            known = self._lease(key)
            if known is None:
                continue
            if word == "confirm":
                if known.holder == holder:
                    known.until = self._ms + KEPT
            else:
                self._release(known, key, holder)
        return 1

    def _release(self, known: Record, key: str, holder: str) -> None:
        claim, claim_process = known.claim, known.claim_process
        if claim == holder:
            known.claim = known.claim_process = None
        elif known.holder == holder:
            del self.leases[key]
            self._asked(known.process).holders.pop(holder, None)
            if claim is not None and claim_process is not None:
                self._tell(claim_process, "free", key, claim)

    def _find(self, key: str) -> list[Any]:
        known = self._lease(key)
        if known is None or not self._alive(known.session):
            return self._nobody()
        return ["holder", known.machine, str(known.since), known.token]

    def _ask(self, key: str) -> list[Any]:
        known = self._lease(key)
        if known is None or not self._alive(known.session):
            return self._nobody()
        self._ask_holder(known.process, key, known.holder, "")
        return ["holder"]

    def _nobody(self) -> list[Any]:
        return ["grace", wait] if (wait := self._grace()) > 0 else ["nobody"]


def _groups(said: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    return zip(said[::3], said[1::3], said[2::3], strict=True)
