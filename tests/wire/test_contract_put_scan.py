"""The contract of puts and scans: upserts, schema evolution, limits, deletes, read-your-writes."""

from __future__ import annotations

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from raw_flight import command_descriptor, flight_data, ipc_messages, path_descriptor


def vectors(n: int, dim: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, dim), np.float32)


def test_same_id_replaces(client, dataset):
    old, new = vectors(10, seed=1), vectors(10, seed=2)
    fc.put(client, dataset, fc.vector_table(old, v=["old"] * 10))
    fc.put(client, dataset, fc.vector_table(new, v=["new"] * 10))
    got = fc.scan(client, dataset).sort_by("id")
    assert got["id"].to_pylist() == list(range(10))
    assert got["v"].to_pylist() == ["new"] * 10
    assert fc.row_count(client, dataset) == 10
    for i in range(10):
        hits = fc.search(client, dataset, new[i], 10)
        assert sorted(id for id, _ in hits) == list(range(10)), "each id once"
        assert hits[0] == (i, 1.0)
        assert fc.search(client, dataset, old[i], 1)[0][1] < 1.0, "the old vector is gone"


def test_same_id_twice_in_one_batch_keeps_the_last(client, dataset):
    v = vectors(6)
    fc.put(client, dataset, fc.vector_table(v, ids=[1, 2, 1, 3, 1, 2], n=[0, 1, 2, 3, 4, 5]))
    got = fc.scan(client, dataset).sort_by("id")
    assert got["id"].to_pylist() == [1, 2, 3]
    assert got["n"].to_pylist() == [4, 5, 3]
    assert sorted(id for id, _ in fc.search(client, dataset, v[0], 10)) == [1, 2, 3]


def test_id_types(client, dataset):
    v = vectors(3)
    cases = {
        "int64": pa.array([-1, 2, 3], pa.int64()),
        "uint64": pa.array([2**64 - 1, 2, 3], pa.uint64()),
        "int32": pa.array([1, 2, 3], pa.int32()),
        "uint32": pa.array([2**32 - 1, 2, 3], pa.uint32()),
        "utf8": pa.array(["a", "b", "3"]),
        "large_utf8": pa.array(["a", "b", "3"], pa.large_string()),
    }
    for kind, ids in cases.items():
        name = f"{dataset}_{kind}"
        fc.put(client, name, fc.vector_table(v, ids=ids))
        fc.put(client, name, fc.vector_table(v, ids=ids))
        got = fc.scan(client, name)
        assert sorted(got["id"].to_pylist()) == sorted(ids.to_pylist()) and got.schema.field("id").type == ids.type
        assert fc.action(client, "delete", {"dataset": name, "id": str(ids[0].as_py())}) == [b"deleted"]
        assert sorted(fc.scan(client, name)["id"].to_pylist()) == sorted(ids.to_pylist()[1:]), kind


def test_reads_follow_the_acknowledgement_at_once(client, dataset):
    """200 puts of one row; each is in scan, search, filtered scan and count right after its acknowledgement."""
    v = vectors(200, 16)
    for i in range(200):
        fc.put(client, dataset, fc.vector_table(v[i : i + 1], ids=[i], n=[i]))
        assert fc.search(client, dataset, v[i], 1) == [(i, 1.0)]
        if i % 10 == 0:
            assert fc.scan_ids(client, dataset) == list(range(i + 1))
            assert fc.scan_ids(client, dataset, [{"field": "n", "op": "=", "value": i}]) == [i]
            assert fc.row_count(client, dataset) == i + 1


def test_limit(client, dataset):
    fc.put(client, dataset, fc.vector_table(vectors(1000), n=list(range(1000))), max_chunksize=70)
    for limit in (1, 10, 999, 1000, 5000):
        got = fc.scan(client, dataset, limit=limit)
        assert got.num_rows == min(limit, 1000)
        assert len(set(got["id"].to_pylist())) == got.num_rows
    filtered = fc.scan(client, dataset, [{"field": "n", "op": ">=", "value": "500"}], limit=7)
    assert filtered.num_rows == 7 and min(filtered["n"].to_pylist()) >= 500


