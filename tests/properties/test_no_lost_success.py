"""No success is lost: a real server that loses events, behind a network that breaks.

What the server knows is the truth: it says paired if and only if the lifecycle ends connected.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from qrlifecycle import (
    Connected,
    Outcome,
    Paired,
    Policy,
    QRCode,
    QRExpired,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    SocketIOTransport,
)
from qrlifecycle.testing import PairingServer
from qrlifecycle.testing.connection_plan import ConnectionPlan, ProxyFault
from qrlifecycle.testing.faulty_proxy import FaultyProxy
from qrlifecycle.testing.news import News
from qrlifecycle.testing.pairing_server import PairingRecord

from ..patience import patient_clock
from ..sockets import client_sockets, connected_to, needs_proc

pytestmark = [pytest.mark.anyio, needs_proc]

BOT, USER = "bot-7", "user-123"

LIFETIME = 0.5
"""Seconds for which the server accepts a code."""

AT_ONCE = 12

POLICY = Policy(
    expiry_grace=0.1,
    max_refreshes=2,
    approval_timeout=0.6,
    max_reconnects=1000,
    reconnect_delay=0.02,
    reconnect_delay_max=0.1,
    open_timeout=0.5,
    stable_after=0.1,
    status_timeout=1,
    status_retry_delay=0.02,
    status_retry_delay_max=0.1,
    final_check_timeout=1,
    attempt_timeout=10,
)

LATEST = LIFETIME + POLICY.expiry_grace + POLICY.approval_timeout + POLICY.final_check_timeout
"""Seconds from a success to the end of the final check that finds it, if nobody heard of it."""

DROPPED, TWICE, DELAYED = 0.15, 0.20, 0.30
"""Below which random number an event is lost, sent twice, or sent late."""

FAILING, ASKED_LATE, HEARD_LATE = 0.10, 0.15, 0.20
"""Below which random number a read of the status fails, or its question or its answer is slow."""


PINGING = "AsyncSocket._send_ping"
"""What Engine.IO's server, and it only, leaves behind for some seconds for each socket."""


class LossyServer(PairingServer):
    """A server whose events get lost, are sent twice or late; each user has a random of its own."""

    def __init__(self, late: asyncio.TaskGroup) -> None:
        super().__init__(qr_lifetime=LIFETIME)
        self.chances: dict[str, random.Random] = {}
        """By user; a user without one loses nothing."""
        self.fates: Counter[str] = Counter()
        self.news = News()
        """Whenever there is a new code."""
        self._late = late

    def make_code(self, bot_id: str, user_id: str) -> str:
        url = super().make_code(bot_id, user_id)
        self.news.notify()
        return url

    async def _notify(self, pairing: PairingRecord, name: str, **details: object) -> None:
        chance = self.chances.get(pairing.user_id)
        fate = 1.0 if chance is None else chance.random()
        if fate < DROPPED:
            self.fates["dropped"] += 1
            return
        if chance is not None and TWICE <= fate < DELAYED:
            self.fates["delayed"] += 1
            notification = super()._notify(pairing, name, **details)
            self._late.create_task(_later(chance.uniform(0, 0.3), notification))
            return
        await super()._notify(pairing, name, **details)
        if fate < TWICE:
            self.fates["twice"] += 1
            await super()._notify(pairing, name, **details)


async def _later(seconds: float, what: Any) -> None:
    await asyncio.sleep(seconds)
    await what


class Service:
    """What an embedding program asks its service, in HTTP, and not by way of the proxy."""

    def __init__(self, server: PairingServer, http: aiohttp.ClientSession, user: str) -> None:
        self.server = server
        self.http = http
        self.user = user
        self.reads = 0
        """How many reads of the status have been answered."""
        self.news = News()

    async def until_read(self, times: int) -> None:
        """Wait until the status was read so often; the first time the transport listens then."""
        await self.news.until(lambda: self.reads >= times)

    async def request_qr(self) -> QRCode | Paired:
        """Ask for a code."""
        owner = {"botId": BOT, "userId": self.user}
        async with self.http.post(f"{self.server.url}/qr", json=owner) as response:
            answer = await response.json()
        if answer.get("paired"):
            return Paired(answer["identity"], {"by": "request"})
        return QRCode(answer["qr"], expires_in=answer["expiresIn"])

    async def check_status(self) -> Signal | None:
        """Ask how far the pairing is."""
        owner = {"botId": BOT, "userId": self.user}
        async with self.http.get(f"{self.server.url}/status", params=owner) as response:
            answer = await response.json()
        self.reads += 1
        self.news.notify()
        match answer:
            case {"status": "paired"}:
                return Paired(answer["identity"], {"by": "status"})
            case {"status": "waiting"}:
                return QRUpdated(QRCode(answer["qr"], expires_in=answer["expiresIn"]))
            case {"status": "scanned"}:
                return Scanned()
            case {"status": "expired"}:
                return QRExpired()
        return None


