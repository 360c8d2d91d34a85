"""The layer check finds what it is there to find."""

import pathlib
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOOLS))
import check_layers  # noqa: E402  (the path has to be set first)

LAYERS = "# comment\nlow: | spdlog\nhigh: low | arrow proto\n"


def errors_in(tmp_path, files, layers=LAYERS):
    (tmp_path / "LAYERS").write_text(layers)
    for name, text in ({"low/a.h": "", "high/b.h": ""} | files).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return check_layers.check(tmp_path)[1]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("high/b.cc", '#include "low/a.h"'),
        ("high/b.cc", '#include "high/b.h"'),
        ("high/b.cc", "#include <arrow/api.h>"),
        ("high/b.cc", '#include "flight.pb.h"'),
        ("low/a.cc", "#include <vector>"),
        ("low/a.cc", "#include <sys/stat.h>"),
        ("low/a.cc", "#include <unistd.h>"),
        ("low/a.cc", "#include <spdlog/spdlog.h>"),
        ("low/a_test.cc", "#include <gtest/gtest.h>"),
        ("low/a_bench.cc", "#include <benchmark/benchmark.h>"),
    ],
)
def test_allowed(tmp_path, file, line):
    assert errors_in(tmp_path, {file: line}) == []


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("low/a.cc", '#include "high/b.h"', "low may not include high"),
        ("low/a.cc", "#include <arrow/api.h>", "low may not include arrow"),
        ("low/a.cc", '#include "arrow/api.h"', "no file arrow/api.h"),
        ("low/a.cc", '#  include "b.h"', "no file b.h"),
        ("low/a.cc", '#include "flight.pb.h"', "low may not include proto"),
        ("low/a.cc", "#include <simdjson.h>", "low may not include simdjson"),
        ("low/a.cc", "#include <gtest/gtest.h>", "low may not include gtest"),
        ("other/c.cc", "", "folder other has no line"),
    ],
)
def test_refused_with_file_and_line(tmp_path, file, line, message):
    (error,) = errors_in(tmp_path, {file: "\n" + line})
    assert message in error
    assert f"{file}:2:" in error or "no line" in message


def test_layers_may_only_name_what_stands_above(tmp_path):
    (error,) = errors_in(tmp_path, {}, "low: high |\nhigh: |\n")
    assert "low names high, which is not listed above it" in error


def test_a_line_that_cannot_be_read_is_an_error(tmp_path):
    assert any("not of the form" in error for error in errors_in(tmp_path, {}, LAYERS + "broken line\n"))
