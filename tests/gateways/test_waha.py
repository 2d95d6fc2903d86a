"""WAHA by itself: what the real one said, and what is made of it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import (
    WHATSAPP,
    ActionRequired,
    Connected,
    Failed,
    InvalidValue,
    Paired,
    PairingRefused,
    QRCode,
    QRExpired,
    QRUpdated,
    Reason,
    Scanned,
    ServiceRefused,
    ServiceUnavailable,
    Signal,
    State,
    StatusChanged,
    TransportRefused,
    WrongAnswer,
)
from qrlifecycle.errors import Ending
from qrlifecycle.gateways import WAHA
from qrlifecycle.gateways import waha as waha_module
from qrlifecycle.gateways.http import Answer
from qrlifecycle.gateways.replies import CodeCompared, PasskeySigned, PasswordGiven
from qrlifecycle.testing.gateways import WAHAEmulator
from qrlifecycle.testing.gateways.waha import ALL_SESSIONS
from qrlifecycle.testing.http_server import HTTPServer, Request, ServerWebSocket, Upgrade
from qrlifecycle.transports.shared import SharedSocket

from ..patience import patient_clock
from .services import Canned, code_from, json_answer
from .watch import Watch, give

pytestmark = pytest.mark.anyio

SAMPLES = Path(__file__).parent / "samples" / "waha"

KEY = "waha-key-of-the-test"

ADA = {"id": "4915100000001@c.us", "pushName": "Ada"}

LINKED = Paired(ADA["id"], ADA)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


def answer(body: Mapping[str, object], status: int = 200) -> Answer:
    """An answer of JSON."""
    return json_answer(json.dumps(body), status)


def session(status: str, me: object = None, engine: str = "NOWEB") -> Answer:
    """What the session is said to be."""
    return answer({"name": "default", "status": status, "me": me, "engine": {"engine": engine}})


def gateway(*answers: Answer | Exception, **options: Any) -> tuple[Canned, WAHA]:
    """A gateway, and what answers it."""
    client = Canned(*answers)
    options = {"api_key": KEY, **options}
    return client, WAHA("https://waha.example", http=client, **options)


async def status(*answers: Answer | Exception, **options: Any) -> Signal | None:
    """What a read of the status comes to that is answered so."""
    return await gateway(*answers, **options)[1].check_status()


def paths(client: Canned) -> list[str]:
    """What was asked for."""
    return [
        f"{method} {url.removeprefix('https://waha.example')}" for method, url, _ in client.asked
    ]


# Samples: bytes that went over the wire


def exchanges() -> list[tuple[str, str, int]]:
    """What the real service was asked, and what it answered."""
    text = (SAMPLES / "http.txt").read_text()
    pattern = r"^### .*? http://[^/]+(\S+)\n(.*(?:\n.*)??)\n\[HTTP (\d+)\]$"
    found = re.findall(pattern, text, re.MULTILINE)
    return [(path, body, int(code)) for path, body, code in found]


def said(path: str, number: int = 0) -> Answer:
    """The so-manieth answer to what was asked there."""
    every = [json_answer(body, code) for where, body, code in exchanges() if where == path]
    return every[number]


STATUS, CODE, START = (
    "/api/sessions/default",
    "/api/default/auth/qr?format=raw",
    "/api/sessions/default/start",
)


async def test_each_answer_of_the_real_service_is_read() -> None:
    """As the code, the signal or the refusal that it means."""
    assert await status(said(STATUS)) == QRExpired()  # STOPPED
    unknown = await status(said("/api/sessions/bot-7"))
    assert unknown == PairingRefused(Reason.REFUSED_BY_SERVICE)
    scanning = session("SCAN_QR_CODE")
    client, waha = gateway(said(STATUS), said(START), scanning, said(CODE, 1))
    assert await code_from(waha) == QRCode("2@REF,NOISE,IDENTITY,ADV")
    assert paths(client) == [f"GET {STATUS}", f"POST {START}", f"GET {STATUS}", f"GET {CODE}"]
    assert await status(scanning, said(CODE, 0)) is None  # 404: it was not started yet
    assert await status(said(STATUS, 1), said(CODE, 2)) == Scanned()
    assert await status(said(STATUS, 2)) == LINKED
    assert await status(scanning, said(CODE, 3)) is None  # 422: it works already
    assert await status(said("/api/sessions/default/logout")) is None  # STARTING


async def test_another_session_of_the_core_edition_is_refused() -> None:
    """By its status, and by its start: HTTP 422."""
    with pytest.raises(ServiceRefused, match="HTTP 404"):
        await code_from(gateway(said("/api/sessions/bot-7"))[1])
    refused = said("/api/sessions/bot-7/start")
    with pytest.raises(ServiceRefused, match="does not start"):
        await code_from(gateway(said(STATUS), refused, said(STATUS))[1])


def frames(name: str) -> list[str]:
    """What the real service sent, line by line."""
    lines = (SAMPLES / name).read_text().splitlines()
    return [line.split(" ", 1)[1] for line in map(str.strip, lines) if line[0] != "#"]


MEANT = {"SCAN_QR_CODE": StatusChanged(), "WORKING": LINKED, "STOPPED": QRExpired()}


@pytest.mark.parametrize("name", ["frames.txt", "frames-sigterm.txt"])
def test_each_message_of_the_real_service_is_read(name: str) -> None:
    """A restart in order is no failure; `me` without `WORKING` is no success."""
    _, waha = gateway(session("STOPPED"), every_session=True)
    messages = [json.loads(line) for line in frames(name) if line.startswith("{")]
    assert len(messages) > 5
    for message in messages:
        meant = MEANT.get(message["payload"]["status"], ())
        assert waha._read(message) == meant
        assert waha._read({**message, "session": "bot-of-another"}) is None


async def test_promise_6_the_emulator_says_what_the_real_service_said() -> None:
    """The same keys, in messages and answers; the same closes."""
    (line,) = frames("frames-4001.txt")
    sample = json.loads(next(one for one in frames("frames.txt") if one.startswith("{")))
    async with WAHAEmulator(edition="core") as served:
        message = served._message("default", "STARTING", None)
        assert set(message) == set(sample)
        assert set(message["environment"]) | {"browser"} == set(sample["environment"])  # type: ignore[call-overload]
        shown = set(served._shown())
        assert shown == {"name", "status", "config", "me", "engine"}
        assert shown == set(json.loads(said(STATUS).content))
    assert line.startswith("<close 4001 ")
    assert json.loads(line[12:-1]) == {"error": ALL_SESSIONS}


# With an emulator


async def test_the_scan_is_no_success_and_the_code_is_no_code_any_more() -> None:
    """`me` is there two seconds before the success, and the code is `{}`: it was scanned."""
    async with WAHAEmulator() as served, anyio.create_task_group() as tasks:
        scanned: list[float] = []
        watch = Watch(
            tasks, served.gateway(), on_scanned=lambda _: scanned.append(anyio.current_time())
        )
        await watch.until(lambda: watch.codes)
        began = anyio.current_time()
        await served.scan(watch.codes[0], "4915100000001@c.us")
        await served.drop()  # so that the status is read meanwhile
        await watch.until(lambda: watch.outcome)
        assert anyio.current_time() - began > 2
        assert len(scanned) == 1
        assert watch.outcome == Connected("4915100000001@c.us", ADA)
        assert len(watch.codes) == 1


async def test_somebody_elses_messages_are_dropped_as_such() -> None:
    """Whoever listens to all sessions hears them; they are counted."""
    async with WAHAEmulator(edition="core") as served, anyio.create_task_group() as tasks:
        watch = Watch(tasks, served.gateway())
        await watch.until(lambda: watch.codes)
        await served.other()
        await anyio.sleep(1)
        watch.lifecycle.cancel()
        await watch.until(lambda: watch.outcome)
        assert watch.lifecycle.dropped == {"foreign": 3}


async def test_a_rotation_comes_with_its_event() -> None:
    """The event has no code; it is fetched at once."""
    async with WAHAEmulator() as served, anyio.create_task_group() as tasks:
        watch = Watch(tasks, served.gateway())
        for number in (1, 2, 3):
            await watch.until_codes(number)
            assert watch.codes[-1].reveal() == served.made[-1]
            began = anyio.current_time()
            await served.rotate()
            await watch.until_codes(number + 1)
            assert anyio.current_time() - began < 1.5
        watch.lifecycle.cancel()


async def test_a_round_of_codes_that_nobody_scans_is_used_up() -> None:
    """The sixth was the last; the next attempt restarts the session."""
    async with WAHAEmulator() as served, anyio.create_task_group() as tasks:
        watch = Watch(tasks, served.gateway())
        for number in range(1, 7):
            await watch.until_codes(number)
            await anyio.sleep(1)
            await served.rotate()
        await watch.until(lambda: watch.outcome)
        assert watch.outcome == Failed(Reason.CODES_USED_UP, data={"status": "FAILED"})
        assert [code.reveal() for code in watch.codes] == served.made
        assert len(served.made) == 6
        again = Watch(tasks, served.gateway())
        await again.until(lambda: again.codes)
        again.lifecycle.cancel()


async def test_the_first_code_of_another_round_lives_as_long_as_a_first_one() -> None:
    """The core edition begins anew for ever: that code is not given up after 20 s."""
    async with WAHAEmulator(edition="core") as served, anyio.create_task_group() as tasks:
        first = Watch(tasks, served.gateway())
        await first.until(lambda: first.codes)
        first.lifecycle.cancel()
        for _ in range(5):
            await served.rotate()
        watch = Watch(tasks, served.gateway())
        await watch.until(lambda: watch.codes)
        await served.rotate()
        await watch.until(lambda: len(served.made) == 7)
        await watch.until(lambda: watch.codes[-1].reveal() == served.made[-1])
        asked = len(served.server.requests)
        await anyio.sleep(50)
        assert len(served.server.requests) == asked
        assert watch.lifecycle.state is State.DISPLAYED
        watch.lifecycle.cancel()


async def test_not_to_be_listened_to_is_known_before_a_code_is_shown() -> None:
    """The service lets everybody in and closes with 4001: `every_session=True` was forgotten."""
    async with WAHAEmulator(edition="core") as served, anyio.create_task_group() as tasks:
        watch = Watch(tasks, WAHA(served.url))
        await watch.until(lambda: watch.outcome)
        assert watch.outcome.reason is Reason.AUTHENTICATION_REFUSED
        said = str(watch.outcome.error)
        assert "WebSocket code 4001: " in said
        assert said.endswith("give every_session=True (on the command line --every-session)")
        assert watch.codes == []
        assert [one.path for one in served.server.requests].count("/ws") == 1


@pytest.mark.parametrize(
    ("close", "said"),
    [
        (4001, "the api_key is not accepted, or may not do this"),
        (1008, "or does not let them in there"),
    ],
)
async def test_whoever_listens_to_all_is_told_of_the_key(close: int, said: str) -> None:
    """There is nothing else that 4001 can be about then; of another code nothing is known.

    Who has a share of that socket is told the same: nobody can listen to less over it.
    """

    async def turn_away(socket: ServerWebSocket) -> None:
        await socket.close(close)

    async def let_in(request: Request) -> Upgrade:
        assert request.query["session"] == "*"
        return Upgrade(turn_away)

    async with HTTPServer(let_in) as server:
        for transport in (
            WAHA(server.url, api_key=KEY, every_session=True).transport(),
            WAHA.feed(server.url, api_key=KEY)(),
        ):
            with pytest.raises(TransportRefused) as caught:
                await transport.open()
            assert str(caught.value).endswith(said)
            assert (caught.value.ending, caught.value.code) == (Ending.REFUSED, close)
        async with SharedSocket(WAHA.feed(server.url, api_key=KEY)) as shared:
            with pytest.raises(TransportRefused) as caught:
                await WAHA(server.url, api_key=KEY, shared=shared).transport().open()
        assert str(caught.value).endswith(said)


@pytest.mark.parametrize("how", ["signed", "compared"])
@pytest.mark.parametrize("heard", [True, False], ids=["heard", "read"])
async def test_a_passkey_is_asked_for_once_and_answered(how: Any, heard: bool) -> None:
    """By the event, or by the status if nobody heard it; once, however often the status is read."""
    async with WAHAEmulator(passkey=how) as served, anyio.create_task_group() as tasks:
        waha = served.gateway()
        watch = Watch(tasks, waha, policy=replace(waha.policy, status_interval=5.0))
        await watch.until(lambda: watch.codes)
        served.muted = not heard
        await served.scan(watch.codes[0])
        await watch.until(lambda: watch.actions)
        await anyio.sleep(20)
        (passkey,) = watch.actions
        assert passkey.action == "passkey"
        assert passkey.data["challenge"] == served.challenges[0]
        assert passkey.data["rpId"] == "web.whatsapp.com"
        assert served.challenges[0] not in repr(passkey)
        with pytest.raises(WrongAnswer):
            await waha.answer(passkey, PasswordGiven("x"))
        await waha.answer(passkey, PasskeySigned({"id": "AX8b", "type": "public-key"}))
        assert served.assertions == [{"id": "AX8b", "type": "public-key"}]
        if how == "compared":
            await watch.until_actions(2)
            compare = watch.actions[-1]
            assert (compare.action, compare.data) == (
                "compare_code",
                {"code": served.challenges[-1]},
            )
            await anyio.sleep(20)
            await waha.answer(compare, CodeCompared())
        await watch.until(lambda: watch.outcome)
        assert isinstance(watch.outcome, Connected)
        assert len(watch.actions) == 1 + (how == "compared")


async def test_a_code_that_differs_is_not_confirmed() -> None:
    """The session is restarted, and there is another code to scan."""
    async with WAHAEmulator(passkey="compared") as served, anyio.create_task_group() as tasks:
        waha = served.gateway()
        watch = Watch(tasks, waha)
        await watch.until(lambda: watch.codes)
        await served.scan(watch.codes[0])
        await watch.until(lambda: watch.actions)
        await waha.answer(watch.actions[0], PasskeySigned({}))
        await watch.until_actions(2)
        await waha.answer(watch.actions[1], CodeCompared(same=False))
        await watch.until_codes(2)
        assert watch.lifecycle.qr is not None
        watch.lifecycle.cancel()


async def test_an_action_is_read_where_the_service_asks_for_it() -> None:
    """Each in its own place, with what it needs and no more; once, until there is another code."""
    client, waha = gateway(
        session("PASSKEY_REQUIRED"),
        answer({"challenge": "c", "rpId": "web.whatsapp.com", "s3cret": 1}),
        session("PASSKEY_REQUIRED"),
        answer({"challenge": "c", "rpId": "web.whatsapp.com", "s3cret": 1}),
        session("PASSKEY_CONFIRMATION_REQUIRED"),
        answer({"code": "1234", "s3cret": 1}),
    )
    options = {"challenge": "c", "rpId": "web.whatsapp.com"}
    assert await waha.check_status() == ActionRequired("passkey", options)
    assert await waha.check_status() is None
    assert await waha.check_status() == ActionRequired("compare_code", {"code": "1234"})
    compared = session("PASSKEY_CONFIRMATION_REQUIRED"), answer({"code": "1234"})
    give(client, session("SCAN_QR_CODE"), answer({"value": "2@x"}), *compared)
    assert await waha.check_status() == QRUpdated(QRCode("2@x"))
    assert await waha.check_status() == ActionRequired("compare_code", {"code": "1234"})
    passkey = "/api/default/auth/passkey"
    assert paths(client)[1:6:2] == [f"GET {passkey}/{where}" for where in WHERE]
    assert await status(session("PASSKEY_REQUIRED"), answer({}, 422)) is None  # it is done
    with pytest.raises(ServiceUnavailable, match="HTTP 500"):
        await status(session("PASSKEY_REQUIRED"), answer({}, 500))


WHERE = ("challenge", "challenge", "confirmation")


async def test_a_success_that_says_whose_it_is_is_asked_about_once() -> None:
    """One that does not is asked about again, each half second, for two seconds."""
    client, waha = gateway(session("WORKING", {"id": "me"}))
    assert await waha.check_status() == Paired("me", {"id": "me"})
    assert paths(client) == [f"GET {STATUS}"]
    client, waha = gateway(session("WORKING"))
    began = anyio.current_time()
    assert await waha.check_status() == Paired()
    assert anyio.current_time() - began == pytest.approx(2, abs=0.1)
    assert paths(client) == [f"GET {STATUS}"] * 5


async def test_a_start_says_so_and_nothing_more() -> None:
    """An empty object, also to start anew; a start that fails is no code."""
    client, waha = gateway(session("STOPPED"), answer({}, 500))
    with pytest.raises(ServiceUnavailable, match="HTTP 500"):
        await code_from(waha)
    assert client.contents == [None, b"{}"]
    client, waha = gateway(answer({}, 201))
    await waha.answer(ActionRequired("compare_code"), CodeCompared(same=False))
    assert paths(client) == ["POST /api/sessions/default/restart"]
    assert client.contents == [b"{}"]


async def test_what_cannot_be_read_is_no_answer() -> None:
    """A status, a code; nor is a code that is not given just now."""
    scanning = session("SCAN_QR_CODE")
    with pytest.raises(ServiceUnavailable, match="HTTP 500"):
        await status(scanning, answer({}, 500))
    with pytest.raises(ServiceUnavailable, match="'value' must be text"):
        await status(scanning, answer({"value": ["2@x"]}))
    for said in ({"status": ["x"]}, {"status": ""}, {}):
        with pytest.raises(ServiceUnavailable, match="'status' must be text"):
            await status(answer(said))
    with pytest.raises(ServiceUnavailable, match=r"'me\.id' must be text"):
        await status(session("WORKING", {"id": ["x"]}))
    typed = answer({"code": ["ABCD"]})
    with pytest.raises(ServiceUnavailable, match="'code' must be text"):
        await status(scanning, answer({"value": "2@x"}), typed, phone_number="4915100000001")
    for me in (None, {"id": None}, "me"):
        assert await status(session("SCAN_QR_CODE", me), answer({})) is None


async def test_a_code_to_type_is_asked_for_again_when_it_is_over_or_was_none() -> None:
    """Another makes the one before worthless, so no sooner."""

    async def typed(said: Answer) -> object:
        client._answers[:] = [session("SCAN_QR_CODE"), answer({"value": "2@x"}), said]
        found: Any = await waha.check_status()
        return found.qr.typed and found.qr.typed.reveal()

    client, waha = gateway(session("STARTING"), phone_number="+49 151 00000001")
    assert await typed(answer({}, 500)) is None
    assert await typed(answer({"code": "AAAA-AAAA"})) == "AAAA-AAAA"
    assert await typed(answer({"code": "BBBB-BBBB"})) == "AAAA-AAAA"
    await anyio.sleep(159)
    assert await typed(answer({"code": "BBBB-BBBB"})) == "AAAA-AAAA"
    await anyio.sleep(2)
    assert await typed(answer({"code": "BBBB-BBBB"})) == "BBBB-BBBB"
    assert paths(client)[2] == "POST /api/default/auth/request-code"
    assert client.contents[2] == b'{"phoneNumber":"4915100000001"}'


async def test_an_answer_that_comes_too_late_is_refused() -> None:
    """Nobody waits for it any more: HTTP 422."""
    waha = gateway(answer({"error": "none pending"}, 422))[1]
    with pytest.raises(ServiceRefused, match="HTTP 422"):
        await waha.answer(ActionRequired("passkey"), PasskeySigned({}))
    with pytest.raises(WrongAnswer, match="takes no answer to 'password'"):
        await waha.answer(ActionRequired("password"), PasswordGiven("x"))


async def test_a_code_to_type_stands_beside_each_picture() -> None:
    """It is asked for once in its life: another request would make it worthless."""
    async with WAHAEmulator() as served, anyio.create_task_group() as tasks:
        waha = WAHA(served.url, api_key=served.api_key, phone_number="+49 (151) 000-00001")
        watch = Watch(tasks, waha)
        for number in (1, 2, 3):
            await watch.until_codes(number)
            await served.rotate()
        typed = [code.typed.reveal() for code in watch.codes]
        assert typed[:3] == served.typed_made * 3
        assert served.numbers == ["4915100000001"]
        await served.scan(watch.codes[-1].typed)
        await watch.until(lambda: watch.outcome)
        assert watch.outcome.connected


async def test_without_a_code_to_type_there_is_the_picture() -> None:
    """It is not always given: HTTP 422."""
    async with WAHAEmulator(typed=False) as served, anyio.create_task_group() as tasks:
        watch = Watch(tasks, WAHA(served.url, api_key=served.api_key, phone_number="4915100000001"))
        await watch.until(lambda: watch.codes)
        assert watch.codes[0].typed is None
        watch.lifecycle.cancel()


async def test_promise_6_the_key_is_fresh_each_time_and_in_no_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With each request and each opening; also where it is refused."""
    caplog.set_level(logging.DEBUG)
    given: list[str] = []
    texts: list[str] = []

    async def key() -> str:
        given.append("k3y-of-the-service")
        return given[-1]

    async with WAHAEmulator() as served, anyio.create_task_group() as tasks:
        waha = WAHA(served.url, api_key=key)
        watch = Watch(tasks, waha)
        await watch.until_codes(1)
        await served.drop()
        await watch.until(lambda: len(served.opened) == 2)
        assert len(given) == len(served.server.requests)
        await served.withdraw()
        await watch.until(lambda: watch.outcome)
        assert watch.outcome.reason is Reason.AUTHENTICATION_REFUSED
        texts += [caplog.text, repr(waha), repr(watch.outcome), repr(watch.outcome.error)]
        texts += [repr(waha.transport()), repr(waha._round)]
    assert not any("k3y-of" in text for text in texts)


