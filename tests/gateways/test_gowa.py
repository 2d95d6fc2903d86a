"""GOWA by itself: what its source says, and what is made of it."""

from __future__ import annotations

import base64
import gc
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    WHATSAPP,
    ActionRequired,
    Connected,
    Failed,
    InvalidValue,
    Paired,
    PairingCode,
    PairingRefused,
    QRCode,
    QRExpired,
    Reason,
    Scanned,
    ServiceRefused,
    ServiceUnavailable,
    Signal,
    State,
    StatusChanged,
    Transport,
    TransportUnreachable,
)
from qrlifecycle.errors import Ending, Malformed
from qrlifecycle.gateways import GOWA
from qrlifecycle.gateways import gowa as gowa_module
from qrlifecycle.gateways.code_on_screen import OfOneCode
from qrlifecycle.gateways.http import Answer
from qrlifecycle.gateways.live_codes import LiveCode, forget_code, live_code
from qrlifecycle.gateways.replies import CodeCompared, PasskeySigned
from qrlifecycle.testing.gateways import GOWAEmulator
from qrlifecycle.testing.gateways import gowa as emulated

from ..patience import patient_clock
from .services import Canned, json_answer
from .watch import Watch, give

pytestmark = pytest.mark.anyio

PASSWORD = "passw0rd-of-the-service"

JID = "4915100000001@s.whatsapp.net"

PNG = b"\x89PNG\r\n\x1a\n..."

LINKED = Paired(JID, {"device_id": "bot-7", "jid": JID})


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


def results(**said: object) -> Answer:
    """An answer that succeeds."""
    body = {"status": 200, "code": "SUCCESS", "results": {"device_id": "bot-7", **said}}
    return json_answer(json.dumps(body))


def error(status: int, code: str) -> Answer:
    """An answer that does not."""
    body = {"status": status, "code": code, "message": "in words", "results": None}
    return json_answer(json.dumps(body), status)


def said(*, logged_in: bool = False, jid: str = "", **more: object) -> Answer:
    """What the device is said to be."""
    return results(is_connected=logged_in, is_logged_in=logged_in, jid=jid, **more)


LOGIN = results(qr_link="http://inside:3000/statics/qrcode/scan-qr-1.png", qr_duration=30)

NOTHING_ASKED = results(status="none", challenge=None, code="", skip_handoff_ux=False)


def gateway(*answers: Answer | Exception, **options: Any) -> tuple[Canned, GOWA]:
    """A gateway, and what answers it."""
    client = Canned(*answers)
    options = {"username": "admin", "password": PASSWORD, "device": "bot-7", **options}
    return client, GOWA("https://gowa.example/base", http=client, **options)


async def status(*answers: Answer | Exception, **options: Any) -> Signal | None:
    """What a read of the status comes to that is answered so."""
    return await gateway(*answers, **options)[1].check_status()


def paths(client: Canned) -> list[str]:
    """What was asked for."""
    where = "https://gowa.example/base"
    return [f"{method} {url.removeprefix(where)}" for method, url, _ in client.asked]


# The code


async def test_a_code_is_a_picture_from_where_we_know_the_service() -> None:
    """The link names the host inside; the lifetime is twice of what is said."""
    client, gowa = gateway(said(), LOGIN, Answer(200, PNG))
    code = await gowa.request_qr()
    assert isinstance(code, QRCode)
    assert code.picture is not None
    assert (code.picture.reveal(), code.expires_in) == (PNG, 60)
    assert paths(client) == [
        "GET /app/status?device_id=bot-7",
        "GET /app/login?device_id=bot-7",
        "GET /statics/qrcode/scan-qr-1.png",
    ]
    pair = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    assert client.asked[1][2]["Authorization"] == f"Basic {pair}"


