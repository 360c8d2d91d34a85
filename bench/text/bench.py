"""BM25 of Longbow beside tantivy's: the same rows, the same queries, one thread each, taking turns.

    PYTHON_WITH_TANTIVY bench/text/bench.py --texts ROWS.parquet --queries QUERIES.parquet [--column summary] [--k 10]

Needs pyarrow and tantivy in the Python that runs it, and `make build` before. Relevance is synthetic: a row is relevant
to a query as far as its embedding is near, by --truth (an array [queries, n] of rows, nearest first): gain 1 / (1 +
place) for the first ten. nDCG@10 of both rankings against it, and how many of the ten rows agree. CPU seconds of the
thread, tokenizing included. Appends a JSON line to bench/results/text.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import tantivy

REPOSITORY = Path(__file__).resolve().parents[2]


def lines_of(path: str, column: str) -> list[str]:
    return [" ".join(text.split()) for text in pq.read_table(path, columns=[column])[column].to_pylist()]


def build_ours(program: Path) -> None:
    build = REPOSITORY / "build/release/src"
    command = ["c++", "-std=c++20", "-O2", f"-I{REPOSITORY}/src", str(REPOSITORY / "bench/text/bm25_queries.cc")]
    libraries = [str(build / "text/liblongbow_text.a"), str(build / "base/liblongbow_base.a")]
    subprocess.run(
        [*command, *libraries, "-lstemmer", "-lstreamvbyte", "-licuuc", "-lspdlog", "-lfmt", "-o", str(program)],
        check=True,
    )


class Tantivy:
    """All rows in one segment in memory; queries are the words, any of them."""

    def __init__(self, texts: list[str], tokenizer: str) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field("row", stored=True)
        builder.add_text_field("text", tokenizer_name=tokenizer, index_option="freq")
        begin = time.thread_time()
        self.index = tantivy.Index(builder.build())
        writer = self.index.writer(num_threads=1, heap_size=512 << 20)
        for row, text in enumerate(texts):
            writer.add_document(tantivy.Document(row=row, text=text))
        writer.commit()
        writer.wait_merging_threads()
        self.build_s = time.thread_time() - begin
        self.index.reload()
        self.searcher = self.index.searcher()

    def parse(self, text: str) -> tantivy.Query:
        words = "".join(c if c.isalnum() else " " for c in text)
        return self.index.parse_query_lenient(words, ["text"])[0]

    def search(self, query: tantivy.Query, k: int) -> list[int]:
        return [self.searcher.doc(place).to_dict()["row"][0] for _, place in self.searcher.search(query, k).hits]

    def round(self, texts: list[str], k: int) -> float:
        begin = time.thread_time()
        for text in texts:
            self.searcher.search(self.parse(text), k, count=False)
        return time.thread_time() - begin


def ndcg(found: list[int], best: list[int]) -> float:
    gain = {row: 1 / (1 + place) for place, row in enumerate(best[:10])}
    ideal = sum(value / math.log2(place + 2) for place, value in enumerate(sorted(gain.values(), reverse=True)))
    return sum(gain.get(row, 0) / math.log2(place + 2) for place, row in enumerate(found[:10])) / ideal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", required=True)
    parser.add_argument("--queries", required=True)
    parser.add_argument("--truth", required=True)
    parser.add_argument("--column", default="summary")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stem", action="store_true", help="English stems on both sides")
    options = parser.parse_args()
    texts, queries = lines_of(options.texts, options.column), lines_of(options.queries, options.column)
    truth = np.load(options.truth)
    rival = Tantivy(texts, "en_stem" if options.stem else "default")
    ours_s, theirs_s = [], []
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "bm25_queries"
        build_ours(program)
        for name, lines in (("texts", texts), ("queries", queries)):
            (Path(folder) / name).write_text("\n".join(lines) + "\n")
        command = [
            program,
            f"{folder}/texts",
            f"{folder}/queries",
            str(options.k),
            "3",
            "english" if options.stem else "",
        ]
        for _ in range(options.rounds):
            answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            ours_s.append(min(answer["rounds"]))
            theirs_s.append(min(rival.round(queries, options.k) for _ in range(3)))
    ours = [[row for row, _ in hits] for hits in answer["hits"]]
    theirs = [rival.search(rival.parse(text), options.k) for text in queries]
    ndcg_ours, ndcg_theirs = (
        statistics.mean(ndcg(found, truth[q].tolist()) for q, found in enumerate(lists)) for lists in (ours, theirs)
    )
    same = statistics.mean(len(set(a) & set(b)) / max(1, len(b)) for a, b in zip(ours, theirs, strict=True))
    ratios = sorted(b / a for a, b in zip(ours_s, theirs_s, strict=True))
    line = {
        "benchmark": "text", "time": datetime.now(UTC).isoformat(timespec="seconds"), "rival": f"tantivy {tantivy.__version__}",
        "machine": {"cpu": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()},
        "rows": len(texts), "queries": len(queries), "k": options.k, "stemmed": options.stem,
        "cpu_s": {"ours": ours_s, "tantivy": theirs_s}, "build_s": {"ours": answer["build_s"], "tantivy": rival.build_s},
        "bytes": answer["bytes"], "ndcg10": {"ours": ndcg_ours, "tantivy": ndcg_theirs}, "same_rows": same,
    }  # fmt: skip
    print(f"QPS ours / tantivy: {statistics.median(ratios):.2f} [{ratios[0]:.2f}..{ratios[-1]:.2f}], "
          f"{len(queries) / statistics.median(ours_s):.0f} against {len(queries) / statistics.median(theirs_s):.0f}; "
          f"nDCG@10 {ndcg_ours:.4f} against {ndcg_theirs:.4f}; {same:.3f} of the rows are the same")  # fmt: skip
    with (REPOSITORY / "bench/results/text.json").open("a") as out:
        out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