# What is said of a session


async def test_only_the_services_own_word_is_final() -> None:
    """A proxy's 404 while the service restarts is not; its own JSON is."""
    for code, reason in ((401, Reason.AUTHENTICATION_REFUSED), (404, Reason.REFUSED_BY_SERVICE)):
        assert await status(answer({"statusCode": code}, code)) == PairingRefused(reason)
        with pytest.raises(ServiceRefused):
            await status(Answer(code, b"404 page not found"))
        with pytest.raises(ServiceRefused):
            await status(answer({"error": "no route"}, code))
    for unavailable, said in (
        (Answer(502, b"<html>"), "HTTP 502"),
        (answer({"statusCode": 503}, 503), "HTTP 503"),
        (OSError(), "OSError"),
    ):
        with pytest.raises(ServiceUnavailable, match=said):
            await status(unavailable)


async def read_codes(client: Canned, waha: WAHA, numbers: range) -> None:
    """Read the codes of these numbers."""
    for one in numbers:
        give(client, session("SCAN_QR_CODE"), answer({"value": f"2@{one}"}))
        assert await waha.check_status() == QRUpdated(QRCode(f"2@{one}"))


@pytest.mark.parametrize(
    ("started", "codes", "engine", "seconds", "reason"),
    [
        (True, 0, "NOWEB", 0, Reason.REFUSED_BY_SERVICE),
        (True, 1, "NOWEB", 0, Reason.REFUSED_ON_PHONE),
        (True, 5, "NOWEB", 0, Reason.REFUSED_ON_PHONE),
        (True, 1, "GOWS", 0, Reason.REFUSED_BY_SERVICE),
        (True, 6, "NOWEB", 0, Reason.CODES_USED_UP),
        (True, 4, "GOWS", 140, Reason.CODES_USED_UP),
        (False, 1, "NOWEB", 0, Reason.CODES_USED_UP),
        (False, 0, "NOWEB", 0, Reason.REFUSED_BY_SERVICE),
    ],
)
async def test_why_a_session_failed(
    started: bool, codes: int, engine: str, seconds: float, reason: Reason
) -> None:
    """At once: the service's no. After six codes, or as long as those take: nobody scanned any."""
    client, waha = gateway(session("STOPPED"))
    if started:
        give(client, session("STOPPED"), answer({}, 201), session("WORKING", ADA))
        assert await code_from(waha) == LINKED
    await read_codes(client, waha, range(min(codes, 1)))
    await anyio.sleep(seconds)  # since the first one
    await read_codes(client, waha, range(1, codes))
    give(client, session("FAILED", engine=engine))
    assert await waha.check_status() == PairingRefused(reason, {"status": "FAILED"})
    event = {"event": "session.status", "session": "default", "engine": engine}
    heard = waha._read({**event, "payload": {"name": "default", "status": "FAILED"}})
    assert isinstance(heard, PairingRefused)
    assert waha._meant(heard) == PairingRefused(reason, {"status": "FAILED"})


