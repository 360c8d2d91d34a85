"""Binary searches on a long-lived stream: many in flight, answers told apart by what came with the queries."""

from __future__ import annotations

import contextlib
import json
import threading

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

ROWS, DIM = 500, 8


@pytest.fixture
def points(rng) -> np.ndarray:
    return rng.standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture
def loaded(client, dataset, points) -> str:
    fc.put(client, dataset, fc.vector_table(points, group=pa.array(np.arange(ROWS) % 3)))
    return dataset


def refused(writer, reader, batch: pa.RecordBatch, text: str) -> None:
    """The stream ends with INVALID_ARGUMENT; writes may notice it too."""
    with contextlib.suppress(pa.ArrowException, OSError):
        writer.begin(batch.schema)
        writer.write_batch(batch)
        writer.done_writing()
    with pytest.raises(pa.ArrowInvalid, match=text):
        reader.read_chunk()


def stream(client, **search):
    cmd = json.dumps({"search": search}).encode()
    return client.do_exchange(flight.FlightDescriptor.for_command(cmd))


def queries(vectors: np.ndarray, **columns) -> pa.RecordBatch:
    return pa.record_batch({"query_vector": fc.vector_array(vectors), **columns})


def test_many_in_flight(client, loaded, points):
    writer, reader = stream(client, dataset=loaded, k=3, columns=["group"], include_vectors=True, vector_format="f16")
    sent = 200
    writer.begin(queries(points[:1]).schema)

    def send():
        for i in range(sent):
            writer.write_with_metadata(queries(points[i : i + 1]), str(i).encode())
        writer.done_writing()

    sender = threading.Thread(target=send)
    sender.start()
    answers = {}
    for chunk in reader:
        answers[int(chunk.app_metadata.to_pybytes())] = chunk.data
    sender.join()
    writer.close()
    assert sorted(answers) == list(range(sent))
    for i, batch in answers.items():
        ids = batch["id"].to_pylist()
        assert ids == [id for id, _ in fc.search(client, loaded, points[i], 3)] and ids[0] == i
        assert batch["group"].to_pylist() == [id % 3 for id in ids]
        assert batch["vector"].to_pylist() == [points[id].astype("<f2").tobytes() for id in ids]


def test_answers_come_before_the_next_query(client, loaded, points):
    writer, reader = stream(client, dataset=loaded, k=1)
    writer.begin(queries(points[:1]).schema)
    for i in (5, 3, 9):
        writer.write_with_metadata(queries(points[i : i + 1]), b"q")
        assert reader.read_chunk().data["id"].to_pylist() == [i]
    writer.close()


def test_a_batch_of_queries_is_answered_in_order(client, loaded, points):
    writer, reader = stream(client, dataset=loaded, k=1, filters=[{"field": "group", "op": "=", "value": 1}])
    batch = queries(points[1:400:3], k=pa.array([1, 2] * 66 + [1]))
    writer.begin(batch.schema)
    writer.write_with_metadata(batch, b"batch")
    writer.done_writing()
    answers = [chunk.data["id"].to_pylist() for chunk in reader]
    writer.close()
    assert [ids[0] for ids in answers] == list(range(1, 400, 3))
    assert [len(ids) for ids in answers] == [1, 2] * 66 + [1]


def test_an_error_is_the_answer_of_its_batch(client, loaded, points):
    writer, reader = stream(client, dataset=loaded, k=1)
    batch = queries(points[:1], dataset=["nope"])
    writer.begin(batch.schema)
    writer.write_with_metadata(batch, b"first")
    answer = reader.read_chunk()
    assert answer.data is None
    assert json.loads(answer.app_metadata.to_pybytes()) == {
        "app_metadata": "first",
        "code": "NOT_FOUND",
        "error": "dataset not found: nope",
    }
    writer.write_with_metadata(queries(points[7:8], dataset=[loaded]), b"second")
    answer = reader.read_chunk()
    assert answer.app_metadata.to_pybytes() == b"second" and answer.data["id"].to_pylist() == [7]
    writer.close()


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ({"vector": [1, 2]}, "have no place in the cmd"),
        ({"id": 1}, "have no place in the cmd"),
        ({"cursor": ""}, "have no place in the cmd"),
        ({"vector_format": "f64"}, "unknown vector_format"),
    ],
)
def test_errors_of_the_cmd(client, loaded, points, search, text):
    writer, reader = stream(client, dataset=loaded, **search)
    refused(writer, reader, queries(points[:1]), text)


def test_a_scan_is_no_exchange(client, loaded, points):
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(b'{"name": "x"}'))
    refused(writer, reader, queries(points[:1]), "object of a search ticket")


def test_a_stream_without_queries(client, loaded, points):
    writer, reader = stream(client, dataset=loaded)
    writer.begin(queries(points[:1]).schema)
    writer.done_writing()
    with pytest.raises(pa.ArrowInvalid, match="empty search request"):
        reader.read_chunk()
