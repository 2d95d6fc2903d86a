"""Feeds over Socket.IO and WebSocket: everybody's messages, each for whom it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import pytest

from qrlifecycle import InvalidValue, Paired, QRCode, QRLifecycle, Scanned, Transport
from qrlifecycle.errors import Malformed
from qrlifecycle.signals import Addressed, Signal, StatusChanged
from qrlifecycle.testing.http_server import HTTPServer, Request, ServerWebSocket, Upgrade
from qrlifecycle.transports.messages import DEFAULT_SIGNALS, Drop, Dropped, address_message
from qrlifecycle.transports.owner import named_in
from qrlifecycle.transports.shared import SharedSocket, SocketIOFeed, WebSocketFeed

from ..gateways.services import telling_everybody
from ..patience import HANGS, patient_clock

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


@pytest.mark.parametrize(
    ("said", "names", "whose"),
    [
        ({"session": "a"}, ["session"], "a"),
        ({"session": 7}, ["session"], "7"),
        ({"data": {"session": "a"}}, ["session"], "a"),
        ({"data": {"session": "a"}}, ["data.session"], "a"),
        ({"session": None, "data": {"session": "a"}}, ["session"], "a"),
        ({"session": "a", "data": {"session": "of something else"}}, ["session"], "a"),
        ({"bot_id": "a"}, ["botId", "bot_id"], "a"),
        ({"bot_id": "a", "botId": "a"}, ["botId", "bot_id"], "a"),
        ('{"session": "a"}', ["session"], "a"),
        (("event", {"session": "a"}), ["session"], "a"),
        ([{"session": "a"}], ["session"], "a"),
    ],
)
def test_who_is_named(said: object, names: list[str], whose: str) -> None:
    """It is looked for where `owner=` of a transport looks."""
    assert named_in(said, names) == whose


@pytest.mark.parametrize(
    "said",
    [
        {},
        None,
        "text",
        {"session": ""},
        {"session": None},
        {"session": ["a"]},
        {"session": {"a": 1}},
        {"session": True},
        {"session": "a", "sessionId": "b"},
        [{"session": "a"}, {"session": "b"}],
        {"a": {"b": {"c": {"d": {"session": "too deep to be meant"}}}}},
    ],
)
def test_what_names_nobody_or_several_is_malformed(said: object) -> None:
    """Nothing is guessed: a success of one must never become another's."""
    with pytest.raises(Malformed):
        named_in(said, ["session", "sessionId"])


@pytest.mark.parametrize(
    ("name", "payload", "meaning"),
    [
        ("qr_scanned", {"botId": 1, "userId": "u"}, Addressed(("1", "u"), Scanned())),
        ("any", {"type": "qr_scanned", "botId": "b", "userId": "u"},
         Addressed(("b", "u"), Scanned())),
        ("unheard of", {"botId": "b", "userId": "u"}, Drop.UNKNOWN),
        ("unheard of", {}, Drop.UNKNOWN),
        ("qr_scanned", {"botId": "b"}, Drop.MALFORMED),
        ("qr_scanned", {}, Drop.MALFORMED),
        ("whatsapp_qr_updated", {"botId": "b", "userId": "u"}, Drop.MALFORMED),
    ],
)  # fmt: skip
def test_what_a_message_is_for_everybody(
    name: str, payload: object, meaning: Signal | Drop
) -> None:
    """A signal and whose it is; or why there is none."""
    told = address_message(
        DEFAULT_SIGNALS, name, (payload,), (("botId", "bot_id"), ("userId", "user_id"))
    )
    assert (told.cause if isinstance(told, Dropped) else told) == meaning


@pytest.mark.parametrize("owner", ["session", [], [""], [7], {"session": "a"}, 7])
def test_owner_is_a_list_of_places(owner: Any) -> None:
    """Anything else is refused where it is given."""
    with pytest.raises(InvalidValue, match="owner must be where messages say"):
        SocketIOFeed("http://127.0.0.1:1", owner=owner)
    with pytest.raises(InvalidValue, match="owner must be where messages say"):
        WebSocketFeed("http://127.0.0.1:1", read_linked, owner=owner)


def test_an_owner_is_looked_for_in_json_only() -> None:
    """Of text nobody knows where it says something: `read` does."""
    with pytest.raises(InvalidValue, match="have `read` address"):
        WebSocketFeed("http://127.0.0.1:1", read_linked, owner=["session"], text=True)
    WebSocketFeed("http://127.0.0.1:1", read_linked, text=True)


def test_it_says_no_secret_of_itself() -> None:
    """Its repr is the server's origin."""
    feed = SocketIOFeed("http://u:pw@127.0.0.1:1/?key=k", auth={"token": "t"})
    assert repr(feed) == "<SocketIOFeed http://127.0.0.1:1>"
    other = WebSocketFeed("ws://u:pw@127.0.0.1:1/?key=k", read_linked, headers={"apikey": "k"})
    assert repr(other) == "<WebSocketFeed ws://127.0.0.1:1>"


def read_anything(said: Any) -> Signal | Iterable[Signal] | None:
    """Each way in which a message may say whose it is, or not."""
    answers: dict[str, Signal | list[Signal]] = {
        "by owner": Scanned(),
        "by read": Addressed(("b",), Scanned()),
        "both": [Scanned(), Addressed(("b",), Paired("me"))],
        "nobody's": Paired("whose?"),
        "news": StatusChanged(),
    }
    return answers.get(said["what"])


