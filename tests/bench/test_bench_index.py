"""`longbow bench index` on a few thousand rows: the JSON it promises, its recall, its refusals."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from longbow_server import binary, clean_environment

ROWS, DIMENSION, QUERIES = 3000, 48, 60
POINT_FIELDS = {"param", "recall", "qps_wall", "qps_cpu", "p50_us", "p99_us", "short_answers"}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    random = np.random.default_rng(5)
    centres = random.standard_normal((30, DIMENSION))
    points = centres[random.integers(0, 30, ROWS + QUERIES)] + 0.5 * random.standard_normal((ROWS + QUERIES, DIMENSION))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    base, queries = points[:ROWS].astype(np.float16), points[ROWS:].astype(np.float32)
    np.save(folder / "base.npy", base)
    np.save(folder / "query.npy", queries)
    scores = queries @ base.astype(np.float32).T
    np.save(folder / "gt.npy", np.argsort(-scores, axis=1, kind="stable")[:, :20])
    np.save(folder / "gt32.npy", np.argsort(-scores, axis=1, kind="stable")[:, :20].astype(np.int32))
    return folder


def bench(folder: Path, *more: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [
        str(binary()),
        "bench",
        "index",
        "--base",
        str(folder / "base.npy"),
        "--query",
        str(folder / "query.npy"),
    ]
    command += ["--metric", "ip", "--min-time", "1ms", *more]
    return subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(), input=stdin, timeout=120, check=False
    )


def report(folder: Path, *more: str) -> dict[str, Any]:
    path = folder / "report.json"
    done = bench(folder, "--json", str(path), *more)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


@pytest.mark.parametrize("truth", ["gt.npy", "gt32.npy", None])
def test_json_is_as_documented(files, truth):
    given = ["--gt", str(files / truth)] if truth else []
    found = report(files, "--runs", "2", "--ef", "16,200", *given)
    assert {key: found[key] for key in ("format", "system", "dataset", "metric", "k", "threads")} == {
        "format": 1,
        "system": "longbow-sealed",
        "dataset": "base",
        "metric": "ip",
        "k": 10,
        "threads": 1,
    }
    assert (found["rows"], found["dimension"], found["queries"]) == (ROWS, DIMENSION, QUERIES)
    assert found["build"]["cpu_s"] > 0 and found["build"]["bytes"] > 0 and found["build"]["rows"] == ROWS
    assert {"cpu", "cores", "kernel", "compiler", "isa"} == set(found["machine"])
    assert len(found["runs"]) == 2
    for curve in [found["curve"], *(run["curve"] for run in found["runs"])]:
        assert [point["param"] for point in curve] == [16, 200]
        assert all(set(point) == POINT_FIELDS for point in curve)
        assert all(point["qps_cpu"] > 0 and 0 < point["p50_us"] <= point["p99_us"] for point in curve)
    assert found["curve"][1]["recall"] > 0.98 and found["curve"][1]["short_answers"] == 0
    assert [level["recall"] for level in found["at_recall"]] == [0.90, 0.95, 0.99, 0.999]
    speed = found["at_recall"][0]["qps_wall"]
    assert 0 < speed["min"] <= speed["median"] <= speed["max"]


def test_a_filter_limits_the_answers(files):
    passing = np.zeros(ROWS, bool)
    passing[::7] = True
    np.save(files / "every7th.npy", passing)
    found = report(files, "--runs", "1", "--ef", "100", "--state", "flat", "--filter", str(files / "every7th.npy"))
    assert found["filter"]["passing"] == int(passing.sum())
    assert found["curve"][0]["recall"] == 1.0
    done = bench(files, "--filter", str(files / "every7th.npy"), "--gt", str(files / "gt.npy"))
    assert done.returncode == 2 and "which the filter leaves out" in done.stderr


def test_churn_reports_every_round(files):
    found = report(files, "--churn", "2x20", "--ef", "120", "--state", "active")
    assert [entry["round"] for entry in found["churn"]] == [0, 1, 2]
    for entry in found["churn"]:
        assert entry["unreachable"] == 0
        assert entry["recalls"][0]["recall"] > 0.97 and entry["recalls"][0]["fresh_recall"] > 0.97


def test_steps_wait_for_their_turn(files):
    done = bench(files, "--runs", "2", "--ef", "16", "--step", stdin="\n\n")
    assert done.returncode == 0 and done.stdout.startswith("ready\nready\n"), done
    done = bench(files, "--runs", "2", "--ef", "16", "--step", stdin="\n")
    assert done.returncode == 1 and "standard input ended" in done.stderr


def test_refusals_are_in_words(files):
    for arguments, words in [
        (["--gt", str(files / "query.npy")], "holds <f4, expected int32 or int64"),
        (["--ef", "3"], "from k = 10"),
        (["--churn", "2x20"], "a sealed index takes no rows"),
        (["--state", "active", "--distances", "codes"], "only states sealed and lean"),
        (["--metric", "hamming"], "must be one of"),
        (["--thread", "2"], "did you mean --threads?"),
        (["--json", str(files / "no" / "r.json")], "does not exist"),
        (["--query", str(files / "missing.npy")], "missing.npy"),
    ]:
        done = bench(files, *arguments)
        assert done.returncode != 0 and words in done.stderr, done
    help_text = subprocess.run(
        [str(binary()), "bench", "index", "--help"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert "--recall-target" in help_text and "--churn" in help_text


def test_estimate_names_a_state_and_what_it_takes(files):
    path = files / "estimate.json"
    command = [str(binary()), "estimate", "--rows", "20000", "--dim", str(DIMENSION), "--metric", "ip"]
    command += ["--sample", str(files / "base.npy"), "--calibration", "300ms", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=120, check=False)
    assert done.returncode == 0 and "chosen: " in done.stdout, done
    found = json.loads(path.read_text())
    assert found["chosen"] == found["states"][0]["state"]
    for state in found["states"]:
        assert state["bytes"] >= 4 * 20000 * DIMENSION * 0.99 and state["cpu_s"] >= 0 and state["fits"]
    refused = subprocess.run([*command[:2], "--rows", "many"], capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2 and "--rows" in refused.stderr
