"""Tables of Longbow alone, after the comparison: filters, change, recall on request, lean mode, two threads.

Each measures with `longbow bench index`, keeps its raw JSON beside that of the comparison, and says for each line
whether the target is met. What is set against each other is measured in turns.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from contestants import Contestant
from curves import Spread, speed_at, spread
from data_sets import DataSet
from tables import Report, memory, verdict

FILTERS = (
    "random:0.5",
    "random:0.1",
    "random:0.01",
    "random:0.001",
    "correlated:0.5",
    "correlated:0.1",
    "correlated:0.01",
    "random:0.5@bool",
    "random:0.1@text",
    "random:0.5@number",
    "random:0.1@number",
)
RECALL = 0.95  # at which filtered and lean searches are compared
FILTERED_SPEED_MIN = 0.5  # of unfiltered: P05
EFS = "10,12,14,17,20,24,28,34,40,48,56,68,80,96,112,136,160,192,224,272"
CHURN = "10x20"
CHURN_EFS = "40,80,160"
POINTS_LOST_MAX = 0.5  # P11
TARGETS = (0.95, 0.99)
TARGET_SHORT_MAX = 0.005
LEAN_MEMORY_MAX = 0.35
TWO_SEARCH_MIN = 1.8
TWO_INSERT_MIN = 1.7
START_TIMEOUT_S = 3600.0
RUN_TIMEOUT_S = 1800.0

Lines = Iterator[str]


def longbow(
    arguments: Namespace, data: DataSet, results: Path, word: str, options: Sequence[str], truth: bool = True
) -> Contestant:
    command = [str(arguments.longbow), "bench", "index", "--base", str(data.base), "--query", str(data.query)]
    command += ["--gt", str(data.truth)] if truth else []
    command += ["--metric", data.metric, "--dataset", data.name, "--k", str(arguments.k), "--step", *options]
    command += ["--runs", str(arguments.runs), "--min-time", f"{int(1000 * arguments.min_time)}ms"]
    return Contestant(f"longbow-{word}", command, results / f"{data.name}.longbow-{word}.json")


def run_in_turns(contestants: Sequence[Contestant], runs: int) -> list[Report]:
    """Their reports; RuntimeError names the first that failed."""
    try:
        for contestant in contestants:
            contestant.start(START_TIMEOUT_S)
        for run in range(runs):
            for contestant in contestants:
                contestant.run_once(RUN_TIMEOUT_S, last=run + 1 == runs)
    finally:
        for contestant in contestants:
            contestant.close()
    reports = [contestant.report() for contestant in contestants]
    if failed := [contestant for contestant in contestants if contestant.failure]:
        raise RuntimeError(f"{failed[0].name}: {failed[0].failure}")
    return [report for report in reports if report is not None]


def first_at(curve: Sequence[dict[str, Any]], recall: float) -> dict[str, Any] | None:
    """The point of the least ef that has the recall."""
    return next((point for point in curve if point["recall"] >= recall), None)


def filter_lines(arguments: Namespace, data: DataSet, results: Path) -> Lines:
    specs = ",".join(("none", *FILTERS))
    options = ["--state", "engine", "--filter", specs, "--ef", EFS]
    yield f"filters, through the engine: speed at the least ef with recall {RECALL:g}, as a multiple of no filter at its own (P05)"
    yield f"  {'filter':<20}{'rows pass':>10}{'ef':>6}{'recall':>9}{'QPS':>9}{'÷ unfiltered':>22}{'short':>7}"
    report = run_in_turns([longbow(arguments, data, results, "engine-filters", options)], arguments.runs)[0]
    plain, *filtered = report["filters"]
    for measured in (plain, *filtered):
        ratios = []
        for run, plain_run in zip(measured["runs"], plain["runs"], strict=True):
            point, base = first_at(run["curve"], RECALL), first_at(plain_run["curve"], RECALL)
            if point and base:
                ratios.append(point["qps_cpu"] / base["qps_cpu"])
        short = sum(point["short_answers"] for run in measured["runs"] for point in run["curve"])
        point = first_at(measured["curve"], RECALL)
        whole = spread(ratios) if len(ratios) == arguments.runs else None
        good = whole is not None and whole.median >= FILTERED_SPEED_MIN and short == 0
        cells = f"{point['param']:>6}{point['recall']:>9.4f}{point['qps_cpu']:>9,.0f}" if point else f"{'-':>24}"
        cells += f"{ratio_text(whole):>22}{short:>7}"
        mark = "" if measured is plain else verdict(good)
        yield f"  {measured['spec']:<20}{measured['passing']:>10,}{cells}  {mark}"


def ratio_text(ratio: Spread | None) -> str:
    return f"{ratio.median:.2f} [{ratio.low:.2f}-{ratio.high:.2f}]" if ratio else "-"


def churn_lines(arguments: Namespace, data: DataSet, results: Path) -> Lines:
    yield f"change, {CHURN}: recall of the active graph against one just built of the rows that live (P11)"
    yield f"  {'round':<8}{'ef':>6}{'recall':>9}{'fresh':>9}{'points lost':>13}{'unreachable':>13}"
    options = ["--state", "active", "--churn", CHURN, "--ef", CHURN_EFS]
    contestant = longbow(arguments, data, results, "active-churn", options, truth=False)
    contestant.run_to_end(START_TIMEOUT_S)
    report = contestant.report()
    if report is None:
        raise RuntimeError(f"{contestant.name}: {contestant.failure}")
    for line in (report["churn"][0], report["churn"][-1]):
        for point in line["recalls"]:
            lost = 100 * (point["fresh_recall"] - point["recall"])
            good = lost <= POINTS_LOST_MAX and line["unreachable"] == 0 and point["short_answers"] == 0
            cells = f"{point['param']:>6}{point['recall']:>9.4f}{point['fresh_recall']:>9.4f}{lost:>13.2f}"
            mark = verdict(good) if line["round"] else ""
            yield f"  {line['round']:<8}{cells}{line['unreachable']:>13}  {mark}"


def target_lines(arguments: Namespace, data: DataSet, results: Path) -> Lines:
    yield f"recall on request, unseen queries: may fall {TARGET_SHORT_MAX:g} short"
    yield f"  {'state':<10}{'asked':>7}{'got':>9}{'QPS':>9}{'÷ best ef':>22}"
    targets = ",".join(f"{target:g}" for target in TARGETS)
    for state in ("sealed", "active"):
        asked = longbow(arguments, data, results, f"{state}-target", ["--state", state, "--recall-target", targets])
        known = longbow(arguments, data, results, f"{state}-sweep", ["--state", state])
        report, swept = run_in_turns([asked, known], arguments.runs)
        for i, target in enumerate(TARGETS):
            got = report["curve"][i]["recall"]
            # What it costs not to know the one ef that gives this recall on these queries.
            best = [speed_at(run["curve"], got) for run in swept["runs"]]
            ratios = [run["curve"][i]["qps_cpu"] / b for run, b in zip(report["runs"], best, strict=True) if b]
            whole = spread(ratios) if len(ratios) == arguments.runs else None
            cells = f"{got:>9.4f}{report['curve'][i]['qps_cpu']:>9,.0f}{ratio_text(whole):>22}"
            yield f"  {state:<10}{target:>7g}{cells}  {verdict(got >= target - TARGET_SHORT_MAX)}"


def lean_lines(arguments: Namespace, data: DataSet, results: Path) -> Lines:
    yield f"lean mode: at most {LEAN_MEMORY_MAX:g} x raw float32 in memory, at recall {RECALL:g} (P04)"
    yield f"  {'system':<18}{'memory x raw':>14}{'QPS':>10}{'÷ sealed':>22}"
    chosen = [
        longbow(arguments, data, results, f"{state}-codes", ["--state", state, "--distances", "codes"])
        for state in ("sealed", "lean")
    ]
    sealed, lean = run_in_turns(chosen, arguments.runs)
    fast = [speed_at(run["curve"], RECALL) for run in sealed["runs"]]
    for report in (sealed, lean):
        speeds = [speed_at(run["curve"], RECALL) for run in report["runs"]]
        ratios = [a / b for a, b in zip(speeds, fast, strict=True) if a and b]
        whole = spread(ratios) if len(ratios) == arguments.runs else None
        known = [speed for speed in speeds if speed is not None]
        cells = f"{memory(report):>14.2f}{f'{spread(known).median:,.0f}' if known else '-':>10}{ratio_text(whole):>22}"
        mark = verdict(whole is not None and memory(report) <= LEAN_MEMORY_MAX) if report is lean else ""
        yield f"  {report['system']:<18}{cells}  {mark}"


def thread_lines(arguments: Namespace, data: DataSet, results: Path) -> Lines:
    yield f"two threads against one, by the clock: search {TWO_SEARCH_MIN:g} x, insertion {TWO_INSERT_MIN:g} x"
    yield "  (both cores must be free: others on the machine show here first; speed per CPU second beside it)"
    yield f"  {'what':<20}{'1 thread':>12}{'2 threads':>12}{'ratio':>22}{'per CPU second':>16}"
    for state in ("sealed", "active"):
        one, two = run_in_turns(
            [
                longbow(
                    arguments,
                    data,
                    results,
                    f"{state}-{n}-threads",
                    ["--state", state, "--ef", "80", "--threads", str(n)],
                )
                for n in (1, 2)
            ],
            arguments.runs,
        )
        pairs = [(a["curve"][0], b["curve"][0]) for a, b in zip(one["runs"], two["runs"], strict=True)]
        wall = spread([b["qps_wall"] / a["qps_wall"] for a, b in pairs])
        cpu = spread([b["qps_cpu"] / a["qps_cpu"] for a, b in pairs])
        cells = f"{one['curve'][0]['qps_wall']:>12,.0f}{two['curve'][0]['qps_wall']:>12,.0f}"
        cells += f"{ratio_text(wall):>22}{cpu.median:>16.2f}"
        yield f"  {'search ' + state:<20}{cells}  {verdict(wall.median >= TWO_SEARCH_MIN)}"
        if state == "active":
            builds = [report["build"] for report in (one, two)]
            ratio = builds[0]["wall_s"] / builds[1]["wall_s"]
            per_cpu = builds[0]["cpu_s"] / builds[1]["cpu_s"]
            rates = [f"{build['rows'] / build['wall_s']:>12,.0f}" for build in builds]
            yield f"  {'insert, rows/s':<20}{''.join(rates)}{ratio:>22.2f}{per_cpu:>16.2f}  {verdict(ratio >= TWO_INSERT_MIN)}"


TABLES: dict[str, Callable[[Namespace, DataSet, Path], Lines]] = {
    "filters": filter_lines,
    "churn": churn_lines,
    "targets": target_lines,
    "lean": lean_lines,
    "threads": thread_lines,
}


def print_tables(names: Sequence[str], arguments: Namespace, data: DataSet, results: Path) -> bool:
    """Measures and prints each as it comes; whether all could be measured. A target that is missed is no failure."""
    good = True
    for name in names:
        print(flush=True)
        try:
            for line in TABLES[name](arguments, data, results):
                print(f"  {line}", flush=True)
        except RuntimeError as error:
            print(f"    FAILED: {error}", flush=True)
            good = False
    return good