async def test_the_same_code_read_again_counts_once() -> None:
    """It is the round's codes that are counted, not the reads."""
    client, waha = gateway(session("STOPPED"), answer({}, 201), session("WORKING", ADA))
    await code_from(waha)
    for _ in range(8):
        give(client, session("SCAN_QR_CODE"), answer({"value": "2@x"}))
        await waha.check_status()
    give(client, session("FAILED"))
    found = await waha.check_status()
    assert isinstance(found, PairingRefused)
    assert found.reason is Reason.REFUSED_ON_PHONE


async def test_who_started_it_first_does_not_matter() -> None:
    """A second start is HTTP 422; its code is waited for all the same."""
    code = answer({"value": "2@x"})
    scanning = session("SCAN_QR_CODE")
    refused = answer({"message": "Session 'default' is already started."}, 422)
    client, waha = gateway(session("STOPPED"), refused, session("STARTING"), scanning, code)
    assert await code_from(waha) == QRCode("2@x")
    assert len(client.asked) == 5
    client, waha = gateway(session("FAILED"), answer({}, 201), scanning, code)
    await code_from(waha)
    assert paths(client)[1] == "POST /api/sessions/default/restart"
    client, waha = gateway(scanning, scanning, code)
    await code_from(waha)
    assert "POST" not in "".join(paths(client))


