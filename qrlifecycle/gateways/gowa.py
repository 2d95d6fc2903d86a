"""GOWA, go-whatsapp-web-multidevice: a socket that says when, and not who.

Made after its source, version 9.2.0 (August 2026); what it makes of things is decided here:

- **Asking for a code kills the one before**, and no other comes by itself. So one is asked for once
  in its life, and who pairs the same device on another screen is given that one (`live_codes`).
- The answer has a link to a picture. The link names the host that the service takes itself for,
  which behind a proxy is another; of it only the file is taken. The file is gone after
  ``qr_duration``, which is *half* of the time for which the code is good.
- ``LOGIN_SUCCESS`` goes to everybody and names no device: the status is read. It comes with the
  scan, some seconds before ``is_logged_in``, and nothing comes then; so the status is read on.
- Who connects is put on its list after the handshake; what is told in between is lost. So opening
  waits for a pong, which comes after.
- Nothing says that a code ran out, or could not be made: each code has its time, and the status is
  read every 5 s.
- **A restart kills the code**, and nothing tells, but that nobody listened: see `code_on_screen`.
- HTTP 401 with ``AUTHENTICATION_ERROR`` is not about us: it could not connect to WhatsApp.
- ``/ws`` and all of ``/app`` want a device since version 9.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Unpack
from urllib.parse import urlencode, urlsplit

import anyio

from ..codes import Code, PairingCode, QRCode
from ..errors import (
    InvalidValue,
    Malformed,
    PeerError,
    ServiceRefused,
    ServiceUnavailable,
)
from ..outcome import Reason
from ..policy import WHATSAPP, Policy, is_positive, trouble_with_text
from ..signals import (
    ActionRequired,
    Addressed,
    Paired,
    PairingRefused,
    Scanned,
    Signal,
    StatusChanged,
)
from ..transports.base import Transport
from ..transports.shared import SharedSocket, WebSocketFeed
from ..transports.websocket import WebSocketTransport
from ..values import UNAUTHORIZED, fields_of, object_in, text_of
from .actions import REPLIES, code_to_compare, passkey
from .base import Parts, Reaching
from .code_on_screen import CodeOnScreen, NotingRestarts, OfOneCode
from .credentials import Credential, advice_on, check_credential, fresh, trouble_with
from .failures import expiry_told, refusal_told
from .http import Answer
from .live_codes import LiveCode, live_code
from .phone_numbers import digits_of
from .replies import CodeCompared, PasskeySigned, Reply
from .sharing import Feed, SharingGateway

__all__ = ["GOWA"]

HEARTBEAT = 30.0
"""Seconds; the service answers pings and sends none."""

SLOWEST = 50.0
"""Seconds for one request: the service gives up its own after 45, of which a code may need most."""

LIFETIME = 60.0
"""Seconds for which a code is good if the service does not say; the first of a round always is."""

TYPED_LIFETIME = 160.0
"""Seconds for which a code to type is good (whatsmeow)."""

LOOKS_WHILE_LINKING = 7
"""How often the status is read on after a scan, half a second apart: within a read's 5 s."""

FILES = "statics"
"""Where its pictures are."""

ALREADY = frozenset({"ALREADY_LOGGED_IN", "SESSION_SAVED_ERROR"})
"""What it says in place of a code where the device is linked, and connects."""


