"""The HTTP requests for a code and for its status: each asks a server once, and keeps nothing open.

Answers are not trusted; what that means is in `qrlifecycle.gateways.http`, by which they are made.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

from ..codes import QRCode
from ..errors import InvalidValue, Malformed, PeerError, ServiceRefused, ServiceUnavailable
from ..gateways.http import HTTPClient, http_address, send
from ..secrecy import NotPickled, forget_arguments
from ..signals import Paired
from ..values import NOT_NOW, UNAUTHORIZED, code_of, kind_of, object_in, text_of, value_at

__all__ = ["TOKEN", "CodeRequest", "StatusRequest", "default_qr_url"]

TOKEN = "QRLIFECYCLE_TOKEN"  # noqa: S105 - the name of a variable, not a token


@dataclass(frozen=True, slots=True)
class Request(NotPickled):
    """One request about one bot and user; the base of those below.

    Raises:
        InvalidValue: a URL that is not HTTP.
    """

    rule: ClassVar[str]
    """The error for a URL that is not valid."""

    url: str = field(repr=False)
    bot_id: str
    user_id: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ssl_context: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        http_address(self.url, self.rule)

    @property
    def owner(self) -> dict[str, str]:
        """Bot and user, under the names that the server expects."""
        return {"botId": self.bot_id, "userId": self.user_id}

    def advice(self, status: int) -> str:
        """What to do about a refusal of who asked; empty of any other status."""
        if status not in UNAUTHORIZED:
            return ""
        if any(name.lower() == "authorization" for name in self.headers):
            return f": it does not accept what {TOKEN} or --header says"
        return f": if it wants a token, set {TOKEN}; anything else goes into --header"

    async def ask(
        self,
        method: str,
        *,
        params: Mapping[str, str] | None = None,
        json_body: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Ask; return status and body. The lifecycle limits the time.

        Raises:
            PeerError: there was no answer, or it was too large.
        """
        client = HTTPClient(ssl_context=self.ssl_context)
        try:
            answer = await send(
                client, method, self.url, params=params, json_body=json_body, headers=self.headers
            )
        except ServiceUnavailable as error:
            failure = PeerError(str(error))  # a person is there to ask again
        else:
            return answer.status_code, answer.content
        raise failure


@forget_arguments
@dataclass(frozen=True, slots=True)
class CodeRequest(Request):
    """An awaitable call as `QRLifecycle` wants it: ``await request()``."""

    rule = "the URL to ask for a code must look like http://host/qr, or https"

    qr_field: str = "qr"
    expires_field: str = "expiresIn"

    async def __call__(self) -> QRCode | Paired:
        """Ask once.

        Raises:
            ServiceRefused: the server refuses.
            PeerError: it cannot be reached, or its answer cannot be used.
        """
        status, body = await self.ask("POST", json_body=self.owner)
        answer = object_in(body)
        if status in UNAUTHORIZED or (
            400 <= status < 500 and status not in NOT_NOW and answer is not None
        ):
            raise ServiceRefused(f"the server refused with HTTP {status}{self.advice(status)}")
        if not 200 <= status < 300:
            raise PeerError(_no_answer(status, "a code", "--qr-url"))
        if answer is None:
            raise PeerError("the server's answer is not a JSON object")
        return self._read(answer)

    def _read(self, answer: Mapping[str, object]) -> QRCode | Paired:
        paired = answer.get("paired")
        if not isinstance(paired, bool | None):
            raise Malformed("paired", f"must be true or false, not {kind_of(paired)}")
        if paired:
            return _paired(answer)
        code, lifetime = value_at(answer, self.qr_field), value_at(answer, self.expires_field)
        if code is None:
            field = f"'{self.qr_field}'; --qr-field says where it is"
            raise PeerError(f"the server's answer has no code in {field}")
        return code_of(QRCode, code, self.qr_field, lifetime, self.expires_field)


@forget_arguments
@dataclass(frozen=True, slots=True)
class StatusRequest(Request):
    """An awaitable call as `QRLifecycle` wants it for its ``check_status``."""

    rule = "the URL to ask for the status must be http or https"

    status_field: str = "status"
    paired_status: str = "paired"

    async def __call__(self) -> Paired | None:
        """Ask once whether the account is paired.

        Raises:
            PeerError: it cannot be reached, or its answer cannot be used.
        """
        status, body = await self.ask("GET", params=self.owner)
        answer = object_in(body)
        if not 200 <= status < 300:
            what = _no_answer(status, "the status", "--status-url")
            raise PeerError(f"{what}{self.advice(status)}")
        if answer is None:
            raise PeerError("the server's answer to --status-url is not a JSON object")
        found = text_of(value_at(answer, self.status_field), self.status_field, boolean=True)
        if found is None:
            raise PeerError(f"the server's answer has nothing in '{self.status_field}'")
        return _paired(answer) if found == self.paired_status else None


def default_qr_url(url: str) -> str:
    """The default address to ask for a code: the server's URL and ``/qr``.

    Raises:
        InvalidValue: a URL that cannot be read.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidValue("the server's URL cannot be read") from None
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return urlunsplit(parts._replace(scheme=scheme, path=parts.path.rstrip("/") + "/qr"))


def _no_answer(status: int, what: str, option: str) -> str:
    """What is said of a status that is none of success."""
    said = f"the server answered HTTP {status} when asked for {what}"
    if 300 <= status < 400:
        return f"{said}: it redirects, which is not followed; give {option} where it leads to"
    return f"{said}: is {option} right?" if status == 404 else said


def _paired(answer: Mapping[str, object]) -> Paired:
    return Paired(text_of(answer.get("identity"), "identity"), answer)
