"""Leases that PostgreSQL keeps, for a service on several machines that has it, and no Redis.

It needs psycopg 3. `docs/how-to/write-a-keeper.md` goes through it.
"""

from __future__ import annotations

import json
import math
import secrets
from contextlib import suppress
from datetime import timedelta
from typing import Any, LiteralString, Self

import anyio
import psycopg
from anyio import to_thread

from qrlifecycle import InvalidValue
from qrlifecycle.errors import LeaseHeld, LeaseLost, LeaseTakenOver
from qrlifecycle.leases import Holder, Lease, Leases, Lost, WhenHeld
from qrlifecycle.leases.base import check_key

ASK_EVERY = 0.25
"""Seconds between two looks at what others have written."""
SLACK = 0.5
"""Seconds that this process may be late, and that its clock may lag behind within a ``ttl``."""

TABLE = """
CREATE TABLE qr_lease (
    key text PRIMARY KEY,
    holder text UNIQUE,                              -- the id of the lease that has it,
    until timestamptz NOT NULL DEFAULT '-infinity',  -- up to here
    token bigserial,
    machine text,
    since timestamptz,
    claim text UNIQUE,                               -- the id of the one that wants it,
    claim_until timestamptz                          -- and lives, as far as anybody knows
)"""

CLAIM = """
INSERT INTO qr_lease AS l (key, claim, claim_until) VALUES (%(key)s, %(id)s, now() + %(ttl)s)
ON CONFLICT (key) DO UPDATE SET claim = excluded.claim, claim_until = excluded.claim_until
WHERE %(take_over)s OR (l.until <= now() AND (l.claim IS NULL OR l.claim_until <= now()))
RETURNING key"""

GRANT = """
UPDATE qr_lease SET holder = claim, until = now() + %(ttl)s, token = DEFAULT,
    machine = %(machine)s, since = now(), claim = NULL
WHERE claim = %(id)s AND until <= now() RETURNING token"""

CLAIM_ON = """
UPDATE qr_lease SET claim_until = now() + %(ttl)s WHERE claim = %(id)s RETURNING key"""

RENEW = """
UPDATE qr_lease SET until = now() + %(ttl)s
WHERE holder = ANY(%(ids)s) AND until > now()
    AND (claim IS NOT NULL OR until < now() + %(ttl)s * 0.75)
RETURNING holder, claim IS NOT NULL"""

RELEASE = """
UPDATE qr_lease SET claim = nullif(claim, %(id)s),
    until = CASE holder WHEN %(id)s THEN '-infinity' ELSE until END
WHERE holder = %(id)s OR claim = %(id)s"""

ASK_TO_LEAVE = """
UPDATE qr_lease SET claim = coalesce(claim, %(id)s),
    claim_until = CASE WHEN claim IS NULL THEN now() ELSE claim_until END
WHERE key = %(key)s AND until > now() RETURNING key"""

FIND = """
SELECT machine, extract(epoch FROM since)::float8, token FROM qr_lease
WHERE key = %(key)s AND until > now()"""


class PostgresLease(Lease):
    def __init__(self, leases: PostgresLeases, key: str, when_held: WhenHeld) -> None:
        self.id = secrets.token_hex(16)
        self.close_at = math.inf  # by this machine's clock
        self._leases = leases
        self._named = {"id": self.id, "key": key, "take_over": when_held == "take_over"}
        self._lost: Lost | None = None
        self._close_within = 0.0
        self._token: int | None = None
        self._released = False
        self._waiting: anyio.CancelScope | None = None

    @property
    def token(self) -> int | None:
        return self._token

    async def acquire(self, lost: Lost, close_within: float) -> None:
        if close_within + SLACK > self._leases.ttl / 2:
            raise InvalidValue(f"ttl is too short for a holder that closes in {close_within} s")
        self._close_within = close_within
        try:
            with anyio.CancelScope() as self._waiting:  # release() waits for no answer
                if not await self._ask(CLAIM):
                    raise LeaseHeld
                self._token = await self._wait_for_its_turn()
            self._require_kept()
        except BaseException:
            self.release()
            raise
        self._lost = lost
        self._leases.held[self.id] = self

    async def _wait_for_its_turn(self) -> int:
        while True:
            self.renewed(anyio.current_time())  # by the time before it is asked for
            for (token,) in await self._ask(GRANT):
                return int(token)
            if not await self._ask(CLAIM_ON):
                raise LeaseTakenOver
            await anyio.sleep(ASK_EVERY)

    async def _ask(self, statement: LiteralString) -> list[tuple[Any, ...]]:
        self._require_kept()
        rows = await self._leases.ask(statement, **self._named)
        self._require_kept()
        return rows

    def _require_kept(self) -> None:
        if self._released:
            raise LeaseLost("it was released; make a fresh lease for each attempt")

    def renewed(self, sent: float) -> None:
        self.close_at = sent + self._leases.ttl - self._close_within - SLACK

    def lose(self, error: Exception) -> None:
        self._leases.held.pop(self.id, None)  # renewed no more, and free when it is released
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(error)

    def release(self) -> None:
        if not self._released:
            self._released, self._lost = True, None
            if self._waiting is not None:
                self._waiting.cancel()
            self._leases.held.pop(self.id, None)
            self._leases.say(RELEASE, id=self.id)


