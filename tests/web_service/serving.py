"""The example service on loopback, beside a pairing server that keeps book; and a client of it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import anyio
from web_service.__main__ import Server, listen
from web_service.service import BotPlatform
from web_service.sessions import SESSION, Sessions, user_of
from web_service.streams import Streams

from qrlifecycle import Paired, PairingCode, QRCode
from qrlifecycle.testing import PairingServer

from ..patience import HANGS
from ..sockets import connected_to

__all__ = ["BOT", "Client", "Offering", "Place", "Service", "Stream", "payload", "serving",
           "until"]  # fmt: skip

BOT = BotPlatform("").bot_id


async def until(true: Callable[[], bool]) -> None:
    """Wait for what nobody announces."""
    with anyio.fail_after(HANGS):
        while not true():  # noqa: ASYNC110 - nobody announces it
            await anyio.sleep(0.002)


class QuietServer(Server):
    """Leaves the signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@dataclass
class Place:
    """Where a person finds the page, and the pairing server behind it."""

    url: str
    pairing: PairingServer

    async def scan(self, user_id: str, *, confirm: bool = True) -> None:
        """Let the phone open what the newest code of a user says, as phones do: by its URL."""
        url = self.pairing.url_of(self.pairing.pairing(BOT, user_id))
        async with aiohttp.ClientSession() as phone:
            said = {"answer": "confirm" if confirm else "scan"}
            async with phone.post(url, params=said) as answer:
                assert answer.ok

    async def nothing_left(self) -> None:
        """Wait until no socket leads to the pairing server; or fail."""
        await until(lambda: self.pairing.open_sockets() == 0)


@dataclass
class Service(Place):
    """What a test talks to, and asks."""

    streams: Streams
    server: Server

    async def nothing_left(self) -> None:
        """Wait until no socket leads to the pairing server and no lifecycle runs; or fail."""
        await Place.nothing_left(self)
        await until(lambda: connected_to(self.pairing.port) == 0)
        await until(lambda: not self.streams.attempts)


@asynccontextmanager
async def serving(
    make: Callable[[str], BotPlatform] = BotPlatform,
    *,
    qr_lifetime: float = 60.0,
    most: int = 1000,
) -> AsyncIterator[Service]:
    """Serve, and be gone on leaving, whatever happens."""
    async with PairingServer(qr_lifetime=qr_lifetime) as pairing:
        streams = Streams(make(pairing.url), plays_phone=True, most=most)
        server = QuietServer(streams, Sessions(), hosts=("127.0.0.1",))
        with listen("127.0.0.1", 0) as listener:

            async def run() -> None:
                with anyio.CancelScope(shield=True):
                    await server.serve(sockets=[listener])

            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with streams, anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                try:
                    yield Service(url, pairing, streams, server)
                finally:
                    server.should_exit = True


@dataclass(frozen=True)
class Offering(BotPlatform):
    """A platform that offers codes to type."""

    async def request_code(self, user_id: str) -> QRCode | PairingCode | Paired:
        """One to type."""
        await BotPlatform.request_code(self, user_id)
        return PairingCode("ABCD-1234", expires_in=180)


class Stream:
    """What `POST /pair` answers, read as a page reads it."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.text = ""
        """Everything that came so far."""

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self._news()

    async def _news(self) -> AsyncIterator[dict[str, Any]]:
        async for line in self.answer.content:
            self.text += line.decode()
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    async def until(self, **wanted: object) -> dict[str, Any]:
        """The next news that are so."""
        with anyio.fail_after(HANGS):
            async for news in self:
                if wanted.items() <= news.items():
                    return news
        raise AssertionError(f"the stream ended without {wanted}: {self.text}")

    async def code(self) -> dict[str, Any]:
        """The next code to show."""
        return await self.until(event="qr_updated")


class Client:
    """A browser's network side: a session cookie, and the headers of a page; a context manager."""

    def __init__(self, service: Place) -> None:
        self.service = service
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.session = ""

    async def __aenter__(self) -> Self:
        async with self.http.get(self.service.url) as answer:
            self.session = answer.cookies[SESSION].value
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.http.close()

    @property
    def user_id(self) -> str:
        """Whom the platform knows this browser as."""
        return user_of(self.session)

    @asynccontextmanager
    async def pair(self) -> AsyncIterator[Stream]:
        """Press "Pair WhatsApp"; leaving closes the connection, as a dialog that is closed does."""
        headers = {"Origin": self.service.url}
        answer = await self.http.post(f"{self.service.url}/pair", headers=headers)
        try:
            assert answer.status == 200, await answer.text()
            yield Stream(answer)
        finally:
            answer.close()

    async def ask(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        """Any request, read to its end."""
        with anyio.fail_after(HANGS):
            async with self.http.request(method, self.service.url + path, **options) as answer:
                await answer.read()
                return answer


def payload(svg: str) -> str:
    """The part of a drawing that differs from code to code."""
    found = re.search(r'class="qrline"[^>]* d="([^"]+)"', svg)
    assert found is not None
    return found[1]
