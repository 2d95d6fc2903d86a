"""A service of the tests' own, and a client that answers without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    NoTransport,
    Paired,
    Policy,
    QRCode,
    Signal,
    Transport,
)
from qrlifecycle.gateways import Gateway
from qrlifecycle.gateways.credentials import Credential, fresh
from qrlifecycle.gateways.http import Answer
from qrlifecycle.gateways.replies import CodeCompared, PasswordGiven, Reply
from qrlifecycle.testing.http_server import HTTPServer, Request, Upgrade
from qrlifecycle.testing.socketio_server import SocketIOServer

from ..patience import HANGS

__all__ = ["Canned", "Toy", "code_from", "give_secret", "json_answer", "telling_everybody"]


def json_answer(text: str, status: int = 200) -> Answer:
    """An answer of JSON."""
    return Answer(status, text.encode())


async def code_from(gateway: Gateway) -> object:
    """What it is given when it asks for a code; it may ask again, but not for ever."""
    with anyio.fail_after(HANGS):
        return await gateway.request_qr()


@asynccontextmanager
async def telling_everybody() -> AsyncIterator[tuple[HTTPServer, SocketIOServer]]:
    """A server that speaks Socket.IO and nothing else, and tells everybody everything."""
    socketio = SocketIOServer()

    async def accept(_request: Request) -> Upgrade:
        return socketio.accept()

    async with HTTPServer(accept) as server:
        yield server, socketio


def give_secret(
    secret: str, name: str, way: str, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> list[str]:
    """Give a command a secret, and the arguments that it needs for that.

    Args:
        secret: what it is.
        name: what the gateway calls it, with hyphens.
        way: "environment" or "file"; in the latter it has a line end, as editors write it, and the
            environment has another.
        monkeypatch: pytest's.
        folder: where the file is to be.
    """
    variable = f"QRLIFECYCLE_{name.replace('-', '_').upper()}"
    if way == "environment":
        monkeypatch.setenv(variable, secret)
        return []
    file = folder / name
    file.write_text(f"{secret}\n")
    monkeypatch.setenv(variable, "another")
    return [f"--{name}-file", str(file)]


class Canned:
    """A client that gives one answer after another, the last for ever."""

    def __init__(self, *answers: Answer | Exception, wait: float = 0.0) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.contents: list[bytes | None] = []
        self.under_way = self.most = 0
        self._answers = list(answers)
        self._wait = wait

    async def request(
        self, method: str, url: str, *, content: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """Note what is asked for, and answer."""
        self.asked.append((method, url, dict(headers)))
        self.contents.append(content)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await anyio.sleep(self._wait)
        finally:
            self.under_way -= 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Toy(Gateway):
    """The least that a gateway is."""

    policy = Policy(status_interval=5, max_refreshes=0, expiry_grace=0)
    replies = {"compare_code": CodeCompared, "password": PasswordGiven}  # noqa: RUF012

    def __init__(
        self,
        client: Any = None,
        *,
        url: str = "http://toy.example/api/",
        account: str = "bot/7",
        key: Credential = "k3y",
        read: Callable[[Mapping[str, Any]], str] = lambda body: str(body["qr"]),
        **options: Any,
    ) -> None:
        super().__init__(url, account, http=client, **options)
        self._key = key
        self._read = read
        self.replied: list[tuple[str, Reply]] = []

    async def headers(self) -> Mapping[str, str]:
        return {"X-Key": await fresh(self._key)}

    async def ask_for_code(self) -> QRCode | Paired:
        _key = await fresh(self._key)  # as a gateway may well have it at hand
        body = await self.ask("POST", "qr", self.account, json_body={"new": True})
        return QRCode(self._read(body))

    async def ask_for_status(self) -> Signal | None:
        _key = await fresh(self._key)
        body = await self.ask("GET", "status", self.account)
        return Paired(body["id"]) if "id" in body else None

    async def send_reply(self, action: ActionRequired, reply: Reply) -> None:
        await self.ask("POST", "reply", self.account)
        self.replied.append((action.action, reply))

    def transport(self) -> Transport:
        return NoTransport()
