"""The device flow by itself: what servers say, and what is made of it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import anyio
import pytest

from qrlifecycle import (
    Connected,
    Failed,
    InvalidValue,
    Paired,
    PairingRefused,
    Policy,
    QRCode,
    QRExpired,
    Reason,
    ServiceRefused,
    ServiceUnavailable,
    Signal,
    WrongAnswer,
)
from qrlifecycle.gateways import DeviceFlow
from qrlifecycle.gateways.device_flow import GRANT, unverified_subject
from qrlifecycle.gateways.http import Answer
from qrlifecycle.testing import settle

from .services import Canned, json_answer

pytestmark = pytest.mark.anyio

SAMPLES = Path(__file__).parent / "samples" / "oidc"

ISSUER = "https://login.example"

CODE = {
    "device_code": "d3vice",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://login.example/device",
    "verification_uri_complete": "https://login.example/device?user_code=WDJB-MJHT",
    "expires_in": 600,
}

TOKENS = {"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}

PENDING = json_answer('{"error":"authorization_pending"}', 400)


def answer(body: Mapping[str, object], status: int = 200) -> Answer:
    """An answer of JSON."""
    return json_answer(json.dumps(body), status)


def flow(*answers: Answer | Exception, wait: float = 0.0, **options: Any) -> tuple[Any, DeviceFlow]:
    """A flow whose endpoints are known, and what answers it."""
    client = Canned(*answers, wait=wait)
    options = {
        "client_id": "tv",
        "device_endpoint": f"{ISSUER}/device/auth",
        "token_endpoint": f"{ISSUER}/token",
        **options,
    }
    return client, DeviceFlow(ISSUER, http=client, **options)


async def ask(*answers: Answer | Exception, **options: Any) -> QRCode:
    """The code that comes of these answers."""
    _, gateway = flow(*answers, **options)
    code = await gateway.request_qr()
    assert isinstance(code, QRCode)
    return code


async def poll(*answers: Answer | Exception, code: Mapping[str, object] = CODE) -> Signal | None:
    """What a poll comes to that is answered so."""
    _, gateway = flow(answer(code), *answers)
    await gateway.request_qr()
    await anyio.sleep(5)
    return await gateway.check_status()


# Samples: bytes that went over the wire


def exchanges() -> list[tuple[str, Answer]]:
    """What oidc-provider was sent, and what it answered."""
    text = (SAMPLES / "http.txt").read_text()
    found = re.findall(r"^### (.*)\n(.*)\n\[HTTP (\d+)\]$", text, flags=re.MULTILINE)
    return [(asked, json_answer(body, int(status))) for asked, body, status in found]


async def test_each_sample_of_oidc_provider_is_read() -> None:
    """As the code, the signal or the refusal that it means."""
    refused, code, pending, nonsense, expired = [said for _, said in exchanges()]
    with pytest.raises(ServiceRefused) as raised:
        await ask(refused)
    assert raised.value.reason is Reason.AUTHENTICATION_REFUSED
    shown = await ask(code)
    assert shown.reveal() == "http://127.0.0.1:3300/device?user_code=RDHW-PJND"
    assert shown.typed is not None
    assert (shown.typed.reveal(), shown.expires_in) == ("RDHW-PJND", 6)
    assert shown.typed_at == "http://127.0.0.1:3300/device"
    assert await poll(pending) is None
    assert await poll(nonsense) == QRExpired()
    assert await poll(expired) == QRExpired()


async def test_requests_are_those_that_oidc_provider_took() -> None:
    """The forms of the samples are the ones that are sent."""
    asked, polled = exchanges()[1][0], exchanges()[2][0]
    client, gateway = flow(answer(CODE), PENDING, scope="openid profile")
    await gateway.request_qr()
    await anyio.sleep(5)
    await gateway.check_status()
    sent = [dict(parse_qsl((content or b"").decode())) for content in client.contents]
    for said, form in zip((asked, polled), sent, strict=True):
        named = dict(parse_qsl(said.partition(" -d ")[2]))
        named = {k: "d3vice" if v == "<secret>" else v for k, v in named.items()}
        assert form == named
    assert sent[1]["grant_type"] == GRANT


async def test_each_sample_of_authlib_is_read() -> None:
    """It says `slow_down` without the new interval: 5 s more."""
    lines = (SAMPLES / "authlib-token.txt").read_text().splitlines()
    for line in filter(None, lines):
        assert await poll(json_answer(line, 400)) is None
    assert any("slow_down" in line for line in lines)


# The code


async def test_a_code_has_two_faces() -> None:
    """The picture to scan, and what to type where (RFC 8628, 3.3.1)."""
    code = await ask(answer(CODE))
    assert code == QRCode(CODE["verification_uri_complete"], typed="WDJB-MJHT")  # type: ignore[arg-type]
    assert (code.typed_at, code.expires_in) == (CODE["verification_uri"], 600)


async def test_without_the_whole_address_the_picture_is_the_page_to_type_at() -> None:
    """`verification_uri_complete` is optional; Google spells the other `verification_url`."""
    left_out = {k: v for k, v in CODE.items() if not k.startswith("verification")}
    for name in ("verification_uri", "verification_url"):
        code = await ask(answer(left_out | {name: "https://login.example/d"}))
        assert code.reveal() == code.typed_at == "https://login.example/d"
        assert code.typed is not None


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(900, 900), ("900", 900), (1.5, 1.5), (None, None), ("soon", None), (-1, None), (True, None)],
)
async def test_a_lifetime_may_be_text_or_missing(expires_in: object, seconds: float | None) -> None:
    """Microsoft's older servers send numbers as text; without one the policy's counts."""
    assert (await ask(answer(CODE | {"expires_in": expires_in}))).expires_in == seconds


@pytest.mark.parametrize("name", ["device_code", "user_code", "verification_uri"])
@pytest.mark.parametrize("value", [None, "", 7, ["x"], "x" * 5000])
async def test_promise_7_a_code_that_is_none_is_the_servers_fault(name: str, value: Any) -> None:
    """It is asked again, until time runs out; what came is in no text."""
    body = {k: v for k, v in CODE.items() if k != "verification_uri_complete"} | {name: value}
    if name == "device_code" and value == "x" * 5000:
        assert await ask(answer(body))
        return
    with pytest.raises(ServiceUnavailable, match="cannot be read") as raised:
        await ask(answer(body))
    assert "xxx" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("invalid_client", Reason.AUTHENTICATION_REFUSED),
        ("unauthorized_client", Reason.REFUSED_BY_SERVICE),
        ("invalid_scope", Reason.REFUSED_BY_SERVICE),
        ("access_denied", Reason.REFUSED_BY_SERVICE),
        ("s3cret", Reason.REFUSED_BY_SERVICE),
        ({"s3cret": 1}, Reason.REFUSED_BY_SERVICE),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [200, 400, 401])
async def test_no_code_is_given_for_a_reason(error: object, reason: Reason, status: int) -> None:
    """The word counts, whatever the status; one that is not known is not repeated."""
    with pytest.raises(ServiceRefused, match="gives no code") as raised:
        await ask(answer({"error": error, "error_description": "s3cret"}, status))
    assert raised.value.reason is reason
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "said",
    [
        answer({"error": "server_error"}, 400),
        answer({"error": "temporarily_unavailable"}, 400),
        answer({"error": "invalid_client"}, 503),
        answer({"error": "too_many_requests"}, 429),
        Answer(502, b"<html>"),
        Answer(200, b"<html>"),
        OSError("refused"),
    ],
    ids=["error", "temporarily", "503", "429", "page", "page 200", "nobody"],
)
async def test_what_is_about_the_moment_is_asked_again(said: Any) -> None:
    """A server that restarts gives no final word, neither to a request nor to a poll."""
    with pytest.raises(ServiceUnavailable):
        await ask(said)
    with pytest.raises(ServiceUnavailable):
        await poll(said)


# The poll


@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize(
    ("error", "signal"),
    [
        ("authorization_pending", None),
        ("slow_down", None),
        ("access_denied", PairingRefused(Reason.REFUSED_ON_PHONE)),
        ("authorization_declined", PairingRefused(Reason.REFUSED_ON_PHONE)),
        ("expired_token", QRExpired()),
        ("code_expired", QRExpired()),
        ("invalid_grant", QRExpired()),
        ("invalid_client", PairingRefused(Reason.AUTHENTICATION_REFUSED)),
        ("unauthorized_client", PairingRefused(Reason.REFUSED_BY_SERVICE)),
        ("invalid_request", PairingRefused(Reason.REFUSED_BY_SERVICE)),
        ("something_else", PairingRefused(Reason.REFUSED_BY_SERVICE)),
        (["x"], PairingRefused(Reason.REFUSED_BY_SERVICE)),
    ],
    ids=str,
)
async def test_a_poll_is_read_by_its_error(
    error: object, signal: Signal | None, status: int
) -> None:
    """The status says nothing: 400 is the RFC's, 401 is sent for a client, GitHub sends 200."""
    said = await poll(answer({"error": error, "error_description": "in words"}, status))
    if isinstance(signal, PairingRefused):
        assert isinstance(said, PairingRefused)
        assert said.reason is signal.reason
        assert said.data == {"error": error, "error_description": "in words"}
    else:
        assert said == signal


