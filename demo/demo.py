#!/usr/bin/env python3
"""Longbow on real data: load, ask, measure, kill, recover. `make demo` builds everything and runs this.

Ends with one line, "demo ok: ..." and exit status 0, or "demo FAILED: ..." and 1 if anything it checks does not hold.
README.md beside this file says what is checked.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from embed import EmbeddingUnavailable, embed
from longbow import LongbowClient, LongbowError, SearchResult, col
from server import Server, ServerFailed

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE / "data"
EMBED_VENV = HERE.parent / "build" / "venv-embed"

DATASET = "packages"
SECOND = "packages-second-load"
K = 10
BATCH_ROWS = 50
RECALL_MIN = 0.98
SINCE = datetime.date(2026, 1, 1)
QUESTIONS = (74, 113, 85, 64)  # of queries.parquet: qr codes, web framework, quantum circuits, stock data
QUESTION_EF = 400  # wide enough that the shown answers don't hang on how the graph happened to grow
QPS_THREADS = 4
QPS_FOR_S = 3.0


class DemoFailed(Exception):
    """Something the demo checks does not hold."""


def require(holds: bool, what: str) -> None:
    """DemoFailed(what) unless it holds."""
    if not holds:
        raise DemoFailed(what)


@contextlib.contextmanager
def stage(title: str, limit_s: int) -> Iterator[None]:
    """A step of the demo, announced, and ended by DemoFailed after `limit_s`."""

    def expire(*_: object) -> None:
        raise DemoFailed(f"{title}: not done within {limit_s} s")

    print(f"\n== {title}", flush=True)
    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(limit_s)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Progress:
    """A bar on a terminal, a line for each quarter elsewhere."""

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit, self._quarter = total, unit, 0
        self._start = time.monotonic()

    def show(self, done: int) -> None:
        """Draws the state after `done` of the total."""
        rate = done / max(time.monotonic() - self._start, 1e-9)
        text = f"{done:>6}/{self._total} {self._unit}, {rate:,.0f} a second"
        if sys.stdout.isatty():
            full = 40 * done // self._total
            print(f"\r[{'#' * full}{'.' * (40 - full)}] {text} ", end="\n" if done == self._total else "", flush=True)
        elif 4 * done // self._total > self._quarter:
            self._quarter = 4 * done // self._total
            print(f"  {text}", flush=True)


@dataclass
class Data:
    """demo/data, read: `rows` as they are inserted, everything needed to know the right answers."""

    rows: pa.Table  # id, name, version, published, rank, summary, vector FixedSizeList<float32>[384]
    queries: np.ndarray  # [500, 384] float32
    texts: list[str]  # [500]
    truth: np.ndarray  # [500, 10] ids
    unit: np.ndarray  # [10000, 384] float64, the vectors at unit norm
    by_id: dict[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Data:
        """Reads the five files."""
        rows = parquet.read_table(DATA / "rows.parquet")
        vectors = np.load(DATA / "vectors.f16.npy").astype(np.float32)
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
        wide = vectors.astype(np.float64)
        return cls(
            rows=rows.append_column("vector", column),
            queries=np.load(DATA / "queries.f16.npy").astype(np.float32),
            texts=parquet.read_table(DATA / "queries.parquet")["summary"].to_pylist(),
            truth=np.load(DATA / "gt.npy"),
            unit=wide / np.linalg.norm(wide, axis=1, keepdims=True),
            by_id={row_id: at for at, row_id in enumerate(rows["id"].to_pylist())},
        )

    def passing(self) -> np.ndarray:
        """[10000] bool: published on or after SINCE."""
        days = self.rows["published"].to_pylist()
        return np.array([day is not None and day >= SINCE for day in days])

    def exact(self, query: np.ndarray, passing: np.ndarray) -> list[int]:
        """Ids of the K rows nearest by cosine among those that pass."""
        ids = self.rows["id"].to_numpy()[passing]
        scores = self.unit[passing] @ query.astype(np.float64)
        return [int(i) for i in ids[np.lexsort((ids, -scores))[:K]]]

    def print_hits(self, result: SearchResult, shown: int) -> None:
        """Score, name, month and summary of the first hits."""
        for hit in result[:shown]:
            row = self.rows.slice(self.by_id[hit.id], 1).drop_columns(["vector"]).to_pylist()[0]
            month = row["published"].strftime("%Y-%m") if row["published"] else "   ?   "
            print(f"   {hit.score:.3f}  {row['name'][:28]:<28} {month}  {row['summary'][:88]}")


# ---- stages ----------------------------------------------------------------------------------------------------------


def load(client: LongbowClient, data: Data) -> list[float]:
    """Inserts all rows, BATCH_ROWS a call; seconds from each call to its acknowledgement."""
    latencies: list[float] = []
    progress = Progress(data.rows.num_rows, "rows acknowledged")
    for at in range(0, data.rows.num_rows, BATCH_ROWS):
        batch = data.rows.slice(at, BATCH_ROWS)
        started = time.perf_counter()
        acked = client.insert(DATASET, batch, metric="cosine")
        latencies.append(time.perf_counter() - started)
        require(acked == batch.num_rows, f"sent {batch.num_rows} rows, {acked} were acknowledged")
        progress.show(at + batch.num_rows)
    client.wait_until_ready(DATASET, timeout_s=100)
    rows = client.info(DATASET).rows
    require(rows == data.rows.num_rows, f"the dataset has {rows} rows, {data.rows.num_rows} were acknowledged")
    return latencies


Answers = list[tuple[list[int], list[float]]]


def ask(client: LongbowClient, data: Data, *, show: bool) -> Answers:
    """The demo's questions, plain and filtered by date; the filtered answers are checked against exact ones."""
    answers: Answers = []
    passing = data.passing()
    for question in QUESTIONS:
        query = data.queries[question]
        plain = client.search(DATASET, query, K, ef=QUESTION_EF)
        recent = client.search(DATASET, query, K, ef=QUESTION_EF, filters=col("published") >= SINCE)
        expected = data.exact(query, passing)
        got = recent.ids.tolist()
        require(
            len(set(got) & set(expected)) >= K - 1 and len(got) == K,
            f"question {question} with published >= {SINCE}: got {got}, exact answer {expected}",
        )
        answers += [(result.ids.tolist(), result.scores.tolist()) for result in (plain, recent)]
        if show:
            print(f'\n "{data.texts[question]}"')
            data.print_hits(plain, 4)
            print(f"  published since {SINCE}:")
            data.print_hits(recent, 3)
    return answers


