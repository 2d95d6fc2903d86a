"""WAHA, the WhatsApp HTTP API: a socket that says which status, and never which code.

Each message is a hint or a verdict; the code is fetched. What WAHA (core 2024.10.8, and its
documentation of 2026) makes of it is decided here:

- ``SCAN_QR_CODE`` comes with each new code, so the status is read, and the code with it.
- **``me`` is no success.** After a scan it is set while the status is still ``SCAN_QR_CODE`` and
  there is no code any more (HTTP 200, ``{}``); the success is ``WORKING``.
- **``STOPPED`` is an expiry.** A service that restarts in order says so of every session, before it
  closes; as a failure each deploy would be a final one. Another code is asked for, which starts the
  session again: it does not start by itself.
- **``FAILED`` has many causes** and names none: see `Round.why_failed`.
- A session that runs already has a code, of unknown age. A second ``start`` is HTTP 422.
- Whom it does not want on its socket it lets in, and closes with 4001 right away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Unpack
from urllib.parse import urlencode, urlsplit

import anyio

from ..codes import QRCode
from ..errors import Malformed, PeerError, ServiceRefused, ServiceUnavailable, TransportError
from ..outcome import Reason
from ..policy import WHATSAPP, Policy
from ..signals import (
    ActionRequired,
    Paired,
    PairingRefused,
    QRExpired,
    QRUpdated,
    Scanned,
    Signal,
    StatusChanged,
)
from ..transports.base import Transport
from ..transports.shared import SharedSocket, WebSocketFeed
from ..transports.websocket import REFUSING, WebSocketTransport
from ..transports.wire.options import check_flags
from ..values import UNAUTHORIZED, object_in, text_of
from .actions import REPLIES, Told, code_to_compare, passkey
from .base import Parts, Reaching, until
from .credentials import Credential, advice_on, check_credential, fresh
from .deferred import DeferredTransport
from .failures import expiry_told, refusal_told
from .http import Answer
from .phone_numbers import digits_of
from .replies import CodeCompared, PasskeySigned, Reply
from .sharing import Feed, SharingGateway

__all__ = ["WAHA"]

HEARTBEAT = 30.0
"""Seconds; the service pings every 10."""

TURNED_AWAY = 4001
"""The close code for whom the service does not want."""

CODES_OF_A_ROUND = 6
"""WhatsApp makes no more, the first for 60 s and the others for 20."""

ROUND = 140.0
"""Seconds after the first code of a round at which its last one is shown."""

TYPED_LIFETIME = 160.0
"""Seconds for which a code to type is good; whatsmeow has it end with the round."""

LOOKS_FOR_ME = 4
"""How often it is asked whose phone it was, each half a second later."""

ASK_ITS_LOG = "the service's own log says why"

ACTIONS: Mapping[Any, tuple[Callable[[Mapping[str, object]], ActionRequired], str]] = {
    "PASSKEY_REQUIRED": (passkey, "challenge"),
    "PASSKEY_CONFIRMATION_REQUIRED": (lambda data: code_to_compare(data["code"]), "confirmation"),
}
"""What the person has to do, by the status: with what is needed for it, and where that is asked."""

QUIET = frozenset({"STARTING"})
"""The statuses that say nothing of a code: it restarts after a scan, too."""

NEWS = frozenset({"WORKING", "SCAN_QR_CODE", *ACTIONS})
"""What an event may say without saying enough."""

STARTS: Mapping[object, str] = {"STOPPED": "start", "FAILED": "restart"}
"""How a session comes to make codes, by its status; in any other it does, or is about to."""


class WAHA(SharingGateway):
    """One session of a WAHA.

    ::

        gateway = WAHA("https://waha.example", api_key=KEY, session="bot-7")
        outcome = await gateway.lifecycle(on_qr_updated=show).pair()

    The session must exist. It is started, or restarted after it failed, when a code is asked for.

    Args:
        url: where it is.
        api_key: the key, if it checks one; with that of the session alone it has enough rights.
        session: the session's name.
        every_session: listen to all sessions, and pass over the others': the core edition of 2024
            refuses to be listened to otherwise.
        phone_number: beside each picture, ask for a code to type on the phone of this number. Where
            the service gives none, the picture is there all the same.
        shared: one socket for all sessions, over `WAHA.feed()`.
        options: how to reach it, see `Reaching`.

    Raises:
        InvalidValue: a URL that is none, an empty name, a key that cannot be sent, or a number that
            is none.
    """

    account_is: ClassVar[str] = "session"

    policy: ClassVar[Policy] = replace(
        WHATSAPP,
        rotated_lifetime=WHATSAPP.qr_lifetime,
        generate_timeout=60.0,
        max_reconnects=15,
    )
    """WhatsApp's numbers, but that the service says when a code is replaced: a round's first code,
    which lives 60 s, may replace another round's last. An engine with a browser needs some 20 s to
    start, and a service that restarts as long: reconnecting lasts half a minute at least."""

    replies: ClassVar[Mapping[str, type[Reply]]] = REPLIES

    def __init__(
        self,
        url: str,
        *,
        api_key: Credential | None = None,
        session: str = "default",
        every_session: bool = False,
        phone_number: str | None = None,
        shared: SharedSocket | None = None,
        **options: Unpack[Reaching],
    ) -> None:
        super().__init__(url, session, shared=shared, **options)
        if api_key is not None:
            check_credential(api_key, "api_key", in_header=True)
        self._key = api_key
        check_flags(every_session=every_session)
        self._every_session = every_session
        self._number = None if phone_number is None else digits_of(phone_number)
        self._round = Round()

    @classmethod
    def feed(
        cls, url: str, *, api_key: Credential | None = None, **options: Unpack[Reaching]
    ) -> Feed:
        """What a `SharedSocket` opens to the service: its socket for session ``*``.

        Args:
            url: where it is.
            api_key: a key that may hear all sessions, if it checks one.
            options: how to reach it, see `Reaching`.

        Raises:
            InvalidValue: a URL that is none, or a key that cannot be sent.
        """
        return Feed(cls(url, api_key=api_key, every_session=True, **options))

    def parts(self) -> Parts:
        """The arguments of one `QRLifecycle`: each counts codes of its own."""
        own = object.__new__(type(self))
        vars(own).update(vars(self), _round=Round())
        return super(WAHA, own).parts()

    async def headers(self) -> Mapping[str, str]:
        """The key."""
        return {} if self._key is None else {"X-Api-Key": await fresh(self._key, in_header=True)}

    def advice(self, status: int) -> str | None:
        """The key, or the session that nobody has created."""
        if status in UNAUTHORIZED:
            return advice_on("api_key", self._key)
        if status == 404:
            return f"there is no session {self.account!r} at {self.place}; {self._mend_of_place()}"
        return None

    def _mend_of_place(self) -> str:
        """What to do where nothing is found: a path may be a proxy's, or copied with the URL."""
        if self.place.endswith("/api"):
            return "its URL ends before /api"
        path = urlsplit(self.place).path
        return f"create it first, if its URL does {f'end in {path}' if path else 'lead to WAHA'}"

    # Asking

    async def ask_for_code(self) -> QRCode | Paired:
        """Start the session if it does not run, and wait for its code."""
        session = await self.ask("GET", "api", "sessions", self.account)
        if (how := STARTS.get(_status_in(session))) is not None:
            await self._start(how)
        return await until(self._first_code)

    async def _start(self, how: str) -> None:
        answer = await self.fetch("POST", "api", "sessions", self.account, how, json_body={})
        self._round = Round(whole=True)
        if answer.status_code == 422:  # started already, by somebody else, or it never will be
            self._round.start_refused = True
        elif (failure := self.failure_of(answer)) is not None:
            raise failure

    async def _first_code(self) -> QRCode | Paired | None:
        """The code, if there is one yet.

        Raises:
            ServiceRefused: there will be none.
            ServiceUnavailable: it has to be started once more.
        """
        match await self.ask_for_status():
            case QRUpdated(qr=QRCode() as code):
                return code
            case Paired() as paired:
                return paired
            case PairingRefused(error=PeerError() as error):
                raise error
            case QRExpired() if self._round.start_refused:
                raise ServiceRefused(
                    f"the session {self.account!r} does not start: the service answered HTTP 422; "
                    "its own log says why (the core edition of 2024 has only 'default')"
                )
            case QRExpired():
                raise ServiceUnavailable("the session stopped")
        return None

    async def ask_for_status(self) -> Signal | None:
        """Ask for the session's status, and for the code if it has one."""
        answer = await self.fetch("GET", "api", "sessions", self.account)
        if (failure := self.failure_of(answer)) is not None:
            return _final(answer, failure)
        session = answer.json_object()
        status = _status_in(session)
        if status == "WORKING":
            return await self._success(session.get("me"))
        if status == "SCAN_QR_CODE":
            return await self._code(session.get("me"))
        if status in ACTIONS:
            return await self._action_asked(status)
        engine = session.get("engine")
        verdict = _verdict(status, engine.get("engine") if isinstance(engine, Mapping) else None)
        return None if verdict is None else self._meant(verdict)

    async def _success(self, me: object) -> Paired:
        """The success; some engines know only a moment later whose phone it was."""
        for _ in range(LOOKS_FOR_ME):
            if (paired := _paired(me)) is not None:
                return paired
            await anyio.sleep(0.5)
            me = (await self.ask("GET", "api", "sessions", self.account)).get("me")
        return Paired()

    async def _code(self, me: object) -> Signal | None:
        answer = await self.fetch(
            "GET", "api", self.account, "auth", "qr", params={"format": "raw"}
        )
        if answer.status_code in (404, 422):
            return None  # it has gone on meanwhile: there is none in any other status
        if (failure := self.failure_of(answer)) is not None:
            raise failure
        if (text := text_of(answer.json_object().get("value"), "value")) is None:
            return None if _paired(me) is None else self._round.told.tell_once(Scanned())
        typed = await self._code_to_type()
        code = QRCode(text, typed=typed)
        self._round.count(code)
        return QRUpdated(code)

    async def _code_to_type(self) -> str | None:
        """What can be typed; the same for as long as it is good, for another makes it worthless."""
        if self._number is None:
            return None
        typed, ends = self._round.typed
        if typed is not None and anyio.current_time() < ends:
            return typed
        answer = await self.fetch(
            "POST",
            *("api", self.account, "auth", "request-code"),
            json_body={"phoneNumber": self._number},
        )
        said = object_in(answer.content) if self.failure_of(answer) is None else None
        typed = None if said is None else text_of(said.get("code"), "code")
        self._round.typed = typed, anyio.current_time() + TYPED_LIFETIME
        return typed

    async def _action_asked(self, status: str) -> Signal | None:
        """What the person has to do, unless it was told already."""
        action, where = ACTIONS[status]
        answer = await self.fetch("GET", "api", self.account, "auth", "passkey", where)
        if answer.status_code == 422:
            return None  # it is done
        if (failure := self.failure_of(answer)) is not None:
            raise failure
        return self._round.told.tell_once(action(answer.json_object()))

    async def send_reply(self, action: ActionRequired, reply: Reply) -> None:  # noqa: ARG002
        """Send what the browser signed, or that both codes are the same.

        If they are not, the session is restarted: the service has no word for it, and what is
        halfway through must not be finished.
        """
        if isinstance(reply, PasskeySigned):
            path, body = ("auth", "passkey"), dict(reply.credential)
            await self._post("api", self.account, *path, json_body=body)
        elif isinstance(reply, CodeCompared) and reply.same:
            await self._post("api", self.account, "auth", "passkey", "confirm")
        else:
            await self._post("api", "sessions", self.account, "restart", json_body={})

    async def _post(self, *path: str, json_body: object = None) -> None:
        answer = await self.fetch("POST", *path, json_body=json_body)
        if (failure := self.failure_of(answer)) is not None:
            raise failure

    # Listening

    def transport(self) -> Transport:
        """A WebSocket, with a fresh key; or a share of that for all sessions."""
        return DeferredTransport(
            self._connect if self.shared is None else self.join,
            (self.account,),
            meaning=self._meant,
            shared=self.shared,
            explained=self._why_turned_away,
        )

    def transport_for_all(self) -> Transport:
        """A WebSocket for all sessions, with a fresh key."""
        return DeferredTransport(self._connect_for_all, explained=self._why_turned_away)

    async def _connect(self) -> Transport:
        return WebSocketTransport(
            await self._socket_url("*" if self._every_session else self.account),
            self._read,
            owner={"session": self.account},
            refusing={*REFUSING, TURNED_AWAY},
            wait_for_pong=True,
            heartbeat=HEARTBEAT,
            **self.socket_options,
        )

    async def _connect_for_all(self) -> Transport:
        return WebSocketFeed(
            await self._socket_url("*"),
            _heard,
            owner=["session"],
            refusing={*REFUSING, TURNED_AWAY},
            wait_for_pong=True,
            heartbeat=HEARTBEAT,
            **self.socket_options,
        )

    def _why_turned_away(self, error: TransportError) -> TransportError:
        """What to do about being let in and turned away; any other error is as it is."""
        if error.code != TURNED_AWAY or self.shared is not None:
            return error
        advice = advice_on("api_key", self._key)
        if not self._every_session:
            advice = (
                "if it is the core edition of 2024, where nobody may listen to one session alone, "
                "give every_session=True (on the command line --every-session)"
            )
        return error.retold(type(error), f"{error}; {advice}")

    async def _socket_url(self, session: str) -> str:
        query = {"session": session, "events": "session.status"}
        if self._key is not None:
            query["x-api-key"] = await fresh(self._key)
        return f"{self.url}/ws?{urlencode(query)}"

    def _read(self, message: Any) -> Signal | tuple[()] | None:
        """What a message means that is for this session."""
        return _heard(message) if message["session"] == self.account else None

    def _meant(self, signal: Signal) -> Signal | None:
        """What that means after all that came before."""
        match signal:
            case ActionRequired():
                return self._round.told.tell_once(signal)
            case QRExpired():
                return expiry_told(
                    f"the session {self.account!r} is STOPPED: somebody stopped it, or the service "
                    "restarts"
                )
            case PairingRefused(data={"engine": engine}):
                reason, why = self._round.why_failed(engine)
                text = f"the session {self.account!r} is FAILED: {why}"
                return refusal_told(reason, text, {"status": "FAILED"})
        return signal


