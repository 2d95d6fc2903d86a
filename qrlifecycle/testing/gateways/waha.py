"""A WAHA, played: one session, its codes, and a socket that says which status.

It is made after WAHA core 2024.10.8 (NOWEB), whole, and after the documentation of 2026; each trap
that was met there is in it:

- events carry no code, and say nothing when a client comes;
- ``me`` is set at the scan, two seconds before ``WORKING``; a code is then ``{}``, HTTP 200;
- a second ``start`` is HTTP 422, one of a failed session too; a stopped session's code is 404;
- a service that stops in order says ``STOPPED`` and closes with 1001, and afterwards the session
  does not run;
- the core edition has one session, ``default``, is listened to for all sessions or not at all
  (4001), checks no key, and makes codes for ever; the other fails after six.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from secrets import token_hex, token_urlsafe
from typing import Any, ClassVar, Literal

import anyio

from ...codes import Code, QRCode
from ...gateways.waha import CODES_OF_A_ROUND, WAHA
from ..http_server import Request, Response, ServerWebSocket, Upgrade
from .emulator import CannotDo
from .played import PlayedService

__all__ = ["WAHAEmulator"]

FIRST, ROTATED = 60.0, 20.0
"""Seconds for which a round's first code is good, and each other one."""

ACCOUNT = "490001234567@c.us"
"""Whose phone it is, unless told otherwise, spelt as the service spells it."""

STARTING = 0.4
"""Seconds from a start to the first code."""

RESTARTING = 2.0
"""Seconds from a scan to the engine's own restart; ``me`` is set already."""

LINKING = 0.2
"""Seconds from that restart to ``WORKING``."""

PING = 10.0
"""Seconds between two pings of the server's."""

ALL_SESSIONS = "Only connecting to all sessions is allowed for now, use session=*"

UNEXPECTED = "Session status is not as expected. Try again later or restart the session"


