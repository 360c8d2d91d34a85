"""Pages of scans and searches, searches by id and within a range, and how vectors travel."""

from __future__ import annotations

import json

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

ROWS, DIM = 1000, 8


@pytest.fixture
def points(rng) -> np.ndarray:
    return rng.standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture
def loaded(client, dataset, points) -> str:
    fc.put(client, dataset, fc.vector_table(points, group=pa.array(np.arange(ROWS) % 3)))
    return dataset


def get_page(client, ticket: dict) -> tuple[pa.Table, dict]:
    """The rows, and what the last batch says beside them."""
    reader = client.do_get(flight.Ticket(json.dumps(ticket).encode()))
    batches, said = [], {}
    for chunk in reader:
        batches.append(chunk.data)
        said = json.loads(chunk.app_metadata.to_pybytes()) if chunk.app_metadata else {}
    return pa.Table.from_batches(batches, reader.schema), said


def scan_pages(client, dataset: str, limit: int, between=lambda: None, **more) -> list[int]:
    ids, cursor = [], ""
    while True:
        table, said = get_page(client, {"name": dataset, "limit": limit, "cursor": cursor, **more})
        assert table.num_rows <= limit
        ids += table["id"].to_pylist()
        cursor = said.get("cursor", "")
        if not cursor:
            return ids
        between()


def search_pages(client, dataset: str, vector, k: int, between=lambda: None, **more) -> list[int]:
    ids, cursor = [], ""
    while True:
        search = {"dataset": dataset, "vector": vector.tolist(), "k": k, "cursor": cursor, **more}
        table, said = get_page(client, {"search": search})
        ids += table["id"].to_pylist()
        cursor = said.get("cursor", "")
        if not cursor:
            return ids
        assert table.num_rows == k, "only the last page is short"
        between()


@pytest.mark.parametrize("limit", [1, 99, 500, 999, 1000, 5000])
def test_scan_pages(client, loaded, limit):
    if limit == 1:
        filters = [{"field": "id", "op": "<", "value": 5}]
        assert scan_pages(client, loaded, limit, filters=filters) == list(range(5))
    else:
        assert scan_pages(client, loaded, limit) == list(range(ROWS))


def test_scan_pages_under_writes(client, loaded, points):
    """Rows that stay come exactly once; those put again or updated come again, at the end."""
    step = iter(range(3))

    def write():
        match next(step, None):
            case 0:
                fc.action(client, "delete", {"dataset": loaded, "ids": [5, 150, 250]})
            case 1:
                fc.put(client, loaded, fc.vector_table(points[:2] + 1, ids=[2000, 2001], group=pa.array([0, 0])))
            case 2:
                assert fc.action_json(client, "update", {"dataset": loaded, "ids": [7, 900], "set": {"group": 9}}) == {
                    "updated": 2
                }

    ids = scan_pages(client, loaded, 100, write)
    assert set(range(ROWS)) - {150, 250} <= set(ids) | {5}, "what lives all the time is found"
    assert ids.count(7) == 2 and ids.count(900) == 1, "an updated row comes where it stands now"
    assert {2000, 2001} <= set(ids)
    assert len(ids) == len(set(ids)) + 1


def test_a_filtered_scan_goes_on_from_any_batch(client, loaded):
    filters = [{"field": "group", "op": "=", "value": 1}]
    assert scan_pages(client, loaded, 50, filters=filters) == list(range(1, ROWS, 3))


def test_search_pages(client, loaded, points, rng):
    query = rng.standard_normal(DIM).astype(np.float32)
    everything = [id for id, _ in fc.search(client, loaded, query, ROWS)]
    assert search_pages(client, loaded, query, 90) == everything
    in_group = [id for id in everything if id % 3 == 1]
    filters = [{"field": "group", "op": "=", "value": 1}]
    assert search_pages(client, loaded, query, 333, filters=filters) == in_group
    near = [id for id in everything if np.linalg.norm(points[id] - query) <= 3]
    assert search_pages(client, loaded, query, 40, radius=3) == near


