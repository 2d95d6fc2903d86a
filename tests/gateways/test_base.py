"""What all gateways share: parts of a lifecycle, failures, credentials, one request at a time."""

from __future__ import annotations

import copy
import gc
import inspect
import logging
import pickle
import traceback
from dataclasses import replace
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Connected,
    Failed,
    InvalidValue,
    Paired,
    PeerError,
    QRCode,
    QRLifecycle,
    Reason,
    ServiceRefused,
    ServiceUnavailable,
    Signal,
    Transport,
    TransportRefused,
    TransportUnreachable,
    UsageError,
    WrongAnswer,
)
from qrlifecycle.errors import TransportError
from qrlifecycle.gateways import Hooks, Parts
from qrlifecycle.gateways.base import until
from qrlifecycle.gateways.deferred import DeferredTransport
from qrlifecycle.gateways.failures import failure_of_status
from qrlifecycle.gateways.http import Answer
from qrlifecycle.gateways.replies import CodeCompared, PasskeySigned, PasswordGiven, Reply
from qrlifecycle.gateways.turns import _TURNS, turn_of
from qrlifecycle.policy import Policy
from qrlifecycle.testing import Fault, ScriptedPeer, settle

from .services import Canned, Toy, json_answer

pytestmark = pytest.mark.anyio

CODE = json_answer('{"qr":"c0de"}')
PAIRED = json_answer('{"id":"me"}')


# A lifecycle of it


async def test_a_gateway_is_all_that_a_lifecycle_needs() -> None:
    """One line makes a lifecycle, with its hooks; by hand it is the same."""
    shown: list[QRCode] = []
    gateway = Toy(Canned(CODE, PAIRED))
    assert await gateway.lifecycle(on_qr_updated=shown.append).pair() == Connected("me")
    lifecycle = QRLifecycle(**Toy(Canned(CODE, PAIRED)).parts(), on_qr_updated=shown.append)
    assert await lifecycle.pair() == Connected("me")
    assert shown == [QRCode("c0de")] * 2


@pytest.mark.parametrize("needed", ["finish_reads", "confirm_success"])
async def test_a_policy_without_what_the_service_needs_is_refused(needed: str) -> None:
    """An answer that is given once would be cut off, a forged success believed."""

    class Needy(Toy):
        policy = Policy(**{needed: True})

    with pytest.raises(WrongAnswer, match=rf"Needy needs policy\.{needed}, for .*replace"):
        Needy().lifecycle(policy=Policy())
    Needy().lifecycle(policy=replace(Needy.policy, max_codes=2))
    Toy().lifecycle(policy=Policy())


async def test_requests_are_made_below_the_url_with_a_fresh_key() -> None:
    """Each segment of a path is quoted, so an account's name leads nowhere else."""
    client, keys = Canned(CODE, PAIRED), iter(["", "one", "", "two"])

    async def key() -> str:
        return next(keys) or "at hand"

    gateway = Toy(client, account="../bot 7?x", key=key)
    await gateway.request_qr()
    await gateway.check_status()
    (first, second) = client.asked
    assert first[:2] == ("POST", "http://toy.example/api/qr/..%2Fbot%207%3Fx")
    assert [asked[2]["X-Key"] for asked in client.asked] == ["one", "two"]
    assert second[:2] == ("GET", "http://toy.example/api/status/..%2Fbot%207%3Fx")
    assert client.contents == [b'{"new":true}', None]


async def test_a_policy_that_is_given_counts_more_than_the_gateways() -> None:
    """It takes its place as a whole."""
    policy = Policy(status_interval=5, qr_lifetime=7, max_refreshes=0, expiry_grace=0)
    lifecycle = Toy(Canned(CODE, json_answer("{}"))).lifecycle(policy=policy)
    began = anyio.current_time()
    assert await lifecycle.pair() == Failed(Reason.EXPIRED)
    assert 7 <= anyio.current_time() - began < 8


def test_parts_and_hooks_are_what_a_lifecycle_takes() -> None:
    """Together they are its arguments, all of them: so a typed ``**`` forgets none."""
    arguments = list(inspect.signature(QRLifecycle).parameters)
    parts, hooks = Parts.__annotations__, Hooks.__annotations__
    assert set(arguments) == {*parts, *hooks}
    assert not {*parts} & {*hooks}
    assert set(Toy(Canned()).parts()) == {*parts}


