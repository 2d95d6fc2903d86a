"""What is said of each way in which a connection ends, or does not come about: one place, one text.

No text holds what a peer sent, nor a URL's path or query, nor a header's value.
"""

from __future__ import annotations

import os
import ssl
from urllib.parse import urlsplit

from ...errors import Ending, TransportError, TransportLost, TransportRefused, TransportUnreachable
from ...values import NOT_NOW, UNAUTHORIZED

__all__ = [
    "BROKEN_RULES",
    "NO_TEXT",
    "SIGN_IN",
    "abandoned",
    "another_protocol",
    "broken_tls",
    "closed_before_listening",
    "closed_with",
    "hung_up",
    "hung_up_on_us",
    "name_not_found",
    "no_tls",
    "not_connected",
    "not_reading",
    "over",
    "proxy_refused",
    "refused_by_status",
    "reset",
    "silent",
    "too_large",
    "unusable_proxy",
    "while_opening",
]

CLOUDFLARE = frozenset({*range(520, 528), 530})
"""What Cloudflare says for a service that it cannot reach, or not by TLS: its own 502 and 504."""

TRY_LATER = NOT_NOW | {502, 503, 504} | CLOUDFLARE
"""Statuses that are about the moment (RFC 9110, section 15.6). A 500 or a 501 may as well come from
a server that cannot switch to WebSocket, so that is what is said of them."""


SIGN_IN = 511
"""Network Authentication Required (RFC 6585): a captive portal's."""


def abandoned(what: str) -> TransportError:
    """Our own side closed it."""
    return TransportUnreachable(what, ending=Ending.ABANDONED)


def closed_before_listening() -> TransportError:
    """The server closed in order, and was never heard."""
    return TransportUnreachable("the server closed before it was listened to", ending=Ending.CLOSED)


def while_opening(error: TransportError) -> TransportError:
    """The same for a connection that broke before it was listened to: it was never open."""
    if not isinstance(error, TransportLost):
        return error.with_traceback(None)
    return error.retold(TransportUnreachable, f"before it was listened to: {error}")


def over() -> TransportError:
    """Something was to be sent, and one side has closed."""
    return TransportLost("the connection is closed, so nothing is sent", ending=Ending.ABANDONED)


def name_not_found(host: str, what: str, *, for_now: bool) -> TransportError:
    """No address for a name."""
    said = "no name server answers for it now" if for_now else "is it spelt right?"
    return TransportUnreachable(
        f"no address is known for {what} {host!r}: {said}",
        ending=Ending.NO_NAME_SERVER if for_now else Ending.NAME_NOT_FOUND,
    )


def not_connected(place: str, what: str, error: OSError, tried: int) -> TransportError:
    """None of a host's addresses took the connection."""
    said = os.strerror(error.errno) if error.errno else type(error).__name__
    more = f", and at {tried - 1} more of its addresses" if tried > 1 else ""
    return TransportUnreachable(
        f"cannot connect to {what} {place}: {said.lower()}{more}", ending=Ending.NOT_CONNECTED
    )


def silent(seconds: float, whose: str, *, opening: bool) -> TransportError:
    """Not a byte for as long as somebody said."""
    if opening:
        return TransportUnreachable(
            f"the server did not answer within {seconds:g} s ({whose})", ending=Ending.SILENT
        )
    return TransportLost(f"the server was silent for {seconds:g} s ({whose})", ending=Ending.SILENT)


def not_reading() -> TransportError:
    """The kernel's buffers are full, and ours."""
    return TransportLost("the server does not read what it is sent", ending=Ending.NOT_READING)


def too_large(limit: int) -> TransportError:
    """A message over the limit."""
    return TransportLost(
        f"the server sent a message of more than {limit} bytes (max_message)",
        ending=Ending.TOO_LARGE,
    )


def hung_up_on_us(whom: str) -> TransportError:
    """The end of the stream in place of an answer."""
    return TransportUnreachable(
        f"{whom} hung up on the handshake, without an answer", ending=Ending.HUNG_UP
    )


def hung_up(*, at_once: bool) -> TransportError:
    """The end of the stream, without a word of the protocol's."""
    when = "right after the handshake, " if at_once else ""
    return TransportLost(f"the server hung up {when}without a word", ending=Ending.HUNG_UP)


def reset(error: OSError, *, opening: bool) -> TransportError:
    """The connection is gone."""
    kind = TransportUnreachable if opening else TransportLost
    when = " before it was open" if opening else ""
    said = os.strerror(error.errno).lower() if error.errno else "connection reset"
    return kind(f"the connection broke{when}: {said}", ending=Ending.RESET)


def closed_with(code: int) -> TransportError:
    """WebSocket's close, with a code that does not mean "in order"."""
    meaning = CLOSE_CODES.get(code, "a code of the service's own" if code >= 4000 else "")
    more = f" ({meaning})" if meaning else ""
    return TransportLost(
        f"the server closed with WebSocket code {code}{more}", ending=Ending.CLOSED, code=code
    )


CLOSE_CODES = {
    1002: "we broke the protocol, it says",
    1003: "it does not take such messages",
    1007: "we sent what is no text, it says",
    1008: "against its policy: often a token that it does not accept",
    1009: "our message is too large for it",
    1011: "an error of its own",
    1012: "it restarts",
    1013: "try again later",
    1014: "what is behind its gateway failed",
}
"""Of RFC 6455, section 7.4.1, and IANA's registry of close codes."""


