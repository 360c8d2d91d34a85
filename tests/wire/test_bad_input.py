"""Requests that are wrong in what they say: the contract's code and message, nothing changed, the server lives.

(The `server` fixture checks the last after every test; row counts are checked here.)
"""

from __future__ import annotations

import json

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

DIM = 4


def good_vectors(n: int = 5) -> np.ndarray:
    return np.arange(n * DIM, dtype=np.float32).reshape(n, DIM)


@pytest.fixture
def loaded(client, dataset) -> str:
    fc.put(client, dataset, fc.vector_table(good_vectors(), note=["a"] * 5))
    return dataset


@pytest.fixture
def state(client, loaded):
    """Asserts at the end that the dataset is what it was."""
    before = fc.scan(client, loaded).sort_by("id")
    yield
    assert fc.scan(client, loaded).sort_by("id").equals(before)
    assert fc.row_count(client, loaded) == 5
    assert [id for id, _ in fc.search(client, loaded, good_vectors()[2], 10)] == [2, 1, 3, 0, 4]


def with_value(value: float, element=np.float32) -> pa.Table:
    vectors = good_vectors().astype(element)
    vectors[3, 1] = value
    return fc.vector_table(vectors, note=["b"] * 5)


def with_null_vector() -> pa.Table:
    column = pa.array([[1, 2, 3, 4], None, [5, 6, 7, 8]], pa.list_(pa.float32(), DIM))
    return pa.table({"id": [0, 1, 2], "vector": column})


def with_null_element() -> pa.Table:
    column = pa.array([[1, 2, 3, 4], [5, None, 7, 8]], pa.list_(pa.float32(), DIM))
    return pa.table({"id": [0, 1], "vector": column})


# name: (table, texts that the message must contain)
BAD_PUTS = {
    "wrong dimension": (lambda: fc.vector_table(np.ones((2, DIM + 1), np.float32)), ["schema mismatch", "vector"]),
    "wrong element type": (lambda: fc.vector_table(np.ones((2, DIM), np.float64)), ["schema mismatch", "vector"]),
    "wrong id type": (
        lambda: fc.vector_table(good_vectors(), ids=list("abcde")),
        ['type mismatch for column "id": existing=int64, new=utf8'],
    ),
    "wrong column type": (
        lambda: fc.vector_table(good_vectors(), note=[1] * 5),
        ['type mismatch for column "note": existing=utf8, new=int64'],
    ),
    "NaN": (lambda: with_value(np.nan), ["vector", "3"]),
    "infinity": (lambda: with_value(np.inf), ["vector", "3"]),
    "minus infinity": (lambda: with_value(-np.inf), ["vector", "3"]),
    "null vector": (with_null_vector, ["vector", "1"]),
    "null element": (with_null_element, ["vector", "1"]),
    "null id": (lambda: fc.vector_table(good_vectors(), ids=pa.array([9, None, 8, 7, 6])), ["id", "1"]),
    "vector column missing": (lambda: pa.table({"id": [1, 2]}), ["vector"]),
    "id column missing": (lambda: pa.table({"vector": fc.vector_array(good_vectors())}), ["id"]),
}


@pytest.mark.parametrize("case", BAD_PUTS)
def test_bad_put_into_a_dataset(raw, loaded, state, case):
    table, texts = BAD_PUTS[case]
    raw.put(loaded, table()).expect("INVALID_ARGUMENT", *texts)


