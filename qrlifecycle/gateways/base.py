"""What a gateway is: one account of one service, and three questions to it.

A gateway is cheap. It keeps no connection, so there is nothing to close; it may be made for each
lifecycle, and used for several.

Subclass it for a service of your own: `ask_for_code()`, `ask_for_status()` and `transport()` are
the service's, everything else is done here. What both questions have in common is done around them:

- one request for a code at a time, for one account (`turns`);
- what failures mean (`failures`), and that no error keeps a frame with a credential in it;
- a credential is fetched afresh for each request (`credentials`).
"""

from __future__ import annotations

import math
import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import anyio

from ..codes import PairingCode, QRCode
from ..engine.hooks import Hook
from ..engine.observers import Change
from ..engine.service import Expectation, QRRequest, StatusCheck
from ..errors import InvalidValue, PeerError, WrongAnswer
from ..leases.base import LeaseFactory
from ..lifecycle import QRLifecycle, warn_of_unseen_codes
from ..outcome import Connected, Failed
from ..policy import Policy, is_positive, trouble_with_text
from ..records import Recorder
from ..secrecy import NotPickled, forgetful
from ..signals import ActionRequired, Paired, Scanned, Signal
from ..transports.base import Transport, TransportFactory
from ..transports.wire.options import ENVIRONMENT, check_context
from .failures import failure_of_status, meaning_of
from .http import Answer, Client, HTTPClient, http_address, send
from .keywords import check_keywords, naming_misspelt
from .replies import Reply
from .turns import turn_of

__all__ = ["Gateway", "Hooks", "Parts", "Reaching", "SocketOptions", "until"]

T = TypeVar("T")


class Parts(TypedDict):
    """What a `QRLifecycle` is given by a gateway: ``QRLifecycle(**gateway.parts())``."""

    request_qr: QRRequest
    transport: TransportFactory
    check_status: StatusCheck
    policy: Policy


class Hooks(TypedDict, total=False):
    """What a `QRLifecycle` is given by the program, beside the parts."""

    expect_identity: Expectation | None
    lease: LeaseFactory | None
    on_connected: Hook[Connected] | None
    on_qr_updated: Hook[QRCode] | None
    on_pairing_code: Hook[PairingCode] | None
    on_scanned: Hook[Scanned] | None
    on_action_required: Hook[ActionRequired] | None
    on_connection_failed: Hook[Failed] | None
    on_change: Hook[Change] | None
    recorders: Sequence[Recorder]


class Reaching(TypedDict, total=False):
    """How a service is reached."""

    http: Client | None
    """A client of your own to ask it with; see `http.Client`."""

    ssl_context: ssl.SSLContext | None
    """How to trust the service; None trusts the system's authorities."""

    proxy: str | None
    """An HTTP proxy's URL; None: none; "environment", the default: what the environment names."""

    timeout: float
    """Seconds for one request; 10 if nothing is said."""


class SocketOptions(TypedDict):
    """What is the same for a gateway's transport as for its requests."""

    ssl_context: ssl.SSLContext | None
    proxy: str | None


TIMEOUT = 10.0
"""Seconds for one request."""

NEEDED = {
    "finish_reads": "what it is told it is told once",
    "confirm_success": "nobody signs what its socket says",
}
"""What another policy may not leave out, if the gateway's own has it; and why."""


UP_OR_HERE = frozenset({".", ".."})
"""Segments of a path that name no place below it; quoted they mean the same (RFC 3986, 5.2.4)."""

