"""RFC 8628, the device authorization grant: sign in on a device without a browser or a keyboard.

There is nothing to listen to, only to ask: the lifecycle polls, and `NoTransport` stands where a
transport would. What the RFC leaves to a client, and what servers make of it, is decided here:

- **The interval is the server's**, and 5 s if it names none. The status is asked for more often; a
  read before its time says that there is nothing new, and asks nobody. ``slow_down`` is 5 s more,
  for good (section 3.5), and where no answer came the wait doubles until one does.
- **A poll can be a write.** The token is given out once. So a poll is not cut off by a deadline of
  the lifecycle's (`Policy.finish_reads`).
- **The status of an answer says nothing, its ``error`` does**: HTTP 400, 401 and 200 have been seen
  for the same word.
- ``verification_uri_complete`` and ``id_token`` may be missing, numbers may be text, and
  ``verification_uri`` may be spelt ``verification_url``.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Unpack
from urllib.parse import quote_plus, urlsplit

import anyio

from ..codes import QRCode
from ..errors import InvalidValue, Malformed, ServiceRefused, ServiceUnavailable
from ..outcome import Reason
from ..policy import Policy, is_positive
from ..signals import Paired, PairingRefused, Signal
from ..transports.no_transport import NoTransport
from ..values import UNAUTHORIZED, kind_of, object_in
from .base import Gateway, Parts, Reaching
from .credentials import Credential, advice_on, check_credential, fresh
from .failures import expiry_told, refusal_told
from .http import Answer, http_address, send

__all__ = ["DeviceFlow", "unverified_subject"]

GRANT = "urn:ietf:params:oauth:grant-type:device_code"

INTERVAL = 5.0
"""Seconds between two polls if the server names none, and what ``slow_down`` adds (3.2, 3.5)."""

LONGEST_WAIT = 60.0
"""Seconds that the wait grows to where no answer comes."""

REASONS: Mapping[str, Reason] = {
    "access_denied": Reason.REFUSED_ON_PHONE,
    "authorization_declined": Reason.REFUSED_ON_PHONE,  # Microsoft's word for it
    "invalid_client": Reason.AUTHENTICATION_REFUSED,
    "unauthorized_client": Reason.REFUSED_BY_SERVICE,
}
"""Why a pairing is refused, by the error. Any error that is not known is the service's refusal."""

PAGES = frozenset({"https", "http"})
"""Schemes of what a person is sent to; a link with another may be a script."""

PENDING = frozenset({"authorization_pending", "slow_down"})

DEAD = frozenset({"expired_token", "code_expired", "invalid_grant"})
"""The code is good no more; ``invalid_grant`` also says that its token was given out already, in an
answer that was lost."""

SAID = frozenset({*REASONS, *DEAD, "invalid_request", "invalid_scope", "unsupported_grant_type"})
"""Words of a server's that are repeated; any other may be anything."""


class Endpoints(NamedTuple):
    """Where a server is asked, and whether the secret goes into the form."""

    device: str
    token: str
    secret_in_form: bool = False


