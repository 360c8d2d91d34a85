"""The contract of the remaining actions: delete, datasets, namespaces, readiness, snapshot."""

from __future__ import annotations

import json

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from longbow_server import wait_until

# Where the contract's code blames the server for the caller's mistake, the fitting code is right too: clients read the text.
CALLERS_FAULT = {"INTERNAL", "INVALID_ARGUMENT"}


@pytest.fixture
def loaded(client, dataset, rng) -> str:
    fc.put(client, dataset, fc.vector_table(rng.random((100, 8), np.float32)))
    return dataset


def test_delete(any_port_client, loaded):
    for kind in ("delete", "Delete"):
        for _ in range(2):
            assert fc.action(any_port_client, kind, {"dataset": loaded, "id": "7"}) == [b"deleted"], "repeats are fine"
    assert fc.row_count(any_port_client, loaded) == 99


def test_delete_errors(raw, loaded):
    raw.do_action("delete", {"dataset": loaded, "id": "99999"}).expect(
        "NOT_FOUND", f"id 99999 not found in dataset {loaded}"
    )
    raw.do_action("delete", {"dataset": "nope", "id": "1"}).expect("NOT_FOUND", "dataset nope not found")
    for body in (
        {"dataset": loaded},
        {"id": "1"},
        {"dataset": loaded, "id": None},
        {"dataset": loaded, "id": {}},
        {"dataset": 5, "id": "1"},
        [],
        b"",
        b"no json",
        b'{"dataset":',
    ):
        raw.do_action("delete", body).expect("INVALID_ARGUMENT")
    assert raw.rows(loaded) == 100


def test_delete_by_text_id(raw, client, dataset, rng):
    fc.put(client, dataset, fc.vector_table(rng.random((3, 4), np.float32), ids=["doc-0", "doc-1", "7"]))
    assert fc.action(client, "delete", {"dataset": dataset, "id": "doc-1"}) == [b"deleted"]
    assert fc.action(client, "delete", {"dataset": dataset, "id": "7"}) == [b"deleted"]
    assert fc.scan(client, dataset)["id"].to_pylist() == ["doc-0"]
    raw.do_action("delete", {"dataset": dataset, "id": "doc-9"}).expect(
        "NOT_FOUND", f"id doc-9 not found in dataset {dataset}"
    )


def test_delete_dataset(raw, any_port_client, loaded):
    assert fc.action(any_port_client, "delete-dataset", {"dataset": loaded}) == [b"deleted"]
    raw.do_action("delete-dataset", {"dataset": loaded}).expect("NOT_FOUND", f"dataset {loaded} not found")
    for body in ({}, {"dataset": ""}):
        raw.do_action("delete-dataset", body).expect("INVALID_ARGUMENT", "missing dataset name")


def test_check_readiness(any_port_client, loaded):
    for body in (None, {}):
        assert fc.action_json(any_port_client, "check_readiness", body)["status"] in ("READY", "BUSY")
    wait_until(lambda: fc.action_json(any_port_client, "check_readiness") == {"status": "READY"}, 20, "READY")
    wait_until(
        lambda: (
            fc.action_json(any_port_client, "check_readiness", {"dataset": loaded})
            == {"index_len": 100, "status": "READY"}
        ),
        20,
        "100 rows indexed",
    )
    assert fc.action_json(any_port_client, "check_readiness", {"dataset": "nope"}) == {
        "reason": "dataset not found",
        "status": "NOT_FOUND",
    }


def test_readiness_counts_live_rows_only_once(client, loaded, rng):
    fc.put(client, loaded, fc.vector_table(rng.random((100, 8), np.float32)))
    wait_until(lambda: fc.action_json(client, "check_readiness", {"dataset": loaded})["status"] == "READY", 20, "READY")
    assert fc.row_count(client, loaded) == 100


def test_namespaces(raw, any_port_client, dataset):
    def listed() -> list[str]:
        answer = fc.action_json(any_port_client, "ListNamespaces")
        assert answer["count"] == len(answer["namespaces"]) and "default" in answer["namespaces"]
        return answer["namespaces"]

    assert fc.action_json(any_port_client, "CreateNamespace", {"name": dataset, "overwrite": False}) == {
        "status": "created"
    }
    assert dataset in listed()
    raw.do_action("CreateNamespace", {"name": dataset}).expect(
        {"INTERNAL", "ALREADY_EXISTS"}, f"namespace already exists: {dataset}"
    )
    assert fc.action_json(any_port_client, "DeleteNamespace", {"name": dataset}) == {"status": "deleted"}
    assert dataset not in listed()
    raw.do_action("DeleteNamespace", {"name": dataset}).expect(
        {"INTERNAL", "NOT_FOUND"}, f"namespace not found: {dataset}"
    )
    raw.do_action("DeleteNamespace", {"name": "default"}).expect(
        CALLERS_FAULT | {"FAILED_PRECONDITION"}, "cannot delete default namespace"
    )
    raw.do_action("CreateNamespace", {"name": ""}).expect(CALLERS_FAULT, "namespace name cannot be empty")


def test_sdk_delete_namespace_drops_a_dataset(raw, any_port_client, loaded):
    """The original's SDK names a dataset here, on whichever port."""
    assert fc.action(any_port_client, "DeleteNamespace", {"dataset": loaded}) == [b"deleted"]
    assert raw.rows(loaded) == -1
    raw.do_action("DeleteNamespace", {"dataset": loaded}).expect("NOT_FOUND", loaded)