async def test_what_comes_of_a_start_that_does_not_succeed() -> None:
    """A failure right away is the service's no; one that stopped again is started once more."""
    with pytest.raises(ServiceRefused, match="is FAILED: it made no code; the service") as raised:
        await code_from(gateway(session("STOPPED"), answer({}, 201), session("FAILED"))[1])
    assert raised.value.reason is Reason.REFUSED_BY_SERVICE
    with pytest.raises(ServiceUnavailable, match="stopped"):
        await code_from(gateway(session("STOPPED"), answer({}, 201), session("STOPPED"))[1])
    with pytest.raises(ServiceUnavailable, match="HTTP 500"):
        await code_from(gateway(session("STOPPED"), answer({}, 500))[1])


async def test_whose_phone_it_was_may_be_known_a_moment_later() -> None:
    """It is asked for again; a success counts in the end, also of nobody knows whom."""
    assert await status(session("WORKING"), session("WORKING"), session("WORKING", ADA)) == LINKED
    assert await status(session("WORKING")) == Paired()
    _, waha = gateway(session("WORKING", ADA))
    event = {"event": "session.status", "session": "default", "me": None}
    assert waha._read({**event, "payload": {"status": "WORKING"}}) == StatusChanged()


@pytest.mark.parametrize(
    "payload",
    [
        {"status": "PASSKEY_REQUIRED"},
        {"status": "PASSKEY_CONFIRMATION_REQUIRED"},
        {"status": "SCAN_QR_CODE", "data": {"challenge": "c"}},
    ],
    ids=str,
)
def test_a_message_that_does_not_say_enough_has_the_status_read(payload: Any) -> None:
    """An action without what it needs, and what is needed for none."""
    event = {"event": "session.status", "session": "default", "payload": payload}
    assert gateway(session("WORKING"))[1]._read(event) == StatusChanged()


