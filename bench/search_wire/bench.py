"""Searches over the wire beside the same searches in the process: what the doors cost.

    build/venv/bin/python bench/search_wire/bench.py --base vectors.npy --queries queries.npy [--metric cosine]
        [--rows 100000] [--ef 64] [--rounds 5] [--seconds 4]

In the process: `longbow bench index --state engine`, the same function over the same rows, as many threads as the machine
has cores. Over the wire, on loopback, server and client sharing those cores: our search service with one stream (a client
of our own that costs little), with several searches on their way, with batches of 100 and with one at a time; and one
search at a time from Python by a unary call (grpcio), Flight's DoExchange and Flight's VectorSearch action with JSON
(pyarrow). The measurements take turns, round by round; the CPU time of client and server is told apart. Prints a table and appends
one JSON line to bench/results/search_wire.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

import flight_calls as fc  # noqa: E402
from longbow_server import LongbowServer, binary, wait_until  # noqa: E402
from search_client import SERVICE, SearchClient  # noqa: E402

K = 10
BATCH = 100
Latencies = list[float]
# name: (file of requests, queries in each, requests on their way)
STREAMS = {
    "stream, 16 on their way": ("single", 1, 16),
    "stream, batches of 100": ("batches", BATCH, 3),
    "stream, one at a time": ("single", 1, 1),
}


def write_requests(path: Path, requests: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(len(request).to_bytes(4, "little") + request for request in requests))
    return path


class InProcess:
    """`longbow bench index`, which answers one run each time it is told to."""

    def __init__(self, options: argparse.Namespace, binary: str, report: Path):
        self.report = report
        self.process = subprocess.Popen(
            [binary, "bench", "index", "--base", options.base, "--query", options.queries, "--metric", options.metric]
            + ["--state", "engine", "--k", str(K), "--ef", str(options.ef), "--threads", str(os.cpu_count())]
            + ["--runs", str(options.rounds), "--min-time", f"{options.seconds}s", "--step", "--json", str(report)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> None:
        while (line := self.process.stdout.readline()) and line.strip() != "ready":
            pass

    def run(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.wait()

    def points(self) -> dict:
        self.process.wait()
        return json.loads(self.report.read_text())


def build_load() -> Path:
    """The client that costs little itself: rust/door/examples/grpc_load.rs."""
    folder = REPOSITORY / "build/rust-bench"
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", "--package", "door", "--example", "grpc_load"],
        cwd=REPOSITORY / "rust",
        env=os.environ | {"CARGO_TARGET_DIR": str(folder)},
        check=True,
    )
    return folder / "release/examples/grpc_load"


def run_load(load: Path, server: LongbowServer, requests: Path, in_flight: int, seconds: float) -> dict:
    """One SearchStream with `in_flight` requests on their way; what grpc_load prints."""
    arguments = [
        f"127.0.0.1:{server.data_port}",
        f"/{SERVICE}/SearchStream",
        str(requests),
        str(in_flight),
        str(seconds),
    ]
    return json.loads(subprocess.run([load, *arguments], check=True, capture_output=True, text=True).stdout)


def one_by_one(ask: Callable[[int], None], seconds: float) -> Latencies:
    latencies = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        ask(len(latencies))
        latencies.append(time.perf_counter() - begin)
    return latencies


class Doors:
    """Each way to ask one question over the wire, open for as long as this lives."""

    def __init__(self, server: LongbowServer, queries: np.ndarray, ef: int):
        self.client = SearchClient(f"127.0.0.1:{server.data_port}")
        make = self.client.request
        self.single = [make("d", query, k=K, ef=ef).SerializeToString() for query in queries]
        self.batches = [
            make("d", queries[i : i + BATCH], k=K, ef=ef).SerializeToString()
            for i in range(0, len(queries) - BATCH + 1, BATCH)
        ]
        self.unary = self.client.channel.unary_unary(f"/{SERVICE}/Search", None, None)
        self.flight = flight.connect(server.data_uri)
        self.rows = [
            fc.exchange_query("d", query, k=pa.array([K], pa.int32()), ef=pa.array([ef], pa.int32()))
            for query in queries
        ]
        self.bodies = [
            json.dumps({"dataset": "d", "vector": query.tolist(), "k": K, "ef": ef}).encode() for query in queries
        ]

    def is_sealed(self, query: np.ndarray) -> bool:
        return '"sealed"' in self.client.search("d", query, k=K, explain=True).explanations

    def by_unary(self, number: int) -> None:
        self.unary(self.single[number % len(self.single)])

    def by_json(self, number: int) -> None:
        list(self.flight.do_action(flight.Action("VectorSearch", self.bodies[number % len(self.bodies)])))

    def measure_exchange(self, seconds: float) -> Latencies:
        writer, reader = self.flight.do_exchange(flight.FlightDescriptor.for_command(b"VectorSearch"))
        writer.begin(self.rows[0].schema)

        def ask(i: int) -> None:
            writer.write_batch(self.rows[i % len(self.rows)])
            reader.read_chunk()

        latencies = one_by_one(ask, seconds)
        writer.done_writing()
        writer.close()
        return latencies


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def queue_depth(server: LongbowServer) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=10) as answer:
        return float(re.search(r"^longbow_index_queue_depth(?:{.*})? (\S+)", answer.read().decode(), re.M)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--queries", required=True)
    parser.add_argument("--metric", default="cosine", choices=["cosine", "ip", "l2"])
    parser.add_argument("--ef", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    base = np.load(options.base).astype(np.float32)
    queries = np.load(options.queries).astype(np.float32)
    wire_metric = {"cosine": "cosine", "ip": "dot_product", "l2": "euclidean"}[options.metric]

    with tempfile.TemporaryDirectory() as folder:
        inside = InProcess(options, str(binary()), Path(folder) / "report.json")
        inside.wait()
        server = LongbowServer(Path(folder) / "data")
        server.start()
        with flight.connect(server.data_uri) as client:
            for first in range(0, len(base), 8192):
                rows = base[first : first + 8192]
                fc.put(
                    client,
                    "d",
                    fc.vector_table(rows, ids=pa.array(np.arange(first, first + len(rows))), metric=wire_metric),
                )
        wait_until(lambda: queue_depth(server) == 0, 900, "the graph is linked")
        doors = Doors(server, queries, options.ef)
        wait_until(lambda: doors.is_sealed(queries[0]), 900, "the graph is sealed", interval_s=2)
        load = build_load()
        files = {
            "single": write_requests(Path(folder) / "single", doors.single),
            "batches": write_requests(Path(folder) / "batches", doors.batches),
        }
        streams: dict[str, list[dict]] = {name: [] for name in STREAMS}
        doors_p50: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            inside.run()
            for name, (requests, queries_each, in_flight) in STREAMS.items():
                spent = cpu_seconds(server.process.pid)
                run = run_load(load, server, files[requests], in_flight, options.seconds)
                asked = run["answers"] * queries_each
                run["qps"] = asked / run["seconds"]
                run["client_cpu_us"] = 1e6 * run["cpu_seconds"] / asked
                run["server_cpu_us"] = 1e6 * (cpu_seconds(server.process.pid) - spent) / asked
                streams[name].append(run)
            for name, measured in (
                ("unary", one_by_one(doors.by_unary, options.seconds)),
                ("DoExchange", doors.measure_exchange(options.seconds)),
                ("VectorSearch action", one_by_one(doors.by_json, options.seconds)),
            ):
                doors_p50.setdefault(name, []).append(1e6 * statistics.median(measured))
        report = inside.points()
        server.stop()

    curves = [run["curve"][0] for run in report["runs"]]
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "data": f"{Path(options.base).parent.name}, {len(base)} x {base.shape[1]}, {options.metric}, k {K}, ef {options.ef}",
        "recall": report["curve"][0]["recall"],
        "in_process_qps": [point["qps_wall"] for point in curves],
        "streams": streams,
        "p50_us": doors_p50,
    }
    inside_qps = statistics.median(result["in_process_qps"])
    print(f"in the process: {inside_qps:.0f} QPS, recall {result['recall']:.4f}")
    for name, runs in streams.items():
        ratios = [run["qps"] / process for run, process in zip(runs, result["in_process_qps"], strict=True)]
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(
            f"{name}: {middle['qps']:.0f} QPS, x {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}], p50 "
            f"{middle['p50_us']:.0f} us; CPU a query: server {middle['server_cpu_us']:.0f} us, client {middle['client_cpu_us']:.0f} us"
        )
    for name, values in doors_p50.items():
        print(f"{name}: p50 {statistics.median(values):.0f} us [{min(values):.0f}-{max(values):.0f}]")
    results = REPOSITORY / "bench/results/search_wire.json"
    with results.open("a") as out:
        out.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
