"""An audit's figures, through the OpenTelemetry metrics API.

Only the API is called; which SDK exports them, if any, is the program's choice. Figures are read
when the SDK collects, so a lifecycle pays nothing for them; durations are passed on as they come.
Needs the ``opentelemetry`` extra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

try:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter
except ImportError:
    from ..errors import MissingExtra

    raise MissingExtra("exporting metrics", "opentelemetry") from None

from ..errors import InvalidValue
from .audit import (
    Audit,
    PromiseBroken,
    SecondSocket,
    SlowSuccess,
    SocketOutsideDisplayed,
    Waste,
)
from .audit.figures import Figures

__all__ = ["export_metrics"]


class Figure(NamedTuple):
    """One of an audit's figures; with an attribute, one for each of its values."""

    name: str
    unit: str
    description: str
    read: Callable[[Figures], float | Mapping[str, int]]
    attribute: str = ""


KINDS = (PromiseBroken, SocketOutsideDisplayed, SecondSocket, SlowSuccess, Waste)

NO_ALERTS = dict.fromkeys((alert.kind for alert in KINDS), 0)
"""Each kind is there from the start: what appears with its first alert shows no increase by it."""

COUNTERS = (
    Figure(
        "sockets.opened",
        "{socket}",
        "Openings of a socket, also those that failed.",
        lambda now: now.openings,
    ),
    Figure("sockets.closed", "{socket}", "Sockets closed.", lambda now: now.closings, "how"),
    Figure("sockets.time", "s", "For how long sockets were open.", lambda now: now.socket_seconds),
    Figure("codes.shown", "{code}", "Codes handed out.", lambda now: now.codes),
    Figure("attempts.begun", "{attempt}", "Attempts begun.", lambda now: now.attempts),
    Figure(
        "attempts.ended",
        "{attempt}",
        "Attempts ended: connected, or the reason of the failure.",
        lambda now: now.outcomes,
        "outcome",
    ),
    Figure(
        "successes.found_by_status",
        "{attempt}",
        "Successes that a read of the status found first.",
        lambda now: now.found_by_status,
    ),
    Figure(
        "dropped",
        "{message}",
        "Messages, signals and answers that were ignored.",
        lambda now: now.dropped,
        "cause",
    ),
    Figure("alerts", "{alert}", "Alerts raised.", lambda now: {**NO_ALERTS, **now.alerts}, "kind"),
)

GAUGES = (
    Figure("sockets.open", "{socket}", "Sockets open now.", lambda now: now.sockets_open),
    Figure(
        "sockets.shares",
        "{share}",
        "Displayed codes that have a share of a shared socket now.",
        lambda now: now.shares_open,
    ),
    Figure("leases.held", "{lease}", "Leases held now.", lambda now: now.leases_held),
    Figure(
        "leases.awaited",
        "{attempt}",
        "Attempts that wait for their lease now.",
        lambda now: now.leases_awaited,
    ),
)
"""What goes up and down."""

HISTOGRAMS = {
    "success_to_closed": "From the success signal until the socket was closed.",
    "scan_to_success": "From the scan to the success.",
}
"""By the name that the audit gives a duration."""

BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Seconds. The SDK's own are made for milliseconds: all that is healthy would be in the first."""


def export_metrics(audit: Audit, meter_provider: MeterProvider | None = None) -> None:
    """Have the figures of an audit observed from now on; once for each audit.

    Args:
        audit: the audit. The instruments keep it alive.
        meter_provider: where the instruments are made; the global one by default.

    Raises:
        InvalidValue: it is no audit.
        MissingExtra: from importing this module, without the ``opentelemetry`` extra.
    """
    given: object = audit
    if not isinstance(given, Audit):
        kind = given.__name__ if isinstance(given, type) else type(given).__name__
        raise InvalidValue(f"audit must be an Audit(), not {kind}")
    meter = get_meter("qrlifecycle", meter_provider=meter_provider)
    makers = dict.fromkeys(COUNTERS, meter.create_observable_counter)
    gauges = dict.fromkeys(GAUGES, meter.create_observable_up_down_counter)
    for figure, make in [*makers.items(), *gauges.items()]:
        make(
            f"qrlifecycle.{figure.name}",
            [_observer(audit, figure)],
            unit=figure.unit,
            description=figure.description,
        )
    histograms = {
        name: meter.create_histogram(
            f"qrlifecycle.{name}",
            unit="s",
            description=description,
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        for name, description in HISTOGRAMS.items()
    }
    audit.listen(lambda name, seconds: histograms[name].record(seconds))


def _observer(audit: Audit, figure: Figure) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        value = figure.read(audit.figures())
        if not isinstance(value, Mapping):
            return [Observation(value)]
        return [Observation(n, {figure.attribute: str(which)}) for which, n in value.items()]

    return observe
