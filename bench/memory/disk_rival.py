"""diskannpy's disk index for bench.py, in a process of its own that is told what to do line by line.

    python disk_rival.py BASE.npy QUERY.npy FOLDER SEARCH_BYTES COMPLEXITY

Started with the Python of a virtual environment that has diskannpy. Rows of unit length are ordered alike by cosine and
L2, which is the metric its disk index has. Builds with R = 64, L = 100 and as much memory as it likes; SEARCH_BYTES
bounds what searches hold: codes of a byte for four dimensions, and for the rest of it nodes that are read beforehand.
Answers {"build_s": ...}, then for each line "BEGIN END" of its input
{"ids": [[...]], "seconds": [...], "cpu": ...}.
"""

from __future__ import annotations

import json
import os
import sys
import time

import diskannpy
import numpy as np

K = 10
DEGREE = 64
BEAM_WIDTH = 4
DIMENSIONS_OF_CODE_BYTE = 4


def main() -> None:
    base, query, folder, search_bytes, complexity = (*sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]))
    # The library prints as it pleases; answers go where it cannot write.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    queries = np.load(query).astype(np.float32)
    rows, dimension = np.load(base, mmap_mode="r").shape
    codes_bytes = min(search_bytes, rows * dimension // DIMENSIONS_OF_CODE_BYTE)
    node_bytes = 4 * (dimension + DEGREE + 1)
    cached_nodes = min(rows // 2, int(0.8 * (search_bytes - codes_bytes)) // node_bytes)
    begin = time.monotonic()
    if not os.path.exists(os.path.join(folder, "ann_disk.index")):
        diskannpy.build_disk_index(
            np.ascontiguousarray(np.load(base), np.float32),
            distance_metric="l2",
            index_directory=folder,
            complexity=100,
            graph_degree=DEGREE,
            search_memory_maximum=codes_bytes / (1 << 30),
            build_memory_maximum=8,
            num_threads=1,
        )
        # What building leaves behind in the process is not the search's: it starts anew.
        os.dup2(answers.fileno(), 1)
        os.environ["DISK_RIVAL_BUILD_S"] = str(round(time.monotonic() - begin, 1))
        os.execv(sys.executable, [sys.executable, *sys.argv])
    # It searches with one thread, but waits for itself for ever, while it loads, with fewer than two.
    index = diskannpy.StaticDiskIndex(folder, num_threads=2, num_nodes_to_cache=cached_nodes)
    took = os.environ.get("DISK_RIVAL_BUILD_S")  # none: it stood there before
    built = {"build_s": None if took is None else float(took), "cached_nodes": cached_nodes}
    print(json.dumps(built), file=answers, flush=True)
    for line in sys.stdin:
        first, end = map(int, line.split())
        ids, seconds, cpu = [], [], time.process_time()
        for i in range(first, end):
            started = time.perf_counter()
            found = index.search(queries[i], k_neighbors=K, complexity=complexity, beam_width=BEAM_WIDTH)
            seconds.append(time.perf_counter() - started)
            ids.append(found.identifiers.tolist())
        print(json.dumps({"ids": ids, "seconds": seconds, "cpu": time.process_time() - cpu}), file=answers, flush=True)


if __name__ == "__main__":
    main()