BROKEN_RULES = "the server breaks the rules of WebSocket"

NO_TEXT = "the server sent text that is not UTF-8"


def another_protocol(what: str, *, opening: bool) -> TransportError:
    """The peer does not speak the protocol, or breaks its rules."""
    kind = TransportUnreachable if opening else TransportLost
    return kind(what, ending=Ending.ANOTHER_PROTOCOL)


def refused_by_status(status: int, location: str, retry_after: float | None) -> TransportError:
    """The handshake was answered by an HTTP status that is not 101."""
    said = f"the server answered HTTP {status} to the handshake"
    if status in UNAUTHORIZED:
        return TransportRefused(
            f"{said}: it does not accept the credentials, or does not let them in there",
            ending=Ending.REFUSED,
            status=status,
        )
    if 300 <= status < 400:
        return TransportUnreachable(
            f"{said}: it redirects{_where_to(location)}, which is not followed, for your "
            "credentials would go along; give the address that it redirects to",
            ending=Ending.REDIRECTED,
            status=status,
        )
    if status in TRY_LATER:
        wait = "" if retry_after is None else f", and asks to wait {retry_after:g} s"
        return TransportUnreachable(
            f"{said}: not now{wait}",
            ending=Ending.TRY_LATER,
            status=status,
            retry_after=retry_after,
        )
    if status == 407:
        return TransportUnreachable(
            f"{said}: a proxy on the way wants credentials; give proxy=",
            ending=Ending.PROXY_CREDENTIALS,
            status=status,
        )
    if status == SIGN_IN:
        return TransportUnreachable(
            f"{said}: the network wants somebody to sign in first",
            ending=Ending.NO_WEBSOCKET,
            status=status,
        )
    hint = {404: "is the path right? Or ", 500: "its own log may say why. Or "}.get(status, "")
    return TransportUnreachable(
        f"{said}, and does not switch to WebSocket: {hint}something on the way lets no WebSocket "
        "through (it must pass on the headers Upgrade and Connection); to a Socket.IO server, "
        "AsyncClientTransport polls instead",
        ending=Ending.NO_WEBSOCKET,
        status=status,
    )


def _where_to(location: str) -> str:
    """Scheme and host of an address; its path and query may hold a token."""
    try:
        parts = urlsplit(location)
        if parts.scheme and parts.hostname and location.isprintable():
            port = f":{parts.port}" if parts.port else ""
            return f" to {parts.scheme}://{parts.hostname}{port}"
    except ValueError:
        pass
    return " to another address"


def proxy_refused(place: str, target: str, status: int, *, given: bool) -> TransportError:
    """The proxy's answer to CONNECT."""
    if status == 407:
        said = "does not accept the credentials in its URL" if given else "wants credentials"
        return TransportUnreachable(
            f"the proxy {place} {said} (HTTP 407); give proxy='http://user:password@host:port'",
            ending=Ending.PROXY_CREDENTIALS,
            status=status,
        )
    return TransportUnreachable(
        f"the proxy {place} did not connect us to {target}: HTTP {status}",
        ending=Ending.PROXY,
        status=status,
    )


def unusable_proxy() -> TransportError:
    """The environment names a proxy of a kind that is not spoken with."""
    return TransportUnreachable(
        "the environment names a proxy that is no plain HTTP proxy (https and SOCKS are not "
        "spoken); give proxy='http://host:port', or proxy=None for none",
        ending=Ending.PROXY,
    )


NOT_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
)
"""OpenSSL's reasons where what came is no TLS at all."""

CERTIFICATE_FAULTS = {
    9: "it is not valid yet (is the clock right?)",
    10: "it has expired",
    18: "it is signed by itself; give ssl_context= one that trusts it",
    19: "its authority is not known here; give ssl_context= one that trusts it",
    20: "its authority is not known here; give ssl_context= one that trusts it",
    21: "its authority is not known here; give ssl_context= one that trusts it",
    23: "it was revoked",
    62: "it is for another host",
    64: "it is for another host",
}
"""OpenSSL's X509_V_ERR_... (x509_vfy.h) in words."""


def no_tls(place: str, error: ssl.SSLError) -> TransportError:
    """The handshake of TLS failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = CERTIFICATE_FAULTS.get(error.verify_code, f"OpenSSL's code {error.verify_code}")
        return TransportUnreachable(
            f"the certificate that {place} shows is not trusted: {said}",
            ending=Ending.CERTIFICATE,
        )
    reason = error.reason or ""
    if reason in NOT_TLS:
        said = "it does not speak TLS; is it http or ws?"
    elif isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        said = "it hung up in the middle"
    else:
        said = reason.replace("_", " ").lower() or type(error).__name__
    return TransportUnreachable(f"no TLS with {place}: {said}", ending=Ending.TLS)


def broken_tls(error: ssl.SSLError, *, opening: bool) -> TransportError:
    """TLS broke after its handshake."""
    kind = TransportUnreachable if opening else TransportLost
    reason = (error.reason or "").replace("_", " ").lower()
    if "certificate required" in reason:
        said = "the server wants a certificate of ours; give ssl_context= one that has it"
    else:
        said = f"what came is no TLS ({reason or type(error).__name__})"
    return kind(said, ending=Ending.TLS)
