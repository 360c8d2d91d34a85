"""Rows that are there: count, delete by filter and by ordinal, update of columns."""

from __future__ import annotations

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from longbow_server import LongbowServer

ROWS, DIM = 300, 8
GROUP_1 = [{"field": "group", "op": "=", "value": 1}]


@pytest.fixture
def points(rng) -> np.ndarray:
    return rng.random((ROWS, DIM), np.float32)


@pytest.fixture
def loaded(client, dataset, points) -> str:
    ids = np.arange(ROWS)
    fc.put(client, dataset, fc.vector_table(points, group=pa.array(ids % 3), label=[f"row {id}" for id in ids]))
    return dataset


def count(client, dataset: str, **more) -> int:
    return fc.action_json(client, "count", {"dataset": dataset, **more})["count"]


def update(client, dataset: str, **more) -> int:
    return fc.action_json(client, "update", {"dataset": dataset, **more})["updated"]


def test_count(any_port_client, loaded):
    assert count(any_port_client, loaded) == ROWS
    assert count(any_port_client, loaded, filters=GROUP_1) == 100
    assert count(any_port_client, loaded, filters=[{"field": "id", "op": "in", "value": [1, 2, 5000]}]) == 2
    fc.action(any_port_client, "delete", {"dataset": loaded, "id": 1})
    assert count(any_port_client, loaded, filters=GROUP_1) == 99


def test_count_errors(raw, loaded):
    raw.do_action("count", {"dataset": "nope"}).expect("NOT_FOUND", "dataset nope not found")
    raw.do_action("count", {}).expect("INVALID_ARGUMENT", "missing dataset name")
    raw.do_action("count", {"dataset": loaded, "filters": [{"field": "x", "op": "=", "value": 1}]}).expect(
        "INVALID_ARGUMENT", 'unknown field "x"'
    )
    for body in (b"", b"[]", b'{"dataset":5}', b'{"dataset":'):
        raw.do_action("count", body).expect("INVALID_ARGUMENT")


@pytest.mark.parametrize("kind", ["delete", "Delete"])
def test_delete_by_filter(any_port_client, loaded, points, kind):
    request = {"dataset": loaded, "filters": GROUP_1}
    assert fc.action_json(any_port_client, kind, request) == {"deleted": 100}
    assert fc.action_json(any_port_client, kind, request) == {"deleted": 0}
    assert count(any_port_client, loaded) == 200
    assert all(id % 3 != 1 for id in fc.scan_ids(any_port_client, loaded))
    assert fc.search(any_port_client, loaded, points[1], 1)[0][0] != 1


def test_delete_by_filter_errors(raw, loaded):
    raw.do_action("delete", {"dataset": "nope", "filters": GROUP_1}).expect("NOT_FOUND", "dataset nope not found")
    raw.do_action("delete", {"dataset": loaded, "filters": []}).expect("INVALID_ARGUMENT", "give id, ids or filters")
    raw.do_action("delete", {"dataset": loaded, "id": 1, "filters": GROUP_1}).expect(
        "INVALID_ARGUMENT", "exclude each other"
    )
    raw.do_action("delete", {"dataset": loaded, "filters": [{"field": "x", "op": "=", "value": 1}]}).expect(
        "INVALID_ARGUMENT", 'unknown field "x"'
    )
    assert raw.rows(loaded) == ROWS


def test_delete_vector(any_port_client, raw, loaded):
    for _ in range(2):
        assert fc.action(any_port_client, "delete-vector", {"dataset": loaded, "vector_id": 8}) == [b"deleted"]
    assert 8 not in fc.scan_ids(any_port_client, loaded)
    assert count(any_port_client, loaded) == ROWS - 1
    raw.do_action("delete-vector", {"dataset": loaded, "vector_id": 1000008}).expect(
        "NOT_FOUND", f"vector id 1000008 not found in dataset {loaded} (index len=300)"
    )
    raw.do_action("delete-vector", {"dataset": "nope", "vector_id": 1}).expect("NOT_FOUND", "dataset nope not found")
    for body in (
        {"vector_id": 1},
        {"dataset": loaded},
        {"dataset": loaded, "vector_id": -1},
        {"dataset": loaded, "vector_id": {}},
    ):
        raw.do_action("delete-vector", body).expect("INVALID_ARGUMENT")


def test_update_by_id(any_port_client, loaded, points):
    assert update(any_port_client, loaded, id=7, set={"label": "new", "group": 77}) == 1
    assert update(any_port_client, loaded, ids=["8", 9, 9], set={"label": None}) == 2
    table = fc.scan(any_port_client, loaded).sort_by("id")
    assert table["id"].to_pylist() == list(range(ROWS))
    assert table["label"].to_pylist()[6:10] == ["row 6", "new", None, None]
    assert table["group"].to_pylist()[6:10] == [0, 77, 2, 0]
    assert np.array_equal(np.array(table["vector"].to_pylist(), np.float32), points), "vectors stay"
    assert fc.search(any_port_client, loaded, points[7], 1) == [(7, 1.0)]
    assert fc.search_table(any_port_client, loaded, points[7], 1, columns=["label"])["label"].to_pylist() == ["new"]


