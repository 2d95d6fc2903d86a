"""What may hold a secret shows it nowhere: not in a pickle, not in an error's frames, half made."""

from __future__ import annotations

import asyncio
import copy
import io
import pickle
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import qrlifecycle as q
from qrlifecycle import codes, monitoring, outcome, pictures, records, signals
from qrlifecycle.cli.http_requests import CodeRequest, StatusRequest
from qrlifecycle.engine.observers import Change
from qrlifecycle.errors import Malformed
from qrlifecycle.testing import PairingServer, ScriptedPeer

SECRET = "5f0c1e9ad7b3"

PACKAGE = str(Path(q.__file__).parent)

CODE = q.QRCode(SECRET)


def a_transport(**more: Any) -> q.SocketIOTransport:
    """One with a secret wherever one may be."""
    given: dict[str, Any] = {
        "auth": {"token": SECRET},
        "headers": {"X-Key": SECRET},
        "bot_id": "b",
        "user_id": "u",
    }
    return q.SocketIOTransport(f"http://me:{SECRET}@127.0.0.1:1/?key={SECRET}", **given | more)


def a_lifecycle(**more: Any) -> q.QRLifecycle:
    """One whose transports have secrets."""

    async def request_qr() -> q.QRCode:
        return CODE

    return q.QRLifecycle(request_qr, partial(a_transport), **more)


