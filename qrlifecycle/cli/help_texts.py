"""What the command line says of itself: what each command is for, examples, exit codes."""

from __future__ import annotations

import re
import textwrap

from ..gateways.credentials import variable_of
from .gateways import EXAMPLE, GATEWAYS, Entry

__all__ = [
    "AUDIT_EXAMPLES",
    "AUDIT_TEXT",
    "COMPLETION_EXAMPLES",
    "COMPLETION_TEXT",
    "DEMO_EXAMPLES",
    "DEMO_TEXT",
    "DESCRIPTION",
    "DIAGRAM_EXAMPLES",
    "DIAGRAM_TEXT",
    "EXAMPLES",
    "MODEL_EXAMPLES",
    "PAIR_EXAMPLES",
    "PAIR_TEXT",
    "TIMELINE_EXAMPLES",
    "TIMELINE_TEXT",
    "VERIFY_EXAMPLES",
    "VERIFY_TEXT",
    "gateway_examples",
    "gateways_text",
]

WIDTH = 72
"""Columns of an example: with what stands around it, it fits into a terminal of 80."""

CONTINUED = " \\\n      "
"""How a shell's line ends that goes on in the next."""

DESCRIPTION = """\
One socket while a QR code is on screen, not before and not after, and the success at once.
"""

EXAMPLES = """\
examples:
  qrlifecycle demo                   pair with a toy server on this machine
  qrlifecycle demo --scan-after 2    the same, scanned by itself after 2 seconds
  qrlifecycle pair https://bots.example --bot-id bot-7 --user-id user-123
  qrlifecycle pair waha http://localhost:3000 --session bot-7
  qrlifecycle pair device-flow https://login.example --client-id tv
  qrlifecycle diagram                the states and events, as a Mermaid diagram
  qrlifecycle model                  the formal model, for Spin
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
  qrlifecycle demo                       open the printed URL to "scan"
  qrlifecycle demo --scan-after 2        scanned by itself after 2 seconds
  qrlifecycle demo --host 192.168.1.20   scan with a phone in the same network
  qrlifecycle demo --gateway waha        a known service, played and scanned
  qrlifecycle demo --gateway waha --serve   played until Ctrl-C, for `qrlifecycle pair waha`

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
  QRLIFECYCLE_TOKEN=... qrlifecycle pair https://bots.example \\
      --bot-id bot-7 --user-id user-123

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
contract T1 to T8, and random plans. MODULE:FACTORY makes a peer, as for check_transport(), and its
transport is put to the contract and to random plans; without it the transport is the one for
Socket.IO. With --gateway a gateway goes through its scenarios
instead, as in check_gateway(): its MODULE:FACTORY is called without arguments, also a class is one,
and gives a fresh qrlifecycle.testing.gateways.Emulator, whose gateway() gives a Gateway for it.
"""

VERIFY_EXAMPLES = """\
examples:
  qrlifecycle verify
  qrlifecycle verify my_tests:my_peer
  qrlifecycle verify my_tests:my_peer --only contract
  qrlifecycle verify --only properties --seed 7
  qrlifecycle verify --gateway my_gateway:PlayedPlatform
  qrlifecycle verify --gateway waha --scenario success --backend asyncio

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
  qrlifecycle audit pod-1.jsonl pod-2.jsonl
  qrlifecycle audit pairings.jsonl* --codes-per-success 3

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
  qrlifecycle timeline pairings.jsonl* --subject user-123

exit code: 0 drawn, 2 the file cannot be read, or has nothing to draw
"""

COMPLETION_TEXT = """\
Print a script for a shell, which makes it complete the commands and their options.
"""

COMPLETION_EXAMPLES = """\
examples:
  eval "$(qrlifecycle completion bash)"          in ~/.bashrc
  eval "$(qrlifecycle completion zsh)"           in ~/.zshrc, below compinit
  qrlifecycle completion fish > ~/.config/fish/completions/qrlifecycle.fish

exit code: 0 done
"""


def gateways_text() -> str:
    """The gateways, for the end of a help text."""
    lines = (f"  qrlifecycle pair {name} {entry.url} ..." for name, entry in GATEWAYS.items())
    return "\n".join(["", "services that are known, each with a --help of its own:", *lines, ""])


def gateway_examples(name: str, entry: Entry) -> str:
    """How one gateway is paired with, its secret from the environment or a file; and is played."""
    lines = [f"export {variable_of(entry.exports)}=..."] if entry.exports else []
    lines += [
        _wrapped(f"qrlifecycle pair {name} {EXAMPLE} {arguments}") for arguments in entry.examples
    ]
    lines += [
        f"qrlifecycle demo --gateway {name}",
        f"qrlifecycle demo --gateway {name} --serve   # for another terminal",
    ]
    whole = "\n".join(f"  {line}" for line in lines)
    return f"""\
examples:
{whole}

exit code: 0 paired, 1 not paired, 130 after Ctrl-C, 143 after SIGTERM
"""


def _wrapped(command: str) -> str:
    """A command as a shell takes it over several lines; an option stays beside its value."""
    glued = re.sub(r" (?!--)", "\0", command)
    return CONTINUED.join(textwrap.wrap(glued, WIDTH, break_on_hyphens=False)).replace("\0", " ")
