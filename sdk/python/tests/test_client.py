from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fake_transport import HIT_SCHEMA, FakeTransport, hits, ipc
from longbow import (
    DatasetInfo,
    DeadlineError,
    InternalError,
    InvalidRequestError,
    LongbowClient,
    LongbowError,
    NotFoundError,
    RetryPolicy,
    UnavailableError,
    col,
)

FAST = RetryPolicy(attempts=3, backoff_s=0.001, backoff_max_s=0.002)


@pytest.fixture
def fake() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def client(fake: FakeTransport) -> LongbowClient:
    return LongbowClient(transport=fake, retry=FAST)


def test_insert_sends_one_stream_and_counts_its_rows(client: LongbowClient, fake: FakeTransport) -> None:
    vectors = np.zeros((7, 3), np.float32)
    assert client.insert("ns/docs", vectors, ids=range(7), metric="cosine") == 7
    ((dataset, schema, batches),) = fake.puts
    assert dataset == "ns/docs"
    assert schema.metadata == {b"longbow.metric": b"cosine"}
    assert sum(b.num_rows for b in batches) == 7
    assert fake.timeouts == [600.0]


def test_insert_of_nothing_sends_nothing_and_bad_rows_never_leave(client: LongbowClient, fake: FakeTransport) -> None:
    assert client.insert("docs", []) == 0
    with pytest.raises(InvalidRequestError, match="row 1"):
        client.insert("docs", [{"vector": [1.0, 2.0]}, {"vector": [1.0]}])
    assert fake.timeouts == []


def test_search_within_a_limit_and_its_explanation(client: LongbowClient, fake: FakeTransport) -> None:
    explained = {"segments": [{"method": "scan"}], "total_us": 5.0}
    table = pa.Table.from_batches([hits((7, 1.0))])
    fake.tables = [table.replace_schema_metadata({"longbow.explain": json.dumps([explained])}), table]
    result = client.search("docs", [1, 2.5], radius=0.5, score_min=-1, explain=True)
    assert fake.tickets[0]["search"] | {"radius": 0.5, "score_min": -1.0, "explain": True} == fake.tickets[0]["search"]
    assert result.explanation == explained
    assert client.search("docs", [1, 2.5]).explanation is None
    assert fake.tickets[1]["search"].keys().isdisjoint({"radius", "score_min", "explain"})
    with pytest.raises(InvalidRequestError, match="radius must be a finite number"):
        client.search("docs", [1, 2.5], radius=float("nan"))


def test_search_builds_the_contracts_ticket(client: LongbowClient, fake: FakeTransport) -> None:
    fake.tables = [pa.Table.from_batches([hits((7, 1.0), (3, 0.25))])]
    result = client.search("docs", [1, 2.5], k=2, filters=col("published") >= dt.date(2026, 1, 1), ef=64)
    assert fake.tickets == [
        {
            "search": {
                "dataset": "docs",
                "k": 2,
                "filters": [{"field": "published", "operator": ">=", "value": "2026-01-01"}],
                "ef": 64,
                "vector": [1.0, 2.5],
            }
        }
    ]
    assert [(hit.id, hit.score) for hit in result] == [(7, 1.0), (3, 0.25)]
    assert result[0].id == 7
    assert [hit.id for hit in result[1:]] == [3]
    assert len(result) == 2
    assert result.ids.dtype == np.uint64
    assert result.scores.dtype == np.float32
    assert result.vectors is None
    assert result.to_arrow().schema == HIT_SCHEMA
    assert result.to_pandas()["id"].tolist() == [7, 3]
    assert "7: 1.0000" in repr(result)


def test_search_by_recall(client: LongbowClient, fake: FakeTransport) -> None:
    fake.tables = [HIT_SCHEMA.empty_table()]
    client.search("docs", [0.5], recall_target=0.95)
    assert fake.tickets == [{"search": {"dataset": "docs", "k": 10, "vector": [0.5], "recall_target": 0.95}}]
    for target in (0.0, 0.49, 1.0, float("nan")):
        with pytest.raises(InvalidRequestError, match=r"recall_target must be at least 0\.5 and below 1"):
            client.search("docs", [0.5], recall_target=target)
    with pytest.raises(InvalidRequestError, match="exclude each other"):
        client.search("docs", [0.5], ef=64, recall_target=0.95)


