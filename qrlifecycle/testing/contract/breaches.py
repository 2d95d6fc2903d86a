"""What a check says of a broken clause: what happened, where, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import isinf

from ...errors import Ending, TransportError
from ...signals import Signal
from ...transports.base import Transport
from ..leaks import TASK
from ..wording import difference, in_words
from .operation import Operation
from .peer import Peer
from .transport_lines import TransportLine, place_of_error, place_of_method, place_of_trouble

__all__ = [
    "MEANING",
    "ClauseBroken",
    "call_hangs",
    "call_raised",
    "call_went_on",
    "gave_another",
    "haste",
    "heartbeat_question",
    "making_raised",
    "must_not_raise",
    "no_signal_came",
    "something_left",
    "still_connected",
    "swallowed",
    "to_let_out",
]

MEANING = "what the peer was given as the meaning of the bytes"


class ClauseBroken(Exception):
    """A check found the contract broken."""

    def __init__(
        self,
        happened: str,
        *,
        mend: str,
        left_open: tuple[str, ...] = (),
        place: TransportLine | None = None,
    ) -> None:
        self.happened = happened
        self.mend = mend
        self.left_open = left_open
        self.place = place
        super().__init__(happened)


def making_raised(error: Exception) -> ClauseBroken:
    """A transport's constructor raised."""
    place = place_of_trouble(error)
    return ClauseBroken(
        f"Making a transport raised {in_words(error)}{f' ({place})' if place else ''}.",
        mend="A constructor opens nothing and waits for nothing: open() does.",
    )


def call_raised(operation: Operation, mend: str) -> ClauseBroken:
    """A call raised what it must not."""
    return ClauseBroken(
        f"{operation} raised {operation.raised()}.",
        place=operation.where(),
        mend=f"Mend {place_of_method(operation.transport, operation.method)}: {mend}",
    )


@contextmanager
def must_not_raise(transport: Transport, method: str, advice: str) -> Iterator[None]:
    """A plain call, which is made in here, must not raise."""
    try:
        yield
    except Exception as error:
        place = place_of_error(transport, error)
        raise ClauseBroken(
            f"{method}() raised {in_words(error)}" + (f", at {place}." if place else "."),
            place=place,
            mend=f"{place_of_method(transport, method)} {advice}",
        ) from None


def call_hangs(
    operation: Operation, place: TransportLine | None, how: str, mend: str = ""
) -> ClauseBroken:
    """A call did not end, as ``how`` says ("did not end within 1 s"); it waited at ``place``."""
    method = place_of_method(operation.transport, operation.method)
    return ClauseBroken(
        f"{operation} {how}" + (f"; it waited at {place}." if place else "."),
        place=place,
        mend=mend or f"Find out what {method} waits for there, and end the wait.",
    )


def call_went_on(operation: Operation, place: TransportLine | None) -> ClauseBroken:
    """A call was cancelled, and went on."""
    place = place or operation.place
    return ClauseBroken(
        f"{swallowed(str(operation), place)}.",
        place=place,
        mend=f"{to_let_out(operation.transport, operation.method)}.",
    )


def swallowed(call: str, place: TransportLine | None) -> str:
    """In words, that a call goes on which was cancelled."""
    at = f" at {place}," if place else ""
    return f"{call} was cancelled{at} and went on: the cancellation was swallowed"


def to_let_out(transport: Transport, method: str) -> str:
    """In words, what is to be done about that."""
    return (
        f"{place_of_method(transport, method)} must let it out: clean up under "
        "`except BaseException:`, and end that with a bare `raise`"
    )


def no_signal_came(receiving: Operation, wanted: Signal, doubt: str, mend: str) -> ClauseBroken:
    """`receive()` raised when a signal was to come."""
    place = place_of_method(receiving.transport, "receive")
    breach = call_raised(receiving, "")
    if dropped := _dropped(receiving.transport):
        breach.happened += f" What came was dropped: {dropped}."
        place = "what reads the messages (the log says why, of an unknown one at DEBUG)"
    breach.mend = mend or f"Mend {place}, or {MEANING}: {wanted!r} was to come.{doubt}"
    return breach


def gave_another(given: object, wanted: Signal) -> str:
    """In words, that one signal was given when another was to come; they may look alike."""
    what = repr(given)
    if what == repr(wanted):
        what = f"another {what}, with another {difference(given, wanted)},"
    return f"receive() gave {what} when {wanted!r} was to come"


def something_left(
    transport: Transport,
    happened: str,
    left: tuple[str, ...],
    place: TransportLine | None,
    by: tuple[str, ...],
) -> ClauseBroken:
    """Sockets or tasks are left, which methods (``by``) should have ended."""
    return ClauseBroken(
        happened,
        left_open=left,
        place=place,
        mend=f"{_places(transport, by)} must {_to_end(left)}.",
    )


def still_connected(
    transport: Transport, happened: str, place: TransportLine | None, by: tuple[str, ...]
) -> ClauseBroken:
    """The peer still has a connection, which methods (``by``) should have ended."""
    return ClauseBroken(
        happened,
        left_open=("the connection, as the peer sees it",),
        place=place,
        mend=f"{_places(transport, by)} must shut the socket.",
    )


def heartbeat_question(peer: Peer) -> str:
    """Where a silence was not noticed, the transport may have been given no heartbeat."""
    if isinf(peer.heartbeat):
        return ""
    return f"The peer was given heartbeat={peer.heartbeat:g} s; does the transport know it?"


def haste(operation: Operation, peer: Peer) -> str:
    """Where the transport's own time was up, though the peer was not silent: a doubt of it."""
    error = operation.error
    own = isinstance(error, TransportError) and (
        error.ending is Ending.SILENT or isinstance(error.__cause__, TimeoutError)
    )
    if not own or isinf(peer.heartbeat):
        return ""
    given = f"{peer.heartbeat:g} s"
    return f"; or this machine is too busy for a heartbeat of {given}: give a longer one"


def _dropped(transport: Transport) -> str:
    """In words, how many messages became no signal."""
    with suppress(Exception):  # another's code
        return ", ".join(f"{count} {cause}" for cause, count in transport.dropped.items())
    return ""


def _to_end(left: tuple[str, ...]) -> str:
    """What is to be done about sockets and tasks."""
    deeds = {"end" if one.startswith(TASK) else "close": None for one in left}
    return f"{' and '.join(deeds)} {'it' if len(left) == 1 else 'them'}"


def _places(transport: Transport, methods: tuple[str, ...]) -> str:
    return " or ".join(place_of_method(transport, method) for method in methods)
