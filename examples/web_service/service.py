"""The bot platform: it makes codes, and knows whether an account is paired.

This is the module to change for a platform of your own. Two are here: one that speaks HTTP and
Socket.IO in its own way, and any service for which there is a gateway.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

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
from qrlifecycle.gateways import Gateway
from qrlifecycle.leases import LeaseFactory

__all__ = ["BotPlatform", "GatewayPlatform", "Platform"]


class Platform(Protocol):
    """What the rest of the service asks of a platform."""

    def lifecycle(self, user_id: str, *, lease: LeaseFactory | None = None) -> QRLifecycle:
        """A new lifecycle for one user; nothing is asked for or open before its `pair()`."""
        ...

    def key(self, user_id: str) -> tuple[str, str]:
        """Where this user pairs, and what; one lifecycle at a time runs for it."""
        ...


@dataclass(frozen=True, slots=True)
class GatewayPlatform:
    """The account of a gateway: whoever opens the page pairs that one, so serve it to few."""

    gateway: Gateway

    def lifecycle(
        self,
        user_id: str,  # noqa: ARG002 - `Platform`'s
        *,
        lease: LeaseFactory | None = None,
    ) -> QRLifecycle:
        """A new lifecycle for the account."""
        return self.gateway.lifecycle(lease=lease)

    def key(self, user_id: str) -> tuple[str, str]:
        """The gateway's account; but for a program's, whose codes stand each by itself."""
        gateway = self.gateway
        return gateway.place, gateway.account if gateway.one_request_at_a_time else user_id


@dataclass(frozen=True, slots=True)
class BotPlatform:
    """A bot on a platform that speaks HTTP and Socket.IO, as `PairingServer` does."""

    url: str
    bot_id: str = "bot-7"
    policy: Policy = field(default_factory=Policy)
    token: str | None = field(default=None, repr=False)

    def lifecycle(self, user_id: str, *, lease: LeaseFactory | None = None) -> QRLifecycle:
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
            lease=lease,
        )

    def key(self, user_id: str) -> tuple[str, str]:
        """Each user of the bot."""
        return self.bot_id, user_id

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
