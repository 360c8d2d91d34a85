#!/usr/bin/env python3
"""Makes demo/data from the folder of 100,000 embedded package summaries.

    demo/make_data.py FOLDER [--out demo/data]

FOLDER holds packages100k.rows.parquet, packages100k.vectors.f16.npy, queries1k.texts.parquet and
queries1k.vectors.f16.npy. data/README.md says what is written and where it comes from. The same input gives the same
bytes with the versions of NumPy and PyArrow named there. Needs numpy and pyarrow.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib

import numpy as np
import pyarrow.parquet as parquet

ROWS = 10_000
QUERIES = 500
K = 10


def exact_top(base: np.ndarray, queries: np.ndarray, ids: np.ndarray, k: int) -> np.ndarray:
    """Ids [n, k] int32 of the k rows of `base` with the largest cosine to each query, best first, ties to the lower id.

    Computed in float64 over the float16 values as stored, so that the order depends on no BLAS.
    """
    wide, asked = (x.astype(np.float64) for x in (base, queries))
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    best = np.empty((len(asked), k), np.int32)
    for at, query in enumerate(asked):
        best[at] = ids[np.lexsort((ids, -(wide @ query)))[:k]]
    return best


def main() -> None:
    """Reads FOLDER, writes the five files, prints their sizes and md5 sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "data")
    args = parser.parse_args()

    rows = parquet.read_table(args.folder / "packages100k.rows.parquet")
    vectors = np.load(args.folder / "packages100k.vectors.f16.npy", mmap_mode="r")
    texts = parquet.read_table(args.folder / "queries1k.texts.parquet").slice(0, QUERIES)
    queries = np.load(args.folder / "queries1k.vectors.f16.npy")[:QUERIES]

    # Every row with a rank, since people know those packages, then the first others. The source is shuffled, so the
    # others are a fair sample. In the source's order, with its ids: an id is thus not a row's position.
    ranked = np.flatnonzero(~np.asarray(rows["rank"].is_null()))
    others = np.setdiff1d(np.arange(rows.num_rows), ranked)[: ROWS - len(ranked)]
    picked = np.sort(np.concatenate([ranked, others]))
    chosen = rows.take(picked)
    base = np.ascontiguousarray(vectors[picked])

    args.out.mkdir(parents=True, exist_ok=True)
    np.save(args.out / "vectors.f16.npy", base)
    np.save(args.out / "queries.f16.npy", queries)
    np.save(args.out / "gt.npy", exact_top(base, queries, chosen["id"].to_numpy(), K))
    for name, table in (("rows.parquet", chosen), ("queries.parquet", texts)):
        parquet.write_table(table, args.out / name, compression="zstd", compression_level=19)
    for path in sorted(args.out.iterdir()):
        if path.suffix in (".npy", ".parquet"):
            print(hashlib.md5(path.read_bytes()).hexdigest(), f"{path.stat().st_size:>9}", path.name)


if __name__ == "__main__":
    main()
