"""The misbehaving server: plays its part as far as its dice say, and then does something else."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache
from random import Random

import anyio
import trustme

from qrlifecycle.testing.contract.websocket_peer import upgrade

from ..wire.serving import Served, listening
from .acts import HTTP_ANSWERS, SUCCESS, corrupt, garbage, message, openings
from .plan import Kind, Plan

__all__ = ["Server", "serving", "trusted"]

DRIP = 0.001
"""Seconds between two parts of what is sent in parts."""


@cache
def authority() -> trustme.CA:
    """Whom the clients trust; made once in a process, for that takes long."""
    return trustme.CA()


@cache
def trusted() -> ssl.SSLContext:
    """A client's context that trusts it."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


@cache
def certified(kind: str) -> ssl.SSLContext:
    """A server's context: a good one, one for another host, or one that nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    by = trustme.CA() if kind == "untrusted" else authority()
    by.issue_cert("example.org" if kind == "another host" else "127.0.0.1").configure_cert(context)
    return context


POLLED = [b"2", b"1", b"41", b"", b"\xff", b"ok", b"6\x1e2", SUCCESS]
"""What may answer a poll, once the client has joined."""


class Leave(Exception):
    """The server has done what it wanted; what is left to do is to go."""


class Server:
    """One run's server.

    Args:
        plan: the run.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.connections = 0

    async def serve(self, served: Served) -> None:
        """Serve one client, or whatever it is."""
        self.connections += 1
        dice = Random(f"{self.plan.seed}/{self.connections}")
        connection = Connection(served, dice, self.plan)
        with suppress(OSError):  # the client is gone
            with suppress(Leave):
                await connection.play()
            await connection.leave()


class Connection:
    """One client's."""

    def __init__(self, served: Served, dice: Random, plan: Plan) -> None:
        self.served, self.dice, self.plan = served, dice, plan
        self.faulty = dice.choice([0.0, 0.0, 0.05, 0.2])
        """How likely each step goes wrong."""

    async def play(self) -> None:
        """Everything, one step after another."""
        await self.may_misbehave()
        if self.plan.proxied:
            await self.read_request()
            await self.say(b"HTTP/1.1 200 OK\r\n\r\n", HTTP_ANSWERS)
            self.served.request = b""
        if self.plan.polling:
            await self.play_polling()
        request = await self.read_request()
        await self.say(upgrade(request), HTTP_ANSWERS)
        if self.plan.kind is not Kind.WEBSOCKET:
            opening, join = openings(self.dice)
            await self.say(opening)
            self.served.received.clear()
            await self.served.read(1)
            if self.dice.random() < 0.2:
                await self.say(message(self.dice, self.plan.kind))
            await self.say(join)
        for _ in range(self.dice.choice([0, 1, 3, 8])):
            await anyio.sleep(self.dice.choice([0, 0, DRIP]))
            await self.say(message(self.dice, self.plan.kind))

    async def read_request(self) -> bytes:
        """A client's request, whole."""
        return await self.served.read_request() + b"\r\n\r\n"

    async def play_polling(self) -> None:
        """Engine.IO by HTTP's long polling, a request after another on one connection."""
        opening, join = openings(self.dice)
        payloads = [opening[2:] if len(opening) < 128 else opening[4:], b"ok", join[2:]]
        payloads += self.dice.choices(POLLED, k=self.dice.choice([3, 5]))
        for payload in payloads:
            await self.read_request()
            self.served.request = b""
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(payload)}\r\n\r\n".encode()
            await self.say(head + payload, HTTP_ANSWERS)
        raise Leave

    async def say(self, data: bytes, instead: list[bytes] | None = None) -> None:
        """Send it as it is, or in parts, or damaged, or something else."""
        await self.may_misbehave()
        if self.dice.random() < self.faulty:
            other = instead or [garbage(self.dice, self.plan.kind)]
            data = self.dice.choice([corrupt(self.dice, data), self.dice.choice(other)])
        parts = self.dice.choice([1, 1, 1, 2, 20])
        if len(data) > 100_000 or parts == 1:
            await self.served.send(data)
            return
        size = max(1, len(data) // parts)
        for at in range(0, len(data), size):
            await self.served.send(data[at : at + size])
            await anyio.sleep(self.dice.choice([0, DRIP]))

    async def may_misbehave(self) -> None:
        """Perhaps do something that ends the conversation.

        Raises:
            Leave: it did.
        """
        if self.dice.random() >= self.faulty:
            return
        match self.dice.choice(["leave", "silence", "deaf", "flood", "noise", "raw noise"]):
            case "silence":
                await self.served.read_to_the_end()
            case "deaf":
                await anyio.sleep_forever()
            case "flood":
                data = message(self.dice, self.plan.kind) or b"x"
                for _ in range(200):
                    await self.served.send(data * max(1, 2000 // len(data)))
            case "noise":
                await self.served.send(garbage(self.dice, self.plan.kind))
            case "raw noise":  # below TLS, if there is any
                with anyio.move_on_after(DRIP):
                    await anyio.wait_writable(self.served.raw)
                    self.served.raw.send(self.dice.randbytes(30))
            case _:
                pass
        raise Leave

    async def leave(self) -> None:
        """Go, in one way or another: by a reset, by half, without a word, or never.

        Who is deaf reads nothing, and is not even told that the client is gone.
        """
        match self.dice.choice(["reset", "half", "close", "deaf", "stay", "stay"]):
            case "reset":
                self.served.reset()
            case "half":
                self.served.raw.shutdown(socket.SHUT_WR)
                await self.served.read_to_the_end()
            case "deaf":
                await anyio.sleep_forever()
            case "stay":
                await self.served.read_to_the_end()
            case _:
                pass


@asynccontextmanager
async def serving(plan: Plan) -> AsyncIterator[int]:
    """A server for this plan; the port is given."""
    dice = Random(f"{plan.seed}/tls")
    tls = None
    if plan.tls and not plan.proxied:
        tls = certified(dice.choices(["good", "another host", "untrusted"], [8, 1, 1])[0])
    async with AsyncExitStack() as stack:
        handler = Server(plan).serve
        yield await stack.enter_async_context(
            listening(handler, tls=tls, small_buffers=plan.small_buffers)
        )