class WAHAEmulator(PlayedService):
    """The service, with one session: each user of yours needs one of their own.

    Args:
        edition: ``plus``, or the ``core`` of 2024, which has one session named ``default``.
        session: the session's name.
        api_key: the key that is asked for; the core edition asks for none.
        engine: what speaks WhatsApp.
        passkey: what is asked for after a scan: a signature, or that and a code to compare.
        typed: whether it gives codes to type.
        graceful: whether it says goodbye when it is stopped.
        host: the address to listen on.
        port: the port; 0 takes a free one.
    """

    account: ClassVar[str] = ACCOUNT

    def __init__(
        self,
        *,
        edition: Literal["plus", "core"] = "plus",
        session: str = "default",
        api_key: str | None = "k3y-of-the-service",
        engine: str = "NOWEB",
        passkey: Literal["no", "signed", "compared"] = "no",
        typed: bool = True,
        graceful: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port)
        self.edition = edition
        self.session = session
        self.api_key = self._first_key = None if edition == "core" else api_key
        self.engine = engine
        self.passkey = passkey
        self.typed = typed
        self.graceful = graceful
        self.status = "STOPPED"
        self.me: dict[str, str] | None = None
        self.made: list[str] = []
        """Every code to scan that it has made."""
        self.typed_made: list[str] = []
        """Every code to type."""
        self.numbers: list[str] = []
        """Whose codes to type were asked for."""
        self.challenges: list[str] = []
        self.assertions: list[Mapping[str, Any]] = []
        """What browsers have signed."""
        self._code: str | None = None
        self._typed: str | None = None
        self._in_round = 0
        self._asked: dict[str, object] = {}
        self._forgotten = False

    def gateway(self) -> WAHA:
        """A gateway for its session, with the key that it had in the beginning."""
        return WAHA(self.url, **self.arguments())

    def arguments(self) -> Mapping[str, Any]:
        """Its session, and the key."""
        return {
            "api_key": self._first_key,
            "session": self.session,
            "every_session": self.edition == "core",
        }

    def codes(self) -> list[str]:
        """What each picture says."""
        return self.made

    def secrets(self) -> Collection[str]:
        """The key, the codes, what is to be signed."""
        keys = filter(None, [self._first_key, self.api_key])
        return [*keys, *self.made, *self.typed_made, *self.challenges]

    # The person, with a phone

    async def scan(self, code: Code, identity: str = ACCOUNT) -> None:
        """Scan the code, or type it; the success comes 2.2 s later, for the engine restarts first.

        Until then the socket says nothing of the scan: `scanned` is told only if the status is read
        meanwhile (`policy.status_interval`).
        """
        current = self._code if isinstance(code, QRCode) else self._typed
        if current is None or code.reveal() != current or not self.server.listens:
            raise KeyError("no such code is good")
        self._code = self._typed = None
        self.call_off()
        self.me = {"id": identity, "pushName": "Ada"}
        if self.passkey == "no":
            self.later(RESTARTING, self._link)
            return
        challenge = token_urlsafe(24)
        self.challenges.append(challenge)
        data = {
            "challenge": challenge,
            "timeout": 60000,
            "rpId": "web.whatsapp.com",
            "allowCredentials": [{"id": "AX8b", "type": "public-key", "transports": ["hybrid"]}],
            "userVerification": "required",
        }
        self.later(0.5, lambda: self._become("PASSKEY_REQUIRED", data))

    async def refuse(self, code: Code) -> None:  # noqa: ARG002 - whichever it is
        """WhatsApp logs the session out: 401."""
        await self._fail()

    # The service

    async def rotate(self) -> None:
        """The next code; after the sixth a round is over."""
        self.call_off()
        self._code = None
        if self._in_round < CODES_OF_A_ROUND:
            await self._make_code()
        elif self.edition == "core":  # 408: the engine begins anew, and again
            await self._run()
        else:
            await self._fail()

    async def expire(self) -> None:
        """The session is stopped: no code of it is good any more."""
        await self._halt()

    async def limit(self) -> None:
        """All codes of a round are made, and nobody scans any."""
        if self.edition == "core":
            raise CannotDo("it makes codes for ever")
        for _ in range(CODES_OF_A_ROUND):
            await self.rotate()
            await anyio.sleep(2)

    async def link(self, identity: str = ACCOUNT) -> None:
        """The session works already."""
        self.me = {"id": identity, "pushName": "Ada"}
        self.status = "WORKING"

    async def lock_out(self) -> None:
        """Another key is asked for."""
        if self.api_key is None:
            raise CannotDo("the core edition checks no key")
        self.api_key = token_hex(16)

    async def forget(self) -> None:
        """The session is deleted."""
        self.call_off()
        self._forgotten = True

    async def other(self, identity: str = "+490009999999") -> None:
        """Another session pairs; who listens to all of them hears it."""
        me = {"id": identity, "pushName": "Bob"}
        for status, whose in (("SCAN_QR_CODE", None), ("STARTING", me), ("WORKING", me)):
            for request, socket in tuple(self.sockets):
                if request.query.get("session") == "*":
                    await socket.send(self._message("bot-of-another", status, whose))

    async def stop(self) -> None:
        """It is stopped: in order, unless it is not ``graceful``."""
        goodbye = self.graceful and any(one.status != "STOPPED" for one in self.accounts())
        for one in self.accounts():
            await one.go_down()
        for _, socket in tuple(self.sockets) if goodbye else ():
            await socket.close(1001, "Server is shutting down")
        await super().stop()

    async def go_down(self) -> None:
        """The session is stopped; who listens hears of it if the service is ``graceful``."""
        await super().go_down()
        if self.graceful and self.status != "STOPPED":
            await self._become("STOPPED")
        self.status, self._code, self._typed = "STOPPED", None, None

    async def _become(self, status: str, data: dict[str, object] | None = None) -> None:
        """Change the status, and tell everybody who listens for it."""
        self.status = status
        if status.startswith("PASSKEY"):
            self._asked = data or {}
        message = self._message(self.session, status, self.me, data)
        if self.muted:
            return
        for request, socket in tuple(self.sockets):
            if request.query.get("session") in ("*", self.session):
                await socket.send(message)

    def _message(
        self, session: str, status: str, me: object, data: dict[str, object] | None = None
    ) -> dict[str, object]:
        payload: dict[str, object] = {"name": session, "status": status}
        if data is not None:
            payload["data"] = data
        environment = {"version": "2024.10.8", "engine": self.engine, "tier": self.edition.upper()}
        return {
            "event": "session.status",
            "session": session,
            "me": me,
            "payload": payload,
            "engine": self.engine,
            "environment": environment,
        }

    async def _run(self) -> None:
        """Start the engine: with what is stored it links, without it makes codes."""
        self.call_off()
        self.me = None if self._asked else self.me  # what was halfway through is forgotten
        self._in_round, self._code, self._typed, self._asked = 0, None, None, {}
        await self._become("STARTING")
        if self.me is not None:
            self.later(STARTING, lambda: self._become("WORKING"))
        else:
            self.later(STARTING, self._make_code)

    async def _halt(self) -> None:
        self.call_off()
        self._code, self._typed, self._asked = None, None, {}
        await self._become("STOPPED")

    async def _fail(self) -> None:
        self.call_off()
        self.me, self._code, self._typed, self._asked = None, None, None, {}
        await self._become("FAILED")

    async def _make_code(self) -> None:
        self._in_round += 1
        self._code = f"2@{token_urlsafe(30)},{token_urlsafe(32)},{token_urlsafe(32)}"
        self.made.append(self._code)
        self.later(FIRST if self._in_round == 1 else ROTATED, self.rotate)
        await self._become("SCAN_QR_CODE")

    async def _link(self) -> None:
        self._asked = {}
        await self._become("STARTING")
        self.later(LINKING, lambda: self._become("WORKING"))

    # Over the wire

    async def _greet(self, request: Request, socket: ServerWebSocket) -> bool:
        if self.edition == "core" and request.query.get("session", "*") != "*":
            await socket.close(4001, json.dumps({"error": ALL_SESSIONS}))
            return False

        async def ping() -> None:
            if any(one is socket for _, one in self.sockets):
                await socket.ping()
                self.later(PING, ping)

        self.later(PING, ping)
        return True

    async def _answer(self, request: Request) -> Response | Upgrade | None:
        given = request.query.get("x-api-key") or request.headers.get("x-api-key")
        if self.api_key is not None and given != self.api_key:
            return _error(401, "Unauthorized")
        match request.method, request.segments:
            case "GET", ["ws"]:
                return self._upgrade(request)
            case _, ["api", "sessions", name, *_] | ["api", name, "auth", *_]:
                return await self.beside.get(name, self).respond(request)
        return _error(404, "Cannot find it", "Not Found")

    async def respond(self, request: Request) -> Response | Upgrade:
        """Answer a request that is about this session."""
        match request.segments:
            case ["api", "sessions", name, *what]:
                return await self._sessions(request.method, name, what)
            case ["api", name, "auth", *what]:
                if name == self.session and not self._forgotten and self.status != "STOPPED":
                    return await self._auth(request.method, what, request)
                return _error(404, f"We didn't find a session with name '{name}'.", "Not Found")
        return _error(404, "Cannot find it", "Not Found")

    async def _sessions(self, method: str, name: str, what: list[str]) -> Response:
        if name != self.session or self._forgotten:
            if self.edition == "core" and what == ["start"]:
                return _error(422, "WAHA Core support only 'default' session.")
            return _error(404, "Session not found", "Not Found")
        match method, what:
            case "GET", []:
                return Response(self._shown())
            case "POST", ["start"] if self.status != "STOPPED":
                return _error(422, f"Session '{name}' is already started.")
            case "POST", ["start" | "restart"]:
                await self._run()
            case "POST", ["stop"]:
                await self._halt()
            case _:
                return _error(404, "Cannot find it", "Not Found")
        return Response(self._shown(), 201)

    def _shown(self) -> dict[str, object]:
        engine = {} if self.status == "STOPPED" else {"engine": self.engine}
        return {
            "name": self.session,
            "status": self.status,
            "config": None,
            "me": self.me,
            "engine": engine,
        }

    async def _auth(self, method: str, what: list[str], request: Request) -> Response:
        if self.status == "SCAN_QR_CODE":
            match method, what:
                case "GET", ["qr"]:
                    return Response({} if self._code is None else {"value": self._code})
                case "POST", ["request-code"] if self.typed:
                    return self._make_typed(request.json())
        if (answer := await self._passkey(method, what, request)) is not None:
            return answer
        body = {"error": UNEXPECTED, "session": self.session, "status": self.status}
        return Response({**body, "expected": ["SCAN_QR_CODE"]}, 422)

    def _make_typed(self, asked: Mapping[str, str]) -> Response:
        self.numbers.append(asked["phoneNumber"])
        letters = token_hex(4).upper()
        self._typed = f"{letters[:4]}-{letters[4:]}"
        self.typed_made.append(self._typed)
        return Response({"code": self._typed}, 201)

    async def _passkey(self, method: str, what: list[str], request: Request) -> Response | None:
        """The answer, if what is asked for waits to be done."""
        signing, comparing = self.status == "PASSKEY_REQUIRED", "code" in self._asked
        match method, what:
            case "GET", ["passkey", "challenge"] if signing:
                return Response(self._asked)
            case "POST", ["passkey"] if signing:
                self.assertions.append(request.json())
                return await self._signed()
            case "GET", ["passkey", "confirmation"] if comparing:
                return Response(self._asked)
            case "POST", ["passkey", "confirm"] if comparing:
                await self._link()
                return Response({}, 201)
        return None

    async def _signed(self) -> Response:
        if self.passkey == "signed":
            await self._link()
        else:
            code = token_hex(4)
            self.challenges.append(code)
            await self._become("PASSKEY_CONFIRMATION_REQUIRED", {"code": code})
        return Response({}, 201)


def _error(status: int, message: str, error: str = "Unprocessable Entity") -> Response:
    if status == 401:
        return Response({"statusCode": 401, "message": message}, 401)
    return Response({"statusCode": status, "message": message, "error": error}, status)
