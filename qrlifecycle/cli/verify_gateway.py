"""`qrlifecycle verify --gateway`: a gateway goes through its scenarios, on both event loops."""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import InvalidValue, MissingExtra, UsageError
from ..proof.verify.factories import check_emulator_factory
from ..proof.verify.scenarios import Played, Scenarios
from ..proof.verify.workers import work_off
from ..spelling import did_you_mean
from ..testing.backends import BACKENDS
from ..testing.gateways import scenarios
from .gateways import GATEWAYS
from .stopping import Stop
from .verify import ALL, ALL_TRIED, print_columns, progress, versions

if TYPE_CHECKING:
    from ..testing.gateways import ScenarioResult

__all__ = ["verify_gateway"]

Results = dict[Scenarios, Played]


def verify_gateway(arguments: argparse.Namespace, stop: Stop) -> int:
    """Play the scenarios; return 0 if each was kept or skipped.

    Raises:
        UsageError: a wrong argument, or nothing could be played.
    """
    factory = _named(arguments)
    if arguments.scenario:
        scenarios(arguments.scenario)
    check_emulator_factory(factory)
    names = tuple(dict.fromkeys(arguments.scenario or ())) or None
    entry = GATEWAYS.get(arguments.gateway)
    options = tuple(entry.emulator_options.items()) if entry is not None else ()
    jobs = [Scenarios(factory, backend, names, options) for backend in _backends(arguments)]
    began = time.monotonic()
    print(versions(), flush=True)
    results: Results = {}
    with stop.asks(lambda: None), progress(len(jobs), _in_short) as (news, done):
        queues = [deque([job]) for job in jobs]
        for job, played in work_off(queues, lambda: stop.code is not None, news):
            results[job] = played
            done(job, played)
    if stop.code is not None:
        print("interrupted", file=sys.stderr, flush=True)
        return stop.leave(stop.code)
    in_order = {job: results[job] for job in jobs}
    _report(in_order, time.monotonic() - began)
    return _verdict(in_order)


def _named(arguments: argparse.Namespace) -> str:
    """The factory that is meant, as ``MODULE:FACTORY``: that of a gateway of ours has a name."""
    for option in ("factory", "only", "seed", "deep"):
        given = getattr(arguments, option)
        if given is not None and given is not False:  # a seed may be 0
            what = "a peer's MODULE:FACTORY" if option == "factory" else f"--{option}"
            raise UsageError(f"{what} is for a transport: give it without --gateway")
    name: str = arguments.gateway
    if name in GATEWAYS:
        return f"qrlifecycle.testing.gateways.{GATEWAYS[name].emulator}"
    if ":" not in name and (hint := did_you_mean(name, GATEWAYS)):
        raise InvalidValue(f"there is no gateway {name!r}{hint}")
    return name


def _backends(arguments: argparse.Namespace) -> list[str]:
    wanted = [*dict.fromkeys(arguments.backend or BACKENDS)]
    if "trio" in wanted and find_spec("trio") is None:
        if arguments.backend:
            raise MissingExtra("--backend trio", "testing")
        print(f"skipped: {MissingExtra('what runs on trio', 'testing')}")
        wanted.remove("trio")
    return wanted


def _in_short(played: Played) -> str:
    if played.failure or played.skipped:
        return f"skipped: {played.skipped}" if played.skipped else "not finished"
    words = [_word(result) for result in played.results]
    counts = ((words.count(word), word) for word in ("BROKEN", "kept", "skipped"))
    return ", ".join(f"{count} {word}" for count, word in counts if count)


def _word(result: ScenarioResult) -> str:
    if result.failure is not None:
        return "BROKEN"
    return "skipped" if result.skipped is not None else "kept"


def _report(results: Results, seconds: float) -> None:
    rows = [
        (result.scenario.name, job.backend, _word(result))
        for job, played in results.items()
        for result in played.results
    ]
    if rows:
        print("\nscenarios")
        print_columns(sorted(rows, key=lambda row: row[0]))
    print()
    every = [result for played in results.values() for result in played.results]
    for text in dict.fromkeys(str(one) for one in every if one.skipped is not None):
        print(text)
    for job, played in results.items():
        if played.skipped:
            print(f"skipped  {job}: {played.skipped}")
    kept = sum(_word(result) == "kept" for result in every)
    print(f"total: {kept} of {len(every)} scenarios kept, {seconds:.0f} s")
    for job, played in results.items():
        for result in played.results:
            if result.failure is not None:
                where = f"{result.scenario} on {job.backend}"
                print(f"\nBROKEN: {where}\n{result.scenario.fact}\n{result.failure}")
        if played.failure:
            print(f"\nNOT FINISHED: {job}: {played.failure}")


def _verdict(results: Results) -> int:
    """Print whether every scenario was kept; return the exit code.

    Raises:
        UsageError: nothing was played.
    """
    sys.stdout.flush()
    words = [_word(result) for played in results.values() for result in played.results]
    if "BROKEN" in words or any(played.failure for played in results.values()):
        return 1
    if "kept" not in words:
        why = dict.fromkeys(played.skipped for played in results.values() if played.skipped)
        nothing = "the emulator can do nothing that a scenario needs"
        raise UsageError(f"nothing was checked: {'; '.join(why) or nothing}")
    if any(played.skipped for played in results.values()):
        words.append("skipped")
    print(ALL_TRIED if "skipped" in words else ALL)
    return 0
