"""Evolution API v2: WhatsApp over Baileys, codes in the events of a Socket.IO namespace.

What the service does, and what is made of it:

- **"Not ready" is an answer without a code**, whatever its ``count``: it is asked again.
- **The namespace of an instance comes to be with the first event in it**, and is gone after a
  restart. So events are switched on (``websocket/set``, what is set stays) and the code is asked
  for before anybody listens; a namespace that is missing later is waited for.
- **``close`` is no failure.** It is the state of a fresh instance, and the one right after a scan.
  A failure is an event that names its cause.
- **Order is not kept**: the verdict may come before the news that led to it, and old news after it.
- **A wrong key is HTTP 400 to a WebSocket**, and so is a proxy that lets no WebSocket through. The
  same handshake without a WebSocket tells them apart.
- Every message carries a credential, every code a picture of 10 kB: of a message only what is named
  here is kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Unpack

import anyio

from ..codes import QRCode
from ..errors import (
    Ending,
    InvalidValue,
    PeerError,
    ServiceRefused,
    ServiceUnavailable,
    TransportError,
    TransportRefused,
    TransportUnreachable,
)
from ..outcome import Reason
from ..policy import Policy
from ..signals import Paired, PairingRefused, QRUpdated, Signal
from ..transports.base import Transport
from ..transports.handshake import check_namespace
from ..transports.shared import SharedSocket, SocketIOFeed
from ..transports.socketio import SocketIOTransport
from ..transports.wire.options import check_flags
from ..values import UNAUTHORIZED, fields_of, text_of, value_at
from .base import Reaching, until
from .credentials import Credential, advice_on, check_credential, fresh
from .deferred import DeferredTransport
from .failures import refusal_told
from .phone_numbers import digits_of
from .sharing import EVERYBODY, Feed, SharingGateway

__all__ = ["EvolutionAPI"]

EVENTS = frozenset({"QRCODE_UPDATED", "CONNECTION_UPDATE"})
"""What the instance must tell over its WebSocket."""

NOT_ALLOWED = "WhatsApp does not allow it for this account; look at the account on its phone"

REASONS: Mapping[object, tuple[Reason, str]] = {
    401: (Reason.REFUSED_ON_PHONE, "WhatsApp has logged it out: it was declined on the phone"),
    402: (Reason.REFUSED_BY_SERVICE, NOT_ALLOWED),
    403: (Reason.REFUSED_BY_SERVICE, NOT_ALLOWED),
    406: (Reason.REFUSED_BY_SERVICE, NOT_ALLOWED),
    440: (Reason.CONFLICT, "another connection of this instance has taken its place"),
}
"""Why a connection closed for good, by Baileys' numbers. With any other it is made again."""

NO_MORE_CODES = (
    "the instance makes no more codes: nobody scanned any of a round (QRCODE_LIMIT); ask again "
    "when a person is there"
)

TOLD = ("profileName",)
"""What else of a success is handed on."""

READS_FOR_IDENTITY = 4
"""The state is ``open`` before it is written down whose it is: a picture is fetched in between."""

BETWEEN_READS = 0.5
"""Seconds."""


