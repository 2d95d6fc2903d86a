"""The gateways that the command line knows: the first word after `pair` that is one selects it.

One more is one more entry of the table. What an option is called here, with an underscore for each
hyphen, is what the gateway's constructor calls it. Nothing is imported until it is used.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidValue, UsageError
from ..gateways.credentials import variable_of
from ..pictures import require_reading

if TYPE_CHECKING:
    import ssl

    from ..gateways.base import Gateway
    from ..testing.gateways.emulator import Emulator

__all__ = [
    "EXAMPLE",
    "GATEWAYS",
    "Entry",
    "Option",
    "Secret",
    "gateway_in_environment",
    "read_secret",
]

LONGEST_SECRET = 10_000
"""Characters; a longer file is another one than was meant."""

YES_OR_NO = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}
"""What a variable may say of something that is so or is not."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a gateway is told: by a name on the command line, and one in the environment."""

    name: str
    help: str
    required: bool = False

    @property
    def argument(self) -> str:
        """What the constructor calls it."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment's name for it."""
        return variable_of(self.name)

    def in_environment(self) -> str | bool | None:
        """What the environment says.

        Raises:
            InvalidValue: it is missing and must not be, or cannot be meant.
        """
        found = os.environ.get(self.variable)
        if not found and self.required:
            raise InvalidValue(f"{self.help} is needed: set {self.variable}")
        return found or None


@dataclass(frozen=True, slots=True)
class Option(Setting):
    """What a gateway is told on the command line: a text, or that something is so."""

    flag: bool = False

    def in_environment(self) -> str | bool | None:
        """What the environment says; of a flag, whether it is so."""
        found = Setting.in_environment(self)
        if not isinstance(found, str) or not self.flag:
            return found
        if found.lower() not in YES_OR_NO:
            raise InvalidValue(f"{self.variable} must be yes or no ({self.help})")
        return YES_OR_NO[found.lower()]

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Have it parsed."""
        option = f"--{self.name}"
        if self.flag:
            parser.add_argument(option, action="store_true", help=self.help)
        else:
            metavar = self.name.rpartition("-")[2].upper()
            parser.add_argument(option, required=self.required, metavar=metavar, help=self.help)


@dataclass(frozen=True, slots=True)
class Secret(Setting):
    """What a gateway is told in secret: from the environment, or from a file.

    Never on the command line, where every list of processes and every shell's history has it.
    """

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Have the name of its file parsed."""
        text = f"a file with {self.help}; or in the environment's {self.variable}"
        parser.add_argument(f"--{self.name}-file", metavar="FILE", help=text)


