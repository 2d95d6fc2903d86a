"""Gateways whose service tells everything over one socket: as many as there are share it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Failed,
    NoTransport,
    Paired,
    PairingRefused,
    QRExpired,
    Reason,
    StatusChanged,
    WrongAnswer,
)
from qrlifecycle.gateways import GOWA, WAHA, EvolutionAPI, Gateway, WPPConnect
from qrlifecycle.monitoring import Audit
from qrlifecycle.records import Opening
from qrlifecycle.signals import Addressed, Signal
from qrlifecycle.testing import ScriptedPeer, settle
from qrlifecycle.testing.gateways import (
    Emulator,
    EvolutionEmulator,
    GOWAEmulator,
    WAHAEmulator,
    WPPConnectEmulator,
)
from qrlifecycle.transports.shared import SharedSocket

from ..patience import HANGS, patient_clock
from .watch import Watch

pytestmark = pytest.mark.anyio

Made = tuple[Any, Callable[[], Any], Callable[[SharedSocket, str], Gateway]]
"""A service with the accounts bot-7 and bot-8: its feed, and what makes gateways for them."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


@asynccontextmanager
async def evolution() -> AsyncIterator[Made]:
    """Global events, and the server's key."""
    async with EvolutionEmulator(global_events=True) as served:
        key = served.api_key

        def gateway(shared: SharedSocket, name: str) -> Gateway:
            return EvolutionAPI(served.url, api_key=key, instance=name, shared=shared)

        yield served, EvolutionAPI.feed(served.url, api_key=key), gateway


@asynccontextmanager
async def wppconnect() -> AsyncIterator[Made]:
    """A token for each session."""
    async with WPPConnectEmulator() as served:

        def gateway(shared: SharedSocket, name: str) -> Gateway:
            token = served.sessions[name].token
            return WPPConnect(served.url, session=name, token=token, shared=shared)

        yield served, WPPConnect.feed(served.url), gateway


@asynccontextmanager
async def waha() -> AsyncIterator[Made]:
    """Two sessions, and a key from a function."""
    async with WAHAEmulator(session="bot-7", graceful=False) as served:
        served.admit("bot-8", WAHAEmulator(session="bot-8"))

        async def key() -> str:
            return "k3y-of-the-service"

        def gateway(shared: SharedSocket, name: str) -> Gateway:
            return WAHA(served.url, api_key=key, session=name, shared=shared)

        yield served, WAHA.feed(served.url, api_key=key), gateway


@asynccontextmanager
async def gowa() -> AsyncIterator[Made]:
    """Two devices, listened to by a third one's name."""
    async with GOWAEmulator(device="bot-7") as served:
        for name in ("bot-8", "listener"):
            served.admit(name, GOWAEmulator(device=name))
        login: Any = {"username": "admin", "password": served.password}

        def gateway(shared: SharedSocket, name: str) -> Gateway:
            return GOWA(served.url, device=name, shared=shared, **login)

        yield served, GOWA.feed(served.url, device="listener", **login), gateway


SERVICES = [evolution, wppconnect, waha, gowa]

Service = Callable[[], AbstractAsyncContextManager[Made]]


def sockets_at(served: Any) -> int:
    """How many WebSockets lead to it."""
    if isinstance(served, WAHAEmulator | GOWAEmulator):
        return len(served.sockets)
    return len(served.socketio._members)


async def scan(served: Any, watch: Watch, identity: str) -> None:
    """Scan what a lifecycle has on screen, wherever its account is in the emulator."""
    places: list[Emulator] = [served, *getattr(served, "beside", {}).values()]
    for place in places:
        try:
            await place.scan(watch.codes[-1], identity)
        except KeyError:
            continue
        return
    raise AssertionError("nobody knows that code")


async def until(happened: Callable[[], object]) -> None:
    """Wait for what tells nobody."""
    with anyio.fail_after(HANGS):
        while not happened():  # noqa: ASYNC110 - nobody says it
            await anyio.sleep(0.05)