class UnsteadyService(Service):
    """A service whose status sometimes cannot be read, or only slowly."""

    def __init__(
        self,
        server: PairingServer,
        http: aiohttp.ClientSession,
        user: str,
        chance: random.Random,
    ) -> None:
        super().__init__(server, http, user)
        self.chance = chance

    async def check_status(self) -> Signal | None:
        fate = self.chance.random()
        if fate < FAILING:
            raise ConnectionError("the status cannot be read")
        if FAILING <= fate < ASKED_LATE:
            await asyncio.sleep(0.2)
        answer = await super().check_status()
        if ASKED_LATE <= fate < HEARD_LATE:
            await asyncio.sleep(0.2)
        return answer


class Watch:
    """A lifecycle behind a proxy, and what its hooks were told."""

    def __init__(self, proxy: Proxy, service: Service, policy: Policy = POLICY) -> None:
        self.proxy = proxy
        self.service = service
        self.shown: list[str] = []
        """The codes that were handed out."""
        self.connected = 0
        """How often `on_connected` was called."""
        self.news = News()
        self.lifecycle = QRLifecycle(
            service.request_qr,
            self.make_transport,
            policy=policy,
            check_status=service.check_status,
            on_qr_updated=self.show,
            on_connected=self.connect,
        )

    def make_transport(self) -> SocketIOTransport:
        """The transport leads through the proxy."""
        return SocketIOTransport(self.proxy.url, bot_id=BOT, user_id=self.service.user)

    def show(self, qr: QRCode) -> None:
        """A code is handed out."""
        self.shown.append(qr.reveal())
        self.news.notify()

    def connect(self, _outcome: Connected) -> None:
        """A success is delivered."""
        self.connected += 1

    @asynccontextmanager
    async def pairing(self) -> AsyncIterator[asyncio.Task[Outcome]]:
        """Pair beside the body; on leaving, `pair()` has ended."""
        task = asyncio.create_task(self.lifecycle.pair())
        try:
            yield task
        finally:
            self.lifecycle.cancel()
            await asyncio.wait({task})


class Proxy(FaultyProxy):
    """A faulty proxy to a server that counts its clients' sockets as the operating system does."""

    def __init__(
        self, server: PairingServer, draw: Callable[[], ConnectionPlan] = ConnectionPlan
    ) -> None:
        super().__init__(server.host, server.port, draw)
        self.most = 0
        """How many sockets of this process led here when a connection was made, at most. What the
        proxy itself knows of its clients may be late."""

    def note_accepted(self) -> None:
        super().note_accepted()
        self.most = max(self.most, connected_to(self.port))