def token_of(claims: object) -> str:
    """An ID token with these claims, and no signature worth the name."""
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


async def test_a_success_has_the_subject_and_the_tokens() -> None:
    """The tokens are the program's, in the data that no repr shows."""
    body = TOKENS | {"id_token": token_of({"sub": "user-7"})}
    said = await poll(answer(body))
    assert said == Paired("user-7", body)
    assert "t0ken" not in repr(said)
    assert await poll(answer(TOKENS)) == Paired(None, TOKENS)


@pytest.mark.parametrize(
    "id_token",
    [
        None,
        7,
        "",
        "x",
        "a.b",
        "a.!.c",
        "a.e30.c",
        token_of([]),
        token_of({"sub": 7}),
        token_of({"sub": ""}),
        "a." + base64.urlsafe_b64encode(b"[" * 100_000).decode() + ".c",
        "a.b.c.d.e",
    ],
    ids=lambda token: repr(token)[:20],
)
def test_promise_7_an_id_token_that_is_none_names_nobody(id_token: object) -> None:
    """Whatever it is; the pairing counts all the same."""
    assert unverified_subject(id_token) is None


def test_a_subject_is_read_whatever_the_padding() -> None:
    """Base64 of any length."""
    for subject in ("a", "ab", "abc", "ü"):
        assert unverified_subject(token_of({"sub": subject})) == subject


