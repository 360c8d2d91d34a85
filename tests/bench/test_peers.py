"""The harness of `make bench-index` without any library: processes that fail, curves, tables, data."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

PEERS = Path(__file__).resolve().parents[2] / "bench" / "peers"
sys.path.insert(0, str(PEERS))

import curves  # noqa: E402
import data_sets  # noqa: E402
import tables  # noqa: E402
from contestants import Contestant  # noqa: E402

GOOD = """
import sys
for _ in range(2):
    print("ready", flush=True)
    sys.stdin.readline()
open(sys.argv[sys.argv.index("--json") + 1], "w").write('{"system": "good"}')
"""


def contestant(folder: Path, program: str) -> Contestant:
    return Contestant("it", [sys.executable, "-c", program], folder / "it.json")


def test_a_contestant_builds_waits_and_reports(tmp_path):
    it = contestant(tmp_path, GOOD)
    it.start(30)
    it.run_once(30, last=False)
    it.run_once(30, last=True)
    it.close()
    assert it.failure == "" and it.report() == {"system": "it"}


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit('no such library')", "exit status 1: no such library"),
        ("import os; os.abort()", "exit status -6"),
        ("import time; time.sleep(60)", "took longer than"),
        ("print('ready', flush=True); input(); raise SystemExit('lost')", "exit status 1: lost"),
    ],
)
def test_a_failure_is_words_and_no_exception(tmp_path, program, words):
    it = contestant(tmp_path, program)
    it.start(2)
    it.run_once(5, last=True)
    it.close()
    assert words in it.failure and it.report() is None


def point(recall: float, qps: float, param: int = 0) -> dict[str, float]:
    return {"param": param, "recall": recall, "qps_cpu": qps, "qps_wall": qps}


def test_speed_at_recall_is_that_of_the_program():
    curve = [point(0.90, 10_000), point(0.93, 500), point(0.99, 1_000)]
    assert curves.speed_at(curve, 0.9) == 10_000
    assert curves.speed_at(curve, 1 - 0.0316227766) == pytest.approx(3162.27766)
    assert curves.speed_at(curve, 0.8) == 10_000
    assert curves.speed_at(curve, 0.995) is None


def made_report(system: str, factor: float, cpu_s: float) -> dict[str, object]:
    curve = [point(0.90, 1000 * factor, 10), point(0.99, 100 * factor, 20)]
    runs = [{"curve": curve}] * 3
    build = {"cpu_s": cpu_s, "bytes": 4000 * cpu_s, "resident_bytes": 8000, "rows": 100}
    return {"system": system, "runs": runs, "build": build, "dimension": 10}


def test_tables_say_where_we_lose_and_who_failed():
    reports = [
        made_report("longbow-active", 1.0, 2.0),
        made_report("faster", 2.0, 1.0),
        made_report("slower", 0.5, 3.0),
    ]
    text = "\n".join(tables.lines(reports, {"broken": "cannot be installed"}, 1.5))
    assert "broken" in text and "FAILED: cannot be installed" in text
    assert "faster is 2.00 x as fast at recall 0.9" in text
    assert "faster builds in 0.50 x our CPU time" in text
    losses = text[text.index("where longbow-active loses") :]
    assert "slower" not in losses
    won = "\n".join(tables.lines([made_report("longbow-active", 9.0, 0.1), reports[2]], {}, 1.5))
    assert "loses: nowhere in this run" in won


@pytest.mark.parametrize("name", data_sets.GENERATORS)
def test_generated_sets_repeat_and_their_answers_are_exact(tmp_path, name):
    data = data_sets.generated(name, 400, 20, tmp_path / "a")
    again = data_sets.generated(name, 400, 20, tmp_path / "b")
    base, queries, truth = (np.load(path) for path in (data.base, data.query, data.truth))
    assert base.dtype == np.float32 and base.shape[0] == 400 and len(queries) == 20
    assert np.array_equal(base, np.load(again.base)) and np.array_equal(queries, np.load(again.query))
    if data.metric == "l2":
        distance = ((base[None] - queries[:, None]).astype(np.float64) ** 2).sum(2)
    else:
        distance = -(queries.astype(np.float64) @ base.astype(np.float64).T)
    assert np.array_equal(truth[:, :10], np.argsort(distance, axis=1, kind="stable")[:, :10])


def test_answers_that_are_not_positions_are_computed_anew(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    random = np.random.default_rng(1)
    base, queries = random.standard_normal((300, 8)), random.standard_normal((30, 8))
    np.save(folder / "vectors.npy", base.astype(np.float32))
    np.save(folder / "queries.npy", queries.astype(np.float32))
    right = data_sets.exact_answers(base.astype(np.float32), queries.astype(np.float32), "ip", 10)
    np.save(folder / "gt.npy", right)
    assert data_sets.from_folder(folder, "ip", 1000, tmp_path / "cache").truth == folder / "gt.npy"
    np.save(folder / "gt.npy", right + 1000)
    data = data_sets.from_folder(folder, "ip", 1000, tmp_path / "cache")
    assert np.array_equal(np.load(data.truth)[:, :10], right)
    fewer = data_sets.from_folder(folder, "ip", 100, tmp_path / "cache")
    assert len(np.load(fewer.base)) == 100 and np.load(fewer.truth).max() < 100