async def test_what_is_kept_of_a_success_is_listed() -> None:
    """Nothing that a service may add later, which might be secret."""
    found = await status(session("WORKING", {**ADA, "token": "s3cret", "lid": "1@lid"}))
    assert found == LINKED
    _, waha = gateway(session("WORKING"))
    payload = {"status": "PASSKEY_REQUIRED", "data": {"challenge": "c", "s3cret": "x"}}
    event = {"event": "session.status", "session": "default", "payload": payload}
    assert waha._read(event) == ActionRequired("passkey", {"challenge": "c"})


@pytest.mark.parametrize(
    "message",
    [
        {"event": "message", "session": "default", "payload": {"status": "WORKING"}},
        {"event": "session.status", "session": "default", "payload": {"status": "NEW_WORD"}},
        {"event": "session.status", "session": "default", "payload": {"status": None}},
    ],
    ids=str,
)
def test_what_says_nothing_is_nothing(message: Any) -> None:
    """Other events, and words that nobody knows."""
    assert gateway(session("WORKING"))[1]._read(message) is None


def test_what_is_known_and_says_nothing_of_a_code_is_not_unknown() -> None:
    """The engine restarts after each scan; nobody has to look into that."""
    started = {"event": "session.status", "session": "default", "payload": {"status": "STARTING"}}
    assert gateway(session("WORKING"))[1]._read(started) == ()


