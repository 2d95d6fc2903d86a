"""`web_service.streams`: one lifecycle per user, in the scope of the task that awaits it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from web_service.news import News, SendNews
from web_service.service import BotPlatform
from web_service.streams import QUIET, Streams

from qrlifecycle import (
    ActionRequired,
    Paired,
    PairingCode,
    PairingRefused,
    Policy,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
)
from qrlifecycle.leases import LeaseFactory, LocalLeases
from qrlifecycle.testing import Fault, ScriptedPeer, settle

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class ScriptedPlatform(BotPlatform):
    """A platform without a network; every user's sockets lead to one peer."""

    url: str = "http://nowhere.example"
    peer: ScriptedPeer = field(default_factory=ScriptedPeer)
    slow: float = 0
    """Seconds that a request takes."""
    codes: list[QRCode | PairingCode | Paired] = field(default_factory=list)

    def lifecycle(self, user_id: str, *, lease: LeaseFactory | None = None) -> QRLifecycle:
        """One over the peer."""

        async def request_code() -> QRCode | PairingCode | Paired:
            await anyio.sleep(self.slow)
            return self.codes.pop(0) if self.codes else QRCode("a code", expires_in=60)

        return QRLifecycle(request_code, self.peer, policy=self.policy, lease=lease)


class Page:
    """What one page was told."""

    def __init__(self) -> None:
        self.news: list[News | None] = []

    async def tell(self, news: News | None) -> None:
        """Take note."""
        self.news.append(news)

    @property
    def told(self) -> list[dict[str, Any]]:
        """All that were news."""
        return [dict(news) for news in self.news if news is not None]

    @property
    def last(self) -> dict[str, Any]:
        """The newest of them."""
        return self.told[-1]


async def ignore(_news: News | None) -> None:
    """A page that nobody looks at."""


async def never(_news: News | None) -> None:
    """A page that reads nothing."""
    await anyio.sleep_forever()


def ended(reason: Reason) -> dict[str, object]:
    """What a page is told of a failure."""
    return {"ended": "failed", "sentence": reason.person, "again": True}


async def test_a_page_is_told_how_it_goes() -> None:
    """From the request for a code to the success; each with what a person can understand."""
    platform, page = ScriptedPlatform(), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        platform.peer.send(Scanned())
        await settle()
        platform.peer.send(Paired("+49"))
    news = page.told
    events = ["generate", "qr_ready", "qr_updated", "scanned", "paired"]
    assert [each["event"] for each in news] == events
    assert [each["socket_open"] for each in news] == [False, True, True, True, False]
    assert all(each["sentence"] for each in news)
    assert [each["event"] for each in news if "picture" in each] == ["qr_updated"]
    assert news[2]["picture"].startswith("<svg")
    assert news[2]["expires_in"] == 60
    assert news[-1].items() >= {"ended": "paired", "sentence": "Paired with +49."}.items()


async def test_a_picture_is_shown_as_it_came() -> None:
    """Of a code that the platform has drawn itself nobody reads the text, not even to play."""
    picture = QRCode("a code").png()
    platform, page = ScriptedPlatform(codes=[QRCode(picture=picture)]), Page()
    async with Streams(platform, plays_phone=True) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        assert base64.b64encode(picture).decode() in page.last["picture"]
        assert "address" not in page.last
        tasks.cancel_scope.cancel()