def test_deletes_are_seen_at_once_everywhere(client, dataset):
    v = vectors(100)
    fc.put(client, dataset, fc.vector_table(v, n=list(range(100))))
    for i in range(0, 100, 2):
        assert fc.action(client, "delete" if i % 4 else "Delete", {"dataset": dataset, "id": str(i)}) == [b"deleted"]
        assert i not in [id for id, _ in fc.search(client, dataset, v[i], 100)]
    odd = list(range(1, 100, 2))
    assert fc.scan_ids(client, dataset) == odd
    assert fc.scan_ids(client, dataset, [{"field": "n", "op": "<", "value": "10"}]) == [1, 3, 5, 7, 9]
    assert sorted(id for id, _ in fc.search(client, dataset, v[0], 100)) == odd
    assert fc.row_count(client, dataset) == 50
    fc.put(client, dataset, fc.vector_table(v[4:5], ids=[4], n=[4]))
    assert fc.search(client, dataset, v[4], 1) == [(4, 1.0)], "a deleted id may come back"


def test_dropped_dataset_is_gone_and_its_name_free(client, dataset):
    fc.put(client, dataset, fc.vector_table(vectors(10)))
    assert fc.action(client, "delete-dataset", {"dataset": dataset}) == [b"deleted"]
    assert dataset not in fc.names(client)
    with pytest.raises(pa.ArrowKeyError):
        fc.scan(client, dataset)
    fc.put(client, dataset, fc.vector_table(vectors(3, 5), ids=["a", "b", "c"]))
    assert fc.row_count(client, dataset) == 3, "another schema under the same name"


# --- schema evolution ---


def test_columns_may_be_added_left_out_and_reordered(client, dataset):
    v = vectors(6)
    fc.put(client, dataset, fc.vector_table(v[:2], ids=[0, 1], a=["x", "y"]))
    fc.put(client, dataset, fc.vector_table(v[2:4], ids=[2, 3], a=["z", None], b=[2.5, 3.5]))
    fc.put(client, dataset, pa.table({"b": [4.5, 5.5], "vector": fc.vector_array(v[4:]), "id": [4, 5]}))
    got = fc.scan(client, dataset).sort_by("id")
    assert got.schema.names == ["id", "vector", "a", "b"], "new columns are returned too, after the old ones"
    assert got["a"].to_pylist() == ["x", "y", "z", None, None, None]
    assert got["b"].to_pylist() == [None, None, 2.5, 3.5, 4.5, 5.5]
    assert fc.scan_ids(client, dataset, [{"field": "b", "op": ">", "value": "3"}]) == [3, 4, 5]
    assert [id for id, _ in fc.search(client, dataset, v[5], 1)] == [5]
    schema = client.get_schema(flight.FlightDescriptor.for_path(dataset)).schema
    assert schema.names == ["id", "vector", "a", "b"]


@pytest.mark.parametrize(
    "change, text",
    [
        ("id", 'schema mismatch: type mismatch for column "id": existing=int64, new=utf8'),
        ("vector dimension", 'schema mismatch: type mismatch for column "vector"'),
        ("vector type", 'schema mismatch: type mismatch for column "vector"'),
        ("n", 'schema mismatch: type mismatch for column "n": existing=int64, new=float64'),
    ],
)
def test_changed_types_are_refused(raw, client, dataset, change, text):
    v = vectors(4)
    fc.put(client, dataset, fc.vector_table(v, n=[1, 2, 3, 4]))
    incoming = {
        "id": fc.vector_table(v, ids=["a", "b", "c", "d"], n=[1, 2, 3, 4]),
        "vector dimension": fc.vector_table(vectors(4, 9), n=[1, 2, 3, 4]),
        "vector type": fc.vector_table(v.astype(np.float64), n=[1, 2, 3, 4]),
        "n": fc.vector_table(v, n=[1.0, 2.0, 3.0, 4.0]),
    }[change]
    raw.put(dataset, incoming).expect("INVALID_ARGUMENT", text)
    assert fc.row_count(client, dataset) == 4
    fc.put(client, dataset, fc.vector_table(v, n=[1, 2, 3, 4]))


# --- descriptors ---