class GOWA(SharingGateway):
    """One device of a GOWA.

    ::

        gateway = GOWA("https://gowa.example", username=U, password=P, device="bot-7")
        outcome = await gateway.lifecycle(on_qr_updated=show).pair()

    The device must exist. Its codes are pictures: their text needs the extra ``pictures``.

    Args:
        url: where it is, with its base path if it has one.
        username: if it asks for one.
        password: that goes with it.
        device: the device's id there; not its JID.
        phone_number: ask for a code to type on the phone of this number, in place of a picture.
        shared: one socket for all devices, over `GOWA.feed()`.
        options: how to reach it, see `Reaching`; ``timeout`` is 50 s unless given, for making a
            code may take that long, and asking again would begin anew.

    Raises:
        InvalidValue: a URL that is none, an empty id, a password that cannot be sent, one without
            a username or the other way round, or a number that is none.
    """

    account_is: ClassVar[str] = "device"

    policy: ClassVar[Policy] = replace(
        WHATSAPP,
        attempt_timeout=600.0,
        generate_timeout=60.0,
        status_interval=5.0,
        max_reconnects=15,
    )
    """WhatsApp's numbers, with time for six codes of 60 s, for each is the first of its round; a
    read of the status every 5 s, for failures are not sent; and at least half a minute for a
    service that restarts, however the delays are cut."""

    replies: ClassVar[Mapping[str, type[Reply]]] = REPLIES

    def __init__(
        self,
        url: str,
        *,
        device: str,
        username: str | None = None,
        password: Credential | None = None,
        phone_number: str | None = None,
        shared: SharedSocket | None = None,
        **options: Unpack[Reaching],
    ) -> None:
        options.setdefault("timeout", SLOWEST)
        super().__init__(url, device, shared=shared, **options)
        if password is not None:
            check_credential(password, "password")
        if (username is None) is not (password is None):
            raise InvalidValue("username and password must be given together")
        if username is not None and (trouble := trouble_with_text(username)):
            raise InvalidValue(f"username {trouble}")
        if username is not None and (trouble_with(username) is not None or ":" in username):
            raise InvalidValue("username must be text that is not empty, without a colon")
        self._username, self._password = username, password
        self._number = None if phone_number is None else digits_of(phone_number)
        self._mine = CodeOnScreen(self._whose)

    @classmethod
    def feed(
        cls,
        url: str,
        *,
        device: str,
        username: str | None = None,
        password: Credential | None = None,
        **options: Unpack[Reaching],
    ) -> Feed:
        """What a `SharedSocket` opens to the service.

        Args:
            url: where it is.
            device: any device that exists, and stays: nobody is let in without naming one.
            username: if it asks for one.
            password: that goes with it.
            options: how to reach it, see `Reaching`.

        Raises:
            InvalidValue: as the constructor.
        """
        return Feed(cls(url, device=device, username=username, password=password, **options))

    def parts(self) -> Parts:
        """The arguments of one `QRLifecycle`: each knows the code that it has on screen."""
        own = object.__new__(type(self))
        vars(own).update(vars(self), _mine=CodeOnScreen(self._whose))
        return super(GOWA, own).parts()

    async def headers(self) -> Mapping[str, str]:
        """HTTP's Basic."""
        if self._username is None or self._password is None:
            return {}
        pair = f"{self._username}:{await fresh(self._password)}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    @property
    def _whose(self) -> tuple[str, str, str | None]:
        return self.place, self.account, self._number

    # Asking

    async def ask_for_code(self) -> QRCode | PairingCode | Paired:
        """Ask for a code, unless one is on another screen; that one is given then."""
        status = await self._status()
        if status.get("is_logged_in") is True:
            return self._success(status)
        live = live_code(self._whose)
        code = None if live is None else live.copy(unless=self._mine.shown)
        if code is None:
            code = await self._make_code()
            LiveCode(self._whose, code)
        self._mine.show(code)
        assert isinstance(code, QRCode | PairingCode)
        return code

    async def _make_code(self) -> Code:
        if self._number is not None:
            said = await self._results("GET", "login-with-code", phone=self._number)
            text = text_of(said.get("pair_code"), "pair_code")
            return PairingCode(text or "", expires_in=TYPED_LIFETIME)
        said = await self._results("GET", "login")
        half = said.get("qr_duration")
        picture = await self._picture(text_of(said.get("qr_link"), "qr_link") or "")
        lifetime = 2 * half if is_positive(half) else LIFETIME  # type: ignore[operator]
        return QRCode(picture=picture, expires_in=lifetime)

    async def _picture(self, link: str) -> bytes:
        """The file that a link names, from where we know the service to be.

        Raises:
            Malformed: it names none.
        """
        segments = urlsplit(link).path.split("/")
        if FILES not in segments or ".." in segments:
            raise Malformed("qr_link", f"must lead into '{FILES}'")
        answer = await self.fetch("GET", *segments[segments.index(FILES) :])
        if answer.status_code != 200:
            raise ServiceUnavailable(f"the picture of the code is not there ({answer.status_code})")
        return answer.content

    async def ask_for_status(self) -> Signal | None:
        """Ask whether the device is linked; and if it is about to be, ask on."""
        answer = await self._fetch("GET", "status")
        failure = self.failure_of(answer)
        if isinstance(failure, ServiceRefused) and _is_its_own_word(answer):
            known = isinstance(failure.reason, Reason)
            reason = failure.reason if known else Reason.REFUSED_BY_SERVICE
            return PairingRefused(reason, error=failure)  # type: ignore[arg-type]
        status = self._results_in(answer)
        for _ in range(LOOKS_WHILE_LINKING):
            if status.get("is_logged_in") is True:
                return self._success(status)
            if not status.get("jid"):
                return await self._asked()
            await anyio.sleep(0.5)
            status = await self._status()
        return self._mine.told.tell_once(Scanned())

    async def _status(self) -> Mapping[str, object]:
        return await self._results("GET", "status")

    def _success(self, status: Mapping[str, object]) -> Paired:
        identity = text_of(status.get("jid"), "jid")
        return Paired(identity, {key: status[key] for key in ("device_id", "jid") if key in status})

    async def _asked(self) -> Signal | None:
        """What the person has to do, as far as it was not told; versions before 8.10 know none."""
        if self._mine.knows_no_passkeys:
            return None
        answer = await self._fetch("GET", "passkey")
        if answer.status_code == 404:
            self._mine.knows_no_passkeys = True
            return None
        said = self._results_in(answer)
        signal: Signal | None = None
        match said.get("status"):
            case "awaiting_response":
                signal = passkey(fields_of(said.get("challenge"), "challenge"))
            case "awaiting_confirmation":
                signal = _confirmation(said)
        return None if signal is None else self._mine.told.tell_once(signal)

    async def send_reply(self, action: ActionRequired, reply: Reply) -> None:  # noqa: ARG002
        """Send what the browser signed, or that both codes are the same.

        If they are not, the device is logged out: the service has no word for it, and what is
        halfway through must not be finished.
        """
        if isinstance(reply, PasskeySigned):
            answer = await self._fetch("POST", "passkey", "response", body=dict(reply.credential))
        elif isinstance(reply, CodeCompared) and reply.same:
            answer = await self._fetch("POST", "passkey", "confirm")
        else:
            answer = await self._fetch("GET", "logout")
        if (failure := self.failure_of(answer)) is not None:
            raise failure

    async def _fetch(self, method: str, *path: str, body: object = None, **params: str) -> Answer:
        params["device_id"] = self.account
        return await self.fetch(method, "app", *path, params=params, json_body=body)

    def failure_of(self, answer: Answer) -> PeerError | None:
        """What an answer means as a failure, by the service's own word if it gives one."""
        failure = super().failure_of(answer)
        if failure is None:
            return None
        said = object_in(answer.content) or {}
        code = said.get("code")
        if code == "AUTHENTICATION_ERROR":
            return ServiceUnavailable("the service cannot connect to WhatsApp")
        if code in ALREADY:
            return ServiceUnavailable("the device is linked already, and connects")
        if code == "DEVICE_NOT_FOUND":
            where = f"HTTP {answer.status_code}: there is no device {self.account!r}"
            text = f"the service answered {where} at {self.place}; create it first"
            return ServiceRefused(text, reason=Reason.REFUSED_BY_SERVICE)
        return failure

    def advice(self, status: int) -> str | None:
        """The password, or the URL, for what is not there of its own has a word of its own."""
        if status in UNAUTHORIZED:
            return advice_on("password", self._password)
        return f"is {self.place} its URL, with its base path?" if status == 404 else None

    def _results_in(self, answer: Answer) -> Mapping[str, object]:
        if (failure := self.failure_of(answer)) is not None:
            raise failure
        return fields_of(answer.json_object().get("results"), "results")

    async def _results(self, method: str, *path: str, **params: str) -> Mapping[str, object]:
        return self._results_in(await self._fetch(method, *path, **params))

    # Listening

    def transport(self) -> Transport:
        """A WebSocket, with a fresh password; or a share of one."""
        subject, mine = (self.account,), self._mine
        if self.shared is not None:
            return OfOneCode(self.join, None, subject, mine=mine, shared=self.shared)
        return OfOneCode(self._connect, self.place, subject, mine=mine)

    def transport_for_all(self) -> Transport:
        """The same, for whoever is named."""
        return NotingRestarts(self._connect_for_all, self.place)

    async def _connect(self) -> Transport:
        return WebSocketTransport(
            self._socket_url,
            self._read,
            headers=await self.headers(),
            wait_for_pong=True,
            heartbeat=HEARTBEAT,
            **self.socket_options,
        )

    async def _connect_for_all(self) -> Transport:
        return WebSocketFeed(
            self._socket_url,
            _heard,
            headers=await self.headers(),
            wait_for_pong=True,
            heartbeat=HEARTBEAT,
            **self.socket_options,
        )

    @property
    def _socket_url(self) -> str:
        return f"{self.url}/ws?{urlencode({'device_id': self.account})}"

    def _read(self, message: Any) -> Signal | None:
        """What a message means that is for this device, or for all."""
        heard = _heard(message)
        if isinstance(heard, Addressed):
            return heard.signal if heard.key == (self.account,) else None
        return heard