# What it shows of itself


async def test_promise_6_a_gateway_shows_no_secret_and_is_not_pickled() -> None:
    """Its repr has the account and the place."""
    gateway = Toy(Canned(CODE))
    assert repr(gateway) == "<Toy 'bot/7' at http://toy.example/api>"
    assert (gateway.account, gateway.place) == ("bot/7", "http://toy.example/api")
    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="a Toy may hold secrets"):
            duplicate(gateway)
    assert repr(Toy.__new__(Toy)) == "<Toy None at nowhere yet>"


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://toy.example"},
        {"url": "http://toy.example?key=k3y"},
        {"url": "http://toy.example#k3y"},
        {"url": "http://k3y@toy.example"},
        {"url": "http://me:k3y@toy.example"},
        {"account": ""},
        {"account": 7},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"client": Canned(), "ssl_context": object()},
    ],
    ids="-".join,
)
def test_what_cannot_be_meant_is_refused_where_it_is_made(options: dict[str, Any]) -> None:
    """An account, a time, a URL without query and password; and not two ways to trust."""
    with pytest.raises(UsageError) as raised:
        Toy(**options)
    assert "k3y" not in str(raised.value)


def test_promise_6_an_error_of_the_constructor_keeps_none_of_its_arguments() -> None:
    """Of no subclass: what was given is in no frame of it."""
    with pytest.raises(InvalidValue) as raised:
        Toy(url="ftp://toy.example", key="s3cret")
    error = raised.value
    assert error.__traceback__ is not None
    own = error.__traceback__.tb_next
    lines = traceback.TracebackException(type(error), error, own, capture_locals=True).format()
    assert "s3cret" not in "".join(lines)


async def test_a_header_of_one_request_counts_more_than_those_of_all() -> None:
    """So one request can be made without the key, or with another."""
    client = Canned(CODE)
    await Toy(client).fetch("GET", "x", headers={"X-Key": "another"})
    assert client.asked[0][2]["X-Key"] == "another"


# What failures mean


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, ServiceRefused, Reason.REFUSED_BY_SERVICE),
        (401, ServiceRefused, Reason.AUTHENTICATION_REFUSED),
        (403, ServiceRefused, Reason.AUTHENTICATION_REFUSED),
        (404, ServiceRefused, Reason.REFUSED_BY_SERVICE),
        (422, ServiceRefused, Reason.REFUSED_BY_SERVICE),
        (302, ServiceRefused, None),
        (408, ServiceUnavailable, None),
        (425, ServiceUnavailable, None),
        (429, ServiceUnavailable, None),
        (500, ServiceUnavailable, None),
        (503, ServiceUnavailable, None),
    ],
)
def test_each_status_has_one_meaning(status: int, kind: type[PeerError], reason: Any) -> None:
    """A refusal has its reason; what may be otherwise in a moment is tried again."""
    failure = failure_of_status(status)
    assert type(failure) is kind
    assert getattr(failure, "reason", None) is reason
    assert str(status) in str(failure)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_success_is_no_failure(status: int) -> None:
    """Whatever its number."""
    assert failure_of_status(status) is None


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (json_answer("{}", 401), Reason.AUTHENTICATION_REFUSED),
        (json_answer("{}", 404), Reason.REFUSED_BY_SERVICE),
        (json_answer("{}", 307), Reason.REFUSED_BY_SERVICE),
    ],
)
async def test_a_refusal_ends_the_attempt_with_its_reason(answer: Answer, outcome: Reason) -> None:
    """A code is asked for once."""
    client = Canned(answer)
    failed = await Toy(client).lifecycle().pair()
    assert isinstance(failed, Failed)
    assert failed.reason is outcome
    assert [method for method, *_ in client.asked].count("POST") == 1


