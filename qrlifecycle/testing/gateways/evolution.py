"""Evolution API 2.3.7, played: its HTTP, its Socket.IO, and WhatsApp behind it.

Made after what a real server sent, with its traps: a code that is not ready, ``close`` right after
a scan, an order that is not kept, two connections of one instance, a namespace that is not there
yet, an owner that is written down late, messages that carry a key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from secrets import token_hex, token_urlsafe
from typing import Any, ClassVar

import anyio

from ...codes import Code
from ...gateways.evolution import EvolutionAPI
from ..http_server import Request, Response, Upgrade
from ..socketio_server import SocketIOServer, opening_packet
from .served import ServedEmulator

__all__ = ["EvolutionEmulator", "EvolutionInstance"]

ACCOUNT = "490001234567@s.whatsapp.net"
"""Whose phone it is, unless told otherwise, spelt as the service spells it."""

LOADED_AFTER = 0.5
"""Seconds from a restart until an instance can be asked for anything but its state."""

RESUMED_AFTER = 1.0
"""Seconds from a restart until what was connected, or connecting, connects again."""

CONNECTING_AFTER = 0.3
CODE_AFTER = 2.3
"""Seconds from ``connect`` to the first code: longer than ``connect`` itself takes."""

CONNECT_TAKES = 2.0
"""Seconds (``delay(2000)``)."""

STEP = 0.4
"""Seconds between two steps of what happens after a scan."""

LIFETIME = 45.0
"""Seconds between two codes (``qrTimeout``)."""

PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 900
"""Some 10 kB, as each code has beside it."""

NOT_LOADED = {"error": True, "message": "Error: the instance is not loaded"}

NO_CODE = {"pairingCode": None, "count": 1}


@dataclass
class EvolutionInstance:
    """One instance, and what is stored of it."""

    name: str
    token: str = field(default_factory=lambda: token_hex(16).upper())
    state: str = "close"
    """As ``connectionState`` says it."""
    owner: str | None = None
    """As it is written down, which is later than the state."""
    written: str = "close"
    """The state that is written down beside the owner."""
    events: list[str] | None = None
    """What it tells over its WebSocket; None if that was never set."""
    code: str | None = None
    pairing_code: str | None = None
    codes: list[str] = field(default_factory=list)
    """Every one that there ever was."""
    upstream: Upstream | None = None
    """The connection to WhatsApp that the instance knows of; another one may be left over."""
    upstreams: list[Upstream] = field(default_factory=list)
    loaded: bool = True


class Upstream:
    """One connection to WhatsApp; codes that it made are its own.

    Args:
        number: of the phone that is to type a code.
    """

    def __init__(self, number: str | None) -> None:
        self.number = number
        self.code: str | None = None
        self.typed: str | None = None
        self.life = anyio.CancelScope()

    def end(self) -> None:
        """No code of it is good any more."""
        self.code = self.typed = None
        self.life.cancel()


class EvolutionEmulator(ServedEmulator):
    """The server, with the instances ``bot-7``, which its gateway is for, and ``bot-8``.

    Args:
        api_key: the global key.
        global_events: whether it tells everybody everything (``WEBSOCKET_GLOBAL_EVENTS``).
        phone_number: what its gateway is to pair by, beside the picture.
        resumes: whether an instance that was connecting goes on by itself after a restart.
        lets_websockets_through: whether what is on the way passes on ``Upgrade``.
        websocket_enabled: whether there is a Socket.IO at all (``WEBSOCKET_ENABLED``).
        host: the address to listen on.
        port: the port; 0 takes a free one.
    """

    account: ClassVar[str] = ACCOUNT

    def __init__(
        self,
        *,
        api_key: str = "global-key-of-the-test",
        global_events: bool = False,
        phone_number: str | None = None,
        resumes: bool = True,
        lets_websockets_through: bool = True,
        websocket_enabled: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port)
        self.api_key = api_key
        self.global_events = global_events
        self.phone_number = phone_number
        self.resumes = resumes
        self.lets_websockets_through = lets_websockets_through
        self.websocket_enabled = websocket_enabled
        self.ours = EvolutionInstance("bot-7")
        self.instances = {"bot-7": self.ours, "bot-8": EvolutionInstance("bot-8")}
        self.socketio = SocketIOServer()
        self._locked = self._socket_locked = False
        self._told: list[str] = []

    def gateway(self) -> EvolutionAPI:
        """A gateway for ``bot-7``, with the global key."""
        return EvolutionAPI(self.url, **self.arguments())

    def arguments(self) -> Mapping[str, Any]:
        """The instance, and the global key."""
        return {
            "api_key": self.api_key,
            "instance": "bot-7",
            "phone_number": self.phone_number,
            "global_events": self.global_events,
        }

    def codes(self) -> list[str]:
        """Those of ``bot-7``."""
        return list(self.ours.codes)

    def secrets(self) -> Collection[str]:
        """The keys, every code, and what can be typed."""
        found = [self.api_key, *self._told]
        for one in self.instances.values():
            found += [one.token, *one.codes]
        return found

    # The person

    async def scan(self, code: Code, identity: str = ACCOUNT) -> None:
        """Scan a code, whichever instance's it is, or type it, and agree."""
        instance, upstream = self._upstream_of(code.reveal())
        upstream.code = None
        if upstream is instance.upstream:  # else nobody ever hears of it
            upstream.end()
            self._start(self._open, instance, identity)

    async def refuse(self, code: Code) -> None:
        """Decline: WhatsApp ends the connection for good, and three messages say so."""
        instance, upstream = self._upstream_of(code.reveal())
        upstream.end()
        instance.state = instance.written = "close"
        closed = {"instance": instance.name, "status": "closed", "disconnectionReasonCode": 401}
        await self._tell(instance, "logout.instance", None)
        await self._tell_state(instance, "close", 401)
        await self._tell(instance, "status.instance", closed)

    def _upstream_of(self, revealed: str) -> tuple[EvolutionInstance, Upstream]:
        for instance in self.instances.values():
            for one in instance.upstreams:
                if revealed in (one.code, one.typed):
                    return instance, one
        raise KeyError("no such code is good")

    async def _open(self, instance: EvolutionInstance, identity: str) -> None:
        """What follows a scan: the connection is closed, and made again."""
        instance.state = "close"
        await anyio.sleep(STEP)
        instance.state = "connecting"
        await self._tell_state(instance, "connecting", 200)
        await anyio.sleep(STEP)
        instance.state = "open"
        await anyio.sleep(STEP)  # its picture is fetched
        instance.owner, instance.written = identity, "open"
        more = {"wuid": identity, "profileName": "Ada"}
        await self._tell_state(instance, "open", 200, **more)

    # The service

    async def rotate(self) -> None:
        """The next code, before its time."""
        assert self.ours.upstream is not None
        await self._make_code(self.ours, self.ours.upstream)

    async def expire(self) -> None:
        """WhatsApp ends the connection, and it is not made again: nobody is told."""
        self._end_all(self.ours)

    async def limit(self) -> None:
        """There are no more codes; the verdict comes before the news, and old news after both."""
        self._end_all(self.ours)
        await self._tell_state(self.ours, "refused", 428)
        over = {"message": "QR code limit reached, please login again", "statusCode": 500}
        await self._tell(self.ours, "qrcode.updated", over)
        await self._tell_state(self.ours, "connecting", 200)

    async def link(self, identity: str = ACCOUNT) -> None:
        """It is open."""
        self.ours.state = self.ours.written = "open"
        self.ours.owner = identity

    async def lock_out(self) -> None:
        """The keys are others now; who is connected stays so."""
        self._locked = True

    async def lock_out_of_socket(self) -> None:
        """The same for its Socket.IO only."""
        self._socket_locked = True

    async def forget(self) -> None:
        """The instance is deleted."""
        self._end_all(self.ours)
        del self.instances["bot-7"]

    async def other(self, identity: str = "+490009999999") -> None:
        """``bot-8`` connects, shows a code and is paired."""
        instance = self.instances["bot-8"]
        instance.events = ["QRCODE_UPDATED", "CONNECTION_UPDATE"]
        await self._make_code(instance, Upstream(None))
        self._start(self._open, instance, identity)

    # The operator, and the network between

    async def stop(self) -> None:
        """It is killed; its connections to WhatsApp go with it."""
        await super().stop()
        for one in self.instances.values():
            self._end_upstreams(one)

    async def start(self) -> None:
        """It is there again. No namespace is, until something is told in it."""
        self.socketio.forget()
        for one in self.instances.values():
            before, one.state, one.code, one.loaded = one.state, "close", None, False
            self._start(self._load, one, before)
        await super().start()

    async def _load(self, instance: EvolutionInstance, before: str) -> None:
        await anyio.sleep(LOADED_AFTER)
        instance.loaded = True
        await anyio.sleep(RESUMED_AFTER - LOADED_AFTER)
        if instance.owner is not None and before == "open":
            await self._open(instance, instance.owner)
        elif before == "connecting" and self.resumes:
            self._begin(instance, None)

    # WhatsApp

    def _begin(self, instance: EvolutionInstance, number: str | None) -> None:
        """Make a connection; one that is there already is left over, and goes on."""
        instance.upstream = Upstream(number)
        instance.upstreams.append(instance.upstream)
        self._start(self._live, instance, instance.upstream)

    async def _live(self, instance: EvolutionInstance, upstream: Upstream) -> None:
        with upstream.life:
            await anyio.sleep(CONNECTING_AFTER)
            instance.state = instance.written = "connecting"
            await self._tell_state(instance, "connecting", 200)
            await anyio.sleep(CODE_AFTER - CONNECTING_AFTER)
            while True:
                if upstream is not instance.upstream:
                    await anyio.sleep(STEP)  # so that its code is the one on screen
                await self._make_code(instance, upstream)
                await anyio.sleep(LIFETIME)

    async def _make_code(self, instance: EvolutionInstance, upstream: Upstream) -> None:
        parts = (token_urlsafe(32) for _ in range(4))
        upstream.code = instance.code = f"2@{','.join(parts)}"
        upstream.typed = token_hex(4).upper() if upstream.number else None
        instance.pairing_code = upstream.typed
        instance.codes.append(upstream.code)
        self._told += filter(None, [upstream.typed])
        code = {"instance": instance.name, **self._code_of(instance)}
        await self._tell(instance, "qrcode.updated", {"qrcode": code})

    def _code_of(self, instance: EvolutionInstance) -> dict[str, object]:
        return {"pairingCode": instance.pairing_code, "code": instance.code, "base64": PICTURE}

    def _end_upstreams(self, instance: EvolutionInstance) -> None:
        for one in instance.upstreams:
            one.end()
        instance.upstreams.clear()

    def _end_all(self, instance: EvolutionInstance) -> None:
        self._end_upstreams(instance)
        instance.state = instance.written = "close"
        instance.code = instance.pairing_code = None

    # Telling

    async def _tell_state(
        self, instance: EvolutionInstance, state: str, number: int, **more: object
    ) -> None:
        said = {"instance": instance.name, **more, "state": state, "statusReason": number}
        await self._tell(instance, "connection.update", said)

    async def _tell(self, instance: EvolutionInstance, name: str, data: object) -> None:
        message = {
            "event": name,
            "instance": instance.name,
            "data": data,
            "server_url": self.url,
            "date_time": "2026-11-28T15:36:27.101Z",
            "apikey": instance.token,
        }
        if self.global_events:
            await self.socketio.emit("/", name, message)
        if name.replace(".", "_").upper() in (instance.events or ()):
            await self.socketio.emit(f"/{instance.name}", name, message)

    # HTTP

    async def _answer(self, request: Request) -> Response | Upgrade | bytes:
        match request.segments:
            case ["socket.io", *_] if self.websocket_enabled:
                return self._answer_handshake(request)
            case ["instance", "fetchInstances"]:
                return _refusal() if self._refuses(request) else Response(self._rows(request))
            case ["instance" | "websocket", action, name]:
                # Whether there is such an instance is looked at before the key.
                if (instance := self.instances.get(name)) is None:
                    return _not_found([f'The "{name}" instance does not exist'])
                if self._refuses(request, instance):
                    return _refusal()
                return await self._act(request, action, instance)
        return _not_found([f"Cannot {request.method} {request.path}"])

    async def _act(self, request: Request, action: str, instance: EvolutionInstance) -> Response:
        match request.method, action:
            case "GET", "connect":
                return Response(await self._connect(instance, request.query.get("number")))
            case "GET", "connectionState":
                return Response(_state_of(instance))
            case "DELETE", "logout":
                self._end_all(instance)
                return Response({"status": "SUCCESS", "error": False})
            case "GET", "find":
                return Response(_websocket_of(instance))
            case "POST", "set":
                instance.events = request.json()["websocket"]["events"]
                return Response(_websocket_of(instance), 201)
        return _not_found([f"Cannot {request.method} {request.path}"])

    async def _connect(self, instance: EvolutionInstance, number: str | None) -> object:
        if not instance.loaded:
            return NOT_LOADED
        if instance.state == "open":
            return _state_of(instance)
        if instance.state == "close":
            self._begin(instance, number)  # also if another was begun in the same instant
            await anyio.sleep(CONNECT_TAKES)
        return NO_CODE if instance.code is None else {**self._code_of(instance), "count": 1}

    def _rows(self, request: Request) -> list[dict[str, object]]:
        wanted = request.query.get("instanceName")
        return [
            {
                "name": one.name,
                "connectionStatus": one.written,
                "ownerJid": one.owner,
                "profileName": "Ada",
                "token": one.token,
            }
            for one in self.instances.values()
            if wanted in (None, one.name)
        ]

    def _answer_handshake(self, request: Request) -> Response | Upgrade | bytes:
        websocket = request.query.get("transport") == "websocket"
        upgrades = "upgrade" in request.headers and self.lets_websockets_through
        if websocket and not upgrades:
            return Response({"code": 3, "message": "Bad request"}, 400)
        if self._socket_locked or self._refuses(request):
            said = "Invalid global token" if _key_in(request) else "apiKey is required"
            if not websocket:
                return Response({"code": 4, "message": said}, 403)
            return (
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\n"
                f"Content-Length: {len(said)}\r\n\r\n{said}"
            ).encode()
        return self.socketio.accept() if websocket else Response(opening_packet().encode())

    def _refuses(self, request: Request, instance: EvolutionInstance | None = None) -> bool:
        """Any instance's token opens the socket, but only its own instance."""
        known: Iterable[EvolutionInstance] = self.instances.values()
        tokens = [one.token for one in known if instance in (None, one)]
        return self._locked or _key_in(request) not in [self.api_key, *tokens]


def _key_in(request: Request) -> str | None:
    return request.headers.get("apikey") or request.query.get("apikey")


def _state_of(instance: EvolutionInstance) -> dict[str, object]:
    return {"instance": {"instanceName": instance.name, "state": instance.state}}


def _websocket_of(instance: EvolutionInstance) -> dict[str, object] | None:
    return None if instance.events is None else {"enabled": True, "events": instance.events}


def _refusal() -> Response:
    body = {"status": 401, "error": "Unauthorized", "response": {"message": "Unauthorized"}}
    return Response(body, 401)


def _not_found(said: list[str]) -> Response:
    return Response({"status": 404, "error": "Not Found", "response": {"message": said}}, 404)
