"""Authlib's own device flow (RFC 8628) behind a small HTTP server: a real one, in this process."""

# Authlib's annotations are half done, and not its own examples would pass.
# pyright: reportArgumentType=false, reportCallIssue=false, reportReturnType=false
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload, OAuth2Request
from authlib.oauth2.rfc8628 import (
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialDict,
)
from joserfc import jwt
from joserfc.jwk import OctKey

from qrlifecycle import QRCode
from qrlifecycle.codes import Code
from qrlifecycle.testing.gateways import IDENTITY, CannotDo, Emulator
from qrlifecycle.testing.gateways.served import ServedEmulator
from qrlifecycle.testing.http_server import Request, Response

__all__ = ["AuthlibServer"]

KEY = OctKey.import_key("a key of the tests, of 32 bytes and more")


class Client(ClientMixin):  # type: ignore[misc]
    """A client with a secret, or without one."""

    def __init__(self, client_id: str, secret: str | None) -> None:
        self.client_id = client_id
        self.secret = secret

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return bool(method == ("none" if self.secret is None else "client_secret_basic"))

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == DeviceCodeGrant.GRANT_TYPE)


class Credential(DeviceCredentialDict):  # type: ignore[misc]
    """What a device code is for; its time is the event loop's."""

    def is_expired(self) -> bool:
        return bool(self["expires_at"] <= anyio.current_time())


class OwnRequest(OAuth2Request):  # type: ignore[misc]
    """A request as Authlib reads it."""

    def __init__(self, request: Request) -> None:
        # It refuses what is not encrypted, and this is loopback.
        headers = {name.title(): value for name, value in request.headers.items()}
        super().__init__(request.method, f"https://server{request.path}", headers=headers)
        self.payload = BasicOAuth2Payload(request.form)

    @property
    def args(self) -> dict[str, str]:
        return {}

    @property
    def form(self) -> dict[str, str]:
        return dict(self.payload.data)


class Server(AuthorizationServer):  # type: ignore[misc]
    """What Authlib asks a framework for."""

    def __init__(self, stored: AuthlibServer) -> None:
        super().__init__()
        self.stored = stored

    def query_client(self, client_id: str) -> Client | None:
        known = self.stored.client
        return known if known is not None and known.client_id == client_id else None

    def save_token(self, token: Any, request: Any) -> None:
        self.stored.tokens.append(token["access_token"])

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        pass

    def create_oauth2_request(self, request: Request) -> OwnRequest:
        return OwnRequest(request)

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        return Response(body, status, dict(headers))


class Endpoint(DeviceAuthorizationEndpoint):  # type: ignore[misc]
    """Where a code is asked for."""

    def get_verification_uri(self) -> str:
        return f"{self.server.stored.url}/device"

    def save_device_credential(self, client_id: str, scope: str, data: Any) -> None:
        ends = anyio.current_time() + data["expires_in"]
        credential = Credential(client_id=client_id, scope=scope, expires_at=ends, **data)
        self.server.stored.credentials[data["device_code"]] = credential


class Grant(DeviceCodeGrant):  # type: ignore[misc]
    """What a poll is answered by."""

    def query_device_credential(self, device_code: str) -> Credential | None:
        found: Credential | None = self.server.stored.credentials.get(device_code)
        return found

    def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
        found: tuple[str, bool] | None = self.server.stored.grants.get(user_code)
        return found

    def should_slow_down(self, credential: Credential) -> bool:
        return bool(self.server.stored.is_early(credential))


class AuthlibServer(ServedEmulator):
    """The server; what it decides is Authlib's."""

    own_loggers = ("authlib",)

    def __init__(self, *, client_secret: str | None = None) -> None:
        self.client_secret = client_secret
        self.credentials: dict[Any, Any] = {}
        """By device code."""
        self.grants: dict[str, tuple[str, bool]] = {}
        """By user code: who, and whether they agreed."""
        self.polls: dict[str, float] = {}
        self.slowed_down = 0
        self.tokens: list[str] = []
        self.client: Client | None = Client("tv", client_secret)
        super().__init__()
        self.authlib = self.make()

    def make(self) -> Any:
        """Authlib's server; what it stores is stored here."""
        server = Server(self)
        server.register_token_generator("default", self.tokens_of)
        server.register_endpoint(Endpoint)
        server.register_grant(Grant)
        return server

    def tokens_of(self, *, user: str, **_rest: Any) -> dict[str, object]:
        """What a success is answered with."""
        for code, credential in tuple(self.credentials.items()):
            if self.grants.get(credential["user_code"]) == (user, True):
                del self.credentials[code]  # it is given out once
        return {
            "access_token": secrets.token_urlsafe(24),
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": jwt.encode({"alg": "HS256"}, {"sub": user, "iss": self.url}, KEY),
        }

    def is_early(self, credential: Credential) -> bool:
        """Whether a poll came before its time."""
        code, now = credential["device_code"], anyio.current_time()
        early = bool(now - self.polls.get(code, -100.0) < credential["interval"])
        self.polls[code] = now
        self.slowed_down += early
        return early

    async def _answer(self, request: Request) -> Response:
        """Pass a request to Authlib."""
        match request.path:
            case "/device/auth":
                found = self.authlib.create_endpoint_response("device_authorization", request)
            case "/token":
                found = self.authlib.create_token_response(request)
            case _:
                found = Response({}, 404)
        assert isinstance(found, Response)
        return found

    # As an emulator

    drop = Emulator.drop

    def codes(self) -> list[str]:
        return [one["verification_uri_complete"] for one in self.credentials.values()]

    def secrets(self) -> Collection[str]:
        codes = [one[k] for one in self.credentials.values() for k in ("device_code", "user_code")]
        return [*codes, *self.tokens, *filter(None, [self.client_secret])]

    def user_code(self, code: Code) -> str:
        """What somebody who scanned the code has."""
        assert isinstance(code, QRCode)
        (found,) = parse_qs(urlsplit(code.reveal()).query)["user_code"]
        if not any(
            one["user_code"] == found and not one.is_expired() for one in self.credentials.values()
        ):
            raise KeyError(found)
        return found

    async def scan(self, code: Code, identity: str = IDENTITY) -> None:
        self.grants[self.user_code(code)] = (identity, True)

    async def refuse(self, code: Code) -> None:
        self.grants[self.user_code(code)] = (IDENTITY, False)

    async def expire(self) -> None:
        self.credentials[next(reversed(self.credentials))]["expires_at"] = anyio.current_time()

    async def lock_out(self) -> None:
        self.client = None

    async def forget(self) -> None:
        raise CannotDo("its account is the client: not to know it is to lock it out")