async def test_what_a_code_says_is_told_only_where_the_phone_is_played() -> None:
    """Elsewhere it is in the picture alone."""
    for plays_phone in (True, False):
        platform, page = ScriptedPlatform(), Page()
        async with (
            Streams(platform, plays_phone=plays_phone) as streams,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(streams.pair, "ada", page.tell)
            await settle()
            assert (page.last.get("address") == "a code") is plays_phone
            tasks.cancel_scope.cancel()


async def test_a_code_to_type_is_told_as_text() -> None:
    """Who cannot see or scan a picture types; a platform may offer that."""
    code = PairingCode("ABCD-1234")
    platform, page = ScriptedPlatform(codes=[code], policy=Policy(qr_lifetime=180)), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        assert page.last["text"] == "ABCD-1234"
        assert page.last["sentence"] == "Type this code on your phone."
        assert page.last["expires_in"] == 180
        assert "picture" not in page.last
        tasks.cancel_scope.cancel()


async def test_what_can_be_typed_in_place_of_scanning_is_told() -> None:
    """The page has the picture, and says what to type."""
    code = QRCode("https://h/x?code=WDJB-MJHT", typed="WDJB-MJHT", typed_at="https://h/x")
    platform, page = ScriptedPlatform(codes=[code]), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        assert page.last["sentence"] == (
            "Scan the code with your phone. Or type WDJB-MJHT at https://h/x."
        )
        assert "picture" in page.last
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(("data", "said"), [({"code": "42"}, " 42"), ({}, "")])
async def test_one_more_step_is_told(data: dict[str, object], said: str) -> None:
    """With what the person needs for it."""
    platform, page = ScriptedPlatform(), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        platform.peer.send(ActionRequired("compare_code", data))
        await settle()
        assert page.last["sentence"] == f"One more step on your phone: compare_code{said}"
        tasks.cancel_scope.cancel()


async def test_a_code_that_ran_out_is_replaced() -> None:
    """The page is told so, and then the new code."""
    codes: list[QRCode | PairingCode | Paired] = [QRCode("one", expires_in=5)]
    platform, page = ScriptedPlatform(codes=codes), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", page.tell)
        await anyio.sleep(9)
        tasks.cancel_scope.cancel()
    events = [news["event"] for news in page.told]
    assert events[:6] == ["generate", "qr_ready", "qr_updated", "expired", "qr_ready", "qr_updated"]
    pictures = [news["picture"] for news in page.told if "picture" in news]
    assert len(set(pictures)) == 2


async def test_a_page_is_told_when_there_are_no_news() -> None:
    """So that both ends can tell a quiet connection from a dead one."""
    page = Page()
    async with Streams(ScriptedPlatform()) as streams:
        with anyio.move_on_after(2.5 * QUIET):
            await streams.pair("ada", page.tell)
    assert page.news[-2:] == [None, None]
    assert page.news.count(None) == 2


async def test_a_request_that_goes_away_takes_the_socket_with_it() -> None:
    """Its scope is the lifecycle's scope."""
    platform = ScriptedPlatform()
    async with Streams(platform) as streams:
        with anyio.move_on_after(1):
            await streams.pair("ada", ignore)
        assert platform.peer.most_sockets == 1
        assert platform.peer.open_sockets == 0
        assert streams.attempts == 0


async def test_a_second_tab_joins_the_attempt_that_is_under_way() -> None:
    """It shows the same code and is told the same end; there is one socket, and one request."""
    platform, one, two = ScriptedPlatform(), Page(), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", one.tell)
        await anyio.sleep(10)
        tasks.start_soon(streams.pair, "ada", two.tell)
        await settle()
        assert streams.attempts == 1
        (joined,) = two.told
        assert joined["picture"] == one.last["picture"]
        assert joined["expires_in"] == pytest.approx(50)
        assert (joined["state"], joined["socket_open"]) == ("displayed", True)
        platform.peer.send(Paired("+49"))
    assert one.last == two.last
    assert two.last["sentence"] == "Paired with +49."
    assert len(platform.peer.transports) == 1


COMPARED = "One more step on your phone: compare_code 42"


@pytest.mark.parametrize(
    ("signals", "event", "sentence"),
    [
        ([], "qr_updated", "Scan the code with your phone."),
        ([Scanned()], "scanned", "Your phone has read the code. Please approve there."),
        ([ActionRequired("compare_code", {"code": "42"})], "action_required", COMPARED),
        ([Scanned(), QRUpdated(QRCode("two"))], "qr_updated", "Scan the code with your phone."),
    ],
)
async def test_a_tab_that_joins_is_told_how_far_it_is(
    signals: list[Signal], event: str, sentence: str
) -> None:
    """At once, in the words that the others were told."""
    platform, page = ScriptedPlatform(), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", ignore)
        await settle()
        for signal in signals:
            platform.peer.send(signal)
        await settle()
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        (joined,) = page.told
        assert (joined["event"], joined["sentence"]) == (event, sentence)
        assert ("picture" in joined) is (event == "qr_updated")
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("openings", "state", "sentence"),
    [
        ((), "generating", "Asking for a code."),
        ((Fault.HUNG,), "displayed", "Getting the code ready."),
    ],
)
async def test_a_tab_that_joins_before_the_code_waits_like_the_others(
    openings: tuple[Fault, ...], state: str, sentence: str
) -> None:
    """For the request, and for the socket to open."""
    platform = ScriptedPlatform(peer=ScriptedPeer(openings), slow=0 if openings else 2)
    one, two = Page(), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", one.tell)
        await anyio.sleep(1)
        tasks.start_soon(streams.pair, "ada", two.tell)
        await settle()
        (joined,) = two.told
        assert (joined["state"], joined["sentence"]) == (state, sentence)
        await anyio.sleep(platform.policy.open_timeout + 5)
        assert two.last == one.last
        assert "picture" in two.last
        tasks.cancel_scope.cancel()


async def test_of_many_tabs_at_once_all_show_one_code() -> None:
    """One request is made, and one socket opened."""
    platform, pages = ScriptedPlatform(), [Page() for _ in range(5)]
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        for page in pages:
            tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        assert len({page.last["picture"] for page in pages}) == 1
        tasks.cancel_scope.cancel()
    assert len(platform.peer.transports) == 1


async def test_a_tab_that_leaves_takes_the_code_from_no_other() -> None:
    """The last one ends the attempt, and has left when the socket is closed."""
    platform, page = ScriptedPlatform(), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as first:
            first.start_soon(streams.pair, "ada", ignore)
            await settle()
            tasks.start_soon(streams.pair, "ada", page.tell)
            await settle()
            first.cancel_scope.cancel()
        await settle()
        assert page.last["event"] == "qr_updated"
        assert platform.peer.open_sockets == 1
        tasks.cancel_scope.cancel()
    assert platform.peer.open_sockets == 0