@pytest.mark.parametrize(
    ("half", "seconds"),
    [(20, 40), (20.5, 41), (None, 60), (0, 60), (-1, 60), ("30", 60), (True, 60)],
)
async def test_a_code_lives_for_twice_what_is_said(half: object, seconds: float) -> None:
    """Without a word on it as long as a first one."""
    login = results(qr_link="http://h/statics/x.png", qr_duration=half)
    code = await gateway(said(), login, Answer(200, PNG))[1].request_qr()
    assert isinstance(code, QRCode)
    assert code.expires_in == seconds


@pytest.mark.parametrize(
    "link", ["", "http://h/elsewhere/x.png", "http://h/statics/../../etc/passwd", None, 7, ["x"]]
)
async def test_promise_7_a_link_leads_nowhere_else(link: object) -> None:
    """It is the service's fault, and nothing is asked for there."""
    client, gowa = gateway(said(), results(qr_link=link, qr_duration=30))
    with pytest.raises(ServiceUnavailable, match="cannot be read: 'qr_link' must"):
        await gowa.request_qr()
    assert len(client.asked) == 2


async def test_a_picture_that_is_not_there_is_asked_for_again() -> None:
    """It is gone after a while; and what is no picture is none."""
    for answer, why in (
        (Answer(404, b"Cannot find it"), r"is not there \(404\)"),
        (Answer(200, b"<html>"), "cannot be read"),
    ):
        with pytest.raises(ServiceUnavailable, match=why):
            await gateway(said(), LOGIN, answer)[1].request_qr()


async def test_a_code_to_type() -> None:
    """For the phone of the number, in place of a picture."""
    client, gowa = gateway(said(), results(pair_code="ABCD-EFGH"), phone_number="+49 151 00000001")
    code = await gowa.request_qr()
    assert code == PairingCode("ABCD-EFGH")
    assert isinstance(code, PairingCode)
    assert code.expires_in == 160
    where = "GET /app/login-with-code?phone=4915100000001&device_id=bot-7"
    assert paths(client)[1] == where
    with pytest.raises(ServiceUnavailable, match=r"cannot be read: .*code"):
        await gateway(said(), results(), phone_number="4915100000001", device="x")[1].request_qr()
    odd = results(pair_code=["ABCD"])
    with pytest.raises(ServiceUnavailable, match="'pair_code' must be text"):
        await gateway(said(), odd, phone_number="4915100000001", device="y")[1].request_qr()


async def test_what_is_linked_is_told_at_once() -> None:
    """And if it connects just now, it is asked again: neither 400 nor 500 is a refusal there."""
    assert await gateway(said(logged_in=True, jid=JID))[1].request_qr() == LINKED
    for refusal in (error(400, "ALREADY_LOGGED_IN"), error(500, "SESSION_SAVED_ERROR")):
        with pytest.raises(ServiceUnavailable, match="linked already"):
            await gateway(said(jid=JID), refusal)[1].request_qr()


async def test_whatsapp_out_of_its_reach_is_no_fault_of_our_password() -> None:
    """HTTP 401 with a word of its own; without it, it is."""
    with pytest.raises(ServiceUnavailable, match="cannot connect to WhatsApp"):
        await gateway(said(), error(401, "AUTHENTICATION_ERROR"))[1].request_qr()
    with pytest.raises(ServiceRefused) as raised:
        await gateway(Answer(401, b"Unauthorized"))[1].request_qr()
    assert raised.value.reason is Reason.AUTHENTICATION_REFUSED
    with pytest.raises(ServiceRefused, match="there is no device 'bot-7'") as raised:
        await gateway(error(404, "DEVICE_NOT_FOUND"))[1].request_qr()
    assert raised.value.reason is Reason.REFUSED_BY_SERVICE


# One code at a time


