"""The layout: names at the front door, imports that go one way."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qrlifecycle

PACKAGE = Path(qrlifecycle.__file__).parent
TOP = PACKAGE.parent

LAYERS = [
    "waiting",
    "states",
    "errors",
    "spelling",
    "calling",
    "secrecy",
    "logs",
    "sleeping",
    "machine",
    "policy",
    "pictures",
    "codes",
    "values",
    "outcome",
    "signals",
    "records",
    "transports.base",
    "transports.buffer",
    "leases.base",
    "engine",
    "lifecycle",
    "pairings",
    "blocking",
    "blocking_pairings",
    "transports.owner",
    "transports.messages",
    "transports.drops",
    "transports.push",
    "transports.reset",
    "transports.wire",
    "transports",
    "gateways",
    "leases",
    "diagram",
    "monitoring",
    "testing",
    "proof",
    "cli",
]
"""Imports go one way: a module or folder imports only from those that stand before it here."""

INNER = {
    "gateways": [
        "http",
        "credentials",
        "failures",
        "replies",
        "turns",
        "deferred",
        "keywords",
        "base",
        "sharing",
        "actions",
        "live_codes",
        "code_on_screen",
        "phone_numbers",
        "device_flow",
        "evolution",
        "wppconnect",
        "waha",
        "gowa",
    ],
    "engine": [
        "user_code",
        "backoff",
        "hooks",
        "recording",
        "unseen",
        "observers",
        "progress",
        "failures",
        "reconnects",
        "connection",
        "service",
        "request",
        "status",
        "lease",
        "incoming",
        "attempt",
        "snapshot",
    ],
    "transports.wire": [
        "endings",
        "address",
        "options",
        "tls",
        "stream",
        "connecting",
        "frames",
        "handshake",
        "proxy",
        "reaching",
        "connection",
        "transport",
    ],
}
"""The same inside a folder, where the order matters."""


def layer_of(module: str) -> str:
    """The layer of a module, by its dotted name below the package."""
    within = (one for one in LAYERS if module == one or module.startswith(f"{one}."))
    return max(within, key=len, default=module)


def imports_of(path: Path) -> set[str]:
    """The dotted names below the package that a file imports, wherever in it."""
    package = list(path.relative_to(PACKAGE).with_suffix("").parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                parts = base + (node.module.split(".") if node.module else [])
            elif (node.module or "").split(".")[0] == "qrlifecycle":
                parts = (node.module or "").split(".")[1:]
            else:
                continue
            names = [alias.name for alias in node.names]
            candidates = [".".join([*parts, name]) for name in names]
            found |= {
                c if (PACKAGE / (c.replace(".", "/") + ".py")).exists() else ".".join(parts)
                for c in candidates
            }
    return found - {""}


def sources() -> list[Path]:
    """Every module of the package but its front doors."""
    return [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"]


def test_imports_go_one_way() -> None:
    """A module imports from the layers before its own, so no cycle can be built."""
    assert [fault for path in sources() for fault in wrong_ways(path)] == []


def wrong_ways(path: Path) -> Iterator[str]:
    """What a module imports from where it may not."""
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    if module in {"__main__", "testing.__main__"}:
        return
    own = layer_of(module)
    if own not in LAYERS:
        yield f"{module} stands in no layer"
        return
    order = INNER.get(own)
    for imported in imports_of(path):
        other = layer_of(imported)
        if other not in LAYERS:
            yield f"{module} imports {imported}, which stands in no layer"
        elif LAYERS.index(other) > LAYERS.index(own):
            yield f"{module} imports {imported}, of a later layer"
        elif order is None or other != own or imported == own:
            continue
        elif module == own and imported.removeprefix(f"{own}.") in order:
            continue  # a folder's own front door
        else:
            names = [name.removeprefix(f"{own}.") for name in (imported, module)]
            if unplaced := set(names) - set(order):
                yield f"{', '.join(sorted(unplaced))} stands nowhere in INNER['{own}']"
            elif order.index(names[0]) >= order.index(names[1]):
                yield f"{module} imports {imported}, which comes after it"


def test_the_engine_knows_the_contract_and_no_adapter() -> None:
    """What holds a transport imports the transport's contract only, and nothing that watches."""
    for path in [*(PACKAGE / "engine").glob("*.py"), PACKAGE / "lifecycle.py"]:
        imports = {name for name in imports_of(path) if name.startswith("transports")}
        assert imports <= {"transports.base"}, path


