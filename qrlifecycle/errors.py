"""Everything this library raises, in one tree.

::

    QRLifecycleError
    ├── UsageError                 ours: the embedding program asked for what cannot be
    │   ├── EventRefused           the table has no row for that event in that state
    │   │   └── NotPairing         generate() while no pair() runs
    │   ├── PairingInProgress      pair() while another pair() runs
    │   ├── WrongThread            a trigger, or leases, from outside their event loop's thread
    │   ├── WrongAnswer            a function or object of the wrong kind was given
    │   ├── InvalidValue           a number, URL or payload that cannot be meant
    │   ├── InvalidTable           a table with duplicate rows, unknown or unreachable states
    │   ├── UnsupportedBackend     a transport that cannot run on this event loop
    │   └── MissingExtra           a feature whose packages are not installed
    ├── ForeignCancellation        a function of the program's ended by somebody else's cancellation
    ├── PeerError                  theirs: the service, the network, the phone
    │   ├── ServiceRefused         the service says no; raise it from request_qr
    │   ├── ServiceUnavailable     the service does not answer just now; request_qr is asked again
    │   ├── Malformed              a value that was sent cannot be meant; it says which
    │   ├── LeaseHeld              somebody else holds the lease that was asked for
    │   │   └── LeaseTakenOver     somebody else took it over, or asked its holder to leave
    │   ├── LeaseLost              a lease that its keeper did not give, or not prolong, in time
    │   └── TransportError         the one error a transport raises
    │       ├── TransportUnreachable   it never opened
    │       ├── TransportRefused       it was turned away: credentials or bot are not accepted
    │       └── TransportLost          it was open and broke
    └── PairingFailed              a failed outcome, raised on request

A `UsageError` comes out of the call that caused it. A `PeerError` or a `ForeignCancellation` never
comes out of `pair()`: where one ends the attempt, it is the ``error`` of a failed outcome. No text
here ever holds a payload, a token or a URL's query.
"""

from __future__ import annotations

from typing import TypeVar

from .states import ENDS, TRIGGERS, Event, State, Word

__all__ = [
    "Ending",
    "EventRefused",
    "ForeignCancellation",
    "InvalidTable",
    "InvalidValue",
    "LeaseHeld",
    "LeaseLost",
    "LeaseTakenOver",
    "Malformed",
    "MissingExtra",
    "NotPairing",
    "PairingFailed",
    "PairingInProgress",
    "PeerError",
    "QRLifecycleError",
    "ServiceRefused",
    "ServiceUnavailable",
    "TransportError",
    "TransportLost",
    "TransportRefused",
    "TransportUnreachable",
    "UnsupportedBackend",
    "UsageError",
    "WrongAnswer",
    "WrongThread",
]


class Ending(Word):
    """The way in which a connection ended, or did not come about: each has words of its own."""

    OTHER = "other", "Whatever a transport does not say more about."
    NAME_NOT_FOUND = "name_not_found", "No address is known for the host's name."
    NO_NAME_SERVER = "no_name_server", "No name server answers just now for the host's name."
    NOT_CONNECTED = "not_connected", "Nobody listens there, or no way leads there."
    CERTIFICATE = (
        "certificate",
        "The server's certificate is not trusted: another's, expired, or of an unknown authority.",
    )
    TLS = "tls", "No TLS came about: only one side speaks it, or they have no version in common."
    ANOTHER_PROTOCOL = (
        "another_protocol",
        "What answers does not speak the protocol, or breaks its rules.",
    )
    NO_WEBSOCKET = "no_websocket", "A server or something between lets no WebSocket through."
    REDIRECTED = "redirected", "The server names another address, which is not followed."
    REFUSED = (
        "refused",
        "The server turned us away for good: 401, 403, or a close code that means it.",
    )
    TRY_LATER = "try_later", "The server turned us away for now: 429, 503 and the like."
    PROXY = "proxy", "The proxy did not connect us."
    PROXY_CREDENTIALS = "proxy_credentials", "The proxy wants credentials, or others: 407."
    SILENT = "silent", "Not a byte came for as long as the heartbeat."
    NOT_READING = "not_reading", "The peer does not take what it asks for."
    TOO_LARGE = "too_large", "A message is larger than the limit."
    HUNG_UP = "hung_up", "The peer ended the connection without a word."
    RESET = "reset", "The connection was reset, or the network is gone."
    CLOSED = "closed", "The peer closed it, in the protocol's own words."
    ABANDONED = "abandoned", "Our own side closed it, or used it wrongly."