class Order:
    """A statement, and what comes of it."""

    def __init__(self, statement: LiteralString, named: dict[str, Any]) -> None:
        self.statement: LiteralString = statement
        self.named = named
        self.done = anyio.Event()
        self.rows: list[tuple[Any, ...]] = []
        self.error: Exception | None = None


class PostgresLeases(Leases):
    def __init__(self, url: str, *, ttl: float = 15.0, machine: str = "") -> None:
        self.ttl = ttl
        self.held: dict[str, PostgresLease] = {}
        self._url = url
        self._always = {"ttl": timedelta(seconds=ttl), "machine": machine}

    async def __aenter__(self) -> Self:
        self._orders, self._taken = anyio.create_memory_object_stream[Order](math.inf)
        self._said = anyio.Event()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        for task in (self._carry_out, self._renew, self._watch_the_clock):
            self._tasks.start_soon(task)
        return self

    async def __aexit__(self, *_: object) -> None:
        for lease in list(self.held.values()):
            lease.lose(LeaseLost("the program is closing its leases"))
        self._orders.close()
        with anyio.move_on_after(self.ttl / 4, shield=True):
            await self._said.wait()  # what was released is free for others at once
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    def lease(self, *key: str, when_held: WhenHeld = "take_over") -> PostgresLease:
        check_key(key, when_held)
        return PostgresLease(self, json.dumps(key), when_held)

    async def find_holder(self, *key: str) -> Holder | None:
        check_key(key)
        rows = await self.ask(FIND, key=json.dumps(key))
        return Holder(*rows[0]) if rows else None

    async def ask_to_leave(self, *key: str) -> bool:
        check_key(key)
        nobody = secrets.token_hex(16)  # claims it, and never comes
        return bool(await self.ask(ASK_TO_LEAVE, key=json.dumps(key), id=nobody))

    def say(self, statement: LiteralString, **named: object) -> Order:
        order = Order(statement, self._always | named)
        try:
            self._orders.send_nowait(order)
        except anyio.ClosedResourceError as error:
            order.error = error
            order.done.set()
        return order

    async def ask(self, statement: LiteralString, **named: object) -> list[tuple[Any, ...]]:
        order = self.say(statement, **named)
        await order.done.wait()
        if order.error is not None:
            raise LeaseLost(f"PostgreSQL: {type(order.error).__name__}") from order.error
        return order.rows

    async def _carry_out(self) -> None:
        link: list[psycopg.Connection] = []
        try:
            async for order in self._taken:
                try:
                    with anyio.fail_after(self.ttl / 4):
                        order.rows = await to_thread.run_sync(
                            self._execute, link, order, abandon_on_cancel=True
                        )
                except (psycopg.Error, TimeoutError) as error:
                    order.error = error
                    hang_up(link)
                    link = []  # a thread that hangs keeps its own
                order.done.set()
        finally:
            self._taken.close()
            hang_up(link)
            self._said.set()

    def _execute(self, link: list[psycopg.Connection], order: Order) -> list[tuple[Any, ...]]:
        if not link:
            link.append(psycopg.connect(self._url, autocommit=True, connect_timeout=5))
        cursor = link[0].execute(order.statement, order.named)
        return cursor.fetchall() if cursor.description else []

    async def _renew(self) -> None:
        while True:
            await anyio.sleep(ASK_EVERY)
            sent = anyio.current_time()
            with suppress(LeaseLost):
                for held, wanted in await self.ask(RENEW, ids=list(self.held)):
                    if lease := self.held.get(held):
                        lease.renewed(sent)
                        if wanted:
                            lease.lose(LeaseTakenOver())

    async def _watch_the_clock(self) -> None:
        while True:
            await anyio.sleep(SLACK / 5)
            for lease in list(self.held.values()):
                if anyio.current_time() >= lease.close_at:
                    lease.lose(LeaseLost("PostgreSQL did not prolong it in time"))


def hang_up(link: list[psycopg.Connection]) -> None:
    for connection in link:
        connection.close()