@dataclass(frozen=True, slots=True)
class Entry:
    """One gateway."""

    help: str
    url: str
    """What its URL is called."""
    gateway: str
    """Its class, as ``module:name`` in `qrlifecycle.gateways`."""
    emulator: str
    """What plays it, in the demo and in its scenarios: in `qrlifecycle.testing.gateways`."""
    options: tuple[Option, ...] = ()
    secrets: tuple[Secret, ...] = ()
    emulator_options: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    """What follows the URL in the examples of its help, each of which pairs."""
    exports: str = ""
    """The secret that they take from the environment, if any."""
    typed: bool = False
    """Whether each of its codes can be typed as well: it need not be drawn."""
    pictured: bool = False
    """Whether its codes come as pictures alone: to be drawn here, they have to be read first."""

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Have all of it parsed."""
        parser.add_argument("url", metavar=self.url, help=f"the server, like {EXAMPLE}")
        for option in self.options:
            option.add_to(parser)
        for secret in self.secrets:
            secret.add_to(parser)

    def require_extras(self) -> None:
        """Nothing is asked for that could not be drawn: on GOWA a request kills another's code.

        Raises:
            MissingExtra: its codes are pictures, and what reads them is not installed.
        """
        if self.pictured:
            require_reading()

    def make(self, arguments: argparse.Namespace, ssl_context: ssl.SSLContext | None) -> Gateway:
        """The gateway that was asked for.

        Raises:
            InvalidValue: an argument that cannot be meant, or a secret that is missing.
        """
        options = {option.argument: getattr(arguments, option.argument) for option in self.options}
        secrets = {
            secret.argument: read_secret(secret, getattr(arguments, f"{secret.argument}_file"))
            for secret in self.secrets
        }
        try:
            return self._construct(arguments.url, {**options, **secrets}, ssl_context)
        except UsageError as error:
            said = str(error)
        # At a terminal nobody can give an argument of that name.
        for secret in self.secrets:
            said = said.replace(f"{secret.argument}=", secret.variable)
        raise InvalidValue(said)

    def make_from_environment(self) -> Gateway:
        """The gateway that the environment describes, by the names that its secrets have as well.

        Raises:
            InvalidValue: the text names the variable that is missing, or what cannot be meant.
        """
        url = Setting("url", f"the server's address, like {EXAMPLE},", required=True)
        address = str(url.in_environment())
        options = {option.argument: option.in_environment() for option in self.options}
        secrets = {secret.argument: secret.in_environment() for secret in self.secrets}
        return self._construct(address, {**options, **secrets}, None)

    def _construct(
        self,
        url: str,
        options: Mapping[str, str | bool | None],
        ssl_context: ssl.SSLContext | None,
    ) -> Gateway:
        given: dict[str, Any] = {
            name: value for name, value in options.items() if value not in (None, False)
        }
        if ssl_context is not None:
            given["ssl_context"] = ssl_context
        gateway: Gateway = _load("gateways", self.gateway)(url, **given)
        return gateway

    def play(self, **options: Any) -> Emulator:
        """What plays it, with options of its own beside those that it has here."""
        every = {**self.emulator_options, **options}
        emulator: Emulator = _load("testing.gateways", self.emulator)(**every)
        return emulator


EXAMPLE = "https://service.example"

PHONE_NUMBER = Option("phone-number", "a phone that can type the code: its number, +49151...")

GATEWAYS: Mapping[str, Entry] = {
    "device-flow": Entry(
        help="sign in by the device flow of an OAuth or OpenID Connect server (RFC 8628)",
        url="ISSUER",
        gateway="device_flow:DeviceFlow",
        emulator="device_flow:DeviceFlowEmulator",
        options=(
            Option("client-id", "what this program is called there", required=True),
            Option("scope", "what is asked for (openid)"),
            Option("device-endpoint", "for a server that publishes nothing: where codes are given"),
            Option("token-endpoint", "and where it is polled"),
        ),
        secrets=(Secret("client-secret", "the client's secret, if it has one"),),
        emulator_options={"interval": 1.0},
        examples=("--client-id tv", "--client-id tv --scope 'openid profile'"),
        typed=True,
    ),
    "evolution": Entry(
        help="link WhatsApp to an instance of an Evolution API server (version 2)",
        url="URL",
        gateway="evolution:EvolutionAPI",
        emulator="evolution:EvolutionEmulator",
        options=(
            Option("instance", "the instance's name", required=True),
            PHONE_NUMBER,
            Option("global-events", "the server tells everybody everything", flag=True),
        ),
        secrets=(Secret("api-key", "the instance's token, or the global key", required=True),),
        examples=(
            "--instance bot-7",
            "--instance bot-7 --phone-number +4915112345678",
            "--instance bot-7 --api-key-file evolution.key",
        ),
        exports="api-key",
    ),
    "wppconnect": Entry(
        help="link WhatsApp to a session of a wppconnect-server",
        url="URL",
        gateway="wppconnect:WPPConnect",
        emulator="wppconnect:WPPConnectEmulator",
        options=(Option("session", "the session's name", required=True),),
        secrets=(
            Secret("token", "the session's token"),
            Secret("secret-key", "the server's secret, which makes tokens, instead"),
        ),
        examples=("--session bot-7", "--session bot-7 --token-file wppconnect.token"),
        exports="token",
    ),
    "waha": Entry(
        help="link WhatsApp to a session of a WAHA",
        url="URL",
        gateway="waha:WAHA",
        emulator="waha:WAHAEmulator",
        options=(
            Option("session", "the session's name (default)"),
            Option("every-session", "listen to all sessions: the core edition of 2024", flag=True),
            PHONE_NUMBER,
        ),
        secrets=(Secret("api-key", "its key, if it checks one"),),
        examples=(
            "--session default",
            "--session default --phone-number +4915112345678",
            "--session default --api-key-file waha.key",
            "--session default --every-session",
        ),
        exports="api-key",
    ),
    "gowa": Entry(
        help="link WhatsApp to a device of a GOWA (go-whatsapp-web-multidevice)",
        url="URL",
        gateway="gowa:GOWA",
        emulator="gowa:GOWAEmulator",
        options=(
            Option("device", "the device's id", required=True),
            Option("username", "whose password it is, if it asks for one"),
            Option("phone-number", "give a code to type on this phone: its number, +49151..."),
        ),
        secrets=(Secret("password", "the password, if it asks for one"),),
        examples=(
            "--device bot-7 --username admin",
            "--device bot-7 --username admin --phone-number +4915112345678",
            "--device bot-7 --username admin --password-file gowa.password",
        ),
        exports="password",
        pictured=True,
        emulator_options={"lifetime": 40.0},  # a scenario waits for 60 s, so codes live less
    ),
}
"""By the name that selects it."""


def gateway_in_environment() -> Gateway | None:
    """The gateway that the environment names in ``QRLIFECYCLE_GATEWAY``; None if it names none.

    Raises:
        InvalidValue: there is no such gateway, or a setting is missing or cannot be meant.
    """
    named = os.environ.get(variable_of("gateway"))
    if not named:
        return None
    if (entry := GATEWAYS.get(named)) is None:
        raise InvalidValue(f"{variable_of('gateway')} must be one of: {', '.join(GATEWAYS)}")
    return entry.make_from_environment()


def read_secret(secret: Secret, file: str | None) -> str | None:
    """A secret, from its file or else from the environment; without the line end of a file.

    Raises:
        InvalidValue: it is missing and must not be, or the file cannot be read or is too long.
    """
    option = f"--{secret.name}-file"
    found = os.environ.get(secret.variable) if file is None else _in_file(file, option)
    if not found and secret.required:
        raise InvalidValue(f"a key is needed ({secret.help}): set {secret.variable} or {option}")
    return found or None


def _in_file(name: str, option: str) -> str:
    """What a file has; no error has its name, which may be the key itself.

    Raises:
        InvalidValue: it cannot be read, is empty, too long or no text.
    """
    try:
        with Path(name).open(encoding="utf-8") as file:
            text = file.read(LONGEST_SECRET + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidValue(f"cannot read the file that {option} names: {why}") from None
    if len(text) > LONGEST_SECRET:
        raise InvalidValue(f"the file that {option} names is no file with a key: it is too long")
    if not (found := text.removesuffix("\n").removesuffix("\r")):
        raise InvalidValue(f"the file that {option} names is empty")
    return found


def _load(folder: str, path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(f"...{folder}.{module}", __name__), name)