class EvolutionAPI(SharingGateway):
    """One instance of an Evolution API server, version 2.

    ::

        gateway = EvolutionAPI("https://evo.example", api_key=KEY, instance="bot-7")
        outcome = await gateway.lifecycle(on_qr_updated=show).pair()

    The instance must be there: it is made once, with its settings, and paired as often as needed.
    Its WebSocket events are switched on here, unless they are on; what else it sends stays as it
    is. The identity is a JID, as in ``4915100000001@s.whatsapp.net``.

    Args:
        url: the server.
        api_key: the instance's own token, or the server's global key.
        instance: the instance's name.
        phone_number: with the country's code; each code then has a text to type on that phone
            (`QRCode.typed`), unless somebody else began the round without one.
        global_events: for a server with ``WEBSOCKET_GLOBAL_EVENTS``, which tells everybody
            everything: what is another instance's is dropped.
        shared: one socket for all instances of such a server, over `EvolutionAPI.feed()`.
        options: how to reach the server, see `Reaching`.

    Raises:
        InvalidValue: a URL that is none, an empty key, an instance that can have no namespace, or a
            number that is none.
    """

    account_is: ClassVar[str] = "instance"

    policy: ClassVar[Policy] = Policy(
        qr_lifetime=45.0,
        rotated_lifetime=45.0,
        generate_timeout=45.0,
        max_reconnects=20,
    )
    """A code lives 45 s (``qrTimeout``). A restart took 24 s: a code is asked for, and a namespace
    that is missing is waited for, for longer than that."""

    def __init__(
        self,
        url: str,
        *,
        api_key: Credential,
        instance: str,
        phone_number: str | None = None,
        global_events: bool = False,
        shared: SharedSocket | None = None,
        **options: Unpack[Reaching],
    ) -> None:
        super().__init__(url, instance, shared=shared, **options)
        check_credential(api_key, "api_key", in_header=True)
        check_flags(global_events=global_events)
        global_events = global_events or shared is not None
        self._namespace = "/" if global_events else f"/{instance}"
        if not global_events and {",", "?"} & set(instance):
            raise InvalidValue("instance has a ',' or a '?': its namespace can never be joined")
        check_namespace(self._namespace)
        self._key = api_key
        self._number = None if phone_number is None else digits_of(phone_number)
        self._global = global_events

    @classmethod
    def feed(cls, url: str, *, api_key: Credential, **options: Unpack[Reaching]) -> Feed:
        """What a `SharedSocket` opens to a server with ``WEBSOCKET_GLOBAL_EVENTS``.

        Args:
            url: the server.
            api_key: the server's global key, or any instance's own token: both hear everybody.
            options: how to reach the server, see `Reaching`.

        Raises:
            InvalidValue: a URL that is none, or an empty key.
        """
        return Feed(cls(url, api_key=api_key, instance=EVERYBODY, global_events=True, **options))

    async def headers(self) -> Mapping[str, str]:
        """The key, as it is now."""
        return {"apikey": await fresh(self._key, in_header=True)}

    def advice(self, status: int) -> str | None:
        """The key, or the instance that nobody has created."""
        if status in UNAUTHORIZED:
            return advice_on("api_key", self._key)
        if status == 404:
            return f"there is no instance {self.account!r} at {self.place}; create it first"
        return None

    async def ask_for_code(self) -> QRCode | Paired:
        """Have the instance connect, and wait until it has a code."""
        if not self._global:
            await self._switch_events_on()
        return await until(self._connect)

    async def ask_for_status(self) -> Signal | None:
        """The instance's state; while it is connecting, its newest code."""
        try:
            body = await self.ask("GET", "instance", "connectionState", self.account)
        except ServiceRefused as error:
            if error.reason == Reason.AUTHENTICATION_REFUSED:
                return PairingRefused(Reason.AUTHENTICATION_REFUSED, error=error)
            raise
        state = value_at(body, "instance.state")
        if state == "open":
            return await self._linked()
        if state != "connecting":  # nobody knows what "close" means: a scan, or nothing
            return None
        found = await self._connect()  # which begins nothing while it is connecting
        return QRUpdated(found) if isinstance(found, QRCode) else found

    def transport(self) -> Transport:
        """Socket.IO, in the instance's namespace or in everybody's; or a share of that."""
        subject = (self.account,)
        if self.shared is not None:
            return DeferredTransport(self.join, subject, shared=self.shared)
        return _Listening(self._listen, self._why_not, subject)

    def transport_for_all(self) -> Transport:
        """Socket.IO, in everybody's namespace."""
        return _Listening(self._listen_to_all, self._why_not)

    # Asking

    async def _switch_events_on(self) -> None:
        """Have the instance tell what is needed over its WebSocket, beside what it tells already.

        Only what is set makes a namespace, so it is set before the instance connects.
        """
        found = await self._fetch_json("GET", "websocket", "find", self.account)
        set_already = fields_of(found or {}, "websocket")  # null, if nothing ever was
        listed = set_already.get("events")
        events = {*map(str, listed)} if isinstance(listed, list) else set[str]()
        if set_already.get("enabled") is True and events >= EVENTS:
            return
        wanted = {"enabled": True, "events": sorted(EVENTS | events)}
        content = {"websocket": wanted}
        await self._fetch_json("POST", "websocket", "set", self.account, json_body=content)

    async def _connect(self) -> QRCode | Paired | None:
        """Have it connect, unless it does; the code, or None while there is none."""
        number = None if self._number is None else {"number": self._number}
        body = await self.ask("GET", "instance", "connect", self.account, params=number)
        if body.get("error"):
            # The instance is known, and the key is right: both were looked at before. It is not
            # loaded yet, after a restart, or its engine has trouble.
            raise ServiceUnavailable("the service cannot connect the instance just now")
        if value_at(body, "instance.state") == "open":
            return await self._linked()
        return _code_in(body.get("qrcode", body))

    async def _linked(self) -> Paired:
        """Whose it is: what was written down when it was opened, and not what was before."""
        named = {"instanceName": self.account}
        for number in range(READS_FOR_IDENTITY):
            if number:
                await anyio.sleep(BETWEEN_READS)
            found = await self._fetch_json("GET", "instance", "fetchInstances", params=named)
            for one in found if isinstance(found, list) else ():
                ours = isinstance(one, dict) and one.get("name") == self.account
                if ours and one.get("connectionStatus") == "open" and one.get("ownerJid"):
                    return Paired(text_of(one["ownerJid"], "ownerJid"), _told_in(one))
        return Paired()

    async def _fetch_json(self, method: str, *path: str, **content: Any) -> object:
        """As `ask()`, for an answer that is a list, null, or nothing at all."""
        answer = await self.fetch(method, *path, **content)
        if (failure := self.failure_of(answer)) is not None:
            raise failure
        return answer.json() if answer.content else None

    # Listening

    async def _listen(self) -> Transport:
        return SocketIOTransport(
            self.url,
            bot_id=self.account,
            user_id=self.account,
            owner={"instance": self.account},
            namespace=self._namespace,
            headers=await self.headers(),
            signals=SIGNALS,
            **self.socket_options,
        )

    async def _listen_to_all(self) -> Transport:
        return SocketIOFeed(
            self.url,
            owner=["instance"],
            headers=await self.headers(),
            signals=SIGNALS,
            **self.socket_options,
        )

    async def _why_not(self, error: TransportUnreachable) -> TransportError:
        """More of what an HTTP status means that answers the handshake."""
        if error.status == 404:
            text = f"{error}. Does the server's own WEBSOCKET_ENABLED say true?"
            return error.retold(TransportUnreachable, text)
        if error.status != 400:
            return error
        with_polling = {"EIO": "4", "transport": "polling"}
        try:
            answer = await self.fetch("GET", "socket.io", "", params=with_polling)
        except PeerError:
            return error
        if answer.status_code not in UNAUTHORIZED:
            return error
        return TransportRefused(
            "the server does not accept the key on its socket: it answered HTTP 400 to WebSocket, "
            f"and {answer.status_code} without",
            ending=Ending.REFUSED,
            status=400,
        )


