"""A lifecycle that runs beside a test, and a client whose answers can be changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
from anyio.abc import TaskGroup

from qrlifecycle import ActionRequired
from qrlifecycle.gateways import Gateway
from qrlifecycle.gateways.http import Answer

from .services import Canned

__all__ = ["Watch", "give"]


def give(client: Canned, *answers: Answer | Exception) -> None:
    """From now on it gives these answers, the last for ever."""
    client._answers = list(answers)


class Watch:
    """A lifecycle that runs beside a test."""

    def __init__(self, tasks: TaskGroup, gateway: Gateway, **options: Any) -> None:
        self.codes: list[Any] = []
        self.actions: list[ActionRequired] = []
        self.outcome: Any = None
        self.lifecycle = gateway.lifecycle(
            on_qr_updated=self.codes.append,
            on_action_required=self.actions.append,
            on_change=self._wake,
            **options,
        )
        self._news = anyio.Event()
        tasks.start_soon(self._pair)

    async def _pair(self) -> None:
        self.outcome = await self.lifecycle.pair()
        self._wake()

    def _wake(self, _change: object = None) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait for it, at most for longer than a round of codes."""
        with anyio.fail_after(200):
            while not happened():
                with anyio.move_on_after(2):
                    await self._news.wait()

    async def until_codes(self, number: int) -> Any:
        """Wait until so many codes were shown; the newest."""
        await self.until(lambda: len(self.codes) >= number)
        return self.codes[-1]

    async def until_actions(self, number: int) -> ActionRequired:
        """Wait until so many actions were required; the newest."""
        await self.until(lambda: len(self.actions) >= number)
        return self.actions[-1]
