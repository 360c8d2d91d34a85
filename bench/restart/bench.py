"""How soon a killed server answers again, and what memory it takes to get there.

    build/venv/bin/python bench/restart/bench.py --base vectors.npy [--rows 1000000] [--dimension 128] [--graph-wait-s 0]
        [--keep folder]

Rows are the base's first dimensions, repeated with small noise until there are enough. They are put, a snapshot is forced, the
server is killed and started again, several times: the first restart may build what was missing, the last ones are what counts.
Time runs from the start of the process to the right answer to a search; memory is that of the process then, its peak until the
files are checked (VmHWM), and what it has afterwards. `--cold` drops the folder's pages from the page cache before each start.
`--keep` names a folder whose data stay, to be measured again without being made again. Prints a table and appends one JSON line to bench/results/restart.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.flight as flight

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

import flight_calls as fc  # noqa: E402
from longbow_server import LongbowServer, wait_until  # noqa: E402


def make_rows(base: Path, rows: int, dimension: int) -> np.ndarray:
    source = np.load(base, mmap_mode="r")[:, :dimension].astype(np.float32)
    random = np.random.default_rng(1)
    out = np.empty((rows, dimension), np.float32)
    for begin in range(0, rows, len(source)):
        count = min(len(source), rows - begin)
        out[begin : begin + count] = source[:count]
        if begin > 0:
            out[begin : begin + count] += random.normal(0, 0.01, (count, dimension)).astype(np.float32)
    return out


def memory(pid: int) -> dict[str, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    return {
        key: int(re.search(rf"^{name}:\s+(\d+) kB", status, re.M)[1]) * 1024
        for key, name in (("rss", "VmRSS"), ("peak", "VmHWM"), ("anonymous", "RssAnon"), ("file", "RssFile"))
    }


def drop_pages(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def metric(server: LongbowServer, name: str) -> float:
    return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", server.http("GET", "/metrics")[2], re.M)[1])


def restart(server: LongbowServer, vectors: np.ndarray, cold: bool) -> dict:
    if cold:
        drop_pages(server.data_dir)
    row = len(vectors) * 7 // 11
    begin = time.monotonic()
    server.start()
    ready = time.monotonic() - begin
    with flight.connect(server.data_uri) as client:
        found = fc.search(client, "d", vectors[row], 1)
    first_answer = time.monotonic() - begin
    cpu = server.cpu_seconds()
    assert found[0][0] == row, found
    at_answer = memory(server.pid)
    files_bytes = sum(
        path.stat().st_size for path in server.data_dir.rglob("*") if path.suffix in (".graph", ".vectors", ".parquet")
    )
    wait_until(lambda: metric(server, "longbow_files_checked_bytes_total") >= files_bytes, 120, "files are checked")
    checked = time.monotonic() - begin
    after = memory(server.pid)
    replayed = int(re.search(r'"entries_replayed":\s*"?(\d+)', server.log())[1])
    return {
        "ready_s": round(ready, 3),
        "first_answer_s": round(first_answer, 3),
        "first_answer_cpu_s": round(cpu, 3),
        "checked_s": round(checked, 3),
        "entries_replayed": replayed,
        "at_answer": at_answer,
        "when_checked": after,
    }


def fill(server: LongbowServer, vectors: np.ndarray) -> float:
    """Starts the server and puts the rows; how many seconds the put took."""
    server.start()
    with flight.connect(server.data_uri) as client:
        begin = time.monotonic()
        fc.put(client, "d", fc.vector_table(vectors), max_chunksize=len(vectors))
        took = time.monotonic() - begin
        fc.action(client, "ForceSnapshot")
    return took


def wait_for_graph(graphs: Callable[[], list], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not graphs():
        time.sleep(1)
    time.sleep(5 if graphs() else 0)  # the manifest that names it follows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--graph-wait-s", type=float, default=0, help="wait so long for the graph to be in its file")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--keep", type=Path, default=None)
    arguments = parser.parse_args()
    vectors = make_rows(arguments.base, arguments.rows, arguments.dimension)
    with contextlib.ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder)))
        server = LongbowServer(folder / "data", segment_rows_max=max(arguments.rows, 1024))
        graphs = lambda: list(server.data_dir.rglob("*.graph"))  # noqa: E731
        put_s = 0.0
        try:
            if not server.data_dir.exists():
                put_s = fill(server, vectors)
                wait_for_graph(graphs, arguments.graph_wait_s)
                server.kill()
            runs = []
            for _ in range(arguments.restarts):
                runs.append(restart(server, vectors, arguments.cold))
                server.kill()
            with_graph = bool(graphs())
        finally:
            server.close()
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
        },
        "rows": arguments.rows,
        "dimension": arguments.dimension,
        "cold": arguments.cold,
        "graph_in_file": with_graph,
        "put_s": round(put_s, 2),
        "restarts": runs,
    }
    for run in runs:
        print(
            f"first answer {run['first_answer_s']:.3f} s (cpu {run['first_answer_cpu_s']:.2f}), checked {run['checked_s']:.2f} s, replayed {run['entries_replayed']}, "
            f"rss {run['at_answer']['rss'] >> 20} MiB then, peak {run['when_checked']['peak'] >> 20}, "
            f"after {run['when_checked']['rss'] >> 20} (anonymous {run['when_checked']['anonymous'] >> 20})"
        )
    with open(REPOSITORY / "bench" / "results" / "restart.json", "a") as out:
        out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