def test_search_pages_under_writes(client, loaded, points, rng):
    query = rng.standard_normal(DIM).astype(np.float32)
    everything = [id for id, _ in fc.search(client, loaded, query, ROWS)]
    step = iter(range(2))

    def write():
        match next(step, None):
            case 0:  # in front of where the page ended
                fc.put(
                    client, loaded, fc.vector_table(query[None] + np.zeros((5, 1), np.float32), ids=range(5000, 5005))
                )
            case 1:
                fc.action(client, "delete", {"dataset": loaded, "ids": everything[:3]})

    assert search_pages(client, loaded, query, 100, write) == everything


def test_cursor_errors(raw, client, loaded, dataset, points):
    def cursor_of(ticket: dict) -> str:
        return get_page(client, ticket)[1]["cursor"]

    search = {"dataset": loaded, "vector": points[0].tolist(), "k": 5, "cursor": ""}
    scanned = cursor_of({"name": loaded, "limit": 5, "cursor": ""})
    searched = cursor_of({"search": search})
    other = loaded + "_other"
    fc.put(client, other, fc.vector_table(points))
    for wrong in ("x", "%%%%", scanned[:-2], scanned + "A", scanned.swapcase(), "A" * 10_000):
        raw.do_get({"name": loaded, "limit": 5, "cursor": wrong}).expect("INVALID_ARGUMENT", "cursor: ")
    raw.do_get({"name": loaded, "cursor": 5}).expect("INVALID_ARGUMENT", '"cursor" must be a string')
    raw.do_get({"name": other, "cursor": scanned}).expect("INVALID_ARGUMENT", "cursor: it belongs to another dataset")
    raw.do_get({"name": loaded, "cursor": searched}).expect("INVALID_ARGUMENT", "cursor: it belongs to a search")
    raw.do_get({"search": {**search, "cursor": scanned}}).expect("INVALID_ARGUMENT", "cursor: it belongs to a scan")
    filters = [{"field": "id", "op": ">", "value": 1}]
    raw.do_get({"name": loaded, "cursor": scanned, "filters": filters}).expect("INVALID_ARGUMENT", "another filter")
    raw.do_get({"search": {**search, "cursor": searched, "vector": points[1].tolist()}}).expect(
        "INVALID_ARGUMENT", "another filter or query"
    )
    raw.do_get({"search": {**search, "vectors": [points[1].tolist()]}}).expect("INVALID_ARGUMENT", "one vector")
    raw.do_get({"search": {**search, "cursor": searched, "k": 99_999}}).expect("INVALID_ARGUMENT", "end after 100000")
    fc.put(client, loaded, fc.vector_table(points[:1], more=pa.array([1.5])))
    for ticket in ({"name": loaded, "cursor": scanned}, {"search": {**search, "cursor": searched}}):
        raw.do_get(ticket).expect("FAILED_PRECONDITION", "version 1 of the dataset's schema, which is at 2")


def test_a_cursor_outlives_the_server(make_server, points):
    server = make_server()
    with flight.connect(server.data_uri) as client:
        fc.put(client, "kept", fc.vector_table(points))
        table, said = get_page(client, {"name": "kept", "limit": 300, "cursor": ""})
    server.stop()
    server.start()
    with flight.connect(server.data_uri) as client:
        rest, end = get_page(client, {"name": "kept", "cursor": said["cursor"]})
    assert table["id"].to_pylist() + rest["id"].to_pylist() == list(range(ROWS)) and end == {"cursor": ""}


def test_range_search_says_if_it_was_cut(client, loaded, points):
    query = points[3]
    near = int((np.linalg.norm(points - query, axis=1) <= 2.5).sum())
    assert near > 2
    for k, truncated in ((near - 1, True), (near, False), (near + 1, False)):
        search = {"dataset": loaded, "vector": query.tolist(), "k": k, "radius": 2.5}
        table, said = get_page(client, {"search": search})
        assert table.num_rows == min(k, near) and said == {"truncated": truncated}
        answer = fc.read_ipc(fc.action(client, "VectorSearch", search)[0])
        assert json.loads(answer.schema.metadata[b"longbow.page"]) == {"truncated": truncated}


