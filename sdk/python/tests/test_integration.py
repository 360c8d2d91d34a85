"""The same calls against the real server. Every test makes datasets of its own."""

from __future__ import annotations

import datetime as dt
import pathlib
import threading
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from conftest import Server
from longbow import (
    Filter,
    InvalidRequestError,
    LongbowClient,
    LongbowError,
    NotFoundError,
    UnavailableError,
    col,
)

pytestmark = pytest.mark.integration

N, DIM = 2000, 24
RNG = np.random.default_rng(11)
VECTORS = RNG.standard_normal((N, DIM)).astype(np.float32)
DAY0 = dt.date(2020, 1, 1)


def rows(n: int = N) -> pa.Table:
    """Row i: id i, day DAY0+i (null for each 10th), rank i (null unless divisible by 4), name, price, flag."""
    return pa.table(
        {
            "id": pa.array(range(n), pa.int64()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(VECTORS[:n].reshape(-1)), DIM),
            "day": pa.array([None if i % 10 == 9 else DAY0 + dt.timedelta(days=i) for i in range(n)], pa.date32()),
            "rank": pa.array([None if i % 4 else i for i in range(n)], pa.int32()),
            "name": pa.array([f"{'django' if i % 7 == 0 else 'flask'}-{i}" for i in range(n)]),
            "price": pa.array([i / 4 for i in range(n)], pa.float64()),
            "flag": pa.array([i % 2 == 0 for i in range(n)]),
            "at": pa.array([dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(n)], pa.timestamp("us")),
        }
    )


def exact(query: np.ndarray[Any, Any], k: int, passing: np.ndarray[Any, Any] | None = None) -> list[int]:
    distance = ((VECTORS.astype(np.float64) - query) ** 2).sum(1)
    if passing is not None:
        distance[~passing] = np.inf
    return [int(i) for i in np.argsort(distance, kind="stable")[:k] if np.isfinite(distance[i])]


@pytest.fixture
def name() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def shared(server: Server) -> str:
    """A dataset of rows() that no test changes."""
    dataset = f"shared-{uuid.uuid4().hex[:8]}"
    with LongbowClient(server.data, server.meta) as client:
        client.wait_until_ready(timeout_s=30)
        assert client.insert(dataset, rows()) == N
    return dataset


def test_what_goes_in_comes_out(live: LongbowClient, shared: str) -> None:
    table = live.scan(shared)
    assert table.sort_by("id").select(rows().column_names).equals(rows())
    assert live.scan(shared, limit=10).num_rows == 10
    assert sum(b.num_rows for b in live.scan_batches(shared)) == N
    got = live.get(shared, [1999, 5, 123456, 0])
    assert got["id"].to_pylist() == [1999, 5, 0]
    assert got["name"].to_pylist() == ["flask-1999", "flask-5", "django-0"]


def test_search_finds_the_nearest_with_the_contracts_scores(live: LongbowClient, shared: str) -> None:
    found = total = 0
    for query in RNG.standard_normal((50, DIM)).astype(np.float32):
        result = live.search(shared, query, k=10, ef=200)
        assert len(result) == 10
        assert np.all(np.diff(result.scores) <= 0)
        distance = np.sqrt(((VECTORS[result.ids.astype(int)] - query) ** 2).sum(1))
        assert np.allclose(result.scores, 1 / (1 + distance), rtol=1e-4)
        found += len(set(result.ids.tolist()) & set(exact(query, 10)))
        total += 10
    assert found / total >= 0.98
    best = live.search(shared, VECTORS[77], k=1)[0]
    assert best.id == 77
    assert best.score == pytest.approx(1.0, abs=1e-3)


def test_search_batch_and_by_id_agree_with_search(live: LongbowClient, shared: str) -> None:
    single = [live.search(shared, v, k=5).ids.tolist() for v in VECTORS[:4]]
    assert [r.ids.tolist() for r in live.search_batch(shared, VECTORS[:4], k=5)] == single
    assert live.search_by_id(shared, 3, k=5).ids.tolist() == single[3]


