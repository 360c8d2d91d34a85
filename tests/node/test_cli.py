"""The command line: help, version, configuration and its precedence, refusals in words."""

from __future__ import annotations

import re
import select
import subprocess

import pytest
from longbow_server import binary, clean_environment


def run(
    *arguments: str, environment: dict[str, str] | None = None, cwd=None, timeout_s: float = 30
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary()), *arguments],
        capture_output=True,
        text=True,
        env=clean_environment() | (environment or {}),
        cwd=cwd,
        timeout=timeout_s,
    )


def config(*arguments: str, environment: dict[str, str] | None = None, cwd=None) -> dict[str, str]:
    """`longbow config` as key -> value: lines of `key = value`."""
    done = run("config", *arguments, environment=environment, cwd=cwd)
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        match = re.match(r"^\s*([a-z0-9_-]+)\s*=\s*(.*?)\s*(#.*)?$", line)
        if match:
            found[match[1].replace("_", "-")] = match[2].strip("\"'")
    return found


def test_version():
    for argument in ("version", "--version"):
        done = run(argument)
        assert done.returncode == 0 and re.search(r"longbow \d+\.\d+\.\d+", done.stdout), done


def test_help():
    for arguments in (["help"], ["--help"], ["serve", "--help"]):
        done = run(*arguments)
        assert done.returncode == 0 and done.stderr == "", done
        assert "serve" in done.stdout
    assert {"--listen-addr", "--data-path"} <= set(
        re.findall(r"--[a-z-]+", run("serve", "--help").stdout + run("help").stdout)
    )


def test_no_or_unknown_command():
    assert run().returncode != 0
    done = run("srve")
    assert done.returncode != 0 and "srve" in done.stderr and "serve" in done.stderr


@pytest.mark.parametrize("command", ["serve", "config"])
def test_unknown_flag_gets_a_suggestion(command, tmp_path):
    done = run(command, "--data-pth=x", cwd=tmp_path)
    assert done.returncode != 0
    assert "data-pth" in done.stderr and "data-path" in done.stderr.replace("data-pth", "").replace("_", "-")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flag, value",
    [
        ("listen-addr", "nowhere"),
        ("listen-addr", "127.0.0.1:99999"),
        ("max-wal-size", "lots"),
        ("max-wal-size", "-1"),
        ("grpc-max-recv-msg-size", "1.5x"),
        ("log-level", "loud"),
        ("grpc-keepalive-time", "soon"),
    ],
)
def test_bad_value(flag, value, tmp_path):
    done = run("serve", f"--{flag}={value}", f"--data-path={tmp_path / 'data'}")
    assert done.returncode not in (0, -11, -6), done
    assert flag in done.stderr.replace("_", "-") and value in done.stderr, done.stderr
    assert not (tmp_path / "data").exists(), "nothing is created before the configuration is known to be good"


def test_unknown_environment_variable_of_ours(tmp_path):
    """LONGBOW_ variables that mean nothing are errors too; foreign ones are not ours."""
    done = run("config", environment={"LONGBOW_DATA_PTH": "x", "PATH_OF_SOMEBODY": "y"})
    assert done.returncode != 0 and "LONGBOW_DATA_PTH" in done.stderr and "DATA_PATH" in done.stderr, done.stderr


def test_defaults():
    found = config()
    assert (
        found["listen-addr"].endswith(":3000")
        and found["meta-addr"].endswith(":3001")
        and found["metrics-addr"].endswith(":9090")
    )
    assert all(
        found[key].startswith(("127.", "localhost", "[::1]")) for key in ("listen-addr", "meta-addr", "metrics-addr")
    ), "loopback unless told otherwise"