class QRLifecycleError(Exception):
    """The root of the tree: ``except QRLifecycleError`` catches all of it."""


class UsageError(QRLifecycleError):
    """The embedding program asked for something that cannot be; nothing has changed."""


class EventRefused(UsageError):
    """The table has no row for this event in this state; the state is unchanged.

    ``state`` and ``event`` say which, ``accepted`` the events that are accepted there. The text
    names those of them that a program can send, by the call that does it.
    """

    def __init__(self, state: State, event: Event, accepted: tuple[Event, ...] = ()) -> None:
        self.state = state
        self.event = event
        self.accepted = accepted
        super().__init__(state, event, accepted)

    def __str__(self) -> str:
        advice = "nothing is, for an end is decided and the state is being left"
        if self.accepted:
            # At an end there is nobody yet who would ask for the code: pair() begins with it.
            begun = Event.GENERATE if self.state in ENDS else None
            calls = ["pair" if e is begun else e.value for e in self.accepted if e in TRIGGERS]
            advice = f"what may be called there: {', '.join(f'{call}()' for call in calls)}"
        return f"'{self.event}' is not accepted in state '{self.state}'; {advice}"


class PairingInProgress(UsageError):
    """`pair()` was called while another `pair()` of the same lifecycle runs."""

    def __init__(self, state: State) -> None:
        self.state = state
        super().__init__(state)

    def __str__(self) -> str:
        return (
            f"pair() already runs (state '{self.state}'); "
            "await that call, cancel() it, or use a lifecycle of its own"
        )


class NotPairing(EventRefused):
    """`generate()` was called while no `pair()` runs: nobody would ask for the code."""

    def __str__(self) -> str:
        return (
            f"generate() asks for a fresh code while pair() runs, and none does "
            f"(state '{self.state}'); call pair()"
        )


class WrongThread(UsageError):
    """A trigger, or leases, were used in a thread other than the one where they are at home.

    A trigger's is the one that runs `pair()`, and ``event`` says which it was; so is that of
    ``code_expires_in``. That of leases is the one in which they were entered. There ``event`` is
    None.
    """

    def __init__(self, what: Event | str) -> None:
        self.event = what if isinstance(what, Event) else None
        super().__init__(what)

    def __str__(self) -> str:
        if self.event is None:
            return str(self.args[0])
        return (
            f"'{self.event}' was called from another thread than pair(); call it in the loop, "
            "by anyio.from_thread.run_sync() from a worker thread, by a portal's call() from others"
        )


class WrongAnswer(UsageError, TypeError):
    """A function or object of the wrong kind was given, by the program or by a function of its."""


class InvalidValue(UsageError, ValueError):
    """A number, URL or payload that cannot be meant."""


class InvalidTable(UsageError, ValueError):
    """A table with duplicate rows, or with unknown or unreachable states."""


class UnsupportedBackend(UsageError, RuntimeError):
    """A transport that cannot run on the event loop at hand."""


