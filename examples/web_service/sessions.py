"""Sessions: a browser's, in a cookie that only this service can have made.

Each is signed, so nothing is kept of those that were given, and a forged session is recognized. The
key is the process's, and new sessions are given after a restart; or it is one that all processes of
the service were given. A service with a log-in of its own has sessions already, and does not need
this module.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["SESSION", "Sessions", "cookie_name", "user_of"]

SESSION = "session"


class Sessions:
    """Gives sessions, and verifies them.

    Args:
        key: what they are signed with; None makes one.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)

    def of(self, request: Request) -> str | None:
        """The session that the browser brings; None if it has none of ours."""
        session = request.cookies.get(cookie_name(request), "")
        signed = self._sign(session.partition(".")[0])
        return session if hmac.compare_digest(signed.encode(), session.encode()) else None

    def give(self, request: Request, response: Response) -> None:
        """Give the browser a session, unless it has one."""
        if self.of(request) is None:
            https = request.url.scheme == "https"
            response.set_cookie(
                cookie_name(request),
                self._sign(secrets.token_urlsafe(32)),
                # Over https it is the whole host's, as its name demands. Over http it is that of
                # the page's own folder, which a proxy may have put anywhere.
                path="/" if https else None,
                httponly=True,
                samesite="strict",
                secure=https,
            )

    def _sign(self, token: str) -> str:
        return f"{token}.{hmac.new(self._key, token.encode(), hashlib.sha256).hexdigest()}"


def cookie_name(request: Request) -> str:
    """Over https one that no neighbouring domain can set; browsers refuse it over http."""
    return f"__Host-{SESSION}" if request.url.scheme == "https" else SESSION


def user_of(session: str) -> str:
    """The user that a session belongs to. A service with a log-in of its own asks that.

    The session is a credential, so it is not what the platform is told.
    """
    return hashlib.sha256(session.encode()).hexdigest()[:32]