@pytest.mark.parametrize("body", [{}, {"access_token": ""}, {"access_token": 7}, []])
async def test_an_answer_without_a_token_is_no_success(body: Any) -> None:
    """A page of a proxy's may be JSON, too."""
    with pytest.raises(ServiceUnavailable):
        await poll(answer(body))


async def test_nobody_is_asked_before_there_is_a_code_nor_after_its_end() -> None:
    """A read says then that there is nothing new."""
    client, gateway = flow(answer(CODE), answer(TOKENS))
    assert await gateway.check_status() is None
    await gateway.request_qr()
    await anyio.sleep(5)
    assert isinstance(await gateway.check_status(), Paired)
    await anyio.sleep(50)
    assert await gateway.check_status() is None
    assert len(client.asked) == 2


# The interval


async def polls(*answers: Answer | Exception, code: Mapping[str, object] = CODE) -> list[float]:
    """Pair with a server that answers so, and then with a token; the waits before each poll."""
    times: list[float] = []
    client, gateway = flow(answer(code), *answers, answer(TOKENS))
    request = client.request

    async def note_time(*args: Any, **kwargs: Any) -> Answer:
        times.append(anyio.current_time())
        said: Answer = await request(*args, **kwargs)
        return said

    client.request = note_time
    assert (await gateway.lifecycle().pair()).connected
    return [later - before for before, later in pairwise(times)]


A_READ = 1.6
"""Seconds by which a poll may come after its time: the status is read every second or so."""


@pytest.mark.parametrize(
    ("interval", "seconds"), [(None, 5), (2, 2), ("7", 7), (0, 5), (-3, 5), ("x", 5), ([], 5)]
)
async def test_the_interval_is_the_servers(interval: object, seconds: float) -> None:
    """And 5 s if it names none that can be meant; the first poll waits for it as well."""
    code = CODE if interval is None else CODE | {"interval": interval}
    for wait in await polls(PENDING, PENDING, code=code):
        assert seconds <= wait < seconds + A_READ


async def test_slow_down_is_five_seconds_more_for_good() -> None:
    """Each time (RFC 8628, 3.5), unless the server names a longer interval with it."""
    slow = answer({"error": "slow_down"}, 400)
    waits = await polls(slow, PENDING, slow, PENDING)
    for wait, least in zip(waits, (5, 10, 10, 15, 15), strict=True):
        assert least <= wait < least + A_READ
    named = answer({"error": "slow_down", "interval": 30}, 400)
    waits = await polls(named, slow, PENDING)
    for wait, least in zip(waits, (5, 30, 35, 35), strict=True):
        assert least <= wait < least + A_READ


async def test_where_no_answer_comes_the_wait_doubles() -> None:
    """Up to a minute, and until one comes (RFC 8628, 3.5)."""
    gone = OSError("refused")
    waits = await polls(gone, gone, gone, gone, gone, PENDING)
    for wait, least in zip(waits, (5, 10, 20, 40, 60, 60, 5), strict=True):
        assert least <= wait < least + A_READ
    waits = await polls(Answer(200, b'{"error":7'), PENDING)
    assert waits[1] >= 10


