"""The commands and their arguments; what is said of them at length is in `help_texts`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InvalidValue
from ..spelling import did_you_mean
from ..states import State
from .gateways import GATEWAYS
from .help_texts import (
    AUDIT_EXAMPLES,
    AUDIT_TEXT,
    COMPLETION_EXAMPLES,
    COMPLETION_TEXT,
    DEMO_EXAMPLES,
    DEMO_TEXT,
    DESCRIPTION,
    DIAGRAM_EXAMPLES,
    DIAGRAM_TEXT,
    EXAMPLES,
    MODEL_EXAMPLES,
    PAIR_EXAMPLES,
    PAIR_TEXT,
    TIMELINE_EXAMPLES,
    TIMELINE_TEXT,
    VERIFY_EXAMPLES,
    VERIFY_TEXT,
    gateway_examples,
    gateways_text,
)
from .parser import Parser, ShowVersion

__all__ = ["SHELLS", "command_line", "select_gateway"]

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")
"""What completions can be made for."""


def command_line() -> Parser:
    """The parser of the whole command line; ``command`` is the name of the module to import."""
    parser = Parser(prog="qrlifecycle", description=DESCRIPTION, epilog=EXAMPLES)
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_demo(commands)
    _add_pair(commands)
    _add_gateways(commands)
    _add_diagram(commands)
    _add_model(commands)
    _add_verify(commands)
    _add_audit(commands)
    _add_timeline(commands)
    _add_completion(commands)
    parser.commands = tuple(name for name in commands.choices if name.isidentifier())
    parser.parsers = {**commands.choices}
    for command in parser.parsers.values():
        command.set_defaults(parser=command)
    return parser


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo",
        help="pair a phone with a toy server on this machine",
        description=DEMO_TEXT,
        epilog=DEMO_EXAMPLES,
    )
    add = demo.add_argument
    add(
        "--scan-after",
        type=_delay,
        metavar="SECONDS",
        help="scan the code automatically after this time",
    )
    add(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="the address to listen on (%(default)s)",
    )
    add("--port", type=_port, default=0, help="the port to listen on (a free one)")
    add("--gateway", choices=[*GATEWAYS], help="play this service in place of the toy server")
    add(
        "--serve",
        action="store_true",
        help="with --gateway: print the `pair` command for another terminal, and scan on Enter",
    )
    _add_policy(demo)


def _add_pair(commands: Any) -> None:
    pair = commands.add_parser(
        "pair",
        help=f"pair a phone with a bot on your own server, or by one of: {', '.join(GATEWAYS)}",
        description=PAIR_TEXT,
        epilog=PAIR_EXAMPLES + gateways_text(),
    )
    add = pair.add_argument
    pair.secrets = {"--token": "QRLIFECYCLE_TOKEN"}
    add("url", metavar="URL", help="the server, like https://bots.example")
    add("--bot-id", required=True, metavar="ID", help="the bot to pair")
    add("--user-id", required=True, metavar="ID", help="the user who pairs it")
    add("--qr-url", metavar="URL", help="where to ask for a code (URL/qr)")
    add("--qr-field", default="qr", metavar="PATH", help="where the code is, like data.code (qr)")
    add(
        "--expires-field",
        default="expiresIn",
        metavar="PATH",
        help="where its lifetime in seconds is (expiresIn)",
    )
    add(
        "--status-url",
        metavar="URL",
        help="where to read whether the account is paired (GET, with botId and userId)",
    )
    add(
        "--status-field",
        metavar="PATH",
        help="where the status is in the answer, like instance.state (status)",
    )
    add("--paired-status", metavar="WORD", help="the status of a paired account (paired)")
    _add_socket(pair)
    _add_policy(pair)


def select_gateway(argv: Sequence[str]) -> list[str]:
    """The arguments, with a gateway's name right after `pair` made part of the command.

    Raises:
        InvalidValue: the word there is neither a URL nor a gateway, and is nearly the latter.
    """
    match [*argv]:
        case ["pair", name, *rest] if name in GATEWAYS:
            return [f"pair {name}", *rest]
        case ["pair", name, *_] if "/" not in name and (
            hint := did_you_mean(name.lower(), GATEWAYS)
        ):
            url = "a server of your own must look like https://bots.example"
            raise InvalidValue(f"there is no gateway {name!r}{hint} {url}")
        case ["pair", first, second, *_] if (name := second.lower()) in GATEWAYS:
            what = "the gateway comes first" if "/" in first else f"there is no gateway {first!r}"
            raise InvalidValue(f"{what}; did you mean 'pair {name} URL'?")
        case ["pair", name, url, *_] if "/" not in name and "://" in url:
            every = ", ".join(GATEWAYS)
            raise InvalidValue(f"there is no gateway {name!r}; there are: {every}")
        case [name, *_] if name.lower() in GATEWAYS:
            raise InvalidValue(f"a gateway is no command; did you mean 'pair {name.lower()} URL'?")
    return [*argv]


def _add_gateways(commands: Any) -> None:
    """A parser for each gateway; they are not listed among the commands, but in `pair --help`."""
    for name, entry in GATEWAYS.items():
        pair = commands.add_parser(
            f"pair {name}",
            description=f"{entry.help[0].upper()}{entry.help[1:]}.",
            epilog=gateway_examples(name, entry),
        )
        pair.set_defaults(command="pair_gateway", gateway=name)
        entry.add_to(pair)
        pair.secrets = {f"--{secret.name}": secret.variable for secret in entry.secrets}
        ca_file = "trust this certificate authority (PEM), and no other"
        pair.add_argument("--ca-file", metavar="FILE", help=ca_file)
        _add_policy(pair)


def _add_socket(pair: argparse.ArgumentParser) -> None:
    """How to connect, and what the server's messages mean."""
    add = pair.add_argument
    add("--namespace", default="/", help="the Socket.IO namespace (/)")
    add("--socketio-path", default="socket.io", metavar="PATH", help="its path (socket.io)")
    add(
        "--header",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a header to send, any number of times; not for secrets, others can see it",
    )
    add(
        "--event",
        action="append",
        default=[],
        metavar="NAME=MEANING",
        help="a further event of the server; it means connected, qr_updated, qr_scanned, "
        "qr_expired, pairing_code, action_required, connection_failed, or, with --status-url, "
        "status_changed (whatsapp_... is understood)",
    )
    add(
        "--heartbeat",
        type=float,
        metavar="SECONDS",
        help="silence on the socket after which the server counts as gone (90)",
    )
    add(
        "--max-message",
        type=int,
        metavar="BYTES",
        help="the largest message that is read from the socket (1048576)",
    )
    add(
        "--owner",
        metavar="PATH",
        help="where a message says which bot it is for, like data.session: for servers that tell "
        "everybody everything",
    )
    add(
        "--polling",
        action="store_true",
        help="poll over HTTP: where something on the way lets no WebSocket through",
    )
    add("--ca-file", metavar="FILE", help="trust this certificate authority (PEM), and no other")


