"""A collection larger than its memory budget beside the same one in memory: recall, latency, what is held.

    build/venv/bin/python bench/memory/bench.py [--base ROWS.npy --query QUERIES.npy --metric cosine] [--limit]
        [--budget-percent 35] [--rival PYTHON]

Two servers take the rows, one with max_memory = so many per cent of them as float32, one with the default. Without --base
rows are made: points around some thousand centres, which stand around some dozens of their own, unit length, as text
embeddings have it; queries are made the same way. Once no more graph is built or moved for a while, queries alternate between
all in blocks; recall is against numpy's exact answers. CPU is that of the whole server over its queries.

--limit puts the first server into a control group whose limit is the budget and --limit-room of it, so that its page cache is
bounded too. --rival: the Python of a virtual environment with diskannpy, whose disk index then takes part in a process of its
own, with the same search budget (and control group): without a network, and built with as much memory as it likes.
Prints the report and appends it as one JSON line to bench/results/memory.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
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


def nearest(rows: np.ndarray, queries: np.ndarray, k: int, metric: str) -> np.ndarray:
    """[queries, k] row numbers, in any order."""
    best = np.empty((len(queries), 0), np.float32)
    ids = np.empty((len(queries), 0), np.int64)
    for begin in range(0, len(rows), 65_536):
        part = rows[begin : begin + 65_536]
        products = queries @ part.T
        if metric == "euclidean":
            products -= np.einsum("ij,ij->i", part, part) / 2
        elif metric == "cosine":
            products /= np.linalg.norm(part, axis=1)
        best = np.concatenate([best, products], axis=1)
        ids = np.concatenate(
            [ids, np.broadcast_to(np.arange(begin, begin + products.shape[1]), products.shape)], axis=1
        )
        top = np.argpartition(-best, k - 1, axis=1)[:, :k]
        best, ids = np.take_along_axis(best, top, 1), np.take_along_axis(ids, top, 1)
    return ids


def read_set(arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    if arguments.base is None:
        return (
            make_rows(arguments.rows, arguments.dimension, 2),
            make_rows(arguments.queries, arguments.dimension, 3),
        )
    rows = np.ascontiguousarray(np.load(arguments.base)[: arguments.rows], np.float32)
    queries = np.ascontiguousarray(np.load(arguments.query)[: arguments.queries], np.float32)
    return rows, queries


class Rival:
    """disk_rival.py, told what to ask."""

    def __init__(self, python: Path, rows: np.ndarray, queries: np.ndarray, folder: Path, options: tuple[int, int]):
        (folder / "index").mkdir(parents=True, exist_ok=True)
        np.save(folder / "base.npy", rows)
        np.save(folder / "query.npy", queries)
        script = Path(__file__).with_name("disk_rival.py")
        arguments = [folder / "base.npy", folder / "query.npy", folder / "index", *options]
        with open(folder / "log", "w") as log:
            self.process = subprocess.Popen(
                [str(x) for x in (python, script, *arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.pid = self.process.pid
        self.built = self.read()

    def read(self) -> dict:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the rival ended; its log is in its folder")
        return json.loads(line)

    def ask(self, begin: int, end: int, answers: list, seconds: list) -> float:
        assert self.process.stdin is not None
        print(begin, end, file=self.process.stdin, flush=True)
        said = self.read()
        answers += said["ids"]
        seconds += said["seconds"]
        return said["cpu"]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def memory(pid: int) -> dict[str, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    return {
        key: int(re.search(rf"^{name}:\s+(\d+) kB", status, re.M)[1]) * 1024
        for key, name in (("rss", "VmRSS"), ("anonymous", "RssAnon"), ("file", "RssFile"))
    }


def metric(server: LongbowServer, name: str) -> float:
    return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", server.http("GET", "/metrics")[2], re.M)[1])


def load(server: LongbowServer, rows: np.ndarray, metric_name: str) -> dict:
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
                ids = pa.array(np.arange(first, first + len(some)), pa.int64())
                fc.put(client, "d", fc.vector_table(some, ids, metric_name))
                first += len(some)
            except pa.ArrowInvalid as error:
                assert "retry in" in str(error), error
                refused += 1
                time.sleep(0.5)
    put_s = time.monotonic() - begin
    names = ("longbow_graph_seals_total", "longbow_compactions_total", "longbow_segments_moved_to_files_total")
    quiet_since, seen, worked = time.monotonic(), None, server.cpu_seconds()
    while time.monotonic() - quiet_since < 12 and time.monotonic() - begin < 1200:
        now = [metric(server, name) for name in names] + [metric(server, "longbow_index_queue_depth")]
        if now != seen or server.cpu_seconds() - worked > 0.03:  # segments are being joined
            quiet_since, seen = time.monotonic(), now
        worked = server.cpu_seconds()
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


def limit(pid: int, limit_bytes: int) -> Path:
    version_1 = Path("/sys/fs/cgroup/memory")
    old = (version_1 / "memory.limit_in_bytes").exists()
    group = (version_1 if old else Path("/sys/fs/cgroup")) / f"longbow_bench_{pid}"
    group.mkdir()
    (group / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(limit_bytes))
    (group / "cgroup.procs").write_text(str(pid))
    return group


def explain(server: LongbowServer, query: np.ndarray) -> str:
    with flight.connect(server.data_uri) as client:
        return fc.search_table(client, "d", query, 10, explain=True).schema.metadata[b"longbow.explain"].decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--query", type=Path)
    parser.add_argument("--metric", choices=("cosine", "euclidean"), default="cosine")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=384, help="of rows that are made")
    parser.add_argument("--budget-percent", type=int, default=35)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--limit", action="store_true")
    parser.add_argument("--limit-room", type=float, default=0.25)
    parser.add_argument("--rival", type=Path, help="a Python that has diskannpy")
    parser.add_argument("--rival-folder", type=Path, help="its index is kept there, for the same rows and budget")
    parser.add_argument("--rival-complexity", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    rows, queries = read_set(arguments)
    exact = nearest(rows, queries, 10, arguments.metric)
    budget = rows.nbytes * arguments.budget_percent // 100
    limit_bytes = int(budget * (1 + arguments.limit_room))
    groups: list[Path] = []
    result: dict = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        servers = {
            "budget": LongbowServer(Path(folder) / "budget", max_memory=budget),
            "memory": LongbowServer(Path(folder) / "memory"),
        }
        parties: dict[str, LongbowServer | Rival] = {}
        try:
            if arguments.rival is not None:
                kept = arguments.rival_folder or Path(folder) / "rival"
                rival = Rival(arguments.rival, rows, queries, kept, (budget, arguments.rival_complexity))
                parties["rival"], result["rival"] = rival, rival.built
            for name, server in servers.items():
                server.start()
                parties[name] = server
                if name == "budget" and arguments.limit:
                    groups += [limit(party.pid, limit_bytes) for party in parties.values()]
                result[name] = load(server, rows, arguments.metric)
            measure(parties, queries, exact, result)
        finally:
            for party in {**servers, **parties}.values():
                party.close()
            time.sleep(0.5)
            for group in groups:
                group.rmdir()
    report = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": [round(x, 1) for x in os.getloadavg()],
        "base": arguments.base.name if arguments.base else "made",
        "rows": len(rows),
        "dimension": rows.shape[1],
        "metric": arguments.metric,
        "float_bytes": rows.nbytes,
        "budget_bytes": budget,
        "limit_bytes": limit_bytes if arguments.limit else None,
        **result,
    }
    print(json.dumps(report, indent=1))
    with open(REPOSITORY / "bench" / "results" / "memory.json", "a") as out:
        out.write(json.dumps(report) + "\n")


def measure(parties: dict, queries: np.ndarray, exact: np.ndarray, result: dict) -> None:
    """Fills `result` with what each party found and how long it took."""
    found: dict[str, list] = {name: [] for name in parties}
    seconds: dict[str, list] = {name: [] for name in parties}
    cpu = dict.fromkeys(parties, 0.0)

    def turn(name: str, begin: int, end: int, answers: list, times: list) -> float:
        party = parties[name]
        if isinstance(party, Rival):
            return party.ask(begin, end, answers, times)
        return ask(party, queries[begin:end], answers, times)

    for name in parties:
        turn(name, 0, 200, [], [])  # warm
    for begin in range(0, len(queries), 50):
        for name in parties:
            cpu[name] += turn(name, begin, min(begin + 50, len(queries)), found[name], seconds[name])
    for name, party in parties.items():
        hits = [len(set(a) & set(b)) for a, b in zip(found[name], exact.tolist(), strict=True)]
        result[name] |= {
            "recall": round(float(np.mean(hits)) / 10, 4),
            **{f"p{p}_ms": round(float(np.percentile(seconds[name], p)) * 1e3, 3) for p in (50, 90, 99)},
            "cpu_ms": round(cpu[name] / len(queries) * 1e3, 3),
            **memory(party.pid),
        }
        if isinstance(party, LongbowServer):
            graphs = re.findall(r'"graph":\s*"(\w+)"', explain(party, queries[0]))
            result[name]["graphs"] = {kind: graphs.count(kind) for kind in sorted(set(graphs))}


if __name__ == "__main__":
    main()
