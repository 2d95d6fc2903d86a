"""A GOWA, played: one device, its codes, and a socket that tells everybody.

It is made after the source of go-whatsapp-web-multidevice 9.2.0; no real server was run. Its traps:

- each request for a code kills the one before, and no other comes by itself;
- the picture's link names another host, and its file is gone after ``qr_duration``, half of the
  code's time;
- ``LOGIN_SUCCESS`` names nobody, and comes seconds before ``is_logged_in``, with ``jid`` set;
- nothing is said of a code that ran out;
- HTTP 401 for "cannot connect to WhatsApp", 500 for "linked already, and connects";
- the credentials are checked before the device, and pictures without either.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from secrets import token_hex, token_urlsafe
from typing import Any, ClassVar, Literal

import anyio

from ...codes import Code, PairingCode, QRCode
from ...gateways.gowa import GOWA
from ..http_server import Request, Response, Upgrade
from .emulator import CannotDo
from .played import PlayedService

__all__ = ["GOWAEmulator"]

ACCOUNT = "490001234567@s.whatsapp.net"
"""Whose phone it is, unless told otherwise, spelt as the service spells it."""

MAKING = 1.0
"""Seconds until WhatsApp gives a code."""

LINKING = 2.0
"""Seconds from a scan to ``is_logged_in``: WhatsApp has it reconnect."""

PASSWORD = "passw0rd-of-the-service"  # noqa: S105 - of a played service
"""What is asked for, unless told otherwise."""

AT_ONCE = 0.01
"""Seconds until everybody is told: whoever scans does not wait for a service that is frozen."""

INSIDE = "http://gowa.internal:3000"
"""What the service takes itself for, behind a proxy."""


class GOWAEmulator(PlayedService):
    """The service.

    Args:
        device: the device's id.
        username: what is asked for; None asks for nothing.
        password: that goes with it.
        lifetime: seconds for which a code is good.
        passkey: what is asked for after a scan: a signature, or that and a code to compare, or one
            that the service compares itself.
        knows_passkeys: whether it can be asked what is asked for; False before version 8.10.
        unreachable: how many requests for a code fail, because WhatsApp cannot be reached.
        host: the address to listen on.
        port: the port; 0 takes a free one.
    """

    account: ClassVar[str] = ACCOUNT

    def __init__(
        self,
        *,
        device: str = "bot-7",
        username: str | None = "admin",
        password: str = PASSWORD,
        lifetime: float = 60.0,
        passkey: Literal["no", "signed", "compared", "skipped"] = "no",
        knows_passkeys: bool = True,
        unreachable: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port)
        self.device = device
        self.username = username
        self.password = self._first_password = password
        self.lifetime = lifetime
        self.passkey = passkey
        self.knows_passkeys = knows_passkeys
        self.unreachable = unreachable
        self.logins = 0
        """How often a code to scan was asked for."""
        self.jid: str | None = None
        self.logged_in = False
        self.made: list[str] = []
        """Every code to scan that it has made."""
        self._codes: list[str] = []
        self.typed_made: list[str] = []
        """Every code to type."""
        self.challenges: list[str] = []
        self.assertions: list[Mapping[str, Any]] = []
        """What browsers have signed."""
        self._code: str | None = None
        self._typed: str | None = None
        self.picture = b""
        """The newest code, drawn."""
        self._files: dict[str, bytes] = {}
        self._gone: set[str] = set()
        self._challenge: dict[str, object] | None = None
        self._comparing: str | None = None
        self._identity = ""
        self._forgotten = False

    def gateway(self) -> GOWA:
        """A gateway for its device, with the password that it had in the beginning."""
        return GOWA(self.url, **self.arguments())

    def arguments(self) -> Mapping[str, Any]:
        """The device, and who may use it."""
        return {
            "device": self.device,
            "username": self.username,
            "password": None if self.username is None else self._first_password,
        }

    def shown(self) -> Code:
        """The picture, or what is to be typed in place of it."""
        if self._typed is not None:
            return PairingCode(self._typed)
        if self._code is None:
            raise KeyError("there is no code yet")
        return QRCode(picture=self.picture)

    def codes(self) -> list[str]:
        """What each picture says, and each code to type."""
        return self._codes

    def secrets(self) -> Collection[str]:
        """The password, also as it is sent; the codes; what is to be signed; the files' names."""
        passwords = {self.password, self._first_password}
        pairs = [base64.b64encode(f"{self.username}:{p}".encode()).decode() for p in passwords]
        return [*passwords, *pairs, *self.made, *self.typed_made, *self.challenges, *self._files]

    # The person, with a phone

    async def scan(self, code: Code, identity: str = ACCOUNT) -> None:
        """Scan the picture, or type the code."""
        if not self.server.listens or not self._is_good(code):
            raise KeyError("no such code is good")
        self._code = self._typed = None
        self.call_off()
        self._identity = identity
        if self.passkey == "no":
            await self._pair()
            return
        self.challenges.append(token_urlsafe(24))
        self._challenge = {
            "challenge": self.challenges[-1],
            "timeout": 60000,
            "rpId": "web.whatsapp.com",
            "allowCredentials": [{"id": "AX8b", "type": "public-key"}],
            "userVerification": "required",
        }
        asked: dict[str, object] = {"challenge": self._challenge}
        self.later(AT_ONCE, lambda: self.tell("PASSKEY_REQUEST", asked))

    def _is_good(self, code: Code) -> bool:
        if isinstance(code, QRCode):
            shown = None if code.picture is None else code.picture.reveal()
            return self._code is not None and shown == self.picture
        return code.reveal() == self._typed

    async def refuse(self, code: Code) -> None:
        """The phone asks for a passkey, and is given none."""
        if not self._is_good(code):
            raise KeyError("no such code is good")
        self._code = self._typed = None
        await self.tell("PASSKEY_ERROR", {"continuation": False})

    # The service

    async def expire(self) -> None:
        """The code is good no more; nobody is told."""
        self._code = self._typed = None

    async def log_out(self) -> None:
        """Somebody logs the device out; it stays, and can be paired again."""
        self.call_off()
        self.jid, self.logged_in, self._code, self._typed = None, False, None, None
        self._challenge = self._comparing = None
        await self.tell("DEVICE_LOGGED_OUT", {})

    async def link(self, identity: str = ACCOUNT) -> None:
        """The device is linked already."""
        self.jid, self.logged_in = identity, True

    async def lock_out(self) -> None:
        """Another password is asked for."""
        if self.username is None:
            raise CannotDo("it asks for no password")
        self.password = token_hex(16)

    async def forget(self) -> None:
        """The device is removed."""
        self.call_off()
        self._forgotten = True

    async def other(self, identity: str = "+490009999999") -> None:
        """Another device pairs, with all that may come of it; everybody hears it."""
        another: dict[str, object] = {"device_id": "bot-of-another"}
        challenge: dict[str, object] = {"challenge": {"challenge": "x", "rpId": "web.whatsapp.com"}}
        await self.tell("PASSKEY_REQUEST", {**another, **challenge})
        await self.tell("PASSKEY_CONFIRMATION", {**another, "code": "1", "skip_handoff_ux": False})
        await self.tell("LOGIN_SUCCESS", None, f"Successfully pair with {identity}")
        await self.tell("PASSKEY_ERROR", {**another, "continuation": True})
        await self.tell("DEVICE_LOGGED_OUT", another)
        await self.tell("LIST_DEVICES", None)

    async def forge(self) -> None:
        """A success of nobody knows whom."""
        await self.tell("LOGIN_SUCCESS", None, "Successfully pair with somebody")

    async def tell(self, code: str, result: dict[str, object] | None, message: str = "") -> None:
        """Tell everybody; of our device, unless ``result`` says another, or is None."""
        whose = None if result is None else {"device_id": self.device, **result}
        await self.broadcast({"code": code, "message": message, "result": whose})

    async def go_down(self) -> None:
        """It is killed; what was linked connects again when it is started."""
        await super().go_down()
        self._code = self._typed = self._challenge = self._comparing = None
        self.logged_in = False

    async def start(self) -> None:
        """It is there again."""
        await super().start()
        for one in self.accounts():
            one.come_up()

    def come_up(self) -> None:
        """What becomes of this device as the service is started."""
        if self.jid is not None:
            self.later(LINKING, self._log_in)

    async def _pair(self) -> None:
        """WhatsApp has paired; it has the service reconnect before it is logged in."""
        self.jid, self._challenge, self._comparing = self._identity, None, None
        said = f"Successfully pair with {self.jid}"
        self.later(AT_ONCE, lambda: self.tell("LOGIN_SUCCESS", None, said))
        self.later(LINKING, self._log_in)

    async def _log_in(self) -> None:
        self.logged_in = True

    # Over the wire

    async def _answer(self, request: Request) -> Response | Upgrade | None:
        if request.segments[0] == "statics":
            return self._file(request.segments[-1])
        if self.username is not None and not self._admits(request):
            return Response(b"Unauthorized", 401, {"WWW-Authenticate": 'basic realm="Restricted"'})
        given = request.headers.get("x-device-id") or request.query.get("device_id")
        if not given:
            return _error(400, "DEVICE_ID_REQUIRED", "device_id is required")
        device = self.beside.get(given, self)
        if given != device.device:
            return NOT_FOUND
        return await device.respond(request)

    async def respond(self, request: Request) -> Response | Upgrade:
        """Answer a request that is about this device."""
        if self._forgotten:
            return NOT_FOUND
        match request.method, request.segments:
            case "GET", ["ws"]:
                return self._upgrade(request)
            case method, ["app", "passkey", *what] if self.knows_passkeys:
                return await self._passkey(method, what, request)
            case "GET", ["app", *what]:
                return await self._app(what, request)
        return Response(b"Cannot find it", 404)

    def _admits(self, request: Request) -> bool:
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {pair}"

    def _file(self, name: str) -> Response:
        for one in self.accounts():
            if (picture := one.picture_called(name)) is not None:
                return Response(picture, headers={"Content-Type": "image/png"})
        return Response(b"Cannot find it", 404)

    def picture_called(self, name: str) -> bytes | None:
        """A picture of a code, as long as its file is there."""
        return None if name in self._gone else self._files.get(name)

    async def _app(self, what: list[str], request: Request) -> Response:
        match what:
            case ["status"]:
                connected = self.logged_in or self.jid is not None
                return self._success(
                    is_connected=connected, is_logged_in=self.logged_in, jid=self.jid or ""
                )
            case ["login" | "login-with-code"] if (error := self._cannot_log_in()) is not None:
                return error
            case ["login"]:
                return await self._login()
            case ["login-with-code"]:
                return self._make_typed(request.query.get("phone", ""))
            case ["logout"]:
                await self.log_out()
                return self._success()
        return Response(b"Cannot find it", 404)

    def _cannot_log_in(self) -> Response | None:
        if self.logged_in:
            return _error(400, "ALREADY_LOGGED_IN", "you are already logged in.")
        if self.jid is not None:
            self.later(LINKING, self._log_in)
            return _error(500, "SESSION_SAVED_ERROR", "your session have been saved")
        if self.unreachable > 0:
            self.unreachable -= 1
            return _error(401, "AUTHENTICATION_ERROR", "reconnect error")
        return None

    async def _login(self) -> Response:
        self.logins += 1
        self.call_off()
        self._code = self._typed = self._challenge = self._comparing = None
        await anyio.sleep(MAKING)
        self._code = f"2@{token_urlsafe(30)},{token_urlsafe(32)},{token_urlsafe(32)}"
        self.made.append(self._code)
        self._codes.append(self._code)
        self.picture = QRCode(self._code).png()
        name = f"scan-qr-{token_hex(16)}.png"
        self._files[name] = self.picture
        half = self.lifetime / 2

        async def remove() -> None:
            self._gone.add(name)

        self.later(half, remove)
        self.later(self.lifetime, self.expire)
        return self._success(qr_link=f"{INSIDE}/statics/qrcode/{name}", qr_duration=int(half))

    def _make_typed(self, phone: str) -> Response:
        if not phone.isdigit():
            return _error(400, "VALIDATION_ERROR", "phone_number: must be in a valid format.")
        letters = token_hex(4).upper()
        self._typed = f"{letters[:4]}-{letters[4:]}"
        self.typed_made.append(self._typed)
        self._codes.append(self._typed)
        return self._success(pair_code=self._typed)

    async def _passkey(self, method: str, what: list[str], request: Request) -> Response:
        match method, what:
            case "GET", []:
                return self._pending()
            case "POST", ["response"] if self._challenge is not None:
                self.assertions.append(request.json())
                self._challenge = None
                await self._signed()
                return self._success()
            case "POST", ["confirm"] if self._comparing is not None:
                await self._pair()
                return self._success()
        return _error(500, "INTERNAL_SERVER_ERROR", "no pending passkey pairing request")

    def _pending(self) -> Response:
        status = "none"
        if self._challenge is not None:
            status = "awaiting_response"
        elif self._comparing is not None:
            status = "awaiting_confirmation"
        return self._success(
            status=status,
            challenge=self._challenge,
            code=self._comparing or "",
            skip_handoff_ux=self.passkey == "skipped",
        )

    async def _signed(self) -> None:
        if self.passkey == "signed":
            await self._pair()
            return
        self._comparing = token_hex(4)
        self.challenges.append(self._comparing)
        skip = self.passkey == "skipped"
        said = {"code": self._comparing, "skip_handoff_ux": skip}
        await self.tell("PASSKEY_CONFIRMATION", dict(said))
        if skip:
            self.later(1.0, self._pair)

    def _success(self, **results: object) -> Response:
        return Response(
            {
                "status": 200,
                "code": "SUCCESS",
                "message": "",
                "results": {"device_id": self.device, **results},
            }
        )


def _error(status: int, code: str, message: str) -> Response:
    return Response({"status": status, "code": code, "message": message, "results": None}, status)


NOT_FOUND = _error(404, "DEVICE_NOT_FOUND", "device not found; create a device first")