BAD_FIRST_PUTS = {
    "variable-size list": (
        lambda: pa.table({"id": [1], "vector": pa.array([[1.0, 2.0]], pa.list_(pa.float32()))}),
        ["vector"],
    ),
    "text vector": (lambda: pa.table({"id": [1], "vector": ["1,2"]}), ["vector"]),
    "bool elements": (
        lambda: pa.table({"id": [1], "vector": pa.array([[True, False]], pa.list_(pa.bool_(), 2))}),
        ["vector"],
    ),
    "dimension 0": (lambda: pa.table({"id": [1], "vector": pa.array([[]], pa.list_(pa.float32(), 0))}), ["vector"]),
    "dimension 10^6": (lambda: fc.vector_table(np.ones((1, 1_000_000), np.float32)), ["1000000", "65536"]),
    "unknown metric": (lambda: fc.vector_table(good_vectors(), metric="manhattan"), ["manhattan"]),
    "float ids": (lambda: fc.vector_table(good_vectors(), ids=[0.5, 1.5, 2.5, 3.5, 4.5]), ["id"]),
    "two columns of one name": (lambda: pa.table([[1], [2]], names=["a", "a"]), ["a"]),
    "two id columns": (
        lambda: pa.table([[1], [2], fc.vector_array(good_vectors(1))], names=["id", "id", "vector"]),
        ["id"],
    ),
    "column name of 10,000 letters": (lambda: pa.table({"n" * 10_000: [1]}), ["name"]),
    "NaN": (lambda: with_value(np.nan), ["vector", "3"]),
    "NaN in float64": (lambda: with_value(np.nan, np.float64), ["vector", "3"]),
    "infinity in float16": (lambda: with_value(np.inf, np.float16), ["vector", "3"]),
    "null vector": (with_null_vector, ["vector", "1"]),
}


@pytest.mark.parametrize("case", BAD_FIRST_PUTS)
def test_bad_first_put(raw, dataset, case):
    table, texts = BAD_FIRST_PUTS[case]
    raw.put(dataset, table()).expect("INVALID_ARGUMENT", *texts)
    assert raw.rows(dataset) in (-1, 0), "no rows"


def test_bad_batches_in_exchange_ingest(client, raw, loaded, state):
    for case, (table, texts) in BAD_PUTS.items():
        table = table()
        writer, reader = client.do_exchange(flight.FlightDescriptor.for_path("ingest", loaded))
        with pytest.raises(pa.ArrowInvalid, match=texts[0].replace("(", "\\(")):
            with writer:
                writer.begin(table.schema)
                writer.write_table(table)
                writer.done_writing()
                while True:
                    ack = reader.read_chunk()
                    assert ack.app_metadata is None or b"acked" not in ack.app_metadata.to_pybytes(), case


def test_dataset_names_that_are_no_names(raw):
    table = fc.vector_table(good_vectors())
    raw.put("", table).expect({"INVALID_ARGUMENT", "INTERNAL"})
    raw.put("n" * 100_000, table).expect("INVALID_ARGUMENT", "1024")
    assert raw.rows("n" * 100_000) == -1


# --- searches ---


def test_k_out_of_range(raw, loaded, state):
    vector = good_vectors()[0].tolist()
    for k in (0, -1, -(10**9)):
        raw.search(dataset=loaded, vector=vector, k=k).expect("INVALID_ARGUMENT", "k must be at least 1")
        raw.do_action("VectorSearch", {"dataset": loaded, "vector": vector, "k": k}).expect(
            "INVALID_ARGUMENT", "k must be at least 1"
        )
        raw.do_action("VectorSearchByID", {"dataset": loaded, "id": "1", "k": k}).expect(
            "INVALID_ARGUMENT", "k must be at least 1"
        )
    for k in (10**9, 100_001, 2**31, 2**63 - 1):
        raw.search(dataset=loaded, vector=vector, k=k).expect("INVALID_ARGUMENT", "100000")
        raw.do_action("VectorSearch", {"dataset": loaded, "vector": vector, "k": k}).expect(
            "INVALID_ARGUMENT", "100000"
        )
        raw.do_action("VectorSearchByID", {"dataset": loaded, "id": "1", "k": k}).expect("INVALID_ARGUMENT", "100000")
    for k in (2**64, 10**30, 1.5, "many", [], {}, True):
        raw.search(dataset=loaded, vector=vector, k=k).expect("INVALID_ARGUMENT")


def test_too_many_queries_in_one_batch(raw, loaded, state):
    raw.do_action("VectorSearch", {"dataset": loaded, "vectors": [[0.0] * DIM] * 10_001, "k": 1}).expect(
        {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}, "10000"
    )


def test_vectors_that_are_none(raw, loaded, state):
    for vector in ("text", 5, {"a": 1}, [["1"]], [None] * DIM, [1e39] * DIM, [True] * DIM, [[1.0] * DIM]):
        raw.search(dataset=loaded, vector=vector, k=1).expect("INVALID_ARGUMENT")
    for vectors in ("text", [5], [["a"]], [[1.0] * DIM, None]):
        raw.do_action("VectorSearch", {"dataset": loaded, "vectors": vectors, "k": 1}).expect("INVALID_ARGUMENT")