def test_the_guests_kit_does_not_depend_on_our_own_proof() -> None:
    """Nothing in `testing` imports from `proof`, at the top of a module or further down."""
    kit = [path for path in sources() if path.is_relative_to(PACKAGE / "testing")]
    assert kit
    using = {
        str(path.relative_to(PACKAGE))
        for path in kit
        for name in imports_of(path)
        if name.startswith("proof")
    }
    assert using == set()


def test_every_layer_in_the_list_exists() -> None:
    """The lists name no module that is not there."""
    within = (f"{folder}.{name}" for folder, names in INNER.items() for name in names)
    for layer in (*LAYERS, *within):
        importlib.import_module(f"qrlifecycle.{layer}")


def test_all_is_the_truth() -> None:
    """Every name in `__all__` is there, is sorted, and is what type checkers see."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    checked = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert set(qrlifecycle.__all__) == checked
    for name in qrlifecycle.__all__:
        assert hasattr(qrlifecycle, name)
    assert set(qrlifecycle.__all__) <= set(dir(qrlifecycle))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = qrlifecycle.nonsense


def test_each_modules_all_is_the_truth() -> None:
    """Every name that a module's `__all__` lists is there."""
    names = (".".join(path.relative_to(TOP).with_suffix("").parts) for path in sources())
    modules = [
        importlib.import_module(name.removesuffix(".__init__"))
        for name in names
        if not name.endswith("__main__")
    ]
    assert [
        f"{module.__name__}.{listed}"
        for module in modules
        for listed in getattr(module, "__all__", [])
        if not hasattr(module, listed)
    ] == []


def modules_after(statement: str) -> set[str]:
    """The top-level packages that are imported once a statement has run in a fresh interpreter."""
    code = f"{statement}\nimport sys; print(*{{m.split('.')[0] for m in sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TOP
    )
    return set(result.stdout.split())


def test_the_front_door_costs_nothing() -> None:
    """Importing the package imports no dependency; a name imports what it needs, and no more."""
    heavy = {"anyio", "asyncio", "transitions", "aiohttp", "socketio", "segno", "rich", "trio"}
    heavy |= {"h11", "idna", "websockets"}
    assert modules_after("import qrlifecycle") & heavy == set()
    lifecycle = modules_after("from qrlifecycle import QRLifecycle")
    assert lifecycle & heavy <= {"anyio", "transitions", "asyncio", "idna"}


def test_a_websocket_costs_what_it_is_made_of() -> None:
    """The transport over a WebSocket imports neither Socket.IO nor aiohttp."""
    transport = modules_after("from qrlifecycle import WebSocketTransport")
    assert transport >= {"h11", "websockets"}
    assert transport.isdisjoint({"socketio", "engineio", "aiohttp", "trio", "segno", "rich"})


def test_the_core_does_not_name_asyncio() -> None:
    """Only the adapter over AsyncClient and its ledger import it, beside the CLI and the kit."""
    naming = {
        str(path.relative_to(PACKAGE))
        for path in sources()
        if any(
            (isinstance(node, ast.Import) and any(a.name == "asyncio" for a in node.names))
            or (isinstance(node, ast.ImportFrom) and node.module == "asyncio")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    naming = {name for name in naming if not name.startswith(("cli/", "testing/", "proof/"))}
    assert naming == {"transports/async_client.py", "transports/ledger.py"}


def test_nothing_else_stands_at_the_top() -> None:
    """The top level holds what it may hold, and dot-files."""
    tracked = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, check=False, cwd=TOP
    ).stdout.splitlines()
    if not tracked:
        pytest.skip("not a git checkout")
    top = {Path(name).parts[0] for name in tracked}
    allowed = {"pyproject.toml", "README.md", "qrlifecycle", "tests", "docs", "examples"}
    assert {name for name in top if not name.startswith(".")} <= allowed
