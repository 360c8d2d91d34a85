"""The tables of `make bench-index`: speed at equal recall, ratios, and where Longbow loses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from curves import LEVELS, Spread, speed_at, spread

Report = dict[str, Any]

TARGET_LEVELS = (0.95, 0.99)  # recalls of P01 and P02
TEXT_SPEED_MIN = 1.5  # of P01: on text embeddings,
OTHER_SPEED_MIN = 1.2  # and on data of other kinds
ACTIVE_SPEED_MIN = 3.0
BUILD_CPU_MAX = 0.5
MEMORY_MAX = 1.5
MEMORY_DIMENSION_MIN = 384  # below, ids and factors weigh more than the rows


def raw_bytes(report: Report) -> float:
    return 4.0 * float(report["build"]["rows"] * report["dimension"])


def memory(report: Report) -> float:
    """Bytes of rows and index as a multiple of the rows in float32."""
    return float(report["build"]["bytes"]) / raw_bytes(report)


def speeds(report: Report, recall: float) -> list[float | None]:
    """Queries per CPU second in each run."""
    return [speed_at(run["curve"], recall) for run in report["runs"]]


def speed_ratio(ours: Report, theirs: Report, recall: float) -> Spread | None:
    """Of the runs that followed each other; None if either does not reach the recall in all of them."""
    pairs = list(zip(speeds(ours, recall), speeds(theirs, recall), strict=True))
    ratios = [a / b for a, b in pairs if a is not None and b is not None]
    return spread(ratios) if ratios and len(ratios) == len(pairs) else None


def verdict(good: bool) -> str:
    return "PASS" if good else "MISS"


def lines(reports: Sequence[Report], failures: dict[str, str], speed_min: float) -> Iterator[str]:
    """Everything there is to say about one data set. Longbow's systems are those whose names begin with its own.

    speed_min: of the sealed index, as a multiple of SymphonyQG's.
    """
    ours = [report for report in reports if report["system"].startswith("longbow")]
    theirs = [report for report in reports if not report["system"].startswith("longbow")]
    yield from speed_lines(reports)
    for name, why in failures.items():
        yield f"  {name:<18} FAILED: {why}"
    for report in ours:
        yield from ratio_lines(report, theirs)
    for report in ours:
        yield from loss_lines(report, theirs)
    yield from target_lines({report["system"]: report for report in reports}, speed_min)


def target_lines(reports: dict[str, Report], speed_min: float) -> Iterator[str]:
    """P01 to P04, each against all variants of the rival that took part."""
    yield ""
    yield f"  {'targets':<58}{'measured':>22}"
    rivals = [name for name in reports if name.startswith("symphonyqg")]
    hnswlib = reports.get("hnswlib")
    for name in (name for name in reports if name.startswith("longbow")):
        ours = reports[name]
        is_sealed = name.startswith("longbow-sealed")
        for recall in TARGET_LEVELS:
            for rival in rivals if is_sealed else []:
                ratio = speed_ratio(ours, reports[rival], recall)
                yield from target_line(f"P01 {name} ÷ {rival} at {recall:g}", ratio, speed_min)
            if hnswlib and name == "longbow-active":
                ratio = speed_ratio(ours, hnswlib, recall)
                yield from target_line(f"P02 {name} ÷ hnswlib at {recall:g}", ratio, ACTIVE_SPEED_MIN)
        if is_sealed and hnswlib:
            share = ours["build"]["cpu_s"] / hnswlib["build"]["cpu_s"]
            text = f"P03 {name}: build CPU ÷ hnswlib"
            yield f"  {text:<58}{share:>22.2f}  {verdict(share <= BUILD_CPU_MAX)} (at most {BUILD_CPU_MAX:g})"
        if is_sealed and ours["dimension"] >= MEMORY_DIMENSION_MIN:
            share, text = memory(ours), f"P04 {name}: memory x raw float32"
            yield f"  {text:<58}{share:>22.2f}  {verdict(share <= MEMORY_MAX)} (at most {MEMORY_MAX:g})"


def target_line(text: str, ratio: Spread | None, least: float) -> Iterator[str]:
    shown = f"{ratio.median:.2f} [{ratio.low:.2f}-{ratio.high:.2f}]" if ratio else "-"
    good = ratio is not None and ratio.median >= least
    yield f"  {text:<58}{shown:>22}  {verdict(good)} (at least {least:g})"


def speed_lines(reports: Sequence[Report]) -> Iterator[str]:
    yield ""
    yield f"  {'QPS per CPU second':<18}" + "".join(f"{'recall ' + format(level, 'g'):>28}" for level in LEVELS)
    for report in reports:
        cells = ""
        for level in LEVELS:
            values = [value for value in speeds(report, level) if value is not None]
            whole = spread(values) if len(values) == len(report["runs"]) else None
            cells += f"{f'{whole.median:,.0f} [{whole.low:,.0f}-{whole.high:,.0f}]' if whole else '-':>28}"
        yield f"  {report['system']:<18}{cells}"
    yield ""
    yield f"  {'system':<18}{'build CPU s':>12}{'memory x raw':>14}{'resident x raw':>16}   settings"
    for report in reports:
        build = report["build"]
        yield (
            f"  {report['system']:<18}{build['cpu_s']:>12.1f}{memory(report):>14.2f}"
            f"{build['resident_bytes'] / raw_bytes(report):>16.2f}   {report.get('settings', '')}"
        )


def ratio_lines(ours: Report, theirs: Sequence[Report]) -> Iterator[str]:
    if not theirs:
        return
    yield ""
    header = "".join(f"{'recall ' + format(level, 'g'):>22}" for level in LEVELS)
    yield f"  {ours['system'] + ' ÷':<18}{header}{'build CPU':>12}{'memory':>9}"
    for report in theirs:
        cells = ""
        for level in LEVELS:
            ratio = speed_ratio(ours, report, level)
            cells += f"{f'{ratio.median:.2f} [{ratio.low:.2f}-{ratio.high:.2f}]' if ratio else '-':>22}"
        build = ours["build"]["cpu_s"] / report["build"]["cpu_s"]
        yield f"  {report['system']:<18}{cells}{build:>12.2f}{memory(ours) / memory(report):>9.2f}"


def loss_lines(ours: Report, theirs: Sequence[Report]) -> Iterator[str]:
    losses = list(losses_of(ours, theirs))
    yield ""
    yield f"  where {ours['system']} loses:" + ("" if losses else " nowhere in this run")
    yield from (f"    {loss}" for loss in losses)


def losses_of(ours: Report, theirs: Sequence[Report]) -> Iterator[str]:
    for report in theirs:
        name = report["system"]
        for level in LEVELS:
            ratio = speed_ratio(ours, report, level)
            if ratio is not None and ratio.median < 1:
                yield f"{name} is {1 / ratio.median:.2f} x as fast at recall {level:g}"
            elif ratio is None and None not in speeds(report, level):
                yield f"{name} reaches recall {level:g}, we do not"
        if report["build"]["cpu_s"] < ours["build"]["cpu_s"]:
            yield f"{name} builds in {report['build']['cpu_s'] / ours['build']['cpu_s']:.2f} x our CPU time"
        if memory(report) < memory(ours):
            yield f"{name} takes {memory(report):.2f} x raw float32, we {memory(ours):.2f} x"
