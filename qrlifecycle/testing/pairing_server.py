"""A real pairing server on loopback: Socket.IO for the success, HTTP for everything else.

It is small, but it is no fake: python-socketio's server on aiohttp, as a bot platform would run it.
It makes codes, rotates them, lets a phone scan or refuse them, and keeps book of every socket, so
that a test can ask the *server* how many were ever open, and when.

====  ============================  ==========================================
POST  /qr                           a code for ``{"botId", "userId"}``:
                                    ``{"qr", "expiresIn"}``; once it is paired,
                                    ``{"paired": true, "identity"}``
GET   /status?botId=...&userId=...  ``{"status", "identity"}``; while a code
                                    waits, ``"qr"`` and ``"expiresIn"`` as well
GET   /phone/CODE                   plays the phone: it has scanned, and a
                                    page asks yes or no
POST  /phone/CODE                   its answer: it scans and confirms; with
                                    ``answer=refuse``, in a form or the query,
                                    it declines, with ``scan`` it only scans
POST  /rotate                       a new code for ``{"botId", "userId"}``,
                                    sent over the socket
POST  /expire                       the code runs out, sent over the socket
GET   /sockets?userId=...           ``{"open", "most", "ever"}`` and each
                                    socket's record
====  ============================  ==========================================


All but the phone's request needs the token, if the server has one. It has,
unless it listens on loopback only: everybody in reach could read everybody's
codes otherwise.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

import socketio
from aiohttp import web
from socketio.exceptions import ConnectionRefusedError as Refused

from ..logs import AddLifecycle
from ..transports.async_client import require_asyncio
from ..transports.wire.address import place_of
from . import phone_page
from .listening import is_loopback, stop_listening

__all__ = ["PairingRecord", "PairingServer", "SocketRecord"]

logger = logging.getLogger("qrlifecycle.testing.pairing_server")
logger.addFilter(AddLifecycle())

SILENT = logging.getLogger("qrlifecycle.testing.pairing_server.http")
"""Where aiohttp complains of clients that go away: nowhere, for that is what they are here for."""

SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False

IDENTITY = "+490001234567"
"""The account that every phone here belongs to."""


@dataclass(slots=True)
class SocketRecord:
    """One socket's life, in seconds of the server's event loop's clock."""

    socket_id: str
    bot_id: str
    user_id: str
    opened_at: float
    closed_at: float | None = None
    reason: str | None = None


@dataclass(slots=True)
class PairingRecord:
    """What the server knows of one (bot, user): the newest code and how far it got."""

    bot_id: str
    user_id: str
    code: str
    made_at: float
    expires_at: float
    status: str = "waiting"
    decided_at: float | None = None

    @property
    def room(self) -> str:
        """Where this pairing's sockets listen."""
        return room_of(self.bot_id, self.user_id)


def room_of(bot_id: str, user_id: str) -> str:
    """The Socket.IO room of one (bot, user)."""
    return f"{bot_id}\n{user_id}"