def test_search_by_id(client, raw, loaded, points):
    expected = fc.search(client, loaded, points[42], 5)
    for id in (42, "42"):
        table, _ = get_page(client, {"search": {"dataset": loaded, "id": id, "k": 5, "columns": ["group"]}})
        assert list(zip(table["id"].to_pylist(), table["score"].to_pylist(), strict=True)) == expected
        assert table["group"].to_pylist() == [id % 3 for id, _ in expected]
    answer = fc.action_json(
        client, "VectorSearchByID", {"dataset": loaded, "id": "42", "k": 5, "include_vectors": True}
    )
    assert answer["ids"] == [id for id, _ in expected]
    assert np.array_equal(np.array(answer["vectors"], np.float32), points[answer["ids"]])
    filters = [{"field": "group", "op": "=", "value": 1}]
    ids = fc.action_json(client, "VectorSearchByID", {"dataset": loaded, "id": 42, "filters": filters})["ids"]
    assert len(ids) == 10 and all(id % 3 == 1 for id in ids)
    raw.search(dataset=loaded, id=9999).expect("NOT_FOUND", f"id 9999 not found in dataset {loaded}")
    raw.search(dataset=loaded, id=1, vector=points[0].tolist()).expect("INVALID_ARGUMENT", "exclude each other")
    raw.search(dataset=loaded, id={}).expect("INVALID_ARGUMENT", '"id" must be')


def test_vector_formats(client, raw, loaded, points):
    def vectors(**more) -> tuple[np.ndarray, list[bytes]]:
        table = fc.search_table(client, loaded, points[0], 20, include_vectors=True, **more)
        return points[table["id"].to_pylist()], table["vector"].to_pylist()

    for more in ({}, {"vector_format": None}, {"vector_format": "f32"}):
        exact, sent = vectors(**more)
        assert np.array_equal(np.stack([np.frombuffer(one, "<f4") for one in sent]), exact)
    exact, sent = vectors(vector_format="f16")
    assert np.array_equal(np.stack([np.frombuffer(one, "<f2") for one in sent]), exact.astype(np.float16))
    for name in ("sq8", "quantized"):
        exact, sent = vectors(vector_format=name)
        for row, one in zip(exact, sent, strict=True):
            assert len(one) == 8 + DIM
            lowest, step = np.frombuffer(one[:8], "<f4")
            decoded = lowest + step * np.frombuffer(one[8:], np.uint8)
            assert np.abs(decoded - row).max() <= step * 0.5001 and step <= (row.max() - row.min()) / 254
    raw.search(dataset=loaded, vector=points[0].tolist(), vector_format="f64").expect("INVALID_ARGUMENT", "f32, f16")


@pytest.mark.parametrize("element", [pa.int8(), pa.float64(), pa.float16()])
def test_vector_formats_of_other_elements(client, dataset, rng, element):
    values = rng.integers(-100, 100, (10, 4)).astype(element.to_pandas_dtype())
    fc.put(client, dataset, fc.vector_table(values))
    table = fc.search_table(client, dataset, [0, 0, 0, 0], 10, include_vectors=True, vector_format="f32")
    sent = np.stack([np.frombuffer(one, "<f4") for one in table["vector"].to_pylist()])
    assert np.array_equal(sent, values[table["id"].to_pylist()].astype(np.float32))


def test_packed_bits_travel_as_they_are(raw, client, dataset, rng):
    bits = rng.integers(0, 256, (10, 4)).astype(np.uint8)
    fc.put(client, dataset, fc.vector_table(bits, metric="hamming"))
    request = {"dataset": dataset, "vector": bits[0].tolist(), "include_vectors": True}
    raw.search(**request).expect("OK")
    raw.search(**request, vector_format="f16").expect("INVALID_ARGUMENT", "packed bits")
