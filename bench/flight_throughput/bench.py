"""DoPut and DoGet of Longbow beside a bare Flight server and the disk, alternating in one run.

    build/venv/bin/python bench/flight_throughput/bench.py [--runs 5] [--rows 60000] [--dimension 384] [--batch-rows 4096]

Longbow acknowledges a put when every row is on stable storage (fdatasync) and visible. The bare sink is pyarrow's own
FlightServerBase in a process of its own, which reads batches and throws them away; the bare source sends a table it holds
in memory. The disk's rate is a sequential write of the same bytes in 4 MiB pieces with one fdatasync at the end, to the
file system of the data folder. One client, one stream, loopback. Prints a table and appends one JSON line to
bench/results/flight_throughput.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.flight as fl

REPOSITORY = Path(__file__).resolve().parents[2]

BARE_SERVER = """
import sys, pyarrow as pa, pyarrow.flight as fl
class Bare(fl.FlightServerBase):
    table = None
    def do_put(self, context, descriptor, reader, writer):
        batches = []
        keep = descriptor.path[0] == b"keep"
        while True:
            try:
                chunk = reader.read_chunk()
            except StopIteration:
                break
            if keep:
                batches.append(chunk.data)
        if keep:
            Bare.table = pa.Table.from_batches(batches)
    def do_get(self, context, ticket):
        return fl.RecordBatchStream(Bare.table)
server = Bare("grpc://127.0.0.1:0")
print(server.port, flush=True)
server.serve()
"""


def make_table(rows: int, dimension: int) -> pa.Table:
    values = np.random.default_rng(7).standard_normal(rows * dimension, dtype=np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values), dimension)
    return pa.table({"id": pa.array(np.arange(rows)), "vector": vectors})


def put(client: fl.FlightClient, name: str, table: pa.Table, batch_rows: int) -> float:
    started = time.perf_counter()
    writer, reader = client.do_put(fl.FlightDescriptor.for_path(name), table.schema)
    writer.write_table(table, max_chunksize=batch_rows)
    writer.done_writing()
    reader.read()
    writer.close()
    return table.nbytes / (time.perf_counter() - started) / 1e6


def get(client: fl.FlightClient, ticket: bytes, table: pa.Table) -> float:
    started = time.perf_counter()
    rows = sum(chunk.data.num_rows for chunk in client.do_get(fl.Ticket(ticket)))
    took = time.perf_counter() - started
    if rows != table.num_rows:
        raise SystemExit(f"got {rows} rows, expected {table.num_rows}")
    return table.nbytes / took / 1e6


def disk_write(folder: Path, size_bytes: int) -> float:
    piece = os.urandom(4 << 20)
    path = folder / "disk.bin"
    started = time.perf_counter()
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    try:
        for _ in range(size_bytes // len(piece)):
            os.write(descriptor, piece)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    rate = size_bytes // len(piece) * len(piece) / (time.perf_counter() - started) / 1e6
    path.unlink()
    return rate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--batch-rows", type=int, default=4096)
    options = parser.parse_args()
    binary = os.environ.get("LONGBOW_BIN", str(REPOSITORY / "build/release/bin/longbow"))
    table = make_table(options.rows, options.dimension)
    figures: dict[str, list[float]] = {"put": [], "bare_put": [], "disk_write": [], "get": [], "bare_get": []}
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        bare = subprocess.Popen([sys.executable, "-c", BARE_SERVER], stdout=subprocess.PIPE, text=True)
        longbow = subprocess.Popen(
            [binary, "serve", "--listen-addr=127.0.0.1:0", "--meta-addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0",
             f"--data-path={folder}/data", "--log-level=warn"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            bare_client = fl.connect(f"grpc://127.0.0.1:{bare.stdout.readline().strip()}")
            ready = dict(part.split("=", 1) for part in longbow.stdout.readline().split()[2:])
            client = fl.connect(f"grpc://{ready['data']}")
            put(bare_client, "keep", table, options.batch_rows)
            for run in range(options.runs):
                figures["put"].append(put(client, f"run{run}", table, options.batch_rows))
                figures["get"].append(get(client, f"run{run}".encode(), table))
                list(client.do_action(fl.Action("delete-dataset", json.dumps({"dataset": f"run{run}"}).encode())))
                figures["bare_put"].append(put(bare_client, "sink", table, options.batch_rows))
                figures["bare_get"].append(get(bare_client, b"kept", table))
                figures["disk_write"].append(disk_write(Path(folder), table.nbytes))
        finally:
            for process in (bare, longbow):
                process.terminate()
                process.wait(timeout=30)
    summary = {
        name: {"median": round(statistics.median(values)), "min": round(min(values)), "max": round(max(values))}
        for name, values in figures.items()
    }
    for name, figure in summary.items():
        print(f"{name:>11}  {figure['median']:>6} MB/s  [{figure['min']}..{figure['max']}]")
    floor = min(summary["bare_put"]["median"], summary["disk_write"]["median"])
    print(f"put / min(bare sink, disk) = {summary['put']['median'] / floor:.2f};  "
          f"get / bare source = {summary['get']['median'] / summary['bare_get']['median']:.2f}")  # fmt: skip
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)
    line = {
        "benchmark": "flight_throughput", "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(), "binary": Path(os.environ.get("LONGBOW_BIN", "release")).name,
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()},
        "parameters": vars(options), "table_mb": round(table.nbytes / 1e6), "mb_per_s": figures, "summary": summary,
    }  # fmt: skip
    results = REPOSITORY / "bench/results/flight_throughput.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a") as out:
        out.write(json.dumps(line) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