def test_search_within_a_radius_explains_itself(live: LongbowClient, shared: str) -> None:
    everything = live.search(shared, VECTORS[5], k=100)
    middle = float(everything.scores[len(everything) // 2])
    near = live.search(shared, VECTORS[5], k=100, score_min=middle, explain=True)
    assert 0 < len(near) < len(everything)
    assert near.scores.min() >= middle
    assert near.explanation is not None
    assert near.explanation["segments"][0]["method"] == "scan"
    assert len(live.search(shared, VECTORS[5], k=100, radius=0.0)) >= 1


def test_search_returns_vectors(live: LongbowClient, shared: str) -> None:
    result = live.search(shared, VECTORS[5], k=3, include_vectors=True)
    assert result.vectors is not None
    assert np.array_equal(result.vectors, VECTORS[result.ids.astype(int)])


def passing(test: Callable[[dict[str, Any]], bool]) -> np.ndarray[Any, Any]:
    return np.array([test(row) for row in rows().drop_columns(["vector"]).to_pylist()])


DAY = dt.date(2024, 6, 1)
FILTERS: list[tuple[Filter, Callable[[dict[str, Any]], bool]]] = [
    (col("day") >= DAY, lambda r: r["day"] is not None and r["day"] >= DAY),
    (col("day").is_null(), lambda r: r["day"] is None),
    (col("rank").is_not_null() & (col("rank") < 500), lambda r: r["rank"] is not None and r["rank"] < 500),
    (~(col("rank") < 500), lambda r: r["rank"] is not None and r["rank"] >= 500),
    ((col("id") == 7) | (col("name") == "flask-8"), lambda r: r["id"] in (7, 8)),
    (col("id").isin([3, 1500, 99999]), lambda r: r["id"] in (3, 1500)),
    (col("id").isin([]), lambda _: False),
    (col("name").startswith("django"), lambda r: r["name"].startswith("django")),
    (col("name").contains("k-19"), lambda r: "k-19" in r["name"]),
    (col("price").between(10, 20.5), lambda r: 10 <= r["price"] <= 20.5),
    (col("flag") == True, lambda r: r["flag"]),  # noqa: E712
    (col("at") < dt.datetime(2024, 1, 2, 12), lambda r: r["at"] < dt.datetime(2024, 1, 2, 12)),
    (col("name") != "flask-1", lambda r: r["name"] != "flask-1"),
    (col("rank") != 0, lambda r: r["rank"] not in (None, 0)),
]


@pytest.mark.parametrize(("condition", "test"), FILTERS, ids=[str(f.to_json()) for f, _ in FILTERS])
def test_filters_mean_the_same_to_scan_and_search(
    live: LongbowClient, shared: str, condition: Filter, test: Callable[[dict[str, Any]], bool]
) -> None:
    passes = passing(test)
    assert sorted(live.scan(shared, filters=condition)["id"].to_pylist()) == np.flatnonzero(passes).tolist()
    query = RNG.standard_normal(DIM).astype(np.float32)
    result = live.search(shared, query, k=10, filters=condition, ef=400)
    expected = exact(query, 10, passes)
    assert len(result) == len(expected)
    assert all(passes[int(i)] for i in result.ids)
    assert len(set(result.ids.tolist()) & set(expected)) >= min(len(expected), 9)


def test_dictionary_filters_and_lists_mean_and(live: LongbowClient, shared: str) -> None:
    conditions: list[dict[str, Any]] = [
        {"field": "id", "operator": ">=", "value": "10"},
        {"field": "id", "op": "lt", "value": 12},
    ]
    assert sorted(live.scan(shared, filters=conditions)["id"].to_pylist()) == [10, 11]


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "dot_product"])
def test_metric_is_honoured(live: LongbowClient, name: str, metric: str) -> None:
    assert live.insert(name, VECTORS, ids=range(N), metric=metric) == N
    query = VECTORS[9] * 3
    dots = VECTORS.astype(np.float64) @ query
    order = {
        "euclidean": exact(query, 5),
        "cosine": np.argsort(-dots / np.linalg.norm(VECTORS, axis=1))[:5].tolist(),
        "dot_product": np.argsort(-dots)[:5].tolist(),
    }[metric]
    result = live.search(name, query, k=5, ef=400)
    assert result.ids.tolist() == order
    assert live.info(name).metric in (metric, None)
    if metric == "dot_product":
        assert result.scores[0] == pytest.approx(dots[order[0]], rel=1e-3)


def test_same_id_replaces_and_delete_is_seen_at_once(live: LongbowClient, name: str) -> None:
    live.insert(name, VECTORS[:100], ids=range(100))
    live.insert(name, VECTORS[100:110], ids=range(10))
    assert live.scan(name).num_rows == 100
    assert live.search(name, VECTORS[105], k=1)[0].id == 5
    assert live.search(name, VECTORS[5], k=1)[0].score < 0.99
    live.delete(name, [5, 6])
    assert 5 not in live.search(name, VECTORS[105], k=20).ids
    assert live.get(name, [4, 5, 6, 7])["id"].to_pylist() == [4, 7]
    assert live.scan(name).num_rows == 98
    with pytest.raises(NotFoundError):
        live.delete(name, [12345])


@pytest.mark.parametrize("kind", ["dicts", "columns", "pandas", "polars", "reader", "table"])
def test_every_kind_of_data_is_taken(live: LongbowClient, name: str, kind: str) -> None:
    source: dict[str, Any] = {"id": list(range(5)), "vector": VECTORS[:5].tolist(), "word": list("abcde")}
    table = pa.table(source)
    data: object = {
        "dicts": table.to_pylist(),
        "columns": source,
        "pandas": pd.DataFrame(source),
        "polars": pl.DataFrame(source),
        "reader": table.to_reader(),
        "table": table,
    }[kind]
    assert live.insert(name, data) == 5
    got = live.get(name, [4, 0])
    assert got["word"].to_pylist() == ["e", "a"]
    assert np.allclose(got["vector"].to_pylist(), VECTORS[[4, 0]])
    assert live.search(name, VECTORS[3], k=1)[0].id == 3
    assert live.scan(name, filters=col("word") == "c")["id"].to_pylist() == [2]


