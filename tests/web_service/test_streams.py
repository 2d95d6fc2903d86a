"""`web_service.streams`: one lifecycle per user, in the scope of the task that awaits it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from web_service.service import BotPlatform
from web_service.streams import QUIET, News, SendNews, Streams

from qrlifecycle import (
    ActionRequired,
    Paired,
    PairingCode,
    Policy,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
)
from qrlifecycle.testing import Fault, ScriptedPeer, settle

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class ScriptedPlatform(BotPlatform):
    """A platform without a network; every user's sockets lead to one peer."""

    url: str = "http://nowhere.example"
    peer: ScriptedPeer = field(default_factory=ScriptedPeer)
    codes: list[QRCode | PairingCode | Paired] = field(default_factory=list)

    def lifecycle(self, user_id: str) -> QRLifecycle:
        """One over the peer."""

        async def request_code() -> QRCode | PairingCode | Paired:
            return self.codes.pop(0) if self.codes else QRCode("a code", expires_in=60)

        return QRLifecycle(request_code, self.peer, policy=self.policy)


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
    return {"ended": "failed", "sentence": reason.person, "retryable": reason.retryable}


async def test_a_page_is_told_how_it_goes() -> None:
    """From the request for a code to the success; each with what a person can understand."""
    platform, page = ScriptedPlatform(), Page()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Streams(platform).pair, "ada", page.tell)
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
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Streams(platform, plays_phone=True).pair, "ada", page.tell)
        await settle()
        assert base64.b64encode(picture).decode() in page.last["picture"]
        assert "address" not in page.last
        tasks.cancel_scope.cancel()


async def test_what_a_code_says_is_told_only_where_the_phone_is_played() -> None:
    """Elsewhere it is in the picture alone."""
    for plays_phone in (True, False):
        platform, page = ScriptedPlatform(), Page()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Streams(platform, plays_phone=plays_phone).pair, "ada", page.tell)
            await settle()
            assert (page.last.get("address") == "a code") is plays_phone
            tasks.cancel_scope.cancel()


async def test_a_code_to_type_is_told_as_text() -> None:
    """Who cannot see or scan a picture types; a platform may offer that."""
    code = PairingCode("ABCD-1234")
    platform, page = ScriptedPlatform(codes=[code], policy=Policy(qr_lifetime=180)), Page()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Streams(platform).pair, "ada", page.tell)
        await settle()
        assert page.last["text"] == "ABCD-1234"
        assert page.last["sentence"] == "Type this code on your phone."
        assert page.last["expires_in"] == 180
        assert "picture" not in page.last
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(("data", "said"), [({"code": "42"}, " 42"), ({}, "")])
async def test_one_more_step_is_told(data: dict[str, object], said: str) -> None:
    """With what the person needs for it."""
    platform, page = ScriptedPlatform(), Page()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Streams(platform).pair, "ada", page.tell)
        await settle()
        platform.peer.send(ActionRequired("compare_code", data))
        await settle()
        assert page.last["sentence"] == f"One more step on your phone: compare_code{said}"
        tasks.cancel_scope.cancel()


async def test_a_code_that_ran_out_is_replaced() -> None:
    """The page is told so, and then the new code."""
    codes: list[QRCode | PairingCode | Paired] = [QRCode("one", expires_in=5)]
    platform, page = ScriptedPlatform(codes=codes), Page()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Streams(platform).pair, "ada", page.tell)
        await anyio.sleep(9)
        tasks.cancel_scope.cancel()
    events = [news["event"] for news in page.told]
    assert events[:6] == ["generate", "qr_ready", "qr_updated", "expired", "qr_ready", "qr_updated"]
    pictures = [news["picture"] for news in page.told if "picture" in news]
    assert len(set(pictures)) == 2


async def test_a_page_is_told_when_there_are_no_news() -> None:
    """So that both ends can tell a quiet connection from a dead one."""
    page = Page()
    with anyio.move_on_after(2.5 * QUIET):
        await Streams(ScriptedPlatform()).pair("ada", page.tell)
    assert page.news[-2:] == [None, None]
    assert page.news.count(None) == 2


