"""The libraries Longbow is measured beside: how each is built and asked, at the settings that serve it best.

A library is imported only when it is built, so that one that cannot be installed does not keep the others from running.
All take float32 rows and give back row numbers; a query for which a library finds fewer than k rows is padded with -1.
"""

from __future__ import annotations

import json
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]

EFS = (
    10,
    12,
    14,
    17,
    20,
    24,
    28,
    34,
    40,
    48,
    56,
    68,
    80,
    96,
    112,
    136,
    160,
    192,
    224,
    272,
    320,
    448,
    640,
    896,
    1280,
    1792,
)
UNIT_TOLERANCE = 0.01


class Library(ABC):
    """One library with one set of build settings. `metric` is ip or l2; for cosine both sides are normalised before."""

    settings = ""  # what was chosen, for the report

    def __init__(self, metric: str, k: int) -> None:
        self.metric = metric
        self.k = k

    @classmethod
    def unsuited(cls, metric: str, unit: bool) -> str:
        """Why it is not for rows under this metric, of unit norm or not; "" if it is."""
        return ""

    @abstractmethod
    def build(self, rows: Rows) -> None:
        """From rows [n, d] to an index that can be searched, on one thread."""

    @abstractmethod
    def search(self, queries: Rows, setting: Any) -> Ids:
        """[q, k] row numbers, in the library's fastest way on one thread: one call for all queries where it has one."""

    def search_one(self, query: Rows, setting: Any) -> Ids:
        """The same for one query [d], the way a caller with a single question asks."""
        answer: Ids = self.search(query[None, :], setting)[0]
        return answer

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes the index below `folder`; its size there is reported as the index's size."""

    def sweep(self, rows: int) -> Sequence[Any]:
        """Search settings, in the order of rising recall."""
        return [ef for ef in EFS if ef >= self.k]

    def saved_bytes(self) -> int:
        with tempfile.TemporaryDirectory() as name:
            self.save(Path(name))
            return sum(path.stat().st_size for path in Path(name).rglob("*") if path.is_file())


def as_ids(found: Any) -> Ids:
    return np.asarray(found, dtype=np.int64)


def unit_norms(rows: Rows) -> bool:
    """Whether all rows have a norm of 1 but for rounding: then inner product and L2 order rows alike."""
    norms = np.linalg.norm(rows, axis=1)
    return bool(np.all(np.abs(norms - 1) < UNIT_TOLERANCE))


class Hnswlib(Library):
    settings = "M=16 ef_construction=200, float32"

    def build(self, rows: Rows) -> None:
        import hnswlib

        self.index = hnswlib.Index(space=self.metric, dim=rows.shape[1])
        self.index.init_index(max_elements=len(rows), M=16, ef_construction=200, random_seed=1)
        self.index.add_items(rows, num_threads=1)

    def search(self, queries: Rows, setting: int) -> Ids:
        self.index.set_ef(setting)
        return as_ids(self.index.knn_query(queries, self.k, num_threads=1)[0])

    def save(self, folder: Path) -> None:
        self.index.save_index(str(folder / "index"))


class SymphonyQg(Library):
    settings = "degree 32, ef_build 200; batched call"

    def build(self, rows: Rows) -> None:
        import rabitqlib

        self.index = rabitqlib.SymqgIndex(rows.shape[1], 32, self.metric)
        self.index.build(rows, 200, 1)

    def search(self, queries: Rows, setting: int) -> Ids:
        return as_ids(self.index.search_batch(queries, self.k, setting, 1)[0])

    def search_one(self, query: Rows, setting: int) -> Ids:
        return as_ids(self.index.search(query[None, :], self.k, setting, 1)[0][0])

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index"))


class SymphonyQgL2(SymphonyQg):
    """Unit vectors under inner product given to it as L2, the metric it was made for: sometimes faster."""

    settings = "degree 32, ef_build 200, unit vectors as L2; batched call"

    @classmethod
    def unsuited(cls, metric: str, unit: bool) -> str:
        if metric == "l2":
            return "the same as symphonyqg on this metric"
        return "" if unit else "for unit vectors only"

    def build(self, rows: Rows) -> None:
        self.metric = "l2"
        super().build(rows)


