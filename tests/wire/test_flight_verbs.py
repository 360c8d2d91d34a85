"""pyarrow's own client on every verb, on both ports, and the exception type of every code."""

from __future__ import annotations

import json
import time

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from raw_flight import RawFlight

ACTIONS = {
    "VectorSearch",
    "VectorSearchByID",
    "check_readiness",
    "delete",
    "delete-dataset",
    "CreateNamespace",
    "ListNamespaces",
    "DeleteNamespace",
    "ForceSnapshot",
    "CreateSnapshot",
    "SnapshotStatus",
    "CancelSnapshot",
    "ListSnapshots",
    "DeleteSnapshot",
    "ListJobs",
    "CancelJob",
}


def test_put_then_get(any_port_client, dataset, rng):
    table = fc.vector_table(rng.random((50, 8), np.float32), text=[f"row {i}" for i in range(50)])
    assert fc.put(any_port_client, dataset, table) == [], (
        "a put that nothing slows down is answered by the end of the stream only"
    )
    got = fc.scan(any_port_client, dataset).sort_by("id")
    assert got.equals(table)


def test_ticket_may_be_the_bare_name(any_port_client, dataset, rng):
    fc.put(any_port_client, dataset, fc.vector_table(rng.random((5, 4), np.float32)))
    assert any_port_client.do_get(flight.Ticket(dataset.encode())).read_all().num_rows == 5
    alias = flight.Ticket(json.dumps({"dataset": dataset}).encode())
    assert any_port_client.do_get(alias).read_all().num_rows == 5, "`dataset` is an alias of `name`"


def test_put_without_rows_creates_the_dataset_with_its_schema(any_port_client, dataset, rng):
    table = fc.vector_table(rng.random((3, 4), np.float32))
    fc.put(any_port_client, dataset, table.slice(0, 0))
    assert fc.row_count(any_port_client, dataset) == 0
    got = fc.scan(any_port_client, dataset)
    assert got.num_rows == 0 and got.schema.equals(table.schema)
    assert dataset in fc.names(any_port_client)


def test_get_schema(any_port_client, dataset, rng):
    table = fc.vector_table(rng.random((3, 4), np.float32), metric="cosine", note=["a", "b", None])
    fc.put(any_port_client, dataset, table)
    schema = any_port_client.get_schema(flight.FlightDescriptor.for_path(dataset)).schema
    assert schema.equals(table.schema)
    assert schema.metadata[b"longbow.metric"] == b"cosine"
    with pytest.raises(pa.ArrowKeyError, match="dataset not found|not found"):
        any_port_client.get_schema(flight.FlightDescriptor.for_path(dataset + "_absent"))


def test_get_flight_info(any_port_client, dataset, rng):
    table = fc.vector_table(rng.random((1000, 16), np.float32))
    fc.put(any_port_client, dataset, table, max_chunksize=100)
    info = any_port_client.get_flight_info(flight.FlightDescriptor.for_path(dataset))
    assert info.descriptor.path == [dataset.encode()]
    assert info.total_records == 1000, "rows, not batches"
    assert info.total_bytes >= 1000 * (8 + 16 * 4)
    assert info.schema is None or info.schema.equals(table.schema)
    assert str(info.schema)  # what the original's SDK does with it
    for endpoint in info.endpoints:
        assert any_port_client.do_get(endpoint.ticket).read_all().num_rows == 1000


def test_list_flights(any_port_client, dataset, rng):
    fc.put(any_port_client, dataset, fc.vector_table(rng.random((7, 4), np.float32)))
    listed = {info.descriptor.path[0].decode(): info for info in any_port_client.list_flights()}
    assert dataset in listed
    assert listed[dataset].descriptor.descriptor_type == flight.DescriptorType.PATH


def test_list_actions(any_port_client):
    offered = {action.type: action.description for action in any_port_client.list_actions()}
    assert ACTIONS <= offered.keys(), f"missing: {ACTIONS - offered.keys()}"
    assert all(offered[kind] for kind in ACTIONS), "every action says what it does"


def test_handshake(any_port_client):
    assert any_port_client.authenticate_basic_token("user", "secret") == (b"", b"")


def test_bearer_token_is_accepted(any_port_client, dataset):
    options = flight.FlightCallOptions(
        headers=[(b"authorization", b"Bearer whatever"), (b"x-longbow-key", b"k"), (b"x-longbow-global", b"true")]
    )
    results = list(any_port_client.do_action(flight.Action("check_readiness", b""), options))
    assert json.loads(results[0].body.to_pybytes())["status"] in ("READY", "BUSY")


def test_exchange_ingest_acknowledges_each_batch(any_port_client, dataset, rng):
    table = fc.vector_table(rng.random((300, 8), np.float32))
    writer, reader = any_port_client.do_exchange(flight.FlightDescriptor.for_path("ingest", dataset))
    with writer:
        writer.begin(table.schema)
        for number, batch in enumerate(table.to_batches(100), start=1):
            writer.write_batch(batch)
            chunk = reader.read_chunk()
            assert chunk.data is None
            assert chunk.app_metadata.to_pybytes() == b'{"batch_id":%d,"rows":100,"status":"acked"}' % number
            # Acknowledged means visible: to other calls too, and before the stream has ended.
            assert fc.row_count(any_port_client, dataset) == 100 * number
        writer.done_writing()
        with pytest.raises(StopIteration):
            reader.read_chunk()
    assert fc.scan_ids(any_port_client, dataset) == list(range(300))