class DeviceFlow(Gateway):
    """The device flow of an OAuth or OpenID Connect server.

    ::

        gateway = DeviceFlow("https://login.example", client_id="tv")
        outcome = await gateway.lifecycle(on_qr_updated=show).pair()

    The tokens are in ``outcome.data``, as the server sent them; no repr shows them. The identity is
    the subject of an ``id_token`` (scope ``openid``), which is not verified here: it came from the
    server itself, over TLS, which is what OpenID Connect asks for (Core, section 3.1.3.7).

    A cancellation while a token is on its way loses it, though the person has agreed: they have to
    agree once more.

    Args:
        issuer: the server; what it publishes about itself is read from there.
        client_id: what this program is called there.
        client_secret: if it has one.
        scope: what is asked for.
        device_endpoint: for a server that publishes nothing; with ``token_endpoint``.
        token_endpoint: the same.
        parameters: what else the server wants to be sent with the request for a code, such as an
            ``audience``.
        options: how to reach the server, see `Reaching`. A ``timeout`` must be less than
            ``policy.status_timeout``.

    Raises:
        InvalidValue: a URL that is none, an empty id, or one endpoint without the other.
    """

    account_is: ClassVar[str] = "client_id"

    policy: ClassVar[Policy] = Policy(
        qr_lifetime=600.0,
        attempt_timeout=3600.0,
        expiry_grace=0.0,
        max_refreshes=0,
        status_interval=1.0,
        status_timeout=15.0,
        finish_reads=True,
    )
    """The code's lifetime is the server's. There is no grace: the server counts as well, and began
    before. No other code is asked for without a person (RFC 8628, 3.5)."""

    one_request_at_a_time: ClassVar[bool] = False

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        client_secret: Credential | None = None,
        scope: str = "openid",
        device_endpoint: str | None = None,
        token_endpoint: str | None = None,
        parameters: Mapping[str, str] | None = None,
        **options: Unpack[Reaching],
    ) -> None:
        super().__init__(issuer, client_id, **options)
        if client_secret is not None:
            check_credential(client_secret, "client_secret")
        self._secret = client_secret
        if not isinstance(scope, str):
            raise InvalidValue(f"scope must be text, not {type(scope).__name__}")
        self._form = {"scope": scope, **_checked(parameters)}
        self._given = _given(device_endpoint, token_endpoint)
        self._grant: Grant | None = None

    def transport(self) -> NoTransport:
        """None is needed: there is nothing to hear."""
        return NoTransport()

    def parts(self) -> Parts:
        """The arguments of one `QRLifecycle`: each call's poll for a code of their own.

        So one gateway can be used for several at a time, and none gets another's token.
        """
        own = object.__new__(type(self))
        vars(own).update(vars(self), _grant=None)
        return super(DeviceFlow, own).parts()

    async def ask_for_code(self) -> QRCode:
        """Ask for a device code, and the user code beside it."""
        endpoints = self._given or await self._discover()
        answer = await self._post(endpoints, endpoints.device, self._form)
        body = self._body_of(answer)
        if (error := _error_in(body)) is not None:
            raise self._refusal("code", error, answer)
        device_code = _text(body, "device_code")
        typed = _text(body, "user_code")
        address = _page(body, "verification_uri", "verification_url")
        lifetime = _seconds(body.get("expires_in"))
        code = QRCode(
            _page(body, "verification_uri_complete", "verification_uri", "verification_url"),
            typed=typed,
            typed_at=address,
            expires_in=lifetime,
        )
        interval = _seconds(body.get("interval")) or INTERVAL
        self._grant = Grant(endpoints, device_code, interval)
        return code

    async def ask_for_status(self) -> Signal | None:
        """Poll for the token, if the server's interval has passed."""
        grant = self._grant
        if grant is None or anyio.current_time() < grant.due:
            return None
        form = {"grant_type": GRANT, "device_code": grant.device_code}
        try:
            answer = await self._post(grant.endpoints, grant.endpoints.token, form)
            signal = self._read(grant, answer)
        except Exception:
            grant.wait_longer()
            raise
        grant.wait()
        if grant is not self._grant and not isinstance(signal, Paired):
            return None  # another code was asked for meanwhile; of this one only a success counts
        if signal is not None:
            self._grant = None
        return signal

    def _read(self, grant: Grant, answer: Answer) -> Signal | None:
        body = self._body_of(answer)
        error = _error_in(body)
        if error is None:
            _text(body, "access_token")
            return Paired(unverified_subject(body.get("id_token")), body)
        if error == "slow_down":
            grant.slow_down(_seconds(body.get("interval")))
        if error in PENDING:
            return None
        if error in DEAD:
            return expiry_told(f"the server says {error}")
        reason = REASONS.get(error, Reason.REFUSED_BY_SERVICE)
        data = {key: body[key] for key in body if key.startswith("error")}
        if reason is Reason.REFUSED_ON_PHONE:
            return refusal_told(reason, f"the person has declined: the server says {error}", data)
        return PairingRefused(reason, data, self._refusal("token", error, answer))

    async def _post(self, endpoints: Endpoints, url: str, form: Mapping[str, str]) -> Answer:
        """Send a form as this client (RFC 6749, section 2.3.1)."""
        fields, headers = {"client_id": self.account, **form}, {}
        if self._secret is not None:
            secret = await fresh(self._secret)
            if endpoints.secret_in_form:
                fields["client_secret"] = secret
            else:
                pair = f"{quote_plus(self.account)}:{quote_plus(secret)}"
                headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return await send(
            self._http, "POST", url, form=fields, headers=headers, timeout=self._timeout
        )

    def _body_of(self, answer: Answer) -> Mapping[str, object]:
        """The object in an answer, which says by its own words how it went.

        Raises:
            ServiceUnavailable: not now; or there is no object, and the status is a success.
            ServiceRefused: there is no object, so the status is all there is to go by.
        """
        failure = self.failure_of(answer)
        if isinstance(failure, ServiceUnavailable):
            raise failure
        body = object_in(answer.content)
        if body is None:
            raise failure or ServiceUnavailable("the server's answer is no JSON object")
        if failure is not None and body.get("error") is None:
            raise failure
        return body

    def advice(self, status: int) -> str | None:
        """The client, which is the credential here: its id, and its secret if it has one."""
        if status not in UNAUTHORIZED:
            return None
        return f"the client_id is {self.account!r}; {advice_on('client_secret', self._secret)}"

    def _refusal(self, wanted: str, error: str, answer: Answer) -> ServiceRefused:
        """What an error means that an answer names, and is final."""
        reason = REASONS.get(error, Reason.REFUSED_BY_SERVICE)
        if reason is Reason.REFUSED_ON_PHONE:  # nobody was asked yet
            reason = Reason.REFUSED_BY_SERVICE
        said = error if error in SAID else "another error"
        text = f"the server gives no {wanted}: {said} (HTTP {answer.status_code})"
        if reason is Reason.AUTHENTICATION_REFUSED:
            text += f"; {self.advice(401)}"
        return ServiceRefused(text, reason=reason)

    async def _discover(self) -> Endpoints:
        """What the server publishes about itself: OpenID Connect Discovery, or else RFC 8414.

        Raises:
            ServiceRefused: it publishes nothing, or what it does cannot be trusted.
        """
        parts = urlsplit(self._url)
        origin, path = f"{parts.scheme}://{parts.netloc}", parts.path
        for url in (
            f"{origin}{path}/.well-known/openid-configuration",
            f"{origin}/.well-known/oauth-authorization-server{path}",
        ):
            answer = await send(self._http, "GET", url, timeout=self._timeout)
            failure = self.failure_of(answer)
            if failure is None:
                return _endpoints_of(answer, self._url)
            if isinstance(failure, ServiceUnavailable):
                raise failure
        raise ServiceRefused(
            f"the server publishes nothing about itself (HTTP {answer.status_code}): is "
            f"{self.place} its URL? Else give device_endpoint= and token_endpoint="
        )