class SvsVamana(Library):
    settings = "Vamana degree 32, window 200, float16"

    def build(self, rows: Rows) -> None:
        import svs

        alpha, distance = (1.2, svs.DistanceType.L2) if self.metric == "l2" else (0.95, svs.DistanceType.MIP)
        parameters = svs.VamanaBuildParameters(alpha=alpha, graph_max_degree=32, window_size=200)
        self.index = svs.Vamana.build(parameters, rows.astype(np.float16), distance, 1)

    def search(self, queries: Rows, setting: int) -> Ids:
        self.index.search_window_size = setting
        return as_ids(self.index.search(queries, self.k)[0])

    def save(self, folder: Path) -> None:
        self.index.save(*(str(folder / part) for part in ("config", "graph", "data")))


class VsagHgraph(Library):
    settings = "HGraph degree 32, ef_construction 200, SQ8 with float32 reorder; one call a query"

    def build(self, rows: Rows) -> None:
        import pyvsag

        parameters = {
            "dtype": "float32",
            "metric_type": self.metric,
            "dim": rows.shape[1],
            "index_param": {
                "base_quantization_type": "sq8",
                "use_reorder": True,
                "precise_quantization_type": "fp32",
                "max_degree": 32,
                "ef_construction": 200,
                "alpha": 1.2,
                "build_thread_count": 1,
            },
        }
        self.index = pyvsag.Index("hgraph", json.dumps(parameters))
        self.index.build(rows.reshape(-1), np.arange(len(rows), dtype=np.int64), len(rows), rows.shape[1])

    def search(self, queries: Rows, setting: int) -> Ids:
        words = json.dumps({"hgraph": {"ef_search": setting}})
        found = [self.index.knn_search(query, self.k, words)[0] for query in queries]
        return padded(found, self.k)

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index"))


class FaissHnsw(Library):
    settings = "HNSW32 with SQ8, efConstruction 200"

    def build(self, rows: Rows) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        metric = faiss.METRIC_L2 if self.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.index = faiss.IndexHNSWSQ(rows.shape[1], faiss.ScalarQuantizer.QT_8bit, 32, metric)
        self.index.hnsw.efConstruction = 200
        self.index.train(rows)
        self.index.add(rows)

    def search(self, queries: Rows, setting: int) -> Ids:
        import faiss

        parameters = faiss.SearchParametersHNSW(efSearch=setting)
        return as_ids(self.index.search(queries, self.k, params=parameters)[1])

    def save(self, folder: Path) -> None:
        import faiss

        faiss.write_index(self.index, str(folder / "index"))


class FaissIvf(Library):
    settings = "IVF-PQ fast-scan with float32 refine"

    def build(self, rows: Rows) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        dimension = rows.shape[1]
        metric = faiss.METRIC_L2 if self.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        lists = max(16, 2 ** round(np.log2(3 * np.sqrt(len(rows)))))
        self.lists = lists
        self.settings = f"IVF{lists},PQ{dimension // 2}x4fs,RFlat"
        self.index = faiss.index_factory(dimension, self.settings, metric)
        self.index.train(rows)
        self.index.add(rows)

    def sweep(self, rows: int) -> Sequence[tuple[int, int]]:
        return [
            (probes, factor) for probes in (4, 8, 16, 32, 64, 128) if probes <= self.lists for factor in (2, 4, 8, 16)
        ]

    def search(self, queries: Rows, setting: tuple[int, int]) -> Ids:
        import faiss

        probes, factor = setting
        inner = faiss.SearchParametersIVF(nprobe=probes)
        parameters = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=inner)
        return as_ids(self.index.search(queries, self.k, params=parameters)[1])

    def save(self, folder: Path) -> None:
        import faiss

        faiss.write_index(self.index, str(folder / "index"))


class Usearch(Library):
    dtype = "f16"
    settings = "connectivity 16, expansion_add 200, float16"

    def build(self, rows: Rows) -> None:
        from usearch.index import Index

        self.index = Index(
            ndim=rows.shape[1], metric=self.name_of_metric(rows), dtype=self.dtype, connectivity=16, expansion_add=200
        )
        self.index.add(np.arange(len(rows)), rows, threads=1)

    def name_of_metric(self, rows: Rows) -> str:
        return "l2sq" if self.metric == "l2" else "ip"

    def search(self, queries: Rows, setting: int) -> Ids:
        self.index.expansion_search = setting
        found = self.index.search(queries, self.k, threads=1).keys
        return as_ids(found).reshape(len(queries), -1)

    def save(self, folder: Path) -> None:
        self.index.save(str(folder / "index"))