@pytest.mark.parametrize(
    ("said", "owner", "heard"),
    [
        ({"what": "by owner", "session": "a"}, ["session"], [Addressed(("a",), Scanned())]),
        ({"what": "by read", "session": "a"}, ["session"], [Addressed(("b",), Scanned())]),
        ({"what": "by read"}, ["session"], [Addressed(("b",), Scanned())]),
        ({"what": "by read"}, None, [Addressed(("b",), Scanned())]),
        ({"what": "both", "session": "a"}, ["session"],
         [Addressed(("a",), Scanned()), Addressed(("b",), Paired("me"))]),
        ({"what": "news"}, None, [StatusChanged()]),
        ({"what": "news", "session": "a"}, ["session"], [Addressed(("a",), StatusChanged())]),
        ({"what": "nobody's"}, None, "malformed"),
        ({"what": "nobody's"}, ["session"], "malformed"),
        ({"what": "both"}, None, "malformed"),
        ({"what": "both"}, ["session"], "malformed"),
        ({"what": "by owner", "bot": 1}, ["bot", "user"], "malformed"),
        ({"what": "by owner", "bot": 1, "user": "u"}, ["bot", "user"],
         [Addressed(("1", "u"), Scanned())]),
        ({"what": "of another kind"}, ["session"], "unknown"),
    ],
)  # fmt: skip
async def test_whose_a_message_of_a_websocket_is(said: object, owner: Any, heard: Any) -> None:
    """As `read` says, or `owner`; of what names nobody only that something is new is for all."""
    sent = {"what": "by read", "session": "the last one"}

    async def serve(socket: ServerWebSocket) -> None:
        await socket.send(said)
        await socket.send(sent)
        await anyio.sleep_forever()

    async def accept(_request: Request) -> Upgrade:
        return Upgrade(serve)

    async with (
        HTTPServer(accept) as server,
        WebSocketFeed(server.url, read_anything, owner=owner) as feed,
    ):
        signals: list[Signal] = []
        with anyio.fail_after(HANGS):
            while signals[-1:] != [Addressed(("b",), Scanned())]:
                signals.append(await feed.receive())
        dropped = {heard: 1} if isinstance(heard, str) else {}
        assert dict(feed.dropped) == dropped
        last = [Addressed(("b",), Scanned())]
        assert signals in ([*([] if dropped else heard), *last], heard)


Say = Callable[[dict[str, str]], Awaitable[None]]


@asynccontextmanager
async def socketio_service() -> AsyncIterator[tuple[HTTPServer, Callable[[], Transport], Say]]:
    """A Socket.IO server, what makes a feed to it, and how it tells everybody something."""
    async with telling_everybody() as (server, socketio):
        feed = partial(
            SocketIOFeed,
            server.url,
            owner=["session"],
            signals={"linked": lambda payload: Paired(payload["me"])},
        )
        yield server, feed, partial(socketio.emit, "/", "linked")


@asynccontextmanager
async def websocket_service() -> AsyncIterator[tuple[HTTPServer, Callable[[], Transport], Say]]:
    """The same over WebSocket."""
    sockets: list[ServerWebSocket] = []

    async def serve(socket: ServerWebSocket) -> None:
        sockets.append(socket)
        with suppress(anyio.EndOfStream):
            while True:
                await socket.receive()

    async def accept(_request: Request) -> Upgrade:
        return Upgrade(serve)

    async def say(message: dict[str, str]) -> None:
        for socket in sockets:
            await socket.send(message)

    async with HTTPServer(accept) as server:
        yield server, partial(WebSocketFeed, server.url, read_linked), say


def read_linked(said: Any) -> Signal:
    """What a message means, and for whom."""
    return Addressed((said["session"],), Paired(said["me"]))


@pytest.mark.parametrize("service", [socketio_service, websocket_service])
async def test_promise_10_many_pair_over_one_connection(service: Any) -> None:
    """Forty lifecycles, one socket at the server, and each hears its own success."""
    outcomes: dict[str, Any] = {}
    sockets = []

    async def request_qr() -> QRCode:
        return QRCode("code", expires_in=60)

    async def pair(session: str) -> None:
        lifecycle = QRLifecycle(request_qr, partial(shared.member, session))
        outcomes[session] = (await lifecycle.pair()).raise_for_failure()

    async with service() as (server, feed, say), SharedSocket(feed) as shared:
        with anyio.fail_after(HANGS):
            async with anyio.create_task_group() as tasks:
                for number in range(40):
                    tasks.start_soon(pair, f"session-{number}")
                while shared.members < 40 or not server.open_connections:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
                await anyio.sleep(0.1)
                sockets.append(server.open_connections)
                await say({"session": "somebody's", "me": "?"})
                for number in range(40):
                    await say({"session": f"session-{number}", "me": f"me-{number}"})
            while server.open_connections:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert (shared.openings, shared.is_open) == (1, False)
        assert shared.dropped == {"nobody": 1}
    assert sockets == [1]
    assert {name: outcome.identity for name, outcome in outcomes.items()} == {
        f"session-{number}": f"me-{number}" for number in range(40)
    }