@pytest.mark.parametrize("service", SERVICES)
async def test_two_accounts_pair_over_one_socket(service: Service) -> None:
    """Each by its own signal; a break brings both back over one opening; the last closes it."""
    audit, opened = Audit(), list[Opening]()

    def note(record: Any) -> None:
        audit(record)
        if isinstance(record, Opening):
            opened.append(record)

    async with (
        service() as (served, feed, gateway),
        SharedSocket(feed, recorders=[note]) as shared,
        anyio.create_task_group() as tasks,
    ):
        seven, eight = (
            Watch(tasks, gateway(shared, name), recorders=[note]) for name in ("bot-7", "bot-8")
        )
        await seven.until_codes(1)
        await eight.until_codes(1)
        assert (sockets_at(served), shared.members, shared.openings) == (1, 2, 1)
        figures = audit.figures()
        assert (figures.sockets_open, figures.shares_open) == (1, 2)
        await served.drop()
        await until(lambda: shared.members == 2 and shared.openings == 2)
        await until(lambda: sockets_at(served) == 1)
        await scan(served, seven, "4915100000001@c.us")
        await seven.until(lambda: seven.outcome)
        assert seven.outcome.identity == "4915100000001@c.us"
        assert (eight.outcome, shared.members, sockets_at(served)) == (None, 1, 1)
        await scan(served, eight, "4915100000002@c.us")
        await eight.until(lambda: eight.outcome)
        assert eight.outcome.identity == "4915100000002@c.us"
        assert not shared.is_open
        await until(lambda: sockets_at(served) == 0)
        assert shared.openings == 2
    assert {(record.shared, record.subject and record.subject[0]) for record in opened} == {
        (shared.name, "bot-7"),
        (shared.name, "bot-8"),
    }
    assert audit.figures().openings == 2
    assert not audit.figures().alerts


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_another_s_or_nobody_s_changes_nothing(service: Service) -> None:
    """Whether it is heard at all is the shared socket's to count."""
    async with (
        service() as (served, feed, gateway),
        SharedSocket(feed) as shared,
        anyio.create_task_group() as tasks,
    ):
        watch = Watch(tasks, gateway(shared, "bot-7"))
        await watch.until_codes(1)
        await served.other("4915100000009@c.us")
        for said in ({"session": "bot-7"}, {}, {"data": {"state": "open"}}, 7, ["bot-7"]):
            await tell(served, said)
        await anyio.sleep(4)
        assert (watch.outcome, len(watch.codes), shared.openings) == (None, 1, 1)
        await scan(served, watch, "4915100000001@c.us")
        await watch.until(lambda: watch.outcome)
        assert watch.outcome.identity == "4915100000001@c.us"


async def tell(served: Any, said: object) -> None:
    """Tell everybody something, in the words of a success where it has words."""
    if isinstance(served, EvolutionEmulator):
        await served.socketio.emit("/", "connection.update", said)
    elif isinstance(served, WPPConnectEmulator):
        await served.socketio.emit("/", "session-logged", said)
    else:
        await served.broadcast(said)


