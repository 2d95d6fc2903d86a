"""The keeper in memory, that a simulation runs on, answers as the scripts at a real server do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qrlifecycle.leases.redis.scripts import ACQUIRE, ASK, BEGIN, FIND, RENEW, UPDATE, Script

from ..benchmarks.simulation.keeper import InMemoryKeeper
from .redis_server import RedisServer

TTL = 10_000_000
"""Milliseconds: nothing runs out but what a test lets run out."""

AT_ONCE = 100_000
"""Milliseconds: what is nearer to each other is the same moment, in two places."""

LAST_TOKEN = 2**52
"""Later than any token by the clock, so that both count on from it."""

PROCESS = {"a1": "p", "a2": "p", "b1": "q"}
"""Of each session; those of a process are in their order."""

HOLDERS = {"h1": "p", "h2": "p", "h3": "q"}

KEYS = ("one", "two")

sessions, holders, keys = (st.sampled_from(list(each)) for each in (PROCESS, HOLDERS, KEYS))

said = st.tuples(keys, holders, st.sampled_from(["5", "7", str(LAST_TOKEN + 1000)]))

words = st.tuples(st.sampled_from(["confirm", "release"]), keys, holders) | st.tuples(
    st.just("end"), st.sampled_from(["p", "q"]), sessions
)


def _begin(session: str, which: str, leases: list[tuple[str, str, str]]) -> tuple[Any, ...]:
    return BEGIN, session, PROCESS[session], "m", which, *(part for one in leases for part in one)


acquire = st.builds(
    lambda session, *more: (ACQUIRE, session, PROCESS[session], "m", *more),
    sessions, keys, holders, st.sampled_from(["take_over", "take_over", "reject"]),
    st.sampled_from("01"),
)  # fmt: skip

begin = st.builds(_begin, sessions, st.sampled_from(["first", "more"]), st.lists(said, max_size=3))
renew = st.builds(lambda session: (RENEW, session, PROCESS[session]), sessions)
update = st.builds(
    lambda many: (UPDATE, *(part for one in many for part in one)), st.lists(words, max_size=4)
)
look = st.builds(lambda script, key: (script, key), st.sampled_from([FIND, ASK]), keys)
runs_out = st.one_of(
    st.builds(lambda session: ("session runs out", session), sessions),
    st.builds(lambda key: ("lease runs out", key), keys),
)
restarts = st.sampled_from([("restarts empty",), ("grace is over",), ("grace is over",)])

acts = st.sampled_from(
    [acquire] * 12 + [update] * 5 + [begin, begin, begin, renew, renew, look, runs_out, restarts]
).flatmap(lambda kind: kind)
"""Scripts with their arguments, and what befalls a keeper; what is said most comes most."""


class Both:
    """A real server and the keeper in memory, which are told the same."""

    def __init__(self, server: RedisServer) -> None:
        self.server, self.admin = server, server.admin
        self.published: list[tuple[str, list[str]]] = []
        self.memory = InMemoryKeeper(self._note)
        self.restart_empty()
        self.end_grace()

    def _note(self, process: str, text: str) -> None:
        self.published.append((process, json.loads(text)))

    def restart_empty(self) -> None:
        """All is forgotten but what tokens are by then; it grants nothing yet."""
        self.admin.flushall()
        self.admin.set("{qrl}:token", LAST_TOKEN)
        self.memory = InMemoryKeeper(self._note)
        self.memory.token = LAST_TOKEN

    def end_grace(self) -> None:
        """It grants from now on."""
        self.server.end_grace()
        self.memory.grace_until = 0

    def do(self, act: Sequence[Any]) -> None:
        """One thing, to both; a script's answers are the same."""
        match act:
            case [Script() as script, *args]:
                said = ("{qrl}:", str(TTL), *args)
                theirs = self.admin.eval(script.text, 1, "{qrl}:server", *said)
                ours = self.memory.run(script, said, time.time())
                assert same(ours, theirs), (ours, theirs)
            case ["session runs out", session]:
                self.admin.delete(f"{{qrl}}:session:{session}")
                self.memory.sessions.pop(session, None)
            case ["lease runs out", key]:
                self.admin.delete(f"{{qrl}}:lease:{key}")
                self.memory.leases.pop(key, None)
            case ["restarts empty"]:
                self.restart_empty()
            case _:
                self.end_grace()

    def compare(self) -> None:
        """Both know the same, and for as long."""
        for key in KEYS:
            self._same_hash(f"lease:{key}", self.memory.leases.get(key), _lease)
        for process in {*PROCESS.values()}:
            asked = self.memory.asks.get(process)
            of_it = asked if asked is not None and asked.holders else None
            self._same_hash(f"asks:{process}", of_it, lambda one: one.holders)
        for session in PROCESS:
            until = self.memory.sessions.get(session)
            self._same_time(f"session:{session}", until)
        assert int(self.admin.get("{qrl}:token")) == self.memory.token

    def _same_hash(self, name: str, ours: Any, fields: Callable[[Any], dict[str, str]]) -> None:
        theirs = self.admin.hgetall(f"{{qrl}}:{name}")
        expected = {} if ours is None else fields(ours)
        assert theirs.keys() == expected.keys()
        for field, value in expected.items():
            assert same(value, theirs[field]), (name, field)
        self._same_time(name, None if ours is None else ours.until)

    def _same_time(self, name: str, until: float | None) -> None:
        left = self.admin.pttl(f"{{qrl}}:{name}")
        assert (left == -2) == (until is None), name
        assert until is None or abs(until - time.time() * 1000 - left) < AT_ONCE, name


