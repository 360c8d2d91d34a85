"""The seam between the client and the network: five verbs in Arrow's words, and their one real implementation.

Tests put a double in its place; everything above knows nothing of gRPC.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
from pyarrow import flight

from ._errors import InvalidRequestError, LongbowError, translate
from ._results import DatasetInfo
from ._rows import RowStream

_SCHEMES = ("grpc://", "grpc+tcp://", "grpc+tls://")


@dataclass(frozen=True)
class BatchStream:
    """Batches coming in. Closing the iterator early cancels the call."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Transport(Protocol):
    """What the client needs of a connection. Thread safe; every failure is a LongbowError."""

    def put(self, dataset: str, rows: RowStream, timeout_s: float) -> None:
        """Sends all rows; returns when the server has acknowledged them."""

    def get(self, ticket: bytes, timeout_s: float) -> BatchStream:
        """Opens the answer to a ticket."""

    def action(self, name: str, body: bytes, timeout_s: float, *, meta: bool = False) -> list[bytes]:
        """Runs an action and gives its results; `meta` sends it to the meta address."""

    def datasets(self, timeout_s: float) -> list[DatasetInfo]:
        """All datasets, without their columns."""

    def dataset(self, name: str, timeout_s: float) -> DatasetInfo:
        """One dataset, with its columns."""

    def close(self) -> None:
        """Gives the connections back; later calls fail. May be called twice."""


def check_uri(uri: object) -> str:
    """`uri` with a scheme in front; bare host:port means plain gRPC."""
    if not isinstance(uri, str) or not uri:
        raise InvalidRequestError(f"address must be text such as 'grpc://127.0.0.1:3000', got {uri!r}")
    full = uri if "://" in uri else f"grpc://{uri}"
    if not full.startswith(_SCHEMES):
        raise InvalidRequestError(f"address {uri!r}: scheme must be one of {', '.join(_SCHEMES)}")
    _, _, port = full.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise InvalidRequestError(f"address {uri!r} has no port: write host:port")
    return full


class FlightTransport:
    """Transport over Arrow Flight. Connects on first use."""

    def __init__(self, uri: str, meta_uri: str | None, api_key: str | None, tls_root_certs: bytes | None) -> None:
        address = check_uri(uri)
        meta_address = address if meta_uri is None else check_uri(meta_uri)
        self._headers = [(b"authorization", b"Bearer " + api_key.encode())] if api_key else []
        self._data = self._connect(address, tls_root_certs)
        self._meta = self._data if meta_address == address else self._connect(meta_address, tls_root_certs)

    @staticmethod
    def _connect(address: str, tls_root_certs: bytes | None) -> flight.FlightClient:
        try:
            return flight.FlightClient(address, tls_root_certs=tls_root_certs)
        except (pa.ArrowException, flight.FlightError) as error:
            raise translate(error) from error

    def _options(self, timeout_s: float) -> flight.FlightCallOptions:
        return flight.FlightCallOptions(timeout=timeout_s, headers=self._headers)

    def put(self, dataset: str, rows: RowStream, timeout_s: float) -> None:
        """See Transport."""
        with _translated():
            descriptor = flight.FlightDescriptor.for_path(dataset)
            writer, reader = self._data.do_put(descriptor, rows.schema, options=self._options(timeout_s))
            try:
                for batch in rows.batches:
                    writer.write_batch(batch)
                writer.done_writing()
                # The acknowledgement is the clean end of the answer stream; what stands in it before (a server under
                # pressure says "slow_down") is advice that flow control already enforces.
                while reader.read() is not None:
                    pass
            except BaseException as error:
                # A refused write may say only that the stream broke: the close tells why. It must run in any case.
                try:
                    writer.close()
                except (pa.ArrowException, flight.FlightError) as cause:
                    if not isinstance(error, LongbowError):
                        raise cause from error
                raise
            writer.close()

    def get(self, ticket: bytes, timeout_s: float) -> BatchStream:
        """See Transport."""
        with _translated():
            reader = self._data.do_get(flight.Ticket(ticket), options=self._options(timeout_s))
            return BatchStream(reader.schema, self._batches(reader))

    @staticmethod
    def _batches(reader: flight.FlightStreamReader) -> Iterator[pa.RecordBatch]:
        done = False
        try:
            with _translated():
                while True:
                    try:
                        chunk = reader.read_chunk()
                    except StopIteration:
                        done = True
                        return
                    if chunk.data is not None:
                        yield chunk.data
        finally:
            if not done:
                reader.cancel()

    def action(self, name: str, body: bytes, timeout_s: float, *, meta: bool = False) -> list[bytes]:
        """See Transport."""
        client = self._meta if meta else self._data
        with _translated():
            results = client.do_action(flight.Action(name, body), options=self._options(timeout_s))
            return [result.body.to_pybytes() for result in results]

    def datasets(self, timeout_s: float) -> list[DatasetInfo]:
        """See Transport."""
        with _translated():
            return [_described(info) for info in self._meta.list_flights(options=self._options(timeout_s))]

    def dataset(self, name: str, timeout_s: float) -> DatasetInfo:
        """See Transport."""
        with _translated():
            descriptor = flight.FlightDescriptor.for_path(name)
            return _described(self._meta.get_flight_info(descriptor, options=self._options(timeout_s)))

    def close(self) -> None:
        """See Transport."""
        self._data.close()
        if self._meta is not self._data:
            self._meta.close()


def _described(info: flight.FlightInfo) -> DatasetInfo:
    path = info.descriptor.path or [b""]
    return DatasetInfo(
        name=path[0].decode("utf-8", "replace"),
        rows=max(0, int(info.total_records)),
        size_bytes=max(0, int(info.total_bytes)),
        schema=info.schema,
    )


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Everything pyarrow raises inside becomes an exception of ours."""
    try:
        yield
    except (pa.ArrowException, flight.FlightError) as error:
        raise translate(error) from error
