"""The contract of vector search: ticket, actions, exchange; scores, metrics, element types, ids, errors."""

from __future__ import annotations

import json

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

ROWS, DIM = 600, 16


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture
def loaded(client, dataset, points) -> str:
    fc.put(client, dataset, fc.vector_table(points))
    return dataset


def assert_hits(
    hits: list[tuple[int, float]],
    points: np.ndarray,
    query: np.ndarray,
    k: int,
    metric: str = "euclidean",
    tolerance: float = 1e-4,
) -> None:
    """The k nearest in order (equal scores may change places), each with its right score."""
    expected = fc.scores(points, query, metric)
    best = np.sort(expected)[::-1][:k]
    assert len(hits) == len(best) and len({id for id, _ in hits}) == len(hits)
    got = np.array([score for _, score in hits])
    assert np.all(np.diff(got) <= 0), "best first"
    scale = max(1.0, float(np.abs(best).max()))
    assert np.allclose(got, best, atol=tolerance * scale), (got, best)
    assert np.allclose(got, expected[[id for id, _ in hits]], atol=tolerance * scale), "a score belongs to its id"


def test_ticket_search(client, loaded, points, rng):
    for _ in range(20):
        query = rng.standard_normal(DIM).astype(np.float32)
        assert_hits(fc.search(client, loaded, query, 10), points, query, 10)
    table = fc.search_table(client, loaded, points[0], 3)
    assert table.schema.equals(pa.schema([pa.field("id", pa.uint64(), False), pa.field("score", pa.float32(), False)]))
    assert fc.search(client, loaded, points[42], 1) == [(42, 1.0)], "an exact match has score 1"


def test_score_is_one_over_one_plus_l2(client, dataset):
    fc.put(client, dataset, fc.vector_table(np.array([[0, 0], [3, 4], [6, 8]], np.float32)))
    assert fc.search(client, dataset, [0, 0], 3) == [(0, 1.0), (1, pytest.approx(1 / 6)), (2, pytest.approx(1 / 11))]


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "dot_product"])
def test_metric_is_honoured(client, dataset, points, rng, metric):
    scaled = points * rng.uniform(0.2, 5, (ROWS, 1)).astype(np.float32)  # so that the three rank differently
    fc.put(client, dataset, fc.vector_table(scaled, metric=metric))
    for _ in range(10):
        query = rng.standard_normal(DIM).astype(np.float32)
        assert_hits(fc.search(client, dataset, query, 10), scaled, query, 10, metric)
    [result] = fc.action(client, "VectorSearch", {"dataset": dataset, "vector": scaled[3].tolist(), "k": 5})
    hits = fc.read_ipc(result)
    assert_hits(list(zip(hits["id"].to_pylist(), hits["score"].to_pylist(), strict=True)), scaled, scaled[3], 5, metric)


def test_k_larger_than_the_dataset(client, loaded, points):
    assert len(fc.search(client, loaded, points[0], 50_000)) == ROWS
    assert len(fc.search(client, loaded, points[0], 1)) == 1


def test_k_defaults_to_an_error(raw, loaded, points):
    for k in (0, -1, -(2**63)):
        raw.search(dataset=loaded, vector=points[0].tolist(), k=k).expect("INVALID_ARGUMENT", "k must be at least 1")


def test_unknown_keys_in_search_are_ignored(client, loaded, points):
    assert fc.search(client, loaded, points[5], 1, ef=50, graph_depth=2, colour=None, nested={"a": [1]}) == [(5, 1.0)]
    assert fc.search(
        client,
        loaded,
        points[5],
        1,
        text_query=None,
        filters=None,
        vector_format=None,
        alpha=1.0,
        graph_alpha=0.0,
        local_only=True,
    ) == [(5, 1.0)]
    assert fc.search(client, loaded, points[5], 1, text_query="") == [(5, 1.0)]


def test_numbers_in_every_json_form(raw, client, dataset):
    fc.put(client, dataset, fc.vector_table(np.array([[1, -2, 0.5, 100]], np.float32)))
    ticket = f'{{"search":{{"dataset":"{dataset}","vector":[1,-2.0,5e-1,1E+2],"k":1}}}}'
    answer = client.do_get(flight.Ticket(ticket.encode())).read_all()
    assert answer["score"].to_pylist() == [1.0]
    for bad in ("NaN", "Infinity", "-Infinity", "null", '"1"', "1e999", "[1]", "true", "01", "1."):
        broken = f'{{"search":{{"dataset":"{dataset}","vector":[1,2,3,{bad}],"k":1}}}}'
        raw.do_get(broken).expect("INVALID_ARGUMENT", "invalid ticket format")