def _lease(record: Any) -> dict[str, str]:
    names = ("holder", "session", "process", "machine", "token", "since", "claim", "claim_process")
    values = {name: getattr(record, name) for name in names}
    return {name: str(value) for name, value in values.items() if value is not None}


def same(ours: Any, theirs: Any) -> bool:
    """Word for word; times and what is left of one are the same moment."""
    if isinstance(ours, list):
        return (
            isinstance(theirs, list) and len(ours) == len(theirs) and all(map(same, ours, theirs))
        )
    mine, other = str(ours), str(theirs)
    if mine.isdecimal() and other.isdecimal() and int(mine) > 1000:
        return abs(int(mine) - int(other)) < (1 if int(mine) >= LAST_TOKEN else AT_ONCE)
    return bool(ours == theirs)


def tell_both(server: RedisServer, drawn: list[Any]) -> None:
    """Do all of this; what is published is the same, too, and in the same order."""
    both = Both(server)
    with server.admin.pubsub() as heard:
        heard.psubscribe("{qrl}:to:*")
        for act in [*(_begin(session, "first", []) for session in PROCESS), *drawn]:
            both.do(act)
        both.compare()
        server.admin.publish("{qrl}:to:", '["end"]')
        published = list[tuple[str, list[str]]]()
        for message in heard.listen():
            if message["type"] == "pmessage":
                process = message["channel"].removeprefix("{qrl}:to:")
                if not process:
                    break
                published.append((process, json.loads(message["data"])))
    assert both.published == published


CLAIMS = [
    (ACQUIRE, "a1", "p", "m", "one", "h1", "take_over", "0"),
    (ACQUIRE, "b1", "q", "m", "one", "h3", "take_over", "0"),
    (ACQUIRE, "a2", "p", "m", "one", "h2", "take_over", "0"),
    (ACQUIRE, "b1", "q", "m", "one", "h3", "take_over", "1"),
    (UPDATE, "confirm", "one", "h1", "release", "one", "h3"),
    (UPDATE, "release", "one", "h1"),
    (ACQUIRE, "a2", "p", "m", "one", "h2", "take_over", "1"),
    (ACQUIRE, "b1", "q", "m", "one", "h3", "take_over", "0"),
    (UPDATE, "release", "one", "h3"),
    (RENEW, "a2", "p"),
    (UPDATE, "release", "one", "h2"),
]
"""One is taken over by two, of which the first is superseded; the second lets a claim go."""

LATE = [
    (ACQUIRE, "a2", "p", "m", "one", "h1", "take_over", "0"),
    (ACQUIRE, "a1", "p", "m", "one", "h1", "take_over", "0"),
    _begin("a1", "more", [("one", "h1", "7"), ("two", "h2", "5")]),
]
"""What is heard under a session that another one has followed."""


@example(CLAIMS)
@example(LATE)
@given(st.lists(acts, min_size=20, max_size=40))
@settings(max_examples=5, deadline=None)
def test_the_answers_are_those_of_the_scripts(redis_server: RedisServer, drawn: list[Any]) -> None:
    """And so is what is known after them, for how long, and what is published."""
    tell_both(redis_server, drawn)


@pytest.mark.slow
@given(st.lists(acts, min_size=30, max_size=80))
@settings(max_examples=200, deadline=None)
def test_the_answers_are_those_of_the_scripts_however_many(
    redis_server: RedisServer, drawn: list[Any]
) -> None:
    """The same, for longer."""
    tell_both(redis_server, drawn)


def test_a_token_is_by_the_clock_or_greater_than_the_last(redis_server: RedisServer) -> None:
    """As the scripts have it: a keeper that has forgotten the last one begins above it."""
    now = time.time()
    memory = InMemoryKeeper(lambda *_: None)
    redis_server.fresh()
    memory.grace_until = 0

    def ask_both(script: Script, *args: str) -> tuple[Any, Any]:
        said = ("{qrl}:", str(TTL), *args)
        theirs = redis_server.admin.eval(script.text, 1, "{qrl}:server", *said)
        return theirs, memory.run(script, said, now)

    ask_both(BEGIN, "a1", "p", "m", "first")
    for key in KEYS:
        theirs, ours = ask_both(ACQUIRE, "a1", "p", "m", key, "h1", "take_over", "0")
        assert abs(int(theirs[1]) - int(ours[1])) < AT_ONCE * 1000
    assert memory.token == int(now * 1e6) + 1