class PairingServer:
    """The server; an async context manager that listens on entering and is gone on leaving.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
        qr_lifetime: seconds for which a code is good; sent with it, and enforced.
        token: what `auth` must bring along as ``token`` on connecting, and each request over HTTP
            as a bearer, but for the phone's, which has the code. Without one everybody is let in on
            loopback; where others can reach it, one is made up: see `token`.
        as_message: send ``{"type": NAME, ...}`` as an event "message" instead of an event NAME.
        namespace: the Socket.IO namespace.
        log: called with each line of the log; the default is this module's logger at DEBUG.

    Runs on asyncio only, because python-socketio's server does.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        qr_lifetime: float = 60.0,
        token: str | None = None,
        as_message: bool = False,
        namespace: str = "/",
        log: Callable[[str], None] = logger.debug,
    ) -> None:
        self.sockets: list[SocketRecord] = []
        """Every socket there ever was, in the order of opening; `open_sockets()` counts those that
        are open now."""
        self.host = host
        self.port = port
        self.qr_lifetime = qr_lifetime
        self.token = token or (None if is_loopback(host) else secrets.token_urlsafe(16))
        """What is asked for; None if nothing is."""
        self._as_message = as_message
        self._namespace = namespace
        self._log = log
        self._pairings: dict[tuple[str, str], PairingRecord] = {}
        self._codes: dict[str, PairingRecord] = {}
        self._sio = self._make_socketio()
        self._runner = self._make_runner()
        self._listener: asyncio.Server | None = None
        self._time: Callable[[], float] = time.monotonic
        """Its event loop's clock, once it has one: that may be a virtual one."""

    # Its life

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{place_of(self.host, self.port)}"

    async def __aenter__(self) -> Self:
        require_asyncio("PairingServer")
        await self._runner.setup()
        assert self._runner.server is not None
        loop = asyncio.get_running_loop()
        self._time = loop.time
        try:
            self._listener = await loop.create_server(self._runner.server, self.host, self.port)
        except BaseException:
            await self._runner.cleanup()
            raise
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._listener is not None:
            await stop_listening(self._listener)
        for record in self.sockets:
            if record.closed_at is None:
                await self._sio.disconnect(record.socket_id, namespace=self._namespace)
        await self._sio.shutdown()
        await self._runner.cleanup()

    # What a service and a phone do

    def make_code(self, bot_id: str, user_id: str) -> str:
        """A fresh code, as the URL that a phone opens. The one before it is good no more."""
        pairing = self._pairings.get((bot_id, user_id))
        if pairing is None or pairing.status == "paired":
            pairing = PairingRecord(bot_id, user_id, "", 0.0, 0.0)
            self._pairings[bot_id, user_id] = pairing
        self._codes.pop(pairing.code, None)
        pairing.code = secrets.token_urlsafe(16)
        pairing.made_at = self._time()
        pairing.expires_at = pairing.made_at + self.qr_lifetime
        pairing.decided_at = None
        pairing.status = "waiting"
        self._codes[pairing.code] = pairing
        return self.url_of(pairing)

    def url_of(self, pairing: PairingRecord) -> str:
        """What the code says: the URL that a phone opens."""
        return f"{self.url}/phone/{pairing.code}"

    def pairing(self, bot_id: str, user_id: str) -> PairingRecord:
        """What is known of a (bot, user) that asked for a code.

        Raises:
            KeyError: it never did.
        """
        return self._pairings[bot_id, user_id]

    async def rotate(self, bot_id: str, user_id: str) -> None:
        """Replace the code and notify the socket."""
        url = self.make_code(bot_id, user_id)
        details = {"qr": url, "expiresIn": self.qr_lifetime}
        await self._notify(self.pairing(bot_id, user_id), "whatsapp_qr_updated", **details)

    async def expire(self, bot_id: str, user_id: str) -> None:
        """Let the code run out and notify the socket."""
        pairing = self.pairing(bot_id, user_id)
        self._codes.pop(pairing.code, None)
        self._decide(pairing, "expired")
        await self._notify(pairing, "whatsapp_qr_expired")

    async def scan(self, bot_id: str, user_id: str, *, confirm: bool = True) -> bool:
        """Let the phone scan the code and, unless ``confirm`` is False, confirm at once.

        Returns:
            Whether the code was still good.
        """
        pairing = self.pairing(bot_id, user_id)
        if not self._is_good(pairing):
            return False
        pairing.status = "scanned"
        await self._notify(pairing, "whatsapp_qr_scanned")
        if confirm:
            self._codes.pop(pairing.code, None)
            self._decide(pairing, "paired")
            await self._notify(pairing, "whatsapp_connected", identity=IDENTITY)
        return True

    async def require_action(self, bot_id: str, user_id: str, action: str, **data: object) -> None:
        """Want something more from the person than a scan: a passkey, a second password."""
        pairing = self.pairing(bot_id, user_id)
        await self._notify(pairing, "whatsapp_action_required", action=action, **data)

    async def refuse(self, bot_id: str, user_id: str) -> None:
        """Let the person decline on the phone."""
        pairing = self.pairing(bot_id, user_id)
        self._codes.pop(pairing.code, None)
        self._decide(pairing, "refused")
        await self._notify(pairing, "whatsapp_connection_failed", reason="refused_on_phone")

    def drop_connections(self) -> None:
        """Cut every connection without a word, as a broken network does."""
        if self._runner.server is not None:
            for connection in self._runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()

    def mark_paired(self, bot_id: str, user_id: str) -> None:
        """Have the account paired already, before anybody asks for a code."""
        self.make_code(bot_id, user_id)
        self._decide(self.pairing(bot_id, user_id), "paired")

    # What it saw

    def open_sockets(self, user_id: str | None = None) -> int:
        """How many sockets are open now, of one user or of all."""
        return sum(r.closed_at is None for r in self._records(user_id))

    def most_sockets(self, user_id: str | None = None) -> int:
        """How many sockets were ever open at the same time."""
        records = self._records(user_id)
        return max((sum(_overlap(r, other) for other in records) for r in records), default=0)

    def _records(self, user_id: str | None) -> list[SocketRecord]:
        return [r for r in self.sockets if user_id in (None, r.user_id)]

    # The socket

    def _make_socketio(self) -> Any:
        sio = socketio.AsyncServer(async_mode="aiohttp", cors_allowed_origins=[])
        sio.on("connect", self._on_connect, namespace=self._namespace)
        sio.on("disconnect", self._on_disconnect, namespace=self._namespace)
        return sio

    async def _on_connect(self, socket_id: str, _environ: object, auth: object) -> None:
        owner = auth if isinstance(auth, dict) else {}
        bot_id, user_id = str(owner.get("botId")), str(owner.get("userId"))
        if not self._admits(owner.get("token")):
            raise Refused("unauthorized")
        self.sockets.append(SocketRecord(socket_id, bot_id, user_id, self._time()))
        await self._sio.enter_room(socket_id, room_of(bot_id, user_id), namespace=self._namespace)
        self._log(f"WebSocket client connected - socketId: {socket_id} - userId: {user_id}")

    async def _on_disconnect(self, socket_id: str, reason: str) -> None:
        for record in self.sockets:
            if record.socket_id == socket_id:
                record.closed_at = self._time()
                record.reason = reason
        self._log(f"WebSocket client disconnected - socketId: {socket_id} - reason: {reason}")

    async def _notify(self, pairing: PairingRecord, name: str, **details: object) -> None:
        message = {"type": name, "botId": pairing.bot_id, "userId": pairing.user_id, **details}
        event = "message" if self._as_message else name
        await self._sio.emit(event, message, room=pairing.room, namespace=self._namespace)

    def _is_good(self, pairing: PairingRecord) -> bool:
        return pairing.code in self._codes and (
            pairing.status != "waiting" or self._time() < pairing.expires_at
        )

    def _decide(self, pairing: PairingRecord, status: str) -> None:
        pairing.status = status
        pairing.decided_at = self._time()

    def _admits(self, token: object) -> bool:
        return self.token is None or (
            isinstance(token, str) and hmac.compare_digest(token.encode(), self.token.encode())
        )

    # HTTP

    def _make_runner(self) -> web.AppRunner:
        app = web.Application(middlewares=[self._check_bearer])
        app.add_routes(
            [
                web.post("/qr", self._http_qr),
                web.get("/status", self._http_status),
                web.get("/phone/{code}", self._http_phone, allow_head=False),
                web.post("/phone/{code}", self._http_phone),
                web.post("/rotate", self._http_rotate),
                web.post("/expire", self._http_expire),
                web.get("/sockets", self._http_sockets),
            ]
        )
        self._sio.attach(app)
        return web.AppRunner(
            app, handle_signals=False, access_log=None, logger=SILENT, shutdown_timeout=1.0
        )

    @web.middleware
    async def _check_bearer(
        self, request: web.Request, handler: Callable[[web.Request], Any]
    ) -> web.StreamResponse:
        # A phone has the code, and a socket brings the token along with what it connects with.
        # And what is nowhere is 404: a wrong URL must not look like a wrong token.
        if request.match_info.http_exception is not None:
            raise request.match_info.http_exception
        free = request.path.startswith(("/phone/", "/socket.io/"))
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not free and not self._admits(bearer):
            raise web.HTTPUnauthorized
        response: web.StreamResponse = await handler(request)
        return response

    async def _http_qr(self, request: web.Request) -> web.Response:
        bot_id, user_id = await _owner_in(request)
        pairing = self._pairings.get((bot_id, user_id))
        if pairing is not None and pairing.status == "paired":
            return web.json_response({"paired": True, "identity": IDENTITY})
        url = self.make_code(bot_id, user_id)
        return web.json_response({"qr": url, "expiresIn": self.qr_lifetime})

    async def _http_status(self, request: web.Request) -> web.Response:
        pairing = self._pairings.get(
            (request.query.get("botId", ""), request.query.get("userId", ""))
        )
        if pairing is None:
            return web.json_response({"status": "unknown", "identity": None})
        answer: dict[str, object] = {
            "status": pairing.status,
            "identity": IDENTITY if pairing.status == "paired" else None,
        }
        if pairing.status == "waiting":
            left = pairing.expires_at - self._time()
            if left > 0 and self._is_good(pairing):
                answer.update(qr=self.url_of(pairing), expiresIn=left)
            else:
                answer["status"] = "expired"
        return web.json_response(answer)

    async def _http_phone(self, request: web.Request) -> web.Response:
        pairing = self._codes.get(request.match_info["code"])
        if pairing is None or not self._is_good(pairing):
            return _html(phone_page.good_no_more(), 410)
        owner = (pairing.bot_id, pairing.user_id)
        if request.method != "POST":
            if pairing.status == "waiting":
                await self.scan(*owner, confirm=False)
            return _html(phone_page.asking(*owner))
        form = await request.post()
        answer = form.get("answer") or request.query.get("answer", "confirm")
        if answer not in ("confirm", "refuse", "scan"):
            raise web.HTTPBadRequest(text="The answer must be confirm, refuse or scan.\n")
        if answer == "refuse":
            await self.refuse(*owner)
        else:
            await self.scan(*owner, confirm=answer == "confirm")
        return _html(phone_page.saying(pairing.status))

    async def _http_rotate(self, request: web.Request) -> web.Response:
        await self.rotate(*await self._known_owner_in(request))
        return web.Response()

    async def _http_expire(self, request: web.Request) -> web.Response:
        await self.expire(*await self._known_owner_in(request))
        return web.Response()

    async def _http_sockets(self, request: web.Request) -> web.Response:
        user_id = request.query.get("userId")
        records = self._records(user_id)
        counts = {"open": self.open_sockets(user_id), "most": self.most_sockets(user_id)}
        return web.json_response(
            {**counts, "ever": len(records), "sockets": [asdict(r) for r in records]}
        )

    async def _known_owner_in(self, request: web.Request) -> tuple[str, str]:
        owner = await _owner_in(request)
        if owner not in self._pairings:
            raise web.HTTPNotFound(text="Nobody asked for a code for this bot and user.\n")
        return owner


def _html(page: str, status: int = 200) -> web.Response:
    return web.Response(
        text=page, status=status, content_type="text/html", headers=phone_page.HEADERS
    )


async def _owner_in(request: web.Request) -> tuple[str, str]:
    try:
        body = await request.json()
        return str(body["botId"]), str(body["userId"])
    except (ValueError, KeyError, TypeError):
        raise web.HTTPBadRequest(text='The body must be {"botId": ..., "userId": ...}.\n') from None


def _overlap(record: SocketRecord, other: SocketRecord) -> bool:
    """Whether ``other`` was open at the moment ``record`` opened."""
    closed_at = float("inf") if other.closed_at is None else other.closed_at
    return other.opened_at <= record.opened_at < closed_at
