"""Measures one library in a process of its own and writes the JSON of `longbow bench index`.

    worker.py LIBRARY --base B.npy --query Q.npy --gt G.npy --metric ip|l2|cosine --json FILE [--k 10] [--runs 5] [--min-time 0.2]

Prints 'ready' before each run and waits for a line on standard input (as `longbow bench index --step`), so that whoever
drives several of these measures them in turns.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from curves import RECALL_END, Point, at_recall, frontier, median_curve
from libraries import LIBRARIES, Ids, Library, Rows, package_of

SINGLE_QUERIES_MAX = 300  # asked one at a time for the percentiles


def resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def recall_of(found: Ids, truth: Ids) -> tuple[float, int]:
    """Share of the right rows that were found, and how many queries got too few rows."""
    right = sum(len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, truth, strict=True))
    short = int(np.count_nonzero((found < 0).any(axis=1))) if found.shape[1] == truth.shape[1] else len(found)
    return right / truth.size, short


def measure(library: Library, setting: Any, queries: Rows, truth: Ids, min_time_s: float) -> Point:
    """One point: a pass that warms up and counts recall, timed passes of the whole set, then single queries."""
    start = time.perf_counter()
    recall, short = recall_of(library.search(queries, setting), truth)
    passes = 1 + int(min_time_s / max(time.perf_counter() - start, 1e-6))
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(passes):
        library.search(queries, setting)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    microseconds = []
    for query in queries[:SINGLE_QUERIES_MAX]:
        before = time.perf_counter_ns()
        library.search_one(query, setting)
        microseconds.append((time.perf_counter_ns() - before) / 1000)
    return {
        "param": setting if isinstance(setting, int) else "/".join(map(str, setting)),
        "recall": recall,
        "qps_wall": passes * len(queries) / wall,
        "qps_cpu": passes * len(queries) / cpu,
        "p50_us": float(np.percentile(microseconds, 50)),
        "p99_us": float(np.percentile(microseconds, 99)),
        "short_answers": short,
    }


def sweep(
    library: Library, settings: list[Any], queries: Rows, truth: Ids, min_time_s: float
) -> list[tuple[Any, Point]]:
    measured = []
    for setting in settings:
        point = measure(library, setting, queries, truth, min_time_s)
        measured.append((setting, point))
        if isinstance(setting, int) and point["recall"] >= RECALL_END:
            break
    return measured


def wait_for_turn() -> None:
    print("ready", flush=True)
    if not sys.stdin.readline():
        raise SystemExit("standard input ended before the last run")


def load(path: str) -> Rows:
    return np.ascontiguousarray(np.load(path), dtype=np.float32)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=LIBRARIES)
    for name in ("base", "query", "gt", "json"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--metric", required=True, choices=("ip", "l2", "cosine"))
    parser.add_argument("--dataset", default="")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--min-time", type=float, default=0.2, help="seconds for each point of the curve")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    rows, queries = load(arguments.base), load(arguments.query)
    truth = np.load(arguments.gt)[:, : arguments.k].astype(np.int64)
    if arguments.metric == "cosine":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    library = LIBRARIES[arguments.library]("l2" if arguments.metric == "l2" else "ip", arguments.k)
    gc.collect()
    resident, wall, cpu = resident_bytes(), time.perf_counter(), time.process_time()
    library.build(rows)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    gc.collect()
    build = {"rows": len(rows), "wall_s": wall, "cpu_s": cpu, "resident_bytes": resident_bytes() - resident}
    build["bytes"] = library.saved_bytes()
    print(f"built in {cpu:.1f} s CPU", file=sys.stderr)
    settings = list(library.sweep(len(rows)))
    runs: list[list[Point]] = []
    for number in range(arguments.runs):
        wait_for_turn()
        measured = sweep(library, settings, queries, truth, arguments.min_time)
        runs.append([point for _, point in measured])
        if number == 0:
            # Of settings with two knobs most are beaten by others; the rest of the time is for those that are not.
            best = {point["param"] for point in frontier(runs[0])}
            several = any(isinstance(setting, tuple) for setting in settings)
            settings = [setting for setting, point in measured if not several or point["param"] in best]
    report = {
        "format": 1,
        "system": arguments.library,
        "settings": library.settings,
        "version": metadata.version(package_of(arguments.library)),
        "dataset": arguments.dataset,
        "metric": arguments.metric,
        "k": arguments.k,
        "threads": 1,
        "rows": len(rows),
        "dimension": rows.shape[1],
        "queries": len(queries),
        "machine": {"kernel": platform.release(), "python": platform.python_version()},
        "build": build,
        "curve": median_curve(runs),
        "at_recall": at_recall(runs),
        "runs": [{"curve": run} for run in runs],
    }
    Path(arguments.json).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
