"""wppconnect-server 2.10.4, played: its HTTP, its Socket.IO, and WhatsApp Web behind it.

Made after what a real server sent, with its traps: codes that outlive their use, failures that are
told to nobody, a socket that tells everybody everything, an owner that is known a moment later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any, ClassVar

import anyio

from ...codes import Code
from ...gateways.wppconnect import WPPConnect
from ...outcome import Reason
from ..http_server import Request, Response, Upgrade
from ..socketio_server import SocketIOServer
from .emulator import CannotDo
from .served import ServedEmulator

__all__ = ["WPPConnectEmulator", "WPPConnectSession"]

ACCOUNT = "490001234567@c.us"
"""Whose phone it is, unless told otherwise, spelt as the service spells it."""

BROWSER_TAKES = 2.0
"""Seconds from a start to the first code, or to a session that is connected again."""

LIFETIME = 20.0
"""Seconds between two codes."""

AUTO_CLOSE = 60.0
"""Seconds from a round's first code to its end, if nobody scans (``autoClose``)."""

SYNC_TAKES = 0.4
"""Seconds from a scan to the session's being connected; there may be many more."""

PAGE_TAKES = 0.7
"""Seconds from there until it can be said whose it is."""

PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 300

VERSION = "2.10.4"


@dataclass
class WPPConnectSession:
    """One session, and what is kept of it."""

    name: str
    token: str = field(default_factory=lambda: token_urlsafe(40))
    status: str | None = None
    """None: the server knows nothing of it yet, and says ``CLOSED``."""
    code: str | None = None
    """The newest; it stays where it is, whatever becomes of the session."""
    codes: list[str] = field(default_factory=list)
    """Every one that there ever was."""
    identity: str | None = None
    """Whose it is; kept in the token's file."""
    page: bool = False
    """Whether the page in the browser answers."""
    starts: int = 0
    """How many times a browser was started for it."""
    life: anyio.CancelScope | None = None
    """What its round runs in, since it was started."""

    def end(self) -> None:
        """Its round is over."""
        if self.life is not None:
            self.life.cancel()