HOLDERS: list[object] = [
    CODE,
    q.PairingCode(SECRET),
    q.QRUpdated(CODE),
    pictures.Picture(b"\x89PNG\r\n\x1a\n" + SECRET.encode()),
    q.QRCode(picture=b"\x89PNG\r\n\x1a\n" + SECRET.encode()),
    a_transport(),
    a_lifecycle(),
    ScriptedPeer()(),
    CodeRequest(f"http://h/?{SECRET}", "b", "u", headers={"Authorization": SECRET}),
    StatusRequest(f"http://h/?{SECRET}", "b", "u", headers={"Authorization": SECRET}),
    PairingServer(token=SECRET),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_promise_6_what_holds_a_secret_is_not_pickled(holder: object) -> None:
    """By no protocol; a transport and a lifecycle are not copied either: there is one socket."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        stream = io.BytesIO()
        with pytest.raises((TypeError, pickle.PicklingError, AttributeError)) as caught:
            pickle.Pickler(stream, protocol).dump(holder)
        assert SECRET not in str(caught.value)
        assert SECRET.encode() not in stream.getvalue()
    assert SECRET not in repr(holder)
    if isinstance(holder, q.Transport | q.QRLifecycle):
        for duplicate in (copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled or copied"):
                duplicate(holder)


def test_an_outcome_may_be_handed_to_another_process() -> None:
    """It is the program's result, so it can be pickled: with all that came along, like a token."""
    for whole in (q.Connected("+49", {"token": SECRET}), q.Failed(q.Reason.EXPIRED), q.Cancelled()):
        assert pickle.loads(pickle.dumps(whole)) == copy.deepcopy(whole) == whole
        assert SECRET not in repr(whole)


def shown(error: BaseException, *, everywhere: bool = False) -> str:
    """All that an error reporter shows: texts, variables of frames, and of what it came from.

    Of frames those of the library: what the program's own hold is the program's.
    """
    chain: list[str] = []
    seen: BaseException | None = error
    while seen is not None:  # a context that is suppressed is kept all the same
        told = traceback.TracebackException.from_exception(seen, capture_locals=True)
        ours = [f for f in told.stack if everywhere or f.filename.startswith(PACKAGE)]
        told.stack = traceback.StackSummary.from_list([])
        chain += [*told.format(chain=False), *(str(frame.locals) for frame in ours)]
        seen = seen.__cause__ or seen.__context__
    return "".join(chain)


REFUSED: list[Callable[[], object]] = [
    lambda: q.QRCode(SECRET * 400),
    lambda: q.QRCode(SECRET + "\ud800"),
    lambda: q.QRCode(SECRET, expires_in=-1),
    lambda: q.QRCode(f"data:{SECRET}"),
    lambda: q.QRCode(SECRET, picture=SECRET.encode()),
    lambda: q.QRCode([SECRET]),  # type: ignore[arg-type]
    lambda: q.QRCode(SECRET, expires=3),  # type: ignore[call-arg]
    lambda: q.PairingCode(SECRET * 9),
    lambda: q.PairingCode(SECRET + "\ud800"),
    lambda: pictures.Picture(SECRET.encode()),
    lambda: q.QRUpdated(SECRET),  # type: ignore[arg-type]
    lambda: q.ActionRequired("", {"password": SECRET}),
    lambda: q.ActionRequired("password", SECRET),  # type: ignore[arg-type]
    lambda: q.Paired([SECRET]),  # type: ignore[arg-type]
    lambda: q.Paired("+49", SECRET),  # type: ignore[arg-type]
    lambda: q.PairingRefused(SECRET, {"token": SECRET}),  # type: ignore[arg-type]
    lambda: a_transport(namespace=SECRET),
    lambda: a_transport(auth={"token": object(), "other": SECRET}),
    lambda: a_transport(heartbeat=-1),
    lambda: a_transport(no_such_argument=SECRET),
    lambda: a_lifecycle(policy=partial(a_transport, auth={"token": SECRET})),
    lambda: a_lifecycle(on_connected=SECRET),
    lambda: a_lifecycle(recorders=SECRET),
    lambda: a_lifecycle(expect_identity={SECRET}),
    lambda: q.Policy(close_timeout=SECRET),  # type: ignore[arg-type]
    lambda: monitoring.Limits(success=SECRET),  # type: ignore[arg-type]
    lambda: CodeRequest(f"ftp://h/?{SECRET}", "b", "u", headers={"Authorization": SECRET}),
]


@pytest.mark.parametrize("make", REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_promise_6_what_says_no_lets_go_of_what_it_was_given(make: Callable[[], object]) -> None:
    """An error keeps the frames that it went through, and what it came from: none has a secret."""
    with pytest.raises((q.UsageError, TypeError)) as caught:
        make()
    assert SECRET not in shown(caught.value)


def public_classes() -> list[type]:
    """The classes of the front door, and of the modules that it refers to."""
    named = [getattr(q, name) for name in q.__all__]
    for module in (codes, monitoring, outcome, pictures, records, signals):
        named += [getattr(module, name) for name in module.__all__]
    made = {one for one in named if isinstance(one, type) and not issubclass(one, Exception | str)}
    return sorted(made | {Change}, key=lambda one: one.__name__)


@pytest.mark.parametrize("cls", public_classes())
def test_a_repr_never_raises(cls: type) -> None:
    """Not even of an object whose constructor has not ended: what shows all variables goes on."""
    make: Any = cls.__new__
    try:
        half_made = make(cls)
    except TypeError:  # an ABC
        return
    assert cls.__name__ in repr(half_made)
    try:
        raise ValueError
    except ValueError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "half_made = " in "".join(told.format())


async def redirecting() -> web.AppRunner:
    """A server that redirects whoever comes."""

    async def redirect(_request: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/")

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", redirect)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


@pytest.mark.parametrize("end", ["redirects", "nobody listens", "answers malformed"])
def test_promise_6_an_outcomes_error_keeps_no_frame_with_a_secret(end: str) -> None:
    """An outcome is kept; what led to it is not: neither headers nor a URL nor an answer."""

    async def scenario() -> q.Outcome:
        runner = await redirecting()
        port = runner.addresses[0][1] if end == "redirects" else 1

        async def request_qr() -> q.QRCode:
            if end != "answers malformed":
                return CODE
            body = {"qr": 7, "token": SECRET}
            raise Malformed("qr", f"must be text, not {type(body['qr']).__name__}")

        transport = partial(
            q.SocketIOTransport,
            f"http://127.0.0.1:{port}/?key={SECRET}",
            bot_id="b",
            user_id="u",
            headers={"X-Key": SECRET},
        )
        try:
            policy = q.Policy(max_reconnects=0)
            return await q.QRLifecycle(request_qr, transport, policy=policy).pair()
        finally:
            await runner.cleanup()

    failed = asyncio.run(scenario())
    assert isinstance(failed, q.Failed)
    assert isinstance(failed.error, q.PeerError)
    assert SECRET not in shown(failed.error)
    assert failed.error.__traceback__ is None


def test_the_net_for_frames_has_no_hole() -> None:
    """What a frame, a cause or a context holds is seen."""

    def holding(secret: str) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        holding(SECRET)
    assert SECRET in shown(caught.value, everywhere=True)
    error = RuntimeError()
    error.__context__ = caught.value
    error.__suppress_context__ = True
    assert SECRET in shown(error, everywhere=True)
