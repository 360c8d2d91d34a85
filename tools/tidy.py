#!/usr/bin/env python3
"""A test that reads the repository: what reviewers would otherwise have to look for. One line per finding, file:line first.

Looks at the files git knows. A file may be longer than FILE_LINES_MAX only if LONGER names it with a reason.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
SELF = {"tools/tidy.py", "tools/tests/test_tidy.py"}  # they spell out what they look for
FILE_LINES_MAX = 500
LONGER: dict[str, str] = {}  # path: why it is one idea all the same
DATA_SIZE_MAX_BYTES = 10_000_000
CODE = {".h", ".cc", ".inc", ".py", ".rs"}

VAGUE_NAMES = re.compile(r"(?i)(^|[_./])(utils?|helpers?|common|misc|manager2)([_.]|$)")
VAGUE_TYPES = re.compile(r"\b(?:class|struct)\s+\w*(?:Utils?|Helpers?|Common|Manager2)\b")
ANYWHERE = [
    (re.compile(r"\bTO" r"DO\b|\bFIX" r"ME\b"), "open work belongs into an issue"),
    (re.compile(r"(?<![\w.-])/(?:work|root)/"), "a path of one machine"),
    (
        re.compile(r"\b(?:pypi\.org|crates\.io|registry\.npmjs\.org|deb\.debian\.org|files\.pythonhosted\.org)\b"),
        "a registry's host: its client is configured on the machine",
    ),
]
# In src/, tests and benchmarks included.
CPP_BANNED = [
    (re.compile(r"\b(?:strcpy|strcat|sprintf|vsprintf|gets)\s*\("), "writes without a bound"),
    (re.compile(r"\b(?:std::)?s?rand\s*\("), "use base/random.h"),
    (re.compile(r"(?<![\w.:>])(?:std::)?system\s*\("), "starts a shell"),
    (re.compile(r"\bstd::endl\b"), "flushes; use '\\n'"),
    (re.compile(r"\busing namespace std\s*;"), "names its parts instead"),
    # With a private constructor, std::unique_ptr<T>(new T(...)) on one line is the way.
    (
        re.compile(r"^(?!.*(?:unique|shared)_ptr<).*(?<![\w\"])new\s+[A-Za-z_:]+[\w:<>]*\s*[({\[;]"),
        "use std::make_unique",
    ),
    (re.compile(r"(?<![\w:])delete\s+\w"), "ownership belongs into a unique_ptr"),
]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//.*$')


def tracked_files(root: pathlib.Path) -> list[str]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    return sorted(name for name in listed.stdout.decode().split("\0") if name and (root / name).is_file())


def check_lines(name: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        for pattern, why in ANYWHERE:
            if pattern.search(line):
                yield f"{name}:{number}: {why}"


def check_code(name: str, lines: list[str]) -> Iterator[str]:
    if VAGUE_NAMES.search(name.rsplit("/", 1)[-1]):
        yield f"{name}:1: a name that says nothing: what do its parts share?"
    if len(lines) > FILE_LINES_MAX and name not in LONGER:
        yield f"{name}:{len(lines)}: longer than {FILE_LINES_MAX} lines: look for the second idea"
    for number, line in enumerate(lines, 1):
        if VAGUE_TYPES.search(line):
            yield f"{name}:{number}: a name that says nothing"
    if name.endswith(".h") and "#pragma once" not in lines:
        yield f"{name}:1: no #pragma once"


def check_cpp(name: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        bare = STRING_OR_COMMENT.sub('""', line)
        for pattern, why in CPP_BANNED:
            if match := pattern.search(bare):
                yield f"{name}:{number}: {match[0].strip()}: {why}"


def check_links(root: pathlib.Path, name: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        for target in LINK.findall(line):
            if (
                "://" not in target
                and not target.startswith("mailto:")
                and not (root / name).parent.joinpath(target).exists()
            ):
                yield f"{name}:{number}: no file {target}"


def check_folders(root: pathlib.Path, names: list[str]) -> Iterator[str]:
    folders = {name.split("/")[1] for name in names if name.startswith("src/") and name.count("/") >= 2}
    for folder in sorted(folders):
        if not (root / "src" / folder / "README.md").is_file():
            yield f"src/{folder}:1: no README.md: purpose, main types, who calls it"
    size_bytes = sum((root / name).stat().st_size for name in names if name.startswith("demo/data/"))
    if size_bytes > DATA_SIZE_MAX_BYTES:
        yield f"demo/data:1: {size_bytes} bytes, at most {DATA_SIZE_MAX_BYTES}"


def check(root: pathlib.Path) -> tuple[int, list[str]]:
    """Number of files read and the findings."""
    names = tracked_files(root)
    findings = list(check_folders(root, names))
    for stale in sorted(set(LONGER) - set(names)):
        findings.append(f"tools/tidy.py:1: LONGER names {stale}, which does not exist")
    for name in names:
        if name in SELF or name.endswith((".lock", "LICENSE")):
            continue
        try:
            lines = (root / name).read_text().splitlines()
        except UnicodeDecodeError:
            continue  # data
        findings += check_lines(name, lines)
        suffix = pathlib.PurePath(name).suffix
        if suffix in CODE:
            findings += check_code(name, lines)
        if name.startswith("src/") and suffix in (".h", ".cc", ".inc"):
            findings += check_cpp(name, lines)
        if suffix == ".md":
            findings += check_links(root, name, lines)
    return len(names), findings


def main() -> int:
    count, findings = check(ROOT)
    print("\n".join(findings) if findings else f"tidy: {count} files are as they should be")
    return 1 if findings or not count else 0


if __name__ == "__main__":
    sys.exit(main())