@pytest.mark.parametrize(
    "descriptor",
    [None, b"", command_descriptor(b"put"), path_descriptor()],
    ids=["none", "empty", "command", "no path"],
)
def test_put_needs_a_path(raw, descriptor):
    (schema, _), (header, body) = ipc_messages(fc.vector_table(vectors(2)))
    answer = raw.do_put([flight_data(descriptor, schema), flight_data(None, header, None, body)])
    # The contract's code is INTERNAL; it is the caller's fault, and clients look at the text only.
    answer.expect({"INVALID_ARGUMENT", "INTERNAL"}, "missing flight descriptor path")


def test_extra_path_parts_are_ignored(raw, dataset):
    (schema, _), (header, body) = ipc_messages(fc.vector_table(vectors(2)))
    raw.do_put(
        [flight_data(path_descriptor(dataset, "more", "parts"), schema), flight_data(None, header, None, body)]
    ).expect("OK")
    assert raw.rows(dataset) == 2


def test_exchange_ingest_needs_a_name(raw):
    (schema, _), (header, body) = ipc_messages(fc.vector_table(vectors(2)))
    raw.do_exchange([flight_data(path_descriptor("ingest"), schema), flight_data(None, header, None, body)]).expect(
        "INVALID_ARGUMENT", "DoExchange ingest requires dataset name in path"
    )


@pytest.mark.parametrize(
    "name",
    [
        "ns1/ds1",
        "with space",
        "ümläut-名前",
        "../../etc/passwd",
        "a\\b",
        ".",
        "x" * 200,
        "%2e%2e%2f",
        "quote\"s'",
        "con",
    ],
)
def test_any_text_is_a_dataset_name(make_server, tmp_path, name):
    """Names are names, never paths: nothing appears outside the data folder, and each survives a restart."""
    data = tmp_path / "inner" / "data"
    data.parent.mkdir()
    server = make_server(data)
    for checkpoint in (False, True):
        with flight.connect(server.data_uri) as client:
            fc.put(client, name, fc.vector_table(vectors(3)))
            if checkpoint:
                fc.action(client, "ForceSnapshot")
        server.kill()
        server.start()
        with flight.connect(server.data_uri) as client:
            assert name in fc.names(client)
            assert fc.scan_ids(client, name) == [0, 1, 2]
    assert {path.name for path in data.parent.iterdir()} == {"data", "data.log"}
    assert {path.name for path in tmp_path.iterdir()} == {"inner"}


def test_list_flights_criteria(raw, client, dataset):
    small, large = dataset + "_small", dataset + "_large"
    fc.put(client, small, fc.vector_table(vectors(5)))
    fc.put(client, large, fc.vector_table(vectors(50)))

    def listed(*filters) -> set[str]:
        import json

        return set(fc.names(client, json.dumps({"filters": list(filters)}).encode())) & {small, large}

    mine = {"field": "name", "operator": "contains", "value": dataset}
    assert listed() == listed(mine) == {small, large}
    assert listed({"field": "name", "operator": "contains", "value": "_small"}, mine) == {small}
    assert listed(mine, {"field": "rows", "operator": ">", "value": "5"}) == {large}
    assert listed(mine, {"field": "rows", "operator": "<=", "value": 5}) == {small}
    assert listed(mine, {"field": "rows", "operator": "==", "value": "50"}) == {large}
    assert listed({"field": "name", "operator": "contains", "value": "no such name"}) == set()
    raw.list_flights(b"no json").expect("INVALID_ARGUMENT", "Invalid criteria: expected opening brace")


def test_flight_info_errors(raw, dataset):
    raw.get_flight_info(path_descriptor()).expect("INVALID_ARGUMENT", "Empty path")
    raw.get_flight_info(path_descriptor(dataset)).expect("NOT_FOUND", "dataset not found")
    raw.get_flight_info(command_descriptor(b"x")).expect("INVALID_ARGUMENT")


def test_scan_errors(raw, dataset):
    raw.do_get({"name": dataset}).expect("NOT_FOUND", f"dataset {dataset} not found")
    raw.do_get(b"").expect("NOT_FOUND", "dataset  not found")
    raw.do_get(b"{}").expect("NOT_FOUND", "dataset  not found")
    raw.do_get(b'{"name": ').expect("INVALID_ARGUMENT", "invalid ticket format")


def test_unknown_ticket_keys_are_skipped(raw, client, dataset):
    fc.put(client, dataset, fc.vector_table(vectors(3)))
    raw.do_get({"name": dataset, "colour": {"deep": [1, {"x": None}]}, "filters": None}).expect("OK")