def test_update_by_filter(any_port_client, loaded, points):
    assert update(any_port_client, loaded, filters=GROUP_1, set={"group": 5}) == 100
    assert update(any_port_client, loaded, filters=GROUP_1, set={"group": 5}) == 0
    assert count(any_port_client, loaded, filters=[{"field": "group", "op": "=", "value": 5}]) == 100
    hits = fc.search(any_port_client, loaded, points[0], 200, filters=[{"field": "group", "op": "=", "value": 5}])
    assert sorted(id for id, _ in hits) == list(range(1, ROWS, 3)), "searches filter by the new values"


def test_update_of_every_scalar_type(client, dataset, rng):
    columns = {
        "i8": pa.array([1], pa.int8()),
        "u64": pa.array([1], pa.uint64()),
        "f32": pa.array([1.0], pa.float32()),
        "f64": pa.array([1.0], pa.float64()),
        "flag": pa.array([False]),
        "text": pa.array(["a"], pa.large_string()),
        "day": pa.array([0], pa.date32()),
        "at": pa.array([0], pa.timestamp("us")),
        "kind": pa.array(["a"]).dictionary_encode(),
    }
    fc.put(client, dataset, fc.vector_table(rng.random((1, 4), np.float32), **columns))
    new = {
        "i8": -128,
        "u64": 2**64 - 1,
        "f32": 2.5,
        "f64": 3,
        "flag": True,
        "text": "ä",
        "day": "2026-01-31",
        "at": "2026-01-31 12:00:00",
        "kind": "b",
    }
    assert update(client, dataset, id=0, set=new) == 1
    row = fc.scan(client, dataset).drop_columns(["id", "vector"]).to_pylist()[0]
    assert {**row, "day": str(row["day"]), "at": str(row["at"])} == new


def test_update_errors(raw, client, loaded, rng):
    def refused(code: str, *texts: str, **more) -> None:
        body = {"dataset": loaded, "id": 1, "set": {"label": "x"}, **more}
        raw.do_action("update", {key: value for key, value in body.items() if value != ()}).expect(code, *texts)

    refused("NOT_FOUND", "dataset nope not found", dataset="nope")
    refused("NOT_FOUND", f"id 999 not found in dataset {loaded}", id=(), ids=[1, 999])
    refused("INVALID_ARGUMENT", "missing dataset name", dataset="")
    refused("INVALID_ARGUMENT", "give id, ids or filters", id=())
    refused("INVALID_ARGUMENT", "exclude each other", filters=GROUP_1)
    refused("INVALID_ARGUMENT", "invalid int64 id", id="x")
    for nothing in ((), {}, [], "x", None):
        refused("INVALID_ARGUMENT", '"set" must be an object', set=nothing)
    refused("INVALID_ARGUMENT", 'unknown column "x"', set={"x": 1})
    refused("INVALID_ARGUMENT", 'column "id" cannot be set', set={"id": 1})
    refused("INVALID_ARGUMENT", 'column "vector" cannot be set', set={"vector": 1})
    refused("INVALID_ARGUMENT", 'cannot set column "group" of type int64 to "many"', set={"group": "many"})
    refused("INVALID_ARGUMENT", 'cannot set column "group" of type int64 to 1.5', set={"group": 1.5})
    refused("INVALID_ARGUMENT", 'cannot set column "label" of type utf8 to 5', set={"label": 5})
    refused("INVALID_ARGUMENT", "string, number, boolean or null", set={"label": ["x"]})
    refused("INVALID_ARGUMENT", 'unknown field "x"', id=(), filters=[{"field": "x", "op": "=", "value": 1}])
    assert set(fc.scan(client, loaded)["label"].to_pylist()) == {f"row {id}" for id in range(ROWS)}, "nothing changed"
    fc.put(client, loaded + "_plain", fc.vector_table(rng.random((2, DIM), np.float32)).drop_columns(["id"]))
    refused("FAILED_PRECONDITION", "has no id column", dataset=loaded + "_plain")


def test_a_killed_server_has_what_was_acknowledged(make_server, rng):
    server: LongbowServer = make_server()
    with flight.connect(server.data_uri) as client:
        fc.put(client, "kept", fc.vector_table(rng.random((50, 4), np.float32), n=pa.array(np.zeros(50, np.int64))))
        assert update(client, "kept", filters=[{"field": "id", "op": "<", "value": 20}], set={"n": 1}) == 20
        assert fc.action_json(
            client, "delete", {"dataset": "kept", "filters": [{"field": "id", "op": ">=", "value": 40}]}
        ) == {"deleted": 10}
    server.kill()
    server.start()
    with flight.connect(server.data_uri) as client:
        table = fc.scan(client, "kept").sort_by("id")
        assert table["id"].to_pylist() == list(range(40))
        assert table["n"].to_pylist() == [1] * 20 + [0] * 20