def test_search_leaves_defaults_out_of_the_ticket(client: LongbowClient, fake: FakeTransport) -> None:
    fake.tables = [HIT_SCHEMA.empty_table()]
    result = client.search("docs", np.array([0.5], np.float64))
    assert fake.tickets == [{"search": {"dataset": "docs", "k": 10, "vector": [0.5]}}]
    assert (len(result), list(result), result.ids.tolist()) == (0, [], [])


def test_search_returns_vectors_as_float32(client: LongbowClient, fake: FakeTransport) -> None:
    raw = [np.array(v, "<f4").tobytes() for v in ([1, 2], [3, 4])]
    fake.tables = [pa.Table.from_batches([hits((1, 1.0), (2, 0.5))]).append_column("vector", pa.array(raw))]
    result = client.search("docs", [1, 2], include_vectors=True)
    assert fake.tickets[0]["search"]["include_vectors"] is True
    assert result.vectors is not None
    assert result.vectors.tolist() == [[1, 2], [3, 4]]
    vector = result[1].vector
    assert vector is not None
    assert vector.tolist() == [3, 4]


def test_search_batch_is_one_action(client: LongbowClient, fake: FakeTransport) -> None:
    fake.answers["VectorSearch"] = [ipc(hits((1, 1.0))), ipc(hits((2, 0.5)))]
    first, second = client.search_batch("docs", np.eye(2), k=1)
    assert fake.actions == [("VectorSearch", {"dataset": "docs", "k": 1, "vectors": [[1.0, 0.0], [0.0, 1.0]]}, False)]
    assert (first[0].id, second[0].id) == (1, 2)
    assert client.search_batch("docs", np.empty((0, 2))) == []
    fake.answers["VectorSearch"] = [ipc(hits((1, 1.0)))]
    with pytest.raises(InternalError, match="asked 2 searches, got 1"):
        client.search_batch("docs", np.eye(2))
    fake.answers["VectorSearch"] = [b"junk", b"junk"]
    with pytest.raises(InternalError, match="no Arrow stream"):
        client.search_batch("docs", np.eye(2))


def test_search_by_id(client: LongbowClient, fake: FakeTransport) -> None:
    fake.answers["VectorSearchByID"] = [b'{"ids":[7,769],"scores":[1,0.25]}']
    result = client.search_by_id("docs", 7, k=2)
    assert fake.actions == [("VectorSearchByID", {"dataset": "docs", "id": "7", "k": 2}, False)]
    assert [(hit.id, hit.score) for hit in result] == [(7, 1.0), (769, 0.25)]
    for bad in (b'{"ids":[1]}', b'{"ids":[-1],"scores":[1]}', b'{"ids":[1],"scores":[1,2]}', b"[1]", b"x"):
        fake.answers["VectorSearchByID"] = [bad]
        with pytest.raises(InternalError):
            client.search_by_id("docs", 7)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: c.search("docs", [1.0], k=0), "k must be in 1..100000, got 0"),
        (lambda c: c.search("docs", [1.0], k=10**9), "k must be in 1..100000, got 1000000000"),
        (lambda c: c.search("docs", [1.0], k=True), "k must be an int, got bool"),
        (lambda c: c.search("docs", [1.0], k=2.0), "k must be an int, got float"),
        (lambda c: c.search("docs", [1.0], ef=0), "ef must be in 1..1000000, got 0"),
        (lambda c: c.search("docs", []), "query dimension must be in 1..65536, got 0"),
        (lambda c: c.search("docs", [[1.0]]), r"shape \[dimension\], got \[1, 1\]"),
        (lambda c: c.search("docs", 1.0), r"shape \[dimension\], got \[\]"),
        (lambda c: c.search("docs", ["a"]), "real numbers"),
        (lambda c: c.search("docs", [None]), "real numbers"),
        (lambda c: c.search("docs", [1.0, float("nan")]), r"element \[1\] is NaN"),
        (lambda c: c.search("docs", [1e39]), r"element \[0\] is NaN or infinite"),
        (lambda c: c.search_batch("docs", [1.0]), r"shape \[n, dimension\]"),
        (lambda c: c.search_batch("docs", [[1.0], [1.0, 2.0]]), r"shape \[n, dimension\]"),
        (lambda c: c.search_batch("docs", np.zeros((10_001, 1))), "at most 10000 vectors"),
        (lambda c: c.search("", [1.0]), "dataset name is empty"),
        (lambda c: c.search(3, [1.0]), "dataset name must be a str, got int"),
        (lambda c: c.search("a\nb", [1.0]), "control character"),
        (lambda c: c.search("\ud800", [1.0]), "not valid Unicode"),
        (lambda c: c.search("x" * 1025, [1.0]), "1025 bytes long"),
        (lambda c: c.search("docs", [1.0], timeout_s=0), "timeout_s must be positive"),
        (lambda c: c.search("docs", [1.0], timeout_s="1"), "timeout_s must be a number"),
        (lambda c: c.scan("docs", limit=0), "limit must be in 1.."),
        (lambda c: c.get("docs", 7), "iterable of ids, got int"),
        (lambda c: c.get("docs", "abc"), "iterable of ids, got str"),
        (lambda c: c.get("docs", [1.5]), "an id is an int or a str, got float"),
        (lambda c: c.delete("docs", range(100_001)), "at most 100000 ids"),
        (lambda c: c.create_namespace(""), "namespace name is empty"),
    ],
)
def test_bad_arguments_never_leave(
    client: LongbowClient, fake: FakeTransport, call: Callable[[LongbowClient], Any], words: str
) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        call(client)
    assert fake.timeouts == []