async def test_the_interval_begins_with_the_answer() -> None:
    """A delay on the way makes no two polls come too close at the server."""
    _, gateway = flow(answer(CODE), PENDING, PENDING, answer(TOKENS), wait=3)
    began = anyio.current_time()
    assert (await gateway.lifecycle().pair()).connected
    assert anyio.current_time() - began >= 3 + (5 + 3) * 3


# A poll can be a write


async def test_promise_4_a_token_on_its_way_is_not_lost_to_the_codes_end() -> None:
    """The code runs out while the server thinks: what it then gives is taken."""
    code = answer(CODE | {"expires_in": 6})
    client, gateway = flow(code, answer(TOKENS), wait=9)
    outcome = await gateway.lifecycle().pair()
    assert outcome == Connected(None, TOKENS)
    assert len(client.asked) == 2


async def test_promise_4_a_token_on_its_way_is_not_lost_to_another_code() -> None:
    """Somebody asks for another while the server thinks."""
    client, gateway = flow(answer(CODE), answer(TOKENS), wait=4)
    lifecycle = gateway.lifecycle()
    outcomes: list[object] = []

    async def pair() -> None:
        outcomes.append(await lifecycle.pair())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await anyio.sleep(4 + 5 + 3)
        assert (len(client.asked), client.under_way) == (2, 1)
        lifecycle.generate()
    assert outcomes == [Connected(None, TOKENS)]


async def test_a_refusal_of_the_code_before_is_none_of_this_one() -> None:
    """Of a code that was replaced only a success counts."""
    denied = answer({"error": "access_denied"}, 400)
    client, gateway = flow(answer(CODE), denied, answer(CODE), answer(TOKENS))
    await gateway.request_qr()
    await anyio.sleep(5)
    grant = gateway._grant
    client._answers[0] = answer(CODE)
    await gateway.request_qr()
    assert gateway._grant is not grant
    client._answers[0] = denied
    gateway._grant, newer = grant, gateway._grant

    async def replace_it() -> None:
        await settle()
        gateway._grant = newer

    client._wait = 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(replace_it)
        assert await gateway.check_status() is None
    assert gateway._grant is newer


async def test_promise_2_a_cancellation_waits_for_no_token() -> None:
    """It is lost then, as the docs say; and nothing is left."""
    client, gateway = flow(answer(CODE), answer(TOKENS), wait=4)
    with anyio.move_on_after(12):
        await gateway.lifecycle().pair()
    assert (len(client.asked), client.under_way) == (2, 0)


async def test_a_policy_that_would_cut_a_poll_off_is_refused() -> None:
    """Whoever makes one of their own is told so; whoever changes the gateway's is not."""
    _, gateway = flow(answer(CODE))
    with pytest.raises(WrongAnswer, match="finish_reads"):
        gateway.lifecycle(policy=Policy(status_interval=5))
    gateway.lifecycle(policy=replace(gateway.policy, attempt_timeout=60))


# Who the server is, and who we are


def published(**changes: object) -> Answer:
    """What a server says of itself."""
    return answer(
        {
            "issuer": ISSUER,
            "device_authorization_endpoint": f"{ISSUER}/device/auth",
            "token_endpoint": f"{ISSUER}/token",
            **changes,
        }
    )


async def discover(*answers: Any, issuer: str = ISSUER, **options: Any) -> Canned:
    """Ask a server for a code that has to be asked about itself first."""
    client = Canned(*answers)
    await DeviceFlow(issuer, client_id="tv", http=client, **options).request_qr()
    return client


async def test_a_server_is_asked_about_itself() -> None:
    """At OpenID Connect's place, and then at RFC 8414's; an issuer may have a path."""
    client = await discover(published(), answer(CODE))
    assert [url for _, url, _ in client.asked] == [
        f"{ISSUER}/.well-known/openid-configuration",
        f"{ISSUER}/device/auth",
    ]
    tenant = f"{ISSUER}/tenant"
    for issuer in (tenant, f"{tenant}/"):
        client = await discover(
            Answer(404, b""), published(issuer=issuer), answer(CODE), issuer=issuer
        )
        assert [url for _, url, _ in client.asked[:2]] == [
            f"{tenant}/.well-known/openid-configuration",
            f"{ISSUER}/.well-known/oauth-authorization-server/tenant",
        ]


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([Answer(404, b"")], "publishes nothing"),
        ([Answer(302, b"")], "publishes nothing"),
        ([published(issuer="https://evil.example")], "another issuer"),
        ([published(issuer=7)], "another issuer"),
        ([published(token_endpoint="http://login.example/token")], "without TLS"),
        ([published(device_authorization_endpoint=None)], "does not offer the device flow"),
    ],
)
async def test_a_server_that_cannot_be_trusted_is_sent_nothing(
    answers: list[Answer], text: str
) -> None:
    """No secret, and no request for a code."""
    client = Canned(*answers)
    with pytest.raises(ServiceRefused, match=text):
        await DeviceFlow(ISSUER, client_id="tv", client_secret="s3cret", http=client).request_qr()
    assert {method for method, *_ in client.asked} == {"GET"}


