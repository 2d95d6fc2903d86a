"""`qrlifecycle pair`: a code from the user's own server.

The payload is never written as text; the token is in no text at all.
"""

from __future__ import annotations

import argparse
import os
import re
import ssl
from collections.abc import Callable
from functools import partial

import anyio

from ..codes import QRCode
from ..engine.service import Service
from ..errors import InvalidValue
from ..lifecycle import QRLifecycle
from ..outcome import Outcome
from ..policy import Policy
from ..transports.base import Transport
from ..transports.messages import DEFAULT_SIGNALS, MEANINGS, SignalMap
from ..transports.socketio import SocketIOTransport
from .http_requests import TOKEN, CodeRequest, StatusRequest, default_qr_url
from .interactive import (
    exit_code,
    make_lifecycle,
    make_view,
    policy_of,
    require_drawing,
    run_in_view,
)
from .plain_view import PlainView
from .stopping import Stop

__all__ = ["hints", "note_dropped", "read_ca_file", "run"]

HEADER = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?P<value>[\t\x20-\x7e\x80-\xff]*)")
"""RFC 9110, section 5: a token, and a value without line ends."""


def run(arguments: argparse.Namespace, stop: Stop) -> int:
    """Pair; return whether the account is paired, as an exit code."""
    policy = policy_of(arguments)
    token = _token()
    headers = _headers(arguments.header)
    ssl_context = read_ca_file(arguments.ca_file)
    limits = {"heartbeat": arguments.heartbeat, "max_message": arguments.max_message}
    urls = (arguments.url, arguments.qr_url or "", arguments.status_url or "")
    if ssl_context is not None and not any(map(_is_secure, urls)):
        raise InvalidValue("--ca-file is for https and wss, and none of the URLs is one")
    transport = partial(
        _kind(polling=arguments.polling),
        arguments.url,
        bot_id=arguments.bot_id,
        user_id=arguments.user_id,
        auth={"token": token} if token else None,
        headers=headers,
        namespace=arguments.namespace,
        signals=_signals(arguments.event, status=arguments.status_url is not None),
        owner={arguments.owner: arguments.bot_id} if arguments.owner is not None else None,
        socketio_path=arguments.socketio_path,
        ssl_context=ssl_context if _is_secure(arguments.url) else None,
        **{name: value for name, value in limits.items() if value is not None},
    )
    transport()  # never opened: invalid arguments are reported before anything is asked for
    request = CodeRequest(
        arguments.qr_url or default_qr_url(arguments.url),
        arguments.bot_id,
        arguments.user_id,
        qr_field=arguments.qr_field,
        expires_field=arguments.expires_field,
        headers=headers | ({"Authorization": f"Bearer {token}"} if token else {}),
        ssl_context=ssl_context,
    )
    require_drawing()
    service = Service(request, transport, _status(arguments, request))
    return anyio.run(_pair, service, policy, arguments, stop, backend="asyncio")


def _kind(*, polling: bool) -> Callable[..., Transport]:
    """The transport; the one that polls costs more to import."""
    if not polling:
        return SocketIOTransport
    from ..transports.async_client import AsyncClientTransport

    return partial(AsyncClientTransport, polling=True)


def _is_secure(url: str) -> bool:
    """Whether there is a certificate to verify: the CA may be for the requests alone."""
    return url.lower().startswith(("https:", "wss:"))


def _status(arguments: argparse.Namespace, request: CodeRequest) -> StatusRequest | None:
    if arguments.status_url is None:
        if arguments.status_field is not None or arguments.paired_status is not None:
            raise InvalidValue("--status-field and --paired-status need --status-url")
        return None
    return StatusRequest(
        arguments.status_url,
        arguments.bot_id,
        arguments.user_id,
        status_field=arguments.status_field or "status",
        paired_status=arguments.paired_status or "paired",
        headers=request.headers,
        ssl_context=request.ssl_context,
    )


async def _pair(service: Service, policy: Policy, arguments: argparse.Namespace, stop: Stop) -> int:
    title = f"qrlifecycle pair: bot {arguments.bot_id}, user {arguments.user_id}"
    view = make_view(stop, hints, arguments, title=title, lifetime=policy.qr_lifetime)
    lifecycle = make_lifecycle(service, policy, view)
    outcome = await run_in_view(lifecycle, view, stop)
    note_dropped(view, lifecycle, outcome)
    return stop.leave(exit_code(outcome, stop))


def note_dropped(view: PlainView, lifecycle: QRLifecycle, outcome: Outcome) -> None:
    """After a failure: say what was ignored on the way."""
    if lifecycle.dropped and not outcome.connected:
        causes = ", ".join(f"{count} {cause}" for cause, count in lifecycle.dropped.items())
        view.note(f"messages and status reads that were ignored: {causes}")


def hints(_qr: QRCode) -> tuple[str, ...]:
    """What to do with a code."""
    return ("Scan the code with your phone.",)


def _token() -> str | None:
    token = os.environ.get(TOKEN)
    if token and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise InvalidValue(f"{TOKEN} has characters that no token has, perhaps a line end")
    return token or None


def _headers(pairs: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for pair in pairs:
        if (match := HEADER.fullmatch(pair)) is None:
            raise InvalidValue("--header takes NAME=VALUE")
        if match["name"].lower() in map(str.lower, headers):
            raise InvalidValue(f"--header {match['name']} is given twice")
        headers[match["name"]] = match["value"]
    return headers


def _signals(pairs: list[str], *, status: bool) -> SignalMap:
    signals = dict(DEFAULT_SIGNALS)
    for number, pair in enumerate(pairs):
        name, _, meaning = pair.rpartition("=")
        if not name or meaning not in MEANINGS:
            raise InvalidValue(f"--event takes NAME=MEANING, with one of: {', '.join(MEANINGS)}")
        if meaning == "status_changed" and not status:
            raise InvalidValue("--event NAME=status_changed needs --status-url, to read the status")
        if any(name == other.rpartition("=")[0] for other in pairs[:number]):
            raise InvalidValue(f"--event {name!r} is given twice")
        signals[name] = MEANINGS[meaning]
    return signals


def read_ca_file(ca_file: str | None) -> ssl.SSLContext | None:
    """How to trust servers; None if nothing is said of it.

    Raises:
        InvalidValue: the file cannot be read, or has no certificates.
    """
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise InvalidValue(f"{ca_file} is not a file of certificates (PEM)") from None
    except OSError as error:
        raise InvalidValue(f"cannot read {ca_file}: {error.strerror}") from None
    except ValueError:
        raise InvalidValue(f"cannot read {ca_file}: no file has such a name") from None
