"""A Socket.IO feed: everybody's messages, each for whom it is."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from qrlifecycle import InvalidValue, Paired, QRCode, QRLifecycle, Scanned
from qrlifecycle.errors import Malformed
from qrlifecycle.signals import Addressed, Signal
from qrlifecycle.transports.messages import DEFAULT_SIGNALS, Drop, Dropped, address_message
from qrlifecycle.transports.owner import named_in
from qrlifecycle.transports.shared import SharedSocket, SocketIOFeed

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


def test_it_says_no_secret_of_itself() -> None:
    """Its repr is the server's origin."""
    feed = SocketIOFeed("http://u:pw@127.0.0.1:1/?key=k", auth={"token": "t"})
    assert repr(feed) == "<SocketIOFeed http://127.0.0.1:1>"


async def test_many_pair_over_one_connection() -> None:
    """Forty lifecycles, one socket at the server, and each hears its own success."""
    outcomes: dict[str, Any] = {}
    sockets = []

    async def request_qr() -> QRCode:
        return QRCode("code", expires_in=60)

    async def pair(session: str) -> None:
        lifecycle = QRLifecycle(request_qr, partial(shared.member, session))
        outcomes[session] = (await lifecycle.pair()).raise_for_failure()

    async with telling_everybody() as (server, socketio):
        feed = partial(
            SocketIOFeed,
            server.url,
            owner=["session"],
            signals={"linked": lambda payload: Paired(payload["me"])},
        )
        async with SharedSocket(feed) as shared:
            with anyio.fail_after(HANGS):
                async with anyio.create_task_group() as tasks:
                    for number in range(40):
                        tasks.start_soon(pair, f"session-{number}")
                    while shared.members < 40 or not server.open_connections:  # noqa: ASYNC110
                        await anyio.sleep(0.01)
                    await anyio.sleep(0.1)
                    sockets.append(server.open_connections)
                    await socketio.emit("/", "linked", {"session": "somebody's", "me": "?"})
                    for number in range(40):
                        said = {"session": f"session-{number}", "me": f"me-{number}"}
                        await socketio.emit("/", "linked", said)
                while server.open_connections:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            assert (shared.openings, shared.is_open) == (1, False)
            assert shared.dropped == {"nobody": 1}
    assert sockets == [1]
    assert {name: outcome.identity for name, outcome in outcomes.items()} == {
        f"session-{number}": f"me-{number}" for number in range(40)
    }