INTEGER_KINDS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
OTHER_KINDS = [
    pa.array([2.0], pa.float32()),
    pa.array([2.0], pa.float64()),
    pa.array(["2"]),
    pa.array([b"2"]),
    pa.array([True]),
    pa.array([[2]]),
    pa.array([{"k": 2}]),
    pa.nulls(1),
    pa.array(["2"]).dictionary_encode(),
    pa.array([None], pa.int32()),
    pa.array([-1], pa.int64()),
    pa.array([2**63], pa.uint64()),
    pa.array([0], pa.int8()),
]


def test_k_column_of_any_type_in_exchange_search(raw, loaded, state):
    """An int64 here kills the original's process."""
    base = {"dataset": [loaded], "query_vector": fc.vector_array(good_vectors()[:1])}
    for kind in INTEGER_KINDS:
        answer = raw.exchange_search(pa.record_batch({**base, "k": pa.array([2], kind)}))
        answer.expect({"OK", "INVALID_ARGUMENT"})
        assert answer.code == "OK" or "k" in answer.details
    for column in OTHER_KINDS:
        raw.exchange_search(pa.record_batch({**base, "k": column})).expect("INVALID_ARGUMENT", "k")


def test_columns_of_any_type_in_exchange_search(raw, loaded, state):
    vector = fc.vector_array(good_vectors()[:1])
    for kind in (pa.int64(), pa.float32(), pa.binary(), pa.bool_(), pa.list_(pa.string()), pa.null()):
        name = pa.nulls(1, kind)
        raw.exchange_search(pa.record_batch({"dataset": name, "query_vector": vector})).expect(
            "INVALID_ARGUMENT", "dataset"
        )
        raw.exchange_search(pa.record_batch({"dataset": [loaded], "query_vector": name})).expect(
            "INVALID_ARGUMENT", "query_vector"
        )
    raw.exchange_search(pa.record_batch({"dataset": pa.array([None], pa.string()), "query_vector": vector})).expect(
        "INVALID_ARGUMENT", "dataset"
    )
    raw.exchange_search(pa.record_batch({"dataset": [loaded], "query_vector": pa.nulls(1, vector.type)})).expect(
        "INVALID_ARGUMENT", "query_vector"
    )
    query = {"dataset": [loaded], "query_vector": vector}
    for target in (pa.array([0.4]), pa.array([1.0]), pa.array([np.nan]), pa.array([1]), pa.array(["0.9"]), pa.nulls(1)):
        raw.exchange_search(pa.record_batch({**query, "recall_target": target})).expect(
            "INVALID_ARGUMENT", "recall_target"
        )
    both = pa.record_batch({**query, "ef": pa.array([64]), "recall_target": pa.array([0.9])})
    raw.exchange_search(both).expect("INVALID_ARGUMENT", "exclude each other")
    nan = fc.vector_array(np.array([[1, np.nan, 2, 3]], np.float32))
    raw.exchange_search(pa.record_batch({"dataset": [loaded], "query_vector": nan})).expect(
        "INVALID_ARGUMENT", "query", "NaN"
    )


# --- tickets ---


def mutations(rng: np.random.Generator, seed: bytes, count: int):
    """`count` variations of a ticket: bytes flipped, cut, doubled, inserted, tokens swapped."""
    tokens = [
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"null",
        b"true",
        b"-",
        b"1e400",
        b"9" * 400,
        b"\\u0000",
        b"\\ud800",
        b"\0",
        b"\xff",
        b"\xc3\x28",
        b"NaN",
        b"/*",
        b"'",
        b"\\",
    ]
    for _ in range(count):
        data = bytearray(seed)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(len(data) + 1))
            match int(rng.integers(5)):
                case 0 if at < len(data):
                    data[at] = int(rng.integers(256))
                case 1:
                    del data[at:]
                case 2:
                    data[at:at] = tokens[int(rng.integers(len(tokens)))]
                case 3:
                    end = int(rng.integers(at, len(data) + 1))
                    data[at:at] = data[at:end]
                case _:
                    del data[at : at + int(rng.integers(1, 6))]
        yield bytes(data)


