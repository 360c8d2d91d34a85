"""The tidy check finds what it is there to find."""

import pathlib
import subprocess
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOOLS))
import tidy  # noqa: E402  (the path has to be set first)


def findings_in(tmp_path, files):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for name, text in ({"src/low/README.md": "Low.\n"} | files).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tidy.check(tmp_path)[1]


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("src/low/string_utils.cc", "", "src/low/string_utils.cc:1: a name that says nothing"),
        ("src/low/a.h", "#pragma once\nclass RowHelper {};", "src/low/a.h:2: a name that says nothing"),
        ("src/low/a.h", "int x;", "src/low/a.h:1: no #pragma once"),
        ("src/low/a.cc", "x;\n" * 501, "src/low/a.cc:501: longer than 500 lines"),
        ("src/low/a.cc", "\n// TODO: later", "src/low/a.cc:2: open work"),
        ("README.md", "see /root/x", "README.md:1: a path of one machine"),
        ("README.md", "from https://pypi.org/simple", "README.md:1: a registry's host"),
        ("src/low/a.cc", "std::cout << std::endl;", "src/low/a.cc:1: std::endl: flushes"),
        ("src/low/a.cc", "  sprintf(b, x);", "src/low/a.cc:1: sprintf(: writes without a bound"),
        ("src/low/a.cc", "int x = rand();", "src/low/a.cc:1: rand(: use base/random.h"),
        ("src/low/a.cc", "using namespace std;", "names its parts"),
        ("src/low/a.cc", "auto* x = new Foo(1);", "use std::make_unique"),
        ("src/low/a.cc", 'return system("ls");', "starts a shell"),
        ("docs/a.md", "[b](b.md) and [c](../none.md#x)", "docs/a.md:1: no file ../none.md"),
        ("src/high/a.cc", "", "src/high:1: no README.md"),
    ],
)
def test_finds(tmp_path, name, text, finding):
    findings = findings_in(tmp_path, {name: text, "docs/b.md": ""})
    assert any(finding in line for line in findings), findings


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/low/a.cc", 'Fail("new Foo(1) std::endl"); // a new row; rand()'),
        ("src/low/a.cc", "return std::unique_ptr<Foo>(new Foo(1));"),
        ("src/low/a.cc", "renew(x); operand(); file_system(x); fs.system(x); std::snprintf(b, n, x);"),
        ("src/low/a.h", "// Why.\n#pragma once\n"),
        ("README.md", "[b](docs/b.md#part), [web](https://example.org/x), build/work/x\n"),
    ],
)
def test_leaves_alone(tmp_path, name, text):
    assert findings_in(tmp_path, {name: text, "docs/b.md": ""}) == []


def test_ignored_files_are_not_read(tmp_path):
    assert findings_in(tmp_path, {".gitignore": "/build/\n", "build/x.md": "[x](none.md)"}) == []


def test_data_has_a_limit(tmp_path):
    assert any("demo/data" in line for line in findings_in(tmp_path, {"demo/data/rows.txt": "x" * 10_000_001}))
