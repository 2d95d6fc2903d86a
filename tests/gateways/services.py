"""A service of the tests' own, and a client that answers without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio

from qrlifecycle import ActionRequired, NoTransport, Paired, Policy, QRCode, Signal
from qrlifecycle.gateways import Gateway
from qrlifecycle.gateways.credentials import Credential, fresh
from qrlifecycle.gateways.http import Answer
from qrlifecycle.gateways.replies import CodeCompared, PasswordGiven, Reply

__all__ = ["Canned", "Toy", "json_answer"]


def json_answer(text: str, status: int = 200) -> Answer:
    """An answer of JSON."""
    return Answer(status, text.encode())


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
        url: str = "http://user:pass@toy.example/api/",
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

    def transport(self) -> NoTransport:
        return NoTransport()