@pytest.mark.parametrize("service", SERVICES)
async def test_promise_6_no_secret_is_in_any_text(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the feed, of the socket, of a share of it, of the log."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    secrets: list[str] = []
    async with (
        service() as (served, feed, gateway),
        SharedSocket(feed) as shared,
        anyio.create_task_group() as tasks,
    ):
        watch = Watch(tasks, gateway(shared, "bot-7"))
        await watch.until_codes(1)
        texts += [
            repr(feed),
            repr(feed()),
            repr(shared),
            repr(gateway(shared, "bot-7").transport()),
        ]
        watch.lifecycle.cancel()
        await watch.until(lambda: watch.outcome)
        secrets += served.secrets()
        assert str(feed).startswith("<feed of ")
    texts.append(caplog.text)
    assert not any(secret in text for text in texts for secret in secrets)


async def test_a_feed_of_another_service_is_refused() -> None:
    """Nobody would hear anything, and nobody would say why."""
    url = "http://127.0.0.1:1"
    shared = SharedSocket(WAHA.feed(url, api_key="k"))
    WAHA(url + "/", shared=shared)
    for make in (
        lambda: WAHA("http://127.0.0.1:2", shared=shared),
        lambda: GOWA(url, device="bot-7", shared=shared),
        lambda: WPPConnect(url, session="bot-7", token="t", shared=shared),
        lambda: EvolutionAPI(url, api_key="k", instance="bot-7", shared=shared),
    ):
        with pytest.raises(
            WrongAnswer, match=r"shared has a <feed of WAHA at http://127\.0\.0\.1:1>"
        ):
            make()
    with pytest.raises(WrongAnswer, match="shared must be a SharedSocket, not NoTransport"):
        WAHA(url, shared=NoTransport())  # type: ignore[arg-type]

    class Ours(WAHA):
        """One's own subclass of a gateway may use the feed of either."""

    Ours(url, shared=shared)
    WAHA(url, shared=SharedSocket(Ours.feed(url)))


async def test_a_feed_of_one_s_own_is_taken() -> None:
    """Its signals are addressed to the account."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared:
        transport = WAHA("http://127.0.0.1:1", session="bot-7", shared=shared).transport()
        assert transport.shared == shared.name
        assert transport.subject == ("bot-7",)
        async with transport:
            peer.send(Addressed(("bot-7",), Paired("me")))
            assert await transport.receive() == Paired("me")


HEARD: list[tuple[type[Gateway], dict[str, Any], list[Signal], list[Signal]]] = [
    (
        GOWA,
        {"device": "bot-7"},
        [ActionRequired("passkey"), ActionRequired("passkey"), QRExpired()],
        [ActionRequired("passkey"), PairingRefused(Reason.REFUSED_ON_PHONE)],
    ),
    (GOWA, {"device": "bot-7"}, [QRExpired(), StatusChanged()], [QRExpired(), StatusChanged()]),
    (
        WAHA,
        {"session": "bot-7"},
        [ActionRequired("passkey"), ActionRequired("passkey"), StatusChanged()],
        [ActionRequired("passkey"), StatusChanged()],
    ),
    (
        WAHA,
        {"session": "bot-7"},
        [PairingRefused(data={"engine": "NOWEB"})],
        [PairingRefused(data={"status": "FAILED"})],
    ),
]


@pytest.mark.parametrize(("kind", "account", "said", "heard"), HEARD)
async def test_what_depends_on_what_came_before_is_decided_for_each_account(
    kind: Any, account: Any, said: list[Signal], heard: list[Signal]
) -> None:
    """The socket knows none of it; and each lifecycle has a memory of its own."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared:
        gateway = kind("http://127.0.0.1:1", shared=shared, **account)
        for _ in range(2):
            async with gateway.parts()["transport"]() as transport:
                found: list[Signal] = []
                for signal in said:
                    peer.send(Addressed(("bot-7",), signal))
                    await settle()
                    with anyio.move_on_after(1):
                        found.append(await transport.receive())
                assert found == heard


async def test_a_code_of_a_service_that_was_away_died_whoever_found_it_away() -> None:
    """A share that waits until the socket is back never saw that nobody was there (GOWA)."""
    async with (
        gowa() as (served, feed, gateway),
        SharedSocket(feed) as shared,
        anyio.create_task_group() as tasks,
    ):
        seven, eight = (Watch(tasks, gateway(shared, name)) for name in ("bot-7", "bot-8"))
        await seven.until_codes(1)
        await eight.until_codes(1)
        await served.stop()
        await until(lambda: shared.openings > 1)
        await served.start()
        for watch in (seven, eight):
            await watch.until_codes(2)
            await anyio.sleep(1)
            assert len(watch.codes) == 2
            watch.lifecycle.cancel()


@pytest.mark.parametrize("service", [evolution, waha, gowa])
async def test_a_key_that_is_not_accepted_is_told_to_each(service: Service) -> None:
    """By the socket, if the service answers requests all the same; in words that say what to do."""
    async with service() as (served, feed, gateway), SharedSocket(feed) as shared:
        async with anyio.create_task_group() as tasks:
            watch = Watch(tasks, gateway(shared, "bot-7"))
            await watch.until_codes(1)
            await served.withdraw()
            await watch.until(lambda: watch.outcome)
            assert isinstance(watch.outcome, Failed)
            assert watch.outcome.reason is Reason.AUTHENTICATION_REFUSED
        assert not shared.is_open