def _heard(message: Any) -> Signal | None:
    """What a message means, and for which device. A success names none: it is news for all."""
    if message["code"] == "LOGIN_SUCCESS":
        return StatusChanged()
    result = message.get("result")
    if not isinstance(result, Mapping):
        return None
    device = text_of(result.get("device_id"), "device_id")
    signal = None if device is None else _news_of(device, message["code"], result)
    return None if device is None or signal is None else Addressed((device,), signal)


def _news_of(device: str, code: object, result: Mapping[str, Any]) -> Signal | None:
    """What a message means that names its device."""
    match code:
        case "PASSKEY_REQUEST":
            return passkey(fields_of(result["challenge"], "challenge"))
        case "PASSKEY_CONFIRMATION":
            return _confirmation(result)
        case "PASSKEY_ERROR":
            text = "the passkey was not accepted (PASSKEY_ERROR); ask for another code"
            return refusal_told(Reason.REFUSED_ON_PHONE, text)
        case "DEVICE_LOGGED_OUT":
            return expiry_told(f"the device {device!r} was logged out (DEVICE_LOGGED_OUT)")
    return None


def _confirmation(said: Mapping[str, object]) -> Signal:
    """A code to compare; unless the service finishes by itself."""
    if said.get("skip_handoff_ux") is True:
        return Scanned()
    return code_to_compare(text_of(said["code"], "code"))


def _is_its_own_word(answer: Answer) -> bool:
    """Whether a refusal is the service's; a proxy's page while it restarts is not.

    Its credentials are checked before anything of its own answers: in HTTP's words, not in JSON.
    """
    said = object_in(answer.content)
    return answer.status_code in (401, 403) or (said is not None and "code" in said)
