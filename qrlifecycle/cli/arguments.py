"""The commands and their arguments, with the help texts."""

from __future__ import annotations

import argparse
import math
from typing import Any

from ..states import State
from .parser import Parser, ShowVersion

__all__ = ["command_line"]

DESCRIPTION = """\
One socket while a QR code is on screen, not before and not after, and the success at once.
"""

EXAMPLES = """\
examples:
  qrlifecycle demo                   pair a phone with a toy server on this machine
  qrlifecycle demo --scan-after 2    the same, scanned by itself after 2 seconds
  qrlifecycle pair https://bots.example --bot-id bot-7 --user-id user-123
  qrlifecycle diagram                the states and events, as a Mermaid diagram
  qrlifecycle model                  the formal model, for the model checker Spin
  qrlifecycle verify                 whether the promises hold, on this machine
  qrlifecycle audit pairings.jsonl   whether they held, in a program that ran
  qrlifecycle timeline pairings.jsonl   the same as a picture
"""

DEMO_TEXT = """\
Start a toy pairing server on this machine, ask it for a code, show the code, wait for the scan.
On 127.0.0.1 no phone can reach it: open the printed URL in a browser on this machine instead, or
give --host this machine's address in the network and scan with a real phone.
"""

DEMO_EXAMPLES = """\
examples:
  qrlifecycle demo                       open the printed URL in a browser to "scan"
  qrlifecycle demo --scan-after 2        scanned by itself after 2 seconds
  qrlifecycle demo --host 192.168.1.20   scan with a phone in the same network

exit code: 0 paired, 1 not paired, 130 after Ctrl-C, 143 after SIGTERM
"""

PAIR_TEXT = """\
Ask a server for a code, show it, wait for the success over Socket.IO.
The request is POST {"botId", "userId"}; the answer is {"qr", "expiresIn"}, or
{"paired": true, "identity"} if the account is paired already. A token is taken from the environment
variable QRLIFECYCLE_TOKEN, so that no list of processes shows it; it is sent as
"Authorization: Bearer ..." and, over Socket.IO, as {"token": ...}.
"""

PAIR_EXAMPLES = """\
example:
  QRLIFECYCLE_TOKEN=... qrlifecycle pair https://bots.example --bot-id bot-7 --user-id user-123

exit code: 0 paired, 1 not paired, 130 after Ctrl-C, 143 after SIGTERM
"""

DIAGRAM_TEXT = """\
Draw the states and events of the lifecycle, from its table. With --phases also what goes on inside
a state: its regions (where the transport is; what the person owes) with their phases and deadlines,
and which pending event gives way to which.
"""

DIAGRAM_EXAMPLES = """\
examples:
  qrlifecycle diagram --format text --state displayed
  qrlifecycle diagram --output lifecycle.svg
  qrlifecycle diagram --phases --output inside.svg
  qrlifecycle diagram --check docs/lifecycle.mmd
  qrlifecycle diagram --phases --check docs/lifecycle.md

exit code: 0 done or up to date, 1 the committed diagram differs
"""

MODEL_EXAMPLES = """\
examples:
  qrlifecycle model --output lifecycle.pml && spin -a lifecycle.pml
  qrlifecycle model --format json

exit code: 0 done
"""

VERIFY_TEXT = """\
Check the promises of the lifecycle and of a transport: every order of events in small worlds, the
contract T1 to T8, and random plans. MODULE:FACTORY makes a peer, as for check_transport(); without
it the transport is the one for Socket.IO.
"""

VERIFY_EXAMPLES = """\
examples:
  qrlifecycle verify
  qrlifecycle verify my_tests:my_peer --only contract
  qrlifecycle verify --only properties --seed 7

exit code: 0 all held, 1 something broke, was never seen or did not finish, 2 nothing could be
checked, 130 after Ctrl-C, 143 after SIGTERM
"""

AUDIT_TEXT = """\
Judge a journal: whether the promises held in a program that ran, and which line broke which.
The limits are those of qrlifecycle.monitoring.audit.Limits; what is beyond one is a finding too.
"""

AUDIT_EXAMPLES = """\
examples:
  qrlifecycle audit pairings.jsonl
  zcat -f $(ls -tr pairings.jsonl*) | qrlifecycle audit - --codes-per-success 3

exit code: 0 nothing found, 1 something found, 2 the file cannot be read, or is no journal
"""

TIMELINE_TEXT = """\
Draw a journal: a lane for each attempt, with its states and below them its socket, to show that a
socket is open only while a code is displayed. The findings of the audit are printed with it.
"""

TIMELINE_EXAMPLES = """\
examples:
  qrlifecycle timeline pairings.jsonl
  qrlifecycle timeline pairings.jsonl --output pairings.svg --last 40
  zcat -f $(ls -tr pairings.jsonl*) | qrlifecycle timeline - --subject user-123

exit code: 0 drawn, 2 the file cannot be read, or has nothing to draw
"""


def command_line() -> Parser:
    """The parser of the whole command line; ``command`` is the name of the module to import."""
    parser = Parser(prog="qrlifecycle", description=DESCRIPTION, epilog=EXAMPLES)
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_demo(commands)
    _add_pair(commands)
    _add_diagram(commands)
    _add_model(commands)
    _add_verify(commands)
    _add_audit(commands)
    _add_timeline(commands)
    parser.commands = tuple(commands.choices)
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
    _add_policy(demo)


def _add_pair(commands: Any) -> None:
    pair = commands.add_parser(
        "pair",
        help="pair a phone with a bot on your own server",
        description=PAIR_TEXT,
        epilog=PAIR_EXAMPLES,
    )
    add = pair.add_argument
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
        "qr_expired, pairing_code, action_required or connection_failed (whatsapp_... is "
        "understood)",
    )
    add("--ca-file", metavar="FILE", help="trust this certificate authority (PEM), and no other")
    _add_policy(pair)


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
    add("--plain", action="store_true", help="plain lines, as when piped, no live view")


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
        help="this part, any number of times (all)",
    )
    add(
        "--backend",
        action="append",
        choices=["asyncio", "trio"],
        help="on this event loop, any number of times (both)",
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
    add("file", metavar="FILE", help="the journal; - is the standard input")
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


def _add_timeline(commands: Any) -> None:
    timeline = commands.add_parser(
        "timeline",
        help="draw the journal of a program that ran",
        description=TIMELINE_TEXT,
        epilog=TIMELINE_EXAMPLES,
    )
    add = timeline.add_argument
    add("file", metavar="FILE", help="the journal; - is the standard input")
    add("--output", metavar="FILE", help="write FILE; its suffix tells the format")
    add("--format", metavar="FORMAT", help="text, svg, png or pdf (text)")
    add("--last", type=int, metavar="N", help="the latest attempts (20)")
    add("--lifecycle", metavar="ID", help="only of this lifecycle")
    add("--subject", metavar="WORD", help="only for this bot or user")
    add("--absolute", action="store_true", help="by the clock, not each lane from its beginning")


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
