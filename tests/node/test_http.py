"""The metrics port: Prometheus text and the probes."""

from __future__ import annotations

import itertools
import re

import flight_calls as fc
import numpy as np
import pyarrow.flight as flight
import pytest

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'^({NAME})(\{{({NAME}="(?:[^"\\\n]|\\["\\n])*",?)*\}})? (NaN|[+-]Inf|[-+0-9.eE]+)( -?\d+)?$')


def parse(text: str) -> dict[str, dict[str, float]]:
    """Sample name -> labels -> value. Every line must be proper Prometheus text, every family typed once, no sample twice."""
    samples: dict[str, dict[str, float]] = {}
    typed: dict[str, str] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if not line or line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in typed and kind in ("counter", "gauge", "histogram", "summary", "untyped"), line
            typed[name] = kind
            continue
        match = SAMPLE.match(line)
        assert match, f"no Prometheus sample: {line!r}"
        values = samples.setdefault(match[1], {})
        assert (match[2] or "") not in values, f"twice: {line!r}"
        values[match[2] or ""] = float(match[4])
        family = match[1] if match[1] in typed else re.sub(r"_(bucket|sum|count)$", "", match[1])
        assert family in typed, f"no TYPE for {line!r}"
    return samples


def metrics(server) -> dict[str, dict[str, float]]:
    status, kind, body = server.http("GET", "/metrics")
    assert status == 200 and kind.startswith("text/plain")
    return parse(body)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/health"])
def test_probes(server, path):
    assert server.http("GET", path)[0] == 200
    assert server.http("HEAD", path)[0] == 200
    assert server.http("GET", path + "?verbose=1")[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/metrics/", "/../etc/passwd", "/%2e%2e/etc/passwd", "//metrics", "/metricsx"]
)
def test_unknown_path(server, path):
    assert server.http("GET", path)[0] == 404


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/startupz", "/health"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_wrong_method(server, method, path):
    assert server.http(method, path)[0] == 405


def test_metrics_have_the_names_of_the_contract(server):
    found = metrics(server)
    assert "longbow_flight_operations_total" in found and "longbow_flight_ops_total" in found, (
        "the dashboard's name, and the original's own"
    )
    assert {
        "longbow_wal_fsync_duration_seconds_bucket",
        "longbow_wal_fsync_duration_seconds_sum",
        "longbow_wal_fsync_duration_seconds_count",
    } <= found.keys()
    assert {
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    } <= found.keys()
    assert abs(found["process_resident_memory_bytes"][""] - server.rss_bytes()) < 0.5 * server.rss_bytes()


def test_metrics_count(make_server):
    server = make_server()

    def total(name: str, *labels: str) -> float:
        return sum(
            value for text, value in metrics(server).get(name, {}).items() if all(label in text for label in labels)
        )

    with flight.connect(server.data_uri) as client:
        before = total("longbow_flight_operations_total"), total("longbow_wal_fsync_duration_seconds_count")
        for i in range(10):
            fc.put(client, "d", fc.vector_table(np.full((3, 4), i, np.float32)))
        for _ in range(7):
            fc.scan(client, "d")
        after = total("longbow_flight_operations_total"), total("longbow_wal_fsync_duration_seconds_count")
    assert after[0] - before[0] == 17, "each call is counted once"
    assert 1 <= after[1] - before[1] <= 20, "a put of its own is a sync of its own; a new dataset may add one"


def test_histograms_are_consistent(server, client, dataset):
    fc.put(client, dataset, fc.vector_table(np.ones((1, 4), np.float32)))
    for name, buckets in metrics(server).items():
        if not name.endswith("_bucket"):
            continue
        series: dict[str, list[tuple[float, float]]] = {}
        for labels, value in buckets.items():
            bound = re.search(r'le="([^"]+)"', labels)
            assert bound, f"{name}{labels}"
            series.setdefault(re.sub(r'le="[^"]+",?', "", labels), []).append((float(bound[1]), value))
        for labels, points in series.items():
            points.sort()
            assert points[-1][0] == float("inf"), f"{name}{labels} has no +Inf bucket"
            assert all(a[1] <= b[1] for a, b in itertools.pairwise(points)), f"{name}{labels} decreases"


def test_keep_alive(server):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.metrics_port, timeout=5)
    for path in ("/livez", "/metrics", "/nothing", "/readyz"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert not answer.will_close, f"the connection ends after {path}"
    connection.close()
