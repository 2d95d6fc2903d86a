"""The dashboard for Grafana and the rules for Prometheus ask for metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip(
    "opentelemetry.exporter.prometheus", reason="needs opentelemetry-exporter-prometheus"
)

import yaml
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY
from prometheus_client.samples import Sample

from qrlifecycle.monitoring import Audit
from qrlifecycle.monitoring.metrics import KINDS, export_metrics
from qrlifecycle.records import Dropped

from .records import Story, healthy

MONITORING = Path(__file__).parents[1] / "docs" / "monitoring"


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """What Prometheus scrapes of an audit to which everything happened."""
    audit = Audit(clock=None)
    provider = MeterProvider([PrometheusMetricReader()])
    export_metrics(audit, provider)
    for record in [
        *healthy().add(Dropped, "foreign", 7).records,
        *Story("p-2", at=100).display().fail().records,
    ]:
        audit(record)
    scraped = [sample for family in REGISTRY.collect() for sample in family.samples]
    provider.shutdown()
    return [sample for sample in scraped if sample.name.startswith("qrlifecycle_")]


@pytest.fixture(scope="module")
def exported(samples: list[Sample]) -> dict[str, set[str]]:
    """The names of the samples, and their labels."""
    found: dict[str, set[str]] = {}
    for sample in samples:
        labels = {name for name in sample.labels if not name.startswith("otel_")}
        found.setdefault(sample.name, set()).update(labels)
    return found


def asked_for(expressions: str) -> dict[str, set[str]]:
    """The metrics that expressions name, and the labels that they choose by."""
    found: dict[str, set[str]] = {}
    for name, chosen in re.findall(r"(qrlifecycle_\w+)(\{[^}]*\})?", expressions):
        found.setdefault(name, set()).update(re.findall(r"(\w+)=", chosen))
    return found


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    read: dict[str, Any] = json.loads((MONITORING / "grafana.json").read_text())
    return read


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    (group,) = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return list(group["rules"])


def expressions() -> dict[str, str]:
    """What is asked for, by where."""
    panels = {
        panel["title"]: " ; ".join(target["expr"] for target in panel["targets"])
        for panel in dashboard()["panels"]
    }
    return {**panels, **{rule["alert"]: rule["expr"] for rule in rules()}}


@pytest.mark.parametrize("where", expressions())
def test_what_is_asked_for_is_exported(where: str, exported: dict[str, set[str]]) -> None:
    """Each metric by the name that Prometheus gives it, and each label that it has or is given."""
    expression = expressions()[where]
    asked = asked_for(expression)
    assert asked
    for name, labels in asked.items():
        assert name in exported
        assert labels - {"job"} <= exported[name]
    by = {
        label
        for labels in re.findall(r"by \(([^)]*)\)", expression)
        for label in labels.split(", ")
    }
    assert by <= {"job", "instance"}.union(*(exported[name] for name in asked))


def test_everything_that_is_exported_is_on_the_dashboard(exported: dict[str, set[str]]) -> None:
    """Nothing is measured that nobody looks at."""
    panels = [panel["title"] for panel in dashboard()["panels"]]
    shown = asked_for(" ".join(expressions()[title] for title in panels))
    ends = ("_sum", "_count", "_created")
    assert {name for name in exported if not name.endswith(ends)} <= shown.keys()


def test_each_kind_of_alert_has_a_rule() -> None:
    """One, with a sentence and a severity."""
    kinds = [kind for rule in rules() for kind in re.findall(r'kind="(\w+)"', rule["expr"])]
    assert sorted(kinds) == sorted(alert.kind for alert in KINDS)
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_an_alert_is_an_increase_also_the_first_of_its_kind(samples: list[Sample]) -> None:
    """The series is there before: one that appears with its first alert does not increase."""
    alerts = {s.labels["kind"]: s.value for s in samples if s.name == "qrlifecycle_alerts_total"}
    assert alerts == dict.fromkeys((alert.kind for alert in KINDS), 0)


def test_what_is_healthy_is_told_from_what_is_not(samples: list[Sample]) -> None:
    """A success takes milliseconds: several buckets lie below the limit of a slow one."""
    name = "qrlifecycle_success_to_closed_seconds_bucket"
    limits = [float(sample.labels["le"]) for sample in samples if sample.name == name]
    assert len([limit for limit in limits if limit < 1]) >= 5


def test_no_panel_covers_another() -> None:
    """Each has a place of its own on Grafana's 24 columns, and a number."""
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
