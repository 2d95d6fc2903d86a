"""The bot platform: it makes codes, and knows whether an account is paired.

This is the module to change for a platform of your own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import aiohttp

from qrlifecycle import (
    Paired,
    PairingCode,
    Policy,
    QRCode,
    QRLifecycle,
    ServiceRefused,
    SocketIOTransport,
)
from qrlifecycle.codes import Code

__all__ = ["BotPlatform"]


@dataclass(frozen=True, slots=True)
class BotPlatform:
    """A bot on a platform that speaks HTTP and Socket.IO, as `PairingServer` does."""

    url: str
    bot_id: str = "bot-7"
    policy: Policy = field(default_factory=Policy)
    token: str | None = field(default=None, repr=False)

    def lifecycle(self, user_id: str) -> QRLifecycle:
        """A new lifecycle for one user; nothing is asked for or open before its `pair()`."""
        return QRLifecycle(
            partial(self.request_code, user_id),
            partial(
                SocketIOTransport,
                self.url,
                bot_id=self.bot_id,
                user_id=user_id,
                auth={"token": self.token} if self.token else None,
            ),
            check_status=partial(self.check_status, user_id),
            policy=self.policy,
        )

    async def request_code(self, user_id: str) -> QRCode | PairingCode | Paired:
        """The request behind "Pair WhatsApp"."""
        owner = {"botId": self.bot_id, "userId": user_id}
        async with (
            self._session() as http,
            http.post(f"{self.url}/qr", json=owner) as answer,
        ):
            if answer.status in (401, 403):
                raise ServiceRefused(f"the platform answered HTTP {answer.status}")
            answer.raise_for_status()
            body = await answer.json()
        if body.get("paired"):
            return Paired(body["identity"])
        return QRCode(body["qr"], expires_in=body["expiresIn"])

    async def check_status(self, user_id: str) -> Paired | None:
        """Whether the account is paired, in case that a message was lost."""
        owner = {"botId": self.bot_id, "userId": user_id}
        async with (
            self._session() as http,
            http.get(f"{self.url}/status", params=owner) as answer,
        ):
            answer.raise_for_status()
            body = await answer.json()
        return Paired(body["identity"]) if body["status"] == "paired" else None

    def _session(self) -> aiohttp.ClientSession:
        """For one request, with the token if there is one."""
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else None
        return aiohttp.ClientSession(headers=bearer)

    def lifetime(self, code: Code) -> float:
        """For how many seconds a code is valid."""
        return self.policy.qr_lifetime if code.expires_in is None else code.expires_in