class WPPConnectEmulator(ServedEmulator):
    """The server, with the sessions ``bot-7``, which its gateway is for, and ``bot-8``.

    Args:
        secret_key: the server's secret.
        host: the address to listen on.
        port: the port; 0 takes a free one.
    """

    account: ClassVar[str] = ACCOUNT

    refused_because: ClassVar[Reason] = Reason.EXPIRED

    def __init__(
        self,
        *,
        secret_key: str = "secret-of-the-test",  # noqa: S107 - the tests' own
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port)
        self.secret_key = secret_key
        self.ours = WPPConnectSession("bot-7")
        self.sessions = {"bot-7": self.ours, "bot-8": WPPConnectSession("bot-8")}
        self.socketio = SocketIOServer()
        self._locked = False

    def gateway(self) -> WPPConnect:
        """A gateway for ``bot-7``, with its token."""
        return WPPConnect(self.url, **self.arguments())

    def arguments(self) -> Mapping[str, Any]:
        """The session, and its token."""
        return {"session": "bot-7", "token": self.ours.token}

    def codes(self) -> list[str]:
        """Those of ``bot-7``."""
        return list(self.ours.codes)

    def secrets(self) -> Collection[str]:
        """The secret, the tokens, and every code."""
        found = [self.secret_key]
        for one in self.sessions.values():
            found += [one.token, *one.codes]
        return found

    # The person

    async def scan(self, code: Code, identity: str = ACCOUNT) -> None:
        """Scan a code, whichever session's it is, and agree."""
        session = self._scanned(code)
        session.end()
        self._start(self._log_in, session, identity)

    async def refuse(self, code: Code) -> None:
        """Decline: it looks as if nobody had scanned in time."""
        self._close(self._scanned(code))

    def _scanned(self, code: Code) -> WPPConnectSession:
        for one in self.sessions.values():
            if one.status == "QRCODE" and code.reveal() == one.code:
                return one
        raise KeyError("no such code is good")

    async def _log_in(self, session: WPPConnectSession, identity: str) -> None:
        await anyio.sleep(SYNC_TAKES)
        session.status, session.identity = "CONNECTED", identity
        await self._tell("session-logged", {"status": True, "session": session.name})
        await anyio.sleep(PAGE_TAKES)
        session.page = True

    # The service

    async def rotate(self) -> None:
        """The next code, before its time."""
        await self._make_code(self.ours)

    async def expire(self) -> None:
        """The round is over: its status says so, and nobody is told."""
        self._close(self.ours)

    async def link(self, identity: str = ACCOUNT) -> None:
        """It is connected, and the code of then is still there."""
        self.ours.status, self.ours.identity, self.ours.page = "CONNECTED", identity, True
        self.ours.code = "2@REF,NOISE,IDENTITY,ADV"

    async def lock_out(self) -> None:
        """The secret and the tokens are others now; on the socket nobody is asked for any."""
        self._locked = True

    async def forget(self) -> None:
        """Any session that has a token comes to be when it is started."""
        raise CannotDo("a session that it does not know comes to be when it is started")

    async def other(self, identity: str = "+490009999999") -> None:
        """``bot-8`` shows a code and is paired; everybody hears of it."""
        session = self.sessions["bot-8"]
        await self._make_code(session)
        self._start(self._log_in, session, identity)

    async def forge(self) -> None:
        """The socket tells of a success; the status says that there is none."""
        await self._tell("session-logged", {"status": True, "session": "bot-7"})

    # The operator, and the network between

    async def stop(self) -> None:
        """It is killed, and its browsers with it."""
        await self._tell("whatsapp-status", False)
        await super().stop()
        for one in self.sessions.values():
            one.end()
            one.status, one.code, one.page = None, None, False

    async def start(self) -> None:
        """It is there again. Sessions that were paired are started by themselves."""
        self.socketio.forget()
        for one in self.sessions.values():
            if one.identity is not None:
                self._begin(one)
        await super().start()

    # WhatsApp Web

    def _begin(self, session: WPPConnectSession) -> None:
        """Start a browser, unless one runs."""
        if session.status in (None, "CLOSED"):
            session.status, session.life = "INITIALIZING", anyio.CancelScope()
            session.starts += 1
            self._start(self._live, session, session.life)

    async def _live(self, session: WPPConnectSession, life: anyio.CancelScope) -> None:
        with life:
            await anyio.sleep(BROWSER_TAKES)
            if session.identity is not None:
                await self._log_in(session, session.identity)
                return
            with anyio.move_on_after(AUTO_CLOSE):
                while True:
                    await self._make_code(session)
                    await anyio.sleep(LIFETIME)
            session.status = "CLOSED"

    async def _make_code(self, session: WPPConnectSession) -> None:
        parts = (token_urlsafe(32) for _ in range(4))
        session.status, session.code = "QRCODE", f"2@{','.join(parts)}"
        session.codes.append(session.code)
        await self._tell("qrCode", {"data": PICTURE, "session": session.name})

    def _close(self, session: WPPConnectSession) -> None:
        session.end()
        session.status = "CLOSED"

    async def _tell(self, name: str, said: object) -> None:
        """Everybody is told, whoever it is about."""
        await self.socketio.emit("/", name, said)

    # HTTP

    async def _answer(self, request: Request) -> Response | Upgrade:
        match request.segments:
            case ["socket.io", *_] if "upgrade" in request.headers:
                return self.socketio.accept()
            case ["api", name, secret, "generate-token"]:
                return self._make_token(name, secret)
            case ["api", name, action]:
                said = request.headers.get("authorization", "")
                if not said:
                    text = "Token is not present. Check your header and try again"
                    return Response({"message": text}, 401)
                session = self.sessions.get(name)
                if self._locked or session is None or said != f"Bearer {session.token}":
                    return Response({"error": "Check that the Session and Token are correct"}, 401)
                return self._act(f"{request.method} {action}", session)
        return Response({"error": "not found"}, 404)

    def _make_token(self, name: str, secret: str) -> Response:
        if self._locked or secret != self.secret_key:
            return Response({"response": False, "message": "The SECRET_KEY is incorrect"}, 400)
        token = self.sessions[name].token
        body = {"status": "success", "session": name, "token": token, "full": f"{name}:{token}"}
        return Response(body, 201)

    def _act(self, asked: str, session: WPPConnectSession) -> Response:
        match asked:
            case "GET status-session":
                return Response(_state_of(session))
            case "POST start-session":
                before = _state_of(session)  # with the code of before
                self._begin(session)
                return Response({**before, "session": session.name})
            case "GET check-connection-session":
                return Response({"status": session.status == "CONNECTED"})
            case "GET host-device":
                return _device_of(session)
        return Response({"error": "not found"}, 404)


def _state_of(session: WPPConnectSession) -> dict[str, object]:
    if session.status is None:
        return {"status": "CLOSED", "qrcode": None}
    shown = PICTURE if session.code else None
    found = {"status": session.status, "qrcode": shown, "urlcode": session.code}
    return {**found, "version": VERSION}


def _device_of(session: WPPConnectSession) -> Response:
    if not session.page or session.identity is None:
        return Response({"response": None, "status": "Disconnected"}, 404)
    owner = {"user": session.identity, "_serialized": session.identity}
    device = {"wid": {"user": session.identity}, "pushname": "Ada", "phoneNumber": owner}
    return Response({"status": "success", "response": device, "mapper": "device"})
