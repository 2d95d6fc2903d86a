"""Whatever the program's own functions raise or give back, `pair()` ends as the table here says.

The table of right values is data; the same table stands in docs/how-to/embed.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import (
    ActionRequired,
    Connected,
    Failed,
    Outcome,
    Paired,
    PairingCode,
    PairingRefused,
    Policy,
    QRCode,
    QRLifecycle,
    Reason,
    Scanned,
    ServiceRefused,
    Signal,
    State,
    Transport,
    TransportLost,
    UsageError,
    WrongAnswer,
)
from qrlifecycle.errors import ForeignCancellation, UnsupportedBackend

# The right values


class Stands(NamedTuple):
    """It is logged and changes nothing: the attempt goes on, and its outcome stands."""


STANDS = Stands()

Right = Stands | Reason | type[UsageError]
"""It goes on; or the attempt fails for a reason; or `pair()` raises this error."""

OF_EXCEPTION = ("an exception", "`UsageError`", "`ServiceRefused`", "another's cancellation")
OF_MISUSE = ("a wrong value", "async for plain")

R = Reason

RIGHT: dict[str, tuple[Right, ...]] = {
    "on_change": (STANDS,) * 6,
    "on_scanned": (STANDS,) * 6,
    "on_connected": (STANDS,) * 6,
    "on_connection_failed": (STANDS,) * 6,
    "on_qr_updated": (*(R.SHOWING_FAILED,) * 4, STANDS, R.SHOWING_FAILED),
    "on_pairing_code": (*(R.SHOWING_FAILED,) * 4, STANDS, R.SHOWING_FAILED),
    "on_action_required": (*(R.SHOWING_FAILED,) * 4, STANDS, R.SHOWING_FAILED),
    "recorders": (STANDS,) * 6,
    "request_qr": (
        R.GENERATING_FAILED,
        R.GENERATING_FAILED,
        R.REFUSED_BY_SERVICE,
        R.GENERATING_FAILED,
        WrongAnswer,
        WrongAnswer,
    ),
    "check_status": (STANDS,) * 6,
    "expect_identity": (R.WRONG_IDENTITY,) * 6,
    "transport": (
        R.TRANSPORT_UNREACHABLE,
        UnsupportedBackend,
        R.REFUSED_BY_SERVICE,
        R.TRANSPORT_UNREACHABLE,
        WrongAnswer,
        WrongAnswer,
    ),
    "transport, reconnecting": (
        R.TRANSPORT_LOST,
        UnsupportedBackend,
        R.REFUSED_BY_SERVICE,
        R.TRANSPORT_LOST,
        WrongAnswer,
        WrongAnswer,
    ),
    "open()": (
        R.TRANSPORT_UNREACHABLE,
        UnsupportedBackend,
        R.REFUSED_BY_SERVICE,
        R.TRANSPORT_UNREACHABLE,
        STANDS,
        R.TRANSPORT_UNREACHABLE,
    ),
    "open(), reconnecting": (
        R.TRANSPORT_LOST,
        UnsupportedBackend,
        R.REFUSED_BY_SERVICE,
        R.TRANSPORT_LOST,
        STANDS,
        R.TRANSPORT_LOST,
    ),
    "receive()": (
        R.TRANSPORT_LOST,
        UnsupportedBackend,
        R.REFUSED_BY_SERVICE,
        R.TRANSPORT_LOST,
        R.TRANSPORT_LOST,
        R.TRANSPORT_LOST,
    ),
    "close_nowait()": (STANDS,) * 6,
    "aclose()": (STANDS,) * 6,
    "abort()": (STANDS,) * 6,
    "dropped": (STANDS,) * 5,
    "subject": (STANDS,) * 5,
}
"""What comes of what each function raises or gives back, each time that it is called.

In the order of `OF_EXCEPTION` and `OF_MISUSE`. Of a hook it holds for plain and async ones alike.
Nobody makes a property async, so two rows are shorter.
"""

STATE_OF_EXIT = {
    "on_connected": State.CONNECTED,
    "on_connection_failed": State.FAILED,
    "close_nowait()": State.CONNECTED,
    "aclose()": State.CONNECTED,
    "abort()": State.CONNECTED,
    "dropped": State.CONNECTED,
}
"""The state after what is no `Exception` came out of `pair()`, where it is not idle: what was
decided before stands."""

HOOKS = (
    "on_change",
    "on_scanned",
    "on_connected",
    "on_connection_failed",
    "on_qr_updated",
    "on_pairing_code",
    "on_action_required",
)

ASYNC = ("request_qr", "check_status", "open()", "receive()", "aclose()")
"""Functions that must be async; hooks may be, and the others must not."""


class OwnExit(BaseException):
    """What a program may have."""


EXITS: dict[str, Callable[[], BaseException]] = {
    "`SystemExit`": lambda: SystemExit(3),
    "`KeyboardInterrupt`": KeyboardInterrupt,
    "`GeneratorExit`": GeneratorExit,
    "a `BaseException`": OwnExit,
}

SECRET = "5f0c1e9ad7b3"

KINDS = (*OF_EXCEPTION, "another scope's cancellation", *OF_MISUSE, *EXITS)


# The functions that misbehave


async def cancellation(*, by_scope: bool = False) -> BaseException:
    """Somebody else's, as it comes out of something shared that was cancelled."""
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        future = asyncio.get_running_loop().create_future()
        future.cancel("Cancelled via cancel scope 7f2a" if by_scope else None)
        with pytest.raises(asyncio.CancelledError) as cancelled:
            future.result()
        return cancelled.value
    caught: list[BaseException] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        except BaseException as error:
            caught.append(error)
            raise
    return caught[0]


