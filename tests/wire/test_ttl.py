"""Rows that expire: by a dataset's time to live, by a column, changed by SetTtl, across kill -9."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from longbow_server import wait_until


def table(ids, seed: int = 0, metadata: dict | None = None, **columns) -> pa.Table:
    vectors = np.random.default_rng(seed).random((len(ids), 8), np.float32)
    made = fc.vector_table(vectors, ids=ids, **columns)
    return made.replace_schema_metadata(metadata) if metadata else made


def everything(client, name: str, query) -> list[list[int]]:
    """The ids that each way to ask gives."""
    by_id = [{"field": "id", "op": "in", "values": list(range(100))}]
    return [
        fc.scan_ids(client, name),
        fc.scan_ids(client, name, by_id),
        sorted(i for i, _ in fc.search(client, name, query, 100)),
        sorted(i for i, _ in fc.search(client, name, query, 100, filters=[{"field": "id", "op": "<", "value": 1000}])),
    ]


def test_a_datasets_time_to_live(client, dataset):
    rows = table([1, 2, 3], metadata={"longbow.ttl_seconds": "1"})
    put_at = time.time()
    fc.put(client, dataset, rows)
    assert fc.scan(client, dataset).schema.metadata[b"longbow.ttl_seconds"] == b"1"
    assert fc.scan(client, dataset)["expires_at"].type == pa.timestamp("us", "UTC")
    ends = fc.scan(client, dataset)["expires_at"].to_pylist()[0].timestamp()
    assert put_at + 0.9 < ends < time.time() + 1.1
    wait_until(lambda: fc.scan_ids(client, dataset) == [], 10, "rows expired")
    assert time.time() >= ends
    assert everything(client, dataset, [0.5] * 8) == [[]] * 4
    assert fc.row_count(client, dataset) == 0
    with pytest.raises(KeyError, match="id 1 not found"):
        fc.action(client, "VectorSearchByID", {"dataset": dataset, "id": 1})


def test_a_rows_own_time(client, dataset):
    now = datetime.now(UTC)
    ends = pa.array([now - timedelta(days=1), now + timedelta(days=1), None, now + timedelta(seconds=1)])
    rows = table([1, 2, 3, 4], until=ends.cast(pa.timestamp("us", "UTC")), metadata={"longbow.expires_at": "until"})
    fc.put(client, dataset, rows)
    assert everything(client, dataset, [0.5] * 8) in ([[2, 3, 4]] * 4, [[2, 3]] * 4)
    wait_until(lambda: fc.scan_ids(client, dataset) == [2, 3], 10, "rows expired")
    assert everything(client, dataset, [0.5] * 8) == [[2, 3]] * 4
    fc.put(client, dataset, table([1, 4], metadata=None))
    assert fc.scan_ids(client, dataset) == [1, 2, 3, 4], "put again, without a time"


def test_set_ttl(client, dataset):
    fc.put(client, dataset, table([1]))
    assert fc.action(client, "SetTtl", {"dataset": dataset, "ttl_seconds": 1}) == [b'{"status": "set"}']
    fc.put(client, dataset, table([2]))
    assert fc.action(client, "SetTtl", {"dataset": dataset, "ttl_seconds": "0"}) == [b'{"status": "set"}']
    fc.put(client, dataset, table([3]))
    assert fc.scan_ids(client, dataset) in ([1, 2, 3], [1, 3])
    wait_until(lambda: fc.scan_ids(client, dataset) == [1, 3], 10, "rows expired")


def test_bad_values_change_nothing(client, dataset):
    for value in ("-1", "1h", "1.5", "99999999999999999999", ""):
        with pytest.raises(pa.ArrowInvalid, match="longbow.ttl_seconds must be a whole number"):
            fc.put(client, dataset, table([1], metadata={"longbow.ttl_seconds": value}))
    with pytest.raises(pa.ArrowInvalid, match="a timestamp is needed"):
        fc.put(client, dataset, table([1], until=[7], metadata={"longbow.expires_at": "until"}))
    with pytest.raises(pa.ArrowKeyError, match="not found"):
        fc.scan(client, dataset)
    fc.put(client, dataset, table([1]))
    for request, message in (
        ({"ttl_seconds": -1}, "longbow.ttl_seconds must be"),
        ({"ttl_seconds": 1.5}, "ttl_seconds"),
        ({}, '"ttl_seconds" is missing'),
        ({"ttl_seconds": 1, "expires_at": "id"}, "a timestamp is needed"),
    ):
        with pytest.raises(pa.ArrowInvalid, match=message):
            fc.action(client, "SetTtl", {"dataset": dataset, **request})
    with pytest.raises(pa.ArrowKeyError, match="dataset nope not found"):
        fc.action(client, "SetTtl", {"dataset": "nope", "ttl_seconds": 1})
    with pytest.raises(pa.ArrowInvalid, match="ttl mismatch: the collection has longbow.ttl_seconds=0"):
        fc.put(client, dataset, table([2], metadata={"longbow.ttl_seconds": "60"}))
    assert "expires_at" not in fc.scan(client, dataset).column_names
    assert fc.scan_ids(client, dataset) == [1]


def test_times_outlive_kill_9(make_server):
    server = make_server()
    client = flight.connect(f"grpc://127.0.0.1:{server.data_port}")
    fc.put(client, "a", table(range(10), metadata={"longbow.ttl_seconds": "3"}))
    fc.action(client, "SetTtl", {"dataset": "a", "ttl_seconds": 1000})
    fc.put(client, "a", table(range(10, 20)))
    ends = fc.scan(client, "a").sort_by("id")["expires_at"].to_pylist()
    server.kill()
    server.start()
    client = flight.connect(f"grpc://127.0.0.1:{server.data_port}")
    wait_until(lambda: fc.scan_ids(client, "a") == list(range(10, 20)), 10, "rows expired")
    assert time.time() >= ends[0].timestamp()
    assert fc.scan(client, "a").sort_by("id")["expires_at"].to_pylist() == ends[10:]
    server.kill()
    server.start()
    client = flight.connect(f"grpc://127.0.0.1:{server.data_port}")
    assert everything(client, "a", [0.5] * 8) == [list(range(10, 20))] * 4