async def test_two_screens_of_one_device_show_one_code() -> None:
    """Another request would kill the one that is shown, and nobody would be told."""
    async with GOWAEmulator() as served, anyio.create_task_group() as tasks:
        first = Watch(tasks, served.gateway())
        await first.until_codes(1)
        await anyio.sleep(20)
        second = Watch(tasks, served.gateway())
        code = await second.until_codes(1)
        assert served.logins == 1
        assert code == first.codes[0]
        assert code is not first.codes[0]
        assert 38 < code.expires_in < 40
        await anyio.sleep(50)  # until its end: one of them asks for another, for both
        assert served.logins == 2
        assert first.codes[-1] == second.codes[-1] != code
        await served.scan(first.codes[-1], JID)
        await first.until(lambda: first.outcome)
        await second.until(lambda: second.outcome)
        assert first.outcome.connected
        assert second.outcome.connected


async def test_who_asks_for_another_code_gets_another() -> None:
    """The one on the own screen does not count."""
    async with GOWAEmulator() as served, anyio.create_task_group() as tasks:
        watch = Watch(tasks, served.gateway())
        await watch.until_codes(1)
        watch.lifecycle.generate()
        await watch.until_codes(2)
        assert served.logins == 2
        assert watch.codes[0] != watch.codes[1]
        watch.lifecycle.cancel()


async def test_a_code_that_nobody_has_any_more_is_not_given_again() -> None:
    """It is kept by nobody but who shows it."""
    code = QRCode("2@x", typed="ABCD", expires_in=10)
    live = LiveCode("one", code)
    assert live_code("one") is live
    copy: Any = live.copy()
    assert (copy, copy.expires_in) == (code, pytest.approx(10, abs=0.01))
    assert live.copy(unless=copy) == code
    del code, copy
    gc.collect()
    assert live.copy() is None
    typed = PairingCode("ABCD", expires_in=10)
    live = LiveCode("two", typed)
    assert live.copy() == typed
    assert live.copy(unless=typed) is None
    await anyio.sleep(10)
    assert live.copy() is None
    live = LiveCode("two", typed)
    forget_code("two", typed)
    assert live_code("two") is None
    forget_code("two", typed)


async def test_a_code_that_was_made_since_is_not_forgotten() -> None:
    """Who learns late that the one before is dead must not take it from the others."""
    old, new = PairingCode("ABCD", expires_in=10), PairingCode("EFGH", expires_in=10)
    LiveCode("one", old)
    live = LiveCode("one", new)
    forget_code("one", old)
    assert live_code("one") is live


async def test_a_code_to_type_and_a_picture_are_not_the_same() -> None:
    """Nor are codes of two numbers, or of two services."""
    _, gowa = gateway(said(), LOGIN, Answer(200, PNG))
    kept = await gowa.request_qr()
    client, other = gateway(said(), results(pair_code="ABCD"), phone_number="4915100000001")
    assert await other.request_qr() == PairingCode("ABCD")
    assert len(client.asked) == 2
    client, again = gateway(said())
    assert await again.request_qr() == kept
    assert len(client.asked) == 1


# The status


async def test_a_scan_is_no_success_yet_and_the_status_is_read_on() -> None:
    """`LOGIN_SUCCESS` comes seconds before `is_logged_in`, and nothing comes then."""
    async with GOWAEmulator() as served, anyio.create_task_group() as tasks:
        gowa = served.gateway()
        watch = Watch(tasks, gowa, policy=replace(gowa.policy, status_interval=1000.0))
        code = await watch.until_codes(1)
        began = anyio.current_time()
        await served.scan(code, JID)
        await watch.until(lambda: watch.outcome)
        assert watch.outcome == Connected(JID, {"device_id": "bot-7", "jid": JID})
        assert 2 <= anyio.current_time() - began < 3


async def test_a_success_that_nobody_heard_is_found() -> None:
    """The status is read every 5 s."""
    async with GOWAEmulator() as served, anyio.create_task_group() as tasks:
        watch = Watch(tasks, served.gateway())
        code = await watch.until_codes(1)
        served.muted = True
        began = anyio.current_time()
        await served.scan(code, JID)
        await watch.until(lambda: watch.outcome)
        assert watch.outcome.identity == JID
        assert anyio.current_time() - began < 8


