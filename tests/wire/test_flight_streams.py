"""Long streams: large batches, cancelled and late calls, readers that stall. Memory is watched from outside."""

from __future__ import annotations

import contextlib
import gc
import threading
import time

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from longbow_server import LongbowServer, sanitized, wait_until

MB = 1_000_000
# Freed memory that the allocator keeps for the next request is no leak; this much may stay.
KEPT_MB = 150


@pytest.fixture(scope="module")
def big_server(tmp_path_factory):
    """A server with 200 MB to scan, for all tests of this file."""
    server = LongbowServer(tmp_path_factory.mktemp("big") / "data").start()
    batch = fc.vector_table(np.random.default_rng(1).random((16_384, 768), np.float32)).to_batches()[0]
    with flight.connect(server.data_uri) as client:
        for i in range(4):
            ids = pa.array(np.arange(i * batch.num_rows, (i + 1) * batch.num_rows))
            fc.put(client, "big", pa.record_batch([ids, batch["vector"]], names=["id", "vector"]))
    yield server
    server.close()


@pytest.fixture
def big(big_server, request):
    request.node.longbow_servers = [big_server]
    yield big_server
    assert big_server.alive()
    with flight.connect(big_server.data_uri) as client:
        assert fc.row_count(client, "big") == 65_536


def memory_back(server, before: int, allowed_mb: float, what: str) -> None:
    if not sanitized():
        wait_until(
            lambda: server.rss_bytes() < before + allowed_mb * MB,
            20,
            f"{what}: memory back below {before / MB:.0f} + {allowed_mb} MB",
        )


def test_300_mb_batch_in_and_out(make_server, rng):
    server = make_server()
    rows, dim = 98_304, 768
    vectors = rng.random((rows, dim), np.float32)
    batch = fc.vector_table(vectors).to_batches()[0]
    assert batch.nbytes > 300 * MB
    with flight.connect(server.data_uri) as client:
        fc.put(client, "large", batch)
        assert fc.row_count(client, "large") == rows
        got = fc.scan(client, "large")
        order = np.argsort(got["id"].to_numpy())
        values = got["vector"].combine_chunks().values.to_numpy().reshape(rows, dim)
        assert np.array_equal(values[order], vectors)


def test_cancelled_scans_leave_nothing(big):
    with flight.connect(big.data_uri) as client:
        fc.scan(client, "big", limit=1)
        before, descriptors = big.rss_bytes(), big.descriptors()
        for _ in range(20):
            reader = client.do_get(flight.Ticket(b"big"))
            reader.read_chunk()
            reader.cancel()
            del reader
        gc.collect()
        memory_back(big, before, KEPT_MB, "20 cancelled scans")
        assert big.descriptors() <= descriptors + 2


def test_abandoned_connections_leave_nothing(big):
    with flight.connect(big.data_uri) as client:
        before, descriptors = big.rss_bytes(), big.descriptors()
        for _ in range(8):
            other = flight.connect(big.data_uri, generic_options=[("grpc.use_local_subchannel_pool", 1)])
            reader = other.do_get(flight.Ticket(b"big"))
            reader.read_chunk()
            other.close()
            del reader, other
        gc.collect()
        wait_until(lambda: big.descriptors() <= descriptors + 2, 20, "connections closed")
        memory_back(big, before, KEPT_MB, "8 abandoned scans")
        assert fc.row_count(client, "big") == 65_536


def test_cancelled_put_changes_nothing_more_than_whole_batches(big, rng):
    batch = fc.vector_table(rng.random((8_192, 768), np.float32)).to_batches()[0]
    before = big.rss_bytes()
    for number in range(3):
        other = flight.connect(big.data_uri, generic_options=[("grpc.use_local_subchannel_pool", 1)])
        writer, reader = other.do_put(flight.FlightDescriptor.for_path(f"cancelled{number}"), batch.schema)
        writer.write_batch(batch)
        writer.write_batch(batch)
        other.close()  # without done_writing: the stream is reset
        del writer, reader, other
    gc.collect()
    with flight.connect(big.data_uri) as client:
        # 25 MB of vectors a dataset may stay: a batch that was whole when the client went away.
        memory_back(big, before, KEPT_MB + 3 * 60, "3 abandoned puts")
        for number in range(3):
            with contextlib.suppress(pa.ArrowKeyError):
                assert fc.row_count(client, f"cancelled{number}") in (0, 8_192)


def test_deadline_ends_a_scan(big):
    with flight.connect(big.data_uri) as client:
        reader = client.do_get(flight.Ticket(b"big"), flight.FlightCallOptions(timeout=1))
        reader.read_chunk()
        time.sleep(1.2)  # the deadline passes while the client does not read: that is the point
        with pytest.raises(flight.FlightTimedOutError):
            while True:
                reader.read_chunk()
        assert fc.row_count(client, "big") == 65_536


def test_slow_reader_does_not_make_the_server_buffer(big):
    with (
        flight.connect(big.data_uri) as client,
        flight.connect(big.data_uri, generic_options=[("grpc.use_local_subchannel_pool", 1)]) as slow,
    ):
        before = big.rss_bytes()
        readers = [slow.do_get(flight.Ticket(b"big")) for _ in range(8)]
        for reader in readers:
            reader.read_chunk()
        # 8 x 200 MB wait to be sent. The server may hold a few batches for each, not the data set.
        end = time.monotonic() + 2
        peak = 0
        while time.monotonic() < end:
            peak = max(peak, big.rss_bytes())
            started = time.monotonic()
            assert fc.search(client, "big", np.zeros(768), 1)
            assert time.monotonic() - started < 5, "other clients are served meanwhile"
        if not sanitized():
            assert peak - before < 8 * 60 * MB, f"{(peak - before) / MB:.0f} MB for 8 stalled readers"
        assert sum(len(chunk.data) for chunk in readers[0]) <= 65_536
        for reader in readers:
            reader.cancel()


def test_scans_searches_and_puts_side_by_side(big, rng):
    """Eight threads on one server: every answer is right."""
    failures: list[BaseException] = []
    vectors = rng.random((400, 32), np.float32)
    with flight.connect(big.data_uri) as client:
        fc.put(client, "small", fc.vector_table(vectors))

    def guarded(work):
        def run():
            try:
                with flight.connect(big.data_uri) as client:
                    for round_number in range(15):
                        work(client, round_number)
            except BaseException as error:  # noqa: BLE001 - handed to the test's thread
                failures.append(error)

        return threading.Thread(target=run)

    def searching(client, round_number):
        for i in range(round_number * 20, round_number * 20 + 20):
            assert fc.search(client, "small", vectors[i], 1)[0][0] == i

    def scanning(client, round_number):
        assert fc.scan(client, "small").num_rows == 400

    def putting(number):
        def work(client, round_number):
            fc.put(
                client, f"own{number}", fc.vector_table(vectors[:50], ids=pa.array(np.arange(50) + 50 * round_number))
            )
            assert fc.row_count(client, f"own{number}") == 50 * (round_number + 1)

        return work

    threads = [
        guarded(work)
        for work in (searching, searching, searching, scanning, scanning, putting(0), putting(1), putting(2))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