class Round:
    """One `pair()` in a bad world, all of it made from one random."""

    def __init__(self, server: LossyServer, http: aiohttp.ClientSession, seed: str) -> None:
        self.user = seed
        self.server = server
        self.chance = chance = random.Random(seed)
        server.chances[self.user] = random.Random(f"{seed} events")
        self.proxy = Proxy(server, self.draw)
        self.delay = chance.choice([0, 0, 0.01, 0.03])
        self.breaks = chance.choice([0.0, 0.3, 0.8])
        service = UnsteadyService(server, http, self.user, random.Random(f"{seed} status"))
        self.watch = Watch(self.proxy, service)
        self.outcome: Outcome | None = None
        self.late = 0.0
        """Seconds from the success to the end of `pair()`."""

    def draw(self) -> ConnectionPlan:
        """How the next connection breaks, if it does."""
        if self.chance.random() >= self.breaks:
            return ConnectionPlan(delay=self.delay)
        fault = self.chance.choice([ProxyFault.RESET_LATER, ProxyFault.END_LATER])
        return ConnectionPlan(fault, self.chance.uniform(0, 0.5), self.delay)

    async def run(self) -> None:
        """Pair, while the phone, the service and the network do as they like."""
        loop = asyncio.get_running_loop()
        async with self.proxy, asyncio.TaskGroup() as others:
            for other in (self.scan(), self.rotate(), self.refuse_connections()):
                others.create_task(other)
            self.outcome = await self.watch.lifecycle.pair()
            ended = loop.time()
            assert client_sockets(self.proxy.port) == 0, "a socket outlived pair()"
        decided_at = self.server.pairing(BOT, self.user).decided_at
        if isinstance(self.outcome, Connected) and decided_at is not None:
            self.late = ended - decided_at

    async def scan(self) -> None:
        """The phone: never, or once, before the socket is open or as late as after the end."""
        chance = random.Random(f"{self.user} phone")
        moment = chance.random()
        if moment < 0.15:
            return
        await self.first_code()
        if moment > 0.3:
            await asyncio.sleep(chance.uniform(0, 2))
        if chance.random() < 0.2:
            await self.server.scan(BOT, self.user, confirm=False)
            await asyncio.sleep(chance.uniform(0, 0.1))
        await self.server.scan(BOT, self.user)

    async def rotate(self) -> None:
        """The service: replaces the first code while it lives, sometimes."""
        chance = random.Random(f"{self.user} rotation")
        if chance.random() < 0.3:
            await self.first_code()
            await asyncio.sleep(chance.uniform(0, 0.8 * LIFETIME))
            if self.server.pairing(BOT, self.user).status == "waiting":
                await self.server.rotate(BOT, self.user)

    async def refuse_connections(self) -> None:
        """The network: down for a while, sometimes."""
        chance = random.Random(f"{self.user} network")
        if chance.random() < 0.3:
            await asyncio.sleep(chance.uniform(0, 1))
            self.proxy.refusing = True
            self.proxy.cut(reset=chance.random() < 0.5)
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            self.proxy.refusing = False

    async def first_code(self) -> None:
        """Wait until the server has made a code, which is before anybody listens."""
        await self.server.news.until(lambda: (BOT, self.user) in self.server._pairings)

    def breaches(self) -> list[str]:
        """What was promised and is not so."""
        truth = self.server.pairing(BOT, self.user).status
        found = []
        connected = isinstance(self.outcome, Connected)
        if connected and truth != "paired":
            found.append(f"connected, but the server says {truth}")
        if truth == "paired" and not connected and self.watch.shown:
            found.append(f"the server says paired, but {self.outcome}")
        if self.watch.connected != connected:
            found.append(f"on_connected was called {self.watch.connected} times")
        if self.late > LATEST:
            found.append(f"the success came {self.late:.1f} s late")
        if self.proxy.most > 1:
            found.append(f"{self.proxy.most} sockets at once")
        return [f"{self.user}: {breach}" for breach in found]

    def end(self) -> str:
        """How it ended, in one word."""
        if isinstance(self.outcome, Connected):
            return f"connected by {self.outcome.data.get('by', 'event')}"
        return "failed" if self.watch.shown else "never shown"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them; python-socketio needs asyncio."""
    return patient_clock("asyncio")


@asynccontextmanager
async def world() -> AsyncIterator[tuple[LossyServer, aiohttp.ClientSession]]:
    """A server and a way to ask it; in the end nothing is left and nothing was complained of."""
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    troubles: list[object] = []
    loop.set_exception_handler(lambda _loop, what: troubles.append(what))
    try:
        async with (
            asyncio.TaskGroup() as late,
            LossyServer(late) as server,
            aiohttp.ClientSession() as http,
        ):
            yield server, http
            while late._tasks:  # nothing is to be sent by a server that is gone
                await asyncio.wait(set(late._tasks))
    finally:
        loop.set_exception_handler(None)
    gc.collect()
    left = asyncio.all_tasks() - before
    pings = {task for task in left if getattr(task.get_coro(), "__qualname__", "") == PINGING}
    for task in pings:
        task.cancel()
    assert left == pings
    assert client_sockets(server.port) == 0
    assert troubles == []


async def play(rounds: Iterable[Round]) -> None:
    """Run rounds, some at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def run(round_: Round) -> None:
        async with gate:
            await round_.run()

    async with asyncio.TaskGroup() as all_of_them:
        for round_ in rounds:
            all_of_them.create_task(run(round_))


@pytest.mark.parametrize(
    ("seed", "rounds"),
    [
        (1, 12),
        pytest.param(2, 40, marks=pytest.mark.slow),
        pytest.param(3, 40, marks=pytest.mark.slow),
    ],
)
async def test_promises_3_4_the_server_says_paired_if_and_only_if_the_outcome_is_connected(
    seed: int, rounds: int
) -> None:
    """Lost, doubled, late events, broken connections, failing reads: no success lost or made up."""
    async with world() as (server, http):
        played = [Round(server, http, f"seed {seed} round {n}") for n in range(rounds)]
        await play(played)
        breaches = [breach for round_ in played for breach in round_.breaches()]
        ends = Counter(round_.end() for round_ in played)
        cuts = sum(round_.proxy.cuts for round_ in played)
        reopened = sum(
            round_.proxy.cuts > 0 and len(round_.proxy.accepted) > 1 for round_ in played
        )
        latest = max(round_.late for round_ in played)
    print(dict(ends), dict(server.fates), f"{cuts=} {reopened=} {latest=:.2f}")
    assert breaches == [], f"{seed=}"
    # Nothing of this is vacuous.
    assert {"connected by event", "connected by status", "failed"} <= ends.keys(), f"{seed=}"
    assert ends["never shown"] < rounds / 2, f"{seed=}"
    assert {"dropped", "twice", "delayed"} <= server.fates.keys(), f"{seed=}"
    assert min(cuts, reopened) > 0, f"{seed=}"