def test_sdk_lists_namespaces_through_list_flights(any_port_client, dataset):
    """create_namespace, list_namespaces (= ListFlights), delete: the original's operations script runs this sequence."""
    fc.action(any_port_client, "CreateNamespace", {"name": dataset, "overwrite": False})
    assert dataset in fc.names(any_port_client)
    fc.action(any_port_client, "DeleteNamespace", {"dataset": dataset})
    assert dataset not in fc.names(any_port_client)


def test_namespaces_survive_a_restart(make_server):
    server = make_server()
    with flight.connect(server.data_uri) as client:
        for name in ("one", "two", "three"):
            fc.action(client, "CreateNamespace", {"name": name})
        fc.action(client, "ForceSnapshot")
        fc.action(client, "CreateNamespace", {"name": "four"})
        fc.action(client, "DeleteNamespace", {"name": "two"})
    server.kill()
    server.start()
    with flight.connect(server.data_uri) as client:
        assert sorted(fc.action_json(client, "ListNamespaces")["namespaces"]) == ["default", "four", "one", "three"]


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_force_snapshot(any_port_client, loaded, body):
    fc.action(any_port_client, "ForceSnapshot", body)
    assert fc.scan_ids(any_port_client, loaded) == list(range(100))
    fc.action(any_port_client, "ForceSnapshot", body)


def test_snapshot_then_changes_then_restart(make_server, rng):
    """Rows in the checkpoint, rows only in the log, rows replaced and deleted across the border."""
    server = make_server()
    old, new = rng.random((50, 8), np.float32), rng.random((50, 8), np.float32)
    with flight.connect(server.data_uri) as client:
        fc.put(client, "d", fc.vector_table(old, v=["old"] * 50))
        fc.action(client, "delete", {"dataset": "d", "id": "0"})
        fc.action(client, "ForceSnapshot")
        fc.put(client, "d", fc.vector_table(new[40:], ids=list(range(40, 50)), v=["new"] * 10, w=[1] * 10))
        fc.action(client, "delete", {"dataset": "d", "id": "1"})
    for stop in (server.kill, server.stop, server.kill):
        stop()
        server.start()
        with flight.connect(server.data_uri) as client:
            got = fc.scan(client, "d").sort_by("id")
            assert got["id"].to_pylist() == list(range(2, 50))
            assert got["v"].to_pylist() == ["old"] * 38 + ["new"] * 10
            assert got["w"].to_pylist() == [None] * 38 + [1] * 10
            assert fc.search(client, "d", new[45], 1) == [(45, 1.0)]
            assert fc.search(client, "d", old[7], 1) == [(7, 1.0)]
            assert fc.search(client, "d", old[1], 1)[0][1] < 1
            assert fc.row_count(client, "d") == 48


def test_unknown_action(raw):
    raw.do_action("NoSuchAction", b"").expect("UNIMPLEMENTED", "unknown action type NoSuchAction")
    raw.do_action("", b"").expect({"UNIMPLEMENTED", "INVALID_ARGUMENT"})


@pytest.mark.parametrize(
    "kind",
    [
        "VectorSearch",
        "VectorSearchByID",
        "delete",
        "delete-dataset",
        "CreateNamespace",
        "DeleteNamespace",
        "check_readiness",
    ],
)
def test_bodies_that_are_no_json_objects(raw, kind):
    for body in (b"no json", b"[1,2]", b'"text"', b"{", b'{"dataset":"x"', b"\xff\xfe", b"null", b"7"):
        raw.do_action(kind, body).expect("INVALID_ARGUMENT")


def test_original_sdk_sequence(any_port_client, dataset, rng):
    """insert (its table shape), search, search_by_id, filters, delete ids, info, snapshot: as its client sends them."""
    vectors = rng.random((100, 16))
    table = fc.vector_table(
        vectors,
        timestamp=pa.array([0] * 100, pa.timestamp("ns")),
        category=pa.array(["tech", "art"] * 50, pa.large_string()),
        metadata=[json.dumps({"n": i}) for i in range(100)],
    )
    table = table.replace_schema_metadata({"longbow.vector_type": "float64"})
    writer, reader = any_port_client.do_put(
        flight.FlightDescriptor.for_path(dataset), table.schema, flight.FlightCallOptions(timeout=180)
    )
    writer.write_table(table)
    writer.done_writing()
    assert reader.read() is None  # the SDK reads once and never closes
    hits = fc.search(
        any_port_client, dataset, vectors[4], 5, filters=[{"field": "category", "op": "eq", "value": "tech"}]
    )
    assert hits[0] == (4, pytest.approx(1)) and all(id % 2 == 0 for id, _ in hits) and len(hits) == 5
    assert fc.action_json(any_port_client, "VectorSearchByID", {"dataset": dataset, "id": 4, "k": 2})["ids"][0] == 4
    assert fc.scan(any_port_client, dataset, [{"field": "category", "op": "eq", "value": "art"}]).num_rows == 50
    for id in ("4", "5"):
        fc.action(any_port_client, "delete", {"dataset": dataset, "id": id})
    assert fc.row_count(any_port_client, dataset) == 98
    fc.action(any_port_client, "ForceSnapshot")
    assert dataset in fc.names(any_port_client)
    fc.action(any_port_client, "DeleteNamespace", {"dataset": dataset})
    assert dataset not in fc.names(any_port_client)