def _heard(message: Any) -> Signal | tuple[()] | None:
    """What a message means; nothing of a status that is known, and is no news of a code."""
    if message["event"] != "session.status":
        return None
    payload, status = message["payload"], message["payload"]["status"]
    if status == "WORKING" and (paired := _paired(message.get("me"))) is not None:
        return paired
    if status in ACTIONS and isinstance(data := payload.get("data"), Mapping):
        action, _ = ACTIONS[status]
        return action(data)
    if status in NEWS:
        return StatusChanged()
    if (verdict := _verdict(status, message.get("engine"))) is not None:
        return verdict
    return () if status in QUIET else None


def _verdict(status: object, engine: object) -> Signal | None:
    """What a status means that is the end of a code; nothing of any other."""
    match status:
        case "STOPPED":
            return QRExpired()
        case "FAILED":
            return PairingRefused(data={"engine": engine})
    return None


class Round:
    """What is known of the codes of one start of the session.

    Args:
        whole: whether it was begun here, so that no code came before.
    """

    __slots__ = ("_began", "_codes", "_last", "_whole", "start_refused", "told", "typed")

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self._codes = 0
        self._last: int | None = None
        self._began = 0.0
        self.told = Told()
        self.start_refused = False
        """Whether the service would not start the session."""
        self.typed: tuple[str | None, float] = (None, 0.0)
        """The code to type, and until when it is good."""

    def __repr__(self) -> str:
        return f"<Round of {self._codes} codes>"

    def count(self, code: QRCode) -> None:
        """A code was seen, which may be the same as before."""
        if (seen := hash(code)) != self._last:
            if self._codes == 0:
                self._began = anyio.current_time()
            self._codes, self._last = self._codes + 1, seen
            self.told.forget()

    def why_failed(self, engine: object) -> tuple[Reason, str]:
        """Why the session failed, as far as one can know, and what to say of it.

        Without a code the service could not pair at all. After all six of them, nobody scanned any;
        that is what it must have been where others saw the first of them, too. In between it is, on
        NOWEB, that WhatsApp has logged the session out (401), which is the phone's no. Of the other
        engines nothing is known.
        """
        if self._codes == 0:
            return Reason.REFUSED_BY_SERVICE, f"it made no code; {ASK_ITS_LOG}"
        late = anyio.current_time() >= self._began + ROUND
        if self._codes >= CODES_OF_A_ROUND or late or not self._whole:
            why = "nobody scanned any code of its round; ask again when a person is there"
            return Reason.CODES_USED_UP, why
        if engine == "NOWEB":
            return Reason.REFUSED_ON_PHONE, "WhatsApp has logged it out, or it was declined there"
        return Reason.REFUSED_BY_SERVICE, f"its codes had not run out; {ASK_ITS_LOG}"


def _status_in(session: Mapping[str, object]) -> str:
    """The status of a session.

    Raises:
        Malformed: there is none.
    """
    if (status := text_of(session.get("status"), "status")) is None:
        raise Malformed("status", "must be text that is not empty")
    return status


def _paired(me: object) -> Paired | None:
    """The success of this account; None if it is not said whose."""
    if not isinstance(me, Mapping) or (identity := text_of(me.get("id"), "me.id")) is None:
        return None
    return Paired(identity, {key: me[key] for key in ("id", "pushName") if key in me})


def _final(answer: Answer, failure: Exception) -> PairingRefused:
    """The service's own word that it refuses; a proxy's page while it restarts is not its word.

    Raises:
        PeerError: it is not final.
    """
    said = object_in(answer.content)
    if isinstance(failure, ServiceRefused) and said is not None and "statusCode" in said:
        known = isinstance(failure.reason, Reason)
        reason = failure.reason if known else Reason.REFUSED_BY_SERVICE
        return PairingRefused(reason, error=failure)  # type: ignore[arg-type]
    raise failure