async def test_a_request_that_goes_away_takes_the_socket_with_it() -> None:
    """Its scope is the lifecycle's scope."""
    platform = ScriptedPlatform()
    streams = Streams(platform)
    with anyio.move_on_after(1):
        await streams.pair("ada", ignore)
    assert platform.peer.most_sockets == 1
    assert platform.peer.open_sockets == 0
    assert streams.users == 0


async def test_of_two_tabs_the_newer_takes_over() -> None:
    """The older is told, and its socket is gone before the newer opens one."""
    platform, older, newer = ScriptedPlatform(), Page(), Page()
    streams = Streams(platform)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", older.tell)
        await settle()
        tasks.start_soon(streams.pair, "ada", newer.tell)
        await settle()
        assert older.last.items() >= ended(Reason.CONFLICT).items()
        assert newer.last["event"] == "qr_updated"
        assert platform.peer.open_sockets == 1
        platform.peer.send(Paired())
    assert newer.last["ended"] == "paired"
    assert platform.peer.most_sockets == 1


async def test_of_many_tabs_at_once_the_newest_wins() -> None:
    """Nobody else asks for a code; each is told."""
    platform, pages = ScriptedPlatform(), [Page() for _ in range(5)]
    streams = Streams(platform)
    async with anyio.create_task_group() as tasks:
        for page in pages:
            tasks.start_soon(streams.pair, "ada", page.tell)
            await anyio.lowlevel.checkpoint()
        await settle()
        shown = [page for page in pages if "picture" in page.last]
        assert len(shown) == 1
        told = [page for page in pages if page.last.get("sentence") == Reason.CONFLICT.person]
        assert len(told) == 4
        tasks.cancel_scope.cancel()
    assert platform.peer.most_sockets == 1


async def test_a_page_that_reads_nothing_holds_up_no_other() -> None:
    """A tab may be frozen; the user's next one goes on without it."""
    platform, page = ScriptedPlatform(), Page()
    streams = Streams(platform)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", never)
        await settle()
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        assert "picture" in page.last
        assert platform.peer.most_sockets == 1
        tasks.cancel_scope.cancel()


async def test_a_tab_that_goes_while_it_waits_lets_nobody_in_early() -> None:
    """The first socket closes slowly; the third tab waits for that, not for the second tab."""
    platform = ScriptedPlatform(peer=ScriptedPeer(closings=[Fault.HUNG]))
    streams, page = Streams(platform), Page()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", ignore)
        await settle()
        with anyio.move_on_after(0.1):
            await streams.pair("ada", ignore)
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        assert page.news == []
        await anyio.sleep(platform.policy.close_timeout)
        assert "picture" in page.last
        tasks.cancel_scope.cancel()
    assert platform.peer.most_sockets == 1


async def test_users_do_not_wait_for_each_other() -> None:
    """Each has a socket; one's leaving is nothing to the other."""
    platform, ada, bob = ScriptedPlatform(), Page(), Page()
    streams = Streams(platform)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", ada.tell)
        tasks.start_soon(streams.pair, "bob", bob.tell)
        await settle()
        assert platform.peer.open_sockets == 2
        assert "picture" in ada.last
        assert "picture" in bob.last
        assert streams.users == 2
        tasks.cancel_scope.cancel()


async def test_a_service_that_stops_ends_what_runs_and_begins_nothing() -> None:
    """Each page is told; nobody hangs."""
    platform, page, late = ScriptedPlatform(), Page(), Page()
    streams = Streams(platform)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(streams.pair, "ada", page.tell)
        await settle()
        streams.close()
    await streams.pair("bob", late.tell)
    for each in (page, late):
        assert each.last.items() >= ended(Reason.CANCELLED).items()
    assert platform.peer.open_sockets == 0
    assert platform.peer.most_sockets == 1


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
    with anyio.move_on_after(5):
        await Streams(platform).pair("ada", tell)
    side: Callable[[str], str] = lambda name: QRCode(name).svg(scale=11)  # noqa: E731
    assert pictures == [side("a code"), side("three")]
