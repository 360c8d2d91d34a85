"""What ten thousand small datasets cost: to put, to checkpoint, to find again after a restart.

    build/venv/bin/python bench/many_datasets/bench.py [--datasets 10000] [--rows 3] [--dimension 128]

Each dataset gets its rows in one put; eight clients share them. The checkpoint is asked for (`ForceSnapshot`) once all are
there, and again after one more row in a hundredth of them. The server is killed then and started again. Prints a line and
appends one of JSON to bench/results/many_datasets.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.flight as flight

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

import flight_calls as fc  # noqa: E402
from longbow_server import LongbowServer  # noqa: E402

CLIENTS = 8


def put_all(server: LongbowServer, names: list[str], vectors: np.ndarray, first_id: int) -> float:
    """One put into each dataset; seconds."""

    def work(part: int) -> None:
        with flight.connect(server.data_uri) as client:
            for name in names[part::CLIENTS]:
                fc.put(client, name, fc.vector_table(vectors, ids=list(range(first_id, first_id + len(vectors)))))

    begin = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))
    return time.monotonic() - begin


def checkpoint(server: LongbowServer) -> tuple[float, float]:
    """Seconds, and seconds of the server's CPU."""
    begin, cpu = time.monotonic(), server.cpu_seconds()
    with flight.connect(server.data_uri) as client:
        fc.action(client, "ForceSnapshot")
    return round(time.monotonic() - begin, 3), round(server.cpu_seconds() - cpu, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--dimension", type=int, default=128)
    arguments = parser.parse_args()
    names = [f"d{i}" for i in range(arguments.datasets)]
    vectors = np.random.default_rng(1).standard_normal((arguments.rows, arguments.dimension), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        server = LongbowServer(Path(folder) / "data")
        server.start()
        try:
            put_s = put_all(server, names, vectors, 0)
            all_s, all_cpu_s = checkpoint(server)
            put_all(server, names[::100], vectors[:1], arguments.rows)
            some_s, some_cpu_s = checkpoint(server)
            server.kill()
            begin = time.monotonic()
            server.start()
            ready_s = time.monotonic() - begin
            with flight.connect(server.data_uri) as client:
                found = fc.search(client, names[-1], vectors[1], 1)
            assert found[0][0] == 1, found
            with flight.connect(server.data_uri) as client:
                assert len(list(client.list_flights())) == arguments.datasets
            rss = int(Path(f"/proc/{server.pid}/status").read_text().split("VmRSS:")[1].split()[0]) * 1024
            descriptors = len(os.listdir(f"/proc/{server.pid}/fd"))
        finally:
            server.close()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)
    line = {
        "benchmark": "many_datasets", "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(), "binary": Path(os.environ.get("LONGBOW_BIN", "release")).name,
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()},
        "parameters": vars(arguments), "put_s": round(put_s, 2), "checkpoint_s": all_s, "checkpoint_cpu_s": all_cpu_s,
        "checkpoint_of_a_hundredth_s": some_s, "checkpoint_of_a_hundredth_cpu_s": some_cpu_s,
        "restart_s": round(ready_s, 2), "rss_bytes": rss, "descriptors": descriptors,
    }  # fmt: skip
    print(f"{arguments.datasets} datasets: put {put_s:.1f} s, checkpoint {all_s:.2f} s (cpu {all_cpu_s:.2f}), of a "
          f"hundredth {some_s:.2f} s, restart {ready_s:.2f} s, {rss / arguments.datasets / 1e3:.1f} kB each, "
          f"{descriptors} descriptors")  # fmt: skip
    with open(REPOSITORY / "bench" / "results" / "many_datasets.json", "a") as out:
        out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
