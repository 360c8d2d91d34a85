"""SIGKILL in a loop under mixed load: what was acknowledged is there, what was deleted stays gone, nothing else appears.

LONGBOW_TEST_KILLS sets the number of kills (30), LONGBOW_TEST_SEED repeats a run: the seed decides operations and delays.
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
from longbow_server import LongbowServer, wait_until
from oracle import ABSENT, DatasetOracle
from raw_flight import RawFlight

KILLS = int(os.environ.get("LONGBOW_TEST_KILLS", 30))
ROWS_PER_WRITER = 2_500
FRESH_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


class Writer:
    """A client that changes its own rows of one dataset until the server is gone."""

    def __init__(self, oracle: DatasetOracle, seed: list[int], drops: bool):
        self.oracle, self.drops = oracle, drops
        self.rng = np.random.default_rng(seed)
        self.acknowledged = 0
        self.cut_off = 0
        self.refused = 0
        self.slowest_s = 0.0
        self.failure: BaseException | None = None

    def run(self, uri: str, killed: threading.Event) -> None:
        try:
            with flight.connect(uri, generic_options=FRESH_CONNECTION) as client:
                while not killed.is_set():
                    started = time.monotonic()
                    try:
                        self.one_operation(client)
                        self.acknowledged += 1
                        self.slowest_s = max(self.slowest_s, time.monotonic() - started)
                    except pa.ArrowCapacityError:
                        # RESOURCE_EXHAUSTED promises that nothing was changed; the oracle holds the server to it.
                        self.oracle.abandon()
                        self.refused += 1
                        killed.wait(0.1)
                    except (flight.FlightError, pa.ArrowException, OSError):
                        if not killed.is_set():
                            raise  # the server refused a proper request, or died before it was killed
                        self.cut_off += 1
                        return
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self.failure = error

    def one_operation(self, client: flight.FlightClient) -> None:
        oracle, rng = self.oracle, self.rng
        dice = rng.random()
        live = np.flatnonzero(oracle.current != ABSENT)
        if dice < 0.25 and len(live):
            id = oracle.begin_delete(int(rng.choice(live)))
            assert fc.action(client, "delete", {"dataset": oracle.name, "id": str(id)}) == [b"deleted"]
        elif dice < 0.27 and self.drops and len(live):
            oracle.begin_drop()
            assert fc.action(client, "delete-dataset", {"dataset": oracle.name}) == [b"deleted"]
        else:
            size = int(
                rng.choice([1, 1, 2, 5, 20, 300, ROWS_PER_WRITER // 2], p=[0.2, 0.2, 0.2, 0.2, 0.12, 0.06, 0.02])
            )
            table = oracle.begin_put(rng.choice(oracle.count, size, replace=False))  # new rows and upserts alike
            if rng.random() < 0.3:
                self.exchange(client, table)
            else:
                fc.put(client, oracle.name, table)
        oracle.acknowledge()

    def exchange(self, client: flight.FlightClient, table: pa.Table) -> None:
        """Ingest by DoExchange: the acknowledgement counts as soon as it is here, before the stream ends."""
        writer, reader = client.do_exchange(flight.FlightDescriptor.for_path("ingest", self.oracle.name))
        try:
            writer.begin(table.schema)
            writer.write_batch(table.combine_chunks().to_batches()[0])
            assert b'"acked"' in reader.read_chunk().app_metadata.to_pybytes()
            self.oracle.acknowledge()
            self.oracle.begin(np.empty(0, np.int64), np.empty(0, np.int64))
            writer.done_writing()
        finally:
            writer.close()


def verify(server: LongbowServer, writers: list[Writer], rng: np.random.Generator) -> int:
    """Scan against the oracle, then get, search and search-by-id on samples. Returns the number of live rows."""
    rows = 0
    with (
        flight.connect(server.data_uri, generic_options=FRESH_CONNECTION) as client,
        RawFlight(server.data_port) as raw,
    ):
        listed = set(fc.names(client))
        by_dataset: dict[str, list[DatasetOracle]] = {}
        for writer in writers:
            by_dataset.setdefault(writer.oracle.name, []).append(writer.oracle)
        for name, oracles in by_dataset.items():
            table = fc.scan(client, name) if name in listed else None
            for oracle in oracles:
                oracle.expect(table)
            live = np.concatenate([oracle.live() for oracle in oracles])
            found = table.num_rows if table is not None else 0
            assert found == len(live), (
                f"{name}: {found} rows scanned, {len(live)} known: phantom rows outside all writers' ids"
            )
            rows += found
            if table is None:
                continue
            assert raw.rows(name) == found, f"{name}: GetFlightInfo disagrees with the scan"
            for oracle in oracles:
                check_samples(client, raw, oracle, rng)
    return rows


def check_samples(client: flight.FlightClient, raw: RawFlight, oracle: DatasetOracle, rng: np.random.Generator) -> None:
    live, gone = oracle.live(), oracle.gone()
    for id in rng.choice(live, min(6, len(live)), replace=False).tolist():
        version = np.array([oracle.current[id - oracle.first]])
        vector = oracle.rows.vectors(np.array([id]), version)[0]
        got = fc.scan(client, oracle.name, [{"field": "id", "op": "=", "value": id}])
        assert got["version"].to_pylist() == version.tolist(), f"{oracle.name}: get of row {id}"
        assert fc.search(client, oracle.name, vector, 1) == [(id, 1.0)], f"{oracle.name}: search for row {id}"
        assert fc.action_json(client, "VectorSearchByID", {"dataset": oracle.name, "id": id, "k": 1})["ids"] == [id]
    for id in rng.choice(gone, min(4, len(gone)), replace=False).tolist():
        assert fc.scan(client, oracle.name, [{"field": "id", "op": "=", "value": id}]).num_rows == 0, (
            f"{oracle.name}: row {id} is deleted"
        )
        raw.do_action("VectorSearchByID", {"dataset": oracle.name, "id": id, "k": 1}).expect("NOT_FOUND")


@pytest.mark.timeout(600)
def test_sigkill_loop(make_server, record_property):
    seed = int(os.environ.get("LONGBOW_TEST_SEED", time.time_ns() % 2**32))
    print(f"\nseed {seed}: repeat with LONGBOW_TEST_SEED={seed}")
    record_property("seed", seed)
    rng = np.random.default_rng(seed)
    # Two writers share a dataset, one has its own, one drops its dataset now and then.
    plan = [("shared", 0, False), ("shared", 1_000_000, False), ("own", 0, False), ("dropped", 0, True)]
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
        end = time.monotonic() + rng.uniform(0.05, 1.2)
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
                raise AssertionError(f"kill {number}, seed {seed}, {writer.oracle.name}") from writer.failure
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
        "index_threads": int(rng.integers(1, 3)),
        "write_threads": int(rng.integers(1, 4)),
    }


def quiet_snapshot(uri: str) -> None:
    try:
        with flight.connect(uri, generic_options=FRESH_CONNECTION) as client:
            fc.action(client, "ForceSnapshot")
    except (flight.FlightError, pa.ArrowException, OSError):
        pass  # the server was killed meanwhile, as planned


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