def test_text_ids(live: LongbowClient, name: str) -> None:
    live.insert(name, [{"id": f"doc-{i}", "vector": VECTORS[i].tolist()} for i in range(20)])
    assert live.get(name, ["doc-7", "nope", "doc-1"])["id"].to_pylist() == ["doc-7", "doc-1"]
    assert live.search(name, VECTORS[7], k=1)[0].id == 7  # the row's position
    assert live.search_by_id(name, "doc-7", k=1)[0].id == 7
    live.delete(name, ["doc-7"])
    assert live.scan(name).num_rows == 19


def test_rows_without_ids_are_known_by_position(live: LongbowClient, name: str) -> None:
    live.insert(name, VECTORS[:10])
    live.insert(name, VECTORS[10:20])
    assert live.scan(name).num_rows == 20
    assert live.search(name, VECTORS[13], k=1)[0].id == 13


def test_new_columns_appear_and_changed_types_are_refused(live: LongbowClient, name: str) -> None:
    live.insert(name, [{"id": 1, "vector": [0.0, 1.0]}])
    live.insert(name, [{"id": 2, "vector": [1.0, 0.0], "word": "new"}])
    assert live.scan(name).sort_by("id")["word"].to_pylist() == [None, "new"]
    with pytest.raises(InvalidRequestError, match=r"vector|dimension"):
        live.insert(name, [{"id": 3, "vector": [1.0, 0.0, 0.0]}])
    with pytest.raises(InvalidRequestError, match="word"):
        live.insert(name, [{"id": 3, "vector": [1.0, 0.0], "word": 3}])
    assert live.scan(name).num_rows == 2


def test_list_info_delete_dataset(live: LongbowClient, name: str) -> None:
    live.insert(name, VECTORS[:50], ids=range(50))
    info = live.info(name)
    assert (info.name, info.rows) == (name, 50)
    assert info.dimension in (DIM, None)
    assert {i.name: i.rows for i in live.list()}[name] == 50
    live.wait_until_ready(name, timeout_s=30)
    live.delete_dataset(name)
    assert name not in {i.name for i in live.list()}
    for call in (
        lambda: live.search(name, VECTORS[0]),
        lambda: live.scan(name),
        lambda: live.info(name),
        lambda: live.delete_dataset(name),
        lambda: live.delete(name, [1]),
        lambda: live.is_ready(name),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_namespaces(live: LongbowClient, name: str) -> None:
    live.create_namespace(name)
    assert {"default", name} <= set(live.list_namespaces())
    with pytest.raises(LongbowError):
        live.create_namespace(name)
    live.insert(f"{name}/docs", VECTORS[:5], ids=range(5))
    assert live.search(f"{name}/docs", VECTORS[2], k=1)[0].id == 2
    assert [i.name for i in live.list() if name in i.name] == [f"{name}/docs"]
    live.delete_dataset(f"{name}/docs")
    live.delete_namespace(name)
    assert name not in live.list_namespaces()
    with pytest.raises(LongbowError):
        live.delete_namespace("default")


def test_requests_the_server_refuses(live: LongbowClient, shared: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"dimension mismatch: expected {DIM}, got 3"):
        live.search(shared, [1.0, 2.0, 3.0])
    with pytest.raises(InvalidRequestError, match="nocolumn"):
        live.scan(shared, filters=col("nocolumn") == 1)
    with pytest.raises(InvalidRequestError, match="ten"):
        live.scan(shared, filters=col("id") == "ten")
    with pytest.raises(NotFoundError):
        live.search_by_id(shared, 10**9)
    assert live.is_ready()


def test_many_threads_share_one_client(live: LongbowClient, shared: str) -> None:
    wrong: list[str] = []

    def work(offset: int) -> None:
        try:
            for i in range(offset, N, 80):
                best = live.search(shared, VECTORS[i], k=1, ef=100)[0].id
                if best != i:
                    wrong.append(f"{i}: {best}")
        except LongbowError as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(t,)) for t in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(wrong) <= 2, wrong


def test_acknowledged_rows_outlive_kill_and_snapshot(tmp_path: pathlib.Path, name: str) -> None:
    """Rows before the snapshot, after it, and the deletes: all there after SIGKILL; meanwhile calls say UNAVAILABLE."""
    first = Server.start(tmp_path)
    try:
        with LongbowClient(first.data) as client:
            client.insert(name, rows(1000))
            client.snapshot()
            client.insert(name, rows(1500).slice(900))
            client.delete(name, [3, 1400])
            first.kill()
            with pytest.raises(UnavailableError):
                client.scan(name, timeout_s=5)
            assert client.is_ready() is False
    finally:
        first.kill()
    second = Server.start(tmp_path)
    try:
        with LongbowClient(second.data) as client:
            client.wait_until_ready(timeout_s=30)
            expected = rows(1500).filter(pa.array([i not in (3, 1400) for i in range(1500)]))
            assert client.scan(name).sort_by("id").select(expected.column_names).equals(expected)
            assert client.search(name, VECTORS[1450], k=1)[0].id == 1450
    finally:
        assert second.stop() == 0