def test_exchange_ingest_acks_may_be_read_late(client, dataset, rng):
    batch = fc.vector_table(rng.random((1, 8), np.float32)).to_batches()[0]
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_path("ingest", dataset))
    with writer:
        writer.begin(batch.schema)
        for _ in range(300):
            writer.write_with_metadata(batch, b"from the client")
        writer.done_writing()
        acks = [json.loads(chunk.app_metadata.to_pybytes()) for chunk in reader]
    assert [ack["batch_id"] for ack in acks] == list(range(1, 301))
    assert fc.row_count(client, dataset) == 1, "one id, put 300 times"


@pytest.mark.parametrize("effort", [{"ef": pa.array([64], pa.int32())}, {"recall_target": pa.array([0.95])}, {}])
def test_exchange_search(any_port_client, dataset, rng, effort):
    vectors = rng.random((200, 8), np.float32)
    fc.put(any_port_client, dataset, fc.vector_table(vectors))
    query = pa.record_batch(
        {
            "dataset": [dataset],
            "k": pa.array([5], pa.int32()),
            "query_vector": fc.vector_array(vectors[7:8]),
        }
        | effort
    )
    writer, reader = any_port_client.do_exchange(flight.FlightDescriptor.for_command(b"VectorSearch"))
    with writer:
        writer.begin(query.schema)
        writer.write_batch(query)
        writer.done_writing()
        hits = reader.read_all()
    assert hits.schema.names == ["id", "score"]
    assert hits["id"].to_pylist() == fc.nearest(vectors, vectors[7], 5)


def test_exchange_commands_of_later_versions_are_answered(any_port_client):
    schema = pa.schema([("data", pa.string())])
    writer, reader = any_port_client.do_exchange(flight.FlightDescriptor.for_command(b"fetch"))
    with pytest.raises((pa.ArrowNotImplementedError, pa.ArrowInvalid)):
        with writer:
            writer.begin(schema)
            writer.write_batch(pa.record_batch([["ping"]], schema=schema))
            writer.done_writing()
            while True:
                chunk = (
                    reader.read_chunk()
                )  # the original answers each message with an "ack" body, which ends as StopIteration
                assert chunk.data is None
    assert fc.action_json(any_port_client, "check_readiness")


def test_put_accepts_app_metadata(any_port_client, dataset, rng):
    batch = fc.vector_table(rng.random((10, 4), np.float32)).to_batches()[0]
    writer, reader = any_port_client.do_put(flight.FlightDescriptor.for_path(dataset), batch.schema)
    with writer:
        writer.write_metadata(b"only metadata")
        for i in range(5):
            writer.write_with_metadata(batch, b"batch %d" % i)
        writer.done_writing()
        while reader.read() is not None:
            pass
    assert fc.row_count(any_port_client, dataset) == 10


@pytest.mark.parametrize(
    "case, exception, text",
    [
        ("unknown dataset", pa.ArrowKeyError, "dataset nowhere not found"),
        ("dimension", pa.ArrowInvalid, "dimension mismatch: expected 4, got 3"),
        ("unknown action", pa.ArrowNotImplementedError, "unknown action type nonsense"),
        ("text query", pa.ArrowInvalid, "no column of text"),
        ("plain table searched", pa.ArrowInvalid, "index not initialized"),
    ],
)
def test_exception_types(client, dataset, rng, case, exception, text):
    fc.put(client, dataset, fc.vector_table(rng.random((4, 4), np.float32)))
    fc.put(client, dataset + "_plain", pa.table({"a": [1, 2]}))
    calls = {
        "unknown dataset": lambda: fc.scan(client, "nowhere"),
        "dimension": lambda: fc.search(client, dataset, [1, 2, 3]),
        "unknown action": lambda: fc.action(client, "nonsense"),
        "text query": lambda: fc.search(client, dataset, [1, 2, 3, 4], text_query="fox"),
        "plain table searched": lambda: fc.search(client, dataset + "_plain", [1, 2]),
    }
    with pytest.raises(exception, match=text):
        calls[case]()


def test_deadline_of_a_silent_stream(any_port_client, dataset):
    """The client sends nothing more and waits for an answer that never comes: the deadline ends it."""
    started = time.monotonic()
    writer, reader = any_port_client.do_exchange(
        flight.FlightDescriptor.for_path("ingest", dataset), flight.FlightCallOptions(timeout=0.3)
    )
    with pytest.raises(flight.FlightTimedOutError):
        with writer:
            writer.begin(pa.schema([("a", pa.int64())]))
            reader.read_chunk()
    assert 0.25 < time.monotonic() - started < 3


def test_poll_flight_info_is_not_offered(server):
    for port in (server.data_port, server.meta_port):
        with RawFlight(port) as raw:
            raw.unary("/arrow.flight.protocol.FlightService/PollFlightInfo", b"").expect("UNIMPLEMENTED")


def test_both_ports_see_the_same_rows(server, dataset, rng):
    table = fc.vector_table(rng.random((10, 4), np.float32))
    with flight.connect(server.data_uri) as data, flight.connect(server.meta_uri) as meta:
        fc.put(data, dataset, table.slice(0, 5))
        fc.put(meta, dataset, table.slice(5))
        assert fc.scan_ids(data, dataset) == fc.scan_ids(meta, dataset) == list(range(10))