def test_precedence(tmp_path):
    """flag > LONGBOW_ variable > bare variable > file > default."""
    (tmp_path / "longbow.toml").write_text('data_path = "/from/file"\nlog_level = "warn"\n')
    file = f"--config={tmp_path / 'longbow.toml'}"
    assert config(file)["data-path"] == "/from/file"
    assert config(file, environment={"DATA_PATH": "/from/bare"})["data-path"] == "/from/bare"
    both = {"DATA_PATH": "/from/bare", "LONGBOW_DATA_PATH": "/from/longbow"}
    assert config(file, environment=both)["data-path"] == "/from/longbow"
    assert config(file, "--data-path=/from/flag", environment=both)["data-path"] == "/from/flag"
    assert config(file, environment=both)["log-level"] == "warn"


def test_unknown_key_in_the_file(tmp_path):
    (tmp_path / "longbow.toml").write_text('data_pth = "/x"\n')
    done = run("config", f"--config={tmp_path / 'longbow.toml'}")
    assert done.returncode != 0 and "data_pth" in done.stderr.replace("-", "_") and "longbow.toml" in done.stderr


def test_missing_or_broken_file(tmp_path):
    assert "absent.toml" in run("config", f"--config={tmp_path / 'absent.toml'}").stderr
    (tmp_path / "broken.toml").write_text("data_path = [[[\n")
    done = run("config", f"--config={tmp_path / 'broken.toml'}")
    assert done.returncode != 0 and "broken.toml" in done.stderr


@pytest.mark.parametrize("key", ["listen-addr", "meta-addr", "metrics-addr"])
def test_other_than_loopback_is_refused_unless_asked_for_by_name(key, tmp_path):
    free = [f"--{name}=127.0.0.1:0" for name in ("listen-addr", "meta-addr", "metrics-addr") if name != key]
    done = run("serve", f"--{key}=0.0.0.0:0", *free, f"--data-path={tmp_path / 'data'}")
    assert done.returncode not in (0, -6, -11)
    assert "allow-remote" in done.stderr.replace("_", "-") and "0.0.0.0" in done.stderr, done.stderr
    assert not (tmp_path / "data").exists()


def test_allow_remote(make_server):
    """With the flag it starts; tests stay on loopback all the same."""
    server = make_server(allow_remote="true")
    assert server.http("GET", "/livez")[0] == 200


def test_port_in_use(make_server, tmp_path):
    server = make_server()
    done = run(
        "serve",
        f"--listen-addr=127.0.0.1:{server.data_port}",
        "--meta-addr=127.0.0.1:0",
        "--metrics-addr=127.0.0.1:0",
        f"--data-path={tmp_path / 'other'}",
    )
    assert done.returncode not in (0, -6, -11) and str(server.data_port) in done.stderr, done.stderr


def test_isa_can_be_forced():
    done = run("config", environment={"LONGBOW_ISA": "no-such-isa"})
    assert done.returncode != 0 and "no-such-isa" in done.stderr
    assert run("config", environment={"LONGBOW_ISA": "scalar"}).returncode == 0


def test_stdout_has_the_ready_line_only(make_server):
    server = make_server()
    assert not select.select([server.process.stdout], [], [], 0.2)[0], "more than the ready line on stdout"
    assert server.log(), "the log goes to stderr"


def test_doctor(tmp_path):
    """Facts of the machine, the disk of a folder, nothing left behind; refusals in words."""
    done = run("doctor", str(tmp_path), "--write-size=1MiB")
    assert done.returncode in (0, 1) and done.stderr == "", done
    for what in (
        "CPU",
        "kernels",
        "memory",
        "open files",
        "io_uring",
        "file system",
        "fdatasync of 4 KiB",
        "sequential write",
    ):
        assert re.search(rf"^(ok|advice|BAD)\s+{what}\s+\S", done.stdout, re.MULTILINE), (what, done.stdout)
    assert not list(tmp_path.iterdir())
    assert "fdatasync" not in run("doctor").stdout
    for arguments, message in ((["/nowhere"], "/nowhere"), (["a", "b"], "one folder"), (["--what=1"], "what")):
        done = run("doctor", *arguments)
        assert done.returncode == 2 and message in done.stderr, done
    assert "Exit status" in run("doctor", "--help").stdout
