"""FlightTransport over a real Flight wire, against a scripted server in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import flight

from longbow import (
    DeadlineError,
    InvalidRequestError,
    LongbowClient,
    LongbowError,
    NotFoundError,
    RetryPolicy,
    UnavailableError,
)

SCHEMA = pa.schema([("id", pa.int64())])


class _Auth(flight.ServerMiddlewareFactory):
    seen: list[str]

    def __init__(self) -> None:
        self.seen = []

    def start_call(self, info: Any, headers: Any) -> None:
        self.seen += headers.get("authorization", [])


class ScriptedServer(flight.FlightServerBase):
    def __init__(self, auth: _Auth) -> None:
        super().__init__("grpc://127.0.0.1:0", middleware={"auth": auth})
        self.rows: dict[str, int] = {}
        self.scan_ended = threading.Event()

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        name = descriptor.path[0].decode()
        writer.write(pa.py_buffer(b'{"status": "slow_down", "reason": "wal_pressure"}'))
        for at, chunk in enumerate(reader):
            if name == "refused" and at == 1:
                raise pa.ArrowInvalid("schema mismatch: no")
            self.rows[name] = self.rows.get(name, 0) + chunk.data.num_rows

    def do_get(self, context: Any, ticket: Any) -> Any:
        if b"nope" in ticket.ticket:
            raise pa.ArrowKeyError("dataset nope not found")

        def endless() -> Iterator[pa.RecordBatch]:
            try:
                while not context.is_cancelled():
                    yield pa.RecordBatch.from_arrays([pa.array(np.arange(1000))], schema=SCHEMA)
            finally:
                self.scan_ended.set()

        def broken() -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_arrays([pa.array([1])], schema=SCHEMA)
            raise flight.FlightUnavailableError("going down")

        return flight.GeneratorStream(SCHEMA, broken() if b"broken" in ticket.ticket else endless())

    def do_action(self, context: Any, action: Any) -> Any:
        if action.type == "check_readiness":
            return [b'{"status":"READY"}']
        threading.Event().wait(2)
        return []

    def list_flights(self, context: Any, criteria: Any) -> Any:
        yield self.get_flight_info(context, flight.FlightDescriptor.for_path("a"))

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        return flight.FlightInfo(SCHEMA, descriptor, [], 5, 40)


@pytest.fixture
def auth() -> _Auth:
    return _Auth()


@pytest.fixture
def server(auth: _Auth) -> Iterator[ScriptedServer]:
    with ScriptedServer(auth) as server:
        yield server


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[LongbowClient]:
    with LongbowClient(f"127.0.0.1:{server.port}", api_key="k1") as client:
        yield client


def test_put_is_acknowledged_whole(client: LongbowClient, server: ScriptedServer, auth: _Auth) -> None:
    assert client.insert("docs", np.zeros((30_000, 100), np.float32)) == 30_000
    assert server.rows == {"docs": 30_000}
    assert auth.seen == ["Bearer k1"]


def test_a_put_refused_on_the_way_says_why(client: LongbowClient) -> None:
    with pytest.raises(InvalidRequestError, match=r"^schema mismatch: no"):
        client.insert("refused", np.zeros((200_000, 100), np.float32))


def test_bad_rows_late_in_a_reader_end_the_call(client: LongbowClient) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        for value in (0.0, float("nan")):
            flat = pa.array(np.full(4_000_000, value, np.float32))
            yield pa.RecordBatch.from_arrays([pa.FixedSizeListArray.from_arrays(flat, 100)], names=["vector"])

    schema = pa.schema([("vector", pa.list_(pa.float32(), 100))])
    with pytest.raises(InvalidRequestError, match="row 40000: a vector element is NaN"):
        client.insert("docs", pa.RecordBatchReader.from_batches(schema, batches()))
    assert client.is_ready()


def test_scan_errors_keep_their_kind_at_the_start_and_on_the_way(client: LongbowClient) -> None:
    with pytest.raises(NotFoundError, match="dataset nope not found"):
        client.scan("nope")
    with pytest.raises(UnavailableError, match="going down"):
        client.scan("broken")


def test_leaving_a_scan_ends_it_on_the_server(client: LongbowClient, server: ScriptedServer) -> None:
    batches = client.scan_batches("docs")
    assert next(batches).num_rows == 1000
    batches.close()  # type: ignore[attr-defined]
    assert server.scan_ended.wait(10)


def test_listing(client: LongbowClient) -> None:
    (info,) = client.list()
    assert (info.name, info.rows, info.size_bytes) == ("a", 5, 40)
    assert client.info("a").schema == SCHEMA


def test_deadline(client: LongbowClient) -> None:
    with pytest.raises(DeadlineError):
        client.delete("docs", [1], timeout_s=0.1)


def test_nobody_there() -> None:
    quick = RetryPolicy(attempts=2, backoff_s=0.01, backoff_max_s=0.01)
    with LongbowClient("grpc://127.0.0.1:1", retry=quick) as client:
        assert client.is_ready() is False
        for call in (lambda: client.list(), lambda: client.insert("docs", [{"id": 1}])):
            with pytest.raises(UnavailableError):
                call()


def test_one_client_serves_many_threads(client: LongbowClient) -> None:
    failed: list[LongbowError] = []

    def work() -> None:
        try:
            for _ in range(50):
                assert client.is_ready()
                assert client.list()[0].rows == 5
        except LongbowError as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
