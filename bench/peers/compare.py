#!/usr/bin/env python3
"""Longbow and other libraries on the same data in one run, alternating; prints tables and keeps the raw JSON.

    make bench-index [DATA=folder] [PEERS=hnswlib,symphonyqg] [RUNS=5] [SETS=data,image784] [ROWS=100000] [TABLES=filters,lean]

DATA is a folder with *vectors*.npy (the largest is the base), *quer*.npy and perhaps gt*.npy; without it the 10,000 rows
of demo/data are used. SETS chooses among data (that folder) and the generated ones: image784, cluster96 (L2), norms128
(inner product, unequal norms), foreign200 (queries unlike the rows). Default: all with DATA, only data without.
ROWS is the most rows any set has (100,000); generated sets have 50,000 at most. A full run builds every index of every
library on one thread: some 6 minutes for 100,000 x 384, 25 for all sets.

After the comparison come tables of Longbow alone: filters, churn, targets (recall on request), lean, threads. TABLES
chooses ("none" for none). Default: all for the set data, only targets for the others. They take another 15 minutes for
100,000 x 384.

Longbow's sealed index takes part twice: longbow-sealed answers with the distances of its codes and needs no float32 row
in memory, longbow-sealed-exact reads the rows and counts them.

Every system runs in a process of its own and builds first, one after the other; then in each of RUNS rounds each measures
its whole curve once. Ratios are formed within a round. A library that fails is named in the table and does not stop the
others; the exit status is 1 only if Longbow fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import data_sets
import further
import numpy as np
import tables
from contestants import Contestant
from libraries import LIBRARIES, environment, package_of, unit_norms

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VENV = ROOT / "build" / "venv-peers"
CACHE = ROOT / "build" / "bench-data"
QUERIES_GENERATED = 1000
CODED_STATES = ("sealed", "lean")  # answer with the distances of codes, or, as sealed-exact and lean-exact, of rows
NORM_SAMPLE = 1000  # rows that are looked at for unit norm
START_TIMEOUT_S = 1800.0
RUN_TIMEOUT_S = 900.0


def install(wanted: set[str]) -> dict[str, str]:
    """Puts the pinned packages into the venv, each by itself; returns what went wrong by package."""
    if not (VENV / "bin" / "python").exists():
        print(f"making {VENV.relative_to(ROOT)}", flush=True)
        venv.create(VENV, with_pip=True)
    failures = {}
    for line in (HERE / "requirements.txt").read_text().splitlines():
        requirement = line.partition("#")[0].strip()
        package = requirement.partition("==")[0]
        stamp = VENV / f".installed-{requirement}"
        if not requirement or package not in wanted or stamp.exists():
            continue
        print(f"installing {requirement} into {VENV.relative_to(ROOT)}", flush=True)
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, "--only-binary=:all:", requirement], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            # hnswlib comes as source only.
            done = subprocess.run([*pip, requirement], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            stamp.touch()
        else:
            failures[package] = f"cannot be installed: {(done.stderr.strip().splitlines() or ['no output'])[-1]}"
    return failures


def make_contestants(data: data_sets.DataSet, arguments: argparse.Namespace, results: Path) -> list[Contestant]:
    files = ["--base", str(data.base), "--query", str(data.query), "--gt", str(data.truth), "--metric", data.metric]
    asked = [*files, "--dataset", data.name, "--k", str(arguments.k), "--runs", str(arguments.runs)]
    contestants = []
    for word in arguments.states.split(","):
        state = word.removesuffix("-exact")
        command = [str(arguments.longbow), "bench", "index", *asked, "--step", "--state", state]
        if state in CODED_STATES:
            command += ["--distances", "exact" if state != word else "codes"]
        command += ["--min-time", f"{int(1000 * arguments.min_time)}ms"]
        contestants.append(Contestant(f"longbow-{word}", command, results / f"{data.name}.longbow-{word}.json"))
    sample = np.asarray(np.load(data.base, mmap_mode="r")[:NORM_SAMPLE], np.float32)
    unit = data.metric == "cosine" or unit_norms(sample)
    for library in arguments.peers:
        if why := LIBRARIES[library].unsuited(data.metric, unit):
            print(f"  without {library}: {why}", flush=True)
            continue
        command = [str(VENV / "bin" / "python"), str(HERE / "worker.py"), library, *asked]
        command += ["--min-time", str(arguments.min_time)]
        contestants.append(Contestant(library, command, results / f"{data.name}.{library}.json", environment()))
    return contestants


def compare(data: data_sets.DataSet, arguments: argparse.Namespace, uninstalled: dict[str, str], results: Path) -> bool:
    """Runs one data set and prints its tables; whether all of Longbow's systems came through."""
    print(f"\n{data.name}: {data.base.name}, metric {data.metric}", flush=True)
    contestants = make_contestants(data, arguments, results)
    try:
        for contestant in contestants:
            contestant.failure = uninstalled.get(package_of(contestant.name), "")
            if not contestant.failure:
                print(f"  building {contestant.name}", flush=True)
                contestant.start(START_TIMEOUT_S)
        for run in range(arguments.runs):
            print(f"  run {run + 1} of {arguments.runs}", flush=True)
            for contestant in contestants:
                contestant.run_once(RUN_TIMEOUT_S, last=run + 1 == arguments.runs)
    finally:
        for contestant in contestants:
            contestant.close()
    reports = [report for contestant in contestants if (report := contestant.report())]
    failures = {contestant.name: contestant.failure for contestant in contestants if contestant.failure}
    speed_min = tables.OTHER_SPEED_MIN if data.name in data_sets.GENERATORS else tables.TEXT_SPEED_MIN
    for line in tables.lines(reports, failures, speed_min):
        print(line)
    return not any(name.startswith("longbow") for name in failures)


