"""Where snapshots go in this suite: a folder, and a bucket behind a proxy that fails 5 % of the requests."""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
import subprocess

import pytest
from longbow_server import binary, clean_environment
from s3_server import FailingProxy, S3Server

numbers = itertools.count(1)
SECRET = "a secret that nobody may see"


@dataclasses.dataclass
class Place:
    path: str  # for commands
    target: str  # for actions
    options: dict[str, str]  # of a server
    environment: dict[str, str]
    proxy: FailingProxy | None = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`longbow ARGUMENTS`, whatever comes of it."""
        done = subprocess.run(
            [str(binary()), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env=clean_environment() | self.environment,
            check=False,
        )
        assert SECRET not in done.stdout + done.stderr
        return done

    def restore(self, data_dir: pathlib.Path, *more: str) -> subprocess.CompletedProcess[str]:
        return self.run("restore", "--from", self.path, "--data", str(data_dir), *more)


@pytest.fixture(scope="session")
def s3_server():
    with S3Server() as server:
        yield server


@pytest.fixture
def folder_place(tmp_path) -> Place:
    folder = tmp_path / "snapshots"
    return Place(str(folder), "local", {"snapshot_path": str(folder)}, {})


@pytest.fixture
def s3_place(s3_server, request):
    bucket = f"bucket-{next(numbers)}"
    s3_server.make_bucket(bucket)
    seed = int(os.environ.get("LONGBOW_TEST_SEED", next(numbers)))
    with FailingProxy(s3_server, share=0.05, seed=seed) as proxy:
        environment = {
            "LONGBOW_S3_ENDPOINT": proxy.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }
        options = {"s3_bucket": bucket, "s3_prefix": "a/b"}
        yield Place(f"s3://{bucket}/a/b", "s3", options, environment, proxy)


@pytest.fixture(params=["folder", "s3"])
def place(request) -> Place:
    return request.getfixturevalue(f"{request.param}_place")