def _add_policy(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--attempt-timeout", type=float, metavar="SECONDS", help="give up after this time (600)")
    add(
        "--max-refreshes", type=int, metavar="N", help="replace an expired code N times at most (5)"
    )
    add(
        "--qr-lifetime",
        type=float,
        metavar="SECONDS",
        help="a code's lifetime, if the server does not say it (60)",
    )
    add(
        "--policy",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="any other number of the Policy, like approval_timeout=300, any number of times; a "
        "failure names the one that it came of",
    )
    add("--plain", action="store_true", help="plain lines, as when piped, no live view")
    add(
        "--invert",
        action="store_true",
        help="in a pipe or a terminal without colours, draw the code for a light background",
    )


def _add_diagram(commands: Any) -> None:
    diagram = commands.add_parser(
        "diagram",
        help="draw the states and events, or check a committed drawing",
        description=DIAGRAM_TEXT,
        epilog=DIAGRAM_EXAMPLES,
    )
    add = diagram.add_argument
    add("--format", metavar="FORMAT", help="mermaid, dot, text, json, svg, png or pdf (mermaid)")
    add("--state", choices=[*map(str, State)], metavar="STATE", help="highlight this state")
    add("--phases", action="store_true", help="draw what goes on inside a state as well")
    where = diagram.add_mutually_exclusive_group()
    where.add_argument("--output", metavar="FILE", help="write FILE; its suffix tells the format")
    where.add_argument("--check", metavar="FILE", help="compare FILE with what would be drawn")


def _add_model(commands: Any) -> None:
    model = commands.add_parser(
        "model",
        help="print the formal model of the lifecycle",
        description="Print the formal model of the lifecycle and its world, made from the table.",
        epilog=MODEL_EXAMPLES,
    )
    add = model.add_argument
    add("--format", metavar="FORMAT", help="promela or json (promela)")
    add("--output", metavar="FILE", help="write FILE; its suffix (.pml, .json) tells the format")


def _add_verify(commands: Any) -> None:
    verify = commands.add_parser(
        "verify",
        help="check the promises, with the Socket.IO transport or your own",
        description=VERIFY_TEXT,
        epilog=VERIFY_EXAMPLES,
    )
    add = verify.add_argument
    add("factory", nargs="?", metavar="MODULE:FACTORY", help="makes a peer for your transport")
    add(
        "--only",
        action="append",
        choices=["exploration", "contract", "properties"],
        help="this part, any number of times (all; of your own transport: contract and properties)",
    )
    add(
        "--backend",
        action="append",
        choices=["asyncio", "trio"],
        help="on this event loop, any number of times (both)",
    )
    add(
        "--gateway",
        metavar="FACTORY",
        help="makes an emulator whose gateway goes through its scenarios; or one of "
        + ", ".join(GATEWAYS),
    )
    add(
        "--scenario",
        action="append",
        metavar="NAME",
        help="with --gateway: this scenario, any number of times (all)",
    )
    add("--seed", type=int, metavar="N", help="draws the same plans again (random)")
    add("--deep", action="store_true", help="wider worlds and more plans: minutes")


def _add_audit(commands: Any) -> None:
    audit = commands.add_parser(
        "audit",
        help="judge the journal of a program that ran",
        description=AUDIT_TEXT,
        epilog=AUDIT_EXAMPLES,
    )
    add = audit.add_argument
    _add_files(add)
    add("--success", type=float, metavar="SECONDS", help="from signal to success (1)")
    add("--scan-to-success", type=float, metavar="SECONDS", help="from scan to success (no limit)")
    add("--openings-per-attempt", type=float, metavar="N", help="sockets (no limit)")
    add("--socket-seconds-per-success", type=float, metavar="SECONDS", help="(no limit)")
    add("--codes-per-success", type=float, metavar="N", help="(no limit)")
    add(
        "--window",
        type=int,
        metavar="N",
        help="attempts that the two limits above are judged over (20)",
    )


def _add_files(add: Callable[..., object]) -> None:
    add(
        "files",
        nargs="+",
        metavar="FILE",
        help="the journal, compressed by gzip or not; - is the standard input. Of several, of days "
        "or of processes, the lines are taken in order of time",
    )


def _add_timeline(commands: Any) -> None:
    timeline = commands.add_parser(
        "timeline",
        help="draw the journal of a program that ran",
        description=TIMELINE_TEXT,
        epilog=TIMELINE_EXAMPLES,
    )
    add = timeline.add_argument
    _add_files(add)
    add("--output", metavar="FILE", help="write FILE; its suffix tells the format")
    add("--format", metavar="FORMAT", help="text, svg, png or pdf (text)")
    add("--last", type=int, metavar="N", help="the latest attempts (20)")
    add("--lifecycle", metavar="ID", help="only of this lifecycle")
    add("--subject", metavar="WORD", help="only for this bot, user or key")
    add("--absolute", action="store_true", help="by the clock, not each lane from its beginning")


def _add_completion(commands: Any) -> None:
    completion = commands.add_parser(
        "completion",
        help="print what makes a shell complete these commands",
        description=COMPLETION_TEXT,
        epilog=COMPLETION_EXAMPLES,
    )
    completion.add_argument(
        "shell", metavar="SHELL", choices=SHELLS, help="bash, zsh, fish, tcsh or powershell"
    )


def _delay(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds of at least 0")
    return seconds


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a port: 0 to 65535")
    return port


# argparse names a failing type by its function's name
_delay.__name__ = "SECONDS"
_port.__name__ = "port"