def choose_peers(text: str) -> list[str]:
    """The libraries that the words name: a whole name, or the part before its hyphen for all variants."""
    chosen = []
    for word in text.split(",") if text else []:
        found = [name for name in LIBRARIES if word in (name, name.split("-")[0])]
        if not found:
            raise SystemExit(f"unknown peer '{word}': {', '.join(LIBRARIES)}")
        chosen += [name for name in found if name not in chosen]
    return chosen


def choose_sets(arguments: argparse.Namespace) -> list[data_sets.DataSet]:
    known = ["data", *data_sets.GENERATORS]
    names = arguments.sets.split(",") if arguments.sets else (known if arguments.data else ["data"])
    if unknown := set(names) - set(known):
        raise SystemExit(f"unknown set '{sorted(unknown)[0]}': {', '.join(known)}")
    folder = arguments.data or ROOT / "demo" / "data"
    chosen = []
    for name in names:
        print(f"preparing {name}", flush=True)
        if name == "data":
            chosen.append(data_sets.from_folder(folder, arguments.metric, arguments.rows, CACHE))
        else:
            rows = min(arguments.rows, data_sets.GENERATED_ROWS_MAX)
            chosen.append(data_sets.generated(name, rows, QUERIES_GENERATED, CACHE))
    return chosen


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with *vectors*.npy; default demo/data")
    parser.add_argument("--metric", default="ip", choices=("ip", "l2", "cosine"), help="of the set 'data'")
    parser.add_argument("--sets", default="", help="data," + ",".join(data_sets.GENERATORS))
    parser.add_argument("--peers", default=",".join(LIBRARIES), help="libraries, with commas between")
    parser.add_argument(
        "--states", default="sealed,sealed-exact,active", help="of Longbow's index, with commas between"
    )
    parser.add_argument("--tables", default="", help="of Longbow alone: none, or " + ",".join(further.TABLES))
    parser.add_argument("--rows", type=int, default=100_000, help="most rows of a set")
    parser.add_argument("--runs", type=int, default=0, help="default: 5 with --data, 2 without")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--min-time", type=float, default=0.0, help="seconds for each point of a curve")
    parser.add_argument("--longbow", type=Path, default=ROOT / "build" / "release" / "bin" / "longbow")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results" / "index")
    arguments = parser.parse_args()
    arguments.peers = choose_peers(arguments.peers)
    arguments.tables = choose_tables(arguments.tables)
    # Without data of one's own it is a matter of minutes, to see that everything runs.
    arguments.runs = arguments.runs or (5 if arguments.data else 2)
    arguments.min_time = arguments.min_time or (0.2 if arguments.data else 0.03)
    return arguments


def choose_tables(text: str) -> list[str] | None:
    """Names in the order asked for; None: nobody asked."""
    names = [name for name in text.split(",") if name != "none"] if text else None
    if unknown := set(names or []) - set(further.TABLES):
        raise SystemExit(f"unknown table '{sorted(unknown)[0]}': none, {', '.join(further.TABLES)}")
    return names


def tables_of(data: data_sets.DataSet, arguments: argparse.Namespace) -> list[str]:
    usual = ["targets"] if data.name in data_sets.GENERATORS else list(further.TABLES)
    return usual if arguments.tables is None else arguments.tables


def stamp_of(arguments: argparse.Namespace, sets: list[data_sets.DataSet]) -> dict[str, Any]:
    """What was run. Of paths the names only: figures are for others to read, and folders are this machine's business."""
    options = ("states", "peers", "tables", "rows", "runs", "k", "min_time")
    files = {data.name: [path.name for path in (data.base, data.query, data.truth)] for data in sets}
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    return {"finished": finished, "sets": files} | {name: getattr(arguments, name) for name in options}


def main() -> int:
    arguments = parse_arguments()
    if not arguments.longbow.exists():
        raise SystemExit(f"{arguments.longbow}: not built; run 'make build'")
    uninstalled = install({package_of(name) for name in arguments.peers} | {"numpy"}) if arguments.peers else {}
    arguments.results.mkdir(parents=True, exist_ok=True)
    good = True
    sets = choose_sets(arguments)
    for data in sets:
        good = compare(data, arguments, uninstalled, arguments.results) and good
        good = further.print_tables(tables_of(data, arguments), arguments, data, arguments.results) and good
    stamp = stamp_of(arguments, sets)
    (arguments.results / "run.json").write_text(json.dumps(stamp, indent=1) + "\n")
    print(f"\nraw figures: {arguments.results}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
