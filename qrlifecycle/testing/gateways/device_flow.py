"""An OpenID provider with the device flow, played: RFC 8628, and what servers make of it.

It is made after oidc-provider 9 (no interval, never ``slow_down``), Authlib 1.9 (``slow_down``
without the new interval) and the RFC. Real servers are in this project's own tests; this one is
quick, runs on asyncio and trio, and does what they do seldom.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from secrets import choice, token_urlsafe
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote_plus, urlsplit

import anyio

from ...codes import Code, QRCode
from ...gateways.device_flow import GRANT, DeviceFlow
from ..http_server import Request, Response
from .emulator import CannotDo, Emulator
from .served import ServedEmulator

__all__ = ["DeviceFlowEmulator", "DeviceGrant"]

ACCOUNT = "user-7"
"""Whose phone it is, unless told otherwise, spelt as the service spells it."""

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""Of user codes: no vowels, so that no word comes of it (RFC 8628, section 6.1)."""


@dataclass(slots=True)
class DeviceGrant:
    """One device code, and how far it is. Times are seconds of the event loop's clock."""

    device_code: str
    user_code: str
    expires_at: float
    identity: str | None = None
    refused: bool = False
    used: bool = False
    polls: list[float] = field(default_factory=list)


class DeviceFlowEmulator(ServedEmulator):
    """The server.

    Args:
        client_id: the client that it knows.
        client_secret: the client's secret, if it has one.
        lifetime: seconds for which a code is good.
        interval: seconds between two polls; None says nothing of it, and takes any.
        complete: whether ``verification_uri_complete`` is sent.
        id_token: whether an ID token is sent with the others.
        error_status: the HTTP status of errors; 200 has been seen.
        host: the address to listen on.
        port: the port; 0 takes a free one.
    """

    account: ClassVar[str] = ACCOUNT

    def __init__(
        self,
        *,
        client_id: str = "tv",
        client_secret: str | None = None,
        lifetime: float = 600.0,
        interval: float | None = None,
        complete: bool = True,
        id_token: bool = True,
        error_status: int = 400,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port)
        self.client_id = client_id
        self.client_secret = client_secret
        self.lifetime = lifetime
        self.interval = interval
        self.complete = complete
        self.id_token = id_token
        self.error_status = error_status
        self.grants: list[DeviceGrant] = []
        """Of every code that was asked for, in order."""
        self.tokens: list[str] = []
        self._locked = False

    def gateway(self) -> DeviceFlow:
        """A gateway with this client's id and secret."""
        return DeviceFlow(self.url, **self.arguments())

    def arguments(self) -> Mapping[str, Any]:
        """This client's id and secret."""
        return {"client_id": self.client_id, "client_secret": self.client_secret}

    def codes(self) -> list[str]:
        """What each picture says."""
        return [self._address(grant) for grant in self.grants]

    def secrets(self) -> Collection[str]:
        """The codes, the tokens, the client's secret."""
        codes = [code for grant in self.grants for code in (grant.device_code, grant.user_code)]
        return [*codes, *self.tokens, *filter(None, [self.client_secret])]

    # The person

    async def scan(self, code: Code, identity: str = ACCOUNT) -> None:
        """Open the address, sign in, and agree."""
        self._grant_of(code).identity = identity

    async def refuse(self, code: Code) -> None:
        """Open the address, and decline."""
        self._grant_of(code).refused = True

    def _grant_of(self, code: Code) -> DeviceGrant:
        assert isinstance(code, QRCode)
        typed = parse_qs(urlsplit(code.reveal()).query).get("user_code", [""])[0]
        if not typed and code.typed is not None:
            typed = code.typed.reveal()
        for grant in self.grants:
            if grant.user_code == typed and anyio.current_time() < grant.expires_at:
                return grant
        raise KeyError("no such code is good")

    # The server

    async def expire(self) -> None:
        """The newest code is good no more; who polls is told."""
        self.grants[-1].expires_at = anyio.current_time()

    async def lock_out(self) -> None:
        """The client is not known by this secret, or at all."""
        self._locked = True

    async def forget(self) -> None:
        """It has clients rather than accounts."""
        raise CannotDo("its account is the client: not to know it is to lock it out")

    async def other(self, identity: str = "+490009999999") -> None:
        """Somebody else pairs by the same client."""
        self._code()
        grant = self.grants.pop()
        grant.identity = identity
        self.grants.insert(0, grant)

    drop = Emulator.drop  # nobody stays connected: there is nothing to listen to

    def _address(self, grant: DeviceGrant) -> str:
        return f"{self.url}/device" + (f"?user_code={grant.user_code}" if self.complete else "")

    async def _answer(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/.well-known/openid-configuration":
                return Response(self._published())
            case "POST", "/device/auth" | "/token" if self._unknown(request):
                return self._error("invalid_client", 401)
            case "POST", "/device/auth":
                return self._code()
            case "POST", "/token":
                return self._token(request.form)
        return Response({"error": "not_found"}, 404)

    def _published(self) -> dict[str, object]:
        return {
            "issuer": self.url,
            "device_authorization_endpoint": f"{self.url}/device/auth",
            "token_endpoint": f"{self.url}/token",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        }

    def _unknown(self, request: Request) -> bool:
        if self._locked or request.form.get("client_id") != self.client_id:
            return True
        if self.client_secret is None:
            return False
        sent = request.headers.get("authorization", "").removeprefix("Basic ")
        pair = base64.b64decode(sent).decode().partition(":")
        return [unquote_plus(pair[0]), unquote_plus(pair[2])] != [
            self.client_id,
            self.client_secret,
        ]

    def _code(self) -> Response:
        user_code = "".join(choice(ALPHABET) for _ in range(8))
        grant = DeviceGrant(
            token_urlsafe(24),
            f"{user_code[:4]}-{user_code[4:]}",
            anyio.current_time() + self.lifetime,
        )
        self.grants.append(grant)
        body: dict[str, object] = {
            "device_code": grant.device_code,
            "user_code": grant.user_code,
            "verification_uri": f"{self.url}/device",
            "expires_in": self.lifetime,
        }
        if self.complete:
            body["verification_uri_complete"] = self._address(grant)
        if self.interval is not None:
            body["interval"] = self.interval
        return Response(body)

    def _token(self, form: dict[str, str]) -> Response:
        if form.get("grant_type") != GRANT:
            return self._error("unsupported_grant_type")
        grant = next((g for g in self.grants if g.device_code == form.get("device_code")), None)
        if grant is None or grant.used:
            return self._error("invalid_grant")
        if (error := self._why_not_yet(grant)) is not None:
            return self._error(error)
        assert grant.identity is not None
        grant.used = True
        return Response(self._tokens(grant.identity))

    def _why_not_yet(self, grant: DeviceGrant) -> str | None:
        """The error that a poll is answered with; None if there is a token."""
        now, polls = anyio.current_time(), grant.polls
        polls.append(now)
        if self.interval is not None and len(polls) > 1 and now - polls[-2] < self.interval:
            return "slow_down"
        if grant.refused:
            return "access_denied"
        if now >= grant.expires_at:
            return "expired_token"
        return "authorization_pending" if grant.identity is None else None

    def _tokens(self, identity: str) -> dict[str, object]:
        access = token_urlsafe(24)
        self.tokens.append(access)
        body: dict[str, object] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 3600,
        }
        if self.id_token:
            body["id_token"] = ".".join(
                map(_segment, ({"alg": "RS256"}, {"iss": self.url, "sub": identity}, {}))
            )
        return body

    def _error(self, error: str, status: int | None = None) -> Response:
        return Response(
            {"error": error, "error_description": "in words"}, status or self.error_status
        )


def _segment(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
