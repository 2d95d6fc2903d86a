"""What cannot be called as it would be is refused by name, and before anything is called."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, cast
from unittest.mock import Mock

import pytest

from qrlifecycle import (
    Failed,
    Policy,
    QRLifecycle,
    Reason,
    SocketIOTransport,
    UsageError,
    WebSocketTransport,
    WrongAnswer,
)
from qrlifecycle.calling import has_names_only, misfit
from qrlifecycle.testing import ScriptedPeer

from .pairing import request_qr

URL = "http://127.0.0.1:1"


def refused(**options: Any) -> str:
    """How a lifecycle refuses what it is given."""
    given: Any = {"request_qr": request_qr, "transport": ScriptedPeer(), **options}
    with pytest.raises(WrongAnswer) as raised:
        QRLifecycle(**given)
    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    ours = [frame for frame in shown.stack if "/qrlifecycle/" in frame.filename]
    assert "sesame" not in str([frame.locals for frame in ours])
    return str(raised.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"bot_id": "b", "userid": "sesame"},
            "takes no argument 'userid'; did you mean 'user_id'?",
        ),
        (
            {"bot_id": "b", "user_id": "u", "token": "sesame"},
            "takes no argument 'token'; it takes: ",
        ),
        ({"bot_id": "b"}, "SocketIOTransport: missing a required argument: 'user_id'"),
        ({"bot_id": "b", "user_id": "u", "url": URL}, "multiple values for argument 'url'"),
    ],
)
def test_a_misspelt_argument_of_a_transport_is_refused_by_name(
    given: dict[str, Any], says: str
) -> None:
    """When the lifecycle is made, not beside the socket; no value is in the text."""
    said = refused(transport=partial(SocketIOTransport, URL, **given))
    assert said.startswith("transport cannot be called without arguments: SocketIOTransport")
    assert says in said.replace("a required keyword-only", "a required")
    assert "sesame" not in said


def test_what_is_called_without_arguments_needs_none() -> None:
    """Each function of the program's, and in each form."""

    def transport(url: str) -> Any:
        return url

    async def ask(user: str) -> Any:
        return user

    named: Any = transport
    for name, function in {
        "transport": transport,
        "request_qr": ask,
        "check_status": ask,
        "lease": partial(named, color="red"),
    }.items():
        said = refused(**{name: function})
        assert said.startswith(f"{name} cannot be called without arguments: ")
        assert "missing a required argument" in said or "no argument 'color'" in said
    assert "WebSocketTransport: missing a required argument: 'read'" in refused(
        transport=partial(WebSocketTransport, URL)
    )


@pytest.mark.parametrize("name", ["on_connected", "on_change", "on_qr_updated", "expect_identity"])
def test_a_hook_takes_one_argument(name: str) -> None:
    """Plain or async, neither fewer nor more."""

    async def none() -> None: ...

    def two(_one: object, _other: object) -> None: ...

    assert "too many positional arguments" in refused(**{name: lambda: None})
    assert "missing a required argument: '_other'" in refused(**{name: two})
    if name != "expect_identity":
        assert f"{name} cannot be called with one argument: " in refused(**{name: none})
    assert "each of recorders cannot be called" in refused(recorders=[two])


def test_a_misspelt_argument_of_a_constructor_is_refused_by_name() -> None:
    """Older Pythons name no other; `WrongAnswer` is a `TypeError` as well."""
    made: Any = QRLifecycle
    with pytest.raises(TypeError, match=r"'on_qr_update'; did you mean 'on_qr_updated'\?"):
        made(request_qr, ScriptedPeer(), on_qr_update=print)
    policy: Any = Policy
    with pytest.raises(WrongAnswer, match=r"'max_refresh'; did you mean 'max_refreshes'\?"):
        policy(max_refresh=1)
    with pytest.raises(WrongAnswer, match=r"takes no argument 'xyz'; it takes: .*") as raised:
        policy(xyz=1)
    assert "self" not in str(raised.value)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'transport'"):
        made(request_qr)


def test_what_an_outer_partial_gives_counts_beside_what_an_inner_one_gives() -> None:
    """A partial with a name of its own, as `update_wrapper` gives it one, stays apart."""
    inner: Any = partial(SocketIOTransport, URL, bot_id="b")
    inner.__name__ = "transport"
    assert misfit(partial(inner, user_id="u"), 0) is None
    assert "did you mean 'user_id'?" in str(misfit(partial(inner, userid="u"), 0))


def test_what_is_given_by_its_place_only_is_not_among_what_may_be_given_by_name() -> None:
    """The hint names what can be written there; whoever takes any name is told none."""

    def transport(url: str, /, *more: object, color: str = "") -> Any:
        return url, more, color

    named: Any = transport

    def any_name(url: str = "", **more: object) -> Any:
        return url, more

    said = misfit(partial(named, url="sesame"), 0)
    assert str(said).endswith("transport takes no argument 'url'; it takes: color")
    assert misfit(partial(any_name, color="red"), 0) is None


