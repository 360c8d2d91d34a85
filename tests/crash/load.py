"""Clients that change rows, each with an oracle of what the server may answer, and the check of all of it."""

from __future__ import annotations

import threading
import time

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
from longbow_server import LongbowServer
from oracle import ABSENT, DatasetOracle
from raw_flight import RawFlight

FRESH_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


class Writer:
    """A client that changes its own rows of one dataset until the server is gone.

    `drops`: share of operations that drop the dataset; `large`: share of puts that are half of the rows; `dies`: the server
    may end without being told."""

    def __init__(self, oracle: DatasetOracle, seed: list[int], drops: float, large: float = 0.02, dies: bool = False):
        self.oracle, self.drops, self.large, self.dies = oracle, drops, large, dies
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
                        if not killed.is_set() and not self.dies:
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
        elif dice < 0.25 + self.drops and len(live):
            oracle.begin_drop()
            assert fc.action(client, "delete-dataset", {"dataset": oracle.name}) == [b"deleted"]
        else:
            small = int(rng.choice([1, 1, 2, 5, 20, oracle.count // 8], p=[0.2, 0.2, 0.2, 0.2, 0.13, 0.07]))
            size = oracle.count // 2 if rng.random() < self.large else small
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


def quiet_snapshot(uri: str) -> None:
    quiet_action(uri, "ForceSnapshot")


def quiet_action(uri: str, kind: str, body: dict | None = None) -> None:
    try:
        with flight.connect(uri, generic_options=FRESH_CONNECTION) as client:
            fc.action(client, kind, body)
    except (flight.FlightError, pa.ArrowException, OSError):
        pass  # the server was killed meanwhile, as planned
