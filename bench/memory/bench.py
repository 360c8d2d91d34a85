"""A collection larger than its memory budget beside the same one in memory: recall, latency, what is held.

    build/venv/bin/python bench/memory/bench.py [--rows 200000] [--dimension 384] [--budget-percent 35] [--limit]

Rows are made: points around some thousand centres, which stand around some dozens of their own, unit length, as text embeddings have it;
queries are made the same way. Two servers take them, one with max_memory = so many per cent of the rows as float32, one with the default.
Once no more graph is built or moved for a while, queries alternate between the two in blocks; recall is against numpy's exact answers. CPU is that of the
whole server over its queries. `--limit` puts the first into a control group whose limit is the budget and `--limit-room` of it, so
that its page cache is bounded too. Prints a table and appends one JSON line to bench/results/memory.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

import flight_calls as fc  # noqa: E402
from longbow_server import LongbowServer  # noqa: E402

MIB = 1 << 20
BATCH_ROWS = 2_000


def make_rows(rows: int, dimension: int, seed: int) -> np.ndarray:
    centres_of = np.random.default_rng(1)
    groups = centres_of.normal(0, 1, (48, dimension)).astype(np.float32)
    centres = groups[centres_of.integers(0, 48, 4096)] + centres_of.normal(0, 0.6, (4096, dimension)).astype(np.float32)
    random = np.random.default_rng(seed)
    out = np.empty((rows, dimension), np.float32)
    for begin in range(0, rows, 65_536):
        end = min(rows, begin + 65_536)
        out[begin:end] = centres[random.integers(0, len(centres), end - begin)]
        out[begin:end] += random.normal(0, 0.5, (end - begin, dimension)).astype(np.float32)
        out[begin:end] /= np.linalg.norm(out[begin:end], axis=1, keepdims=True)
    return out


def nearest(rows: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    best = np.empty((len(queries), 0), np.float32)
    ids = np.empty((len(queries), 0), np.int64)
    for begin in range(0, len(rows), 65_536):
        products = queries @ rows[begin : begin + 65_536].T
        best = np.concatenate([best, products], axis=1)
        ids = np.concatenate(
            [ids, np.broadcast_to(np.arange(begin, begin + products.shape[1]), products.shape)], axis=1
        )
        top = np.argpartition(-best, k - 1, axis=1)[:, :k]
        best, ids = np.take_along_axis(best, top, 1), np.take_along_axis(ids, top, 1)
    return ids


def memory(pid: int) -> dict[str, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    return {
        key: int(re.search(rf"^{name}:\s+(\d+) kB", status, re.M)[1]) * 1024
        for key, name in (("rss", "VmRSS"), ("anonymous", "RssAnon"), ("file", "RssFile"))
    }


def metric(server: LongbowServer, name: str) -> float:
    return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", server.http("GET", "/metrics")[2], re.M)[1])


def load(server: LongbowServer, rows: np.ndarray) -> dict:
    """Puts all rows, again where they are refused, then waits until graphs are at rest."""
    begin, refused, peak, done = time.monotonic(), 0, 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, memory(server.pid)["anonymous"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    with flight.connect(server.data_uri) as client:
        first = 0
        while first < len(rows):
            some = rows[first : first + BATCH_ROWS]
            try:
                fc.put(client, "d", fc.vector_table(some, pa.array(np.arange(first, first + len(some)), pa.int64())))
                first += len(some)
            except pa.ArrowInvalid as error:
                assert "retry in" in str(error) or "index" in str(error), error
                refused += 1
                time.sleep(0.5)
    put_s = time.monotonic() - begin
    names = ("longbow_graph_seals_total", "longbow_compactions_total", "longbow_segments_moved_to_files_total")
    quiet_since, seen = time.monotonic(), None
    while time.monotonic() - quiet_since < 12 and time.monotonic() - begin < 1200:
        now = [metric(server, name) for name in names] + [metric(server, "longbow_index_queue_depth")]
        if now != seen:
            quiet_since, seen = time.monotonic(), now
        time.sleep(0.5)
    done.set()
    watcher.join()
    return {"put_s": round(put_s, 1), "rest_s": round(time.monotonic() - begin, 1), "refused": refused, "peak": peak}


def ask(server: LongbowServer, queries: np.ndarray, answers: list, seconds: list) -> float:
    before = server.cpu_seconds()
    with flight.connect(server.data_uri) as client:
        for query in queries:
            begin = time.perf_counter()
            found = fc.search(client, "d", query, 10)
            seconds.append(time.perf_counter() - begin)
            answers.append([hit[0] for hit in found])
    return server.cpu_seconds() - before


def limit(server: LongbowServer, limit_bytes: int) -> Path:
    version_1 = Path("/sys/fs/cgroup/memory")
    old = (version_1 / "memory.limit_in_bytes").exists()
    group = (version_1 if old else Path("/sys/fs/cgroup")) / f"longbow_bench_{os.getpid()}"
    group.mkdir()
    (group / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(limit_bytes))
    (group / "cgroup.procs").write_text(str(server.pid))
    return group


def explain(server: LongbowServer, query: np.ndarray) -> str:
    with flight.connect(server.data_uri) as client:
        return fc.search_table(client, "d", query, 10, explain=True).schema.metadata[b"longbow.explain"].decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--budget-percent", type=int, default=35)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--limit", action="store_true")
    parser.add_argument("--limit-room", type=float, default=0.25)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    rows = make_rows(arguments.rows, arguments.dimension, 2)
    queries = make_rows(arguments.queries, arguments.dimension, 3)
    exact = nearest(rows, queries, 10)
    budget = rows.nbytes * arguments.budget_percent // 100
    group = None
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        servers = {
            "budget": LongbowServer(Path(folder) / "budget", max_memory=budget),
            "memory": LongbowServer(Path(folder) / "memory"),
        }
        result: dict = {name: {} for name in servers}
        try:
            for name, server in servers.items():
                server.start()
                if name == "budget" and arguments.limit:
                    group = limit(server, int(budget * (1 + arguments.limit_room)))
                result[name] |= load(server, rows)
            found: dict[str, list] = {name: [] for name in servers}
            seconds: dict[str, list] = {name: [] for name in servers}
            cpu = dict.fromkeys(servers, 0.0)
            for server in servers.values():
                ask(server, queries[:200], [], [])  # warm
            for begin in range(0, len(queries), 50):
                for name, server in servers.items():
                    cpu[name] += ask(server, queries[begin : begin + 50], found[name], seconds[name])
            for name, server in servers.items():
                hits = [len(set(a) & set(b)) for a, b in zip(found[name], exact.tolist(), strict=True)]
                graphs = re.findall(r'"graph":\s*"(\w+)"', explain(server, queries[0]))
                result[name] |= {
                    "recall": round(float(np.mean(hits)) / 10, 4),
                    "p50_ms": round(float(np.percentile(seconds[name], 50)) * 1e3, 3),
                    "p99_ms": round(float(np.percentile(seconds[name], 99)) * 1e3, 3),
                    "cpu_ms": round(cpu[name] / len(queries) * 1e3, 3),
                    "graphs": {kind: graphs.count(kind) for kind in set(graphs)},
                    **memory(server.pid),
                }
        finally:
            for server in servers.values():
                server.close()
            if group is not None:
                time.sleep(0.5)
                group.rmdir()
    report = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": [round(x, 1) for x in os.getloadavg()],
        "rows": arguments.rows,
        "dimension": arguments.dimension,
        "budget_bytes": budget,
        "limit_bytes": int(budget * (1 + arguments.limit_room)) if arguments.limit else None,
        **result,
    }
    print(json.dumps(report, indent=1))
    with open(REPOSITORY / "bench" / "results" / "memory.json", "a") as out:
        out.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
