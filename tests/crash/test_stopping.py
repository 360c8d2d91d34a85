"""Ends that are not crashes: SIGTERM idle, under load and while starting; a disk that is full."""

from __future__ import annotations

import re
import subprocess
import threading
import time

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from data_folder import check_rows, vectors
from longbow_server import wait_until


def test_sigterm_when_idle(make_server):
    server = make_server()
    with flight.connect(server.data_uri) as client:
        fc.put(client, "d", fc.vector_table(vectors(10)))
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 5
    server.start()
    with flight.connect(server.data_uri) as client:
        assert fc.row_count(client, "d") == 10


def test_sigterm_under_load(make_server):
    """Exit code 0 within seconds, with puts, a long scan and a silent stream open; acknowledged rows are there after."""
    server = make_server()
    acknowledged: list[int] = [0, 0, 0]
    stopping = threading.Event()
    failures: list[BaseException] = []

    def put_until_stopped(number: int) -> None:
        try:
            with flight.connect(server.data_uri, generic_options=[("grpc.use_local_subchannel_pool", 1)]) as client:
                while True:
                    base = acknowledged[number]
                    fc.put(client, f"d{number}", fc.vector_table(vectors(20, base), ids=list(range(base, base + 20))))
                    acknowledged[number] += 20
        except (flight.FlightError, pa.ArrowException, OSError) as error:
            if not stopping.is_set():
                failures.append(error)

    with flight.connect(server.data_uri) as client:
        fc.put(client, "big", fc.vector_table(np.ones((20_000, 768), np.float32)))
        scan = client.do_get(flight.Ticket(b"big"))
        scan.read_chunk()
        writer, reader = client.do_exchange(flight.FlightDescriptor.for_path("ingest", "silent"))
        writer.begin(fc.vector_table(vectors(1)).schema)
        threads = [threading.Thread(target=put_until_stopped, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: min(acknowledged) > 100 or failures, 30, "load")
        stopping.set()
        started = time.monotonic()
        assert server.stop() == 0
        took_s = time.monotonic() - started
        for thread in threads:
            thread.join()
        assert took_s < 12, f"SIGTERM took {took_s:.1f} s"
        assert not failures, failures[0]
        del scan, writer, reader
    server.start()
    with flight.connect(server.data_uri) as client:
        for number, count in enumerate(acknowledged):
            ids = fc.scan_ids(client, f"d{number}")
            assert ids[:count] == list(range(count)), "an acknowledged row is missing"
            assert len(ids) in (count, count + 20)


def test_sigterm_while_starting(stopped):
    """No half state: it ends, and the next start finds everything."""
    for delay_s in (0, 0.01, 0.03, 0.1):
        stopped.launch()
        time.sleep(delay_s)
        stopped.stop()
    stopped.start()
    check_rows(stopped)


# --- full disk ---


@pytest.fixture
def server_on_small_disk(make_server, small_disk):
    server = make_server(small_disk / "data")
    yield server
    server.close()  # before the file system is taken away


def fill_disk(client: flight.FlightClient) -> tuple[int, BaseException]:
    """Puts until one fails: rows acknowledged, and the error."""
    rows = 0
    for number in range(200):
        try:
            fc.put(
                client,
                "d",
                fc.vector_table(
                    np.random.default_rng(number).random((1_000, 256), np.float32),
                    ids=pa.array(np.arange(rows, rows + 1_000)),
                ),
            )
        except (flight.FlightError, pa.ArrowException) as error:
            return rows, error
        rows += 1_000
    raise AssertionError("200 MB went into a disk of 100 MB")


def test_full_disk(server_on_small_disk, small_disk):
    """The put fails in words, reads go on, /readyz and metrics say why; with room again writing resumes without a restart,
    and a restart then has every acknowledged row and nothing else."""
    server = server_on_small_disk
    with flight.connect(server.data_uri) as client:
        rows, error = fill_disk(client)
        assert rows >= 5_000
        assert re.search(r"space|disk|full|log", str(error), re.IGNORECASE), error
        assert server.alive()
        assert fc.row_count(client, "d") == rows
        assert fc.scan_ids(client, "d") == list(range(rows))
        probe = np.random.default_rng(2).random((1_000, 256), np.float32)[7]
        assert fc.search(client, "d", probe, 1)[0][0] == 2_007
        status, _, body = server.http("GET", "/readyz")
        assert status == 503 and re.search(r"space|disk|full|log|read-only", body, re.IGNORECASE), (status, body)
        assert server.http("GET", "/livez")[0] == 200
        with pytest.raises((flight.FlightError, pa.ArrowException), match="free space on the disk"):
            fc.put(client, "other", fc.vector_table(vectors(1)))
        assert "longbow_read_only 1" in server.http("GET", "/metrics")[2]
        time.sleep(2.5)  # two attempts of the log to recover, in vain
        assert server.http("GET", "/readyz")[0] == 503
        subprocess.run(["mount", "-o", "remount,size=500m", str(small_disk)], check=True)
        wait_until(lambda: server.http("GET", "/readyz")[0] == 200, 10, "ready again")
        assert "longbow_read_only 0" in server.http("GET", "/metrics")[2]
        assert "longbow_wal_recoveries_total 1" in server.http("GET", "/metrics")[2]
        assert fc.scan_ids(client, "d") == list(range(rows)), "what was refused does not come back"
        fc.put(client, "other", fc.vector_table(vectors(3)))
        fc.put(client, "d", fc.vector_table(np.ones((1, 256), np.float32), ids=[rows]))
    for end in (server.kill, server.stop):
        end()
        server.start()
        with flight.connect(server.data_uri) as client:
            assert fc.scan_ids(client, "d") == list(range(rows + 1))
            assert fc.row_count(client, "other") == 3
            assert server.http("GET", "/readyz")[0] == 200