def filtered_recall(client: LongbowClient, data: Data) -> float:
    """recall@K of 100 searches filtered by date; every hit has to pass the filter."""
    passing = data.passing()
    found = 0
    for query in data.queries[:100]:
        result = client.search(DATASET, query, K, filters=col("published") >= SINCE)
        ids = result.ids.tolist()
        require(len(ids) == K, f"a filtered search gave {len(ids)} hits although {int(passing.sum())} rows pass")
        require(all(passing[data.by_id[i]] for i in ids), "a filtered search gave a row that does not pass")
        found += len(set(ids) & set(data.exact(query, passing)))
    return found / (100 * K)


def measure(client: LongbowClient, data: Data) -> tuple[float, list[float]]:
    """recall@K over all queries against the exact answers, and the seconds of each search, one after the other."""
    latencies: list[float] = []
    found = 0
    for query, truth in zip(data.queries, data.truth, strict=True):
        started = time.perf_counter()
        result = client.search(DATASET, query, K)
        latencies.append(time.perf_counter() - started)
        found += len(set(result.ids.tolist()) & set(truth.tolist()))
    return found / data.truth.size, latencies


def queries_per_second(client: LongbowClient, data: Data) -> float:
    """Searches a second that QPS_THREADS threads of this one Python process get through in QPS_FOR_S."""
    counts = [0] * QPS_THREADS
    problems: list[str] = []
    end = time.monotonic() + QPS_FOR_S

    def work(thread: int) -> None:
        try:
            while time.monotonic() < end:
                client.search(DATASET, data.queries[(thread + QPS_THREADS * counts[thread]) % len(data.queries)], K)
                counts[thread] += 1
        except LongbowError as error:
            problems.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(QPS_THREADS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    require(not problems, f"a search failed under load: {problems[:1]}")
    return sum(counts) / (time.monotonic() - started)


def load_and_kill(client: LongbowClient, server: Server, data: Data) -> tuple[int, int]:
    """Loads into a second dataset and kills the server on the way: rows acknowledged, rows sent."""
    acked = sent = 0
    ended: list[str] = []

    def work() -> None:
        nonlocal acked, sent
        try:
            for at in range(0, data.rows.num_rows, BATCH_ROWS):
                batch = data.rows.slice(at, BATCH_ROWS)
                sent += batch.num_rows
                acked += client.insert(SECOND, batch, metric="cosine", timeout_s=20)
        except LongbowError as error:
            ended.append(f"{type(error).__name__}: {error}")

    loader = threading.Thread(target=work, daemon=True)
    loader.start()
    enough = random.randint(data.rows.num_rows // 4, data.rows.num_rows // 2)
    while acked < enough and loader.is_alive():
        time.sleep(0.0005)
    time.sleep(random.uniform(0, 0.005))
    server.kill()
    loader.join(30)
    require(not loader.is_alive(), "the loader hangs although its server is dead")
    require(acked >= enough, f"the second load broke off by itself: {ended}")
    require(bool(ended), "the server was killed too late: the second load was complete")
    print(f"  SIGKILL to pid {server.pid} with {acked} rows acknowledged, {sent} sent; the loader saw {ended[0][:100]}")
    return acked, sent


def check_rows(client: LongbowClient, dataset: str, expected: pa.Table, acked: int) -> int:
    """Compares a dataset with what was sent to it, cell by cell; the number of acknowledged rows found.

    The first `acked` rows of `expected` have to be there; of the others some may be; nothing else.
    """
    table = client.scan(dataset, timeout_s=60)
    ids = table["id"].to_pylist()
    require(len(set(ids)) == len(ids), f"{dataset}: {len(ids) - len(set(ids))} rows are there twice")
    position = {row_id: at for at, row_id in enumerate(expected["id"].to_pylist())}
    require(position.keys() >= set(ids), f"{dataset}: holds rows that were never sent")
    lost = set(expected["id"][:acked].to_pylist()) - set(ids)
    require(
        not lost,
        f"{dataset}: {len(lost)} of {acked} acknowledged rows are lost, for instance id {min(lost, default=0)}",
    )
    order = pa.array([position[row_id] for row_id in ids], pa.int64())
    same = expected.take(order).combine_chunks().equals(table.select(expected.column_names).combine_chunks())
    require(same, f"{dataset}: a row came back with other content")
    return sum(position[row_id] < acked for row_id in ids)


def same_answers(before: Answers, after: Answers) -> bool:
    """Same ids in the same order; scores equal to what float32 sums in another order may differ by."""
    return all(x[0] == y[0] and np.allclose(x[1], y[1], atol=1e-5) for x, y in zip(before, after, strict=True))


# ---- the two runs ----------------------------------------------------------------------------------------------------


def milliseconds(latencies: list[float], percentile: int) -> str:
    """A percentile of latencies in seconds, as text in milliseconds."""
    return f"{np.percentile(latencies, percentile) * 1000:.2f}"


def full_demo(binary: pathlib.Path, folder: pathlib.Path, running: contextlib.ExitStack) -> str:
    """All stages; the summary."""
    data = Data.read()
    everything = np.ones(data.rows.num_rows, bool)
    for question in QUESTIONS:
        right = data.exact(data.queries[question], everything) == data.truth[question].tolist()
        require(right, f"demo/data does not fit together: gt.npy is wrong for query {question}")
    with stage("start the server on an empty folder", 60):
        server = Server(binary, folder, 30)
        running.callback(server.kill)
        print(f"  {server.data_uri}, pid {server.pid}, ready after {server.start_s:.2f} s")
        client = running.enter_context(LongbowClient(server.data_uri, server.meta_uri))
    with stage(
        f"load {data.rows.num_rows} packages with their embeddings, {BATCH_ROWS} rows a call, each durable", 180
    ):
        put = load(client, data)
    with stage("ask", 60):
        answers = ask(client, data, show=True)
    with stage("measure against exact search", 120):
        recall, search = measure(client, data)
        filtered = filtered_recall(client, data)
        qps = queries_per_second(client, data)
        print(f"  recall@{K} {recall:.4f} over {len(data.queries)} queries; {filtered:.4f} filtered by date")
        print(f"  {qps:,.0f} searches a second from {QPS_THREADS} Python threads")
        require(recall >= RECALL_MIN, f"recall@{K} is {recall:.4f}, at least {RECALL_MIN} was expected")
        require(filtered >= RECALL_MIN, f"filtered recall@{K} is {filtered:.4f}, at least {RECALL_MIN} was expected")
    with stage("kill the server with SIGKILL in the middle of a second load", 120):
        acked, sent = load_and_kill(client, server, data)
        client.close()
    with stage("start again on the same folder", 120):
        server = Server(binary, folder, 60)
        running.callback(server.kill)
        client = running.enter_context(LongbowClient(server.data_uri, server.meta_uri))
        client.wait_until_ready(timeout_s=60)
        print(f"  ready after {server.start_s:.2f} s")
    with stage("compare every row with what was sent, and the answers with those before", 180):
        total = data.rows.num_rows
        first = check_rows(client, DATASET, data.rows, total)
        second = check_rows(client, SECOND, data.rows.slice(0, sent), acked)
        require(same_answers(answers, ask(client, data, show=False)), "a question has another answer after the restart")
        print(f"  {first}/{total} and {second}/{acked} acknowledged rows there, identical; answers the same")
    with stage("stop", 40):
        client.close()
        server.stop(30)
    acked_rows, recovered = total + acked, first + second
    return (
        f"rows={total} recall@{K}={recall:.4f} qps={qps:.0f} "
        f"put_p50_ms={milliseconds(put, 50)} put_p99_ms={milliseconds(put, 99)} "
        f"search_p50_ms={milliseconds(search, 50)} search_p99_ms={milliseconds(search, 99)} "
        f"acked_rows={acked_rows} recovered_after_sigkill={recovered}/{acked_rows}"
    )


def ask_in_words(binary: pathlib.Path, folder: pathlib.Path, running: contextlib.ExitStack, text: str) -> str:
    """Embeds `text`, checks the model against a stored vector, searches with it; the summary."""
    data = Data.read()
    with stage("embed the question", 900):
        check = QUESTIONS[0]
        vector, known = (np.array(v, np.float32) for v in embed([text, data.texts[check]], EMBED_VENV))
        stored = data.queries[check] / np.linalg.norm(data.queries[check])
        cosine = float(known @ stored)
        require(cosine >= 0.999, f"the model disagrees with the stored vectors: cosine {cosine:.5f} for a known text")
        print(f"  {len(vector)} numbers; a known text comes out with cosine {cosine:.5f} to its stored vector")
    with stage(f"start the server and load {data.rows.num_rows} packages", 120):
        server = Server(binary, folder, 30)
        running.callback(server.kill)
        client = running.enter_context(LongbowClient(server.data_uri, server.meta_uri))
        require(
            client.insert(DATASET, data.rows, metric="cosine") == data.rows.num_rows, "not all rows were acknowledged"
        )
        client.wait_until_ready(DATASET, timeout_s=60)
    with stage("ask", 60):
        result = client.search(DATASET, vector, K)
        recent = client.search(DATASET, vector, K, filters=col("published") >= SINCE)
        print(f'\n "{text}"')
        data.print_hits(result, K)
        print(f"  published since {SINCE}:")
        data.print_hits(recent, 5)
        everything = np.ones(data.rows.num_rows, bool)
        found = len(set(result.ids.tolist()) & set(data.exact(vector, everything)))
        require(found >= K - 1, f"only {found} of the {K} nearest were found")
    with stage("stop", 40):
        client.close()
        server.stop(30)
    return f"rows={data.rows.num_rows} hits={len(result)} of_the_exact_{K}={found} best_score={result[0].score:.3f}"


def interrupt(*_: object) -> None:
    """Turns SIGTERM into an exception, so that the server and the folder are cleaned up."""
    raise KeyboardInterrupt


def main() -> int:
    """Runs one of the two, cleans up, prints the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="the longbow executable")
    parser.add_argument("--text", help="ask this question instead of running the whole demo")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longbow-demo-"))
    failure = summary = ""
    try:
        # Whatever happens, the servers started are killed (if they still run) before their folder goes.
        with contextlib.ExitStack() as running:
            if args.text is not None:
                require(bool(args.text.strip()), "the question is empty")
                summary = ask_in_words(args.binary, folder, running, args.text)
            else:
                summary = full_demo(args.binary, folder, running)
    except (DemoFailed, EmbeddingUnavailable, ServerFailed) as error:
        failure = str(error)
    except LongbowError as error:
        failure = f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        failure = "interrupted"
    finally:
        if failure and (log := folder / "server.log").exists():
            print("\nend of the server's log:", *log.read_text(errors="replace").splitlines()[-15:], sep="\n  ")
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\ndemo FAILED: {failure}" if failure else f"\ndemo ok: {summary}", flush=True)
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