def test_scan_and_get(client: LongbowClient, fake: FakeTransport) -> None:
    rows = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "name": ["a", "b", "c"]})
    fake.tables = [rows, rows, rows]
    assert client.scan("docs", limit=3, filters={"field": "id", "op": ">", "value": 0}).equals(rows)
    assert [b.num_rows for b in client.scan_batches("docs")] == [3]
    got = client.get("docs", [3, 1, 2, 3, np.int64(1)])
    assert got["id"].to_pylist() == [3, 1, 2]
    assert fake.tickets == [
        {"name": "docs", "limit": 3, "filters": [{"field": "id", "operator": ">", "value": 0}]},
        {"name": "docs"},
        {"name": "docs", "filters": [{"field": "id", "operator": "in", "value": [3, 1, 2]}]},
    ]


def test_get_by_text_id_keeps_the_asked_order(client: LongbowClient, fake: FakeTransport) -> None:
    fake.tables = [pa.table({"id": ["x", "y"], "n": [1, 2]}), pa.schema([("id", pa.string())]).empty_table()]
    assert client.get("docs", ["y", "missing", "x"])["n"].to_pylist() == [2, 1]
    assert client.get("docs", ["z"]).num_rows == 0


def test_delete(client: LongbowClient, fake: FakeTransport) -> None:
    fake.answers["delete"] = [b"deleted"]
    fake.answers["delete-dataset"] = [b"deleted"]
    client.delete("docs", [1, "b"])
    client.delete("docs", [])
    client.delete_dataset("docs")
    assert fake.actions == [
        ("delete", {"dataset": "docs", "ids": ["1", "b"]}, False),
        ("delete-dataset", {"dataset": "docs"}, False),
    ]


def test_listings_and_namespaces(client: LongbowClient, fake: FakeTransport) -> None:
    schema = pa.schema([("vector", pa.list_(pa.float32(), 4))], metadata={"longbow.metric": "cosine"})
    fake.known = [DatasetInfo("b", 2, 20), DatasetInfo("a", 1, 10, schema)]
    assert [info.name for info in client.list()] == ["a", "b"]
    assert fake.actions == []
    info = client.info("a")
    assert (info.rows, info.dimension, info.metric) == (1, 4, "cosine")
    assert (client.info("b").dimension, client.info("b").metric) == (None, None)
    fake.answers = {
        "CreateNamespace": [b'{"status": "created"}'],
        "DeleteNamespace": [b'{"status": "deleted"}'],
        "ListNamespaces": [b'{"count":2,"namespaces":["ns1","default"]}'],
        "ForceSnapshot": [b"{}"],
    }
    fake.known += [DatasetInfo("ns1", 0, 0), DatasetInfo("empty", 0, 0)]
    assert [info.name for info in client.list()] == ["a", "b", "empty"]
    fake.actions.clear()
    client.create_namespace("ns1")
    assert client.list_namespaces() == ["default", "ns1"]
    client.delete_namespace("ns1")
    client.snapshot()
    assert fake.actions == [
        ("CreateNamespace", {"name": "ns1"}, True),
        ("ListNamespaces", {}, True),
        ("DeleteNamespace", {"name": "ns1"}, True),
        ("ForceSnapshot", {}, False),
    ]
    fake.answers["ListNamespaces"] = [b'{"count":2}']
    with pytest.raises(InternalError, match="no list of namespaces"):
        client.list_namespaces()


