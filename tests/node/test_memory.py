"""Memory seen from outside: little when idle, flat under repeated work."""

from __future__ import annotations

import threading
import time

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from longbow_server import sanitized, wait_until

MB = 1_000_000


@pytest.fixture(autouse=True)
def memory_means_something():
    if sanitized():
        pytest.skip("a sanitizer's own memory hides the server's")


def test_idle(make_server):
    server = make_server()
    assert server.rss_bytes() < 120 * MB
    before_s = server.cpu_seconds()
    time.sleep(2)
    assert server.cpu_seconds() - before_s < 0.2, "an idle server does nothing"


def test_repeated_upserts_of_the_same_rows_do_not_pile_up(make_server, rng):
    """60 x 4 MB over the same 2,000 rows. Replaced rows may wait for a checkpoint, but not for ever: the log has its size, too."""
    server = make_server()
    with flight.connect(server.data_uri) as client:
        for _ in range(60):
            fc.put(client, "d", fc.vector_table(rng.random((2_000, 512), np.float32)))
        assert fc.row_count(client, "d") == 2_000
    # 60 x 4 MB = 250 MB if nothing were ever freed, twice that with the graph's own copy.
    assert server.rss_bytes() < 900 * MB


def test_dropped_datasets_give_their_memory_back(make_server, rng):
    server = make_server()
    vectors = rng.random((16_000, 512), np.float32)
    with flight.connect(server.data_uri) as client:

        def one_round() -> int:
            fc.put(client, "d", fc.vector_table(vectors), max_chunksize=4_000)
            fc.action(client, "delete-dataset", {"dataset": "d"})
            return server.rss_bytes()

        one_round()
        settled = one_round()
        for _ in range(4):
            one_round()
        wait_until(lambda: server.rss_bytes() < settled + 80 * MB, 20, f"memory back near {settled / MB:.0f} MB")


def test_cancelled_and_failed_calls_leave_nothing(make_server, rng):
    server = make_server()
    batch = fc.vector_table(rng.random((4_000, 256), np.float32)).to_batches()[0]
    with flight.connect(server.data_uri) as client:
        fc.put(client, "d", batch)

        def one_round() -> None:
            for _ in range(50):
                reader = client.do_get(flight.Ticket(b"d"))
                reader.read_chunk()
                reader.cancel()
            for _ in range(50):
                with pytest.raises(pa.ArrowInvalid):
                    fc.search(client, "d", [1, 2, 3])
            broken = pa.record_batch(
                [batch["id"], fc.vector_array(np.ones((4_000, 255), np.float32))], names=["id", "vector"]
            )
            for _ in range(10):
                with pytest.raises(pa.ArrowInvalid):
                    fc.put(client, "d", broken)

        one_round()
        settled, descriptors = server.rss_bytes(), server.descriptors()
        for _ in range(3):
            one_round()
        wait_until(lambda: server.rss_bytes() < settled + 40 * MB, 20, f"memory back near {settled / MB:.0f} MB")
        assert server.descriptors() <= descriptors + 1


def test_a_request_leaves_nothing_behind(make_server):
    """40,000 JSON requests: a leak of 100 bytes in each would be 4 MB."""
    server = make_server()

    def requests(count: int) -> None:
        with flight.connect(server.data_uri, generic_options=[("grpc.use_local_subchannel_pool", 1)]) as client:
            for _ in range(count):
                fc.action(client, "check_readiness", b"{}")

    def in_two_threads(count: int) -> None:
        threads = [threading.Thread(target=requests, args=(count // 2,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    in_two_threads(10_000)
    before = server.rss_bytes()
    in_two_threads(40_000)
    grown = server.rss_bytes() - before
    assert grown < 2 * MB, f"{grown / 40_000:.0f} bytes a request"