def test_mutated_tickets(raw, loaded, state, rng):
    """600 broken tickets on DoGet and as action bodies: the caller is told, or it was a fine ticket after all."""
    calm = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}
    search = {
        "dataset": loaded,
        "vector": [1.0, 2, 3e0, -4],
        "k": 3,
        "filters": [{"field": "note", "operator": "=", "value": "a"}],
        "include_vectors": False,
    }
    scan = {
        "name": loaded,
        "limit": 10,
        "filters": [
            {
                "logic": "OR",
                "filters": [{"field": "id", "op": "<", "value": 5}, {"field": "note", "op": "!=", "value": "x"}],
            }
        ],
    }
    for seed in ({"search": search}, scan):
        for ticket in mutations(rng, json.dumps(seed).encode(), 200):
            answer = raw.do_get(ticket)
            # The contract's own exception: a filter that cannot be bound blames the server.
            if not (answer.code == "INTERNAL" and answer.details.startswith("search failed: ")):
                answer.expect(calm)
    for body in mutations(rng, json.dumps(search).encode(), 200):
        answer = raw.do_action("VectorSearch", body)
        if not (answer.code == "INTERNAL" and answer.details.startswith("search failed: ")):
            answer.expect(calm)


@pytest.mark.parametrize("depth", [100, 1_000, 100_000])
def test_deep_nesting(raw, loaded, state, depth):
    refused = {"INVALID_ARGUMENT", "NOT_FOUND"}  # NOT_FOUND: a '[' does not open an object, so the ticket is a name
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}"), (b'{"filters":[', b"]}")):
        for data in (opening * depth + closing * depth, opening * depth):
            raw.do_get(data).expect(refused)
            raw.do_action("VectorSearch", data).expect("INVALID_ARGUMENT")
            raw.list_flights(data).expect("INVALID_ARGUMENT", "Invalid criteria")
    filters = b'{"logic":"NOT","filters":[' * depth + b'{"field":"id","op":"=","value":1}' + b"]}" * depth
    raw.do_get(b'{"name":"%s","filters":[%s]}' % (loaded.encode(), filters)).expect("INVALID_ARGUMENT")
    raw.do_get(
        b'{"search":{"dataset":"%s","vector":[1,2,3,4],"k":1,"filters":[%s]}}' % (loaded.encode(), filters)
    ).expect("INVALID_ARGUMENT")


def test_wrong_types_in_tickets(raw, loaded, state):
    for ticket in (
        {"name": 5},
        {"name": None},
        {"name": [loaded]},
        {"name": loaded, "limit": "ten"},
        {"name": loaded, "limit": 1.5},
        {"name": loaded, "filters": "all"},
        {"search": None},
        {"search": []},
        {"search": "x"},
        {"search": {"dataset": 7, "vector": [1, 2, 3, 4], "k": 1}},
        {"search": {"dataset": loaded, "vector": [1, 2, 3, 4], "k": 1, "include_vectors": "yes"}},
        {"search": {"dataset": loaded, "vector": [1, 2, 3, 4], "k": 1, "alpha": "x"}},
    ):
        raw.do_get(ticket).expect({"INVALID_ARGUMENT", "NOT_FOUND"})


def test_names_with_odd_bytes_come_back_in_the_message(raw):
    for name in ("é", "%41", "a\nb", "\u202e", "x" * 5000):
        answer = raw.do_get({"name": name}).expect({"NOT_FOUND", "INVALID_ARGUMENT"})
        assert len(answer.details) < 20_000
    raw.do_get(b"\xff\xfe\x00bytes").expect({"NOT_FOUND", "INVALID_ARGUMENT"})


def test_sizes_of_tickets(raw, loaded, state):
    """A ticket of 20 MB of spaces, one number of 1 MB, a vector of a million numbers."""
    raw.do_get(b'{"name":"%s"%s}' % (loaded.encode(), b" " * (20 << 20))).expect(
        {"OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
    )
    raw.do_get(b'{"search":{"dataset":"%s","vector":[%s],"k":1}}' % (loaded.encode(), b"1" * (1 << 20))).expect(
        "INVALID_ARGUMENT"
    )
    raw.search(dataset=loaded, vector=[0.5] * 1_000_000, k=1).expect("INVALID_ARGUMENT")