async def test_what_has_come_of_a_code_is_told_of_the_next_as_well() -> None:
    """Each has a scan of its own."""
    client, gowa = gateway(said(), LOGIN, Answer(200, PNG))
    kept = [await gowa.request_qr()]
    give(client, said(jid=JID))
    assert await gowa.check_status() == Scanned()
    give(client, said(), LOGIN, Answer(200, PNG + b"2"))
    kept.append(await gowa.request_qr())
    give(client, said(jid=JID))
    assert await gowa.check_status() == Scanned()


async def test_a_code_that_takes_long_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """To ask again would be to begin anew."""
    monkeypatch.setattr(emulated, "MAKING", 40.0)
    async with GOWAEmulator() as served, anyio.create_task_group() as tasks:
        watch = Watch(tasks, served.gateway())
        await watch.until_codes(1)
        assert served.logins == 1
        watch.lifecycle.cancel()


async def test_a_jid_is_no_success() -> None:
    """Not before it is logged in; told once, that it was scanned."""
    _, gowa = gateway(said(jid=JID))
    began = anyio.current_time()
    assert await gowa.check_status() == Scanned()
    assert 3 < anyio.current_time() - began < 5
    assert await gowa.check_status() is None
    assert await status(said(jid=JID), said(jid=JID), said(logged_in=True, jid=JID)) == LINKED
    assert await status(said(), NOTHING_ASKED) is None


async def test_what_is_kept_of_a_success_is_listed() -> None:
    """Nothing that a service may add later, which might be secret."""
    assert await status(said(logged_in=True, jid=JID, token="s3cret")) == LINKED
    assert await status(said(logged_in=True)) == Paired(None, {"device_id": "bot-7", "jid": ""})


