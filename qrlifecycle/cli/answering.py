"""What a service requires of the person at a terminal, and what they answer to it.

A code that both screens show is compared here. A passkey is signed by a browser, which no terminal
is: that is said, and waited for, as somebody may do it elsewhere.
"""

from __future__ import annotations

import sys

import anyio
import anyio.to_thread

from ..errors import PeerError
from ..gateways.base import Gateway
from ..gateways.replies import CodeCompared
from ..monitoring.printable import printable
from ..signals import ActionRequired
from .plain_view import PlainView

__all__ = ["Answering"]

SAME = {"y": True, "yes": True, "n": False, "no": False}
"""What is typed, and whether the codes are the same then."""

COMPARE = "do both screens show it? Type y or n, and press Enter:"

NO_TERMINAL = "nobody can answer that here: it takes a terminal to type in"

ELSEWHERE = {
    "passkey": (
        "a passkey is signed in a browser, so not here: the service's own page may do it, or a "
        "program, by gateway.answer()"
    )
}
"""What to do about an action that the service takes an answer to, but not from here."""


class Answering:
    """One attempt's actions: each is told, and asked about if it can be answered here.

    Args:
        gateway: takes the answers.
        view: where it is asked.
    """

    def __init__(self, gateway: Gateway, view: PlainView) -> None:
        self._gateway = gateway
        self._view = view
        self._action: ActionRequired | None = None
        self._news = anyio.Event()

    def require(self, action: ActionRequired) -> None:
        """The service requires one more step from the person."""
        self._view.require(action)
        if action.action in self._gateway.replies and action.action in ELSEWHERE:
            self._view.say(ELSEWHERE[action.action])
        if self._gateway.replies.get(action.action) is CodeCompared:
            self._action = action
            self._view.say(COMPARE if _is_terminal() else NO_TERMINAL)
            self._news.set()

    async def run(self) -> None:
        """Pass on what is answered, for as long as the attempt runs."""
        while _is_terminal():
            while (asked := self._action) is None:
                await self._news.wait()
                self._news = anyio.Event()
            if not (line := await anyio.to_thread.run_sync(_read_line, abandon_on_cancel=True)):
                return
            same = SAME.get(line.strip().lower())
            if same is None or self._action is not asked:  # what was typed was about another code
                self._view.say(COMPARE)
                continue
            self._action = None
            await self._send(asked, CodeCompared(same))

    async def _send(self, action: ActionRequired, reply: CodeCompared) -> None:
        try:
            await self._gateway.answer(action, reply)
        except PeerError as error:
            self._view.say(f"the answer was not taken: {printable(str(error), 200)}")


def _is_terminal() -> bool:
    """Whether somebody sits there: what stands in a file or a pipe is no answer to a question."""
    return sys.stdin is not None and sys.stdin.isatty()


def _read_line() -> str:
    """Wait for a line; nothing if there are no more."""
    try:
        return sys.stdin.readline()
    except (OSError, ValueError):  # it was closed
        return ""
