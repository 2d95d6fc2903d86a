"""wppconnect-server: WhatsApp Web in a browser, told of over a socket that everybody hears.

What the service does, and what is made of it:

- **Its Socket.IO asks nobody for a key and tells everybody everything.** So it only says that
  something is new; what is so, the status says, which needs a token. A success that it tells of is
  none until the status agrees (`Policy.confirm_success`).
- **A code outlives its use**: in the answer of ``start-session``, and in the status of a session
  that is closed or connected. A code counts only beside the status ``QRCODE``.
- **What fails is told to nobody.** A round that ends after a minute and a person who declines look
  alike: the status is ``CLOSED``, and the socket says nothing. So the status is read every 5 s.
- **Whose it is** comes from ``host-device``, and from there a moment later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

import anyio

from ..codes import QRCode
from ..errors import Malformed, ServiceRefused, ServiceUnavailable, WrongAnswer
from ..outcome import Reason
from ..policy import Policy
from ..signals import (
    Paired,
    PairingRefused,
    QRUpdated,
    Signal,
    StatusChanged,
)
from ..transports.base import Transport
from ..transports.shared import SharedSocket, SocketIOFeed
from ..transports.socketio import SocketIOTransport
from ..values import UNAUTHORIZED, fields_of, text_of, value_at
from .base import Reaching
from .credentials import Credential, check_credential, fresh, trouble_with, variable_of
from .deferred import DeferredTransport
from .failures import expiry_told
from .http import Answer
from .sharing import EVERYBODY, Feed, SharingGateway

__all__ = ["WPPConnect"]

BETWEEN_READS = 0.5
"""Seconds between two reads of the status while there is no code yet, or no owner."""

START_AGAIN_AFTER = 5.0
"""Seconds after which a session that is still closed, or closed again, is started once more: a
browser that cannot start is not started twice a second."""

READS_FOR_IDENTITY = 4
"""The page in the browser may not be there yet when the session is connected."""

CLOSED = (
    "the session is CLOSED: its round of codes is over, or it was declined on the phone, which "
    "the service does not tell apart"
)

NOT_ASKED_FOR = "none"
"""The token of a gateway that only listens."""

TOLD = ("pushname",)
"""What else of a success is handed on."""


class WPPConnect(SharingGateway):
    """One session of a wppconnect-server.

    ::

        gateway = WPPConnect("https://wpp.example", session="bot-7", token=TOKEN)
        outcome = await gateway.lifecycle(on_qr_updated=show).pair()

    The session comes to be with its first pairing. The identity is as in ``4915100000001@c.us``.

    Args:
        url: the server.
        session: the session's name.
        token: the session's token, as ``generate-token`` gives it.
        secret_key: the server's own secret instead, which makes tokens for any session. It goes
            into the URL of that one request, as the service wants it: give a token if you can.
        shared: one socket for all sessions, over `WPPConnect.feed()`.
        options: how to reach the server, see `Reaching`.

    Raises:
        InvalidValue: a URL that is none, an empty session, or a credential that cannot be sent.
        WrongAnswer: not one of the token and the secret, but both, or none.
    """

    account_is: ClassVar[str] = "session"

    policy: ClassVar[Policy] = Policy(
        generate_timeout=60.0,
        status_interval=5.0,
        confirm_success=True,
        max_reconnects=15,
    )
    """A browser has to start. WhatsApp replaces codes after 20 s, the server tells of it, and a
    round has ended after 60 s: so no code needs a shorter life of its own."""

    def __init__(
        self,
        url: str,
        *,
        session: str,
        token: Credential | None = None,
        secret_key: Credential | None = None,
        shared: SharedSocket | None = None,
        **options: Unpack[Reaching],
    ) -> None:
        super().__init__(url, session, shared=shared, **options)
        if (token is None) is (secret_key is None):
            known = " or ".join(map(variable_of, ("token", "secret_key")))
            raise WrongAnswer(
                "give token= or secret_key=, one of them (on the command line, "
                f"{known} in the environment, or a file)"
            )
        for name, given in (("token", token), ("secret_key", secret_key)):
            if given is not None:
                check_credential(given, name, in_header=name == "token")
        self._token = token
        self._secret = secret_key
        self._made: str | None = None

    @classmethod
    def feed(cls, url: str, **options: Unpack[Reaching]) -> Feed:
        """What a `SharedSocket` opens to the server; it asks nobody for a credential.

        Args:
            url: the server.
            options: how to reach the server, see `Reaching`.

        Raises:
            InvalidValue: a URL that is none.
        """
        return Feed(cls(url, session=EVERYBODY, token=NOT_ASKED_FOR, **options))

    def advice(self, status: int) -> str | None:
        """The token, which is of one session only; or the URL, for any session comes to be."""
        if status in UNAUTHORIZED:
            name = "secret_key" if self._token is None else "token"
            return (
                f"the {name} is not accepted for {self.account!r}; each session has its own token, "
                f"and {self.place} must lead to wppconnect-server"
            )
        return f"is {self.place} the server's URL?" if status == 404 else None

    async def ask_for_code(self) -> QRCode | Paired:
        """Start the session, unless it runs, and wait until it has a code."""
        started = -math.inf
        while True:
            body = await self._ask("GET", "status-session")
            status = body.get("status")
            if status == "CONNECTED":
                return await self._linked()
            if (code := _code_in(body)) is not None:
                return code
            if status == "CLOSED" and anyio.current_time() - started >= START_AGAIN_AFTER:
                # Its answer tells how the session was before, with the code of then.
                await self._ask("POST", "start-session", json_body={"waitQrCode": False})
                started = anyio.current_time()
            await anyio.sleep(BETWEEN_READS)

    async def ask_for_status(self) -> Signal | None:
        """The session's status: a code, connected, or closed."""
        try:
            body = await self._ask("GET", "status-session")
        except ServiceRefused as error:
            if error.reason == Reason.AUTHENTICATION_REFUSED:
                return PairingRefused(Reason.AUTHENTICATION_REFUSED, error=error)
            raise
        match body.get("status"):
            case "CONNECTED":
                return await self._linked()
            case "CLOSED":
                return expiry_told(CLOSED)  # another code, if the budget allows
        code = _code_in(body)
        return None if code is None else QRUpdated(code)

    def transport(self) -> Transport:
        """Socket.IO, without a credential: nobody is asked for one; or a share of it."""
        if self.shared is not None:
            subject = (self.account,)
            return DeferredTransport(self.join, subject, shared=self.shared)
        return SocketIOTransport(
            self.url,
            bot_id=self.account,
            user_id=self.account,
            owner={"session": self.account},
            signals=SIGNALS,
            **self.socket_options,
        )

    def transport_for_all(self) -> Transport:
        """The same, for whoever is named."""
        return SocketIOFeed(self.url, owner=["session"], signals=SIGNALS, **self.socket_options)

    async def _linked(self) -> Paired:
        """Whose it is; None if the page does not say for two seconds."""
        for number in range(READS_FOR_IDENTITY):
            if number:
                await anyio.sleep(BETWEEN_READS)
            try:
                body = await self._ask("GET", "host-device")
            except ServiceRefused as error:
                if error.reason == Reason.AUTHENTICATION_REFUSED:
                    raise
                continue  # "disconnected", though the status says that it is not
            except ServiceUnavailable:
                continue
            identity = text_of(value_at(body, "response.phoneNumber._serialized"), "_serialized")
            if identity is not None:
                said = body["response"]
                return Paired(identity, {name: said[name] for name in TOLD if said.get(name)})
        return Paired()

    # Asking, with a token

    async def _ask(self, method: str, action: str, **content: Any) -> Mapping[str, Any]:
        """As `ask()`, with the session's token; one that was made here is made once more."""
        before = self._made
        answer = await self._fetch_with_token(method, action, **content)
        if answer.status_code == 401 and before is not None:
            self._made = None  # the server's secret is another now, and so may ours be
            answer = await self._fetch_with_token(method, action, **content)
        if (failure := self.failure_of(answer)) is not None:
            raise failure
        return answer.json_object()

    async def _fetch_with_token(self, method: str, action: str, **content: Any) -> Answer:
        if self._token is None:
            token = await self._make_token()
        else:
            token = await fresh(self._token, in_header=True)
        bearer = {"Authorization": f"Bearer {token}"}
        return await self.fetch(method, "api", self.account, action, headers=bearer, **content)

    async def _make_token(self) -> str:
        """A token, by the secret; it is kept, for it does not run out."""
        if self._made is not None:
            return self._made
        assert self._secret is not None
        secret = await fresh(self._secret)
        answer = await self.fetch("POST", "api", self.account, secret, "generate-token")
        if answer.status_code == 400:
            text = "the service answered HTTP 400: it does not accept the secret key"
            raise ServiceRefused(text, reason=Reason.AUTHENTICATION_REFUSED)
        if (failure := self.failure_of(answer)) is not None:
            raise failure
        token = text_of(answer.json_object().get("token"), "token")
        if token is None:
            raise Malformed("token", "must be text that is not empty")
        if (trouble := trouble_with(token, in_header=True)) is not None:
            raise Malformed("token", trouble)
        self._made = token
        return token


def _code_in(body: Mapping[str, object]) -> QRCode | None:
    """The code beside the status ``QRCODE``; beside any other it is one of before."""
    if body.get("status") != "QRCODE":
        return None
    code = text_of(body.get("urlcode"), "urlcode") or text_of(body.get("qrcode"), "qrcode")
    return None if code is None else QRCode(code)


def _read_logged(payload: object) -> Signal | None:
    """``session-logged``: a success, for the status to confirm."""
    return Paired() if fields_of(payload, "payload").get("status") is True else StatusChanged()


def _read_news(_payload: object) -> Signal:
    """A picture of a code, without its text; an error, without its cause."""
    return StatusChanged()


SIGNALS = {
    "qrCode": _read_news,
    "session-logged": _read_logged,
    "session-error": _read_news,
}
