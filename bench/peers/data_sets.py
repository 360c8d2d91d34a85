"""The data that `make bench-index` runs on: files of a folder, and generated sets of other kinds.

Generated rows depend on the seed and the number of rows only. Every set ends up as three .npy files (base, queries,
exact answers) in a cache folder, the answers computed with numpy in float32 and ordered again in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SEED = 7
K = 100  # exact answers kept
CANDIDATES = 20  # more than K that float32 picks for float64 to order
TRUTH_BLOCK_BYTES = 1 << 28
GENERATED_ROWS_MAX = 50_000

Rows = NDArray[np.float32]
Random = np.random.Generator


@dataclass(frozen=True)
class DataSet:
    name: str
    metric: str
    base: Path
    query: Path
    truth: Path


def image_features(random: Random, rows: int, queries: int) -> tuple[Rows, Rows]:
    """784 values from two ReLU layers over 14 dimensions in 10 classes: low intrinsic dimension, many zeros."""
    count, inner, hidden, dimension = rows + queries, 14, 64, 784
    centres = 1.5 * random.standard_normal((10, inner))
    latent = random.standard_normal((count, inner)) + centres[random.integers(0, 10, count)]
    first = random.standard_normal((inner, hidden))
    second = random.standard_normal((hidden, dimension)) / 8
    values = np.maximum(0, np.maximum(0, latent @ first) @ second - 1.0)
    values += np.abs(0.02 * random.standard_normal((count, dimension)))
    features = values.astype(np.float32)
    return features[:rows], features[rows:]


def gaussian_clusters(random: Random, rows: int, queries: int) -> tuple[Rows, Rows]:
    """96 values, 100 clusters of different width that each fill 24 of their own directions."""
    count, clusters, inner, dimension = rows + queries, 100, 24, 96
    centres = 0.6 * random.standard_normal((clusters, dimension))
    directions = random.standard_normal((8, inner, dimension)) / np.sqrt(inner)
    widths = random.uniform(0.6, 1.4, clusters)
    labels = random.integers(0, clusters, count)
    values = centres[labels] + 0.05 * random.standard_normal((count, dimension))
    for cluster in range(clusters):
        mine = labels == cluster
        latent = widths[cluster] * random.standard_normal((int(mine.sum()), inner))
        values[mine] += latent @ directions[cluster % 8]
    points = values.astype(np.float32)
    return points[:rows], points[rows:]


def unequal_norms(random: Random, rows: int, queries: int) -> tuple[Rows, Rows]:
    """128 values for inner product, as item and user factors have them: log-normal norms, a common direction."""
    dimension, inner = 128, 32
    directions = random.standard_normal((inner, dimension)) / np.sqrt(inner)
    common = random.standard_normal(inner)
    items = random.standard_normal((rows, inner)) + 0.5 * common
    items *= random.lognormal(0.0, 0.5, (rows, 1))
    users = random.standard_normal((queries, inner)) + 0.5 * common
    return (items @ directions).astype(np.float32), (users @ directions).astype(np.float32)


def foreign_queries(random: Random, rows: int, queries: int) -> tuple[Rows, Rows]:
    """200 unit values for inner product; queries from another modality: shifted, and spread over other directions."""
    dimension, inner = 200, 40
    axes = np.linalg.qr(random.standard_normal((dimension, dimension)))[0]
    centres = random.standard_normal((50, inner))
    base = (centres[random.integers(0, 50, rows)] + 0.7 * random.standard_normal((rows, inner))) @ axes[:inner]
    base += 0.1 * random.standard_normal((rows, dimension))
    # Half of the queries' directions are the base's, half are not; and all lie to one side.
    asked = random.standard_normal((queries, inner)) @ axes[inner // 2 : inner // 2 + inner]
    asked += 2 * axes[inner + 5] + 0.1 * random.standard_normal((queries, dimension))
    for part in (base, asked):
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return base.astype(np.float32), asked.astype(np.float32)


GENERATORS: dict[str, tuple[str, Callable[[Random, int, int], tuple[Rows, Rows]]]] = {
    "image784": ("l2", image_features),
    "cluster96": ("l2", gaussian_clusters),
    "norms128": ("ip", unequal_norms),
    "foreign200": ("ip", foreign_queries),
}


def exact_answers(base: Rows, queries: Rows, metric: str, k: int = K) -> NDArray[np.int32]:
    """[q, k] row numbers, nearest first; ties go to the lower number."""
    k = min(k, len(base))
    candidates = min(k + CANDIDATES, len(base))
    scale = 1 / np.linalg.norm(base, axis=1) if metric == "cosine" else np.ones(len(base), np.float32)
    squares = np.einsum("ij,ij->i", base, base) if metric == "l2" else np.zeros(len(base), np.float32)
    answers = np.empty((len(queries), k), np.int32)
    step = max(1, TRUTH_BLOCK_BYTES // (4 * len(base)))
    for first in range(0, len(queries), step):
        block = queries[first : first + step]
        product = block @ base.T
        distance = squares - 2 * product if metric == "l2" else -product * scale
        nearest = np.argpartition(distance, candidates - 1, axis=1)[:, :candidates]
        for i, ids in enumerate(nearest):
            ids = np.sort(ids)
            rows, query = base[ids].astype(np.float64), block[i].astype(np.float64)
            exact = ((rows - query) ** 2).sum(1) if metric == "l2" else -(rows @ query) * scale[ids]
            answers[first + i] = ids[np.argsort(exact, kind="stable")][:k]
    return answers


def generated(name: str, rows: int, queries: int, cache: Path) -> DataSet:
    """A generated set of `rows` rows; made once, then found in `cache`."""
    metric, make = GENERATORS[name]
    folder = cache / f"{name}-{rows}-{queries}"
    data = DataSet(name, metric, folder / "base.npy", folder / "query.npy", folder / "gt.npy")
    if not data.truth.exists():
        base, asked = make(np.random.default_rng(SEED), rows, queries)
        save(data, base, asked)
    return data


def save(data: DataSet, base: Rows, queries: Rows) -> None:
    """Writes the three files, the answers last: where they are, the set is complete."""
    data.base.parent.mkdir(parents=True, exist_ok=True)
    np.save(data.base, base)
    np.save(data.query, queries)
    np.save(data.truth, exact_answers(base, queries, data.metric))


def from_folder(folder: Path, metric: str, rows_max: int, cache: Path) -> DataSet:
    """The largest *vectors*.npy of a folder as base, its *quer*.npy of the same dimension as queries.

    Answers of the folder (gt*.npy) are taken if they agree with a scan for some of the queries: the numbers in such a
    file need not be positions. Else, and when rows are left out, they are computed.
    """
    found = sorted(folder.glob("*vectors*.npy"), key=lambda path: path.stat().st_size)
    if not found:
        raise SystemExit(f"{folder}: no *vectors*.npy there")
    base_path = found[-1]
    base = np.load(base_path, mmap_mode="r")
    asked = [
        path
        for path in sorted(folder.glob("*quer*.npy"))
        if path != base_path and np.load(path, mmap_mode="r").shape[1:] == base.shape[1:]
    ]
    if not asked:
        raise SystemExit(f"{folder}: no *quer*.npy of dimension {base.shape[1]} beside {base_path.name}")
    name = base_path.name.split(".")[0] if "." in base_path.stem else base_path.stem
    name = folder.parent.name if name == "vectors" else name
    if len(base) <= rows_max and (truth := matching_truth(folder, base, np.load(asked[0]), metric)):
        return DataSet(name, metric, base_path, asked[0], truth)
    rows = min(rows_max, len(base))
    stamp = f"{name}-{metric}-{rows}-{base_path.stat().st_size}-{base_path.stat().st_mtime_ns}"
    data = DataSet(name, metric, cache / stamp / "base.npy", cache / stamp / "query.npy", cache / stamp / "gt.npy")
    if not data.truth.exists():
        save(data, np.asarray(base[:rows], np.float32), np.asarray(np.load(asked[0]), np.float32))
    return data


def matching_truth(folder: Path, base: NDArray[np.float16], queries: Rows, metric: str) -> Path | None:
    """The folder's file of answers that agrees with a scan for the first queries, if there is one."""
    sample = np.asarray(queries[:20], np.float32)
    exact = exact_answers(np.asarray(base, np.float32), sample, metric, 10)
    for path in sorted(folder.glob("gt*.npy")):
        ids = np.load(path, mmap_mode="r")
        if ids.dtype.kind != "i" or ids.ndim != 2 or len(ids) != len(queries) or ids.shape[1] < 10:
            continue
        shared = sum(len(set(a.tolist()) & set(b.tolist())) for a, b in zip(ids[:20, :10], exact, strict=True))
        if shared >= 0.97 * exact.size:
            return path
    return None
