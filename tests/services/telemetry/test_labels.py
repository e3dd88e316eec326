"""However many values come, a label has a bounded number of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from slmfleet.services.telemetry import metrics
from slmfleet.services.telemetry.labels import LABELS, MAX_VALUES, OTHER, bounded


def test_a_closed_label_has_its_values_alone() -> None:
    assert bounded("channel", "http") == "http"
    assert bounded("channel", "pigeon") == OTHER


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=60))
def test_whatever_the_labels_series_are_bounded(pairs: list[tuple[str, str]]) -> None:
    metric = metrics.EVENTS
    for kind, result in pairs:
        metric.add(1, kind, result)
    allowed = LABELS["result"]
    assert allowed is not None
    found = {
        (sample.labels["type"], sample.labels["result"])
        for family in text_string_to_metric_families(metrics.exposition())
        for sample in family.samples
        if sample.name == "slmfleet_events_total"
    }
    assert len({kind for kind, _ in found}) <= MAX_VALUES + 1
    assert {result for _, result in found} <= {*allowed, OTHER}
    assert metric.series() <= (MAX_VALUES + 1) * (len(allowed) + 1)