@pytest.mark.parametrize(
    "said", [Answer(503, b""), Answer(200, b"<html>"), published(token_endpoint=7)]
)
async def test_a_server_that_restarts_is_asked_about_itself_again(said: Answer) -> None:
    """That it says nothing just now is not its last word."""
    with pytest.raises(ServiceUnavailable):
        await discover(said)


@pytest.mark.parametrize(
    ("methods", "in_form"),
    [
        (None, False),
        (["client_secret_post", "client_secret_basic"], False),
        (["client_secret_post"], True),
        ("nonsense", False),
    ],
)
async def test_a_secret_goes_where_the_server_takes_it(methods: object, in_form: bool) -> None:
    """As HTTP's Basic, form-encoded as RFC 6749 has it, or into the form."""
    changes = {} if methods is None else {"token_endpoint_auth_methods_supported": methods}
    client = await discover(published(**changes), answer(CODE), client_secret="a b/ü")
    form = dict(parse_qsl((client.contents[1] or b"").decode()))
    header = client.asked[1][2].get("Authorization")
    assert (form.get("client_secret") == "a b/ü") is in_form
    basic = base64.b64encode(b"tv:a+b%2F%C3%BC").decode()
    assert header == (None if in_form else f"Basic {basic}")


async def test_a_secret_is_fresh_for_each_request() -> None:
    """An async function is asked for it each time."""
    secrets = iter(["one", "two"])

    async def secret() -> str:
        return next(secrets)

    client, gateway = flow(answer(CODE), PENDING, client_secret=secret)
    await gateway.request_qr()
    await anyio.sleep(5)
    await gateway.check_status()
    sent = [base64.b64decode(asked[2]["Authorization"][6:]) for asked in client.asked]
    assert sent == [b"tv:one", b"tv:two"]


async def test_what_else_a_server_wants_is_sent_along() -> None:
    """With the request for a code, an audience, say."""
    client, gateway = flow(answer(CODE), parameters={"audience": "api"})
    await gateway.request_qr()
    assert dict(parse_qsl(client.contents[0].decode()))["audience"] == "api"


@pytest.mark.parametrize(
    "options",
    [
        {"issuer": "login.example"},
        {"client_id": ""},
        {"client_secret": ""},
        {"client_secret": "a\nb"},
        {"device_endpoint": f"{ISSUER}/d"},
        {"token_endpoint": f"{ISSUER}/t"},
        {"device_endpoint": "x", "token_endpoint": f"{ISSUER}/t"},
    ],
    ids="-".join,
)
def test_what_cannot_be_meant_is_refused_where_it_is_made(options: dict[str, Any]) -> None:
    """A URL, an id, a secret, one endpoint without the other."""
    given = {"issuer": ISSUER, "client_id": "tv", **options}
    with pytest.raises(InvalidValue):
        DeviceFlow(given.pop("issuer"), **given)


async def test_promise_6_a_flow_shows_no_secret() -> None:
    """Not before, nor after it has a device code."""
    _, gateway = flow(answer(CODE), client_secret="s3cret")
    await gateway.request_qr()
    assert repr(gateway) == "<DeviceFlow 'tv' at https://login.example>"
    assert "d3vice" not in repr(vars(gateway))


async def test_a_code_is_over_when_its_time_is() -> None:
    """There is no grace: the server counts as well, and began before."""
    _, gateway = flow(answer(CODE | {"expires_in": 12}), PENDING)
    began = anyio.current_time()
    assert await gateway.lifecycle().pair() == Failed(Reason.EXPIRED)
    assert 12 <= anyio.current_time() - began < 12 + A_READ


async def test_an_end_is_told_as_what_it_is() -> None:
    """Expiry, refusal, wrong credentials: each ends the attempt by its reason."""
    for error, reason in [
        ("expired_token", Reason.EXPIRED),
        ("access_denied", Reason.REFUSED_ON_PHONE),
        ("invalid_client", Reason.AUTHENTICATION_REFUSED),
    ]:
        _, gateway = flow(answer(CODE), answer({"error": error}, 400))
        outcome = await gateway.lifecycle().pair()
        assert isinstance(outcome, Failed)
        assert outcome.reason is reason