@pytest.mark.parametrize(
    "answer",
    [
        json_answer("{}", 502),
        json_answer("<html>"),
        json_answer("[]"),
        json_answer("{}"),
        json_answer('{"qr":""}'),
        OSError("refused"),
    ],
    ids=["502", "a page", "a list", "no code", "an empty code", "nobody there"],
)
async def test_what_may_be_otherwise_in_a_moment_is_asked_again(
    answer: Answer | Exception,
) -> None:
    """A service that restarts is no failure; when its time is up, the failure says why."""
    client = Canned(answer, answer, CODE, PAIRED)
    assert await Toy(client).lifecycle().pair() == Connected("me")
    assert len(client.asked) == 4
    failed = await Toy(Canned(answer)).lifecycle().pair()
    assert isinstance(failed, Failed)
    assert failed.reason is Reason.GENERATING_TIMED_OUT
    assert isinstance(failed.error, ServiceUnavailable)


async def test_a_silent_service_is_given_up_in_time() -> None:
    """One request has its own deadline, so that there is time for another."""
    client = Canned(CODE, wait=11)
    with pytest.raises(ServiceUnavailable, match="no answer within 10 s"):
        await Toy(client).request_qr()


async def test_a_read_of_the_status_without_an_answer_ends_nothing() -> None:
    """It is counted, and asked again: the code is still good."""
    client = Canned(CODE, json_answer("{}", 404), json_answer("{}", 500), json_answer("x"), PAIRED)
    lifecycle = Toy(client).lifecycle()
    assert await lifecycle.pair() == Connected("me")
    assert lifecycle.dropped == {"check_status": 3}


@pytest.mark.parametrize(
    "read",
    [
        lambda body: body["nothing"]["there"],
        lambda body: body["qr"].nothing,
        lambda body: int(body["qr"]),
        lambda body: body + 1,
    ],
    ids=["LookupError", "AttributeError", "ValueError", "TypeError"],
)
async def test_promise_7_an_answer_that_cannot_be_read_is_the_services_fault(read: Any) -> None:
    """Whatever reading it raises."""
    with pytest.raises(ServiceUnavailable, match="cannot be read"):
        await Toy(Canned(CODE), read=read).request_qr()


async def test_what_the_program_does_wrong_comes_out_as_it_is() -> None:
    """A mistake of ours, or a fault of the program's own, is not taken for the service's."""

    def wrong(_body: Any) -> str:
        raise WrongAnswer("ours")

    def broken(_body: Any) -> str:
        raise ZeroDivisionError

    with pytest.raises(WrongAnswer, match="ours"):
        await Toy(Canned(CODE), read=wrong).request_qr()
    with pytest.raises(ZeroDivisionError):
        await Toy(Canned(CODE), read=broken).request_qr()


@pytest.mark.parametrize("call", ["request_qr", "check_status"])
@pytest.mark.parametrize(
    "answer", [json_answer('{"a":"s3cret"}', 401), json_answer('{"id":7}'), OSError("s3cret")]
)
async def test_promise_6_no_error_of_a_gateway_keeps_a_secret(call: str, answer: Any) -> None:
    """Neither in its text, nor behind it, nor in a frame."""
    gateway = Toy(Canned(answer), key="s3cret")
    with pytest.raises(PeerError) as raised:
        await getattr(gateway, call)()
    error = raised.value
    assert error.__context__ is error.__cause__ is None
    trace = error.__traceback__
    assert trace is not None
    own = trace.tb_next
    lines = traceback.TracebackException(type(error), error, own, capture_locals=True).format()
    assert "s3cret" not in "".join(lines)


