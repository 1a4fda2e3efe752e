"""Tests that the Grafana dashboard and the Prometheus alerts use existing metrics and labels."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import promql_parser
import pytest
import yaml
from flask_openapi3 import OpenAPI
from prometheus_client.parser import text_string_to_metric_families

from tools.plain_pictures import BLUE, RED, plain

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "grafana"
# Labels that Prometheus adds to every time series.
SCRAPED = {"instance", "job"}
KINDS = {"row", "stat", "timeseries", "heatmap"}


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    """Return the parsed dashboard."""
    loaded: dict[str, Any] = json.loads((FOLDER / "keylike.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def alerts() -> list[dict[str, Any]]:
    """Return the parsed alert rules."""
    loaded = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    assert set(loaded) == {"groups"} and [set(group) for group in loaded["groups"]] == [
        {"name", "rules"}
    ]
    rules: list[dict[str, Any]] = loaded["groups"][0]["rules"]
    return rules


@pytest.fixture
def series(app: OpenAPI, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Return the labels of all time series of /metrics, with a GPU and after some requests."""
    cuda = SimpleNamespace(is_initialized=lambda: True, mem_get_info=lambda device: (1, 2))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    client = app.test_client()
    for photo in (plain(RED), plain(BLUE)):
        client.post("/predict", data=photo, content_type="image/jpeg")
    text = client.get("/metrics").get_data(as_text=True)
    samples = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    return {sample.name: set(sample.labels) | SCRAPED for sample in samples}


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    """Yield every time series that a PromQL expression selects."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "args"):
        inside = getattr(node, name, None)
        for each in inside if isinstance(inside, list) else [inside]:
            if each is not None:
                yield from selectors(each)


def check(expression: str, series: dict[str, set[str]]) -> None:
    """Raise AssertionError unless an expression is valid PromQL with existing series and labels."""
    found = [*selectors(promql_parser.parse(expression.replace("$__rate_interval", "5m")))]
    assert found, expression
    known: set[str] = set(SCRAPED)
    for each in found:
        assert each.name in series, f"{each.name} does not exist: {expression}"
        labels = {matcher.name for matcher in each.matchers.matchers}
        assert labels <= series[each.name], f"{each.name} has no {labels - series[each.name]}"
        known |= series[each.name]
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= known, expression


def expressions(dashboard: dict[str, Any]) -> list[str]:
    """Return the PromQL expressions of all panels."""
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def test_dashboard_uses_existing_metrics(
    dashboard: dict[str, Any], series: dict[str, set[str]]
) -> None:
    assert len(expressions(dashboard)) > 20
    for expression in expressions(dashboard):
        check(expression, series)
    for variable in dashboard["templating"]["list"]:
        found = re.match(r"label_values\((\w+), (\w+)\)$", variable.get("definition", ""))
        assert variable["type"] == "datasource" or (found and found[2] in series[found[1]])


def test_alerts_use_existing_metrics(
    alerts: list[dict[str, Any]], series: dict[str, set[str]]
) -> None:
    for rule in alerts:
        check(rule["expr"], series)


def test_check_of_expressions_rejects_unknown_metrics_and_labels(
    series: dict[str, set[str]],
) -> None:
    for wrong in (
        "sum(rate(keylike_nothing_total[5m]))",
        'keylike_ready{colour="red"}',
        "sum by (colour) (keylike_ready)",
        "1 + 2",
    ):
        with pytest.raises(AssertionError):
            check(wrong, series)


def test_dashboard_shows_every_metric(
    dashboard: dict[str, Any], series: dict[str, set[str]]
) -> None:
    shown = " ".join(expressions(dashboard))
    families = {
        re.sub(r"_(bucket|sum|count)$", "", name) for name in series if name.startswith("keylike_")
    }
    assert {name for name in families if name not in shown} == set()


def test_dashboard_has_the_fields_that_grafana_requires(dashboard: dict[str, Any]) -> None:
    assert (dashboard["id"], dashboard["uid"], dashboard["title"]) == (
        None,
        "keylike-overview",
        "Keylike",
    )
    assert isinstance(dashboard["schemaVersion"], int) and dashboard["schemaVersion"] >= 36
    assert {
        "time",
        "timepicker",
        "timezone",
        "refresh",
        "tags",
        "annotations",
        "links",
        "editable",
        "version",
    } <= set(dashboard)
    assert (
        dashboard["templating"]["list"][0]["type"] == "datasource"
        and dashboard["templating"]["list"][0]["query"] == "prometheus"
    )
    assert {variable["name"] for variable in dashboard["templating"]["list"]} == {
        "datasource",
        "instance",
    }
    identities = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identities)) == len(identities)
    assert {panel["type"] for panel in dashboard["panels"]} == KINDS
    for panel in dashboard["panels"]:
        assert panel["title"] and {"x", "y", "w", "h"} == set(panel["gridPos"])
        if panel["type"] == "row":
            continue
        assert {"targets", "fieldConfig", "options", "description"} <= set(panel)
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_dashboard_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        separate_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        separate_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert separate_x or separate_y, (one, other)


def test_alerts_have_the_fields_that_prometheus_requires(alerts: list[dict[str, Any]]) -> None:
    assert len({rule["alert"] for rule in alerts}) == len(alerts) > 8
    for rule in alerts:
        assert (
            {"alert", "expr", "labels", "annotations"}
            <= set(rule)
            <= {"alert", "expr", "for", "labels", "annotations"}
        )
        assert re.fullmatch("[A-Za-z]+", rule["alert"]) and re.fullmatch(
            r"\d+[smh]", rule.get("for", "1m")
        )
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "description"} == set(rule["annotations"])
