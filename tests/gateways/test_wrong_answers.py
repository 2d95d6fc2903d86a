"""Whatever a service answers: each field of each answer is of a wrong kind once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import anyio
import pytest

from qrlifecycle import PeerError, Signal
from qrlifecycle.cli.gateways import GATEWAYS
from qrlifecycle.codes import Code
from qrlifecycle.gateways import Gateway
from qrlifecycle.gateways.http import Answer, HTTPClient

from ..patience import patient_clock

pytestmark = pytest.mark.anyio


class Recording:
    """A client that keeps what was answered."""

    def __init__(self) -> None:
        self.seen: list[tuple[tuple[str, str], Answer]] = []

    async def request(
        self, method: str, url: str, *, content: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """Ask, and keep the answer."""
        answer = await HTTPClient().request(method, url, content=content, headers=headers)
        self.seen.append(((method, url.partition("?")[0]), answer))
        return answer


class Replaying:
    """A client that gives the same answers to the same questions, the last of each for ever."""

    def __init__(self, answers: list[tuple[tuple[str, str], Answer]]) -> None:
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        for asked, answer in answers:
            self._answers.setdefault(asked, []).append(answer)

    async def request(
        self, method: str, url: str, *, content: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """Answer; what was never asked before is answered with nothing."""
        left = self._answers.get((method, url.partition("?")[0]), [Answer(404, b"")])
        return left.pop(0) if len(left) > 1 else left[0]


RAW = (b"", b"null", b"[]", b'"x"', b"<html>", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000, b"{}")
"""Bodies that are no object of the service's."""

STATUSES = (204, 301, 400, 401, 404, 418, 422, 429, 500, 999, 100)

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 1e308, float("inf"), float("nan"), 10**400),
    *("", "x", "\ud800", "a\nb", "x" * 5000, "1e400", "javascript:alert(1)"),
    *([], ["a"], {}, {"a": 1}),
)
"""Values of a kind that nobody promised."""


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there are values in a value."""
    if at:
        yield at
    within: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        within = enumerate(value)
    for key, inner in within:
        yield from paths(inner, (*at, key))


def changed(content: bytes, at: tuple[Any, ...], value: object) -> bytes:
    """JSON with another value there; with none, if it is Ellipsis."""
    body = json.loads(content)
    inner = body
    for key in at[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return json.dumps(body).encode()


def spoiled(answer: Answer) -> Iterator[Answer]:
    """An answer in all the ways in which it may be wrong."""
    yield from (Answer(answer.status_code, raw) for raw in RAW)
    yield from (Answer(status, answer.content) for status in STATUSES)
    try:
        places = list(paths(json.loads(answer.content)))
    except ValueError:  # a picture
        return
    for at in places:
        for odd in (*ODD, ...):
            yield Answer(answer.status_code, changed(answer.content, at, odd))


async def converse(gateway: Gateway, served: Any = None) -> list[object]:
    """Ask for a code and, thrice, how far it is; scan it in between, where there is a phone."""
    said: list[object] = []
    with anyio.move_on_after(30):  # some ask until there is something
        said.append(code := await gateway.request_qr())
        if served is not None:
            await served.scan(code)
        for _ in range(3):
            said.append(await gateway.check_status())
            await anyio.sleep(6)
    return said


class Conversation(NamedTuple):
    """What was asked and answered, with what a gateway is made, and what nobody may be told."""

    kind: Any
    url: str
    given: dict[str, Any]
    answers: list[tuple[tuple[str, str], Answer]]
    secrets: frozenset[str]


async def _record(name: str) -> Conversation:
    recording = Recording()
    async with GATEWAYS[name].play() as served:
        given = {key: value for key, value in served.arguments().items() if value}
        kind: Any = type(served.gateway())
        await converse(kind(served.url, http=recording, **given), served)
        return Conversation(kind, served.url, given, recording.seen, frozenset(served.secrets()))


@cache
def recorded(name: str) -> Conversation:
    """A pairing with the service that is played; once for all that is tried with it."""
    backend, options = patient_clock("asyncio")
    return anyio.run(_record, name, backend=backend, backend_options=options)


@pytest.fixture
def conversation(request: pytest.FixtureRequest) -> Conversation:
    """Of the gateway by this name."""
    return recorded(request.param)


each_conversation = pytest.mark.parametrize("conversation", GATEWAYS, indirect=True)


@pytest.mark.slow
@each_conversation
async def test_promise_7_whatever_is_answered_is_a_signal_or_the_services_fault(
    conversation: Conversation,
) -> None:
    """No error is any other's; each has a few words, and none of the service's secrets."""
    await spoil_each_answer(conversation, every=1)


@each_conversation
async def test_promise_7_some_of_what_may_be_answered(conversation: Conversation) -> None:
    """One in 60 of all that is tried among the slow tests."""
    await spoil_each_answer(conversation, every=60)


async def spoil_each_answer(conversation: Conversation, every: int) -> None:
    """Have the same said again, but for one answer."""
    kind, url, given, answers, secrets = conversation
    tried = 0
    for place, (asked, answer) in enumerate(answers):
        for number, wrong in enumerate(spoiled(answer)):
            if (number + place) % every:
                continue
            tried += 1
            spoilt = [*answers[:place], (asked, wrong), *answers[place + 1 :]]
            try:
                said = await converse(kind(url, http=Replaying(spoilt), **given))
            except PeerError as error:
                text = str(error)
                assert 20 < len(text) < 400
                assert not any(secret in text for secret in secrets)
            else:
                assert all(isinstance(one, Signal | Code | None) for one in said)
    assert tried >= 5