class _Listening(DeferredTransport):
    """One of which more is known if it does not open.

    Args:
        make: as of `DeferredTransport`.
        why_not: async function from the error of its opening to the one to raise.
        subject: whom it is for.
    """

    __slots__ = ("_why_not",)

    def __init__(
        self,
        make: Callable[[], Awaitable[Transport]],
        why_not: Callable[[TransportUnreachable], Awaitable[TransportError]],
        subject: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(make, subject)
        self._why_not = why_not

    async def open(self) -> None:
        """Open it; see `Transport.open`."""
        try:
            await super().open()
            return
        except TransportUnreachable as error:
            failure = error
        raise (await self._why_not(failure)).with_traceback(None)


def _code_in(found: object) -> QRCode | None:
    """A code, and what can be typed in place of it; None if it is not ready."""
    fields = fields_of(found, "qrcode")
    code = text_of(fields.get("code"), "code")
    if code is None:
        return None
    return QRCode(code, typed=text_of(fields.get("pairingCode"), "pairingCode"))


def _told_in(fields: Mapping[str, object]) -> Mapping[str, object]:
    return {name: fields[name] for name in TOLD if fields.get(name) is not None}


def _read_code(payload: object) -> Signal | None:
    """``qrcode.updated``: another code, or the word that there are no more."""
    data = fields_of(fields_of(payload, "payload").get("data"), "data")
    if "qrcode" in data:
        code = _code_in(data["qrcode"])
        return None if code is None else QRUpdated(code)
    if "statusCode" in data:
        return refusal_told(Reason.CODES_USED_UP, NO_MORE_CODES)
    return None


def _read_connection(payload: object) -> Signal | None:
    """``connection.update``: a success, a refusal with its cause, or nothing yet."""
    data = fields_of(fields_of(payload, "payload").get("data"), "data")
    state, number = data.get("state"), data.get("statusReason")
    if state == "open":
        return Paired(text_of(data.get("wuid"), "wuid"), _told_in(data))
    if state == "refused":
        return refusal_told(Reason.CODES_USED_UP, NO_MORE_CODES)
    if state == "close" and isinstance(number, int) and number in REASONS:
        reason, why = REASONS[number]
        text = f"the instance closed its connection for good ({number}): {why}"
        return refusal_told(reason, text, {"statusReason": number})
    return None


SIGNALS = {"qrcode.updated": _read_code, "connection.update": _read_connection}
