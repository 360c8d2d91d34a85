"""Curves of recall against speed, as `longbow bench index` writes them (docs/bench-index.md)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

LEVELS = (0.90, 0.95, 0.99, 0.999)
RECALL_END = 0.9995  # a sweep goes no further
MISS_MIN = 1e-5  # perfect recall counts as this: its logarithm is finite

Point = dict[str, Any]


class Spread(NamedTuple):
    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def frontier(curve: Sequence[Point], speed: str = "qps_cpu") -> list[Point]:
    """The points that no other beats in both recall and speed, by rising recall."""
    kept: list[Point] = []
    for point in sorted(curve, key=lambda p: (-p["recall"], -p[speed])):
        if not kept or point[speed] > kept[-1][speed]:
            kept.append(point)
    return kept[::-1]


def speed_at(curve: Sequence[Point], recall: float, speed: str = "qps_cpu") -> float | None:
    """Queries a second at a recall: log(QPS) linear in log(1 - recall) between the neighbouring points of the frontier.

    The first point's speed if it lies beyond the recall already, None if no point reaches it. The same rule as
    SpeedAtRecall in src/cli/recall_curve.h.
    """
    points = frontier(curve, speed)
    above = next((i for i, point in enumerate(points) if point["recall"] >= recall), None)
    if above is None:
        return None
    if above == 0:
        return float(points[0][speed])

    def miss(value: float) -> float:
        return math.log(max(1 - value, MISS_MIN))

    low, high = points[above - 1], points[above]
    width = miss(high["recall"]) - miss(low["recall"])
    share = 1.0 if width == 0 else (miss(recall) - miss(low["recall"])) / width
    return math.exp(math.log(low[speed]) + share * (math.log(high[speed]) - math.log(low[speed])))


def median_curve(runs: Sequence[Sequence[Point]]) -> list[Point]:
    """One point for each parameter that all runs have, each figure the median of the runs."""
    by_param = [{str(point["param"]): point for point in run} for run in runs]
    curve = []
    for first in runs[0]:
        same = [run[str(first["param"])] for run in by_param if str(first["param"]) in run]
        if len(same) == len(runs):
            figures = {key: statistics.median(point[key] for point in same) for key in first if key != "param"}
            curve.append({"param": first["param"]} | figures)
    return curve


def at_recall(runs: Sequence[Sequence[Point]]) -> list[dict[str, Any]]:
    """The field of that name: speed at each level, from every run."""
    levels = []
    for recall in LEVELS:
        level: dict[str, Any] = {"recall": recall}
        for speed in ("qps_wall", "qps_cpu"):
            values = [value for run in runs if (value := speed_at(run, recall, speed)) is not None]
            whole = spread(values) if len(values) == len(runs) else None
            level[speed] = whole and {"median": whole.median, "min": whole.low, "max": whole.high}
        levels.append(level)
    return levels
