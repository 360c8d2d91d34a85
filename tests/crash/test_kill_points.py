"""The server kills itself at every durable step, one after another, under mixed load; nothing acknowledged is lost.

The steps are the LB_KILL_POINTs in the sources, so a new one is tried without being named here. LONGBOW_TEST_HITS sets
how often each is hit (3), LONGBOW_TEST_SEED repeats a run.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
from data_folder import files, overwrite, used_size
from load import Writer, quiet_action, verify
from longbow_server import REPOSITORY, LongbowServer, StartFailed, binary
from oracle import DatasetOracle

HITS = int(os.environ.get("LONGBOW_TEST_HITS", 3))
LOAD_MAX_S = 15.0  # it ends with the server
ROWS = 2_000
# Reached only after the disk failed, seconds after the load, or by another command: src/storage/log_recover_test.cc,
# src/engine/graph_kill_test.cc, compaction_kill_test.cc and store_rows_test.cc beside it, and tests/snapshot/test_damage.py kill there.
ELSEWHERE = ("log.recover.", "graph.", "compaction.", "expiry.", "restore.", "update.", "delete_where.")
ONCE_A_START = ("log.open", "open.", "data_dir")
FIRST_START_ONLY = "data_dir.formatted"
OFTEN = ("log.group", "apply")
REMOVALS = ("snapshot.index.removed", "snapshot.removal.synced", "snapshot.object.removed")


def all_kill_points() -> list[str]:
    names: set[str] = set()
    for path in (REPOSITORY / "src").rglob("*.cc"):
        if not path.name.endswith("_test.cc"):
            names |= set(re.findall(r'LB_KILL_POINT\("([^"]+)"\)', path.read_text()))
    return sorted(names)


POINTS = [name for name in all_kill_points() if not name.startswith(ELSEWHERE)]


def test_there_are_enough():
    assert len(POINTS) >= 40, POINTS


class Life:
    """A data folder, its writers, and the server that dies in it again and again."""

    def __init__(self, server: LongbowServer, point: str, seed: int):
        self.server, self.point = server, point
        self.snapshots = server.data_dir.parent / f"{server.data_dir.name}_snapshots"
        self.rng = np.random.default_rng([seed, POINTS.index(point)])
        dropped = 0.2 if point == "unnamed.folder.remove" else 0.02
        plan = [("shared", 0, 0), ("shared", 1_000_000, 0), ("dropped", 0, dropped)]
        self.writers = [
            Writer(DatasetOracle(name, first, ROWS), [seed, POINTS.index(point), i], drops, large=0.25, dies=True)
            for i, (name, first, drops) in enumerate(plan)
        ]

    @property
    def is_of_snapshots(self) -> bool:
        return self.point.startswith("snapshot.")

    def options(self) -> dict[str, object]:
        policies = ["fsync", "interval"] if self.point.startswith("log.sync") else ["fsync", "interval", "none"]
        return {
            "max_wal_size": "1MiB",
            "wal_sync": str(self.rng.choice(policies)),
            "wal_sync_interval": "5ms",
            # A snapshot of many small files takes longer than the load.
            "segment_rows_max": 1_048_576 if self.is_of_snapshots else int(self.rng.choice([400, 1_048_576])),
            "snapshot_path": self.snapshots,
        }

    def die_at(self, nth: int) -> bool:
        """Runs the server under load until it dies there. False: it never came there that often, and was killed."""
        self.server.options = self.options()
        self.server.kill_at = f"{self.point}:{nth}"
        try:
            self.server.start()
        except StartFailed as failed:
            assert failed.exit_code == -signal.SIGKILL, failed
            return True
        finally:
            self.server.kill_at = ""
        over = threading.Event()
        threads = [threading.Thread(target=writer.run, args=(self.server.data_uri, over)) for writer in self.writers]
        for thread in threads:
            thread.start()
        end = time.monotonic() + LOAD_MAX_S
        while self.server.alive() and time.monotonic() < end:
            time.sleep(self.rng.uniform(0.02, 0.3))
            if self.server.alive():
                self.act()
        over.set()
        if self.server.alive():
            self.server.kill()
            reached = False
        else:
            reached = True
            assert self.server.reap(1) == -signal.SIGKILL, self.server.log()
        for thread in threads:
            thread.join()
        for writer in self.writers:
            if writer.failure:
                raise AssertionError(f"{self.point}:{nth}, {writer.oracle.name}") from writer.failure
        return reached

    def act(self) -> None:
        listed = sorted((self.snapshots / "snapshots").glob("*.json")) if self.point in REMOVALS else []
        if len(listed) > 1:
            quiet_action(self.server.meta_uri, "DeleteSnapshot", {"id": listed[0].stem})
        else:
            quiet_action(self.server.meta_uri, "CreateSnapshot" if self.is_of_snapshots else "ForceSnapshot")

    def prepare(self) -> None:
        """Makes what has to be there for the point to be worth reaching when the server starts: rows after a crash, and for
        two points the traces of a crash in the right moment."""
        if not self.point.startswith(ONCE_A_START) or self.point == FIRST_START_ONLY:
            return
        before = "log.file.created" if self.point == "log.open.unborn_file" else "log.group.answered"
        after, self.point = self.point, before
        assert self.die_at(1 if before == "log.file.created" else 40), f"the load never came to {before}"
        self.point = after
        if after == "log.open.truncated":
            last = files(self.server.data_dir, "log")[-1]
            overwrite(last, used_size(last), b"a write that was cut off")

    def check(self) -> int:
        self.server.options = self.options()
        self.server.start()
        rows = verify(self.server, self.writers, self.rng)
        self.server.kill()
        if self.is_of_snapshots and any((self.snapshots / "snapshots").iterdir()):
            self.check_snapshot()
        return rows

    def check_snapshot(self) -> None:
        """What is listed can be restored."""
        restored = self.snapshots.parent / "restored"
        command = [binary(), "restore", f"--from={self.snapshots}", f"--data={restored}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        shutil.rmtree(restored)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("point", POINTS)
def test_kill_point(make_server, point: str, record_property):
    seed = int(os.environ.get("LONGBOW_TEST_SEED", time.time_ns() % 2**32))
    record_property("seed", seed)
    life = Life(make_server(start=False), point, seed)
    hits = acknowledged = 0
    for attempt in range(2 * HITS + 1):
        if hits == HITS:
            break
        if attempt and point == FIRST_START_ONLY:
            life = Life(make_server(start=False), point, seed + attempt)
        seldom = point.startswith((*ONCE_A_START, "snapshot."))  # a snapshot is a checkpoint and more
        nth = 1 if seldom or attempt % 2 == 0 else int(life.rng.integers(2, 8))
        nth *= 20 if attempt and point.startswith(OFTEN) and point != "log.group.reserved" else 1
        before = sum(writer.acknowledged for writer in life.writers)
        try:
            life.prepare()
            hits += life.die_at(nth)
            rows = life.check()
        except AssertionError as error:
            raise AssertionError(f"{point}:{nth}, repeat with LONGBOW_TEST_SEED={seed}") from error
        acknowledged += sum(writer.acknowledged for writer in life.writers) - before
    print(f"{point}: {hits} hits, {acknowledged} acknowledged operations, {rows} rows at the end, seed {seed}")
    assert hits == HITS, f"{point} was reached {hits} times of {HITS}: unreachable, or the load has to change"