async def misbehaviour(kind: str) -> Callable[[], Any]:
    """A plain function that raises as this kind says, or gives back what no place wants."""
    error: BaseException | None = {
        "an exception": ValueError(SECRET),
        "`UsageError`": UnsupportedBackend("not here"),
        "`ServiceRefused`": ServiceRefused("no"),
        "another's cancellation": await cancellation(),
        "another scope's cancellation": await cancellation(by_scope=True),
        **{name: make() for name, make in EXITS.items()},
    }.get(kind)

    def misbehave() -> Any:
        if error is not None:
            raise error
        return "what is wanted nowhere"

    return misbehave


def disguised(kind: str, place: str, misbehave: Callable[[], Any], *, as_async: bool) -> Any:
    """The function to give: async or not, as is right there, or just not."""
    asynchronous = place.partition(",")[0] in ASYNC

    async def told_async(*_arguments: object) -> Any:
        await anyio.lowlevel.checkpoint()
        return misbehave()

    async def raises(*_arguments: object) -> Any:
        raise ValueError(SECRET)

    if kind == "async for plain":
        # The other way round where an async one is right.
        return (lambda *_: None) if asynchronous else (lambda *_: raises())
    return told_async if asynchronous or as_async else (lambda *_: misbehave())


class Wire(Transport):
    """A transport that says what it is told to, a second after each other."""

    open_sockets = 0

    def __init__(self, says: Iterator[Signal | Exception], broken: dict[str, Any]) -> None:
        self.says = says
        self.broken = broken
        self.is_open = False

    def set_open(self, *, is_open: bool) -> None:
        """Keep book."""
        Wire.open_sockets += is_open - self.is_open
        self.is_open = is_open

    @property
    def dropped(self) -> Any:
        """Nothing, if it behaves."""
        return self.broken["dropped"]() if "dropped" in self.broken else {}

    @property
    def subject(self) -> Any:
        """Nobody, if it behaves."""
        return self.broken["subject"]() if "subject" in self.broken else None

    def open(self) -> Awaitable[None]:  # type: ignore[override]
        """The socket exists in any case."""
        self.set_open(is_open=True)
        return self._or_broken("open()", self._nothing)

    def receive(self) -> Awaitable[Signal]:  # type: ignore[override]
        """What it says next, or nothing for ever."""
        return self._or_broken("receive()", self._next)

    def close_nowait(self) -> Any:
        """It has to wait, if it behaves."""
        return self.broken["close_nowait()"]() if "close_nowait()" in self.broken else False

    def aclose(self) -> Awaitable[None]:  # type: ignore[override]
        """The socket is left open if it misbehaves."""
        return self._or_broken("aclose()", self._close)

    def abort(self) -> Any:
        """The socket is shut in any case."""
        self.set_open(is_open=False)
        return self.broken["abort()"]() if "abort()" in self.broken else None

    def _or_broken(self, name: str, behave: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
        return self.broken.get(name, behave)()  # type: ignore[no-any-return]

    async def _nothing(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def _close(self) -> None:
        self.set_open(is_open=False)

    async def _next(self) -> Signal:
        await anyio.sleep(1)
        if (said := next(self.says, None)) is None:
            await anyio.sleep_forever()
        if isinstance(said, Exception):
            raise said
        assert said is not None
        return said


class Stage:
    """A lifecycle one of whose functions misbehaves, and what its observers saw."""

    def __init__(self, place: str, function: Any, *, beside: bool) -> None:
        name, _, again = place.partition(",")
        self.connected: list[Connected] = []
        self.calls = 0
        self.name, self.again, self.function = name, bool(again), function
        end = PairingRefused() if name == "on_connection_failed" else Paired("me")
        breaks = [TransportLost("broke")] if again else []
        self.says = iter([*breaks, Scanned(), ActionRequired("passkey"), end])
        self.expected: Outcome = (
            Failed(Reason.REFUSED_BY_SERVICE)
            if isinstance(end, PairingRefused)
            else Connected("me")
        )
        code = PairingCode("12345678") if name == "on_pairing_code" else QRCode("a code")

        async def request_qr() -> QRCode | PairingCode | Paired:
            return code

        async def no_news(*_arguments: object) -> None:
            return None

        options: dict[str, Any] = {"on_connected": self.connected.append, "recorders": [_ignore]}
        if beside:
            options |= {"on_change": no_news, "check_status": no_news}
        if name in {*HOOKS, "check_status", "expect_identity"}:
            options[name] = self.call
        elif name == "recorders":
            options[name] = [self.call]
        request: Any = self.call if name == "request_qr" else request_qr
        policy = Policy(max_reconnects=1)
        self.lifecycle = QRLifecycle(request, self.make, policy=policy, **options)

    def call(self, *arguments: object) -> Any:
        """The function that misbehaves."""
        self.calls += 1
        return self.function(*arguments)

    def make(self) -> Any:
        """The transport factory."""
        first, self.made = not hasattr(self, "made"), True
        right = first and self.again
        if self.name == "transport" and not right:
            return self.call()
        return Wire(self.says, {} if right else {self.name: self.call})

    async def pair(self) -> Outcome | BaseException:
        """How `pair()` ended, whatever that was."""
        try:
            return await self.lifecycle.pair()
        except BaseException as error:
            return error


def _ignore(_record: object) -> None:
    """A recorder."""


class AsyncStage(Stage):
    """The same with a function that is known to be async."""

    async def call(self, *arguments: object) -> Any:
        """The function that misbehaves."""
        self.calls += 1
        return await self.function(*arguments)


def cells() -> Iterator[tuple[str, bool, str]]:
    """Each cell of the table, with a plain function and an async one, where it may be either."""
    for place, rights in RIGHT.items():
        for kind in KINDS:
            if kind != OF_MISUSE[-1] or len(rights) == len(OF_EXCEPTION) + len(OF_MISUSE):
                yield place, False, kind
                if place in HOOKS:
                    yield place, True, kind


def right_value(place: str, kind: str) -> Right | type[BaseException]:
    """What the table says."""
    if kind in EXITS:
        return type(EXITS[kind]())
    kind = "another's cancellation" if kind == "another scope's cancellation" else kind
    return RIGHT[place][(*OF_EXCEPTION, *OF_MISUSE).index(kind)]


@pytest.mark.anyio
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside"])
@pytest.mark.parametrize(("place", "as_async", "kind"), list(cells()))
async def test_whatever_a_function_of_the_programs_does_the_end_is_right(
    place: str, *, as_async: bool, kind: str, beside: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The outcome or the bare exception, a legal state, and nothing left: with tasks or without."""
    caplog.set_level(logging.DEBUG)
    Wire.open_sockets = 0
    function = disguised(kind, place, await misbehaviour(kind), as_async=as_async)
    known_async = as_async and kind != "async for plain"
    stage = (AsyncStage if known_async else Stage)(place, function, beside=beside)
    tasks = set(anyio.get_running_tasks())
    ended = await stage.pair()
    _judge_end(stage, ended, right_value(place, kind), kind)
    assert stage.calls > 0
    assert Wire.open_sockets == 0
    assert not stage.lifecycle.socket_open
    assert set(anyio.get_running_tasks()) == tasks
    told = stage.calls if stage.name == "on_connected" else len(stage.connected)
    assert told == (stage.lifecycle.state is State.CONNECTED)
    assert SECRET not in "".join(map(logging.Formatter().format, caplog.records))
    if kind == "an exception":
        assert "ValueError" in caplog.text
    elif "cancellation" in kind:
        assert (
            ForeignCancellation.__name__ in caplog.text or str(ForeignCancellation()) in caplog.text
        )


def _judge_end(stage: Stage, ended: object, right: Any, kind: str) -> None:
    state = stage.lifecycle.state
    if right is STANDS:
        assert ended == stage.expected
        assert state is (State.CONNECTED if stage.expected.connected else State.FAILED)
    elif isinstance(right, Reason):
        assert isinstance(ended, Failed)
        assert ended.reason is right
        assert state is State.FAILED
        if "cancellation" in kind and ended.error is not None:
            assert type(ended.error) is ForeignCancellation
    else:
        assert type(ended) is right
        failed = issubclass(right, Exception)
        assert state is (State.FAILED if failed else STATE_OF_EXIT.get(stage.name, State.IDLE))


# The table in the documentation


def markdown() -> str:
    """The table of right values, as it stands in the documentation."""
    head = ["", *OF_EXCEPTION, "a wrong value", "async for plain, or plain for async"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [
        f"| `{place.replace(',', '`,')}{'' if ',' in place else '`'} | "
        f"{' | '.join([*map(_in_words, rights), *['-'] * (len(head) - 1 - len(rights))])} |"
        for place, rights in RIGHT.items()
    ]
    return "\n".join(lines)


def _in_words(right: Right) -> str:
    if isinstance(right, Stands):
        return "logged"
    if isinstance(right, Reason):
        return f"`{right}`"
    return "raises `WrongAnswer`" if right is WrongAnswer else "raises it"


def test_the_table_of_the_documentation_is_the_one_that_is_tested() -> None:
    """What your functions may raise: docs/how-to/embed.md."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "embed.md"
    assert markdown() in page.read_text()