def test_include_vectors_returns_element_bytes_and_is_not_sticky(client, dataset, points):
    for element in (np.float32, np.float64, np.int8):
        name = f"{dataset}_{np.dtype(element).name}"
        stored = (points * 10).astype(element)
        fc.put(client, name, fc.vector_table(stored))
        for _ in range(3):
            table = fc.search_table(client, name, stored[9], 5, include_vectors=True)
            assert table.schema.names == ["id", "score", "vector"] and table.schema.field("vector").type == pa.binary()
            for id, data in zip(table["id"].to_pylist(), table["vector"].to_pylist(), strict=True):
                assert data == stored[id].tobytes(), "raw little-endian element bytes"
            assert fc.search_table(client, name, stored[9], 5).schema.names == ["id", "score"]


ELEMENTS = ["float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("element", ELEMENTS)
def test_every_element_type_is_searchable(client, dataset, rng, element, metric):
    kind = np.dtype(element)
    stored = (
        rng.integers(0 if kind.kind == "u" else -50, 100, (300, 12)).astype(kind)
        if kind.kind != "f"
        else rng.standard_normal((300, 12)).astype(kind)
    )
    # The SDK names the type in the schema's metadata.
    table = fc.vector_table(stored, metric=metric)
    table = table.replace_schema_metadata({**table.schema.metadata, "longbow.vector_type": element})
    fc.put(client, dataset, table)
    for i in (0, 17, 299):
        assert_hits(
            fc.search(client, dataset, stored[i].astype(float), 10), stored, stored[i], 10, metric, tolerance=2e-3
        )
    got = fc.scan(client, dataset)
    assert got.schema.field("vector").type.value_type == table.schema.field("vector").type.value_type
    assert np.array_equal(got.sort_by("id")["vector"].combine_chunks().values.to_numpy().reshape(300, 12), stored)


@pytest.mark.parametrize("part", ["float32", "float64"])
@pytest.mark.parametrize("where", ["schema", "field"])
def test_complex_vectors(client, dataset, rng, part, where):
    """Interleaved re, im: the list size is twice the logical dimension, for stored rows and queries alike."""
    stored = (rng.standard_normal((100, 4)) + 1j * rng.standard_normal((100, 4))).astype(
        np.complex64 if part == "float32" else np.complex128
    )
    flat = np.ascontiguousarray(stored).view(part)
    table = fc.vector_table(flat)
    marks = {"longbow.vector_type": str(stored.dtype), "longbow.complex": "true"}
    if where == "schema":
        table = table.replace_schema_metadata(marks)
    else:
        table = table.cast(table.schema.set(1, table.schema.field("vector").with_metadata(marks)))
    fc.put(client, dataset, table)
    for i in (0, 50, 99):
        assert_hits(fc.search(client, dataset, flat[i], 5), flat, flat[i], 5)
        [result] = fc.action(client, "VectorSearch", {"dataset": dataset, "vector": flat[i].tolist(), "k": 1})
        assert fc.read_ipc(result)["id"].to_pylist() == [i]


def test_vector_column_may_be_called_embedding(client, dataset, points):
    fc.put(client, dataset, pa.table({"id": list(range(ROWS)), "embedding": fc.vector_array(points)}))
    assert fc.search(client, dataset, points[3], 1) == [(3, 1.0)]


# --- ids ---


def test_without_id_column_results_carry_the_ordinal(client, dataset, points):
    fc.put(client, dataset, pa.table({"vector": fc.vector_array(points[:100])}))
    fc.put(client, dataset, pa.table({"vector": fc.vector_array(points[100:200])}))
    assert fc.search(client, dataset, points[5], 1) == [(5, 1.0)]
    assert fc.search(client, dataset, points[150], 1) == [(150, 1.0)]


def test_text_ids_are_parsed_or_become_ordinals(client, dataset, points):
    fc.put(client, dataset, fc.vector_table(points[:5], ids=["0", "17", "doc-2", "18446744073709551615", "doc-4"]))
    found = [fc.search(client, dataset, points[i], 1)[0][0] for i in range(5)]
    assert found == [0, 17, 2, 2**64 - 1, 4]


def test_integer_ids_are_shown_as_they_are(client, dataset, points):
    ids = pa.array([5, 2**63 + 5, 2**64 - 1], pa.uint64())
    fc.put(client, dataset, fc.vector_table(points[:3], ids=ids))
    assert [fc.search(client, dataset, points[i], 1)[0][0] for i in range(3)] == ids.to_pylist()


# --- actions ---


def test_vector_search_action(any_port_client, loaded, points):
    results = fc.action(any_port_client, "VectorSearch", {"dataset": loaded, "vector": points[1].tolist(), "k": 4})
    assert len(results) == 1
    table = fc.read_ipc(results[0])
    assert table.schema.names == ["id", "score"]
    assert_hits(list(zip(table["id"].to_pylist(), table["score"].to_pylist(), strict=True)), points, points[1], 4)


def test_vector_search_batch(client, loaded, points):
    batch = [points[i].tolist() for i in range(10, 60)]
    results = fc.action(client, "VectorSearch", {"dataset": loaded, "vectors": batch, "k": 3})
    assert [fc.read_ipc(r)["id"][0].as_py() for r in results] == list(range(10, 60))
    both = fc.action(
        client, "VectorSearch", {"dataset": loaded, "vector": points[7].tolist(), "vectors": batch[:2], "k": 1}
    )
    assert [fc.read_ipc(r)["id"].to_pylist() for r in both] == [[7], [10], [11]], "`vector` first, then `vectors`"


def test_vector_search_with_filters_and_vectors(client, dataset, points):
    fc.put(client, dataset, fc.vector_table(points, n=np.arange(ROWS)))
    request = {
        "dataset": dataset,
        "vector": points[1].tolist(),
        "k": 5,
        "filters": [{"field": "n", "op": "<", "value": 100}],
        "include_vectors": True,
    }
    table = fc.read_ipc(fc.action(client, "VectorSearch", request)[0])
    assert table["id"].to_pylist() == fc.nearest(points[:100], points[1], 5)
    if "vector" in table.schema.names:
        assert table["vector"][0].as_py() == points[1].tobytes()


@pytest.mark.parametrize("as_text", [True, False])
def test_search_by_id(any_port_client, loaded, points, as_text):
    answer = fc.action_json(
        any_port_client, "VectorSearchByID", {"dataset": loaded, "id": "7" if as_text else 7, "k": 3}
    )
    assert list(answer) == ["ids", "scores"]
    assert answer["ids"] == fc.nearest(points, points[7], 3)
    assert answer["scores"] == pytest.approx(np.sort(fc.scores(points, points[7]))[::-1][:3].tolist(), rel=1e-4)
    assert len(fc.action_json(any_port_client, "VectorSearchByID", {"dataset": loaded, "id": 7})["ids"]) == 10, (
        "k is 10 by default"
    )


def test_search_by_text_id(client, dataset, points):
    fc.put(client, dataset, fc.vector_table(points[:20], ids=[f"doc-{i}" for i in range(20)]))
    answer = fc.action_json(client, "VectorSearchByID", {"dataset": dataset, "id": "doc-3", "k": 4})
    assert answer["ids"] == fc.nearest(points[:20], points[3], 4)


def test_search_by_id_of_upserted_and_deleted_rows(raw, client, loaded, points):
    fc.put(client, loaded, fc.vector_table(points[100:101] + 0.001, ids=[5]))
    assert fc.action_json(client, "VectorSearchByID", {"dataset": loaded, "id": 5, "k": 2})["ids"] == [5, 100]
    fc.action(client, "delete", {"dataset": loaded, "id": "100"})
    assert 100 not in fc.action_json(client, "VectorSearchByID", {"dataset": loaded, "id": 5, "k": 10})["ids"]
    raw.do_action("VectorSearchByID", {"dataset": loaded, "id": "100", "k": 2}).expect("NOT_FOUND", "100")
    raw.do_action("VectorSearchByID", {"dataset": loaded, "id": 99_999, "k": 2}).expect("NOT_FOUND", "99999")
    raw.do_action("VectorSearchByID", {"dataset": "nope", "id": 1, "k": 2}).expect("NOT_FOUND", "nope")


# --- errors ---


def test_search_errors(raw, client, loaded, points):
    fc.put(client, loaded + "_plain", pa.table({"a": [1]}))
    good = points[0].tolist()
    for send in (lambda **request: raw.search(**request), lambda **request: raw.do_action("VectorSearch", request)):
        send(dataset="nope", vector=good, k=1).expect("NOT_FOUND", "dataset nope not found")
        send(dataset=loaded, vector=good[:4], k=1).expect(
            "INVALID_ARGUMENT", f"dimension mismatch: expected {DIM}, got 4"
        )
        send(dataset=loaded, vector=good, k=0).expect("INVALID_ARGUMENT", "k must be at least 1")
        send(dataset=loaded, k=1).expect("INVALID_ARGUMENT", "no query vector provided")
        send(dataset=loaded, vector=[], k=1).expect("INVALID_ARGUMENT", "no query vector provided")
        send(dataset=loaded + "_plain", vector=good, k=1).expect("FAILED_PRECONDITION", "index not initialized")
    raw.do_action("VectorSearch", {"dataset": loaded, "vectors": [good, good[:3]], "k": 1}).expect(
        "INVALID_ARGUMENT", f"dimension mismatch: expected {DIM}, got 3"
    )


def test_text_with_alpha_1_is_a_dense_search(client, loaded, points):
    """The contract: all weight on the vector."""
    assert fc.search(client, loaded, points[5], 1, text_query="fox", alpha=1) == [(5, 1.0)]


# --- exchange ---


def test_exchange_search(raw, loaded, points):
    query = fc.exchange_query(loaded, points[3], k=pa.array([4], pa.int32()), ef=pa.array([100], pa.int32()))
    assert fc.exchange_ids(raw, query) == fc.nearest(points, points[3], 4)
    assert len(fc.exchange_ids(raw, fc.exchange_query(loaded, points[3]))) == 10, "k is 10 by default"
    as_list = pa.record_batch(
        {
            "dataset": [loaded],
            "k": pa.array([2], pa.int32()),
            "query_vector": pa.array([points[3].tolist()], pa.list_(pa.float32())),
        }
    )
    assert fc.exchange_ids(raw, as_list) == fc.nearest(points, points[3], 2)


def test_exchange_search_errors(raw, client, loaded, points):
    fc.put(client, loaded + "_plain", pa.table({"a": [1]}))
    query = fc.exchange_query(loaded, points[3])
    raw.exchange_search(query.drop_columns(["dataset"])).expect("INVALID_ARGUMENT", "missing 'dataset' column")
    raw.exchange_search(query.drop_columns(["query_vector"])).expect(
        "INVALID_ARGUMENT", "missing 'query_vector' column"
    )
    raw.exchange_search(query.slice(0, 0)).expect("INVALID_ARGUMENT", "empty search request")
    raw.exchange_search(fc.exchange_query("nope", points[3])).expect("NOT_FOUND", "nope")
    raw.exchange_search(fc.exchange_query(loaded, points[3][:5])).expect("INVALID_ARGUMENT", "dimension mismatch")
    raw.exchange_search(fc.exchange_query(loaded + "_plain", points[3])).expect(
        "FAILED_PRECONDITION", "dataset has no index"
    )
    text = pa.record_batch({"dataset": [loaded], "query_vector": ["not a vector"]})
    raw.exchange_search(text).expect("INVALID_ARGUMENT", "unsupported query_vector type")


# --- recall ---


def test_recall_of_plain_search(client, dataset):
    """20,000 clustered rows, above any threshold for exact search: at least 98 of 100 true neighbours, before and after deletes."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((100, 32)).astype(np.float32)
    rows = (centres[rng.integers(0, 100, 20_000)] + 0.35 * rng.standard_normal((20_000, 32))).astype(np.float32)
    fc.put(client, dataset, fc.vector_table(rows), max_chunksize=5_000)

    def recall(alive: np.ndarray) -> float:
        found = 0
        for query in rows[rng.integers(0, 20_000, 100)] + 0.1 * rng.standard_normal((100, 32)).astype(np.float32):
            truth = set(alive[fc.nearest(rows[alive], query, 10)].tolist())
            found += len(truth & {id for id, _ in fc.search(client, dataset, query, 10)})
        return found / 1000

    everything = np.arange(20_000)
    at_once = recall(everything)
    assert at_once >= 0.98, f"right after the acknowledgement: {at_once}"
    state = json.dumps(fc.action_json(client, "check_readiness", {"dataset": dataset}))
    gone = rng.choice(20_000, 2_000, replace=False)
    for id in gone:
        fc.action(client, "delete", {"dataset": dataset, "id": str(id)})
    alive = np.setdiff1d(everything, gone)
    after = recall(alive)
    assert after >= 0.98, f"after 2,000 deletes: {after}; readiness before was {state}"
