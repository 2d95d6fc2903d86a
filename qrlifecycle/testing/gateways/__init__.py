"""Emulators of services, and a suite that puts a gateway through what happens in the field."""

from .check import (
    GatewayBroken,
    GatewayReport,
    ScenarioResult,
    check_gateway,
    play,
    scenarios,
)
from .device_flow import DeviceFlowEmulator
from .emulator import IDENTITY, CannotDo, Emulator
from .evolution import EvolutionEmulator
from .gowa import GOWAEmulator
from .scenes import Scenario
from .waha import WAHAEmulator
from .wppconnect import WPPConnectEmulator

__all__ = [
    "IDENTITY",
    "CannotDo",
    "DeviceFlowEmulator",
    "Emulator",
    "EvolutionEmulator",
    "GOWAEmulator",
    "GatewayBroken",
    "GatewayReport",
    "Scenario",
    "ScenarioResult",
    "WAHAEmulator",
    "WPPConnectEmulator",
    "check_gateway",
    "play",
    "scenarios",
]
