"""The test runner counts what ran, and never takes a crash or a hang for success."""

import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import time

import pytest

TOOLS = pathlib.Path(__file__).resolve().parent.parent
loader = importlib.machinery.SourceFileLoader("run_tests", str(TOOLS / "run_tests"))
run_tests = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", loader))
sys.modules["run_tests"] = run_tests  # dataclasses look their module up
loader.exec_module(run_tests)

REPORT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"><failure message="x"/></testcase><testcase name="c"><skipped/></testcase>
<testcase name="d" status="notrun"/><testcase name="e"><error/></testcase><testcase name="f"/>
</testsuite></testsuites>"""


def run_shell(tmp_path, script, report=None, quiet=True):
    suite = run_tests.Suite("x", ["sh", "-c", script, "sh"], report=report, quiet=quiet)
    return run_tests.run(suite, dict(os.environ), tmp_path)


def test_counts_the_cases_of_a_report(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT)
    assert str(run_tests.count(tmp_path / "report.xml")) == "2 passed, 2 failed, 2 skipped"


def test_without_a_report_the_status_is_the_test(tmp_path):
    assert str(run_shell(tmp_path, "true")) == "1 passed, 0 failed, 0 skipped"
    assert str(run_shell(tmp_path, "false")) == "0 passed, 1 failed, 0 skipped"


@pytest.mark.parametrize("ending", ["kill -SEGV $$", "exit 1"])
def test_a_crash_after_good_cases_is_a_failure(tmp_path, ending):
    good = '<testsuite><testcase name=\\"a\\"/></testsuite>'
    tally = run_shell(tmp_path, f'echo "{good}" > "$1"; {ending}', report="{}")
    assert str(tally) == "1 passed, 1 failed, 0 skipped"


def test_a_suite_that_leaves_no_report_fails(tmp_path):
    assert run_shell(tmp_path, "exit 1", report="{}").failed == 1
    assert run_shell(tmp_path, "true", report="{}").failed == 1


def test_a_hang_is_killed_and_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(run_tests, "SUITE_TIMEOUT_S", 0.3)
    assert run_shell(tmp_path, "sleep 60").failed == 1


def test_nothing_stays_behind(tmp_path):
    run_shell(tmp_path, f"sleep 60 & echo $! > {tmp_path}/pid")
    pid = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 10
    while alive(pid):  # the kernel takes a moment to carry out a kill
        assert time.monotonic() < end, "still running"
        time.sleep(0.01)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_instruction_sets_start_with_the_reference():
    assert run_tests.isas_of_this_cpu()[0] == "scalar"


def test_the_environment_is_clean_of_our_variables(monkeypatch):
    monkeypatch.setenv("LONGBOW_DATA_PATH", "/elsewhere")
    environment = run_tests.environment_for("release")
    assert "LONGBOW_DATA_PATH" not in environment
    assert environment["LONGBOW_BIN"].endswith("build/release/bin/longbow")