class Two:
    """One argument by its place or its name, and one by its name alone."""

    def __init__(self, one: int, *, other: int, more: int = 0) -> None: ...

    def method(self, one: int, other: int = 0) -> None: ...


class Placed:
    """One argument by its place alone."""

    def __init__(self, one: int, /, other: int = 0) -> None: ...


class Open:
    """Whatever it is given."""

    def __init__(self, *_places: object, **_named: object) -> None: ...


def test_what_fits_is_seen_without_binding_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain functions and classes, which are given mostly: hundreds of lifecycles are made."""

    def optional(_one: int, _other: int = 0, *, _more: int = 0) -> None: ...

    monkeypatch.setattr(inspect.Signature, "bind", Mock(side_effect=AssertionError))
    for function, number in (
        (request_qr, 0),
        (optional, 1),
        (optional, 2),
        (partial(Two, one=1, other=2, more=3), 0),
        (partial(Two, 1, other=2), 0),
        (partial(Two, other=2), 1),
        (partial(Placed, other=2), 1),
        (Placed, 2),
        (Open, 0),
    ):
        assert misfit(function, number) is None


def test_what_hardly_fits_is_refused() -> None:
    """One argument too few or too many, in each way to give one."""
    nothing: Any = lambda: None  # noqa: E731
    method, two, placed = cast("tuple[Any, ...]", (Two(1, other=2).method, Two, Placed))
    for function, number in (
        (nothing, 1),
        (partial(nothing, color="red"), 0),
        (method, 0),
        (method, 3),
        (partial(two, other=2), 0),
        (partial(two, other=2), 2),
        (partial(two, 1, 2), 0),
        (partial(two, 1), 0),
        (partial(two, 1, one=1, other=2), 0),
        (placed, 0),
        (partial(placed, one=1), 0),
    ):
        assert misfit(function, number) is not None


def injected(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that gives an argument of its own, as many frameworks do."""

    @wraps(function)
    def inject(*given: object) -> Any:
        return function(*given, "a server")

    return inject


class Unreadable:
    """What stands for its signature is none."""

    __signature__ = 7

    def __call__(self) -> Any:
        raise AssertionError


class Opaque:
    """It says that it takes nothing, which is not so."""

    __signature__ = inspect.Signature()

    def __call__(self, url: str) -> Any:
        return url


def test_what_nobody_knows_is_not_refused() -> None:
    """Decorators that give arguments, mocks, built-in functions, signatures that are not so."""

    @injected
    def transport(url: str) -> Any:
        return url

    @injected
    def show(code: object, server: str) -> None:
        heard.append((code, server))

    class Served:
        @injected
        def __init__(self, server: str) -> None: ...

    heard: list[object] = []
    for hook in (show, Mock(), heard.append, print, partial(print, "heard", sep=": "), str):
        QRLifecycle(request_qr, Mock(), on_change=hook)
    unknown = (Mock(), range, Opaque(), partial(Opaque()), Unreadable())
    for factory in (transport, partial(transport), Served, *unknown):
        made: Any = factory
        QRLifecycle(request_qr, made)
    assert misfit(heard.append, 7) is None
    assert misfit(lambda *_all, **_named: None, 7) is None
    assert misfit(partial(partial(dict, a=1), b=2), 0) is None
    assert misfit(lambda *, named: named, 0) is not None


@pytest.mark.anyio
async def test_a_factory_that_turns_out_not_to_be_callable_so_is_a_mistake() -> None:
    """It comes out of `pair()` with its text, and what is called further in with its place."""
    failures: list[Any] = []
    opaque: Any = Opaque()
    lifecycle = QRLifecycle(request_qr, opaque, on_connection_failed=failures.append)
    with pytest.raises(UsageError, match=r"factory cannot be called: .* missing 1 required"):
        await lifecycle.pair()
    assert "missing 1 required" in str(failures[0].error)

    def transport() -> Any:
        return opaque()

    with pytest.raises(UsageError, match=r"a call does not fit: .*\(.*test_calling\.py:\d+\)"):
        await QRLifecycle(request_qr, transport).pair()
    no_number: Any = partial(int, "seven")  # no frame is further in, and yet it was called
    outcome = await QRLifecycle(request_qr, no_number, policy=Policy(max_reconnects=0)).pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.TRANSPORT_UNREACHABLE


def test_only_what_python_says_itself_is_names_only() -> None:
    """The same words of somebody else's may hold anything."""
    said = "f() missing 1 required positional argument: 'x'"
    assert has_names_only(TypeError(said))
    assert not has_names_only(ValueError(said))
    assert not has_names_only(TypeError(f"{said} (s3cret)"))
