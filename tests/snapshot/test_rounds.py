"""Snapshot, wipe, restore, under writes, round after round: what comes back is the state at the snapshot's record.

LONGBOW_TEST_ROUNDS sets how many (20 for each place), LONGBOW_TEST_SEED repeats the writes.
"""

from __future__ import annotations

import os
import shutil
import threading
import time

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from longbow_server import LongbowServer, sanitized, wait_until

ROUNDS = int(os.environ.get("LONGBOW_TEST_ROUNDS", 3 if sanitized() else 20))
DATASETS = ("moving", "ns/moving too")
STILL = "still"
STILL_ROWS, DIM, QUERIES, K = 1500, 16, 60, 10
IDS = 400


class Writer:
    """One client whose every operation is one record of the log, so that a record's number tells how many were carried
    out. It knows the content after each."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.states: list[dict[str, dict[int, tuple[bytes, str]]]] = [{name: {} for name in DATASETS}]
        self.stop = threading.Event()
        self.failure: BaseException | None = None

    def change(self, client: flight.FlightClient) -> None:
        rng, state = self.rng, self.states[-1]
        name = DATASETS[int(rng.integers(len(DATASETS)))]
        rows = dict(state[name])
        if rows and rng.random() < 0.3:
            gone = rng.choice(list(rows), min(len(rows), 5), replace=False).tolist()
            self.states.append(state | {name: {id: row for id, row in rows.items() if id not in gone}})
            fc.action(client, "delete", {"dataset": name, "ids": gone})
            return
        ids = rng.choice(IDS, int(rng.integers(1, 60)), replace=False)
        vectors = rng.standard_normal((len(ids), DIM), dtype=np.float32)
        texts = [f"text {rng.integers(1 << 40)}" for _ in ids]
        rows |= {int(id): (vector.tobytes(), text) for id, vector, text in zip(ids, vectors, texts, strict=True)}
        self.states.append(state | {name: rows})
        fc.put(client, name, fc.vector_table(vectors, pa.array(ids, pa.int64()), text=pa.array(texts)))

    def run(self, uri: str) -> None:
        try:
            with flight.connect(uri) as client:
                while not self.stop.is_set():
                    self.change(client)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            if not self.stop.is_set():
                self.failure = error


def content(client: flight.FlightClient, name: str) -> dict[int, tuple[bytes, str]]:
    if name not in fc.names(client):
        return {}
    table = fc.scan(client, name)
    vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, DIM)
    ids = table["id"].to_pylist()
    assert len(set(ids)) == len(ids)
    return {
        id: (vector.tobytes(), text) for id, vector, text in zip(ids, vectors, table["text"].to_pylist(), strict=True)
    }


def snapshot(client: flight.FlightClient, target: str) -> dict:
    id = fc.action_json(client, "CreateSnapshot", {"target": target})["id"]
    return wait_for(client, id)


def wait_for(client: flight.FlightClient, id: str) -> dict:
    def ended() -> dict | None:
        status = fc.action_json(client, "SnapshotStatus", {"id": id})
        return status if status["state"] != "running" else None

    return wait_until(ended, 60, f"snapshot {id} ends")


class Still:
    """A dataset that nobody changes, with a graph: its recall must come back with it."""

    def __init__(self, rng: np.random.Generator):
        self.vectors = rng.standard_normal((STILL_ROWS, DIM), dtype=np.float32)
        self.queries = rng.standard_normal((QUERIES, DIM), dtype=np.float32)
        self.right = [set(fc.nearest(self.vectors, query, K)) for query in self.queries]

    def recall(self, client: flight.FlightClient) -> float:
        wait_until(
            lambda: fc.action_json(client, "check_readiness", {"dataset": STILL})["status"] == "READY", 30, "linked"
        )
        found = [{id for id, _ in fc.search(client, STILL, query, K, ef=K)} for query in self.queries]
        return sum(len(a & b) for a, b in zip(found, self.right, strict=True)) / (K * QUERIES)


@pytest.mark.timeout(600)
def test_rounds(place, make_server, tmp_path, record_property):
    seed = int(os.environ.get("LONGBOW_TEST_SEED", time.time_ns() % 2**32))
    record_property("seed", seed)
    rng = np.random.default_rng(seed)
    writer, still = Writer(rng), Still(rng)
    server: LongbowServer = make_server(tmp_path / "data", start=False, **place.options)
    server.environment = place.environment
    server.start()
    with flight.connect(server.data_uri) as client:
        # The first records: everything there will be, so that later operations are one record each.
        for name in DATASETS:
            table = fc.vector_table(np.zeros((1, DIM), np.float32), pa.array([0], pa.int64()), text=pa.array(["first"]))
            fc.put(client, name, table)
            writer.states[0][name] = {0: (bytes(4 * DIM), "first")}
        fc.put(client, STILL, fc.vector_table(still.vectors))
        first_lsn = snapshot(client, place.target)["lsn"]
    copied = total = written = 0
    for number in range(ROUNDS):
        writer.stop.clear()
        thread = threading.Thread(target=writer.run, args=(server.data_uri,))
        thread.start()
        try:
            with flight.connect(server.data_uri) as client:
                time.sleep(rng.uniform(0, 0.1))
                before = still.recall(client) if number % 5 == 0 else before  # noqa: F821
                acknowledged = len(writer.states) - 2
                status = snapshot(client, place.target)
                issued = len(writer.states) - 1
        finally:
            writer.stop.set()
            thread.join()
        if writer.failure:
            raise AssertionError(f"seed {seed}") from writer.failure
        assert status["state"] == "done", status
        server.kill()
        shutil.rmtree(server.data_dir)
        restored = place.restore(server.data_dir, "--snapshot", status["id"])
        assert restored.returncode == 0, restored.stderr
        server.start()
        prefix = status["lsn"] - first_lsn
        assert acknowledged <= prefix <= issued, "neither older nor newer than when it was taken"
        with flight.connect(server.data_uri) as client:
            for name in DATASETS:
                assert content(client, name) == writer.states[prefix][name], f"{name}, round {number}, seed {seed}"
            scanned = fc.scan(client, STILL).sort_by("id")
            flat = scanned["vector"].combine_chunks().flatten().to_numpy()
            assert flat.tobytes() == still.vectors.tobytes()
            if number % 5 == 0:
                after = still.recall(client)
                assert abs(after - before) <= 0.001, f"recall {before} before, {after} after, seed {seed}"
        written += issued
        del writer.states[prefix + 1 :]
        writer.states = [writer.states[-1]]
        first_lsn = status["lsn"]
        copied, total = copied + status["bytes_copied"], total + status["bytes_total"]
    failed = (
        f", {place.proxy.failed} of {place.proxy.failed + place.proxy.passed} requests failed" if place.proxy else ""
    )
    print(f"{ROUNDS} rounds, {written} writes, {copied} of {total} bytes copied{failed}, seed {seed}")
    assert "a secret" not in server.log_path.read_text()
    if place.proxy:
        assert place.proxy.failed > 10, "the proxy was not in the way"