PATIENT = Policy(
    max_reconnects=1000, reconnect_delay=0.001, reconnect_delay_max=0.01, stable_after=0.01
)
"""Opens anew at once, however often it takes."""


async def test_promise_3_the_old_socket_is_closed_before_the_new_one_is_opened() -> None:
    """Cut time and again, by resets and orderly ends, a transport never makes it two sockets."""
    async with world() as (server, http):
        server.qr_lifetime = 60
        async with Proxy(server) as proxy:
            watch = Watch(proxy, service := Service(server, http, USER), PATIENT)
            async with watch.pairing() as pairing:
                for turn in range(1, 11):
                    await service.until_read(turn)
                    assert client_sockets(proxy.port) <= 1
                    proxy.cut(reset=turn % 2 == 0)
                await service.until_read(11)
                assert await server.scan(BOT, USER)
                outcome = await pairing
            assert isinstance(outcome, Connected)
            assert outcome.data.get("type") == "whatsapp_connected"
            assert proxy.most == 1
            assert len(proxy.accepted) == 11
            assert client_sockets(proxy.port) == 0
    assert len(watch.shown) == 1
    assert watch.connected == 1


async def test_promise_4_a_success_while_no_connection_can_be_made_is_learned_when_one_can() -> (
    None
):
    """Connections refused at first and after a cut are survived, and so is a scan in between."""
    async with world() as (server, http):
        server.qr_lifetime = 60
        async with Proxy(server) as proxy:
            proxy.refusing = True
            watch = Watch(proxy, service := Service(server, http, USER), PATIENT)
            async with watch.pairing() as pairing:
                await proxy.news.until(lambda: proxy.refused >= 3)
                assert watch.shown == []
                proxy.refusing = False
                await service.until_read(1)
                assert len(watch.shown) == 1
                proxy.refusing = True
                proxy.cut()
                assert await server.scan(BOT, USER)
                refused = proxy.refused
                await proxy.news.until(lambda: proxy.refused >= refused + 3)
                assert watch.connected == 0
                proxy.refusing = False
                outcome = await pairing
    assert isinstance(outcome, Connected)
    assert outcome.data.get("by") == "status"
    assert watch.connected == 1


async def test_promise_4_a_rotation_while_the_connection_is_down_is_learned_on_reconnecting() -> (
    None
):
    """The status read on reopening brings the code that the server made meanwhile."""
    async with world() as (server, http):
        server.qr_lifetime = 60
        async with Proxy(server) as proxy:
            watch = Watch(proxy, service := Service(server, http, USER), PATIENT)
            async with watch.pairing() as pairing:
                await service.until_read(1)
                proxy.refusing = True
                proxy.cut(reset=False)
                await server.rotate(BOT, USER)
                await proxy.news.until(lambda: proxy.refused >= 1)
                assert len(watch.shown) == 1
                proxy.refusing = False
                await watch.news.until(lambda: len(watch.shown) == 2)
                assert watch.shown[1] == server.url_of(server.pairing(BOT, USER))
                assert watch.shown[1] != watch.shown[0]
                assert await server.scan(BOT, USER)
                outcome = await pairing
    assert isinstance(outcome, Connected)
    assert watch.connected == 1


@pytest.mark.parametrize("held", [0.0, 0.005, 0.05])
async def test_promise_3_a_connection_that_flaps_is_not_hammered(held: float) -> None:
    """However soon each connection is cut: the budget is kept, waits grow, then it is over."""
    policy = Policy(max_reconnects=5, reconnect_delay=0.01, reconnect_delay_max=2, stable_after=2)
    async with world() as (server, http):
        server.qr_lifetime = 60
        async with Proxy(server, lambda: ConnectionPlan(ProxyFault.RESET_LATER, held)) as proxy:
            watch = Watch(proxy, Service(server, http, USER), policy)
            async with watch.pairing() as pairing:
                outcome = await pairing
            assert not isinstance(outcome, Connected)
            assert outcome.reason in {Reason.TRANSPORT_LOST, Reason.TRANSPORT_UNREACHABLE}
            assert len(proxy.accepted) == proxy.cuts == policy.max_reconnects + 1
            assert proxy.most == 1
            made = proxy.accepted
    for turn in range(policy.max_reconnects):
        least = policy.reconnect_delay * 2**turn / 2
        assert made[turn + 1] - made[turn] >= least