class MissingExtra(UsageError, ImportError):
    """A feature whose packages are not installed; the text names the extra to install."""

    def __init__(self, feature: str, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        super().__init__(feature, extra)

    def __str__(self) -> str:
        return (
            f"{self.feature} needs an extra: pip install '.[{self.extra}]', in qrlifecycle's folder"
        )


class ForeignCancellation(QRLifecycleError):
    """A function that the program gave ended by a cancellation that is not `pair()`'s.

    A shared task that it awaited was cancelled, say. It counts as a fault of that function.
    """

    def __str__(self) -> str:
        return "it was cancelled from elsewhere (a task or future that it waits for), not by pair()"


class PeerError(QRLifecycleError):
    """The service, the network or the phone did not do its part."""


class ServiceRefused(PeerError):
    """The service says no. Raise it from `request_qr`, which is then not asked again.

    From `check_status` it counts as no answer; a final status check ends by it at once.

    Args:
        text: what it said, without any secret: it is logged.
        reason: the `Reason` of the failure; ``refused_by_service`` if it is none.
            ``Reason.AUTHENTICATION_REFUSED`` says that it is the program's own credentials.
    """

    def __init__(self, text: str = "", *, reason: str | None = None) -> None:
        self.reason = reason
        super().__init__(*filter(None, [text]))


def _checked_wait(seconds: object) -> float | None:
    """Seconds to wait, that an error is given: a header's value as it came is text.

    Raises:
        InvalidValue: it is no number.
    """
    if seconds is None or (isinstance(seconds, int | float) and not isinstance(seconds, bool)):
        return seconds
    raise InvalidValue(
        f"retry_after must be a number of seconds or None, not {type(seconds).__name__}"
    )


class ServiceUnavailable(PeerError):
    """The service does not answer just now: it restarts, or is busy.

    Raise it from `request_qr`, which is then asked again after a delay until
    ``policy.generate_timeout`` runs out. Only the program knows whether a request that failed may
    be made once more, so no other error is tried again. From `check_status` it counts as no answer,
    as any error does; the next read waits for as long as it asks, within
    ``policy.status_retry_delay_max``.

    Args:
        text: what it said, without any secret: it is logged.
        retry_after: seconds after which it asks to be tried again.
        ending: the way in which the connection to it did not come about, if that is why.
    """

    def __init__(
        self,
        text: str = "",
        *,
        retry_after: float | None = None,
        ending: Ending | None = None,
    ) -> None:
        self.retry_after = _checked_wait(retry_after)
        self.ending = ending
        super().__init__(*filter(None, [text]))


class Malformed(PeerError, ValueError):
    """A value that the service sent cannot be meant. ``field`` says which; no text has the value.

    Raise it where an answer or a message is read: from `request_qr` it ends the attempt, from
    `check_status` it counts as no answer, in a map of signals the message is dropped.
    """

    def __init__(self, field: str, trouble: str) -> None:
        self.field = field
        self.trouble = trouble
        super().__init__(field, trouble)

    def __str__(self) -> str:
        return f"'{self.field}' {self.trouble}"


class LeaseHeld(PeerError):
    """Somebody else holds the lease that was asked for. Later it may be free."""

    def __str__(self) -> str:
        return "somebody else holds the lease; ask again later, or take it over"


class LeaseTakenOver(LeaseHeld):
    """Somebody else took the lease over, or asked its holder to leave.

    A program must not ask again by itself: two that did would take it from each other for ever.

    Args:
        what: which of the two it was, and who did it, where the keeper knows.
    """

    def __init__(self, what: str = "") -> None:
        super().__init__(*filter(None, [what]))

    def __str__(self) -> str:
        what = Exception.__str__(self)
        what = what or "somebody else took the lease over, or asked its holder to leave"
        return f"{what}; only a person should ask for it again"


class LeaseLost(PeerError):
    """A lease that its keeper did not give, or not prolong, in time; the text says which."""


Kind = TypeVar("Kind", bound="TransportError")


class TransportError(PeerError):
    """The one error that a transport raises; a transport raises one of its three kinds.

    Args:
        text: what happened, and what to do; no secret.
        ending: the way in which the connection ended, for a program to tell apart.
        status: the HTTP status that a server or a proxy answered with.
        code: the WebSocket close code.
        retry_after: seconds after which the server asks to be tried again.
    """

    def __init__(
        self,
        text: str = "",
        *,
        ending: Ending = Ending.OTHER,
        status: int | None = None,
        code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(*([text] if text else []))
        self.ending = ending
        self.status = status
        self.code = code
        self.retry_after = _checked_wait(retry_after)

    def retold(self, kind: type[Kind], text: str) -> Kind:
        """The same ending in other words, and as an error of another kind."""
        return kind(
            text,
            ending=self.ending,
            status=self.status,
            code=self.code,
            retry_after=self.retry_after,
        )


class TransportUnreachable(TransportError):
    """The transport never opened: nobody answered, or not in this protocol."""


class TransportRefused(TransportError):
    """The transport was turned away: the credentials or the bot are not accepted."""


class TransportLost(TransportError):
    """The transport was open and broke: reset, garbage, or silence past the heartbeat."""


class PairingFailed(QRLifecycleError):
    """No pairing: raised by `raise_for_failure()` of an outcome that is no success.

    ``reason`` is a `Reason`, ``sentence`` its meaning; the error behind it, if any, is the cause.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        self.reason = reason
        self.sentence = sentence
        super().__init__(reason, sentence)

    def __str__(self) -> str:
        return f"{self.reason}: {self.sentence}"
