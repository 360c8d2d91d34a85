"""FlightData and protobuf that no proper client sends: INVALID_ARGUMENT, nothing changed, the server lives."""

from __future__ import annotations

import random
import struct

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pytest
from raw_flight import SERVICE, field, flight_data, ipc_messages, path_descriptor, put_messages, varint

# Cut or garbled input may also be a shorter proper message; the dataset then gets no rows and the call is fine.
REFUSED = {"INVALID_ARGUMENT"}


def table(rows: int = 10, dim: int = 4) -> pa.Table:
    return fc.vector_table(
        np.arange(rows * dim, dtype=np.float32).reshape(rows, dim), text=[f"t{i}" for i in range(rows)]
    )


def put_descriptor(name: str) -> bytes:
    return path_descriptor(name)


def ingest_descriptor(name: str) -> bytes:
    return path_descriptor("ingest", name)


@pytest.fixture(params=["DoPut", "DoExchange"])
def send(raw, dataset, request):
    """send(list of FlightData without descriptor) -> Answer, for both verbs that write. Row counts are checked after."""
    raw.put(dataset, table()).expect("OK")

    def run(messages: list[bytes]):
        descriptor = (put_descriptor if request.param == "DoPut" else ingest_descriptor)(dataset)
        first = field(1, descriptor) + (messages[0] if messages else b"")
        return raw.call(SERVICE + request.param, [first, *messages[1:]])

    yield run
    assert raw.rows(dataset) == 10, "a refused message changed the dataset"


def parts() -> tuple[bytes, bytes, bytes]:
    """Schema header, batch header, batch body of a good stream."""
    (schema, _), (header, body) = ipc_messages(table())
    return schema, header, body


@pytest.mark.parametrize(
    "case",
    [
        "body without any header",
        "batch before the schema",
        "header of random bytes",
        "header cut short",
        "header empty but present",
        "body missing",
        "body cut short",
        "schema header cut short",
    ],
)
def test_broken_streams(send, case):
    schema, header, body = parts()
    good_schema, good_batch = flight_data(None, schema), flight_data(None, header, None, body)
    streams = {
        "body without any header": [good_schema, flight_data(None, None, None, b"\1\0\0\0\0\0\0\0")],
        "batch before the schema": [good_batch],
        "header of random bytes": [good_schema, flight_data(None, random.Random(1).randbytes(200), None, body)],
        "header cut short": [good_schema, flight_data(None, header[: len(header) // 2], None, body)],
        "header empty but present": [good_schema, flight_data(None, b"", None, body)],
        "body missing": [good_schema, flight_data(None, header)],
        "body cut short": [good_schema, flight_data(None, header, None, body[: len(body) // 2])],
        "schema header cut short": [flight_data(None, schema[: len(schema) // 2]), good_batch],
    }
    send(streams[case]).expect(REFUSED)


@pytest.mark.parametrize(
    "message",
    [
        b"\xff" * 50,
        b"\x12\x7f\x00",
        b"\xc2\x3e" + b"\xff" * 8 + b"\x7f",
        b"\x12" + varint(2**63),
        b"\x0b",
        b"\x00\x00",
        b"\x08" + b"\x80" * 11,
    ],
    ids=["all ones", "field past the end", "body of 2^63", "header of 2^63", "group", "field 0", "endless varint"],
)
@pytest.mark.parametrize("verb", ["DoPut", "DoExchange"])
def test_broken_protobuf(raw, verb, message):
    raw.call(SERVICE + verb, [message]).expect(REFUSED)


@pytest.mark.parametrize("verb", ["DoGet", "DoAction", "GetFlightInfo", "GetSchema", "ListFlights"])
def test_broken_protobuf_in_unary_requests(raw, verb):
    for message in (b"\xff" * 50, b"\x0a\x7f\x00", b"\x0a" + varint(2**63)):
        raw.unary(SERVICE + verb, message).expect(REFUSED)


def test_every_truncation_of_a_put(raw, dataset):
    """The batch message of a good put, cut at every 7th byte: refused, or it never was a whole row batch."""
    raw.put(dataset, table()).expect("OK")
    first, batch = put_messages(dataset, table())
    for size in range(1, len(batch), 7):
        raw.do_put([first, batch[:size]]).expect(REFUSED)
    assert raw.rows(dataset) == 10


def test_random_damage_never_harms(raw, dataset, rng):
    """300 puts with flipped bytes in the IPC header: an error or a harmless put, never a dead server or a foreign row."""
    schema, header, body = parts()
    allowed = {"INVALID_ARGUMENT", "OK", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"}
    for _ in range(300):
        damaged = bytearray(header)
        for _ in range(int(rng.integers(1, 4))):
            damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
        raw.do_put(
            [flight_data(path_descriptor(dataset), schema), flight_data(None, bytes(damaged), None, body)]
        ).expect(allowed)
    for _ in range(150):
        damaged = bytearray(schema)
        for _ in range(int(rng.integers(1, 4))):
            damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
        # Its own dataset: a schema that differs but is whole may create it.
        raw.do_put(
            [flight_data(path_descriptor(dataset + "_other"), bytes(damaged)), flight_data(None, header, None, body)]
        ).expect(allowed | {"FAILED_PRECONDITION"})


def test_bad_offsets_inside_a_good_message(raw, dataset):
    """Arrow's IPC reader accepts these buffers: only a full validation sees that the offsets point outside."""
    raw.put(dataset, table()).expect("OK")
    batch = pa.record_batch({"id": [1, 2], "text": ["ab", "cd"]})
    (schema, _), (header, body) = ipc_messages(batch)
    at = body.index(struct.pack("<iii", 0, 2, 4))
    for offsets in ((0, 2, 1_000_000), (0, -5, 4), (4, 2, 0), (0, 2**31 - 1, 4)):
        broken = body[:at] + struct.pack("<iii", *offsets) + body[at + 12 :]
        raw.do_put([flight_data(path_descriptor(dataset), schema), flight_data(None, header, None, broken)]).expect(
            REFUSED
        )
    assert raw.rows(dataset) == 10


def test_text_that_is_not_utf8(raw, dataset):
    batch = pa.record_batch({"id": [1], "text": ["abcd"]})
    (schema, _), (header, body) = ipc_messages(batch)
    raw.do_put(
        [
            flight_data(path_descriptor(dataset), schema),
            flight_data(None, header, None, body.replace(b"abcd", b"\xff\xfe\xc0\x80")),
        ]
    ).expect(REFUSED)
    assert raw.rows(dataset) in (-1, 0)


def test_stream_that_ends_before_the_schema(raw, dataset):
    """Nothing was sent: nothing to do, or an error; no dataset either way."""
    raw.do_put([]).expect({"OK", "INVALID_ARGUMENT"})
    raw.do_exchange([]).expect({"OK", "INVALID_ARGUMENT"})
    raw.do_put([flight_data(path_descriptor(dataset))]).expect({"OK", "INVALID_ARGUMENT"})
    assert raw.rows(dataset) == -1


def test_second_schema_in_a_stream(raw, dataset):
    first, batch = put_messages(dataset, table())
    other = ipc_messages(pa.table({"x": [1]}))[0][0]
    raw.do_put([first, batch, flight_data(None, other), batch]).expect(REFUSED)