async def test_a_name_is_a_segment_of_the_path_and_nothing_else() -> None:
    """It leads nowhere else."""
    client, waha = gateway(session("SCAN_QR_CODE"), answer({"value": "2@x"}), session="a/../b?c")
    await waha.check_status()
    assert paths(client) == [
        "GET /api/sessions/a%2F..%2Fb%3Fc",
        "GET /api/a%2F..%2Fb%3Fc/auth/qr?format=raw",
    ]
    assert client.asked[0][2]["X-Api-Key"] == KEY


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"session": ""}, "session must be text"),
        ({"api_key": ""}, "api_key is empty"),
        ({"phone_number": "0170 1234567"}, "phone_number must be the whole number"),
        ({"phone_number": 4915100000001}, "phone_number must be the whole number"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(options: Any, said: str) -> None:
    """Where it is given, and without the value."""
    with pytest.raises(InvalidValue, match=said):
        WAHA("https://waha.example", **options)


def test_the_policy_is_whatsapps() -> None:
    """But for the service's word on when a code is replaced, and the time that a start takes."""
    assert WAHA.policy == replace(
        WHATSAPP, rotated_lifetime=60, generate_timeout=60, max_reconnects=15
    )


def test_the_other_numbers_are_the_services_own() -> None:
    """Of its round of six codes, and of its pings; what is waited for in a read fits into it."""
    first, other = WHATSAPP.qr_lifetime, WHATSAPP.rotated_lifetime
    assert WHATSAPP.max_codes == waha_module.CODES_OF_A_ROUND
    assert first + 4 * other == waha_module.ROUND  # at which the last is shown
    assert first + 5 * other == waha_module.TYPED_LIFETIME  # at which it ends
    assert waha_module.HEARTBEAT == 3 * 10  # three of its pings
    assert waha_module.LOOKS_FOR_ME == 4  # 2 s of the 5 that a read may take


async def test_without_a_key_none_is_sent() -> None:
    """The core edition checks none."""
    client, waha = gateway(session("STARTING"), api_key=None)
    await waha.check_status()
    assert "X-Api-Key" not in client.asked[0][2]


async def test_each_lifecycle_counts_codes_of_its_own() -> None:
    """One gateway may serve several."""
    _, waha = gateway(session("SCAN_QR_CODE"), answer({"value": "2@x"}))
    first, second = (waha.parts()["check_status"] for _ in range(2))
    assert first.__self__._round is not second.__self__._round  # type: ignore[attr-defined]
