"""Searches while rows stream into the same dataset at full rate, beside the same searches without.

    build/venv/bin/python bench/ingest_search/bench.py --base vectors.npy --queries queries.npy [--rows 100000]
        [--dimension 384] [--clients 1] [--rounds 3] [--seconds 8]

The dataset is put first and the server left alone until its graph is sealed. Then rounds of two phases of the same length
alternate: searches alone, and searches while one more process puts new rows, stream after stream, as fast as they are
acknowledged. Rows are the base's first dimensions, repeated with small noise. Each search client is a process with one
DoExchange stream and one search at a time, k 10. Server, search clients and the putting client share the machine's cores;
nothing is pinned. After a phase with puts the server is left to link what came. CPU seconds are told apart because other
programs may use the machine too. Prints a table and appends one JSON line to bench/results/ingest_search.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

import flight_calls as fc  # noqa: E402
from longbow_server import LongbowServer, wait_until  # noqa: E402

BATCH_ROWS = 4096
STREAM_BATCHES = 8


def search_client(uri: str, queries: np.ndarray, seconds: float, out: multiprocessing.Queue) -> None:
    """One search at a time; puts (latencies in seconds, CPU seconds) into `out`."""
    batches = [fc.exchange_query("d", query, k=pa.array([10], pa.int32())) for query in queries]
    latencies = []
    with flight.connect(uri) as client:
        writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(b"VectorSearch"))
        writer.begin(batches[0].schema)
        cpu, end = time.process_time(), time.perf_counter() + seconds
        while (begin := time.perf_counter()) < end:
            writer.write_batch(batches[len(latencies) % len(batches)])
            hits = reader.read_chunk().data
            latencies.append(time.perf_counter() - begin)
            assert hits.num_rows == 10, hits
        cpu = time.process_time() - cpu
        writer.done_writing()
        writer.close()
    out.put((latencies, cpu))


def put_client(uri: str, base: np.ndarray, first_id: int, seconds: float, out: multiprocessing.Queue) -> None:
    """Streams of new rows until the time is over; puts (rows acknowledged, seconds, CPU seconds, refusals) into `out`."""
    random = np.random.default_rng(first_id)
    rows = BATCH_ROWS * STREAM_BATCHES
    vectors = base[random.integers(0, len(base), rows)] + random.normal(0, 0.01, (rows, base.shape[1])).astype(
        np.float32
    )
    done = refused = 0
    with flight.connect(uri) as client:
        cpu, begin = time.process_time(), time.perf_counter()
        while time.perf_counter() - begin < seconds:
            table = fc.vector_table(vectors, ids=pa.array(np.arange(first_id + done, first_id + done + rows)))
            sent = 0
            try:
                writer, reader = client.do_put(flight.FlightDescriptor.for_path("d"), table.schema)
                for batch in table.to_batches(BATCH_ROWS):
                    if time.perf_counter() - begin >= seconds:
                        break
                    writer.write_batch(batch)
                    sent += batch.num_rows
                writer.done_writing()
                reader.read()
                writer.close()
                done += sent
            except pa.ArrowInvalid:  # RESOURCE_EXHAUSTED: the index is too far behind; a part may have been taken
                refused += 1
                time.sleep(1)
        took = time.perf_counter() - begin
        cpu = time.process_time() - cpu
    out.put((done, took, cpu, refused))


def metric(server: LongbowServer, name: str) -> float:
    found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", server.http("GET", "/metrics")[2], re.M)
    return float(found[1]) if found else 0.0


def phase(server: LongbowServer, arguments, base, queries, first_id: int | None) -> dict:
    """Searches for some seconds; with `first_id`, while rows from that id on are put."""
    out = multiprocessing.Queue()
    puts = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(
            target=search_client, args=(server.data_uri, queries[i :: arguments.clients], arguments.seconds, out)
        )
        for i in range(arguments.clients)
    ]
    if first_id is not None:
        workers.append(
            multiprocessing.Process(target=put_client, args=(server.data_uri, base, first_id, arguments.seconds, puts))
        )
    cpu = server.cpu_seconds()
    for worker in workers:
        worker.start()
    tails = []
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        time.sleep(min(1.0, max(0.0, end - time.monotonic())))
        tails.append(metric(server, "longbow_index_queue_depth"))
    answers = [out.get() for _ in range(arguments.clients)]
    ingested = puts.get() if first_id is not None else (0, arguments.seconds, 0.0, 0)
    for worker in workers:
        worker.join()
    latencies = np.sort(np.concatenate([np.array(latency) for latency, _ in answers]))
    return {
        "qps": round(len(latencies) / arguments.seconds, 1),
        "p50_ms": round(1e3 * float(np.quantile(latencies, 0.5)), 3),
        "p99_ms": round(1e3 * float(np.quantile(latencies, 0.99)), 3),
        "rows_put": ingested[0],
        "rows_put_per_s": round(ingested[0] / ingested[1]),
        "tail_rows": tails,
        "server_cpu_s": round(server.cpu_seconds() - cpu, 2),
        "search_clients_cpu_s": round(sum(used for _, used in answers), 2),
        "put_client_cpu_s": round(ingested[2], 2),
        "puts_refused": ingested[3],
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--settle-s", type=float, default=600, help="at most so long until rows are linked")
    arguments = parser.parse_args()
    base = np.load(arguments.base, mmap_mode="r")[: arguments.rows, : arguments.dimension].astype(np.float32)
    queries = np.load(arguments.queries, mmap_mode="r")[:, : arguments.dimension].astype(np.float32)
    phases: dict[str, list[dict]] = {"idle": [], "ingesting": []}
    with tempfile.TemporaryDirectory() as folder:
        server = LongbowServer(Path(folder) / "data")
        server.start()
        try:
            with flight.connect(server.data_uri) as client:
                fc.put(client, "d", fc.vector_table(base), max_chunksize=BATCH_ROWS)
            settle = lambda: wait_until(  # noqa: E731
                lambda: metric(server, "longbow_index_queue_depth") == 0, arguments.settle_s, "rows are linked", 0.5
            )
            settle()
            wait_until(
                lambda: metric(server, "longbow_graph_seals_total") >= 1, arguments.settle_s, "a graph is sealed", 0.5
            )
            time.sleep(2)
            first_id = arguments.rows
            for _ in range(arguments.rounds):
                phases["idle"].append(phase(server, arguments, base, queries, None))
                phases["ingesting"].append(phase(server, arguments, base, queries, first_id))
                first_id += 10_000_000
                for name, runs in phases.items():
                    print(
                        f"{name:>10}", {key: value for key, value in runs[-1].items() if key != "tail_rows"}, flush=True
                    )
                settle()
        finally:
            server.close()
    median = {
        name: {
            key: statistics.median(run[key] for run in runs) for key in ("qps", "p50_ms", "p99_ms", "rows_put_per_s")
        }
        for name, runs in phases.items()
    }
    ratio = {
        "qps": round(statistics.median(b["qps"] / a["qps"] for a, b in zip(*phases.values(), strict=True)), 3),
        "p99": round(statistics.median(b["p99_ms"] / a["p99_ms"] for a, b in zip(*phases.values(), strict=True)), 3),
    }
    print(
        f"while ingesting {median['ingesting']['rows_put_per_s']:.0f} rows/s: QPS x {ratio['qps']}, p99 x {ratio['p99']}"
    )
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)
    line = {
        "benchmark": "ingest_search", "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(), "binary": Path(os.environ.get("LONGBOW_BIN", "release")).name,
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "parameters": {key: value.name if isinstance(value, Path) else value for key, value in vars(arguments).items()},
        "phases": phases, "median": median, "ratio": ratio,
    }  # fmt: skip
    with open(REPOSITORY / "bench" / "results" / "ingest_search.json", "a") as out:
        out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