class Grant:
    """One device code, and when it may be polled for."""

    __slots__ = ("_interval", "_wait", "device_code", "due", "endpoints")

    def __init__(self, endpoints: Endpoints, device_code: str, interval: float) -> None:
        self.endpoints = endpoints
        self.device_code = device_code
        self._interval = self._wait = interval
        self.due = anyio.current_time() + interval
        """On the event loop's clock."""

    def __repr__(self) -> str:
        return "<Grant>"

    def wait(self) -> None:
        """An answer came: the interval begins now, so that no delay on the way makes it shorter."""
        self._wait = self._interval
        self.due = anyio.current_time() + self._wait

    def wait_longer(self) -> None:
        """No answer came: wait twice as long (RFC 8628, section 3.5)."""
        self._wait = max(self._wait, min(2 * self._wait, LONGEST_WAIT))
        self.due = anyio.current_time() + self._wait

    def slow_down(self, named: float | None) -> None:
        """The server wants to be asked less often; some name the interval, most do not."""
        self._interval = max(self._interval + INTERVAL, named or 0.0)


def unverified_subject(id_token: object) -> str | None:
    """The ``sub`` in an ID token, whose signature is not looked at; None if there is none."""
    if not isinstance(id_token, str):
        return None
    try:
        _, claims, _ = id_token.split(".")
        found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except (ValueError, RecursionError):
        return None
    subject = found.get("sub") if isinstance(found, dict) else None
    return subject if isinstance(subject, str) and subject else None


def _checked(parameters: object) -> Mapping[str, str]:
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping) or not all(
        isinstance(key, str) and isinstance(value, str) for key, value in parameters.items()
    ):
        raise InvalidValue("parameters must be a mapping of texts by their names")
    return parameters


def _given(device: str | None, token: str | None) -> Endpoints | None:
    if device is None and token is None:
        return None
    rule = "device_endpoint and token_endpoint must be given together, each an http or https URL"
    for url in (device, token):
        http_address(url or "", rule)
    assert device is not None
    assert token is not None
    return Endpoints(device, token)


def _endpoints_of(answer: Answer, issuer: str) -> Endpoints:
    """The endpoints that a server names.

    Raises:
        ServiceRefused: it is another server than the one that was asked, it would have secrets sent
            in the clear, or it does not offer the flow.
    """
    said = answer.json_object()
    if str(said.get("issuer")).rstrip("/") != issuer:
        raise ServiceRefused(
            "the server names another issuer than the one that was asked (RFC 8414, section 3.3); "
            "give device_endpoint= and token_endpoint= if it is to be trusted all the same"
        )
    if said.get("device_authorization_endpoint") is None:
        raise ServiceRefused("the server does not offer the device flow")
    device, token = (_text(said, f"{name}_endpoint") for name in ("device_authorization", "token"))
    for url in (device, token):
        if urlsplit(url).scheme != "https" and urlsplit(issuer).scheme == "https":
            raise ServiceRefused("the server names an endpoint without TLS")
    methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    in_form = isinstance(methods, list) and "client_secret_basic" not in methods
    return Endpoints(device, token, secret_in_form=in_form)


def _error_in(body: Mapping[str, object]) -> str | None:
    """The error that an answer names (RFC 6749, section 5.2); None if it names none.

    Raises:
        ServiceUnavailable: it is about the moment.
    """
    if (error := body.get("error")) is None:
        return None
    if error in ("temporarily_unavailable", "server_error"):
        raise ServiceUnavailable(f"the server says {error}")
    return error if isinstance(error, str) else "an error that is no text"


def _text(body: Mapping[str, object], *names: str) -> str:
    """The text under the first of these names that is there."""
    found = next((body[name] for name in names if body.get(name) is not None), None)
    if not isinstance(found, str) or not found:
        raise Malformed(names[0], f"must be text that is not empty, not {kind_of(found)}")
    return found


def _page(body: Mapping[str, object], *names: str) -> str:
    """The address of a page, under the first of these names: a screen may make a link of it."""
    found = _text(body, *names)
    if urlsplit(found).scheme not in PAGES:
        raise Malformed(names[0], "must be the address of a page, http or https")
    return found


def _seconds(value: object) -> float | None:
    """A number of seconds, which may come as text; None for what is none."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if is_positive(value) and value != math.inf else None  # type: ignore[arg-type]
