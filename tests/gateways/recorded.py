"""What real services sent, anonymised: their answers and their messages, read from `samples`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio

from qrlifecycle.gateways import Gateway
from qrlifecycle.gateways.http import Answer
from qrlifecycle.signals import Signal
from qrlifecycle.testing.http_server import HTTPServer, Request, Response, ServerWebSocket, Upgrade

__all__ = [
    "SAMPLES",
    "Exchange",
    "answer_to",
    "exchanges_in",
    "heard_from",
    "messages_in",
    "saying",
]

SAMPLES = Path(__file__).parent / "samples"


class Exchange(NamedTuple):
    """One request, as it was typed, and its answer."""

    asked: str
    answer: Answer


def exchanges_in(service: str) -> list[Exchange]:
    """Every request that was made, in order."""
    text = (SAMPLES / service / "http.txt").read_text()
    found = re.findall(r"^### (.*)\n(.*)\n\[HTTP (\d+)\]$", text, re.MULTILINE)
    return [Exchange(asked, Answer(int(status), body.encode())) for asked, body, status in found]


def answer_to(exchanges: Sequence[Exchange], path: str, *containing: str) -> Answer:
    """The first answer to a request for this path that has all of these in it."""
    return next(
        answer
        for asked, answer in exchanges
        if asked.split(" -d ")[0].endswith(path)
        and all(one in answer.content.decode() for one in containing)
    )


def messages_in(service: str, name: str) -> list[str]:
    """What a server said over a WebSocket, in order, as it said it."""
    lines = (SAMPLES / service / name).read_text().splitlines()
    timed = [re.match(r" *\d+\.\d+ (\S.*)", line) for line in lines]
    return [line[1] for line in timed if line and not line[1].startswith("<close")]


@asynccontextmanager
async def saying(messages: Sequence[str], *answers: Response) -> AsyncIterator[HTTPServer]:
    """A server that says the first message, waits until somebody wants to join, says the rest."""

    async def speak(socket: ServerWebSocket) -> None:
        await socket.send(messages[0])
        await socket.receive()
        for message in messages[1:]:
            await socket.send(message)
        await anyio.sleep_forever()

    async def accept(request: Request) -> Response | Upgrade:
        return Upgrade(speak) if "upgrade" in request.headers else answers[0]

    async with HTTPServer(accept) as server:
        yield server


async def heard_from(gateway: Gateway, number: int) -> list[Signal]:
    """So many signals of a gateway's transport; no more than these come."""
    transport = gateway.transport()
    await transport.open()
    try:
        found = [await transport.receive() for _ in range(number)]
        with anyio.move_on_after(1) as silence:
            found.append(await transport.receive())
        assert silence.cancelled_caught, found[-1]
    finally:
        await transport.aclose()
    return found