def test_readiness(client: LongbowClient, fake: FakeTransport) -> None:
    answers = iter([b'{"status":"BUSY","reason":"3 jobs"}', b'{"index_len":1,"status":"READY"}'])
    fake.answers["check_readiness"] = lambda _: [next(answers)]
    client.wait_until_ready("docs", timeout_s=5)
    assert fake.actions[0] == ("check_readiness", {"dataset": "docs"}, False)
    fake.answers["check_readiness"] = [b'{"status":"BUSY","reason":"3 jobs"}']
    assert client.is_ready() is False
    with pytest.raises(DeadlineError, match=r"not ready after 0.1 s: 3 jobs"):
        client.wait_until_ready(timeout_s=0.1)
    fake.answers["check_readiness"] = [b'{"reason":"dataset not found","status":"NOT_FOUND"}']
    with pytest.raises(NotFoundError):
        client.is_ready("nope")
    fake.failures = [UnavailableError("connection refused")]
    assert client.is_ready() is False


def test_idempotent_calls_are_repeated_and_others_not(client: LongbowClient, fake: FakeTransport) -> None:
    down = UnavailableError("down")
    fake.tables = [HIT_SCHEMA.empty_table()]
    fake.failures = [down, down]
    client.search("docs", [1.0])
    assert len(fake.timeouts) == 3
    assert fake.timeouts == sorted(fake.timeouts, reverse=True)  # what is left of one deadline

    fake.timeouts, fake.failures = [], [down] * 3
    with pytest.raises(UnavailableError):
        client.search("docs", [1.0])
    assert len(fake.timeouts) == 3

    for call in (
        lambda: client.insert("docs", np.zeros((1, 1))),
        lambda: client.delete("docs", [1]),
        lambda: client.delete_dataset("docs"),
        lambda: client.create_namespace("x"),
    ):
        fake.timeouts, fake.failures = [], [down]
        with pytest.raises(UnavailableError):
            call()
        assert len(fake.timeouts) == 1

    fake.timeouts, fake.failures = [], [NotFoundError("no")]
    with pytest.raises(NotFoundError):
        client.scan("docs")
    assert len(fake.timeouts) == 1


def test_retry_can_be_switched_off_and_never_outlives_the_deadline(fake: FakeTransport) -> None:
    fake.failures = [UnavailableError("down")] * 9
    with pytest.raises(UnavailableError):
        LongbowClient(transport=fake, retry=RetryPolicy(attempts=1)).list()
    assert len(fake.timeouts) == 1
    slow = LongbowClient(transport=fake, retry=RetryPolicy(attempts=9, backoff_s=5, backoff_max_s=5), timeout_s=0.5)
    with pytest.raises(UnavailableError):
        slow.list()
    assert len(fake.timeouts) == 2
    with pytest.raises(InvalidRequestError, match="attempts must be >= 1"):
        RetryPolicy(attempts=0)


def test_waits_grow_and_stay_within_bounds() -> None:
    policy = RetryPolicy(attempts=9, backoff_s=0.1, backoff_max_s=0.5)
    for attempt, ceiling in enumerate((0.1, 0.2, 0.4, 0.5, 0.5), start=1):
        waits = [policy.wait_s(attempt) for _ in range(50)]
        assert all(ceiling / 2 <= wait <= ceiling for wait in waits)
        assert len(set(waits)) > 1


def test_closing(fake: FakeTransport) -> None:
    with LongbowClient(transport=fake) as client:
        pass
    client.close()
    assert fake.closed == 1
    for call in (lambda: client.list(), lambda: client.insert("docs", [{"id": 1}])):
        with pytest.raises(LongbowError, match="closed"):
            call()


def test_tickets_are_json_whatever_the_text(client: LongbowClient, fake: FakeTransport) -> None:
    name = 'x"},{"é\\'
    fake.tables = [HIT_SCHEMA.empty_table()]
    client.scan(name, filters=col(name) == name)
    assert fake.tickets == [{"name": name, "filters": [{"field": name, "operator": "=", "value": name}]}]
    assert json.dumps(fake.tickets)


@pytest.mark.parametrize("uri", ["", "http://x:1", "grpc://host", "grpc://host:0", "grpc://host:99999", 5])
def test_bad_addresses(uri: Any) -> None:
    with pytest.raises(InvalidRequestError, match="address"):
        LongbowClient(uri)
