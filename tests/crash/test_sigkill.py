"""SIGKILL in a loop under mixed load: what was acknowledged is there, what was deleted stays gone, nothing else appears.

LONGBOW_TEST_KILLS sets the number of kills (150; 30 for a sanitizer build), LONGBOW_TEST_SEED repeats a run: the seed decides operations and delays.
"""

from __future__ import annotations

import os
import threading
import time

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from load import FRESH_CONNECTION, Writer, quiet_snapshot, verify
from longbow_server import sanitized, wait_until
from oracle import DatasetOracle

KILLS = int(os.environ.get("LONGBOW_TEST_KILLS", 30 if sanitized() else 150))
ROWS_PER_WRITER = 2_500


@pytest.mark.timeout(1200)
def test_sigkill_loop(make_server, record_property):
    seed = int(os.environ.get("LONGBOW_TEST_SEED", time.time_ns() % 2**32))
    print(f"\nseed {seed}: repeat with LONGBOW_TEST_SEED={seed}")
    record_property("seed", seed)
    rng = np.random.default_rng(seed)
    # Two writers share a dataset, one has its own, one drops its dataset now and then.
    plan = [("shared", 0, 0), ("shared", 1_000_000, 0), ("own", 0, 0), ("dropped", 0, 0.02)]
    writers = [
        Writer(DatasetOracle(name, first, ROWS_PER_WRITER), [seed, i], drops)
        for i, (name, first, drops) in enumerate(plan)
    ]
    server = make_server(**random_options(rng))
    started = time.monotonic()
    restart_s: list[float] = []
    killed_early = snapshots = 0

    for number in range(KILLS):
        killed = threading.Event()
        threads = [threading.Thread(target=writer.run, args=(server.data_uri, killed)) for writer in writers]
        for thread in threads:
            thread.start()
        end = time.monotonic() + rng.uniform(0.05, 0.8)
        with flight.connect(server.meta_uri, generic_options=FRESH_CONNECTION) as control:
            while time.monotonic() < end:
                time.sleep(rng.uniform(0, 0.3))
                if rng.random() < 0.4:
                    fc.action(control, "ForceSnapshot")
                    snapshots += 1
            if rng.random() < 0.5:
                # Killed in the middle of a checkpoint: it is under way while the kill is sent.
                pending = threading.Thread(target=quiet_snapshot, args=(server.meta_uri,))
                pending.start()
                time.sleep(rng.uniform(0, 0.02))
        killed.set()
        server.kill()
        for thread in threads:
            thread.join()
        for writer in writers:
            if writer.failure:
                raise AssertionError(
                    f"kill {number}, seed {seed}, {writer.oracle.name}: {writer.failure!r}"
                ) from writer.failure
        server.options = random_options(rng)
        while rng.random() < 0.3:
            # Killed again while it recovers.
            server.launch()
            time.sleep(rng.uniform(0, 0.15))
            server.kill()
            killed_early += 1
        restarted = time.monotonic()
        server.start()
        restart_s.append(time.monotonic() - restarted)
        try:
            rows = verify(server, writers, rng)
        except AssertionError as error:
            raise AssertionError(f"after kill {number + 1}, seed {seed}") from error

    kills = KILLS + killed_early
    summary = (
        f"{kills} SIGKILLs ({killed_early} during recovery), {sum(w.acknowledged for w in writers)} acknowledged operations, "
        f"{sum(w.cut_off for w in writers)} cut off, {sum(w.refused for w in writers)} refused, {snapshots} snapshots, {rows} rows at the end, restart p50 {np.median(restart_s):.2f} s "
        f"max {max(restart_s):.2f} s, slowest operation {max(w.slowest_s for w in writers):.2f} s, {time.monotonic() - started:.0f} s, seed {seed}, 0 violations"
    )
    print(summary)
    record_property("summary", summary)
    assert sum(w.acknowledged for w in writers) > 10 * KILLS, "hardly any load: the kills proved nothing"
    # A clean stop after all that keeps the same truth.
    assert server.stop() == 0
    server.start()
    assert verify(server, writers, rng) == rows


def random_options(rng: np.random.Generator) -> dict[str, object]:
    """Each life of the server has others: small segments and a small log bring sealing, checkpoints and cuts into play."""
    return {
        "segment_rows_max": int(rng.choice([400, 3_000, 1_048_576])),
        "max_wal_size": rng.choice(["1MiB", "100MiB"]),
        "wal_sync": rng.choice(["fsync", "fsync", "interval", "none"]),  # kill -9 takes nothing under any of them
        "index_threads": int(rng.integers(1, 3)),
        "write_threads": int(rng.integers(1, 4)),
    }


def test_every_row_of_a_killed_stream_that_was_acknowledged(make_server, rng):
    """One long ingest stream, killed in its middle: all acknowledged batches are there, whole batches only."""
    server = make_server()
    vectors = rng.random((200, 64), np.float32)
    acknowledged = 0
    with flight.connect(server.data_uri, generic_options=FRESH_CONNECTION) as client:
        schema = fc.vector_table(vectors).schema
        writer, reader = client.do_exchange(flight.FlightDescriptor.for_path("ingest", "stream"))
        killer = threading.Timer(0.7, server.kill)
        try:
            writer.begin(schema)
            for number in range(100_000):
                batch = fc.vector_table(vectors, ids=pa.array(np.arange(200) + 200 * number)).to_batches()[0]
                writer.write_batch(batch)
                reader.read_chunk()
                acknowledged = number + 1
                if number == 3:
                    killer.start()
        except (flight.FlightError, pa.ArrowException, OSError, StopIteration):
            pass
        finally:
            killer.join()
            with pytest.raises((flight.FlightError, pa.ArrowException, OSError)):
                writer.close()
                fc.names(client)
    assert acknowledged >= 4
    wait_until(lambda: not server.alive(), 5, "killed")
    server.start()
    with flight.connect(server.data_uri) as client:
        ids = fc.scan_ids(client, "stream")
        assert len(ids) % 200 == 0 and ids == list(range(len(ids)))
        assert len(ids) // 200 in (acknowledged, acknowledged + 1), (
            f"{acknowledged} batches acknowledged, {len(ids) / 200} there"
        )