async def test_only_the_services_own_word_is_final() -> None:
    """A proxy's 404 while the service restarts is not."""
    for word in (error(404, "DEVICE_NOT_FOUND"), error(307, "MOVED")):
        assert await status(word) == PairingRefused(Reason.REFUSED_BY_SERVICE)
    refused = PairingRefused(Reason.AUTHENTICATION_REFUSED)
    for number in (401, 403):
        assert await status(Answer(number, b"in HTTP's words")) == refused
    with pytest.raises(ServiceRefused):
        await status(Answer(404, b"404 page not found"))
    for unavailable, why in (
        (Answer(502, b"<html>"), "HTTP 502"),
        (error(401, "AUTHENTICATION_ERROR"), "cannot connect to WhatsApp"),
        (OSError(), "OSError"),
    ):
        with pytest.raises(ServiceUnavailable, match=why):
            await status(unavailable)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([said(logged_in=True, jid=["x"])], "'jid' must be text"),  # type: ignore[arg-type]
        ([json_answer('{"results": 7}')], "'results' must be an object"),
        ([json_answer("{}")], "'results' must be an object"),
        ([said(), results(status="awaiting_response", challenge=7)], "'challenge' must be an"),
        ([said(), results(status="awaiting_confirmation", code=["x"])], "'code' must be text"),
        ([said(), error(500, "INTERNAL_SERVER_ERROR")], "HTTP 500"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_status_that_cannot_be_read_is_no_answer(answers: list[Answer], said: str) -> None:
    """The field is named."""
    with pytest.raises(ServiceUnavailable, match=said):
        await status(*answers)


@pytest.mark.parametrize(
    ("code", "result", "said"),
    [
        ("PASSKEY_ERROR", {"device_id": ["bot-7"]}, "'device_id' must be text"),
        ("PASSKEY_REQUEST", {"device_id": "bot-7", "challenge": 7}, "'challenge' must be an"),
        ("PASSKEY_CONFIRMATION", {"device_id": "bot-7", "code": ["x"]}, "'code' must be text"),
    ],
)
def test_promise_7_a_message_that_cannot_be_read_is_dropped(
    code: str, result: dict[str, object], said: str
) -> None:
    """The field is named."""
    with pytest.raises(Malformed, match=said):
        gateway(results())[1]._read(message(code, result))


async def test_versions_that_know_no_passkeys_are_asked_once() -> None:
    """Before 8.10: HTTP 404."""
    client, gowa = gateway(said(), Answer(404, b"Cannot GET"), said())
    for _ in range(3):
        assert await gowa.check_status() is None
    asked = [path.partition("?")[0] for path in paths(client)]
    assert asked == ["GET /app/status", "GET /app/passkey", "GET /app/status", "GET /app/status"]


# What is heard


def message(code: str, result: object = None) -> dict[str, object]:
    """As the socket says it."""
    return {"code": code, "message": "in words, with a code 1234", "result": result}


def ours(**more: object) -> dict[str, object]:
    """What is said of our device."""
    return {"device_id": "bot-7", **more}


@pytest.mark.parametrize(
    ("heard", "signal"),
    [
        (message("LOGIN_SUCCESS"), StatusChanged()),
        (
            message("PASSKEY_REQUEST", ours(challenge={"challenge": "c", "s3cret": 1})),
            ActionRequired("passkey", {"challenge": "c"}),
        ),
        (
            message("PASSKEY_CONFIRMATION", ours(code="1234", skip_handoff_ux=False)),
            ActionRequired("compare_code", {"code": "1234"}),
        ),
        (message("PASSKEY_CONFIRMATION", ours(code="1234", skip_handoff_ux=True)), Scanned()),
        (
            message("PASSKEY_ERROR", ours(continuation=False)),
            PairingRefused(Reason.REFUSED_ON_PHONE),
        ),
        (message("DEVICE_LOGGED_OUT", ours(devices=[])), QRExpired()),
        (message("DEVICE_LOGGED_OUT", {"device_id": "bot-of-another"}), None),
        (message("PASSKEY_ERROR", {"device_id": "bot-of-another"}), None),
        (message("PASSKEY_REQUEST", None), None),
        (message("LIST_DEVICES", [{"device": "bot-7"}]), None),
        (message("NEW_WORD", ours()), None),
    ],
    ids=lambda value: value["code"] if isinstance(value, Mapping) else "",
)
async def test_what_a_message_means(heard: Any, signal: Signal | None) -> None:
    """A success names nobody; of all else only ours counts."""
    gowa = gateway(said())[1]
    found = gowa._read(heard)
    assert (None if found is None else gowa._mine.meaning(found)) == signal


async def test_a_logout_while_something_is_to_be_done_is_the_persons_no() -> None:
    """Before that, it is the end of a code."""
    _, gowa = gateway(said())
    told = [
        gowa._mine.meaning(gowa._read(one) or StatusChanged())
        for one in (
            message("PASSKEY_REQUEST", ours(challenge={"challenge": "c"})),
            message("DEVICE_LOGGED_OUT", ours()),
        )
    ]
    assert told[1] == PairingRefused(Reason.REFUSED_ON_PHONE)


async def test_a_code_that_was_logged_out_is_replaced() -> None:
    """It is not given to another screen any more, either."""
    async with GOWAEmulator() as served, anyio.create_task_group() as tasks:
        both = [Watch(tasks, served.gateway()) for _ in range(2)]
        for watch in both:
            await watch.until_codes(1)
        await served.log_out()
        for watch in both:
            assert (await watch.until_codes(2)) != watch.codes[0]
            watch.lifecycle.cancel()
        assert served.logins == 2


@pytest.mark.slow
async def test_a_code_dies_with_the_process_that_made_it() -> None:
    """Nothing tells, but that nobody listened meanwhile: another code is asked for at once, one."""
    async with GOWAEmulator() as served, anyio.create_task_group() as tasks:
        both = [Watch(tasks, served.gateway()) for _ in range(2)]
        for watch in both:
            await watch.until_codes(1)
        await served.stop()
        await anyio.sleep(3)
        await served.start()
        began = anyio.current_time()
        for watch in both:
            assert (await watch.until_codes(2)) != watch.codes[0]
        assert anyio.current_time() - began < 12
        await anyio.sleep(40)
        for watch in both:
            assert len(watch.codes) == 2  # it is said once
            watch.lifecycle.cancel()
        assert served.logins == 2


@pytest.mark.parametrize(
    ("ending", "died"),
    [(Ending.NOT_CONNECTED, True), (Ending.TRY_LATER, True), (Ending.SILENT, False)],
)
async def test_only_where_nobody_listened_did_the_code_die(ending: Ending, died: bool) -> None:
    """It is said first, and not after closing (T4)."""
    async with GOWAEmulator() as served:
        gowa = served.gateway()
        code = await gowa.request_qr()
        mine, place = gowa._mine, gowa.place

        async def fail() -> Transport:
            raise TransportUnreachable(ending=ending)

        with pytest.raises(TransportUnreachable):
            await OfOneCode(fail, place, ("bot-7",), mine=mine).open()
        assert mine.died is died
        for end in ("aclose", "abort"):
            transport = OfOneCode(gowa._connect, place, ("bot-7",), mine=mine)
            await transport.open()
            await served.forge()
            assert await transport.receive() == (QRExpired() if died else StatusChanged())
            again = OfOneCode(gowa._connect, place, ("bot-7",), mine=mine)
            await again.open()
            for one in (again, transport):
                ended = getattr(one, end)()
                if end == "aclose":
                    await ended
                with pytest.raises(anyio.EndOfStream):
                    await one.receive()
        del code


async def test_a_connection_that_breaks_costs_no_code() -> None:
    """Whoever listens all the while has the code still."""
    async with GOWAEmulator() as served, anyio.create_task_group() as tasks:
        watch = Watch(tasks, served.gateway())
        await watch.until_codes(1)
        await served.drop()
        await anyio.sleep(30)
        assert len(served.opened) == 2
        assert served.logins == 1
        watch.lifecycle.cancel()


@pytest.mark.parametrize("how", ["signed", "compared", "skipped"])
@pytest.mark.parametrize("heard", [True, False], ids=["heard", "read"])
async def test_a_passkey_is_asked_for_once_and_answered(how: Any, heard: bool) -> None:
    """By the event, or by the status if nobody heard it; once, however often the status is read."""
    async with GOWAEmulator(passkey=how) as served, anyio.create_task_group() as tasks:
        gowa = served.gateway()
        watch = Watch(tasks, gowa)
        code = await watch.until_codes(1)
        served.muted = not heard
        await served.scan(code, JID)
        passkey = await watch.until_actions(1)
        await anyio.sleep(20)
        assert passkey.action == "passkey"
        assert passkey.data["challenge"] == served.challenges[0]
        await gowa.answer(passkey, PasskeySigned({"id": "AX8b", "type": "public-key"}))
        assert served.assertions == [{"id": "AX8b", "type": "public-key"}]
        if how == "compared":
            compare = await watch.until_actions(2)
            assert compare == ActionRequired("compare_code", {"code": served.challenges[-1]})
            await anyio.sleep(20)
            await gowa.answer(compare, CodeCompared())
        await watch.until(lambda: watch.outcome)
        assert watch.outcome.identity == JID
        assert len(watch.actions) == 1 + (how == "compared")


async def test_a_code_that_differs_is_not_confirmed() -> None:
    """The device is logged out, which ends the attempt."""
    async with GOWAEmulator(passkey="compared") as served, anyio.create_task_group() as tasks:
        gowa = served.gateway()
        watch = Watch(tasks, gowa)
        await served.scan(await watch.until_codes(1))
        await gowa.answer(await watch.until_actions(1), PasskeySigned({}))
        await gowa.answer(await watch.until_actions(2), CodeCompared(same=False))
        await watch.until(lambda: watch.outcome)
        assert watch.outcome == Failed(Reason.REFUSED_ON_PHONE)
        assert served.jid is None


async def test_an_answer_that_comes_too_late_is_not_taken() -> None:
    """Nobody waits for it any more: HTTP 500."""
    gowa = gateway(error(500, "INTERNAL_SERVER_ERROR"))[1]
    with pytest.raises(ServiceUnavailable):
        await gowa.answer(ActionRequired("passkey"), PasskeySigned({}))


async def test_a_service_that_cannot_reach_whatsapp_is_asked_again() -> None:
    """Its 401 ends nothing."""
    async with GOWAEmulator(unreachable=3) as served, anyio.create_task_group() as tasks:
        watch = Watch(tasks, served.gateway())
        await watch.until_codes(1)
        assert watch.lifecycle.state is State.DISPLAYED
        watch.lifecycle.cancel()


async def test_promise_6_the_password_is_fresh_each_time_and_in_no_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With each request and each opening; also where it is refused."""
    caplog.set_level(logging.DEBUG)
    given: list[str] = []
    texts: list[str] = []
    secrets: list[str] = []

    async def password() -> str:
        given.append(PASSWORD)
        return PASSWORD

    async with GOWAEmulator() as served, anyio.create_task_group() as tasks:
        gowa = GOWA(served.url, username="admin", password=password, device="bot-7")
        watch = Watch(tasks, gowa)
        await watch.until_codes(1)
        await served.drop()
        await watch.until(lambda: len(served.opened) == 2)
        assert len(given) == len(served.server.requests)
        secrets += served.secrets()
        await served.withdraw()
        await watch.until(lambda: watch.outcome)
        assert watch.outcome.reason is Reason.AUTHENTICATION_REFUSED
        texts += [caplog.text, repr(gowa), repr(watch.outcome), repr(watch.outcome.error)]
        texts += [repr(gowa.transport()), repr(gowa._mine)]
    assert not any(secret in text for text in texts for secret in secrets)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": ""}, "device must be text"),
        ({"password": "a\nb"}, "^password has characters that none has"),
        ({"password": None}, "given together"),
        ({"username": None}, "given together"),
        ({"username": "a:b"}, "without a colon"),
        ({"username": ""}, "username must be text"),
        ({"phone_number": "0170"}, "phone_number must be the whole number"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(options: Any, said: str) -> None:
    """Where it is given, and without the value."""
    with pytest.raises(InvalidValue, match=said):
        gateway(Answer(200, b""), **options)


async def test_without_a_password_none_is_sent() -> None:
    """The service may ask for none."""
    client, gowa = gateway(said(), NOTHING_ASKED, username=None, password=None)
    await gowa.check_status()
    assert "Authorization" not in client.asked[0][2]


def test_the_policy_is_whatsapps() -> None:
    """But for what the service does not say, and for the time that it may take."""
    assert GOWA.policy == replace(
        WHATSAPP, attempt_timeout=600, generate_timeout=60, status_interval=5, max_reconnects=15
    )


def test_the_other_numbers_are_the_services_own() -> None:
    """Of its codes, and of its patience; what is waited for in a read fits into it."""
    assert gowa_module.SLOWEST == 45 + 5  # its own limit, and the way there and back
    assert GOWA.policy.generate_timeout > gowa_module.SLOWEST
    assert WHATSAPP.qr_lifetime == gowa_module.LIFETIME
    assert WHATSAPP.qr_lifetime + 5 * WHATSAPP.rotated_lifetime == gowa_module.TYPED_LIFETIME
    assert gowa_module.HEARTBEAT == 30
    assert gowa_module.LOOKS_WHILE_LINKING == 7  # 3.5 s of the 5 that a read may take


async def test_each_lifecycle_knows_a_code_of_its_own() -> None:
    """One gateway may serve several."""
    _, gowa = gateway(said())
    first, second = (gowa.parts()["check_status"] for _ in range(2))
    assert first.__self__._mine is not second.__self__._mine  # type: ignore[attr-defined]