class UsearchInt8(Usearch):
    """Its int8 holds values of unit vectors only."""

    dtype = "i8"
    settings = "connectivity 16, expansion_add 200, int8"

    @classmethod
    def unsuited(cls, metric: str, unit: bool) -> str:
        return "" if unit else "its int8 is for unit vectors"

    def name_of_metric(self, rows: Rows) -> str:
        return "cos"


class Scann(Library):
    """With SOAR where it has it, for inner product; unit vectors under L2 do not occur here."""

    def build(self, rows: Rows) -> None:
        import scann

        self.leaves = int(max(20, min(len(rows) // 50, 2 * np.sqrt(len(rows)))))
        soar = {"soar_lambda": 1.5, "overretrieve_factor": 2.0} if self.metric == "ip" else {}
        self.settings = (
            f"{self.leaves} leaves, 2-dimension blocks, threshold 0.2, reorder{', SOAR 1.5' if soar else ''}"
        )
        distance = "dot_product" if self.metric == "ip" else "squared_l2"
        builder = scann.scann_ops_pybind.builder(rows, self.k, distance).set_n_training_threads(1)
        builder = builder.tree(self.leaves, 10, training_sample_size=min(len(rows), 100_000), **soar)
        # Anisotropic loss is made for inner products.
        threshold = {"anisotropic_quantization_threshold": 0.2} if self.metric == "ip" else {}
        self.index = builder.score_ah(2, **threshold).reorder(100).build()

    def sweep(self, rows: int) -> Sequence[tuple[int, int]]:
        shares = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4)
        leaves = sorted({max(2, round(self.leaves * share)) for share in shares})
        return [
            (leaf, reorder)
            for leaf in leaves
            for reorder in (2 * self.k, 4 * self.k, 8 * self.k, 16 * self.k, 32 * self.k)
        ]

    def search(self, queries: Rows, setting: tuple[int, int]) -> Ids:
        leaves, reorder = setting
        return padded(self.index.search_batched(queries, self.k, reorder, leaves)[0], self.k)

    def search_one(self, query: Rows, setting: tuple[int, int]) -> Ids:
        leaves, reorder = setting
        return as_ids(self.index.search(query, self.k, reorder, leaves)[0])

    def save(self, folder: Path) -> None:
        self.index.serialize(str(folder))


def padded(found: Sequence[NDArray[Any]], k: int) -> Ids:
    ids = np.full((len(found), k), -1, dtype=np.int64)
    for row, answer in zip(ids, found, strict=True):
        row[: len(answer)] = answer[:k]
    return ids


LIBRARIES: dict[str, type[Library]] = {
    "symphonyqg": SymphonyQg,
    "symphonyqg-l2": SymphonyQgL2,
    "hnswlib": Hnswlib,
    "svs": SvsVamana,
    "vsag": VsagHgraph,
    "faiss-hnsw": FaissHnsw,
    "faiss-ivf": FaissIvf,
    "usearch-f16": Usearch,
    "usearch-i8": UsearchInt8,
    "scann": Scann,
}

# The package of requirements.txt that holds a library, where the names differ.
PACKAGES = {
    "symphonyqg": "rabitqlib",
    "symphonyqg-l2": "rabitqlib",
    "svs": "scalable-vs",
    "vsag": "pyvsag",
    "faiss-hnsw": "faiss-cpu",
    "faiss-ivf": "faiss-cpu",
    "usearch-f16": "usearch",
    "usearch-i8": "usearch",
}


def package_of(library: str) -> str:
    return PACKAGES.get(library, library)


# One thread, whatever a library is built with. Before any of them is imported.
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    )
} | {"OMP_WAIT_POLICY": "PASSIVE"}


def environment() -> dict[str, str]:
    """This process's environment with every library held to one thread."""
    return dict(os.environ) | ONE_THREAD
