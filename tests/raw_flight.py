"""Arrow Flight without a Flight library: hand-encoded messages over plain gRPC.

Shows what pyarrow's client hides: the exact status code, every message, and answers to bytes no proper client sends.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable, Iterator

import grpc
import pyarrow as pa

SERVICE = "/arrow.flight.protocol.FlightService/"
MESSAGE_MAX_BYTES = 1 << 30


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes | str | int) -> bytes:
    """One protobuf field: an integer as varint, anything else length-delimited."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(message: bytes) -> dict[int, list]:
    """The fields of a protobuf message by number, in order."""
    found: dict[int, list] = {}
    at = 0

    def read_varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = read_varint()
        if key & 7 == 0:
            value = read_varint()
        elif key & 7 == 2:
            size = read_varint()
            value = message[at : at + size]
            at += size
        else:
            size = {1: 8, 5: 4}[key & 7]
            value = message[at : at + size]
            at += size
        found.setdefault(key >> 3, []).append(value)
    return found


def path_descriptor(*path: str) -> bytes:
    return field(1, 1) + b"".join(field(3, part) for part in path)


def command_descriptor(command: bytes) -> bytes:
    return field(1, 2) + field(2, command)


def flight_data(
    descriptor: bytes | None = None,
    header: bytes | None = None,
    metadata: bytes | None = None,
    body: bytes | None = None,
) -> bytes:
    parts = [(1, descriptor), (2, header), (3, metadata), (1000, body)]
    return b"".join(field(number, value) for number, value in parts if value is not None)


def ipc_messages(data: pa.Table | pa.RecordBatch, schema: pa.Schema | None = None) -> list[tuple[bytes, bytes]]:
    """(header, body) of each IPC message of the stream that holds `data`: the schema first."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema or data.schema) as writer:
        writer.write(data)
    reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(sink.getvalue()))
    return [(m.metadata.to_pybytes(), m.body.to_pybytes() if m.body is not None else b"") for m in reader]


def put_messages(name: str, data: pa.Table | pa.RecordBatch) -> list[bytes]:
    """The FlightData messages of a proper DoPut of `data` into dataset `name`."""
    messages = ipc_messages(data)
    first = flight_data(path_descriptor(name), messages[0][0])
    return [first] + [flight_data(None, header, None, body) for header, body in messages[1:]]


@dataclasses.dataclass
class Answer:
    """How a call ended: gRPC code name, message, what was received before."""

    code: str
    details: str
    messages: list[bytes]
    trailers: dict[str, str | bytes]

    def only_message(self) -> bytes:
        assert self.code == "OK" and len(self.messages) == 1, self
        return self.messages[0]

    def expect(self, codes: str | set[str], *texts: str) -> Answer:
        """Asserts the code, and that each text stands in the message."""
        wanted = {codes} if isinstance(codes, str) else codes
        assert self.code in wanted, f"expected {' or '.join(sorted(wanted))}, got {self.code}: {self.details[:500]!r}"
        for text in texts:
            assert text in self.details, f"expected {text!r} in the message, got {self.code}: {self.details[:500]!r}"
        return self


class RawFlight:
    """A gRPC channel to one port. Context manager; thread safe."""

    def __init__(self, port: int, timeout_s: float = 30.0):
        limits = [
            ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
            ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=limits)
        self.timeout_s = timeout_s

    def __enter__(self) -> RawFlight:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def call(self, path: str, requests: Iterable[bytes], metadata: list[tuple[str, str]] | None = None) -> Answer:
        """Any method as a stream of messages both ways: on the wire the four kinds of gRPC methods are the same."""
        messages: list[bytes] = []
        running = self.channel.stream_stream(path)(iter(requests), timeout=self.timeout_s, metadata=metadata)
        try:
            for message in running:
                messages.append(message)
            code, details = "OK", ""
        except grpc.RpcError as error:
            code, details = error.code().name, error.details() or ""
        trailers = {key: value for key, value in (running.trailing_metadata() or ())}
        return Answer(code, details, messages, trailers)

    def unary(self, path: str, request: bytes) -> Answer:
        return self.call(path, [request])

    def do_action(self, kind: str, body: bytes | str | dict | list = b"") -> Answer:
        """The Result bodies, unwrapped."""
        data = json.dumps(body) if isinstance(body, (dict, list)) else body
        answer = self.unary(SERVICE + "DoAction", field(1, kind) + field(2, data))
        answer.messages = [fields(m).get(1, [b""])[0] for m in answer.messages]
        return answer

    def do_get(self, ticket: bytes | str | dict) -> Answer:
        data = json.dumps(ticket) if isinstance(ticket, dict) else ticket
        return self.unary(SERVICE + "DoGet", field(1, data))

    def search(self, **request: object) -> Answer:
        return self.do_get({"search": request})

    def do_put(self, messages: Iterable[bytes]) -> Answer:
        return self.call(SERVICE + "DoPut", messages)

    def put(self, name: str, data: pa.Table | pa.RecordBatch) -> Answer:
        return self.do_put(put_messages(name, data))

    def do_exchange(self, messages: Iterable[bytes]) -> Answer:
        return self.call(SERVICE + "DoExchange", messages)

    def exchange_search(self, query: pa.RecordBatch) -> Answer:
        """The contract's binary search: command VectorSearch, one row of arguments."""
        (schema, _), *batches = ipc_messages(query)
        rest: Iterator[bytes] = (flight_data(None, header, None, body) for header, body in batches)
        return self.do_exchange([flight_data(command_descriptor(b"VectorSearch"), schema), *rest])

    def get_flight_info(self, descriptor: bytes) -> Answer:
        return self.unary(SERVICE + "GetFlightInfo", descriptor)

    def get_schema(self, descriptor: bytes) -> Answer:
        return self.unary(SERVICE + "GetSchema", descriptor)

    def list_flights(self, expression: bytes) -> Answer:
        return self.unary(SERVICE + "ListFlights", field(1, expression))

    def rows(self, name: str) -> int:
        """Rows of a dataset, -1 if there is no such dataset."""
        answer = self.get_flight_info(path_descriptor(name))
        if answer.code == "NOT_FOUND":
            return -1
        return fields(answer.only_message()).get(4, [0])[0]
