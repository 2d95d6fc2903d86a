"""Gateways: ready-made support for the services that people run.

A gateway is one account of one service: what it is asked for a code, how it is listened to, what
its status means. Importing one is choosing it, and imports nothing of the others::

    from qrlifecycle.gateways import DeviceFlow

    gateway = DeviceFlow("https://login.example", client_id="tv")
    outcome = await gateway.lifecycle(on_qr_updated=show).pair()

`base` is what all share and what one of your own subclasses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Gateway, Hooks, Parts
    from .device_flow import DeviceFlow
    from .evolution import EvolutionAPI
    from .gowa import GOWA
    from .replies import CodeCompared, PasskeySigned, PasswordGiven
    from .waha import WAHA
    from .wppconnect import WPPConnect

_MODULES = {
    "CodeCompared": "replies",
    "DeviceFlow": "device_flow",
    "EvolutionAPI": "evolution",
    "GOWA": "gowa",
    "Gateway": "base",
    "Hooks": "base",
    "Parts": "base",
    "PasskeySigned": "replies",
    "PasswordGiven": "replies",
    "WAHA": "waha",
    "WPPConnect": "wppconnect",
}
"""Where each name is; a module is imported when one of its names is first used."""

__all__ = [
    "GOWA",
    "WAHA",
    "CodeCompared",
    "DeviceFlow",
    "EvolutionAPI",
    "Gateway",
    "Hooks",
    "Parts",
    "PasskeySigned",
    "PasswordGiven",
    "WPPConnect",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