NO_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of one (surrogates)."""


class Gateway(NotPickled, ABC):
    """One account of one service.

    ::

        outcome = await gateway.lifecycle(on_qr_updated=show).pair()
        lifecycle = QRLifecycle(**gateway.parts(), on_qr_updated=show)  # the same, by hand

    Args:
        url: where the service is.
        account: the account there, as the service calls it: a session, an instance, a device.
        options: how to reach it, see `Reaching`.

    Raises:
        InvalidValue: a URL that is none of HTTP, or has a query or a password in it, an account
            that is empty or cannot stand in a URL, or a timeout that is no finite number above 0.
        WrongAnswer: both a client and an ``ssl_context`` or a proxy: the client has its own; or an
            argument that it does not take.
    """

    policy: ClassVar[Policy] = Policy()
    """The service's own numbers."""

    replies: ClassVar[Mapping[str, type[Reply]]] = {}
    """What `answer()` takes, by the action that it answers; nothing unless overridden."""

    account_is: ClassVar[str] = "account"
    """What the account's argument is called."""

    one_request_at_a_time: ClassVar[bool] = True
    """Whether requests for a code are made one by one, for an account; False where each code stands
    by itself, and the account is a program's rather than a person's."""

    def __init_subclass__(cls, **options: Any) -> None:
        """See to it that an error of the constructor keeps none of its arguments."""
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            init = naming_misspelt(cls.__init__, Reaching.__annotations__)
            cls.__init__ = forgetful(init)  # type: ignore[method-assign]

    @forgetful
    def __init__(self, url: str, account: str, **options: Unpack[Reaching]) -> None:
        check_keywords(type(self), options, Reaching.__annotations__)
        if isinstance(url, str) and ("?" in url or "#" in url):
            raise InvalidValue("the service's URL must end with its path: no '?...', no '#...'")
        address = http_address(url, "the service's URL must look like http://host:port, or https")
        check_account(account, self.account_is)
        timeout = options.get("timeout", TIMEOUT)
        if not is_positive(timeout) or timeout == math.inf:
            raise InvalidValue("timeout must be a finite number of seconds above 0")
        if address.credentials is not None:
            raise InvalidValue(
                "the service's URL must hold no user and no password; "
                "a key, token or password has an argument of its own"
            )
        self._url = url.rstrip("/")
        scheme = "https" if address.secure else "http"
        self._place = f"{scheme}://{address.authority}{address.target.rstrip('/')}"
        self._account = account
        self._timeout = timeout
        self._ssl_context = options.get("ssl_context")
        self._proxy = options.get("proxy", ENVIRONMENT)
        self._http = _client_of(options)
        check_context(self._ssl_context, address)

    def __repr__(self) -> str:
        account, place = getattr(self, "_account", None), getattr(self, "_place", "nowhere yet")
        return f"<{type(self).__name__} {account!r} at {place}>"

    @property
    def account(self) -> str:
        """The account, as the service calls it."""
        return self._account

    @property
    def place(self) -> str:
        """Where the service is, without user and password."""
        return self._place

    @property
    def url(self) -> str:
        """Where the service is, as it was given but for a slash at the end; it may hold secrets."""
        return self._url

    @property
    def socket_options(self) -> SocketOptions:
        """How a transport reaches it: ``SocketIOTransport(url, **self.socket_options)``."""
        return {"ssl_context": self._ssl_context, "proxy": self._proxy}

    # What a lifecycle is given

    async def request_qr(self) -> QRCode | PairingCode | Paired:
        """Ask for a code, when nobody else asks for one for this account.

        Raises:
            ServiceRefused: the service says no.
            ServiceUnavailable: it does not answer just now, or not in its own words.
        """
        try:
            if not self.one_request_at_a_time:
                return await self.ask_for_code()
            async with turn_of(self._place, self._account):
                return await self.ask_for_code()
        except Exception as error:
            failure = meaning_of(error)
        raise failure

    async def check_status(self) -> Signal | None:
        """Ask how far the pairing is.

        Raises:
            PeerError: there is no answer; the lifecycle counts that, and asks again.
        """
        try:
            return await self.ask_for_status()
        except Exception as error:
            failure = meaning_of(error)
        raise failure

    @abstractmethod
    def transport(self) -> Transport:
        """A fresh transport, not yet opened."""

    def parts(self) -> Parts:
        """The arguments of a `QRLifecycle` that are the service's."""
        return {
            "request_qr": self.request_qr,
            "transport": self.transport,
            "check_status": self.check_status,
            "policy": self.policy,
        }

    def lifecycle(self, *, policy: Policy | None = None, **hooks: Unpack[Hooks]) -> QRLifecycle:
        """A lifecycle of this account.

        Args:
            policy: instead of the gateway's own. ``dataclasses.replace(gateway.policy, ...)``
                changes some of its numbers.
            hooks: whatever else a `QRLifecycle` takes.

        Raises:
            WrongAnswer: a policy without ``finish_reads``, where an answer is given out once, or
                without ``confirm_success``, where anybody may speak on the socket.
        """
        parts = self.parts()
        if policy is not None:
            for name, why in NEEDED.items():
                if getattr(self.policy, name) and not getattr(policy, name):
                    raise WrongAnswer(
                        f"{type(self).__name__} needs policy.{name}, for {why}; "
                        "change its numbers by dataclasses.replace(gateway.policy, ...)"
                    )
            parts["policy"] = policy
        return warn_of_unseen_codes(QRLifecycle(**parts, **hooks))

    async def answer(self, action: ActionRequired, reply: Reply) -> None:
        """Pass on what the person answered to an action that the service requires.

        Args:
            action: the action, as `on_action_required` was told it.
            reply: of the kind that fits the action, see `replies`.

        Raises:
            WrongAnswer: the service takes no answer to this action, or another kind of reply.
            PeerError: the service did not take it.
        """
        name = type(self).__name__
        if (kind := self.replies.get(action.action)) is None:
            known = ", ".join(self.replies) or "none"
            raise WrongAnswer(
                f"{name} takes no answer to {action.action!r} (to: {known}); the person answers it "
                "elsewhere"
            )
        if not isinstance(reply, kind):
            given = type(reply).__name__
            raise WrongAnswer(f"{action.action!r} is answered with {kind.__name__}, not {given}")
        try:
            return await self.send_reply(action, reply)
        except Exception as error:
            failure = meaning_of(error)
        raise failure

    # What a service's own class has to say

    @abstractmethod
    async def ask_for_code(self) -> QRCode | PairingCode | Paired:
        """Ask the service for a code. It never runs twice at once for one account.

        What it raises is explained by `failures`. For a service that needs a while there is
        `until()`.
        """

    @abstractmethod
    async def ask_for_status(self) -> Signal | None:
        """Ask the service how far the pairing is: a signal, or None if there is nothing to say.

        What it raises means "no answer", and it is asked again; a refusal that is final is a
        `PairingRefused`, given back.
        """

    async def send_reply(self, action: ActionRequired, reply: Reply) -> None:
        """Send the service a reply that is of the right kind."""
        raise NotImplementedError

    async def headers(self) -> Mapping[str, str]:
        """What each request carries, such as a fresh credential; nothing unless overridden."""
        return {}

    async def fetch(
        self,
        method: str,
        *path: str,
        params: Mapping[str, str] | None = None,
        json_body: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask the service once, whatever the status of its answer.

        Args:
            method: ``GET``, say.
            path: below the service's URL, segment by segment; each is quoted. One that would lead
                elsewhere, "." or "..", is refused.
            params: the query.
            json_body: what to send as JSON.
            form: what to send as a form.
            headers: beside those of `headers()`.

        Raises:
            ServiceUnavailable: there is no answer.
        """
        if not UP_OR_HERE.isdisjoint(path):
            raise WrongAnswer("a segment of a path is '.' or '..', which would lead elsewhere")
        return await send(
            self._http,
            method,
            "/".join([self._url, *(quote(segment, safe="") for segment in path)]),
            params=params,
            json_body=json_body,
            form=form,
            headers={**await self.headers(), **(headers or {})},
            timeout=self._timeout,
        )

    async def ask(self, method: str, *path: str, **content: Any) -> Mapping[str, Any]:
        """The JSON object of an answer; the arguments are those of `fetch()`.

        Raises:
            ServiceRefused: the service refuses.
            ServiceUnavailable: there is no answer, or no JSON object in it.
        """
        answer = await self.fetch(method, *path, **content)
        if (failure := self.failure_of(answer)) is not None:
            raise failure
        return answer.json_object()

    def failure_of(self, answer: Answer) -> PeerError | None:
        """What an answer means as a failure, by its status; None if it is none."""
        status = answer.status_code
        return failure_of_status(status, self.advice(status), answer.retry_after)

    def advice(self, status: int) -> str | None:  # noqa: ARG002 - for who can
        """What a refusal with this HTTP status means at this service, and what to do.

        It ends the text of the error, which is logged: it may name the account and the place, and
        no secret. None, unless overridden.
        """
        return None


def check_account(account: object, name: str) -> None:
    """Check an account's name, which stands in the paths of URLs; ``name`` is its argument's.

    Raises:
        InvalidValue: it is no text, is empty, cannot be sent, or would lead elsewhere.
    """
    if trouble := trouble_with_text(account):
        raise InvalidValue(f"{name} {trouble}")
    assert isinstance(account, str)
    if account in UP_OR_HERE:
        raise InvalidValue(f"{name} must not be '.' or '..', which lead elsewhere in a URL")
    if NO_CHARACTER.search(account):
        raise InvalidValue(f"{name} has characters that no name has: a line end?")


def _client_of(options: Reaching) -> Client:
    if (given := options.get("http")) is None:
        return HTTPClient(
            ssl_context=options.get("ssl_context"), proxy=options.get("proxy", ENVIRONMENT)
        )
    if options.get("ssl_context") is not None or "proxy" in options:
        raise WrongAnswer("give http= or else ssl_context= and proxy=: a client has its own")
    if not callable(getattr(given, "request", None)):
        raise WrongAnswer(f"http must be a client with request(), not {type(given).__name__}")
    return given


async def until(ask: Callable[[], Awaitable[T | None]], *, every: float = 0.5) -> T:
    """Ask until there is something to say, with a pause of ``every`` seconds in between.

    For a code that needs a while to be made. It ends with the lifecycle's ``generate_timeout``.
    """
    while (found := await ask()) is None:  # noqa: ASYNC110 - there is no event to wait for
        await anyio.sleep(every)
    return found