async def test_a_page_that_reads_nothing_holds_up_no_other() -> None:
    """A tab may be frozen; the user's next one goes on without it, to the end."""
    platform, page = ScriptedPlatform(), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", never)
        await settle()
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        assert "picture" in page.last
        platform.peer.send(Paired())
        await settle()
        assert page.last["ended"] == "paired"
        tasks.cancel_scope.cancel()


async def test_who_comes_while_the_last_one_leaves_waits_for_a_fresh_code() -> None:
    """The socket of before closes slowly; there are never two."""
    platform = ScriptedPlatform(peer=ScriptedPeer(closings=[Fault.HUNG]))
    page, leaving = Page(), anyio.CancelScope()

    async def leave(streams: Streams) -> None:
        with leaving:
            await streams.pair("ada", ignore)

    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(leave, streams)
        await settle()
        leaving.cancel()
        await settle()
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        assert page.news == []
        await anyio.sleep(platform.policy.close_timeout)
        await settle()
        assert "picture" in page.last
        tasks.cancel_scope.cancel()
    assert platform.peer.most_sockets == 1


async def test_who_asks_again_after_the_end_gets_a_fresh_attempt() -> None:
    """Also while another tab still shows the end."""
    platform, one, two = ScriptedPlatform(), Page(), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", one.tell)
        await settle()
        platform.peer.send(PairingRefused())
        await settle()
        assert one.last["ended"] == "failed"
        tasks.start_soon(streams.pair, "ada", two.tell)
        await settle()
        assert [news["event"] for news in two.told] == ["generate", "qr_ready", "qr_updated"]
        tasks.cancel_scope.cancel()


async def test_promise_9_over_processes_the_newer_takes_over() -> None:
    """Every tab of the older is told, and has a button: it is for the person to take it back."""
    leases, peer = LocalLeases(), ScriptedPeer()  # one keeper, and one service
    here, there = (Streams(ScriptedPlatform(peer=peer), leases=leases) for _ in range(2))
    one, two, three = Page(), Page(), Page()
    async with here, there, anyio.create_task_group() as tasks:
        tasks.start_soon(here.pair, "ada", one.tell)
        tasks.start_soon(here.pair, "ada", two.tell)
        await settle()
        tasks.start_soon(there.pair, "ada", three.tell)
        await settle()
        for page in (one, two):
            assert page.last.items() >= ended(Reason.SUPERSEDED).items()
        assert three.last["event"] == "qr_updated"
        tasks.start_soon(here.pair, "ada", one.tell)
        await settle()
        assert one.last["event"] == "qr_updated"
        assert three.last.items() >= ended(Reason.SUPERSEDED).items()
        tasks.cancel_scope.cancel()
    assert peer.most_sockets == 1


async def test_users_do_not_wait_for_each_other() -> None:
    """Each has a socket; one's leaving is nothing to the other."""
    platform, ada, bob = ScriptedPlatform(), Page(), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", ada.tell)
        tasks.start_soon(streams.pair, "bob", bob.tell)
        await settle()
        assert platform.peer.open_sockets == 2
        assert "picture" in ada.last
        assert "picture" in bob.last
        assert streams.attempts == 2
        tasks.cancel_scope.cancel()


async def test_a_service_that_stops_ends_what_runs_and_begins_nothing() -> None:
    """Each page is told; nobody hangs."""
    platform, page, late = ScriptedPlatform(), Page(), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        streams.close()
        await streams.pair("bob", late.tell)
    for each in (page, late):
        assert each.last.items() >= ended(Reason.CANCELLED).items()
    assert platform.peer.open_sockets == 0
    assert platform.peer.most_sockets == 1


@pytest.mark.parametrize("turns", range(4))
async def test_a_service_that_stops_as_an_attempt_begins_ends_it(turns: int) -> None:
    """In whichever turn of the event loop: the page is told, and no socket is opened."""
    platform, page = ScriptedPlatform(slow=1), Page()
    async with Streams(platform) as streams, anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", page.tell)
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        streams.close()
        await settle()
        assert page.last.items() >= ended(Reason.CANCELLED).items()
    assert platform.peer.transports == []


async def test_a_rotated_code_is_told_and_its_forerunner_forgotten() -> None:
    """A page that lags behind is given the code that is good now."""
    platform, pictures = ScriptedPlatform(), list[str]()

    async def lag(news: News | None) -> None:
        if news is not None and "picture" in news:
            pictures.append(news["picture"])
            if len(pictures) == 1:
                for name in ("two", "three"):
                    platform.peer.send(QRUpdated(QRCode(name)))
            await anyio.sleep(1)

    tell: SendNews = lag
    async with Streams(platform) as streams:
        with anyio.move_on_after(5):
            await streams.pair("ada", tell)
    side: Callable[[str], str] = lambda name: QRCode(name).svg(scale=11)  # noqa: E731
    assert pictures == [side("a code"), side("three")]
