"""The web side: a page, and one request that pairs a phone and streams the progress.

`POST /pair` answers with server-sent events for as long as a code may be on screen. It is a POST,
because asking for a code changes something; the page reads it with `fetch`, which, unlike
`EventSource`, does not repeat the request by itself.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qrlifecycle import State
from qrlifecycle.diagram import render

from .news import News
from .sessions import Sessions, user_of
from .streams import Streams

__all__ = ["create_app"]

HERE = Path(__file__).parent
FILES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
"""What is served beside the page, and as what."""

PICTURE = (
    '<img data-state="{state}" src="{path}" width="665" height="588" '
    'alt="State diagram, now in: {state}. {meaning}" hidden>'
)
"""The diagram with one state lit. The page holds one for each, so that it need not ask again."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing is stored, nothing is loaded from elsewhere, and no other page frames this one."""


def create_app(streams: Streams, sessions: Sessions, *, hosts: tuple[str, ...]) -> ASGIApp:
    """The application; ``hosts`` are the names under which it may be addressed."""
    files = {f"/{name}": _file(name, kind) for name, kind in FILES.items()}
    pictures = []
    for state in State:
        path = f"diagram/{state}.svg"  # relative: the service may be behind a path of a proxy's
        files[f"/{path}"] = Response(render("svg", state=state), media_type="image/svg+xml")
        pictures.append(PICTURE.format(state=state, path=path, meaning=escape(state.meaning)))
    text = (HERE / "page.html").read_text().replace("<!-- diagram -->", "\n".join(pictures))

    async def page(request: Request) -> Response:
        response = HTMLResponse(text)
        sessions.give(request, response)
        return response

    async def file(request: Request) -> Response:
        return files[request.url.path]

    async def pair(request: Request) -> Response:
        session = sessions.of(request)
        if session is None:  # perhaps the page was loaded before the service was restarted
            refusal = PlainTextResponse("A session was missing. Ask again.\n", 403)
            sessions.give(request, refusal)
            return refusal
        if streams.full:
            return PlainTextResponse("Too many people at once. Try again later.\n", 503)
        return PairingStream(streams, user_of(session))

    routes = [Route("/", page), Route("/pair", pair, methods=["POST"])]
    app = Starlette(routes=[*routes, *(Route(path, file) for path in files)])
    return SafeHeaders(TrustedHostMiddleware(SameOriginOnly(app), allowed_hosts=list(hosts)))


def _file(name: str, kind: str) -> Response:
    return Response((HERE / name).read_bytes(), media_type=kind)


class PairingStream(Response):
    """A user's pairing as server-sent events, joined for as long as the request lives.

    A dialog or a tab that is closed, a connection that is lost: each ends the request, and so this
    scope; the last one to leave ends the lifecycle, and its socket.
    """

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, user_id: str) -> None:
        self._streams = streams
        self._user_id = user_id

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request for as long as the client is connected."""

        async def send_news(news: News | None) -> None:
            text = ": no news\n\n" if news is None else f"data: {json.dumps(news)}\n\n"
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        # The last one is for nginx, which would buffer a stream until its end.
        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_when_gone, receive, tasks.cancel_scope)
            await self._streams.pair(self._user_id, send_news)
            tasks.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b""})


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


class SafeHeaders:
    """Adds the headers above to every response, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with headers added to the answer."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, add)


class SameOriginOnly:
    """Refuses every request that could change something, unless a page of the same origin makes it.

    Behind a proxy that speaks https the scheme is what its ``X-Forwarded-Proto`` says.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        app = self.app
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            headers = Headers(scope=scope)
            if headers.getlist("origin") != [f"{scope['scheme']}://{headers.get('host', '')}"]:
                app = PlainTextResponse("Only the page itself may ask for this.\n", 403)
        await app(scope, receive, send)