async def test_promise_6_no_logger_hears_a_key_or_a_code(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG of every logger, also when things go wrong."""
    caplog.set_level(logging.DEBUG)
    client = Canned(json_answer('{"qr":7}', 500), CODE, OSError("k3y"), PAIRED)
    assert (await Toy(client).lifecycle().pair()).connected
    assert "asking for a code again" in caplog.text
    assert not {"k3y", "c0de", "pass"} & {w for w in ("k3y", "c0de", "pass") if w in caplog.text}


# Credentials


@pytest.mark.parametrize("key", ["a\nb", "", 7, None], ids=repr)
async def test_a_credential_that_cannot_be_sent_is_a_mistake_of_the_programs(key: Any) -> None:
    """Also one that is given by the function; it is not quoted."""

    async def give() -> Any:
        return key

    with pytest.raises(WrongAnswer, match="credential") as raised:
        await Toy(Canned(CODE), key=give).request_qr()
    assert "a\nb" not in str(raised.value)
    with pytest.raises(WrongAnswer, match="must be async"):
        await Toy(Canned(CODE), key=lambda: "x").request_qr()  # type: ignore[arg-type,return-value]


async def test_a_credential_that_cannot_be_had_is_asked_for_again() -> None:
    """A vault that restarts is no failure; what it raised is told by its kind only."""
    answers: list[str | Exception] = [OSError("s3cret"), ServiceUnavailable("vault")]
    answers += ["k"] * 4

    async def give() -> str:
        answer = answers.pop(0)
        if isinstance(answer, ServiceUnavailable):
            try:
                raise OSError("s3cret")
            except OSError:
                raise answer  # noqa: B904 - as programs do
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ServiceUnavailable, match=r"function raised OSError$"):
        await Toy(Canned(CODE), key=give).request_qr()
    with pytest.raises(ServiceUnavailable, match="vault") as raised:
        await Toy(Canned(CODE), key=give).request_qr()
    assert raised.value.__context__ is raised.value.__cause__ is None
    assert (await Toy(Canned(CODE, PAIRED), key=give).lifecycle().pair()).connected


# One request for a code at a time


async def test_two_requests_for_one_account_never_run_at_once() -> None:
    """Not even of two gateways; the second waits, and is asked then."""
    client = Canned(CODE, wait=1)
    async with anyio.create_task_group() as tasks:
        for url in ("toy.example/api", "TOY.example/api/", "toy.example:80/api"):
            tasks.start_soon(Toy(client, url=f"http://{url}").request_qr)
    assert (client.most, len(client.asked)) == (1, 3)
    assert anyio.current_time() >= 3


async def test_other_accounts_and_other_services_wait_for_nobody() -> None:
    """What is serialised is an account of a service."""
    client = Canned(CODE, wait=1)
    async with anyio.create_task_group() as tasks:
        for gateway in (Toy(client), Toy(client, account="other"), Toy(client, url="http://h")):
            tasks.start_soon(gateway.request_qr)
    assert client.most == 3


async def test_whoever_is_cancelled_gives_its_turn_back() -> None:
    """While it has it, and while it waits for it."""
    client = Canned(CODE, wait=5)
    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(1):
            tasks.start_soon(Toy(client).request_qr)
            await settle()
            await Toy(client).request_qr()
        tasks.cancel_scope.cancel()
    assert (await Toy(Canned(CODE)).request_qr()) == QRCode("c0de")


async def test_promise_8_a_turn_is_kept_no_longer_than_it_is_needed() -> None:
    """Nothing grows with the accounts that there ever were."""
    for number in range(50):
        await Toy(Canned(CODE), account=f"bot-{number}").request_qr()
    gc.collect()
    assert len(_TURNS.get()) == 0
    turn = turn_of("http://h", "a")
    assert turn_of("http://h", "a") is turn
    assert turn_of("http://h", "b") is not turn


def test_each_event_loop_has_turns_of_its_own() -> None:
    """A turn that somebody has in one loop blocks nobody in another."""

    async def ask() -> None:
        await turn_of("http://h", "a").__aenter__()

    kept = [anyio.run(ask), anyio.run(ask), anyio.run(ask, backend="trio")]
    assert len(kept) == 3


async def test_until_there_is_something_to_say() -> None:
    """It asks with pauses, and ends with the lifecycle's patience."""
    answers = [None, None, "x"]
    began = anyio.current_time()

    async def ask() -> str | None:
        return answers.pop(0)

    assert await until(ask, every=2) == "x"
    assert anyio.current_time() - began == pytest.approx(4)


# Actions


async def test_an_answer_to_an_action_is_sent() -> None:
    """Where the service takes it, and it is of the kind that fits."""
    gateway = Toy(Canned(json_answer("{}")))
    reply = CodeCompared(same=True)
    await gateway.answer(ActionRequired("compare_code"), reply)
    await gateway.answer(ActionRequired("password"), PasswordGiven("s3cret"))
    assert gateway.replied == [("compare_code", reply), ("password", PasswordGiven("s3cret"))]
    assert "s3cret" not in repr(gateway.replied) + repr(PasskeySigned({"k": "s3cret"}))


async def test_an_answer_that_does_not_fit_is_refused_by_name() -> None:
    """An action that the service takes no answer to, another kind of reply, and none at all."""
    gateway = Toy(Canned(json_answer("{}")))
    with pytest.raises(WrongAnswer, match=r"Toy takes no answer to 'passkey' \(to: compare_code"):
        await gateway.answer(ActionRequired("passkey"), PasskeySigned({}))
    with pytest.raises(WrongAnswer, match="answered with CodeCompared, not PasswordGiven"):
        await gateway.answer(ActionRequired("compare_code"), PasswordGiven("s3cret"))
    with pytest.raises(WrongAnswer, match="by itself says nothing"):
        Reply()
    with pytest.raises(ServiceRefused):
        await Toy(Canned(json_answer("{}", 422))).answer(
            ActionRequired("compare_code"), CodeCompared()
        )


# A transport that is made when it is opened


async def test_a_deferred_transport_is_the_other_one() -> None:
    """It opens, hears and closes by it; what it cannot make is unreachable."""
    peer = ScriptedPeer()

    async def make() -> Transport:
        await anyio.sleep(1)
        return peer()

    transport = DeferredTransport(make, ("bot",))
    assert transport.subject == ("bot",)
    assert transport.dropped == {}
    with pytest.raises(anyio.EndOfStream):
        await transport.receive()
    async with transport:
        peer.send(Paired("me"))
        assert await transport.receive() == Paired("me")
    assert peer.open_sockets == 0


async def test_a_deferred_transport_that_is_aborted_while_it_is_made_opens_nothing() -> None:
    """The other one is aborted as soon as it is there."""
    peer = ScriptedPeer()

    async def make() -> Transport:
        await anyio.sleep(1)
        return peer()

    transport = DeferredTransport(make)
    async with anyio.create_task_group() as tasks:

        async def open_it() -> None:
            with pytest.raises(TransportUnreachable):
                await transport.open()

        tasks.start_soon(open_it)
        await settle()
        transport.abort()
    assert peer.open_sockets == 0


async def test_why_a_deferred_transport_did_not_open_may_be_explained() -> None:
    """What is known here is told with the error, and nothing of the one before is kept."""
    peer = ScriptedPeer([Fault.UNREACHABLE, Fault.REFUSED, Fault.UNREACHABLE])

    async def make() -> Transport:
        return peer()

    def explained(error: TransportError) -> TransportError:
        if isinstance(error, TransportUnreachable):
            return error.retold(TransportUnreachable, "is it switched on?")
        return error

    with pytest.raises(TransportUnreachable, match=r"^is it switched on\?$") as caught:
        await DeferredTransport(make, explained=explained).open()
    assert caught.value.__cause__ is None
    with pytest.raises(TransportRefused):
        await DeferredTransport(make, explained=explained).open()
    with pytest.raises(TransportUnreachable) as caught:
        await DeferredTransport(make).open()
    assert "switched on" not in str(caught.value)


class Noting(Transport):
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def open(self) -> None:
        self.done.append("open")

    async def receive(self) -> Signal:
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        self.done.append("aclose")

    def abort(self) -> None:
        self.done.append("abort")


@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_what_ends_a_deferred_transport_ends_the_other_one(how: str) -> None:
    """In the same way; and one that comes to be after that is aborted, and not opened."""
    made = [Noting(), Noting()]

    async def make() -> Transport:
        await anyio.sleep(1)
        return made.pop(0)

    async def end(transport: Transport) -> None:
        if how == "aclose":
            await transport.aclose()
        else:
            transport.abort()

    first, second = made
    transport = DeferredTransport(make)
    await transport.open()
    await end(transport)
    assert first.done == ["open", how]
    transport = DeferredTransport(make)
    await end(transport)
    with pytest.raises(TransportUnreachable, match="closed while it opened"):
        await transport.open()
    assert second.done == ["abort"]
